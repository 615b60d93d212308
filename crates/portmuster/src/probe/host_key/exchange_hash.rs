//! The hash over a key exchange that a server signs (RFC 4253 §8).

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashKind {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl HashKind {
    /// Returns the hash of the bytes.
    pub(super) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        let mut hash = ExchangeHash::new(self);
        hash.add(bytes);
        hash.finish()
    }
}

/// A hash to which values are added in the form that ssh messages have.
#[derive(Debug, Clone)]
pub(super) enum ExchangeHash {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl ExchangeHash {
    pub(super) fn new(kind: HashKind) -> Self {
        match kind {
            HashKind::Sha1 => Self::Sha1(Sha1::new()),
            HashKind::Sha256 => Self::Sha256(Sha256::new()),
            HashKind::Sha384 => Self::Sha384(Sha384::new()),
            HashKind::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Adds bytes as they are.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Adds the length of the bytes and the bytes.
    pub(super) fn add_string(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("a message is shorter than 64 KiB");
        self.add(&length.to_be_bytes());
        self.add(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(hash) => hash.finalize().to_vec(),
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha384(hash) => hash.finalize().to_vec(),
            Self::Sha512(hash) => hash.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes of "abc" in FIPS 180-4's examples.
    #[test]
    fn kinds_are_the_functions_that_they_name() {
        for (kind, start) in [
            (HashKind::Sha1, [0xa9, 0x99, 0x3e, 0x36]),
            (HashKind::Sha256, [0xba, 0x78, 0x16, 0xbf]),
            (HashKind::Sha384, [0xcb, 0x00, 0x75, 0x3f]),
            (HashKind::Sha512, [0xdd, 0xaf, 0x35, 0xa1]),
        ] {
            assert_eq!(kind.hash(b"abc")[..4], start, "{kind:?}");
        }
    }
}
