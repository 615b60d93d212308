//! The error of databases.

use std::{io, path::PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use super::settings::{BUSY_TIMEOUT, SCHEMA_VERSION};

/// Why a database of outcomes cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file is not a portmuster database. It was not changed.
    #[error("not a portmuster database; choose another file")]
    Foreign,
    /// A newer version of this program has written to the database. It was not changed.
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
    /// The database is marked as one of portmuster, but its tables differ. It was not changed.
    #[error("not as portmuster creates a database: {0}; choose another file")]
    Altered(String),
    /// The file has several names (hard links). `SQLite` keeps the log of a database beside the name by
    /// which it is opened, so runs that use different names lose each other's rows
    /// (<https://www.sqlite.org/howtocorrupt.html>).
    #[error(
        "the file has {0} names (hard links), but the log of a database can be kept beside only \
         one; copy the file, or choose another one"
    )]
    Linked(u64),
    /// Only the file is mounted here, so its log would be kept elsewhere.
    #[error("the file is mounted here without the log beside it; mount its folder instead")]
    Mounted,
    /// The run to resume is missing.
    #[error("the database has no run {0}")]
    NoSuchRun(i64),
    /// Outcomes of the run to resume are missing.
    #[error("run {0} lacks outcomes that were written to it")]
    OutcomesMissing(i64),
    /// Another program has deleted outcomes of the current run, or the table has rejected them.
    #[error(
        "run {run} has {found} of the {written} outcomes that were written to it; another program \
         that uses the database has removed the others"
    )]
    Lost {
        /// The run.
        run: i64,
        /// Number of outcomes that were written.
        written: u64,
        /// Number of outcomes in the database.
        found: u64,
    },
    /// Another program has truncated the file during the run.
    #[error("another program has truncated the file from {from} to {to} bytes; it may be damaged")]
    Truncated {
        /// The length of the file at the previous check, in bytes.
        from: u64,
        /// The current length, in bytes.
        to: u64,
    },
    /// Another program has truncated or removed the log during the run.
    #[error("another program has truncated or removed the log {}; rows are lost", .0.display())]
    LogTruncated(PathBuf),
    /// Another program has replaced the file during the run.
    #[error("another program has removed, moved or replaced it during the run")]
    Replaced,
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Io(io_error(error))
    }
}

fn io_error(error: rusqlite::Error) -> io::Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("another program has kept it locked for {} s", BUSY_TIMEOUT.as_secs()),
        ),
        Some(ErrorCode::DiskFull) => {
            io::Error::new(io::ErrorKind::StorageFull, "the database or the disk is full")
        }
        // Only the limit of steps interrupts a statement.
        Some(ErrorCode::OperationInterrupted) => io::Error::new(
            io::ErrorKind::InvalidData,
            "it is damaged: reading it takes more steps than a database of its size can need",
        ),
        _ => io::Error::other(error),
    }
}
