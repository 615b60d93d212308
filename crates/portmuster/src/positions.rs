//! Which positions of a walk are settled: all below a watermark, and a few above it.
//!
//! Targets are numbered in the order in which they are taken. What a run has not settled of what
//! it has taken is bounded, so the set is told by what is *missing* in it.
//!
//! Invariant: memory is bounded by the positions that are missing below the highest one, not by
//! how many are in the set.

use std::collections::{BTreeMap, HashMap, btree_map};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Positions that are kept together.
const CHUNK: u64 = 512;
const WORDS: usize = 8;
/// Positions that may be missing in a set that is read: more than any run leaves unsettled behind.
const MISSING_MAX: u64 = 1 << 23;
/// Positions that a set that is read may span; a run of ten million targets a second lasts 58,000
/// years until then.
const POSITIONS_MAX: u64 = u64::MAX - CHUNK;

/// A bit for each position of a chunk, set where it is in the set.
type Bits = [u64; WORDS];

/// A set of positions that is nearly all of `0..n`.
///
/// It is written as the lengths of its runs: so many that are in it, so many that are missing, and
/// so on; the last is of such that are in it.
///
/// ```
/// let settled = portmuster::Positions::from_runs(&[1000, 1, 20])?;
/// assert!(settled.contains(999) && !settled.contains(1000) && settled.contains(1020));
/// assert_eq!(settled.missing().take(3).collect::<Vec<_>>(), [1000, 1021, 1022]);
/// # Ok::<(), portmuster::PositionsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Vec<u64>", try_from = "Vec<u64>")]
pub struct Positions {
    /// Chunks of which some are missing. A chunk before `end` that is not here is in the set as a
    /// whole.
    chunks: BTreeMap<u64, Bits>,
    /// Chunks from here on have nothing in the set.
    end: u64,
    len: u64,
}

/// Why numbers are not the runs of a set of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PositionsError {
    /// They end with what is missing.
    #[error("the last run of positions is of missing ones")]
    Open,
    /// A run other than the first is empty.
    #[error("a run of positions is empty")]
    Empty,
    /// More are missing than a run leaves unsettled, or there are more positions than can be.
    #[error("more positions are missing than a run leaves behind")]
    TooMany,
}

impl Positions {
    /// No position.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a position; false when it was there.
    pub(crate) fn insert(&mut self, position: u64) -> bool {
        let (chunk, word, bit) = place(position);
        for chunk in self.end..=chunk {
            self.chunks.insert(chunk, [0; WORDS]);
        }
        self.end = self.end.max(chunk + 1);
        let Some(bits) = self.chunks.get_mut(&chunk) else { return false };
        let is_new = bits[word] & bit == 0;
        bits[word] |= bit;
        if bits[word] == u64::MAX && *bits == [u64::MAX; WORDS] {
            self.chunks.remove(&chunk);
        }
        self.len += u64::from(is_new);
        is_new
    }

    /// Whether the position is in the set.
    #[must_use]
    pub fn contains(&self, position: u64) -> bool {
        let (chunk, word, bit) = place(position);
        chunk < self.end && self.chunks.get(&chunk).is_none_or(|bits| bits[word] & bit != 0)
    }

    /// How many positions there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// One more than the highest of them; 0 where there is none.
    #[must_use]
    pub fn end(&self) -> u128 {
        self.runs().into_iter().map(u128::from).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The positions that are not in the set, in ascending order, without end.
    #[must_use]
    pub fn missing(&self) -> Missing {
        Missing { chunks: self.chunks.clone().into_iter(), chunk: None, next: self.end * CHUNK }
    }

    /// The lengths of its runs: present, missing, present … present.
    #[must_use]
    pub fn runs(&self) -> Vec<u64> {
        let mut runs = Vec::new();
        // From here on all were in the set, up to the missing one at hand.
        let mut from = 0;
        let mut present = 0;
        for position in self.missing() {
            if present == self.len {
                break;
            }
            if position > from || runs.is_empty() {
                runs.extend([position - from, 0]);
                present += position - from;
            }
            if present == self.len {
                runs.pop();
            } else if let Some(missing) = runs.last_mut() {
                *missing += 1;
            }
            from = position + 1;
        }
        runs
    }

    /// The set that has these [runs](Self::runs).
    ///
    /// # Errors
    /// No set has.
    pub fn from_runs(runs: &[u64]) -> Result<Self, PositionsError> {
        if !runs.is_empty() && runs.len().is_multiple_of(2) {
            return Err(PositionsError::Open);
        }
        if runs.iter().skip(1).any(|&run| run == 0) || runs == [0] {
            return Err(PositionsError::Empty);
        }
        let checked = |sum: u64, &run: &u64| sum.checked_add(run);
        let missing = runs.iter().skip(1).step_by(2).try_fold(0, checked);
        let end = runs.iter().try_fold(0, checked);
        let (Some(missing @ ..=MISSING_MAX), Some(end @ ..=POSITIONS_MAX)) = (missing, end) else {
            return Err(PositionsError::TooMany);
        };
        let mut set = Self { end: end.div_ceil(CHUNK), len: end - missing, ..Self::default() };
        let mut at = 0;
        for (place, &run) in runs.iter().enumerate() {
            if place % 2 == 1 {
                (at..at + run).for_each(|position| set.remove(position));
            }
            at += run;
        }
        (end..set.end * CHUNK).for_each(|position| set.remove(position));
        Ok(set)
    }

    /// Takes a position of a known chunk out; it does not count.
    fn remove(&mut self, position: u64) {
        let (chunk, word, bit) = place(position);
        self.chunks.entry(chunk).or_insert([u64::MAX; WORDS])[word] &= !bit;
    }
}

/// Chunk, word in it, and bit in that.
fn place(position: u64) -> (u64, usize, u64) {
    let within = position % CHUNK;
    let word = usize::try_from(within / 64).expect("a chunk has few words");
    (position / CHUNK, word, 1 << (within % 64))
}

impl From<Positions> for Vec<u64> {
    fn from(positions: Positions) -> Self {
        positions.runs()
    }
}

impl TryFrom<Vec<u64>> for Positions {
    type Error = PositionsError;

    fn try_from(runs: Vec<u64>) -> Result<Self, PositionsError> {
        Self::from_runs(&runs)
    }
}

/// The positions that are not in a set, in ascending order, without end.
#[derive(Debug)]
pub struct Missing {
    chunks: btree_map::IntoIter<u64, Bits>,
    /// The chunk at hand, from its first position on; what was given counts as there.
    chunk: Option<(u64, Bits)>,
    /// Behind the last chunk.
    next: u64,
}

impl Iterator for Missing {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some((first, bits)) = &mut self.chunk {
                for (word, at) in bits.iter_mut().zip((*first..).step_by(64)) {
                    if *word != u64::MAX {
                        let bit = word.trailing_ones();
                        *word |= 1 << bit;
                        return Some(at + u64::from(bit));
                    }
                }
            }
            self.chunk = self.chunks.next().map(|(chunk, bits)| (chunk * CHUNK, bits));
            if self.chunk.is_none() {
                let position = self.next;
                self.next += 1;
                return Some(position);
            }
        }
    }
}

/// A position that does not have one outcome: it is excluded, or each of its addresses is a target of
/// its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutcomeCount {
    pub(crate) position: u64,
    /// How many outcomes it has.
    pub(crate) outcomes: u32,
}

/// The positions of which everything was handed out.
#[derive(Debug, Default)]
pub(crate) struct SettledTracker {
    settled: Positions,
    /// The outcomes that positions still have, where that is not one. Only such are here as have
    /// begun and are not settled.
    odd: HashMap<u64, u32>,
}

impl SettledTracker {
    pub(crate) fn new(settled: Positions) -> Self {
        Self { settled, odd: HashMap::new() }
    }

    pub(crate) fn settled(&self) -> &Positions {
        &self.settled
    }

    /// Takes how many outcomes a position has, once, before it has any.
    pub(crate) fn odd(&mut self, OutcomeCount { position, outcomes }: OutcomeCount) {
        if outcomes == 0 {
            self.settled.insert(position);
        } else {
            self.odd.insert(position, outcomes);
        }
    }

    /// An outcome of the position was.
    pub(crate) fn handed_out(&mut self, position: u64) {
        if !self.odd.is_empty()
            && let Some(outcomes) = self.odd.get_mut(&position)
        {
            *outcomes -= 1;
            if *outcomes > 0 {
                return;
            }
            self.odd.remove(&position);
        }
        self.settled.insert(position);
    }
}

/// Targets of a walk whose positions are not settled yet.
pub(crate) struct Unsettled<I> {
    targets: I,
    missing: Missing,
    /// Of the next target that the iterator has.
    at: u64,
}

impl<I> Unsettled<I> {
    pub(crate) fn new(targets: I, settled: &Positions) -> Self {
        Self { targets, missing: settled.missing(), at: 0 }
    }
}

impl<I: Iterator> Iterator for Unsettled<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let position = self.missing.next()?;
        let passed_over = position - self.at;
        self.at = position + 1;
        self.targets.nth(usize::try_from(passed_over).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn set(positions: impl IntoIterator<Item = u64>) -> Positions {
        let mut set = Positions::new();
        for position in positions {
            set.insert(position);
        }
        set
    }

    #[test]
    fn what_is_whole_takes_no_memory() {
        let set = set(0..1_000_000);
        assert_eq!((set.len(), set.chunks.len()), (1_000_000, 1));
        assert_eq!(set.runs(), [1_000_000]);
        assert_eq!(set.missing().next(), Some(1_000_000));
    }

    #[test]
    fn one_that_is_late_takes_the_memory_of_its_chunk() {
        let set = set((0..1_000_000).filter(|&position| position != 77));
        assert_eq!(set.chunks.len(), 2);
        assert_eq!(set.runs(), [77, 1, 999_922]);
    }

    #[test]
    fn a_run_of_billions_is_read_at_once() {
        let set = Positions::from_runs(&[u64::MAX / 2, 3, 5]).expect("runs");
        assert_eq!(set.missing().take(4).last(), Some(u64::MAX / 2 + 8));
        assert!(set.chunks.len() <= 2);
    }

    #[test]
    fn a_walk_goes_on_with_what_is_left() {
        let settled = set([0, 1, 3, 600]);
        let left: Vec<_> = Unsettled::new(0..700_u64, &settled).collect();
        let expected: Vec<_> =
            (0..700).filter(|position| ![0, 1, 3, 600].contains(position)).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_no_set_has_is_refused() {
        for (runs, error) in [
            (&[3, 1][..], PositionsError::Open),
            (&[0], PositionsError::Empty),
            (&[3, 0, 1], PositionsError::Empty),
            (&[3, 1, 0], PositionsError::Empty),
            (&[3, MISSING_MAX + 1, 1], PositionsError::TooMany),
            (&[u64::MAX], PositionsError::TooMany),
            (&[u64::MAX, 1, 1], PositionsError::TooMany),
        ] {
            assert_eq!(Positions::from_runs(runs), Err(error), "{runs:?}");
        }
        assert_eq!(Positions::from_runs(&[]), Ok(Positions::new()));
    }

    #[test]
    fn a_position_is_settled_with_the_last_of_its_outcomes() {
        let mut settling = SettledTracker::default();
        settling.odd(OutcomeCount { position: 5, outcomes: 3 });
        settling.odd(OutcomeCount { position: 1, outcomes: 0 });
        assert_eq!(settling.settled().runs(), [0, 1, 1], "what is excluded has no outcome");
        settling.handed_out(5);
        settling.handed_out(0);
        settling.handed_out(5);
        assert!(!settling.settled().contains(5) && settling.settled().contains(0));
        settling.handed_out(5);
        assert!(settling.settled().contains(5) && settling.odd.is_empty());
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            positions in prop::collection::vec(0_u64..3000, 0..400),
            dense in 0_u64..2600,
        ) {
            let mut model: HashSet<u64> = HashSet::new();
            let mut set = Positions::new();
            for position in positions.into_iter().chain(0..dense) {
                prop_assert_eq!(set.insert(position), model.insert(position));
            }
            prop_assert_eq!(set.len(), model.len() as u64);
            let end = model.iter().max().map_or(0, |&highest| u128::from(highest) + 1);
            prop_assert_eq!(set.end(), end);
            for position in 0..4000 {
                prop_assert_eq!(set.contains(position), model.contains(&position));
            }
            let missing: Vec<_> = set.missing().take_while(|&position| position < 4000).collect();
            let expected: Vec<_> =
                (0..4000).filter(|position| !model.contains(position)).collect();
            prop_assert_eq!(missing, expected);
            let runs = set.runs();
            prop_assert_eq!(runs.iter().step_by(2).sum::<u64>(), set.len());
            prop_assert_eq!(Positions::from_runs(&runs), Ok(set));
        }
    }
}
