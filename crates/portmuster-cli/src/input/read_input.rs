//! What the end of a run needs to know of its input.

use portmuster::{Account, gates::RunTotals, outcome::Certainty, targets::Skipped};

use super::{BadLines, Input, SharedSkipped};

/// What the end of a run needs to know of its input, shared with the streams.
pub(crate) struct ReadInput {
    /// The number of targets; `None`: some come from a stream.
    pub(crate) total: Option<u128>,
    pub(crate) bad_lines: BadLines,
    skipped: Skipped,
    streamed_skipped: SharedSkipped,
}

impl ReadInput {
    pub(crate) fn of(input: &Input) -> Self {
        Self {
            total: input.len(),
            bad_lines: input.bad_lines(),
            skipped: input.skipped(),
            streamed_skipped: input.streamed_skipped(),
        }
    }

    /// Returns the totals of a run with this account so far.
    pub(crate) fn totals(&self, account: Account, certainty: Option<Certainty>) -> RunTotals {
        let mut totals = RunTotals::new(account, self.total);
        totals.skipped = self.skipped.with(self.streamed_skipped.sum());
        totals.bad_lines = self.bad_lines.unread();
        totals.certainty = certainty;
        totals
    }
}
