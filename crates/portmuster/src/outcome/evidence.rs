//! What was said on a connection, and when.
//!
//! Invariant: at most [`Evidence::BYTES_MAX`] bytes in [`Evidence::PARTS_MAX`] parts are kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The server.
    Server,
    /// This program.
    Portmuster,
}

impl Side {
    /// The side's name in rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Portmuster => "portmuster",
        }
    }
}

/// Bytes that were read or written at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// From the start of the attempt.
    pub at: Duration,
    /// Who said it.
    pub side: Side,
    /// From a stranger where the side is the server's, unescaped.
    pub bytes: Vec<u8>,
}

/// The conversation with one server, from its beginning, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// In the order in which they were read and written.
    pub parts: Vec<Part>,
    /// Bytes that came or went after all that is kept.
    pub left_out: u64,
}

impl Evidence {
    /// Bytes that are kept of one conversation.
    pub const BYTES_MAX: usize = 4096;
    /// Parts that are kept of one conversation.
    pub const PARTS_MAX: usize = 64;

    /// Adds what was said, as far as there is room.
    pub(crate) fn add(&mut self, at: Duration, side: Side, bytes: &[u8]) {
        let kept: usize = self.parts.iter().map(|part| part.bytes.len()).sum();
        let room = if self.parts.len() < Self::PARTS_MAX { Self::BYTES_MAX - kept } else { 0 };
        let (bytes, left_out) = bytes.split_at(bytes.len().min(room));
        self.left_out += left_out.len() as u64;
        if !bytes.is_empty() {
            self.parts.push(Part { at, side, bytes: bytes.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_from_the_beginning_and_no_more_than_there_is_room() {
        let mut evidence = Evidence::default();
        for _ in 0..3 {
            evidence.add(Duration::ZERO, Side::Server, &[b'x'; 2000]);
        }
        evidence.add(Duration::ZERO, Side::Portmuster, b"y");
        let lengths: Vec<_> = evidence.parts.iter().map(|part| part.bytes.len()).collect();
        assert_eq!((lengths, evidence.left_out), (vec![2000, 2000, 96], 1905));
    }

    #[test]
    fn a_drip_is_kept_in_bounded_parts() {
        let mut evidence = Evidence::default();
        for _ in 0..100 {
            evidence.add(Duration::ZERO, Side::Server, b"x");
        }
        assert_eq!((evidence.parts.len(), evidence.left_out), (Evidence::PARTS_MAX, 36));
    }
}
