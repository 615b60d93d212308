//! The recorded bytes of a conversation, with their times.
//!
//! Invariant: at most [`Evidence::BYTES_MAX`] bytes in [`Evidence::PARTS_MAX`] parts are recorded.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::named_enum::named_enum;

named_enum! {
    /// The sender of recorded bytes.
    pub enum Side: "side of a conversation" {
        /// The server.
        Server = "server",
        /// This program.
        Portmuster = "portmuster",
    }
}

/// The bytes of one read or write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// Time since the start of the attempt.
    pub at: Duration,
    /// The sender.
    pub side: Side,
    /// The bytes, unescaped. Those of the server are untrusted.
    pub bytes: Vec<u8>,
}

impl Part {
    /// Creates a part.
    #[must_use]
    pub fn new(at: Duration, side: Side, bytes: Vec<u8>) -> Self {
        Self { at, side, bytes }
    }
}

/// The recorded beginning of the conversation with a server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The parts, in the order in which they were read and written.
    pub parts: Vec<Part>,
    /// Number of bytes read or written after the recorded ones.
    pub left_out: u64,
}

impl Evidence {
    /// Limit of recorded bytes per conversation.
    pub const BYTES_MAX: usize = 4096;
    /// Limit of recorded parts per conversation.
    pub const PARTS_MAX: usize = 64;

    /// Records the bytes, up to the limits.
    pub(crate) fn add(&mut self, at: Duration, side: Side, bytes: &[u8]) {
        let kept: usize = self.parts.iter().map(|part| part.bytes.len()).sum();
        let capacity = if self.parts.len() < Self::PARTS_MAX { Self::BYTES_MAX - kept } else { 0 };
        let (bytes, left_out) = bytes.split_at(bytes.len().min(capacity));
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
    fn evidence_keeps_the_first_4096_bytes_and_counts_the_rest() {
        let mut evidence = Evidence::default();
        for _ in 0..3 {
            evidence.add(Duration::ZERO, Side::Server, &[b'x'; 2000]);
        }
        evidence.add(Duration::ZERO, Side::Portmuster, b"y");
        let lengths: Vec<_> = evidence.parts.iter().map(|part| part.bytes.len()).collect();
        assert_eq!((lengths, evidence.left_out), (vec![2000, 2000, 96], 1905));
    }

    #[test]
    fn single_bytes_fill_at_most_64_parts() {
        let mut evidence = Evidence::default();
        for _ in 0..100 {
            evidence.add(Duration::ZERO, Side::Server, b"x");
        }
        assert_eq!((evidence.parts.len(), evidence.left_out), (Evidence::PARTS_MAX, 36));
    }
}
