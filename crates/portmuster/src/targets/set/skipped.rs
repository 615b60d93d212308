//! Counts of targets that items name and that a set does not gain.

/// How many targets were named but not added to a set. Each count saturates at `u128::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Skipped {
    /// Targets that the set already contained.
    pub duplicates: u128,
    /// Excluded targets.
    pub excluded: u128,
    /// Targets in a reserved network, which no host can have, as part of a wider network.
    pub reserved: u128,
}

impl Skipped {
    /// Returns whether every count is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the sums of these counts and those of another set.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            duplicates: self.duplicates.saturating_add(other.duplicates),
            excluded: self.excluded.saturating_add(other.excluded),
            reserved: self.reserved.saturating_add(other.reserved),
        }
    }
}
