//! Counts of records that give no target.

/// Records of one kind that were skipped, because they give no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedRecords {
    /// The number of records.
    pub count: u64,
    /// The kind of the records, as the object of a sentence: "hashed names, which can't be read".
    pub description: &'static str,
    /// Whether the records stand for targets that can't be read from them. Those targets are not
    /// checked.
    pub hides_targets: bool,
}

/// Counts skipped records by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct SkipCounter(Vec<SkippedRecords>);

impl SkipCounter {
    /// Counts records that stand for no target.
    pub(super) fn add(&mut self, count: u64, description: &'static str) {
        self.count(SkippedRecords { count, description, hides_targets: false });
    }

    /// Counts records that stand for targets that can't be read from them.
    pub(super) fn add_hidden(&mut self, count: u64, description: &'static str) {
        self.count(SkippedRecords { count, description, hides_targets: true });
    }

    /// Returns the counts, in the order in which each kind first occurred.
    pub(super) fn counts(&self) -> &[SkippedRecords] {
        &self.0
    }

    fn count(&mut self, more: SkippedRecords) {
        match self.0.iter_mut().find(|records| records.description == more.description) {
            Some(records) => records.count = records.count.saturating_add(more.count),
            None => self.0.push(more),
        }
    }
}
