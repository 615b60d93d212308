//! The checksum of journals.

use twox_hash::XxHash3_128;

/// Returns the 128-bit XXH3 hash in hexadecimal digits, with which a journal detects damage.
///
/// It detects accidental changes, and does not protect against deliberate ones
/// (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).
pub(super) fn checksum(bytes: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}
