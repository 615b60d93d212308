//! What the end of a run needs to know of its input.

use portmuster::{Account, gates::RunTotals, outcome::Certainty, targets::Skipped};

use super::{bad_lines::BadLines, streamed::SharedSkipped};

/// What the end of a run needs to know of its input, shared with the streams.
pub(crate) struct ReadInput {
    /// The number of targets; `None`: some come from a stream.
    pub(crate) total: Option<u128>,
    pub(crate) bad_lines: BadLines,
    pub(super) skipped: Skipped,
    pub(super) streamed_skipped: SharedSkipped,
}

impl ReadInput {
    /// Returns the totals of a run with this account so far.
    pub(crate) fn totals(&self, account: &Account, certainty: Option<&Certainty>) -> RunTotals {
        let mut totals = RunTotals::new(*account, self.total);
        totals.skipped = self.skipped.with(self.streamed_skipped.sum());
        totals.bad_lines = self.bad_lines.unread();
        totals.certainty = certainty.copied();
        totals
    }
}
