//! Why outputs can't be opened or written.

use std::io;

use anyhow::anyhow;
use portmuster::sink::{DatabaseError, DatabaseErrorKind};

/// Why the outputs of a run could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// An output was refused before any of them was changed.
    Refused(anyhow::Error),
    /// An output could not be written.
    Failed(anyhow::Error),
}

impl OpenError {
    /// Classifies an error of an output that was only inspected: a full disk is a failure.
    pub(super) fn inspecting(error: anyhow::Error) -> Self {
        let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        let is_failure = match error.downcast_ref::<DatabaseError>() {
            Some(error) => error.kind() == DatabaseErrorKind::Full,
            None => error.downcast_ref().is_some_and(is_full),
        };
        if is_failure { Self::Failed(error) } else { Self::Refused(error) }
    }
}

impl From<anyhow::Error> for OpenError {
    fn from(error: anyhow::Error) -> Self {
        Self::Refused(error)
    }
}

/// Returns whether the rows before a failed write are complete in the output.
///
/// They are if the system refused the write. After any other error they may be damaged or gone: another
/// program has changed the output, or the disk is defective.
pub(super) fn keeps_rows(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, FileTooLarge, QuotaExceeded, ResourceBusy, StorageFull};

    let cause = error.get_ref();
    if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<DatabaseError>()) {
        return matches!(error.kind(), DatabaseErrorKind::Locked | DatabaseErrorKind::Full);
    }
    let refusals = [BrokenPipe, FileTooLarge, QuotaExceeded, ResourceBusy, StorageFull];
    cause.is_none() && refusals.contains(&error.kind())
}

/// Why rows could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The reader of stdout is gone, and the run has no other output and no gate: a clean end.
    ClosedPipe,
    /// An output or the journal failed; the error names it.
    Failed(anyhow::Error),
}

impl WriteError {
    /// Converts to an error for outputs that have no row yet.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::ClosedPipe => anyhow!("the reader of standard output is gone"),
            Self::Failed(error) => error,
        }
    }
}
