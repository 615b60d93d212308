//! Records which targets of a run are settled, as a compact set of their positions.
//!
//! A target's position is its number in the order in which the run takes targets. A run has a
//! bounded number of targets that it has taken and not settled, so the set stores the positions
//! that are *missing* below its highest one.
//!
//! Invariant: memory is bounded by the number of missing positions below the highest one, not by
//! the size of the set.

use std::collections::{BTreeMap, HashMap, btree_map};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Positions in a chunk.
const CHUNK: u64 = 512;
/// 64-bit words in a chunk.
const WORDS: usize = 8;
/// The maximum number of missing positions that [`Positions::from_runs`] accepts: more than any run
/// leaves unsettled.
const MISSING_MAX: u64 = 1 << 23;
/// The highest end that [`Positions::from_runs`] accepts. A run that settles ten million targets a
/// second takes 58,000 years to reach it.
const POSITIONS_MAX: u64 = u64::MAX - CHUNK;

/// One bit for each position of a chunk: 1 if the position is in the set.
type Bits = [u64; WORDS];

/// The positions of the targets of a run that are settled, for a later run that skips them.
///
/// A target's [position](crate::Outcome::position) is its number in the order in which the run takes
/// targets, from 0. [`Outcomes::settled`](crate::Outcomes::settled) returns the set, and
/// [`Checker::resuming`](crate::Checker::resuming) takes it. A program that stores outcomes itself can
/// also collect their positions:
///
/// ```
/// use portmuster::{Checker, Config, Positions};
///
/// let stored = [0, 1, 2, 5];
/// let settled: Positions = stored.into_iter().collect();
/// assert!(settled.contains(1) && !settled.contains(3));
///
/// let checker = Checker::new(Config::default()).resuming(settled);
/// let left = checker.check((1..=7_u16).map(|port| ("127.0.0.1", port)))?;
/// assert_eq!(left.count(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It takes about 100 bytes for each block of 512 positions, below the highest one, of which one or more
/// are missing. It is serialized as the lengths of its alternating runs: first of positions in the set,
/// then of missing ones, and so on. The last run is of positions in the set. A set with more than 4,096
/// runs is serialized as the blocks of which positions are missing, in base64.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "Encoded", try_from = "Encoded")]
pub struct Positions {
    /// The chunks below `end` with a missing position, by number. Any other chunk below `end` is in
    /// the set as a whole.
    chunks: BTreeMap<u64, Bits>,
    /// The number of the first chunk from which on no position is in the set.
    end: u64,
    len: u64,
}

/// A set as a file contains it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Encoded {
    /// The lengths of its runs: present, missing, present … present.
    Runs(Vec<u64>),
    /// The number of chunks up to its highest position, and those with missing positions: the number
    /// of each and its words, in little-endian order and base64.
    Chunks { chunks: u64, bits: String },
}

/// The most runs that are serialized as such: their text then takes about as much as that of the chunks.
const RUNS_MAX: usize = 4096;
/// The encoded bytes of a chunk.
const CHUNK_BYTES: usize = 8 + 8 * WORDS;

/// Why numbers are not the run lengths of a set of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum PositionsError {
    /// The last run is of missing positions.
    #[error("the last run of positions is one of missing positions")]
    EndsWithMissing,
    /// A run other than the first has length 0.
    #[error("a run of positions is empty")]
    EmptyRun,
    /// Chunks are not in order, have no missing position, or are not encoded as such.
    #[error("the chunks of positions are damaged")]
    DamagedChunks,
    /// More positions are missing than a run can leave unsettled, or the positions exceed `u64`.
    #[error("there are too many positions, or too many missing ones")]
    TooMany,
}

impl Positions {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a position. Returns false if the set already contained it.
    pub(crate) fn insert(&mut self, position: u64) -> bool {
        let (chunk, word, bit) = locate(position);
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

    /// Returns whether the set contains the position.
    #[must_use]
    pub fn contains(&self, position: u64) -> bool {
        let (chunk, word, bit) = locate(position);
        chunk < self.end && self.chunks.get(&chunk).is_none_or(|bits| bits[word] & bit != 0)
    }

    /// Returns the number of positions in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns one more than the highest position in the set; 0 if the set is empty.
    pub(crate) fn end(&self) -> u128 {
        self.runs().into_iter().map(u128::from).sum()
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the positions of the set, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let mut missing = self.missing().peekable();
        let end = u64::try_from(self.end()).unwrap_or(u64::MAX);
        (0..end).filter(move |position| missing.next_if_eq(position).is_none())
    }

    /// Returns an endless iterator over the positions that are not in the set, in ascending order.
    pub(crate) fn missing(&self) -> MissingPositions {
        MissingPositions {
            chunks: self.chunks.clone().into_iter(),
            chunk: None,
            next: self.end * CHUNK,
        }
    }

    /// Returns the run lengths of the set: present, missing, present … present.
    pub(crate) fn runs(&self) -> Vec<u64> {
        let mut runs = Vec::new();
        // The position after the latest missing one.
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

    /// Creates the set that has these [run lengths](Self::runs).
    ///
    /// # Errors
    /// No set has these run lengths, or it exceeds the limits that [`PositionsError`] names.
    pub(crate) fn from_runs(runs: &[u64]) -> Result<Self, PositionsError> {
        if !runs.is_empty() && runs.len().is_multiple_of(2) {
            return Err(PositionsError::EndsWithMissing);
        }
        if runs.iter().skip(1).any(|&run| run == 0) || runs == [0] {
            return Err(PositionsError::EmptyRun);
        }
        let checked = |sum: u64, &run: &u64| sum.checked_add(run);
        let missing = runs.iter().skip(1).step_by(2).try_fold(0, checked);
        let end = runs.iter().try_fold(0, checked);
        let (Some(missing @ ..=MISSING_MAX), Some(end @ ..=POSITIONS_MAX)) = (missing, end) else {
            return Err(PositionsError::TooMany);
        };
        let mut set = Self { end: end.div_ceil(CHUNK), len: end - missing, ..Self::default() };
        let mut start = 0;
        for (index, &run) in runs.iter().enumerate() {
            if index % 2 == 1 {
                (start..start + run).for_each(|position| set.remove(position));
            }
            start += run;
        }
        (end..set.end * CHUNK).for_each(|position| set.remove(position));
        Ok(set)
    }

    /// Creates the set with so many chunks, of which these have missing positions.
    ///
    /// # Errors
    /// The chunks are damaged, or the set exceeds the limits that [`PositionsError`] names.
    fn from_chunks(end: u64, bits: &str) -> Result<Self, PositionsError> {
        let damaged = PositionsError::DamagedChunks;
        let bytes = STANDARD_NO_PAD.decode(bits).map_err(|_| damaged)?;
        let (encoded, rest) = bytes.as_chunks::<CHUNK_BYTES>();
        if !rest.is_empty() || end > POSITIONS_MAX / CHUNK {
            return Err(damaged);
        }
        let mut set = Self { end, len: end * CHUNK, ..Self::default() };
        for encoded in encoded {
            let (words, _) = encoded.as_chunks::<8>();
            let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
            let chunk = words.next().ok_or(damaged)?;
            let bits: Bits = std::array::from_fn(|_| words.next().unwrap_or_default());
            let present: u32 = bits.iter().map(|word| word.count_ones()).sum();
            let is_after = set.chunks.last_key_value().is_none_or(|(&last, _)| last < chunk);
            let is_last_empty = chunk + 1 == end && present == 0;
            if !is_after || chunk >= end || u64::from(present) == CHUNK || is_last_empty {
                return Err(damaged);
            }
            set.len -= CHUNK - u64::from(present);
            set.chunks.insert(chunk, bits);
        }
        if end * CHUNK - set.len > MISSING_MAX { Err(PositionsError::TooMany) } else { Ok(set) }
    }

    /// Removes a position below the set's end. Leaves `len` unchanged.
    fn remove(&mut self, position: u64) {
        let (chunk, word, bit) = locate(position);
        self.chunks.entry(chunk).or_insert([u64::MAX; WORDS])[word] &= !bit;
    }
}

/// Returns the chunk of a position, the word in the chunk, and the bit mask in the word.
fn locate(position: u64) -> (u64, usize, u64) {
    let within = position % CHUNK;
    let word = usize::try_from(within / 64).expect("a chunk has few words");
    (position / CHUNK, word, 1 << (within % 64))
}

impl From<Positions> for Encoded {
    fn from(positions: Positions) -> Self {
        // Each chunk with missing positions has at least one run.
        if positions.chunks.len() <= RUNS_MAX {
            let runs = positions.runs();
            if runs.len() <= RUNS_MAX {
                return Self::Runs(runs);
            }
        }
        let mut bytes = Vec::with_capacity(positions.chunks.len() * CHUNK_BYTES);
        for (chunk, bits) in &positions.chunks {
            bytes.extend(chunk.to_le_bytes());
            bytes.extend(bits.iter().flat_map(|word| word.to_le_bytes()));
        }
        Self::Chunks { chunks: positions.end, bits: STANDARD_NO_PAD.encode(bytes) }
    }
}

impl TryFrom<Encoded> for Positions {
    type Error = PositionsError;

    fn try_from(encoded: Encoded) -> Result<Self, PositionsError> {
        match encoded {
            Encoded::Runs(runs) => Self::from_runs(&runs),
            Encoded::Chunks { chunks, bits } => Self::from_chunks(chunks, &bits),
        }
    }
}

impl Extend<u64> for Positions {
    fn extend<T: IntoIterator<Item = u64>>(&mut self, positions: T) {
        for position in positions {
            self.insert(position);
        }
    }
}

impl FromIterator<u64> for Positions {
    fn from_iter<T: IntoIterator<Item = u64>>(positions: T) -> Self {
        let mut set = Self::new();
        set.extend(positions);
        set
    }
}

/// An endless iterator over the positions that a set does not contain, in ascending order.
///
/// [`Positions::missing`] creates it.
#[derive(Debug)]
pub(crate) struct MissingPositions {
    chunks: btree_map::IntoIter<u64, Bits>,
    /// The current chunk's first position and bits. Positions already returned have their bit set.
    chunk: Option<(u64, Bits)>,
    /// The next position to return once all chunks are done.
    next: u64,
}

impl Iterator for MissingPositions {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some((first, bits)) = &mut self.chunk {
                for (word, start) in bits.iter_mut().zip((*first..).step_by(64)) {
                    if *word != u64::MAX {
                        let bit = word.trailing_ones();
                        *word |= 1 << bit;
                        return Some(start + u64::from(bit));
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

/// The number of outcomes of a position that does not have exactly one.
///
/// A position has none if it is excluded, and several if each address of its name is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutcomeCount {
    pub(crate) position: u64,
    /// How many outcomes the position has in total.
    pub(crate) outcomes: u32,
}

/// Tracks which positions are settled: all their outcomes were given to the caller.
#[derive(Debug, Default)]
pub(crate) struct SettledTracker {
    settled: Positions,
    /// The outcomes still to come, for positions with several outcomes that are not settled yet.
    outstanding: HashMap<u64, u32>,
}

impl SettledTracker {
    pub(crate) fn new(settled: Positions) -> Self {
        Self { settled, outstanding: HashMap::new() }
    }

    pub(crate) fn settled(&self) -> &Positions {
        &self.settled
    }

    /// Sets how many outcomes a position has. Call it once, before the position's first outcome.
    pub(crate) fn set_outcome_count(&mut self, OutcomeCount { position, outcomes }: OutcomeCount) {
        if outcomes == 0 {
            self.settled.insert(position);
        } else {
            self.outstanding.insert(position, outcomes);
        }
    }

    /// Returns whether a position has more outcomes than were given to the caller.
    ///
    /// Only positions of which at least one was given are known.
    pub(crate) fn has_outstanding(&self, position: u64) -> bool {
        !self.outstanding.is_empty() && self.outstanding.contains_key(&position)
    }

    /// Records that one outcome of the position was given to the caller.
    pub(crate) fn record_outcome(&mut self, position: u64) {
        if !self.outstanding.is_empty()
            && let Some(outcomes) = self.outstanding.get_mut(&position)
        {
            *outcomes -= 1;
            if *outcomes > 0 {
                return;
            }
            self.outstanding.remove(&position);
        }
        self.settled.insert(position);
    }
}

/// An iterator over the targets whose positions are not settled yet.
pub(crate) struct Unsettled<I> {
    targets: I,
    missing: MissingPositions,
    /// The position of the next target of `targets`.
    next: u64,
}

impl<I> Unsettled<I> {
    pub(crate) fn new(targets: I, settled: &Positions) -> Self {
        Self { targets, missing: settled.missing(), next: 0 }
    }
}

impl<I: Iterator> Iterator for Unsettled<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let position = self.missing.next()?;
        let skipped = position - self.next;
        self.next = position + 1;
        self.targets.nth(usize::try_from(skipped).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn set(positions: impl IntoIterator<Item = u64>) -> Positions {
        positions.into_iter().collect()
    }

    #[test]
    fn complete_chunks_take_no_memory() {
        let set = set(0..1_000_000);
        assert_eq!((set.len(), set.chunks.len()), (1_000_000, 1));
        assert_eq!(set.runs(), [1_000_000]);
        assert_eq!(set.missing().next(), Some(1_000_000));
    }

    #[test]
    fn one_missing_position_takes_the_memory_of_one_chunk() {
        let set = set((0..1_000_000).filter(|&position| position != 77));
        assert_eq!(set.chunks.len(), 2);
        assert_eq!(set.runs(), [77, 1, 999_922]);
    }

    #[test]
    fn a_run_of_billions_is_read_without_expanding_it() {
        let set = Positions::from_runs(&[u64::MAX / 2, 3, 5]).expect("runs");
        assert_eq!(set.missing().take(4).last(), Some(u64::MAX / 2 + 8));
        assert!(set.chunks.len() <= 2);
    }

    #[test]
    fn unsettled_yields_the_targets_at_missing_positions() {
        let settled = set([0, 1, 3, 600]);
        let unsettled: Vec<_> = Unsettled::new(0..700_u64, &settled).collect();
        let expected: Vec<_> =
            (0..700).filter(|position| ![0, 1, 3, 600].contains(position)).collect();
        assert_eq!(unsettled, expected);
    }

    #[test]
    fn scattered_positions_take_few_bytes() {
        let set = set((0..1 << 20).filter(|position| position % 3 != 1));
        let text = serde_json::to_string(&set).expect("it is representable");
        assert!(text.len() < 200_000, "{}", text.len());
        assert_eq!(serde_json::from_str(&text).ok(), Some(set));
    }

    #[test]
    fn damaged_chunks_are_refused() {
        let encoded = |chunks: &[(u64, u8)]| {
            let bytes = chunks.iter().flat_map(|&(chunk, bits)| {
                chunk.to_le_bytes().into_iter().chain([bits; 8 * WORDS])
            });
            STANDARD_NO_PAD.encode(bytes.collect::<Vec<_>>())
        };
        for (end, bits) in [
            (2, encoded(&[(1, 1), (0, 1)])),
            (2, encoded(&[(0, 1), (0, 1)])),
            (2, encoded(&[(2, 1)])),
            (2, encoded(&[(0, 0xff)])),
            (2, encoded(&[(1, 0)])),
            (2, encoded(&[(0, 1)])[1..].to_owned()),
            (2, "!".to_owned()),
            (u64::MAX, encoded(&[(0, 1)])),
        ] {
            assert!(Positions::from_chunks(end, &bits).is_err(), "{end} {bits}");
        }
        let set = Positions::from_chunks(3, &encoded(&[(1, 1)])).expect("it is sound");
        assert_eq!((set.len(), set.end()), (512 + 64 + 512, 1536));
    }

    #[test]
    fn from_runs_refuses_runs_that_no_set_has() {
        for (runs, error) in [
            (&[3, 1][..], PositionsError::EndsWithMissing),
            (&[0], PositionsError::EmptyRun),
            (&[3, 0, 1], PositionsError::EmptyRun),
            (&[3, 1, 0], PositionsError::EmptyRun),
            (&[3, MISSING_MAX + 1, 1], PositionsError::TooMany),
            (&[u64::MAX], PositionsError::TooMany),
            (&[u64::MAX, 1, 1], PositionsError::TooMany),
        ] {
            assert_eq!(Positions::from_runs(runs), Err(error), "{runs:?}");
        }
        assert_eq!(Positions::from_runs(&[]), Ok(Positions::new()));
    }

    #[test]
    fn a_position_is_settled_by_its_last_outcome() {
        let mut tracker = SettledTracker::default();
        tracker.set_outcome_count(OutcomeCount { position: 5, outcomes: 3 });
        tracker.set_outcome_count(OutcomeCount { position: 1, outcomes: 0 });
        assert_eq!(
            tracker.settled().runs(),
            [0, 1, 1],
            "a position without outcomes is settled at once"
        );
        tracker.record_outcome(5);
        tracker.record_outcome(0);
        tracker.record_outcome(5);
        assert!(!tracker.settled().contains(5) && tracker.settled().contains(0));
        assert!(tracker.has_outstanding(5) && !tracker.has_outstanding(0));
        tracker.record_outcome(5);
        assert!(tracker.settled().contains(5) && tracker.outstanding.is_empty());
    }

    proptest! {
        #[test]
        fn operations_match_those_of_a_hash_set(
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
            let text = serde_json::to_string(&set).expect("it is representable");
            prop_assert_eq!(serde_json::from_str(&text).ok(), Some(set.clone()));
            let runs = set.runs();
            prop_assert_eq!(runs.iter().step_by(2).sum::<u64>(), set.len());
            prop_assert_eq!(Positions::from_runs(&runs), Ok(set));
        }
    }
}
