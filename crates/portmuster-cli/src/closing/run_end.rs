//! How a run has ended.

use std::time::SystemTime;

use portmuster::{PortState, gates::RunTotals};

use crate::status::Status;

/// How a run has ended, as far as its totals do not say it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunEnd {
    pub(crate) time: SystemTime,
    /// Whether the run was stopped before its end.
    pub(crate) is_stopped: bool,
    pub(crate) status: Status,
}

impl RunEnd {
    /// Returns whether the run examined every target.
    pub(super) fn is_complete(&self, totals: &RunTotals) -> bool {
        let is_cut = self.is_stopped || totals.is_cut_short || left(totals) > 0;
        // A violated gate hides that some targets could not be checked.
        let has_unchecked = totals.account.state(PortState::Unchecked) > 0;
        matches!(self.status, Status::Complete | Status::Finding) && !is_cut && !has_unchecked
    }
}

/// Returns the number of targets that the run did not reach.
pub(super) fn left(totals: &RunTotals) -> u128 {
    let ended = u128::from(totals.account.settled()) + u128::from(totals.account.excluded);
    totals.targets.saturating_sub(ended)
}
