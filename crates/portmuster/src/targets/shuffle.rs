//! A pseudorandom permutation that needs no table.
//!
//! It is a small cipher over `0..len`: a generalized Feistel network (Black and Rogaway, "Ciphers
//! with Arbitrary Finite Domains", 2002). Its memory does not depend on `len`, and the same seed
//! gives the same permutation on every machine.

/// Rounds of the Feistel network. Four make a good permutation; two more cost a few nanoseconds.
const ROUNDS: usize = 6;

/// A permutation of `0..len`, determined by a seed.
#[derive(Debug, Clone)]
pub(crate) struct Shuffle {
    len: u128,
    /// Number of rows of the cipher's domain. The domain has `rows` × `columns` elements, `len` or
    /// slightly more; a result of `len` or more is encrypted again.
    rows: u64,
    /// Number of columns of the domain.
    columns: u64,
    keys: [u64; ROUNDS],
}

impl Shuffle {
    /// Creates the permutation of `0..len` for a seed.
    ///
    /// # Panics
    /// `len` exceeds 2^126, so that `rows` and `columns` would exceed 2^63.
    pub(crate) fn new(len: u128, seed: u64) -> Self {
        let rows = len.isqrt().max(1);
        let columns = len.div_ceil(rows).max(1);
        let side = |length: u128| u64::try_from(length).expect("a side is at most 2^63");
        let mut state = seed;
        let keys = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix(state)
        });
        Self { len, rows: side(rows), columns: side(columns), keys }
    }

    /// Maps a position, which must be below `len`, to its image.
    pub(crate) fn get(&self, position: u128) -> u128 {
        // Cycle walking: an image outside of `0..len` is encrypted again until it falls inside,
        // which keeps the mapping a permutation.
        let mut image = self.encrypt(position);
        while image >= self.len {
            image = self.encrypt(image);
        }
        image
    }

    /// Maps a value below `rows` × `columns` to another one.
    fn encrypt(&self, value: u128) -> u128 {
        let rows = u128::from(self.rows);
        // Division of 128 bits takes several times as long as one of 64.
        let (mut left, mut right) = if let Ok(value) = u64::try_from(value) {
            (value % self.rows, value / self.rows)
        } else {
            let half = |side| u64::try_from(side).expect("the value is below rows × columns");
            (half(value % rows), half(value / rows))
        };
        for (round, key) in self.keys.iter().enumerate() {
            let side = if round % 2 == 0 { self.rows } else { self.columns };
            (left, right) = (right, add(left, mix(right ^ key) % side, side));
        }
        // After an even number of rounds each half is back on its own side.
        u128::from(left) + rows * u128::from(right)
    }
}

/// Returns the sum modulo `side`. Both terms must be below `side`, which is at most 2^63.
fn add(left: u64, right: u64, side: u64) -> u64 {
    let sum = left + right;
    if sum >= side { sum - side } else { sum }
}

/// Mixes the bits of a value with the finalizer of `SplitMix64` (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014): changing one input bit changes half of the
/// output bits on average.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_order_on_every_machine() {
        let shuffle = Shuffle::new(1000, 42);
        let first: Vec<_> = (0..8).map(|position| shuffle.get(position)).collect();
        assert_eq!(first, [997, 660, 669, 797, 678, 882, 424, 263]);
        assert_eq!(Shuffle::new(1 << 40, 7).get(123_456_789), 268_250_172_350);
    }

    #[test]
    fn small_lengths_are_permuted() {
        for len in [1_u128, 2, 3, 4, 5, 7, 97, 1000, 1024, 65_537] {
            let shuffle = Shuffle::new(len, 99);
            let seen: HashSet<_> = (0..len).map(|position| shuffle.get(position)).collect();
            assert_eq!(seen.len() as u128, len);
            assert!(seen.iter().all(|&image| image < len));
        }
    }

    #[test]
    fn neighbours_are_separated() {
        let len = 1 << 16;
        let shuffle = Shuffle::new(len, 5);
        let near = (1..len)
            .filter(|&position| shuffle.get(position).abs_diff(shuffle.get(position - 1)) < 256);
        // By chance it is one in 128.
        assert!(near.count() < 1024);
    }

    proptest! {
        /// These lengths are too large to test every position. Encryption is reversible and thus
        /// collision-free; the test checks a sample.
        #[test]
        fn large_lengths_do_not_collide(
            len in prop::sample::select(vec![
                (1_u128 << 32) - 5, 1 << 32, 1 << 40, (1 << 61) - 1, 1 << 64, (1 << 100) + 3, 1 << 126,
            ]),
            seed: u64,
            start: u64,
        ) {
            let shuffle = Shuffle::new(len, seed);
            let start = u128::from(start) % len;
            let positions = (0..500).map(|step| (start + step) % len);
            let seen: HashSet<_> = positions.map(|position| shuffle.get(position)).collect();
            prop_assert_eq!(seen.len(), 500);
            prop_assert!(seen.iter().all(|&image| image < len));
        }
    }
}
