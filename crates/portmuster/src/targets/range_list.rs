//! Lists of separate IPv4 ranges, such as those that items with ranges in several octets stand for.

use std::{collections::HashSet, sync::Arc};

use super::range::AddressRange;

/// The minimum number of separate ranges that are stored as a list. Fewer become blocks of their
/// own.
pub(super) const RANGE_LIST_MIN: usize = 64;

/// The first address of each range, and the number of addresses in the ranges before it.
type RangeStarts = Arc<[(u32, u32)]>;

/// A list of ascending, disjoint ranges. It is cheap to clone, and equal lists from the same
/// [`RangeListInterner`] share their memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RangeList {
    starts: RangeStarts,
    /// The number of addresses in all ranges.
    addresses: u64,
}

/// Creates [`RangeList`]s whose equal lists share their memory.
#[derive(Debug, Clone, Default)]
pub(super) struct RangeListInterner(HashSet<RangeStarts>);

impl RangeListInterner {
    /// Creates the list of these ranges, each given by its first and last address.
    ///
    /// Also returns the number of ranges that the list stores in memory of its own: 0 if it shares
    /// that of an earlier list.
    pub(super) fn list(&mut self, ranges: impl Iterator<Item = (u32, u32)>) -> (RangeList, usize) {
        let mut addresses = 0_u64;
        let starts = ranges.map(|(first, last)| {
            // Fewer than 2^32 addresses come before any other address.
            let before = u32::try_from(addresses).unwrap_or(u32::MAX);
            addresses += u64::from(last - first) + 1;
            (first, before)
        });
        let starts: Vec<_> = starts.collect();
        if let Some(starts) = self.0.get(starts.as_slice()) {
            return (RangeList { starts: Arc::clone(starts), addresses }, 0);
        }
        let starts: RangeStarts = starts.into();
        self.0.insert(Arc::clone(&starts));
        let new = starts.len();
        (RangeList { starts, addresses }, new)
    }
}

impl RangeList {
    /// Returns the number of addresses.
    pub(super) fn len(&self) -> u128 {
        self.addresses.into()
    }

    /// Returns the address at `index` in ascending order; `None` beyond the last.
    pub(super) fn get(&self, index: u128) -> Option<u32> {
        let index = u64::try_from(index).ok().filter(|&index| index < self.addresses)?;
        let after = self.starts.partition_point(|&(_, before)| u64::from(before) <= index);
        let (first, before) = self.starts[after.checked_sub(1)?];
        first.checked_add(u32::try_from(index - u64::from(before)).ok()?)
    }

    /// Iterates over the ranges in ascending order.
    pub(super) fn ranges(&self) -> impl Iterator<Item = AddressRange> {
        self.starts.iter().enumerate().map(|(index, &(first, before))| {
            let end = self.starts.get(index + 1).map_or(self.addresses, |&(_, end)| end.into());
            let others = u32::try_from(end - u64::from(before) - 1).unwrap_or(u32::MAX);
            AddressRange::V4(first, first.saturating_add(others))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_returns_its_ranges_and_addresses() {
        let ranges = [(0, 0), (5, 9), (11, u32::MAX - 7), (u32::MAX, u32::MAX)];
        let mut interner = RangeListInterner::default();
        let (list, new) = interner.list(ranges.into_iter());
        assert_eq!((new, list.len()), (4, (1 << 32) - 4 - 1 - 6));
        let expected: Vec<_> = ranges.map(|(first, last)| AddressRange::V4(first, last)).into();
        assert_eq!(list.ranges().collect::<Vec<_>>(), expected);
        let indexes = [0, 1, 5, 6, list.len() - 2, list.len() - 1, list.len()];
        let end = u32::MAX - 7;
        let expected = [Some(0), Some(5), Some(9), Some(11), Some(end), Some(u32::MAX), None];
        assert_eq!(indexes.map(|index| list.get(index)), expected);
        let (again, new) = interner.list(ranges.into_iter());
        assert_eq!((again, new), (list, 0));
    }

    #[test]
    fn lists_that_differ_only_in_their_last_address_are_not_equal() {
        let mut interner = RangeListInterner::default();
        let (one, _) = interner.list([(1, 1), (5, 5)].into_iter());
        let (other, new) = interner.list([(1, 1), (5, 9)].into_iter());
        assert_eq!((new, one.len(), other.len()), (0, 2, 6), "their starts are shared");
        assert_ne!(one, other);
    }
}
