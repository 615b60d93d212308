//! What the end of a run needs to know of its input.

use portmuster::{Account, gates::RunTotals, outcome::Certainty, targets::Skipped};

use super::{bad_lines::BadLines, streamed::StreamCounts};

/// What the end of a run needs to know of its input, shared with the streams.
pub(crate) struct ReadInput {
    /// The number of targets; `None`: some come from a stream.
    pub(crate) total: Option<u128>,
    pub(crate) bad_lines: BadLines,
    pub(super) skipped: Skipped,
    /// Whether arguments and regular files have targets.
    pub(super) has_listed: bool,
    pub(super) streamed: StreamCounts,
}

impl ReadInput {
    /// Returns the totals of a run with this account so far.
    pub(crate) fn totals(&self, account: &Account, certainty: Option<&Certainty>) -> RunTotals {
        let mut totals = RunTotals::new(*account, self.total);
        totals.skipped = self.skipped.with(self.streamed.skipped());
        totals.bad_lines = self.bad_lines.unread();
        totals.certainty = certainty.copied();
        totals
    }

    /// Returns whether the input has targets that are not excluded, once it was read to its end.
    pub(crate) fn has_targets(&self) -> bool {
        self.has_listed || self.streamed.has_targets()
    }
}
