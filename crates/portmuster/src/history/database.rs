//! Reading a run of a database in which runs accumulate ([`Sqlite`] writes it).
//!
//! Invariant: nothing is written to the database.

use std::{net::IpAddr, path::Path, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use rusqlite::{Connection, OptionalExtension, Row, types::FromSqlError};
use thiserror::Error;

use super::{Known, Run};
use crate::{
    outcome::PortState,
    sink::{DatabaseError, Sqlite, open_read_only, schema, unescape},
};

/// The columns of an outcome that are read; every schema has them.
const READ: [&str; 15] = [
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

/// Which run of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunChoice {
    /// The run of this id.
    Id(i64),
    /// So many runs before the last one.
    BeforeLast(u32),
}

impl FromStr for RunChoice {
    type Err = UnknownChoice;

    /// Reads `last`, `-1` (the last), `-2` (the one before) …, or an id.
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

/// The text names no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a run is last, -1 (the last), -2 (the one before) …, or its id")]
pub struct UnknownChoice;

/// A run as a database has it.
#[derive(Debug)]
pub struct StoredRun {
    /// What it knows; [partial](Run::is_partial) unless it has ended with nothing left.
    pub run: Run,
    /// Its id.
    pub id: i64,
    /// Whether it has ended; otherwise it is going on, or was cut off.
    pub has_ended: bool,
    /// Targets that it did not check.
    pub left: u64,
}

/// Why a run can't be read from a database.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoredRunError {
    /// The database can't be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// It does not have the run.
    #[error("it has no run {id}; {runs}")]
    NoSuchId {
        /// What was asked for.
        id: i64,
        /// What there is.
        runs: Runs,
    },
    /// It does not have so many runs.
    #[error("it has no run #-{}; {runs}", before_last + 1)]
    TooFew {
        /// What was asked for.
        before_last: u32,
        /// What there is.
        runs: Runs,
    },
    /// A row can't be read.
    #[error("row {id} can't be read: {reason}")]
    Row {
        /// Its id.
        id: i64,
        /// Why.
        reason: String,
    },
}

/// How many runs a database has, and the ids of the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    count: i64,
    first: i64,
    last: i64,
}

impl std::fmt::Display for Runs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, first, last } = self;
        match count {
            0 => formatter.write_str("there is none in it"),
            1 => write!(formatter, "there is 1, {first}"),
            _ => write!(formatter, "there are {count}, from {first} to {last}"),
        }
    }
}

impl From<rusqlite::Error> for StoredRunError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Reads a run from a database.
///
/// # Errors
/// It is no database of ours, has no such run, or can't be read.
pub fn read_run(database: &Path, choice: RunChoice) -> Result<StoredRun, StoredRunError> {
    Sqlite::inspect(database)?;
    let mut connection = open_read_only(database)?;
    // What is read is of one moment, although the run may be going on.
    let moment = connection.transaction()?;
    let runs = if schema::version(&moment)? == 0 {
        Runs { count: 0, first: 0, last: 0 }
    } else {
        check_columns(&moment)?;
        runs(&moment)?
    };
    let (id, has_ended, left) = match choice {
        _ if runs.count == 0 => None,
        RunChoice::Id(id) => chosen(&moment, "WHERE id = ?1", id)?,
        RunChoice::BeforeLast(back) => {
            chosen(&moment, "ORDER BY id DESC LIMIT 1 OFFSET ?1", back.into())?
        }
    }
    .ok_or(match choice {
        RunChoice::Id(id) => StoredRunError::NoSuchId { id, runs },
        RunChoice::BeforeLast(before_last) => StoredRunError::TooFew { before_last, runs },
    })?;
    let mut run = rows(&moment, id)?;
    if !has_ended || left > 0 {
        run.set_partial();
    }
    Ok(StoredRun { run, id, has_ended, left })
}

/// Checks that the database has all that is read of it: older schemas have.
fn check_columns(connection: &Connection) -> Result<(), DatabaseError> {
    let missing = schema::missing_columns(connection)?;
    match missing.iter().find(|it| it.table == "runs" || READ.contains(&it.column)) {
        Some(missing) => Err(missing.missing_error()),
        None => Ok(()),
    }
}

fn runs(connection: &Connection) -> rusqlite::Result<Runs> {
    let query = "SELECT count(*), coalesce(min(id), 0), coalesce(max(id), 0) FROM runs";
    connection.query_row(query, [], |row| {
        Ok(Runs { count: row.get(0)?, first: row.get(1)?, last: row.get(2)? })
    })
}

fn chosen(
    connection: &Connection,
    which: &str,
    argument: i64,
) -> rusqlite::Result<Option<(i64, bool, u64)>> {
    let query = format!("SELECT id, ended IS NOT NULL, coalesce(\"left\", 0) FROM runs {which}");
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs()));
    connection.query_row(&query, [argument], read).optional()
}

fn rows(connection: &Connection, id: i64) -> Result<Run, StoredRunError> {
    // Rows of one run stand side by side, but for runs at the same time. They are read in the order
    // of the file: by the index each would be on another page.
    let mut query = connection.prepare(
        "SELECT id, host, port, address, state, reason, service, banner, banner_base64,
            ssh_protocol, ssh_software, ssh_comment, kex_algorithms IS NOT NULL, protocol, findings
        FROM outcomes
        WHERE id BETWEEN (SELECT min(id) FROM outcomes WHERE run = ?1)
            AND (SELECT max(id) FROM outcomes WHERE run = ?1) AND +run = ?1
        ORDER BY id",
    )?;
    let mut rows = query.query([id])?;
    let (mut run, mut before, mut room) = (Run::new(), i64::MIN, size(connection)?);
    while let Some(row) = rows.next()? {
        let error = |id, reason: &str| StoredRunError::Row { id, reason: reason.to_owned() };
        let id = row.get(0)?;
        // Pages of a file that is damaged may point at each other, so that it never ends.
        if id <= before {
            return Err(error(id, "it is behind a later one; the database is damaged"));
        }
        before = id;
        room = room
            .checked_sub(length(row)?)
            .ok_or_else(|| error(id, "rows are longer than the database, which is damaged"))?;
        add(&mut run, row).map_err(|reason| error(id, &reason.to_string()))?;
    }
    Ok(run)
}

/// Bytes that the database has.
fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(number("page_count")?.unsigned_abs().saturating_mul(number("page_size")?.unsigned_abs()))
}

/// Bytes of text that a row has.
fn length(row: &Row<'_>) -> rusqlite::Result<u64> {
    (0..READ.len()).try_fold(0, |sum, column| {
        Ok(sum
            + row.get_ref(column)?.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len) as u64)
    })
}

fn add(run: &mut Run, row: &Row<'_>) -> rusqlite::Result<()> {
    let known = Known {
        state: state(row, 4)?,
        reason: row.get(5)?,
        service: row.get(6)?,
        banner: banner(row)?,
        identification: [text(row, 9)?, text(row, 10)?, text(row, 11)?],
        protocol: text(row, 13)?,
        has_offer: row.get(12)?,
        findings: match row.get_ref(14)?.as_str_or_null()? {
            Some(names) => names.split_whitespace().map(Into::into).collect(),
            None => Box::default(),
        },
    };
    let address: Option<IpAddr> = match row.get_ref(3)?.as_str_or_null()? {
        Some(address) => Some(address.parse().map_err(|_| FromSqlError::InvalidType)?),
        None => None,
    };
    let host = text(row, 1)?.ok_or(FromSqlError::InvalidType)?;
    run.add(&host, row.get(2)?, address, known);
    Ok(())
}

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<PortState> {
    let name = row.get_ref(column)?.as_str()?;
    let known = PortState::ALL.into_iter().find(|state| state.name() == name);
    Ok(known.ok_or(FromSqlError::InvalidType)?)
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

/// The text as it was before it was made harmless. One that is not UTF-8 stays escaped, as rows in
/// JSON have it.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Box<str>>> {
    let Some(escape) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    let text = String::from_utf8(unescape(escape)).unwrap_or_else(|_| escape.to_owned());
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::SystemTime};

    use tempfile::TempDir;

    use super::*;
    use crate::{
        history::{Changes, read_jsonl},
        outcome::{Account, Outcome},
        sink::{Beginning, Ending, Jsonl, Sink, samples},
    };

    struct Folder(TempDir);

    impl Folder {
        fn new() -> Self {
            Self(TempDir::new().expect("there is room for a folder"))
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("audit.db")
        }

        /// Adds a run; `left` is `None` where it did not come to its end.
        fn add(&self, outcomes: &[Outcome], left: Option<u64>) {
            let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments: String::new() };
            let mut sink = Sqlite::begin(&self.file(), &beginning).expect("it is a database");
            for outcome in outcomes {
                sink.write(outcome).expect("it can be written");
            }
            sink.flush().expect("it can be written");
            if let Some(left) = left {
                let targets = u128::from(left);
                let account = Account::default();
                let ending = Ending { account, targets, time: SystemTime::UNIX_EPOCH };
                sink.finish(&ending).expect("it can be written");
            }
        }

        fn read(&self, choice: &str) -> Result<StoredRun, String> {
            let choice = choice.parse().expect("it names a run");
            read_run(&self.file(), choice).map_err(|error| error.to_string())
        }
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
    fn a_run_of_a_database_is_that_of_json_lines() {
        let folder = Folder::new();
        folder.add(&outcomes(), Some(0));
        let mut lines = Vec::new();
        let mut jsonl = Jsonl::new(&mut lines);
        for outcome in outcomes() {
            jsonl.write(&outcome).expect("a vector takes it");
        }
        let lines = read_jsonl(lines.as_slice()).expect("these are rows");
        let stored = folder.read("last").expect("there is one");
        assert_eq!((stored.run.rows(), stored.id), (5, 1));
        let changes: Vec<_> = Changes::between(lines, stored.run).collect();
        assert_eq!(changes, []);
    }

    #[test]
    fn a_run_is_chosen_by_its_id_or_from_the_last() {
        let folder = Folder::new();
        for rows in 1..=3 {
            folder.add(&outcomes()[..rows], Some(0));
        }
        for (choice, id) in [("last", 3i64), ("-1", 3), ("-2", 2), ("-3", 1), ("2", 2)] {
            let stored = folder.read(choice).expect("there is one");
            assert_eq!((stored.id, stored.run.rows()), (id, id.unsigned_abs()), "{choice}");
        }
        let error = |choice| folder.read(choice).expect_err("there is none");
        assert_eq!(error("7"), "it has no run 7; there are 3, from 1 to 3");
        assert_eq!(error("-4"), "it has no run #-4; there are 3, from 1 to 3");
        for choice in ["", "first", "0", "-0", "-", "--1", "1.5", "99999999999999999999"] {
            assert_eq!(choice.parse::<RunChoice>(), Err(UnknownChoice), "{choice}");
        }
    }

    #[test]
    fn runs_at_the_same_time_are_told_apart() {
        let folder = Folder::new();
        let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments: String::new() };
        let begin = || Sqlite::begin(&folder.file(), &beginning).expect("it is a database");
        let mut sinks = [begin(), begin()];
        let outcomes = outcomes();
        for (sink, outcome) in [0, 1, 1, 0].into_iter().zip(&outcomes) {
            sinks[sink].write(outcome).expect("it can be written");
            sinks[sink].checkpoint().expect("it can be written");
        }
        drop(sinks);
        for choice in ["1", "2"] {
            assert_eq!(folder.read(choice).map(|stored| stored.run.rows()), Ok(2));
        }
    }

    #[test]
    fn a_run_that_did_not_come_to_its_end_says_so() {
        let folder = Folder::new();
        folder.add(&outcomes(), None);
        folder.add(&outcomes(), Some(7));
        folder.add(&outcomes(), Some(0));
        let told = |choice| {
            let stored = folder.read(choice)?;
            Ok::<_, String>((stored.has_ended, stored.left, stored.run.is_partial()))
        };
        assert_eq!(told("1"), Ok((false, 0, true)));
        assert_eq!(told("2"), Ok((true, 7, true)));
        assert_eq!(told("3"), Ok((true, 0, false)));
    }

    #[test]
    fn what_is_no_database_of_runs_is_refused() {
        let folder = Folder::new();
        let error = || folder.read("last").expect_err("there is none");
        assert!(error().contains("No such file"));
        fs::write(folder.file(), "").expect("there is room for a file");
        assert_eq!(error(), "it has no run #-1; there is none in it");
        fs::write(folder.file(), "{}\n").expect("there is room for a file");
        assert!(error().starts_with("not a portmuster database"));

        fs::remove_file(folder.file()).expect("it is there");
        folder.add(&outcomes(), Some(0));
        let broken = |change: &str| {
            let database = Connection::open(folder.file()).expect("it can be opened");
            database.execute_batch(change).expect("it can be changed");
            drop(database);
            error()
        };
        assert_eq!(
            broken("UPDATE outcomes SET state = 'x' WHERE id = 2"),
            "row 2 can't be read: Invalid type"
        );
        assert!(
            broken("ALTER TABLE outcomes RENAME TO others").contains("it has no table outcomes")
        );
        assert!(broken("PRAGMA user_version = 99").contains("schema is 99"));
    }
}
