//! A small hash that is the same everywhere.

/// FNV-1a of 64 bits (draft-eastlake-fnv): small, and the same on every machine and in every
/// version. It tells what differs by mistake apart, and any two texts of one length that differ in
/// one byte; it is no defence against people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Fingerprint {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u64 {
        Self::default().add(bytes).sum()
    }

    /// Takes more bytes. Where one part ends and the next begins makes no difference.
    pub fn add(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        self
    }

    /// The number so far.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of the draft, appendix C.
    #[test]
    fn it_is_fnv_1a() {
        assert_eq!(Fingerprint::of(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(Fingerprint::of(b"a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(Fingerprint::default().add(b"foo").add(b"bar").sum(), 0x8594_4171_F739_67E8);
    }
}
