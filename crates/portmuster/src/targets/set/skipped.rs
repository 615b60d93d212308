//! Counts of targets that items name and that a set does not gain.

/// How many targets were named but not added to a set. Each count saturates at `u128::MAX`.
///
/// Excluded and reserved targets are distinct: one that is named twice, also as part of overlapping
/// networks, is counted once, and then as a duplicate. So the sum of all counts and of the size of the set
/// is the number of targets as named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Skipped {
    /// Targets that were named before.
    pub duplicates: u128,
    /// Excluded targets.
    pub excluded: u128,
    /// Targets in a reserved network, which no host can have, as part of a wider network. Those that an
    /// item names explicitly are in the set.
    pub reserved: u128,
}

impl Skipped {
    /// Returns whether every count is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the sums of these counts and those of another set. A target that both sets skipped counts
    /// twice.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            duplicates: self.duplicates.saturating_add(other.duplicates),
            excluded: self.excluded.saturating_add(other.excluded),
            reserved: self.reserved.saturating_add(other.reserved),
        }
    }

    /// Returns `sum` with the `new` ones of `named` targets, and counts the others as duplicates.
    pub(super) fn count_new(&mut self, sum: u128, named: u128, new: u128) -> u128 {
        self.duplicates = self.duplicates.saturating_add(named.saturating_sub(new));
        sum.saturating_add(new)
    }
}
