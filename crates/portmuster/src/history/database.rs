//! Reads a run from a database that [`Sqlite`](crate::sink::Sqlite) has written.
//!
//! Invariant: the database is not changed.

use std::{net::IpAddr, path::Path, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use rusqlite::{
    Connection, OptionalExtension, Row,
    types::{FromSqlError, ValueRef},
};
use thiserror::Error;

use super::{run_results::RunResults, target_result::TargetResult};
use crate::{
    outcome::PortState,
    sink::{
        DatabaseErrorKind, DatabaseErrorRepr, inspect, open_read_only,
        schema::{self, ExpectedColumn},
        unescape,
    },
};

/// The columns of a run that are read, among those that may be NULL.
const READ_RUN_COLUMNS: [&str; 7] =
    ["ended", "open", "closed", "filtered", "unresolved", "unchecked", "left"];

/// The column of an outcome that is read if the database has it.
const HOST_KEYS: &str = "host_keys";

/// The columns of an outcome that are read. Every schema version has them.
const READ_COLUMNS: [&str; 15] = [
    "id",
    "host",
    "port",
    "address",
    "state",
    "reason",
    "service",
    "banner",
    "banner_base64",
    "ssh_protocol",
    "ssh_software",
    "ssh_comment",
    "kex_algorithms",
    "protocol",
    "findings",
];

/// Selects a run of a database, by its id or by its age.
///
/// ```
/// use portmuster::history::RunChoice;
///
/// assert_eq!("7".parse(), Ok(RunChoice::Id(7)));
/// assert_eq!("last".parse(), Ok(RunChoice::BeforeLast(0)));
/// assert_eq!("-2".parse(), Ok(RunChoice::BeforeLast(1)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunChoice {
    /// The run with this id.
    Id(i64),
    /// The run that precedes the last one by this number of runs.
    BeforeLast(u32),
}

impl FromStr for RunChoice {
    type Err = UnknownChoice;

    /// Parses `last`, `-1` (the last), `-2` (the one before) …, or an id.
    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text.strip_prefix('-') {
            None if text == "last" => Ok(Self::BeforeLast(0)),
            None => text.parse().ok().filter(|&id| id > 0).map(Self::Id).ok_or(UnknownChoice),
            Some(back) => {
                let back: Option<u32> = back.parse().ok();
                back.and_then(|back| back.checked_sub(1)).map(Self::BeforeLast).ok_or(UnknownChoice)
            }
        }
    }
}

/// The error for a text that does not name a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a run is last, -1 (the last), -2 (the one before) …, or its id")]
#[non_exhaustive]
pub struct UnknownChoice;

/// A run that was read from a database.
#[derive(Debug)]
#[non_exhaustive]
pub struct StoredRun {
    /// The results; [partial](RunResults::is_partial) unless the run has ended with no targets left, and
    /// with rows for all open ports.
    pub results: RunResults,
    /// The id of the run.
    pub id: i64,
    /// Whether the run has ended. Otherwise it is still going on, or was killed.
    pub has_ended: bool,
    /// Number of targets that it did not check.
    pub left: u64,
    /// When it began: RFC 3339, UTC, as the run recorded it.
    pub started: String,
}

/// Why a run cannot be read from a database.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct StoredRunError(#[from] StoredRunErrorRepr);

impl StoredRunError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> StoredRunErrorKind {
        match &self.0 {
            StoredRunErrorRepr::Database(error) => StoredRunErrorKind::Database(error.kind()),
            StoredRunErrorRepr::NoSuchId { .. } | StoredRunErrorRepr::TooFew { .. } => {
                StoredRunErrorKind::NoSuchRun
            }
            StoredRunErrorRepr::MissingRows { .. } => StoredRunErrorKind::MissingRows,
            StoredRunErrorRepr::Row { .. } => StoredRunErrorKind::Row,
        }
    }
}

/// The kinds of a [`StoredRunError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoredRunErrorKind {
    /// The database cannot be read.
    Database(DatabaseErrorKind),
    /// The database does not have the requested run.
    NoSuchRun,
    /// The run has ended, and the database has fewer of its rows than the run has counted.
    MissingRows,
    /// A row cannot be read.
    Row,
}

/// The causes of a [`StoredRunError`], with what its text says.
#[derive(Debug, Error)]
pub(super) enum StoredRunErrorRepr {
    #[error(transparent)]
    Database(#[from] DatabaseErrorRepr),
    #[error("no run {id}: {runs}")]
    NoSuchId { id: i64, runs: Runs },
    /// The database has fewer runs than requested.
    #[error("no run #-{}: {runs}", before_last + 1)]
    TooFew { before_last: u32, runs: Runs },
    /// The run has ended with more targets in this state than it has rows.
    #[error(
        "run {id} is damaged: of its {counted} rows of {state} targets the database has {found}; \
         another program has removed the others"
    )]
    MissingRows { id: i64, state: PortState, counted: u64, found: u64 },
    #[error("cannot read row {id}: {reason}")]
    Row { id: i64, reason: String },
}

/// The number of runs in a database, and the ids of the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Runs {
    count: i64,
    first: i64,
    last: i64,
}

impl std::fmt::Display for Runs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, first, last } = self;
        match count {
            0 => formatter.write_str("the database has no runs"),
            1 => write!(formatter, "the database has one run, {first}"),
            _ => write!(formatter, "the database has {count} runs, {first} to {last}"),
        }
    }
}

impl From<rusqlite::Error> for StoredRunErrorRepr {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Reads a run from a database.
///
/// A run that has ended must have a row for each target that its sums count; if its command line has
/// `--show`, for each target in a state that it names. A run that does not show all open ports is
/// [partial](RunResults::is_partial), because a missing row then says nothing about its target.
///
/// # Errors
/// The file is not a portmuster database, lacks the run or rows of it, or cannot be read.
pub fn read_run(
    database: impl AsRef<Path>,
    choice: RunChoice,
) -> Result<StoredRun, StoredRunError> {
    Ok(read_stored(database.as_ref(), choice)?)
}

fn read_stored(database: &Path, choice: RunChoice) -> Result<StoredRun, StoredRunErrorRepr> {
    let (mut results, ending) = in_run(database, choice, read_rows)?;
    let StoredEnding { id, has_ended, left, .. } = ending;
    let started = ending.started.clone();
    if !has_ended || left > 0 || !ending.shown.contains(&PortState::Open) {
        results.set_partial();
    }
    Ok(StoredRun { results, id, has_ended, left, started })
}

/// Reads the run with `read`, which gets its id and counts its rows by state. Returns the value, and how
/// the run has ended.
pub(super) fn in_run<T>(
    database: &Path,
    choice: RunChoice,
    read: impl FnOnce(&Connection, i64) -> Result<(T, StateCounts), StoredRunErrorRepr>,
) -> Result<(T, StoredEnding), StoredRunErrorRepr> {
    inspect(database)?;
    let mut connection = open_read_only(database)?;
    // The transaction gives a consistent view, although the run may still be going on.
    let view = connection.transaction()?;
    let runs = if schema::version(&view)? == 0 {
        Runs { count: 0, first: 0, last: 0 }
    } else {
        check_columns(&view)?;
        runs(&view)?
    };
    let ending = match choice {
        _ if runs.count == 0 => None,
        RunChoice::Id(id) => select_run(&view, "WHERE id = ?1", id)?,
        RunChoice::BeforeLast(back) => {
            select_run(&view, "ORDER BY id DESC LIMIT 1 OFFSET ?1", back.into())?
        }
    }
    .ok_or(match choice {
        RunChoice::Id(id) => StoredRunErrorRepr::NoSuchId { id, runs },
        RunChoice::BeforeLast(before_last) => StoredRunErrorRepr::TooFew { before_last, runs },
    })?;
    let (value, found) = read(&view, ending.id)?;
    ending.check_rows(found)?;
    Ok((value, ending))
}

/// Checks that the database has all columns that are read. Every schema version has them.
fn check_columns(connection: &Connection) -> Result<(), DatabaseErrorRepr> {
    let missing = schema::missing_columns(connection)?;
    let is_read = |it: &&ExpectedColumn| match it.table {
        "runs" => READ_RUN_COLUMNS.contains(&it.column),
        _ => READ_COLUMNS.contains(&it.column),
    };
    missing.iter().find(is_read).map_or(Ok(()), |missing| Err(missing.missing_error()))
}

fn runs(connection: &Connection) -> rusqlite::Result<Runs> {
    let query = "SELECT count(*), coalesce(min(id), 0), coalesce(max(id), 0) FROM runs";
    connection.query_row(query, [], |row| {
        Ok(Runs { count: row.get(0)?, first: row.get(1)?, last: row.get(2)? })
    })
}

/// Numbers of rows by state, in the order of [`PortState::ALL`].
pub(super) type StateCounts = [u64; PortState::ALL.len()];

/// How a run has ended, as its row in the database says.
pub(super) struct StoredEnding {
    pub(super) id: i64,
    pub(super) has_ended: bool,
    /// Number of targets that it did not check.
    pub(super) left: u64,
    /// When it began.
    started: String,
    /// Number of targets that it has counted; 0 until it ends.
    counted: StateCounts,
    /// The states all of whose targets have rows.
    shown: Vec<PortState>,
}

impl StoredEnding {
    /// Checks that no row is missing.
    fn check_rows(&self, found: StateCounts) -> Result<(), StoredRunErrorRepr> {
        for state in PortState::ALL {
            let (counted, found) = (self.counted[state as usize], found[state as usize]);
            if found < counted && self.shown.contains(&state) {
                return Err(StoredRunErrorRepr::MissingRows { id: self.id, state, counted, found });
            }
        }
        Ok(())
    }
}

/// Selects a run.
fn select_run(
    connection: &Connection,
    which: &str,
    argument: i64,
) -> rusqlite::Result<Option<StoredEnding>> {
    let query = format!(
        "SELECT id, ended IS NOT NULL, coalesce(\"left\", 0), arguments,
            coalesce(open, 0), coalesce(closed, 0), coalesce(filtered, 0), coalesce(unresolved, 0),
            coalesce(unchecked, 0), started FROM runs {which}"
    );
    let read = |row: &Row<'_>| {
        let count = |column| row.get(column).map(i64::unsigned_abs);
        let mut counted = StateCounts::default();
        for (column, counted) in (4..).zip(&mut counted) {
            *counted = count(column)?;
        }
        Ok(StoredEnding {
            id: row.get(0)?,
            has_ended: row.get(1)?,
            left: count(2)?,
            started: row.get(9)?,
            counted,
            shown: shown_states(&row.get::<_, String>(3)?),
        })
    };
    connection.query_row(&query, [argument], read).optional()
}

/// Returns the states all of whose targets have rows, according to the command line of a run.
fn shown_states(arguments: &str) -> Vec<PortState> {
    let mut words = arguments.split(' ');
    let mut shown = Vec::new();
    while let Some(word) = words.next() {
        let value = match word {
            "--show" => words.next(),
            _ => word.strip_prefix("--show="),
        };
        shown.extend(value.into_iter().flat_map(|value| value.split(',')));
    }
    let is_shown = |state: &PortState| shown.contains(&state.name());
    let shows_all = shown.is_empty() || shown.contains(&"all");
    PortState::ALL.into_iter().filter(|state| shows_all || is_shown(state)).collect()
}

/// Reads the rows of a run, and counts them by state.
fn read_rows(
    connection: &Connection,
    id: i64,
) -> Result<(RunResults, StateCounts), StoredRunErrorRepr> {
    let existing = schema::existing_columns(connection, "outcomes")?;
    let has_keys = existing.iter().any(|column| column.name.eq_ignore_ascii_case(HOST_KEYS));
    let host_keys = if has_keys { HOST_KEYS } else { "NULL" };
    let columns: Vec<_> = READ_COLUMNS.into_iter().chain([host_keys]).collect();
    let mut results = RunResults::new();
    let counts = for_each_row(connection, id, &columns, |row| add_row(&mut results, row))?;
    Ok((results, counts))
}

/// Calls `read` with each row of a run, and counts the rows by the state that it returns. The first of the
/// columns must be the id.
pub(super) fn for_each_row(
    connection: &Connection,
    id: i64,
    columns: &[&str],
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<PortState>,
) -> Result<StateCounts, StoredRunErrorRepr> {
    let IndexedRows { first, last, count: indexed } = indexed_rows(connection, id)?;
    // The rows of a run are adjacent, unless runs were concurrent. This reads them in the order of
    // the file; by the index, each would be on another page.
    let mut query = connection.prepare(&format!(
        "SELECT {} FROM outcomes WHERE id BETWEEN ?2 AND ?3 AND +run = ?1 ORDER BY id",
        columns.join(", ")
    ))?;
    let (run, mut found) = (id, 0);
    let (mut rows, mut previous) = (query.query([id, first, last])?, i64::MIN);
    let mut counts = StateCounts::default();
    let mut remaining = size(connection)?;
    while let Some(row) = rows.next()? {
        let error = |id, reason: &str| StoredRunErrorRepr::Row { id, reason: reason.to_owned() };
        let id = row.get(0)?;
        // Pages of a damaged file may refer to each other in a cycle, so that the rows never end.
        if id <= previous {
            return Err(error(id, "the database is damaged: its id is out of order"));
        }
        previous = id;
        remaining = remaining.checked_sub(length(row, columns.len())?).ok_or_else(|| {
            error(id, "the database is damaged: its rows are longer than its file")
        })?;
        let state = read(row).map_err(|reason| error(id, &reason.to_string()))?;
        counts[state as usize] += 1;
        found += 1;
    }
    if found != indexed {
        return Err(DatabaseErrorRepr::DamagedIndex { run, indexed, found }.into());
    }
    Ok(counts)
}

/// The rows of a run according to the index, which finds them among those of other runs.
struct IndexedRows {
    /// The ids of the first and the last row.
    first: i64,
    last: i64,
    count: u64,
}

fn indexed_rows(connection: &Connection, run: i64) -> rusqlite::Result<IndexedRows> {
    let query =
        "SELECT coalesce(min(id), 0), coalesce(max(id), -1), count(*) FROM outcomes WHERE run = ?1";
    connection.query_row(query, [run], |row| {
        let count: i64 = row.get(2)?;
        Ok(IndexedRows { first: row.get(0)?, last: row.get(1)?, count: count.unsigned_abs() })
    })
}

/// Returns the size of the database, in bytes.
fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(number("page_count")?.unsigned_abs().saturating_mul(number("page_size")?.unsigned_abs()))
}

/// Returns the length of the texts in a row with so many columns, in bytes.
fn length(row: &Row<'_>, columns: usize) -> rusqlite::Result<u64> {
    (0..columns).try_fold(0, |sum, column| {
        Ok(sum
            + row.get_ref(column)?.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len) as u64)
    })
}

/// Adds a row to the results, and returns its state.
fn add_row(results: &mut RunResults, row: &Row<'_>) -> rusqlite::Result<PortState> {
    let state = state(row, 4)?;
    let result = TargetResult {
        state,
        reason: row.get(5)?,
        service: row.get(6)?,
        banner: banner(row)?,
        ssh_protocol: text(row, 9)?,
        ssh_software: text(row, 10)?,
        ssh_comment: text(row, 11)?,
        protocol: text(row, 13)?,
        has_kex_init: !matches!(row.get_ref(12)?, ValueRef::Null),
        findings: match row.get_ref(14)?.as_str_or_null()? {
            Some(names) => names.split_whitespace().map(Into::into).collect(),
            None => Box::default(),
        },
        host_keys: match row.get_ref(15)?.as_str_or_null()? {
            Some(json) => serde_json::from_str(json).map_err(FromSqlError::other)?,
            None => Box::default(),
        },
    };
    let address: Option<IpAddr> = match row.get_ref(3)?.as_str_or_null()? {
        Some(address) => Some(address.parse().map_err(|_| FromSqlError::InvalidType)?),
        None => None,
    };
    let host = text(row, 1)?.ok_or(FromSqlError::InvalidType)?;
    results.add_result(&host, row.get(2)?, address, result);
    Ok(state)
}

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<PortState> {
    let name = row.get_ref(column)?.as_str()?;
    let state = PortState::ALL.into_iter().find(|state| state.name() == name);
    Ok(state.ok_or(FromSqlError::InvalidType)?)
}

fn banner(row: &Row<'_>) -> rusqlite::Result<Box<[u8]>> {
    if let Some(banner) = row.get_ref(7)?.as_str_or_null()? {
        return Ok(unescape(banner).into());
    }
    match row.get_ref(8)?.as_str_or_null()? {
        Some(banner) => {
            let bytes = STANDARD.decode(banner).map_err(FromSqlError::other)?;
            Ok(bytes.into())
        }
        None => Ok(Box::default()),
    }
}

/// Reads an escaped text. Text that was not UTF-8 stays escaped, as in rows of JSON.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Box<str>>> {
    let Some(escaped) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let text = String::from_utf8(unescape(escaped)).unwrap_or_else(|_| escaped.to_owned());
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use super::*;
    use crate::{
        history::{changes::Changes, read::read_jsonl},
        outcome::{Account, Outcome},
        sink::{Ending, Jsonl, ResumableSink, Sink, samples, scratch::ScratchDatabase},
    };

    /// Adds a run; `left` is `None` if it does not end.
    fn add_run(database: &ScratchDatabase, outcomes: &[Outcome], left: Option<u64>) {
        let mut sink = database.begin();
        for outcome in outcomes {
            sink.write(outcome).expect("there is room");
        }
        sink.flush().expect("there is room");
        if let Some(left) = left {
            let (account, targets) = (Account::default(), u128::from(left));
            let ending = Ending::new(account, targets, SystemTime::UNIX_EPOCH);
            sink.finish(&ending).expect("there is room");
        }
    }

    fn read(database: &ScratchDatabase, choice: &str) -> Result<StoredRun, String> {
        let choice = choice.parse().expect("the choice names a run");
        read_run(database.file(), choice).map_err(|error| error.to_string())
    }

    fn outcomes() -> Vec<Outcome> {
        let mut hidden = samples::everything();
        hidden.target = ("hidden.example", 22).into();
        let mut no_utf8 = samples::no_utf8();
        no_utf8.target = ("no-utf8.example", 22).into();
        hidden.verdict.banner = "a\\\r\n\u{1b}[2J\u{202e}é".as_bytes().to_vec();
        vec![samples::everything(), samples::binary(), no_utf8, samples::unresolved(), hidden]
    }

    #[test]
    fn run_of_a_database_equals_the_same_run_in_json_lines() {
        let database = ScratchDatabase::new();
        add_run(&database, &outcomes(), Some(0));
        let mut lines = Vec::new();
        let mut jsonl = Jsonl::new(&mut lines);
        for outcome in outcomes() {
            jsonl.write(&outcome).expect("writing to a vector cannot fail");
        }
        let lines = read_jsonl(lines.as_slice()).expect("the lines are rows");
        let stored = read(&database, "last").expect("there is one run");
        assert_eq!((stored.results.rows(), stored.id), (5, 1));
        let changes: Vec<_> = Changes::between(lines, stored.results).collect();
        assert_eq!(changes, []);
    }

    #[test]
    fn run_is_chosen_by_id_or_from_the_last() {
        let database = ScratchDatabase::new();
        for rows in 1..=3 {
            add_run(&database, &outcomes()[..rows], Some(0));
        }
        for (choice, id) in [("last", 3i64), ("-1", 3), ("-2", 2), ("-3", 1), ("2", 2)] {
            let stored = read(&database, choice).expect("there are three runs");
            assert_eq!((stored.id, stored.results.rows()), (id, id.unsigned_abs()), "{choice}");
        }
        let error = |choice| read(&database, choice).expect_err("there are three runs");
        assert_eq!(error("7"), "no run 7: the database has 3 runs, 1 to 3");
        assert_eq!(error("-4"), "no run #-4: the database has 3 runs, 1 to 3");
        for choice in ["", "first", "0", "-0", "-", "--1", "1.5", "99999999999999999999"] {
            assert_eq!(choice.parse::<RunChoice>(), Err(UnknownChoice), "{choice}");
        }
    }

    #[test]
    fn concurrent_runs_are_read_separately() {
        let database = ScratchDatabase::new();
        let mut sinks = [database.begin(), database.begin()];
        let outcomes = outcomes();
        for (sink, outcome) in [0, 1, 1, 0].into_iter().zip(&outcomes) {
            sinks[sink].write(outcome).expect("there is room");
            sinks[sink].checkpoint().expect("there is room");
        }
        drop(sinks);
        for choice in ["1", "2"] {
            assert_eq!(read(&database, choice).map(|stored| stored.results.rows()), Ok(2));
        }
    }

    #[test]
    fn unfinished_and_stopped_runs_are_partial() {
        let database = ScratchDatabase::new();
        add_run(&database, &outcomes(), None);
        add_run(&database, &outcomes(), Some(7));
        add_run(&database, &outcomes(), Some(0));
        let state = |choice| {
            let stored = read(&database, choice)?;
            Ok::<_, String>((stored.has_ended, stored.left, stored.results.is_partial()))
        };
        assert_eq!(state("1"), Ok((false, 0, true)));
        assert_eq!(state("2"), Ok((true, 7, true)));
        assert_eq!(state("3"), Ok((true, 0, false)));
    }

    #[test]
    fn run_that_lacks_rows_is_refused() {
        let database = ScratchDatabase::new();
        database.add_run(3);
        let outcomes = outcomes();
        add_run(&database, &outcomes, Some(2));
        let mut killed = database.begin();
        for outcome in &outcomes {
            killed.write(outcome).expect("there is room");
        }
        killed.checkpoint().expect("there is room");
        let sums = "UPDATE runs SET open = 4, unresolved = 1 WHERE id = 2";
        database.execute(sums);
        let rows = |choice| read(&database, choice).map(|stored| stored.results.rows());
        assert_eq!(["1", "2", "3"].map(rows), [Ok(3), Ok(5), Ok(5)]);

        database.execute("DELETE FROM outcomes WHERE state <> 'open'");
        let missing = "run 2 is damaged: of its 1 rows of unresolved targets the database has 0; \
                       another program has removed the others";
        assert_eq!(rows("2"), Err(missing.to_owned()));
        assert_eq!(rows("3"), Ok(4), "a run without an end is incomplete in any case");
        for arguments in ["-o sqlite=a --show open", "--show=open"] {
            database.execute(&format!("UPDATE runs SET arguments = '{arguments}' WHERE id = 2"));
            assert_eq!(rows("2"), Ok(4), "only open targets had rows");
        }
        database.execute("UPDATE runs SET arguments = '--show ssh,closed' WHERE id = 2");
        let is_partial = read(&database, "2").map(|stored| stored.results.is_partial());
        assert_eq!(is_partial, Ok(true), "open ports may have no rows");
        for arguments in ["--show open,unresolved", "--show=all", "x--show open"] {
            database.execute(&format!("UPDATE runs SET arguments = '{arguments}' WHERE id = 2"));
            assert_eq!(rows("2"), Err(missing.to_owned()), "{arguments}");
        }
        database.execute("UPDATE runs SET arguments = '--show=open' WHERE id = 2");

        database.execute("DELETE FROM outcomes WHERE id = (SELECT max(id) - 5 FROM outcomes)");
        assert!(rows("2").is_err_and(|error| error.contains("of its 4 rows of open targets")));
        database.execute("DELETE FROM outcomes");
        let run = "2".parse().expect("it names a run");
        let error = read_run(database.file(), run).expect_err("its rows are gone");
        assert_eq!(error.kind(), StoredRunErrorKind::MissingRows);
    }

    #[test]
    fn unreadable_databases_are_refused() {
        let database = ScratchDatabase::new();
        let error = || read(&database, "last").expect_err("there is no readable run");
        assert!(error().contains("No such file"));
        fs::write(database.file(), "").expect("there is room");
        assert_eq!(error(), "no run #-1: the database has no runs");
        fs::write(database.file(), "{}\n").expect("there is room");
        assert!(error().starts_with("not a portmuster database"));

        fs::remove_file(database.file()).expect("the file exists");
        add_run(&database, &outcomes(), Some(0));
        let error_after = |statement: &str| {
            database.execute(statement);
            error()
        };
        assert_eq!(
            error_after("UPDATE outcomes SET state = 'x' WHERE id = 2"),
            "cannot read row 2: Invalid type"
        );
        assert!(
            error_after("ALTER TABLE outcomes RENAME TO others")
                .contains("the table outcomes is missing")
        );
        assert!(error_after("PRAGMA user_version = 99").contains("schema version is 99"));
    }
}
