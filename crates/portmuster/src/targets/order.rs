//! The order in which positions are taken: as they stand, or shuffled by a seed.
//!
//! A shuffle is a small cipher over `0..len`: a generalized Feistel network (Black and Rogaway,
//! "Ciphers with Arbitrary Finite Domains", 2002). No table is kept, so a network of any size is
//! shuffled in the memory of one address, and the same seed gives the same order on every machine.

/// The version of the order in which a [`TargetSet`](super::TargetSet) walks its targets.
///
/// A position that was written down, as in a journal, names a target only under the version that it
/// was written with. Raise it whenever the same targets, order, seed and shard come to be walked
/// otherwise: by the shuffle here, by the way in which sets lay out and number their blocks, or by
/// the [fingerprint](super::TargetSet::fingerprint) that seeds the shuffle.
pub const WALK: u32 = 1;

/// Rounds of the network. Four make a good permutation; two more cost a few nanoseconds.
const ROUNDS: usize = 6;

/// A permutation of `0..len`.
#[derive(Debug, Clone)]
pub(crate) struct Shuffle {
    len: u128,
    /// The domain is laid out as `rows` × `columns`, which is `len` or a little more.
    rows: u64,
    columns: u64,
    keys: [u64; ROUNDS],
}

impl Shuffle {
    /// The permutation of `0..len` that belongs to the seed.
    ///
    /// # Panics
    /// `len` is beyond 2^126, where rows and columns would not fit.
    pub(crate) fn new(len: u128, seed: u64) -> Self {
        let rows = len.isqrt().max(1);
        let columns = len.div_ceil(rows).max(1);
        let fits = |side: u128| u64::try_from(side).expect("it is at most 2^63");
        let mut state = seed;
        let keys = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix(state)
        });
        Self { len, rows: fits(rows), columns: fits(columns), keys }
    }

    /// What stands at this position; `position` is below `len`.
    pub(crate) fn at(&self, position: u128) -> u128 {
        // Those few that fall outside are sent on until they fall inside: still a permutation.
        let mut place = self.once(position);
        while place >= self.len {
            place = self.once(place);
        }
        place
    }

    fn once(&self, place: u128) -> u128 {
        let rows = u128::from(self.rows);
        let half = |side: u128| u64::try_from(side).expect("a place is below rows × columns");
        let (mut left, mut right) = (half(place % rows), half(place / rows));
        for (round, key) in self.keys.iter().enumerate() {
            let side = if round % 2 == 0 { self.rows } else { self.columns };
            (left, right) = (right, add(left, mix(right ^ key) % side, side));
        }
        // After an even number of rounds the halves are where they were.
        u128::from(left) + rows * u128::from(right)
    }
}

/// The sum modulo `side`; both are below it, and it is at most 2^63.
fn add(left: u64, right: u64, side: u64) -> u64 {
    let sum = left + right;
    if sum >= side { sum - side } else { sum }
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014): every bit of the input turns half of the output's.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        fingerprint::Fingerprint,
        targets::{Excludes, Order, Ports, Shard, TargetSet},
    };

    /// All that has a say in the order: networks, names, ports, labels, duplicates, excludes and what
    /// no host can have.
    fn walked(order: Order, part: u64) -> u64 {
        let mut excludes = Excludes::new();
        for item in ["10.0.1.0/28", "db.example:22", "2001:db8::4"] {
            excludes.add(item).expect(item);
        }
        let mut set = TargetSet::new(&excludes);
        for (item, label) in [
            ("10.0.0.0/22", None),
            ("db.example", Some("data")),
            ("2001:db8::/122", None),
            ("10.0.2.7:22,2222-2230", Some("seven")),
            ("192.168.1-3.1-9:telnet", None),
            ("10.0.3.255-10.0.4.3", None),
            ("mail.example:25", None),
            ("126.255.255.250-127.0.0.5:1-2", None),
        ] {
            set.add(item, label, &Ports::ssh_and_telnet()).expect(item);
        }
        let mut print = Fingerprint::default();
        let shard = Shard::new(part, 2).expect("a part");
        for target in set.into_targets(order, shard) {
            print.add(target.to_string().as_bytes()).add(b"\n");
        }
        print.sum()
    }

    /// Journals of runs that go on name positions of this walk. Where this fails on purpose, raise
    /// [`WALK`] and write the new numbers beside it.
    #[test]
    fn walk_of_this_version_is_the_one_that_journals_have() {
        let walks = [
            walked(Order::Given, 1),
            walked(Order::Shuffled { seed: None }, 1),
            walked(Order::Shuffled { seed: None }, 2),
            walked(Order::Shuffled { seed: Some(7) }, 1),
        ];
        let known = [
            7_689_882_758_499_823_463,
            4_882_968_619_078_427_423,
            12_472_362_953_776_675_935,
            10_386_799_684_814_060_206,
        ];
        assert_eq!((WALK, walks), (1, known));
    }

    #[test]
    fn the_same_seed_gives_the_same_order_on_every_machine() {
        let shuffle = Shuffle::new(1000, 42);
        let first: Vec<_> = (0..8).map(|position| shuffle.at(position)).collect();
        assert_eq!(first, [997, 660, 669, 797, 678, 882, 424, 263]);
        assert_eq!(Shuffle::new(1 << 40, 7).at(123_456_789), 268_250_172_350);
    }

    #[test]
    fn small_lengths_are_permuted_whole() {
        for len in [1_u128, 2, 3, 4, 5, 7, 97, 1000, 1024, 65_537] {
            let shuffle = Shuffle::new(len, 99);
            let seen: HashSet<_> = (0..len).map(|position| shuffle.at(position)).collect();
            assert_eq!(seen.len() as u128, len);
            assert!(seen.iter().all(|&place| place < len));
        }
    }

    #[test]
    fn neighbours_are_sent_apart() {
        let len = 1 << 16;
        let shuffle = Shuffle::new(len, 5);
        let near = (1..len)
            .filter(|&position| shuffle.at(position).abs_diff(shuffle.at(position - 1)) < 256);
        // By chance it is one in 128.
        assert!(near.count() < 1024);
    }

    proptest! {
        /// Lengths too large to walk: where a place came from is unique because the steps can be
        /// undone; here a sample must at least not collide.
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
            let seen: HashSet<_> = positions.map(|position| shuffle.at(position)).collect();
            prop_assert_eq!(seen.len(), 500);
            prop_assert!(seen.iter().all(|&place| place < len));
        }
    }
}
