//! A `SQLite` database of runs.
//!
//! Schema version 5, which `PRAGMA user_version` records; `PRAGMA application_id` is `port` in ASCII:
//!
//! | `runs` | |
//! |---|---|
//! | `id` | one more than the id of the previous run |
//! | `started`, `ended` | UTC, RFC 3339; `ended` is NULL while the run is going on, or if it was killed |
//! | `version`, `arguments` | the version of the program that last wrote to the run; its command line |
//! | `targets`, `open`, `closed`, `filtered`, `unresolved`, `unchecked`, `excluded`, `left` | the sums over the run, after its end |
//! | `elapsed_ms`, `found_on_retry`, `slowed`, `faults`, `syns`, `syns_lost` | as in [`Account`](crate::Account) |
//! | `silent`, `asked_again`, `failed`, `answered` | as in [`Certainty::silent`](crate::outcome::Certainty::silent); these and the next are NULL if it was not measured or the run was stopped |
//! | `bound`, `bound_count` | how many of them would answer one more attempt, at most: [`missed_share`](crate::outcome::Certainty::missed_share) and [`missed_max`](crate::outcome::Certainty::missed_max) |
//! | `confidence`, `blocked`, `controls`, `silent_controls` | as in [`Certainty`](crate::outcome::Certainty) |
//! | `icmp_refused`, `icmp_refused_asked_again`, `icmp_refused_failed`, `icmp_refused_answered`, `icmp_refused_bound_count` | as in [`Certainty::refused`](crate::outcome::Certainty::refused) |
//!
//! | `outcomes` | |
//! |---|---|
//! | `id` | ascending in the order of completion |
//! | `run` | `runs.id` |
//! | `position` | the position of the target in the order of the run, from 0 |
//! | `host`, `port`, … | the fields of a [`Row`] except `schema`, with their names in JSON |
//!
//! Absent fields are NULL, `open` is 0 or 1, lists are joined by spaces, and `evidence` is JSON.
//! Untrusted text is [escaped](escape), because people show it on a terminal as it is.
//!
//! Invariant: rows are committed in whole batches, during a pause or within a second. Committed rows
//! survive the death of the process, and readers see them while the run is going on.
//!
//! Invariant: an older schema is [upgraded](schema) in the transaction that begins or resumes a run,
//! so a file has either the complete old schema or the complete new one.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt, path::Path, time::SystemTime};

use rusqlite::{Connection, params, params_from_iter};

use self::{
    settings::{BATCH_BYTES_MAX, BATCH_MAX, COMMIT_DELAY_MAX},
    statements::{
        COUNT_RUN, COUNT_UP_TO, END_RUN, count, delete_after, end_values, insert_outcome, to_i64,
    },
};
use super::{
    columns::column_values,
    first_error::FirstError,
    interface::{Beginning, Ending, ResumableSink, ResumePoint, Sink},
    row::Row,
    text::escape,
    timestamp::timestamp,
};
use crate::outcome::Outcome;

pub(crate) mod connection;
mod error;
mod identity;
mod open;
pub(crate) mod schema;
mod settings;
mod statements;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use error::DatabaseErrorRepr;
pub use error::{DatabaseError, DatabaseErrorKind};

/// Writes outcomes to a database, as one run.
///
/// The account at the end of a run counts its rows: [`read_run`](crate::history::read_run) refuses a
/// run with fewer.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// use std::time::SystemTime;
/// use portmuster::{Checker, Config, sink::{Beginning, Ending, Sink, Sqlite}};
///
/// let beginning = Beginning::new(SystemTime::now(), "the weekly audit");
/// let mut database = Sqlite::begin(&path, &beginning)?;
/// let mut outcomes = Checker::new(Config::default()).check([("127.0.0.1", 1)])?;
/// for outcome in &mut outcomes {
///     database.write(&outcome)?;
/// }
/// database.finish(&Ending::new(outcomes.account(), 1, SystemTime::now()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    insert: String,
    run: i64,
    /// The id of the latest written outcome of this run; 0 if there is none.
    last: i64,
    /// Number of outcomes that were written to the run.
    written: u64,
    /// `last` and `written` at the latest checkpoint.
    checked: (i64, u64),
    /// Outcomes that are not written yet.
    pending: Vec<Outcome>,
    /// The memory that they occupy, in bytes.
    pending_bytes: usize,
    /// Device and inode of the file; `None` until the run is in the database.
    file: Option<(u64, u64)>,
    /// The length of the file at the latest check.
    length: u64,
    /// The length of the log at the latest check.
    log_length: u64,
    /// The time of the first pending outcome.
    pending_since: SystemTime,
    /// The time of the latest pending outcome; `None` after a flush.
    unflushed: Option<SystemTime>,
    /// After an error the run stays without an end.
    first_error: FirstError,
}

impl Sqlite {
    /// Checks the header of a file: it must be empty, or a portmuster database with a supported
    /// schema version. The method changes nothing.
    ///
    /// # Errors
    /// The file is neither, cannot be read, or has several hard links.
    pub fn inspect(path: impl AsRef<Path>) -> Result<(), DatabaseError> {
        Ok(inspect(path.as_ref())?)
    }

    /// Returns whether the database contains the run of a [`ResumePoint::Run`], with all outcomes that it
    /// had there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn has_run(
        path: impl AsRef<Path>,
        run: i64,
        last: i64,
        fingerprint: u64,
    ) -> Result<bool, DatabaseError> {
        let found = || {
            let connection = connection::open_read_only(path.as_ref())?;
            let outcomes = count(&connection, COUNT_UP_TO, &[run, last])?;
            match identity::fingerprint(&connection, run, last, outcomes) {
                Err(rusqlite::Error::QueryReturnedNoRows) => Ok(false),
                found => Ok(found? == fingerprint),
            }
        };
        Ok(found().map_err(|error: DatabaseErrorRepr| error)?)
    }

    /// Begins a run in the database, which is created if the file is missing or empty.
    ///
    /// # Errors
    /// The file is not a portmuster database, cannot be written, or is locked by another program.
    pub fn begin(path: impl AsRef<Path>, beginning: &Beginning) -> Result<Self, DatabaseError> {
        PreparedRun::begin(path, beginning)?.commit()
    }

    /// Resumes a run after the outcome with id `last`; later outcomes are deleted.
    ///
    /// # Errors
    /// As for [`Self::begin`], and if the database lacks the run or the outcome.
    pub fn resume(path: impl AsRef<Path>, run: i64, last: i64) -> Result<Self, DatabaseError> {
        PreparedRun::resume(path, run, last)?.commit()
    }

    fn new(connection: Connection, run: i64, last: i64, written: u64) -> Self {
        Self {
            connection,
            insert: insert_outcome(),
            run,
            last,
            written,
            checked: (last, written),
            pending: Vec::new(),
            pending_bytes: 0,
            file: None,
            length: 0,
            log_length: 0,
            pending_since: SystemTime::UNIX_EPOCH,
            unflushed: None,
            first_error: FirstError::default(),
        }
    }

    /// Returns the id of the run in the database.
    #[must_use]
    pub fn run(&self) -> i64 {
        self.run
    }

    /// Calls `act`, unless an earlier call has failed.
    fn attempt<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, DatabaseErrorRepr>,
    ) -> io::Result<T> {
        self.first_error.check()?;
        let result = act(self).map_err(|error| DatabaseError::from(error).into());
        self.first_error.keep(result)
    }

    fn insert(&mut self, outcome: &Outcome) -> Result<(), DatabaseErrorRepr> {
        if self.pending.is_empty() {
            self.pending_since = outcome.time;
        }
        self.unflushed = Some(outcome.time);
        self.pending_bytes += outcome.size();
        self.pending.push(outcome.clone());
        if self.pending.len() == BATCH_MAX || self.pending_bytes >= BATCH_BYTES_MAX {
            self.commit()?;
        }
        Ok(())
    }

    fn insert_row(&mut self, outcome: &Outcome) -> Result<(), DatabaseErrorRepr> {
        let mut insert = self.connection.prepare_cached(&self.insert)?;
        insert.raw_bind_parameter(1, self.run)?;
        insert.raw_bind_parameter(2, to_i64(outcome.position))?;
        for (index, value) in column_values(&Row::from(outcome)).iter().skip(1).enumerate() {
            insert.raw_bind_parameter(index + 3, value)?;
        }
        let inserted = insert.raw_execute()?;
        self.written += 1;
        if inserted != 1 {
            return Err(self.lost(self.written - 1));
        }
        self.last = self.connection.last_insert_rowid();
        Ok(())
    }

    /// Commits during a pause, or if the first pending row has waited for [`COMMIT_DELAY_MAX`].
    fn commit_if_due(&mut self) -> Result<(), DatabaseErrorRepr> {
        let is_pause = self.unflushed.is_none();
        let latest = self.unflushed.take().unwrap_or(self.pending_since);
        let delay = latest.duration_since(self.pending_since).unwrap_or_default();
        if is_pause || delay >= COMMIT_DELAY_MAX { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), DatabaseErrorRepr> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        if pending.is_empty() {
            return Ok(());
        }
        self.check_lengths()?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for outcome in &pending {
            self.insert_row(outcome)?;
        }
        self.connection.execute_batch("COMMIT")?;
        self.check_lengths()
    }

    /// Checks that no other program has truncated the file or its log. A database file never shrinks
    /// by itself. The log shrinks when another program checkpoints it into the file; that is rare, and
    /// a check of the whole file tells the two cases apart.
    fn check_lengths(&mut self) -> Result<(), DatabaseErrorRepr> {
        let Some(path) = self.connection.path().map(Path::new) else { return Ok(()) };
        // A removed file stays complete as long as it is open.
        let Ok(found) = path.metadata() else { return Ok(()) };
        let (length, file) = (found.len(), file_id(&found));
        if self.file.is_some_and(|own| own != file) {
            return Err(DatabaseErrorRepr::Replaced);
        }
        if length < self.length {
            return Err(DatabaseErrorRepr::Truncated { from: self.length, to: length });
        }
        let log = connection::log(path);
        let log_length = log.metadata().map(|found| found.len()).ok();
        let is_whole = || log_length.is_some() && connection::is_whole(path);
        if log_length.unwrap_or(0) < self.log_length && !is_whole() {
            return Err(DatabaseErrorRepr::LogTruncated(log));
        }
        self.length = length;
        self.log_length = log_length.unwrap_or(0);
        Ok(())
    }

    fn lost(&self, found: u64) -> DatabaseErrorRepr {
        DatabaseErrorRepr::Lost { run: self.run, written: self.written, found }
    }

    /// Counts the outcomes written since the latest checkpoint, to detect rows that another program
    /// has deleted.
    fn check_latest(&mut self) -> Result<(), DatabaseErrorRepr> {
        let (last, written) = self.checked;
        let query = "SELECT count(*) FROM outcomes WHERE id > ?1 AND id <= ?2 AND +run = ?3";
        let found = count(&self.connection, query, &[last, self.last, self.run])?;
        if found != self.written - written {
            return Err(self.lost(written + found));
        }
        self.checked = (self.last, self.written);
        Ok(())
    }

    /// Commits, and syncs the whole log to the disk.
    fn commit_synced(&mut self) -> Result<(), DatabaseErrorRepr> {
        self.commit()?;
        self.check_latest()?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // SQLite syncs the log only if the transaction changes something.
        let sync = "UPDATE runs SET ended = ended WHERE id = ?1";
        if self.connection.execute(sync, [self.run])? == 0 {
            return Err(DatabaseErrorRepr::NoSuchRun(self.run));
        }
        Ok(self.connection.pragma_update(None, "synchronous", "NORMAL")?)
    }

    fn end(&mut self, ending: &Ending) -> Result<(), DatabaseErrorRepr> {
        self.commit()?;
        self.check_lengths()?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // The lock keeps other programs from deleting rows between the count and the commit.
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let found = count(&self.connection, COUNT_RUN, &[self.run])?;
        if found != self.written {
            return Err(self.lost(found));
        }
        let ended =
            self.connection.execute(END_RUN, params_from_iter(end_values(self.run, ending)))?;
        if ended == 0 {
            return Err(DatabaseErrorRepr::NoSuchRun(self.run));
        }
        Ok(self.connection.execute_batch("COMMIT")?)
    }
}

/// A run that is ready to begin or resume: all checks have passed, and [`Self::commit`] makes it
/// visible.
///
/// Until then no other program can write to the database. Dropping it leaves the database unchanged.
#[derive(Debug)]
pub struct PreparedRun(Sqlite);

impl PreparedRun {
    /// Prepares a new run in the database, which is created if the file is missing or empty.
    ///
    /// # Errors
    /// As for [`Sqlite::begin`].
    pub fn begin(path: impl AsRef<Path>, beginning: &Beginning) -> Result<Self, DatabaseError> {
        Ok(Self(begin(path.as_ref(), beginning)?))
    }

    /// Prepares a run to resume after the outcome with id `last`; later outcomes are deleted.
    ///
    /// # Errors
    /// As for [`Sqlite::resume`].
    pub fn resume(path: impl AsRef<Path>, run: i64, last: i64) -> Result<Self, DatabaseError> {
        Ok(Self(resume(path.as_ref(), run, last)?))
    }

    /// Returns the fingerprint for a [`ResumePoint::Run`] of this run.
    ///
    /// # Errors
    /// The run cannot be read.
    pub fn fingerprint(&self) -> Result<u64, DatabaseError> {
        let Sqlite { connection, run, last, written, .. } = &self.0;
        let fingerprint = identity::fingerprint(connection, *run, *last, *written);
        Ok(fingerprint.map_err(DatabaseErrorRepr::from)?)
    }

    /// Commits the run to the database.
    ///
    /// # Errors
    /// The commit failed, and the database is unchanged.
    pub fn commit(mut self) -> Result<Sqlite, DatabaseError> {
        let connection = &mut self.0.connection;
        let found = connection.path().map(|path| Path::new(path).metadata()).transpose();
        self.0.file = found.map_err(DatabaseErrorRepr::from)?.map(|found| file_id(&found));
        let committed = connection.execute_batch("COMMIT");
        let lifted = committed.and_then(|()| connection::lift_limit(connection));
        lifted.map_err(DatabaseErrorRepr::from)?;
        // Otherwise a short run would not notice that the file was truncated before its first commit.
        self.0.check_lengths()?;
        Ok(self.0)
    }
}

/// Checks the header of a file, as [`Sqlite::inspect`] does.
pub(crate) fn inspect(path: &Path) -> Result<(), DatabaseErrorRepr> {
    connection::refuse_second_name(path)?;
    schema::inspect(path)
}

/// Begins a run in a transaction that is not committed yet.
fn begin(path: &Path, beginning: &Beginning) -> Result<Sqlite, DatabaseErrorRepr> {
    let connection = open::open_locked(path)?;
    connection.execute(
        "INSERT INTO runs (started, version, arguments) VALUES (?1, ?2, ?3)",
        params![
            timestamp(beginning.time).as_str(),
            env!("CARGO_PKG_VERSION"),
            escape(beginning.arguments.as_bytes())
        ],
    )?;
    let run = connection.last_insert_rowid();
    // Outcomes of a deleted run may still have the id that the new run has now.
    connection.execute("DELETE FROM outcomes WHERE run = ?1", [run])?;
    Ok(Sqlite::new(connection, run, 0, 0))
}

/// Resumes a run in a transaction that is not committed yet.
fn resume(path: &Path, run: i64, last: i64) -> Result<Sqlite, DatabaseErrorRepr> {
    let connection = open::open_locked(path)?;
    let resume = "UPDATE runs SET ended = NULL, version = ?2 WHERE id = ?1";
    if connection.execute(resume, params![run, env!("CARGO_PKG_VERSION")])? == 0 {
        return Err(DatabaseErrorRepr::NoSuchRun(run));
    }
    let query = "SELECT count(*) FROM outcomes WHERE id = ?1 AND run = ?2";
    if last != 0 && count(&connection, query, &[last, run])? == 0 {
        return Err(DatabaseErrorRepr::OutcomesMissing(run));
    }
    connection.execute(delete_after(last), [last, run])?;
    let written = count(&connection, COUNT_RUN, &[run])?;
    Ok(Sqlite::new(connection, run, last, written))
}

/// Returns the device and the inode of a file.
fn file_id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Empties the log if the file was removed or replaced: `SQLite` leaves the log of such a file there,
/// and another database of that name would take it for its own.
impl Drop for Sqlite {
    fn drop(&mut self) {
        let Some(path) = self.connection.path().map(Path::new) else { return };
        let found = path.metadata().ok().map(|found| file_id(&found));
        if self.file.is_some() && found != self.file {
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }
}

impl Sink for Sqlite {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.attempt(|sink| sink.insert(outcome))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Self::commit_if_due)
    }

    fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.attempt(|sink| sink.end(ending))
    }
}

impl ResumableSink for Sqlite {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.attempt(|sink| {
            sink.commit_synced()?;
            let fingerprint =
                identity::fingerprint(&sink.connection, sink.run, sink.last, sink.written)?;
            Ok(ResumePoint::Run { run: sink.run, last: sink.last, fingerprint })
        })
    }
}
