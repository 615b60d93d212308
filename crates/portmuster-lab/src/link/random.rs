//! Random numbers that depend on the seed and on what they are for, and on nothing else.

/// Returns a number that looks random, from the seed and the words that name its use.
///
/// The steps are those of `splitmix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014), once per word.
pub(crate) fn draw(seed: u64, words: &[u64]) -> u64 {
    words.iter().fold(mix(seed), |state, word| mix(state ^ word))
}

fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Converts a number from [`draw`] to one from 0 to less than 1.
#[expect(clippy::cast_precision_loss, reason = "32 bits are exact in f64")]
pub(crate) fn unit(number: u64) -> f64 {
    (number >> 32) as f64 / (1_u64 << 32) as f64
}
