//! A candidate: a program, or a part of this one, that is measured.

use anyhow::Result;

use crate::answers::Accuracy;

/// Work that is measured.
pub(crate) struct Candidate<'a> {
    pub(crate) name: String,
    /// Pieces of work, or targets, of each run.
    pub(crate) pieces: usize,
    /// System calls per piece, where they were counted.
    pub(crate) calls: Option<f64>,
    /// The command line to repeat a run by hand, where the candidate is a program.
    pub(crate) command: Option<String>,
    /// Prepares the next run. The time of this call is not measured.
    pub(crate) prepare: Box<dyn FnMut() -> Result<()> + 'a>,
    /// Does all pieces once. Returns the peak memory of the largest process in KiB, where the
    /// candidate is a program. The time of this call is measured.
    pub(crate) run: Box<dyn FnMut() -> Result<Option<u64>> + 'a>,
    /// Checks the results of the last run; `Some` when the candidate reported states of targets.
    pub(crate) check: Box<dyn Fn() -> Result<Option<Accuracy>> + 'a>,
}
