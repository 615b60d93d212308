//! The error of databases.

use std::{io, path::PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use super::settings::{BUSY_TIMEOUT, SCHEMA_VERSION};

/// Why a database of outcomes cannot be read or written.
///
/// The text says what was found, and what to do about it.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct DatabaseError(#[from] DatabaseErrorRepr);

impl DatabaseError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> DatabaseErrorKind {
        self.0.kind()
    }
}

/// Keeps the kind of an error of the file system or of `SQLite`; others have the kind
/// [`Other`](io::ErrorKind::Other).
impl From<DatabaseError> for io::Error {
    fn from(error: DatabaseError) -> Self {
        let kind = match error.0 {
            DatabaseErrorRepr::Io(error) => return error,
            DatabaseErrorRepr::Locked => io::ErrorKind::ResourceBusy,
            DatabaseErrorRepr::Full => io::ErrorKind::StorageFull,
            DatabaseErrorRepr::Endless => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The kinds of a [`DatabaseError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatabaseErrorKind {
    /// The file is not a portmuster database. It was not changed.
    Foreign,
    /// A newer version of this program has written to the database. It was not changed.
    Newer,
    /// The database is marked as one of portmuster, but its tables differ. It was not changed.
    Altered,
    /// The file has several names (hard links). `SQLite` keeps the log of a database beside the name by
    /// which it is opened, so runs that use different names lose each other's rows
    /// (<https://www.sqlite.org/howtocorrupt.html>).
    Linked,
    /// Only the file is mounted here, so its log would be kept elsewhere.
    Mounted,
    /// The run to resume is missing.
    NoSuchRun,
    /// Outcomes of the run are missing: another program has removed them, has truncated the file or
    /// its log, or the table has rejected them.
    OutcomesMissing,
    /// Another program has removed, moved or replaced the file during the run.
    Replaced,
    /// Another program has kept the database locked for too long.
    Locked,
    /// The database or the disk is full.
    Full,
    /// The content of the file is damaged.
    Damaged,
    /// The file cannot be read or written for another reason.
    Io,
}

/// The causes of a [`DatabaseError`], with what its text says.
#[derive(Debug, Error)]
pub(crate) enum DatabaseErrorRepr {
    #[error("not a portmuster database; choose another file")]
    Foreign,
    #[error(
        "its schema version is {found}, written by {}; this program ({}) supports up to {}: use {}, \
         or choose another file",
        written_by.as_ref().map_or("a newer portmuster".into(), |it| format!("portmuster {it}")),
        env!("CARGO_PKG_VERSION"),
        SCHEMA_VERSION,
        written_by.as_ref().map_or("a newer version", |_| "that version or newer"),
    )]
    Newer {
        /// The schema version of the database.
        found: u32,
        /// The version of the program that began the latest run; `None` if it is not recorded.
        written_by: Option<String>,
    },
    #[error("not as portmuster creates a database: {0}; choose another file")]
    Altered(String),
    #[error(
        "the file has {0} names (hard links), but the log of a database can be kept beside only \
         one; copy the file, or choose another one"
    )]
    Linked(u64),
    #[error("the file is mounted here without the log beside it; mount its directory instead")]
    Mounted,
    #[error("the database has no run {0}")]
    NoSuchRun(i64),
    #[error("run {0} lacks outcomes that were written to it")]
    OutcomesMissing(i64),
    #[error(
        "run {run} has {found} of the {written} outcomes that were written to it; another program \
         that uses the database has removed the others"
    )]
    Lost {
        run: i64,
        /// Number of outcomes that were written.
        written: u64,
        /// Number of outcomes in the database.
        found: u64,
    },
    #[error("another program has truncated the file from {from} to {to} bytes; it may be damaged")]
    Truncated {
        /// The length of the file at the previous check, in bytes.
        from: u64,
        /// The current length, in bytes.
        to: u64,
    },
    #[error("another program has truncated or removed the log {}; rows are lost", .0.display())]
    LogTruncated(PathBuf),
    #[error("another program has removed, moved or replaced it during the run")]
    Replaced,
    #[error("another program has kept it locked for {} s", BUSY_TIMEOUT.as_secs())]
    Locked,
    #[error("the database or the disk is full")]
    Full,
    /// Only the limit of steps interrupts a statement.
    #[error("it is damaged: reading it takes more steps than a database of its size can need")]
    Endless,
    /// What `SQLite`'s check of a table and its indexes found.
    #[error(
        "it is damaged: {0}; write to another file, or repair it: `sqlite3 FILE REINDEX` makes its \
         indexes new"
    )]
    Inconsistent(String),
    #[error(
        "run {run} is damaged: its index leads to {indexed} rows, and the database has {found} of them; \
         `sqlite3 FILE REINDEX` makes the index new"
    )]
    DamagedIndex {
        run: i64,
        /// Number of rows that the index has for the run.
        indexed: u64,
        /// Number of these rows that were found.
        found: u64,
    },
    #[error("it is damaged: {0}")]
    Corrupt(rusqlite::Error),
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DatabaseErrorRepr {
    /// Returns the kind of the error.
    pub(crate) fn kind(&self) -> DatabaseErrorKind {
        match self {
            Self::Foreign => DatabaseErrorKind::Foreign,
            Self::Newer { .. } => DatabaseErrorKind::Newer,
            Self::Altered(_) => DatabaseErrorKind::Altered,
            Self::Linked(_) => DatabaseErrorKind::Linked,
            Self::Mounted => DatabaseErrorKind::Mounted,
            Self::NoSuchRun(_) => DatabaseErrorKind::NoSuchRun,
            Self::OutcomesMissing(_)
            | Self::Lost { .. }
            | Self::Truncated { .. }
            | Self::LogTruncated(_) => DatabaseErrorKind::OutcomesMissing,
            Self::Replaced => DatabaseErrorKind::Replaced,
            Self::Locked => DatabaseErrorKind::Locked,
            Self::Full => DatabaseErrorKind::Full,
            Self::Endless
            | Self::Inconsistent(_)
            | Self::DamagedIndex { .. }
            | Self::Corrupt(_) => DatabaseErrorKind::Damaged,
            Self::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                DatabaseErrorKind::Full
            }
            Self::Sqlite(_) | Self::Io(_) => DatabaseErrorKind::Io,
        }
    }
}

impl From<rusqlite::Error> for DatabaseErrorRepr {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::OperationInterrupted) => Self::Endless,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            _ => Self::Sqlite(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn error_of_the_file_system_or_sqlite_keeps_its_kind_and_text() {
        let sqlite = |code| {
            DatabaseErrorRepr::from(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(code),
                Some("what SQLite says".to_owned()),
            ))
        };
        for (repr, kind, io_kind) in [
            (
                sqlite(rusqlite::ffi::SQLITE_FULL),
                DatabaseErrorKind::Full,
                io::ErrorKind::StorageFull,
            ),
            (
                sqlite(rusqlite::ffi::SQLITE_BUSY),
                DatabaseErrorKind::Locked,
                io::ErrorKind::ResourceBusy,
            ),
            (
                sqlite(rusqlite::ffi::SQLITE_CORRUPT),
                DatabaseErrorKind::Damaged,
                io::ErrorKind::Other,
            ),
            (
                io::Error::from(io::ErrorKind::StorageFull).into(),
                DatabaseErrorKind::Full,
                io::ErrorKind::StorageFull,
            ),
            (DatabaseErrorRepr::NoSuchRun(3), DatabaseErrorKind::NoSuchRun, io::ErrorKind::Other),
        ] {
            let error = DatabaseError::from(repr);
            let text = error.to_string();
            assert_eq!(error.kind(), kind, "{text}");
            assert_ne!(error.source().map(ToString::to_string).as_ref(), Some(&text));
            let error = io::Error::from(error);
            assert_eq!((error.kind(), error.to_string()), (io_kind, text));
        }
    }
}
