//! All runs of one method.

use portmuster::Method;

use super::run::Run;

/// All runs of one method.
pub(super) struct Series {
    pub(super) method: Method,
    pub(super) runs: Vec<Run>,
    /// The highest number of targets, over the rounds, whose result differs from the first
    /// method's.
    pub(super) differing: u64,
}

impl Series {
    /// Creates a series without runs.
    pub(super) fn new(method: Method) -> Self {
        Self { method, runs: Vec::new(), differing: 0 }
    }
}
