//! A database in which runs accumulate.
//!
//! Schema 2, also `PRAGMA user_version`; `PRAGMA application_id` is `port` in ASCII:
//!
//! | `runs` | |
//! |---|---|
//! | `id` | one more than that of the run before |
//! | `started`, `ended` | UTC, RFC 3339; `ended` is NULL while the run goes on, or when it was cut off |
//! | `version`, `arguments` | of the program that wrote to the run last; what the user asked for |
//! | `targets`, `open`, `closed`, `filtered`, `unresolved`, `unchecked`, `excluded`, `left` | the account, once the run has ended |
//!
//! | `outcomes` | |
//! |---|---|
//! | `id` | in the order in which they became known |
//! | `run` | `runs.id` |
//! | `position` | of the target in the order of the run, from 0 |
//! | `host`, `port`, … | the fields of a [`Row`] but for `schema`, under their names in JSON |
//!
//! What is absent is NULL, `open` is 0 or 1, lists are joined by spaces, and `evidence` is its
//! JSON. Text that a stranger chose is written as [`escape`] writes it, because whoever reads a
//! database shows it on a terminal as it is.
//!
//! Invariant: rows are committed whole batches at a time, in a pause or a second after they came;
//! whatever ends the process, what was committed stays, and a reader sees it while the run goes on.
//!
//! Invariant: an older schema is brought [up to date](schema) in the transaction in which a run
//! begins or is resumed, so a file has the whole of the old one or the whole of the new one.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rusqlite::{
    Connection, ErrorCode, ToSql, params,
    types::{ToSqlOutput, ValueRef},
};
use thiserror::Error;

use self::connection::PATIENCE;
use super::{
    Beginning, Ending, ResumePoint, Row, Sink,
    cells::{COLUMNS, Cell, cells},
    row::timestamp,
    text::{escape, is_plain},
};
use crate::{
    clock::{Clock, Instant},
    outcome::{Outcome, PortState},
};

pub(crate) mod connection;
mod identity;
pub(crate) mod schema;

/// Rows in one transaction at most, and the bytes that they take before it begins. They are gathered
/// here: a transaction keeps all others who write to the database waiting.
const BATCH_MAX: usize = 32_768;
const BATCH_BYTES: usize = 8 << 20;

/// How soon a log is asked for again while others are about to make one.
const LOG_RETRY: Duration = Duration::from_millis(10);

/// How long rows wait for their commit while more come. Targets come in no order, so each of them
/// changes a page of the index: a commit of 4,096 costs a row 11 µs, one of 65,536 4 µs.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Memory for pages, in KiB: the part of the index that a run of a million targets writes to.
const CACHE_KIB: i64 = 64 * 1024;

/// Columns of a row that a database has: the version of the fields goes for all of them.
const FIELDS: usize = COLUMNS.len() - 1;

/// Why a file can't be used as a database of outcomes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// It is something else, and was left alone.
    #[error("it is not a database of portmuster's; choose another file")]
    Foreign,
    /// A newer version of this program has written to it. It was left alone.
    #[error(
        "its schema is {found}, written by {}; this program ({}) knows up to {}: use {} or newer, \
         or choose another file",
        written_by.as_ref().map_or("a newer portmuster".into(), |it| format!("portmuster {it}")),
        env!("CARGO_PKG_VERSION"),
        schema::VERSION,
        written_by.as_ref().map_or("its version", |_| "that version"),
    )]
    Newer {
        /// The version of its schema.
        found: u32,
        /// The version of the program that began its latest run; `None` where it does not say.
        written_by: Option<String>,
    },
    /// It is marked as a database of this program's, and something else has changed its tables. It
    /// was left alone.
    #[error("it is not as portmuster has made it: {0}; choose another file")]
    Altered(String),
    /// Its file has another name (a hard link). `SQLite` keeps the log of a database beside the name by
    /// which it is opened, so runs that use different names lose each other's rows
    /// (<https://www.sqlite.org/howtocorrupt.html>).
    #[error(
        "its file has {0} names (hard links), and a database must have one, which its log is kept \
         beside; copy it, or choose another file"
    )]
    Linked(u64),
    /// Its file alone is mounted here, so that its log would be kept elsewhere.
    #[error("its file is mounted here without the log beside it; mount the folder that it is in")]
    Mounted,
    /// The run that was to go on is not in it.
    #[error("run {0} is not in it")]
    NoSuchRun(i64),
    /// The run that was to go on had outcomes that are not in it.
    #[error("run {0} had outcomes that are not in it any more")]
    Behind(i64),
    /// Something else has deleted outcomes of the run while it went on, or kept them out.
    #[error(
        "run {run} has {found} of the {written} outcomes that were written to it; something else \
         that uses the database has removed the others"
    )]
    Lost {
        /// The run.
        run: i64,
        /// Outcomes that it should have.
        written: u64,
        /// Outcomes that it has.
        found: u64,
    },
    /// Something else has cut its file while a run wrote to it.
    #[error("another program has cut its file from {from} bytes to {to}; it may be damaged")]
    Cut {
        /// The length of the file when it was last looked at, in bytes.
        from: u64,
        /// Its length now.
        to: u64,
    },
    /// Something else has cut or removed its log while a run wrote to it.
    #[error("another program has cut or removed its log, {}; rows are lost", .0.display())]
    CutLog(PathBuf),
    /// It can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Io(io_error(error))
    }
}

/// Writes outcomes to a database, as one run in it.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    insert: String,
    run: i64,
    /// The id of the latest outcome of this run; 0 where it has none.
    last: i64,
    /// Outcomes that the run has.
    written: u64,
    /// What both were at the latest checkpoint.
    checked: (i64, u64),
    /// Outcomes that are not written yet.
    waiting: Vec<Outcome>,
    /// Bytes that they take.
    waiting_bytes: usize,
    /// The length of the file when it was last looked at.
    length: u64,
    /// That of its log.
    log_length: u64,
    /// The time of the first of them.
    since: SystemTime,
    /// The time of the latest; `None` once it was flushed.
    unflushed: Option<SystemTime>,
    /// Something could not be written: the run stays one that was cut off.
    has_failed: bool,
}

impl Sqlite {
    /// Checks from its header that the file is empty, or a database of ours with a schema that this
    /// program knows. Changes nothing.
    ///
    /// # Errors
    /// It is neither, can't be read, or has more names than one.
    pub fn inspect(path: &Path) -> Result<(), DatabaseError> {
        connection::refuse_second_name(path)?;
        schema::inspect(path)
    }

    /// Begins another run in the database, which is made when the file is empty or not there.
    ///
    /// # Errors
    /// It is not ours, can't be written, or another program keeps it locked.
    pub fn begin(path: &Path, beginning: &Beginning) -> Result<Self, DatabaseError> {
        PreparedRun::begin(path, beginning)?.commit()
    }

    /// Goes on with a run from where it stood; outcomes that came later are deleted.
    ///
    /// # Errors
    /// As for [`Self::begin`], and where the run is not in it.
    pub fn resume(path: &Path, run: i64, last: i64) -> Result<Self, DatabaseError> {
        PreparedRun::resume(path, run, last)?.commit()
    }

    fn of(connection: Connection, run: i64, last: i64, written: u64) -> Self {
        Self {
            connection,
            insert: insertion(),
            run,
            last,
            written,
            checked: (last, written),
            waiting: Vec::new(),
            waiting_bytes: 0,
            length: 0,
            log_length: 0,
            since: SystemTime::UNIX_EPOCH,
            unflushed: None,
            has_failed: false,
        }
    }

    /// The run's id in the database.
    #[must_use]
    pub fn run(&self) -> i64 {
        self.run
    }

    /// Lets something be written; once that has failed, nothing is any more.
    fn attempt(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), DatabaseError>,
    ) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        write(self).map_err(|error| {
            self.has_failed = true;
            match error {
                DatabaseError::Io(error) => error,
                error => io::Error::other(error),
            }
        })
    }

    fn insert(&mut self, outcome: &Outcome) -> Result<(), DatabaseError> {
        if self.waiting.is_empty() {
            self.since = outcome.time;
        }
        self.unflushed = Some(outcome.time);
        self.waiting_bytes += outcome.size();
        self.waiting.push(outcome.clone());
        if self.waiting.len() == BATCH_MAX || self.waiting_bytes >= BATCH_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    fn insert_row(&mut self, outcome: &Outcome) -> Result<(), DatabaseError> {
        let mut insert = self.connection.prepare_cached(&self.insert)?;
        insert.raw_bind_parameter(1, self.run)?;
        insert.raw_bind_parameter(2, number(outcome.position))?;
        for (position, cell) in cells(&Row::from(outcome)).iter().skip(1).enumerate() {
            insert.raw_bind_parameter(position + 3, cell)?;
        }
        let taken = insert.raw_execute()?;
        self.written += 1;
        if taken != 1 {
            return Err(self.lost(self.written - 1));
        }
        self.last = self.connection.last_insert_rowid();
        Ok(())
    }

    /// Commits, unless more rows are coming and none has waited for long.
    fn commit_in_time(&mut self) -> Result<(), DatabaseError> {
        let is_pause = self.unflushed.is_none();
        let latest = self.unflushed.take().unwrap_or(self.since);
        let waited = latest.duration_since(self.since).unwrap_or_default();
        if is_pause || waited >= WAIT_MAX { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), DatabaseError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        self.check_lengths()?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for outcome in &waiting {
            self.insert_row(outcome)?;
        }
        self.connection.execute_batch("COMMIT")?;
        self.check_lengths()
    }

    /// Checks that nobody has cut the file or its log. The pages of a file do not get fewer by
    /// themselves. A log gets shorter when another program brings all of it to the file; that is
    /// rare, and whether it was so is seen from the file.
    fn check_lengths(&mut self) -> Result<(), DatabaseError> {
        let Some(path) = self.connection.path().map(Path::new) else { return Ok(()) };
        // One that was removed is whole as long as it is open.
        let Ok(length) = path.metadata().map(|found| found.len()) else { return Ok(()) };
        if length < self.length {
            return Err(DatabaseError::Cut { from: self.length, to: length });
        }
        let log = connection::log(path);
        let log_length = log.metadata().map(|found| found.len()).ok();
        let is_whole = || log_length.is_some() && connection::is_whole(path);
        if log_length.unwrap_or(0) < self.log_length && !is_whole() {
            return Err(DatabaseError::CutLog(log));
        }
        self.length = length;
        self.log_length = log_length.unwrap_or(0);
        Ok(())
    }

    fn lost(&self, found: u64) -> DatabaseError {
        DatabaseError::Lost { run: self.run, written: self.written, found }
    }

    /// Checks that the outcomes since the latest checkpoint are there.
    fn check_latest(&mut self) -> Result<(), DatabaseError> {
        let (last, written) = self.checked;
        let query = "SELECT count(*) FROM outcomes WHERE id > ?1 AND id <= ?2 AND +run = ?3";
        let found = count(&self.connection, query, &[last, self.last, self.run])?;
        if found != self.written - written {
            return Err(self.lost(written + found));
        }
        self.checked = (self.last, self.written);
        Ok(())
    }

    /// A commit for which the system is asked to write the whole log to the disk.
    fn commit_synced(&mut self) -> Result<(), DatabaseError> {
        self.commit()?;
        self.check_latest()?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // Something has to change, or there is nothing to sync.
        let sync = "UPDATE runs SET ended = ended WHERE id = ?1";
        if self.connection.execute(sync, [self.run])? == 0 {
            return Err(DatabaseError::NoSuchRun(self.run));
        }
        Ok(self.connection.pragma_update(None, "synchronous", "NORMAL")?)
    }

    fn end(&mut self, ending: &Ending) -> Result<(), DatabaseError> {
        self.commit()?;
        self.check_lengths()?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // Nobody deletes anything between the count and the end.
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let found = count(&self.connection, COUNT, &[self.run])?;
        if found != self.written {
            return Err(self.lost(found));
        }
        let account = &ending.account;
        let [open, closed, filtered, unresolved, unchecked] =
            PortState::ALL.map(|state| number(account.state(state)));
        let ended = self.connection.execute(
            "UPDATE runs SET ended = ?2, targets = ?3, open = ?4, closed = ?5, filtered = ?6,
                unresolved = ?7, unchecked = ?8, excluded = ?9, left = ?10 WHERE id = ?1",
            params![
                self.run,
                timestamp(ending.time).as_str(),
                number(ending.targets),
                open,
                closed,
                filtered,
                unresolved,
                unchecked,
                number(account.excluded),
                number(ending.left()),
            ],
        )?;
        if ended == 0 {
            return Err(DatabaseError::NoSuchRun(self.run));
        }
        Ok(self.connection.execute_batch("COMMIT")?)
    }
}

/// Counts the outcomes of a run.
const COUNT: &str = "SELECT count(*) FROM outcomes WHERE run = ?1";

fn count(connection: &Connection, query: &str, arguments: &[i64]) -> rusqlite::Result<u64> {
    let arguments = rusqlite::params_from_iter(arguments);
    let count: i64 = connection.query_row(query, arguments, |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// A run that begins, or goes on, as soon as it is [committed](Self::commit): all that could
/// prevent it has been looked at.
///
/// Until then nobody else can write to the database, and when this is dropped it has what it had.
#[derive(Debug)]
pub struct PreparedRun(Sqlite);

impl PreparedRun {
    /// Prepares another run in the database, whose schema is made when the file is empty or not
    /// there.
    ///
    /// # Errors
    /// As for [`Sqlite::begin`].
    pub fn begin(path: &Path, beginning: &Beginning) -> Result<Self, DatabaseError> {
        let connection = open_locked(path)?;
        connection.execute(
            "INSERT INTO runs (started, version, arguments) VALUES (?1, ?2, ?3)",
            params![
                timestamp(beginning.time).as_str(),
                env!("CARGO_PKG_VERSION"),
                escape(beginning.arguments.as_bytes())
            ],
        )?;
        let run = connection.last_insert_rowid();
        // A run that was deleted may have left outcomes with the id that is this one's now.
        connection.execute("DELETE FROM outcomes WHERE run = ?1", [run])?;
        Ok(Self(Sqlite::of(connection, run, 0, 0)))
    }

    /// Prepares a run to go on from where it stood; outcomes that came later are to be deleted.
    ///
    /// # Errors
    /// As for [`Sqlite::resume`].
    pub fn resume(path: &Path, run: i64, last: i64) -> Result<Self, DatabaseError> {
        let connection = open_locked(path)?;
        let resume = "UPDATE runs SET ended = NULL, version = ?2 WHERE id = ?1";
        if connection.execute(resume, params![run, env!("CARGO_PKG_VERSION")])? == 0 {
            return Err(DatabaseError::NoSuchRun(run));
        }
        let query = "SELECT count(*) FROM outcomes WHERE id = ?1 AND run = ?2";
        if last != 0 && count(&connection, query, &[last, run])? == 0 {
            return Err(DatabaseError::Behind(run));
        }
        connection.execute(deletion(last), [last, run])?;
        let written = count(&connection, COUNT, &[run])?;
        Ok(Self(Sqlite::of(connection, run, last, written)))
    }

    /// The number that a [`ResumePoint::Run`] of it would have.
    ///
    /// # Errors
    /// It can't be read.
    pub fn fingerprint(&self) -> Result<u64, DatabaseError> {
        let Sqlite { connection, run, last, .. } = &self.0;
        Ok(identity::fingerprint(connection, *run, *last)?)
    }

    /// Makes it a run of the database.
    ///
    /// # Errors
    /// It could not be written; the database has what it had.
    pub fn commit(mut self) -> Result<Sqlite, DatabaseError> {
        self.0.connection.execute_batch("COMMIT")?;
        connection::lift_limit(&mut self.0.connection)?;
        Ok(self.0)
    }
}

/// The statement that deletes the outcomes of a run that came after this one. A plus keeps it from
/// the way on which it would pass by all that stays: through the index by the outcomes of this run,
/// and where it has none, by the ids those of all others.
fn deletion(last: i64) -> &'static str {
    match last {
        0 => "DELETE FROM outcomes WHERE +id > ?1 AND run = ?2",
        _ => "DELETE FROM outcomes WHERE id > ?1 AND +run = ?2",
    }
}

impl Sink for Sqlite {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.attempt(|sink| sink.insert(outcome))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Self::commit_in_time)
    }

    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.attempt(Self::commit_synced)?;
        let mut fingerprint = 0;
        self.attempt(|sink| {
            fingerprint = identity::fingerprint(&sink.connection, sink.run, sink.last)?;
            Ok(())
        })?;
        Ok(ResumePoint::Run { run: self.run, last: self.last, fingerprint })
    }

    fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.attempt(|sink| sink.end(ending))
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Empty => ValueRef::Null,
            Self::Truth(truth) => ValueRef::Integer((*truth).into()),
            Self::Number(number) => ValueRef::Integer((*number).into()),
            Self::Time(time) => ValueRef::Real(*time),
            Self::Word(word) => ValueRef::Text(word.as_bytes()),
            Self::Json(json) => ValueRef::Text(json.as_bytes()),
            Self::Spelled(text) => ValueRef::Text(text.as_bytes()),
            Self::Text(text) if is_plain(text) => ValueRef::Text(text.as_bytes()),
            Self::Text(text) => return Ok(escape(text.as_bytes()).into()),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// A count as the database has it; what is beyond the largest is the largest.
fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Opens the database, with a schema and a log.
fn open(path: &Path) -> Result<Connection, DatabaseError> {
    match schema::inspect(path) {
        Err(DatabaseError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        inspected => inspected?,
    }
    let mut connection = connection::open_to_write(path)?;
    if schema::version(&connection)? == 0 {
        schema::create(&mut connection)?;
    }
    // Before anything is changed; what is missing is added once nobody else can write.
    schema::missing(&connection)?;
    schema::check_changes_nothing(&connection)?;
    // Readers wait for nobody, and a commit is one write to the log.
    begin_log(&connection)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Lets the database have a log. The database library does not wait for others who are about to do
/// the same.
fn begin_log(connection: &Connection) -> rusqlite::Result<()> {
    let clock = Clock::start();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && clock.now() < Instant::START.after(PATIENCE) =>
            {
                let _ = crossbeam_channel::after(LOG_RETRY).recv();
            }
            begun => return begun,
        }
    }
}

/// Opens the database in a transaction that nobody else can come between, in which it has this
/// version's schema. It is undone when the connection is closed before it is committed.
fn open_locked(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = open(path)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    schema::upgrade(&connection)?;
    Ok(connection)
}

/// The statement with which outcomes are written: run and position, then the fields.
fn insertion() -> String {
    let places = "?, ".repeat(FIELDS);
    let fields = COLUMNS[1..].join(", ");
    format!("INSERT INTO outcomes (run, position, {fields}) VALUES ({places}?, ?)")
}

fn io_error(error: rusqlite::Error) -> io::Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("another program has kept the database locked for {} s", PATIENCE.as_secs()),
        ),
        Some(ErrorCode::DiskFull) => {
            io::Error::new(io::ErrorKind::StorageFull, "the database or the disk is full")
        }
        // Nothing but the limit of steps interrupts.
        Some(ErrorCode::OperationInterrupted) => io::Error::new(
            io::ErrorKind::InvalidData,
            "it is damaged: reading it takes more steps than it has room for",
        ),
        _ => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::StatementStatus;
    use tempfile::TempDir;

    use super::*;
    use crate::{
        outcome::{Account, Reason},
        sink::samples,
    };

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(TempDir::new().expect("there is room for a folder"))
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("audit.db")
        }

        fn begin(&self) -> Sqlite {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
            let beginning = Beginning { time, arguments: "portmuster check x".into() };
            Sqlite::begin(&self.file(), &beginning).expect("it is a database")
        }

        /// Adds a whole run with so many rows.
        fn add_run(&self, rows: u32) {
            let mut sink = self.begin();
            write(&mut sink, rows);
            sink.finish(&ending()).expect("there is room");
        }

        /// What another program reads.
        fn read<T: rusqlite::types::FromSql>(&self, query: &str) -> Vec<T> {
            let database = Connection::open(self.file()).expect("it can be opened");
            let mut query = database.prepare(query).expect("it has the columns");
            let rows = query.query_map([], |row| row.get(0)).expect("it can be read");
            rows.map(|row| row.expect("it is of this type")).collect()
        }

        fn count(&self) -> u32 {
            self.read("SELECT count(*) FROM outcomes")[0]
        }
    }

    fn ending() -> Ending {
        Ending { account: Account::default(), targets: 3, time: SystemTime::UNIX_EPOCH }
    }

    fn refused() -> Outcome {
        samples::not_open(PortState::Closed, Reason::Refused)
    }

    fn write(sink: &mut Sqlite, rows: u32) {
        for _ in 0..rows {
            sink.write(&refused()).expect("there is room");
        }
    }

    #[test]
    fn runs_that_gather_rows_keep_nobody_waiting() {
        let folder = Folder::new();
        let mut sinks = [folder.begin(), folder.begin()];
        for _ in 0..3 {
            for sink in &mut sinks {
                write(sink, 1);
            }
            for sink in &mut sinks {
                sink.checkpoint().expect("nobody writes");
                write(sink, 1);
            }
        }
        for sink in &mut sinks {
            sink.finish(&ending()).expect("nobody writes");
        }
        assert_eq!(folder.count(), 12);
    }

    #[test]
    fn runs_that_make_one_database_at_the_same_time_wait_for_each_other() {
        for _ in 0..50 {
            let folder = Folder::new();
            let begin = || {
                let mut sink = folder.begin();
                write(&mut sink, 1);
                sink.finish(&ending()).expect("there is room");
            };
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(begin);
                }
            });
            assert_eq!(folder.count(), 4);
        }
    }

    #[test]
    fn what_a_deleted_run_has_left_is_no_part_of_the_next() {
        let folder = Folder::new();
        folder.add_run(5);
        let database = Connection::open(folder.file()).expect("it can be opened");
        database.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM runs").expect("it has one");
        let mut sink = folder.begin();
        for _ in 0..2 {
            write(&mut sink, 1);
            sink.checkpoint().expect("nobody has deleted anything of this run");
        }
        sink.finish(&ending()).expect("there is room");
        assert_eq!(folder.count(), 2);
    }

    #[test]
    fn a_file_that_is_cut_in_mid_run_is_noticed() {
        let folder = Folder::new();
        folder.add_run(100);
        for is_at_the_end in [false, true] {
            let mut sink = folder.begin();
            write(&mut sink, 1);
            sink.checkpoint().expect("there is room");
            let file = fs::File::options().write(true).open(folder.file()).expect("it is there");
            let whole = file.metadata().expect("it is open").len();
            file.set_len(whole - 4096).expect("it can be cut");
            if !is_at_the_end {
                write(&mut sink, 1);
            }
            let error = sink.finish(&ending()).expect_err("it is damaged");
            assert!(error.to_string().starts_with("another program has cut its file"), "{error}");
            file.set_len(whole).expect("it can grow");
        }
    }

    #[test]
    fn a_log_that_is_cut_in_mid_run_is_noticed() {
        let cut = |log: &Path| fs::File::create(log).map(drop);
        let remove = |log: &Path| fs::remove_file(log);
        let damages: [fn(&Path) -> io::Result<()>; 2] = [cut, remove];
        for (damage, more) in damages.into_iter().flat_map(|damage| [(damage, 1), (damage, 0)]) {
            let folder = Folder::new();
            let mut sink = folder.begin();
            write(&mut sink, 100);
            sink.checkpoint().expect("there is room");
            damage(&connection::log(&folder.file())).expect("it is there");
            write(&mut sink, more);
            let error = sink.finish(&ending()).expect_err("rows are lost");
            assert!(error.to_string().starts_with("another program has cut or rem"), "{error}");
        }
    }

    #[test]
    fn a_log_that_another_program_brings_to_the_file_is_no_loss() {
        let folder = Folder::new();
        let mut sink = folder.begin();
        for _ in 0..2 {
            write(&mut sink, 100);
            sink.checkpoint().expect("there is room");
            assert_eq!(folder.read::<i64>("PRAGMA wal_checkpoint(TRUNCATE)"), [0]);
            assert_eq!(connection::log(&folder.file()).metadata().expect("it is there").len(), 0);
        }
        sink.finish(&ending()).expect("nothing is lost");
        assert_eq!(folder.count(), 200);
    }

    #[test]
    fn runs_accumulate() {
        let folder = Folder::new();
        for run in 1..=3 {
            let mut sink = folder.begin();
            assert_eq!(sink.run(), run);
            sink.write(&samples::everything()).expect("there is room");
            sink.finish(&ending()).expect("there is room");
        }
        assert_eq!(folder.read::<i64>("SELECT run FROM outcomes"), [1, 2, 3]);
        assert_eq!(folder.read::<i64>("SELECT left FROM runs"), [3, 3, 3]);
        let times: [String; 3] = folder
            .read(
                "SELECT DISTINCT started || ' ' || ended || ' ' || version FROM runs WHERE id = 3
                UNION ALL SELECT arguments FROM runs WHERE id = 1
                UNION ALL SELECT group_concat(ended, ' ') FROM runs WHERE ended IS NULL OR id = 2",
            )
            .try_into()
            .expect("three rows");
        assert!(times[0].starts_with("2026-11-18T11:06:40.000Z 1970-01-01T00:00:00.000Z 0."));
        assert_eq!(times[1..], ["portmuster check x", "1970-01-01T00:00:00.000Z"]);
    }

    #[test]
    fn every_field_has_its_column() {
        let folder = Folder::new();
        let mut sink = folder.begin();
        sink.write(&samples::everything()).expect("there is room");
        pause(&mut sink);
        for (column, expected) in [
            ("host", "db.example"),
            ("kex_algorithms", "kex-a kex-b"),
            ("telnet_options", "will echo do terminal-type"),
            ("label", "core, \"sw1\""),
            ("rule", "identification"),
            ("evidence ->> '$.parts[0].side'", "server"),
            ("typeof(connect_ms) || typeof(open) || typeof(position)", "realintegerinteger"),
        ] {
            assert_eq!(
                folder.read::<String>(&format!("SELECT {column} FROM outcomes")),
                [expected]
            );
        }
    }

    #[test]
    fn a_strangers_text_is_harmless_on_a_terminal() {
        let folder = Folder::new();
        let mut sink = folder.begin();
        sink.write(&samples::open(b"a\x1b[2J\0b\\", None)).expect("there is room");
        pause(&mut sink);
        assert_eq!(folder.read::<String>("SELECT banner FROM outcomes"), ["a\\x1b[2J\\x00b\\\\"]);
    }

    #[test]
    fn identification_that_is_not_utf8_is_spelled_as_in_every_format() {
        let folder = Folder::new();
        let mut sink = folder.begin();
        sink.write(&samples::no_utf8()).expect("there is room");
        pause(&mut sink);
        let said = folder.read::<String>("SELECT ssh_software || ' ' || ssh_comment FROM outcomes");
        assert_eq!(said, [r"Caf\xe9_1.2\\x =\xff \x1b[2J"]);
    }

    /// What the program does in a pause.
    fn pause(sink: &mut Sqlite) {
        sink.flush().and_then(|()| sink.flush()).expect("there is room");
    }

    #[test]
    fn rows_are_seen_while_the_run_goes_on_and_stay() {
        let folder = Folder::new();
        let mut sink = folder.begin();
        sink.write(&refused()).expect("there is room");
        sink.flush().expect("there is room");
        assert_eq!(folder.count(), 0);
        sink.flush().expect("there is room");
        assert_eq!(folder.count(), 1);
        sink.write(&refused()).expect("there is room");
        sink.flush().expect("there is room");
        let mut later = refused();
        later.time += WAIT_MAX;
        sink.write(&later).expect("there is room");
        assert_eq!(folder.count(), 1);
        sink.flush().expect("there is room");
        assert_eq!(folder.count(), 3);
        sink.write(&refused()).expect("there is room");
        drop(sink);
        assert_eq!(folder.count(), 3);
        assert_eq!(folder.read::<Option<String>>("SELECT ended FROM runs"), [None]);
    }

    #[test]
    fn batches_are_bounded() {
        let folder = Folder::new();
        let mut sink = folder.begin();
        for _ in 0..=BATCH_MAX {
            sink.write(&refused()).expect("there is room");
        }
        assert_eq!(usize::try_from(folder.count()), Ok(BATCH_MAX));
    }

    #[test]
    fn a_run_goes_on_from_its_mark_and_leaves_others_alone() {
        let folder = Folder::new();
        let (mut ours, mut other) = (folder.begin(), folder.begin());
        ours.write(&refused()).expect("there is room");
        let mark = ours.checkpoint().expect("there is room");
        assert!(matches!(mark, ResumePoint::Run { run: 1, last: 1, .. }), "{mark:?}");
        for sink in [&mut ours, &mut other] {
            sink.write(&refused()).expect("there is room");
            pause(sink);
        }
        drop(ours);
        let mut ours = Sqlite::resume(&folder.file(), 1, 1).expect("the run is there");
        assert_eq!(folder.read::<i64>("SELECT run FROM outcomes ORDER BY run"), [1, 2]);
        ours.write(&refused()).expect("there is room");
        ours.finish(&ending()).expect("there is room");
        assert_eq!(folder.read::<i64>("SELECT run FROM outcomes ORDER BY run"), [1, 1, 2]);
        let error = Sqlite::resume(&folder.file(), 3, 1).expect_err("it has two runs");
        assert_eq!(error.to_string(), "run 3 is not in it");
    }

    #[test]
    fn a_run_that_was_prepared_and_not_committed_leaves_no_trace() {
        let folder = Folder::new();
        folder.add_run(2);
        let state = || {
            folder.read::<String>(
                "SELECT group_concat(id || ' ' || ended) || (SELECT count(*) FROM outcomes) FROM runs",
            )
        };
        let before = state();
        let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments: String::new() };
        drop(PreparedRun::begin(&folder.file(), &beginning).expect("it is a database"));
        drop(PreparedRun::resume(&folder.file(), 1, 1).expect("the run is there"));
        assert_eq!(state(), before);
        let prepared = PreparedRun::resume(&folder.file(), 1, 1).expect("the run is there");
        assert_eq!(state(), before, "others don't see it yet");
        drop(prepared.commit().expect("there is room"));
        assert_eq!(folder.count(), 1);
    }

    /// In steps of the database's machine, which are the same at every speed.
    #[test]
    fn what_earlier_runs_have_makes_it_no_slower_to_go_on() {
        let steps = |earlier: u32, rows: u32| {
            let folder = Folder::new();
            folder.add_run(earlier);
            let mut ours = folder.begin();
            write(&mut ours, rows);
            let ResumePoint::Run { run, last, .. } = ours.checkpoint().expect("there is room")
            else {
                panic!("it is a database")
            };
            assert_eq!(last > 0, rows > 0);
            write(&mut ours, 3);
            pause(&mut ours);
            let mut delete = ours.connection.prepare(deletion(last)).expect("it is SQL");
            assert_eq!(delete.execute([last, run]).expect("there is room"), 3);
            delete.get_status(StatementStatus::VmStep)
        };
        for rows in [0, 5] {
            assert_eq!(steps(500, rows), steps(2, rows), "{rows}");
        }
        assert_eq!(steps(2, 500), steps(2, 5), "nor what this run has");
    }

    #[test]
    fn a_run_goes_on_that_had_no_outcome_at_its_mark() {
        let folder = Folder::new();
        folder.add_run(1);
        let mut ours = folder.begin();
        let mark = ours.checkpoint().expect("there is room");
        assert!(matches!(mark, ResumePoint::Run { run: 2, last: 0, .. }), "{mark:?}");
        ours.write(&refused()).expect("there is room");
        pause(&mut ours);
        drop(ours);
        // What was in it before may have gone, so that ours takes its ids.
        for runs in [&[1][..], &[]] {
            drop(Sqlite::resume(&folder.file(), 2, 0).expect("the run is there"));
            assert_eq!(folder.read::<i64>("SELECT run FROM outcomes"), runs);
            let database = Connection::open(folder.file()).expect("it can be opened");
            database.execute("DELETE FROM outcomes", []).expect("nobody holds it");
            let mut ours = Sqlite::resume(&folder.file(), 2, 0).expect("the run is there");
            ours.write(&refused()).expect("there is room");
            ours.finish(&ending()).expect("there is room");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_left_as_it_is() {
        let other = Folder::new();
        let database = Connection::open(other.file()).expect("there is room");
        database.execute_batch("CREATE TABLE x (y); PRAGMA user_version = 1").expect("it is SQL");
        drop(database);
        let newer = Folder::new();
        drop(newer.begin());
        let database = Connection::open(newer.file()).expect("it is a database");
        database.execute_batch("PRAGMA user_version = 7").expect("it is SQL");
        drop(database);
        let text = Folder::new();
        fs::write(text.file(), "a list").expect("there is room");
        for (folder, complaint) in [
            (other, "not a database of portmuster's"),
            (text, "not a database of portmuster's"),
            (newer, "its schema is 7, written by portmuster 0."),
        ] {
            let before = fs::read(folder.file()).expect("it is there");
            let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments: String::new() };
            let error = Sqlite::begin(&folder.file(), &beginning).expect_err("it is not ours");
            assert!(error.to_string().contains(complaint), "{error}");
            assert_eq!(fs::read(folder.file()).expect("it is there"), before);
            assert_eq!(fs::read_dir(folder.0.path()).expect("it is there").count(), 1);
        }
    }

    #[test]
    fn a_full_disk_leaves_what_was_committed_and_a_run_that_was_cut_off() {
        let folder = Folder::new();
        let mut sink = folder.begin();
        sink.write(&refused()).expect("there is room");
        pause(&mut sink);
        sink.connection.pragma_update(None, "max_page_count", 1).expect("it is a limit");
        let failed = (0..10_000)
            .find_map(|_| sink.write(&refused()).and_then(|()| sink.attempt(Sqlite::commit)).err());
        assert_eq!(failed.expect("it is full").kind(), io::ErrorKind::StorageFull);
        sink.write(&refused()).expect("it is passed over");
        sink.finish(&ending()).expect("it is passed over");
        drop(sink);
        assert!(folder.count() > 0);
        assert_eq!(folder.read::<Option<String>>("SELECT ended FROM runs"), [None]);
    }
}
