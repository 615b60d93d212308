//! The order in which a run takes the targets of a set, and the shards of that order.

use std::{fmt, iter::FusedIterator, str::FromStr};

use thiserror::Error;

use super::{set::TargetSet, shuffle::Shuffle, target::Target};

/// The version of the mapping from positions to targets.
///
/// The same targets, [`Order`] and [`Shard`] yield the same sequence in every build with this version. A
/// program that stores [positions](crate::Positions) itself stores the version with them, and resumes
/// only if it is the same; a [journal](crate::journal) does so.
// Raise it whenever the sequence changes. It depends on the shuffle, on how a `TargetSet` lays out and
// numbers its blocks, and on the fingerprint that seeds the shuffle.
pub const WALK_VERSION: u32 = 1;

/// The order in which the targets of a set are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The order in which the targets were added.
    Given,
    /// A shuffled order, which spreads the load over hosts and networks.
    Shuffled {
        /// The same seed gives the same order. `None` uses the set's
        /// [fingerprint](TargetSet::fingerprint), so that shards on different machines agree on
        /// the order.
        seed: Option<u64>,
    },
}

/// One of `of` disjoint parts that together cover a set.
///
/// It contains every position `p` with `p mod of = part - 1`. It is parsed from `M/N`, and displayed so.
///
/// ```
/// use portmuster::targets::Shard;
///
/// let shard: Shard = "2/3".parse()?;
/// assert_eq!(Some(shard), Shard::new(2, 3));
/// assert!("4/3".parse::<Shard>().is_err());
/// # Ok::<(), portmuster::targets::ShardError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    part: u64,
    of: u64,
}

impl Shard {
    /// The whole set as one shard.
    pub const WHOLE: Self = Self { part: 1, of: 1 };

    /// Creates the shard `part` of `of`, counted from 1; `None` unless `1 <= part <= of`.
    #[must_use]
    pub fn new(part: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&part).then_some(Self { part, of })
    }

    /// Returns the number of positions of `0..len` that belong to this shard.
    #[must_use]
    pub fn share(self, len: u128) -> u128 {
        (len.saturating_add(u128::from(self.of - self.part))) / u128::from(self.of)
    }

    /// Returns whether the position belongs to this shard.
    #[must_use]
    pub fn contains(self, position: u64) -> bool {
        position % self.of == self.part - 1
    }
}

/// The error for a text that is not a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected M/N with M from 1 to N, such as 2/3")]
#[non_exhaustive]
pub struct ShardError;

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let numbers = text.split_once('/').and_then(|(part, of)| {
            let (part, of) = (part.parse().ok()?, of.parse().ok()?);
            Self::new(part, of)
        });
        numbers.ok_or(ShardError)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.part, self.of)
    }
}

/// An iterator over the targets of a shard of a [`TargetSet`], in an [`Order`].
///
/// [`TargetSet::into_targets`] creates it.
#[derive(Debug)]
pub struct Targets {
    set: TargetSet,
    /// `None` for [`Order::Given`].
    shuffle: Option<Shuffle>,
    /// The position of the next target.
    position: u128,
    shard: Shard,
}

impl Iterator for Targets {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        let position = self.position;
        if position >= self.set.len() {
            return None;
        }
        self.position = position.saturating_add(self.shard.of.into());
        let index = self.shuffle.as_ref().map_or(position, |shuffle| shuffle.get(position));
        self.set.get(index)
    }

    /// Returns the exact number of targets left, unless it exceeds `usize`.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let positions = self.set.len().saturating_sub(self.position);
        let left = usize::try_from(positions.div_ceil(self.shard.of.into())).ok();
        (left.unwrap_or(usize::MAX), left)
    }

    /// Skips `skip` targets in constant time.
    fn nth(&mut self, skip: usize) -> Option<Target> {
        let distance = (skip as u128).saturating_mul(self.shard.of.into());
        self.position = self.position.saturating_add(distance);
        self.next()
    }
}

impl FusedIterator for Targets {}

impl IntoIterator for TargetSet {
    type Item = Target;
    type IntoIter = Targets;

    /// Iterates over all targets in the default shuffled order, as [`TargetSet::into_targets`] does with
    /// the seed `None` and the shard [`WHOLE`](Shard::WHOLE).
    fn into_iter(self) -> Targets {
        self.into_targets(Order::Shuffled { seed: None }, Shard::WHOLE)
    }
}

impl TargetSet {
    /// Iterates over the targets of a shard in an order.
    ///
    /// A set that [can't be indexed](Self::can_be_indexed) can't be shuffled: its targets come in the
    /// given order.
    #[must_use]
    pub fn into_targets(self, order: Order, shard: Shard) -> Targets {
        let seed = match order {
            Order::Given => None,
            Order::Shuffled { seed } => Some(seed.unwrap_or_else(|| self.fingerprint())),
        };
        let shuffle =
            seed.filter(|_| self.can_be_indexed()).map(|seed| Shuffle::new(self.len(), seed));
        let set = self.without_insertion_state();
        Targets { set, shuffle, position: u128::from(shard.part - 1), shard }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        fingerprint::Fingerprint,
        targets::{excludes::Excludes, ports::Ports},
    };

    fn set(items: &[&str]) -> TargetSet {
        let mut set = TargetSet::default();
        for item in items {
            set.add(item, None, &Ports::ssh_and_telnet()).expect(item);
        }
        set
    }

    /// Hashes a walk over a set with everything that affects the order: networks, names, ports,
    /// labels, duplicates, excludes and reserved networks.
    fn walk_fingerprint(order: Order, part: u64) -> u64 {
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

    /// Journals of unfinished runs contain positions of this walk. If this test fails because of an
    /// intended change, raise [`WALK_VERSION`] and update the numbers.
    #[test]
    fn size_hint_is_the_number_of_targets_left() {
        for of in 1..=5 {
            for part in 1..=of {
                let shard = Shard::new(part, of).expect("it is valid");
                let mut targets =
                    set(&["10.0.0.0/29", "10.1.0.1:22"]).into_targets(Order::Given, shard);
                loop {
                    let (least, most) = targets.size_hint();
                    let count =
                        set(&["10.0.0.0/29", "10.1.0.1:22"]).into_targets(Order::Given, shard);
                    assert_eq!(Some(least), most);
                    assert!(least <= count.count());
                    if targets.next().is_none() {
                        assert_eq!(least, 0);
                        break;
                    }
                    assert_eq!(targets.size_hint().0, least - 1);
                }
            }
        }
    }

    #[test]
    fn the_walk_of_this_version_is_unchanged() {
        let walks = [
            walk_fingerprint(Order::Given, 1),
            walk_fingerprint(Order::Shuffled { seed: None }, 1),
            walk_fingerprint(Order::Shuffled { seed: None }, 2),
            walk_fingerprint(Order::Shuffled { seed: Some(7) }, 1),
        ];
        let known = [
            7_689_882_758_499_823_463,
            4_882_968_619_078_427_423,
            12_472_362_953_776_675_935,
            10_386_799_684_814_060_206,
        ];
        assert_eq!((WALK_VERSION, walks), (1, known));
    }

    #[test]
    fn new_refuses_a_part_out_of_range() {
        for (part, of) in [(0, 3), (4, 3), (1, 0), (0, 0)] {
            assert_eq!(Shard::new(part, of), None);
        }
        assert_eq!(Shard::new(3, 3).map(|shard| shard.share(8)), Some(2));
    }

    #[test]
    fn shards_parse_from_the_text_that_they_display() {
        for (part, of) in [(1, 1), (2, 3), (u64::MAX, u64::MAX)] {
            let shard = Shard::new(part, of).expect("a part");
            assert_eq!(shard.to_string().parse(), Ok(shard));
        }
        for text in ["", "1", "0/3", "4/3", "1/", "/3", "1/3/3", "-1/3", "a/b", " 1/3"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text:?}");
        }
    }

    #[test]
    fn sets_iterate_in_the_shuffled_order_of_a_run() {
        let set = set(&["10.0.0.0/26", "db.example"]);
        let shuffled = set.clone().into_targets(Order::Shuffled { seed: None }, Shard::WHOLE);
        assert!(set.clone().into_iter().eq(shuffled));
        let given = set.clone().into_targets(Order::Given, Shard::WHOLE);
        assert!(!set.into_iter().eq(given));
    }

    #[test]
    fn a_set_that_is_too_large_to_shuffle_comes_in_the_given_order() {
        let set = set(&["4000::/2"]);
        assert!(!set.can_be_indexed());
        let given = set.clone().into_targets(Order::Given, Shard::WHOLE);
        assert!(set.into_iter().take(100).eq(given.take(100)));
    }

    proptest! {
        #[test]
        fn shards_are_disjoint_and_cover(
            hosts in 0_u32..40,
            of in 1_u64..12,
            seed: Option<u64>,
            given: bool,
        ) {
            let item = format!("10.0.0.0-10.0.0.{hosts}");
            let set = set(&[item.as_str()]);
            let order = if given { Order::Given } else { Order::Shuffled { seed } };
            let mut seen = BTreeSet::new();
            for part in 1..=of {
                let shard = Shard::new(part, of).expect("a part");
                let targets: Vec<_> = set.clone().into_targets(order, shard).collect();
                prop_assert_eq!(targets.len() as u128, shard.share(set.len()));
                for target in targets {
                    prop_assert!(seen.insert(target));
                }
            }
            prop_assert_eq!(seen.len() as u128, set.len());
        }

        #[test]
        fn nth_skips_the_targets_that_next_returns(
            steps in prop::collection::vec(0_usize..9, 0..30),
            of in 1_u64..5,
            given: bool,
        ) {
            let set = set(&["10.0.0.0-10.0.0.99:22", "db.example"]);
            let order = if given { Order::Given } else { Order::Shuffled { seed: None } };
            let shard = Shard::new(1, of).expect("a part");
            let mut skipping = set.clone().into_targets(order, shard);
            let mut stepping = set.into_targets(order, shard);
            for step in steps {
                stepping.by_ref().take(step).for_each(drop);
                prop_assert_eq!(skipping.nth(step), stepping.next());
            }
        }
    }
}
