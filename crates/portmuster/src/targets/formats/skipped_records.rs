//! Counts of records that give no target.

use std::fmt;

/// Records of one kind that were skipped, because they give no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedRecords {
    /// The number of records.
    pub count: u64,
    /// The kind of the records, as the object of a sentence: "hashed names, which can't be read".
    pub description: &'static str,
    /// The kind of one record: "hashed name, which can't be read".
    pub description_of_one: &'static str,
    /// Whether the records stand for targets that can't be read from them. Those targets are not
    /// checked.
    pub hides_targets: bool,
}

impl fmt::Display for SkippedRecords {
    /// Writes the number and the kind.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.count == 1 { self.description_of_one } else { self.description };
        write!(formatter, "{} {kind}", self.count)
    }
}

/// The kind of a record: of one, and of several.
pub(super) type RecordKind = (&'static str, &'static str);

/// Counts skipped records by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct SkipCounter(Vec<SkippedRecords>);

impl SkipCounter {
    /// Counts records that stand for no target.
    pub(super) fn add(&mut self, count: u64, kind: RecordKind) {
        self.count(count, kind, false);
    }

    /// Counts records that stand for targets that can't be read from them.
    pub(super) fn add_hidden(&mut self, count: u64, kind: RecordKind) {
        self.count(count, kind, true);
    }

    /// Returns the counts, in the order in which each kind first occurred.
    pub(super) fn counts(&self) -> &[SkippedRecords] {
        &self.0
    }

    fn count(&mut self, count: u64, kind: RecordKind, hides_targets: bool) {
        let (description_of_one, description) = kind;
        let more = SkippedRecords { count, description, description_of_one, hides_targets };
        match self.0.iter_mut().find(|records| records.description == more.description) {
            Some(records) => records.count = records.count.saturating_add(more.count),
            None => self.0.push(more),
        }
    }
}
