//! Counts of changes.

use super::change::ChangeKind;

/// Numbers of targets and changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeCounts {
    /// Number of targets in the old run.
    pub old: u64,
    /// Number of targets in the new run.
    pub new: u64,
    /// Number of targets that changed.
    pub changed: u64,
    pub(super) kinds: [u64; ChangeKind::ALL.len()],
    /// Number of targets that one run lacks because it was
    /// [partial](crate::history::RunResults::is_partial).
    pub unreached: u64,
    /// Number of targets that could not be checked in one of the runs, and are not compared.
    pub unchecked: u64,
    /// Number of ssh servers whose algorithms are known in only one of the runs, and are not compared.
    pub algorithms_unknown: u64,
}

impl ChangeCounts {
    /// Returns the number of changes of this kind.
    #[must_use]
    pub fn of(&self, kind: ChangeKind) -> u64 {
        self.kinds[kind as usize]
    }
}
