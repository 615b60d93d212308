//! The errors of journals.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use thiserror::Error as ThisError;

use super::{identity::SettingChange, state::InvalidJournal};

/// Why a journal could not be opened, read or written.
#[derive(Debug)]
pub struct JournalError {
    path: PathBuf,
    kind: JournalErrorKind,
}

/// The reasons for a [`JournalError`].
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum JournalErrorKind {
    /// The file exists, and a new one was requested.
    #[error("it exists")]
    Exists,
    /// Another run holds the lock.
    #[error("another run is writing it: wait until that run ends")]
    InUse,
    /// The path leads to a directory, a device or a pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// The file could not be opened, created or read.
    #[error(transparent)]
    Open(io::Error),
    /// The file could not be locked.
    #[error("locking it")]
    Lock(#[source] io::Error),
    /// The content is no state from which a run can resume.
    #[error(transparent)]
    Content(InvalidJournal),
    /// The journal belongs to a run with other settings.
    #[error("it belongs to another run, nothing was changed: {}", describe(.0))]
    OtherRun(Vec<SettingChange>),
    /// The file could not be emptied.
    #[error("emptying it")]
    Clear(#[source] io::Error),
    /// The file could not be replaced. The previous checkpoint stays.
    #[error("writing it")]
    Replace(#[source] io::Error),
    /// An [output](super::JournalOutput) could not be synced or described.
    #[error(transparent)]
    Output(io::Error),
    /// The thread that writes the journal could not be started.
    #[error("starting the thread that writes it")]
    StartThread(#[source] io::Error),
    /// The thread that writes the journal has panicked.
    #[error("the thread that writes the journal has panicked")]
    Panicked,
}

fn describe(changes: &[SettingChange]) -> String {
    let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
    changes.join("; ")
}

impl JournalError {
    pub(super) fn new(path: &Path, kind: JournalErrorKind) -> Self {
        Self { path: path.to_owned(), kind }
    }

    /// Returns the path of the journal.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the reason.
    #[must_use]
    pub fn kind(&self) -> &JournalErrorKind {
        &self.kind
    }

    /// Returns the reason by value.
    #[must_use]
    pub fn into_kind(self) -> JournalErrorKind {
        self.kind
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the journal {}: {}", self.path.display(), self.kind)
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}
