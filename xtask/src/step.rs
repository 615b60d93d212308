//! One step of a command, and how it ended.

use anyhow::Result;

/// One piece of work with a headline.
pub(crate) struct Step {
    /// The headline, and the step's name in the summary.
    pub(crate) name: &'static str,
    /// Does the work.
    ///
    /// # Errors
    /// The step failed; no later step is started.
    pub(crate) run: fn() -> Result<Status>,
}

/// How a step ended that did not fail.
pub(crate) enum Status {
    /// Everything was done and is in order.
    Passed,
    /// The step can't be done on this machine, for this reason.
    Skipped(&'static str),
}
