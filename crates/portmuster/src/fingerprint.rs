//! A small hash whose values are the same on every machine and in every version.

/// An incremental 64-bit FNV-1a hash (draft-eastlake-fnv).
///
/// Its values are the same on every machine and in every version, so they may be stored. Two texts
/// of the same length that differ in one byte always have different hashes. It detects accidental
/// changes; it does not resist deliberate collisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Fingerprint {
    /// Returns the hash of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> u64 {
        Self::default().add(bytes).sum()
    }

    /// Appends `bytes` to the hashed text. How the text is split between calls does not matter.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self
    }

    /// Returns the hash of all bytes added so far.
    pub(crate) fn sum(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of draft-eastlake-fnv, appendix C.
    #[test]
    fn hashes_match_the_test_vectors_of_the_draft() {
        assert_eq!(Fingerprint::of(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(Fingerprint::of(b"a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(Fingerprint::default().add(b"foo").add(b"bar").sum(), 0x8594_4171_F739_67E8);
    }
}
