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
    /// Does all pieces once. The time of this call is measured.
    pub(crate) run: Box<dyn FnMut() -> Result<Completed> + 'a>,
}

/// A run that has ended.
pub(crate) struct Completed {
    /// Checks the results once the time has been taken.
    pub(crate) check: Check,
    /// Peak memory of the largest process, where the candidate is a program.
    pub(crate) memory_kib: Option<u64>,
}

/// Checks the results of a run; `Some` when the candidate reported states of targets.
pub(crate) type Check = Box<dyn FnOnce() -> Result<Option<Accuracy>>>;
