//! Notices a fork: a child process has the objects of a run, but none of its threads.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::{PyResult, pyfunction};

use crate::errors::ForkedError;

/// The number of forks between the process that imported the module and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Counts a fork. The package registers it to be called in each child process.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The process in which a run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home {
    forks: u64,
    process: u32,
}

impl Home {
    /// Returns this process.
    pub(crate) fn here() -> Self {
        Self { forks: FORKS.load(Ordering::Relaxed), process: std::process::id() }
    }

    /// Returns whether this process is the one that started the run.
    pub(crate) fn is_here(self) -> bool {
        self.forks == FORKS.load(Ordering::Relaxed)
    }

    /// Refuses to use a run that another process has started.
    ///
    /// # Errors
    /// `ForkedError`: this process is a fork of the one that started the run.
    pub(crate) fn require(self) -> PyResult<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(ForkedError::new_err(format!(
            "using a run in a forked process: its threads are in process {}; start a run of its own in \
             each process",
            self.process
        )))
    }
}
