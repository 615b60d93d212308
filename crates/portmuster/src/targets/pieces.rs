//! Ranges of IPv4 addresses that have the same ports and stand apart, as lists of octets make them.

use std::{collections::HashSet, sync::Arc};

use super::region::Range;

/// Ranges of an item that stand apart, fewer of which are blocks of their own.
pub(super) const LEAST: usize = 64;

/// The first address of each range, and how many addresses stand before it.
type Starts = Arc<[(u32, u32)]>;

/// Ascending, disjoint ranges. Cheap to clone; equal ones share their memory when they come from
/// one [`Known`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pieces {
    starts: Starts,
    addresses: u64,
}

/// The lists of ranges that a set has.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(HashSet<Starts>);

impl Known {
    /// The ranges from one address to another each; and how many ranges are new to this.
    pub(super) fn pieces(&mut self, ranges: impl Iterator<Item = (u32, u32)>) -> (Pieces, usize) {
        let mut addresses = 0_u64;
        let starts = ranges.map(|(first, last)| {
            // Fewer than 2^32 addresses stand before another one.
            let before = u32::try_from(addresses).unwrap_or(u32::MAX);
            addresses += u64::from(last - first) + 1;
            (first, before)
        });
        let starts: Vec<_> = starts.collect();
        if let Some(starts) = self.0.get(starts.as_slice()) {
            return (Pieces { starts: Arc::clone(starts), addresses }, 0);
        }
        let starts: Starts = starts.into();
        self.0.insert(Arc::clone(&starts));
        let new = starts.len();
        (Pieces { starts, addresses }, new)
    }
}

impl Pieces {
    /// How many addresses there are.
    pub(super) fn len(&self) -> u128 {
        self.addresses.into()
    }

    /// The address at this place.
    pub(super) fn get(&self, place: u128) -> Option<u32> {
        let place = u64::try_from(place).ok().filter(|&place| place < self.addresses)?;
        let behind = self.starts.partition_point(|&(_, before)| u64::from(before) <= place);
        let (first, before) = self.starts[behind.checked_sub(1)?];
        first.checked_add(u32::try_from(place - u64::from(before)).ok()?)
    }

    /// Each range.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range> {
        self.starts.iter().enumerate().map(|(place, &(first, before))| {
            let end = self.starts.get(place + 1).map_or(self.addresses, |&(_, end)| end.into());
            let others = u32::try_from(end - u64::from(before) - 1).unwrap_or(u32::MAX);
            Range::V4(first, first.saturating_add(others))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_they_were() {
        let ranges = [(0, 0), (5, 9), (11, u32::MAX - 7), (u32::MAX, u32::MAX)];
        let mut known = Known::default();
        let (pieces, new) = known.pieces(ranges.into_iter());
        assert_eq!((new, pieces.len()), (4, (1 << 32) - 4 - 1 - 6));
        let expected: Vec<_> = ranges.map(|(first, last)| Range::V4(first, last)).into();
        assert_eq!(pieces.ranges().collect::<Vec<_>>(), expected);
        let at = [0, 1, 5, 6, pieces.len() - 2, pieces.len() - 1, pieces.len()];
        let end = u32::MAX - 7;
        let expected = [Some(0), Some(5), Some(9), Some(11), Some(end), Some(u32::MAX), None];
        assert_eq!(at.map(|place| pieces.get(place)), expected);
        let (again, new) = known.pieces(ranges.into_iter());
        assert_eq!((again, new), (pieces, 0));
    }

    #[test]
    fn lists_that_differ_in_the_end_of_their_last_range_are_told_apart() {
        let mut known = Known::default();
        let (one, _) = known.pieces([(1, 1), (5, 5)].into_iter());
        let (other, new) = known.pieces([(1, 1), (5, 9)].into_iter());
        assert_eq!((new, one.len(), other.len()), (0, 2, 6), "their starts are shared");
        assert_ne!(one, other);
    }
}
