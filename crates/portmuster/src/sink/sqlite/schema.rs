//! The schema of the database: what this version wants, and what a file has.
//!
//! Schema 1 had no `rule`. An older database gets the columns that it lacks in the transaction in
//! which a run begins or is resumed; reading it changes nothing.

use std::{fs::File, io::Read, path::Path};

use rusqlite::{Connection, Row, TransactionBehavior};

use super::{
    DatabaseError,
    connection::{has_log, open_immutable, open_read_only},
};
use crate::sink::{cells::COLUMNS, text::escape};

/// Says that a database is ours: `port` in ASCII.
const APPLICATION: u32 = 0x706f_7274;

/// The version of the schema that is written.
pub(super) const VERSION: u32 = 2;

/// Letters that the version of a program may have in a message.
const WRITER_MAX: usize = 32;

/// A column's name, and its declaration.
type Column = (&'static str, &'static str);

const RUNS: [Column; 13] = [
    ("id", "INTEGER PRIMARY KEY"),
    ("started", "TEXT NOT NULL"),
    ("ended", "TEXT"),
    ("version", "TEXT NOT NULL"),
    ("arguments", "TEXT NOT NULL"),
    ("targets", "INTEGER"),
    ("open", "INTEGER"),
    ("closed", "INTEGER"),
    ("filtered", "INTEGER"),
    ("unresolved", "INTEGER"),
    ("unchecked", "INTEGER"),
    ("excluded", "INTEGER"),
    ("left", "INTEGER"),
];

/// The columns of `outcomes` before the fields of the row.
const OUTCOMES: [Column; 3] = [
    ("id", "INTEGER PRIMARY KEY"),
    ("run", "INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE"),
    ("position", "INTEGER NOT NULL"),
];

/// Each table with its columns.
fn tables() -> [(&'static str, Vec<Column>); 2] {
    let fields = COLUMNS[1..].iter().map(|&name| (name, declaration(name)));
    [("runs", RUNS.into()), ("outcomes", OUTCOMES.into_iter().chain(fields).collect())]
}

/// The declaration of a field's column.
fn declaration(field: &str) -> &'static str {
    match field {
        "host" | "state" | "reason" | "time" => "TEXT NOT NULL",
        "port" | "open" | "attempts" => "INTEGER NOT NULL",
        "connect_ms" | "first_byte_ms" | "total_ms" => "REAL",
        _ => "TEXT",
    }
}

/// A column that a table lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    declaration: &'static str,
}

impl Missing {
    pub(crate) fn error(&self) -> DatabaseError {
        DatabaseError::Altered(format!("its table {} has no column {}", self.table, self.column))
    }
}

/// Checks from its header that the file is empty, or a database of ours with a schema that this
/// program knows. Changes nothing.
///
/// # Errors
/// It is neither, or can't be read.
pub(super) fn inspect(path: &Path) -> Result<(), DatabaseError> {
    // https://www.sqlite.org/fileformat2.html#the_database_header
    let mut header = Vec::with_capacity(100);
    if !path.metadata()?.is_file() {
        // A pipe would be waited for.
        return Err(DatabaseError::Foreign);
    }
    File::open(path)?.take(100).read_to_end(&mut header)?;
    if header.is_empty() {
        return Ok(());
    }
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes)
    };
    match (header.starts_with(b"SQLite format 3\0"), number(68), number(60)) {
        (true, Some(APPLICATION), Some(1..=VERSION)) => Ok(()),
        (true, Some(APPLICATION), Some(found)) if found > VERSION => {
            let database = if has_log(path) { open_read_only(path) } else { open_immutable(path) };
            let written_by = database.ok().and_then(|database| writer(&database));
            Err(DatabaseError::Newer { found, written_by })
        }
        _ => Err(DatabaseError::Foreign),
    }
}

/// The version of the schema; 0: the database is empty.
///
/// # Errors
/// It is not ours, or newer than this program knows. The header does not tell while the change
/// waits in the log.
pub(crate) fn version(connection: &Connection) -> Result<u32, DatabaseError> {
    // As one statement: another run may make the tables just now.
    let query = "SELECT application_id, user_version, NOT EXISTS (SELECT 1 FROM sqlite_schema)
        FROM pragma_application_id, pragma_user_version";
    let all = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (application, found, is_empty): (i64, i64, bool) = connection.query_row(query, [], all)?;
    if found == 0 && application == 0 {
        return if is_empty { Ok(0) } else { Err(DatabaseError::Foreign) };
    }
    match u32::try_from(found) {
        _ if application != i64::from(APPLICATION) => Err(DatabaseError::Foreign),
        Ok(found @ 1..=VERSION) => Ok(found),
        Ok(found) if found > VERSION => {
            Err(DatabaseError::Newer { found, written_by: writer(connection) })
        }
        _ => Err(DatabaseError::Foreign),
    }
}

/// The version of the program that began the latest run: a schema is changed only by a run.
fn writer(connection: &Connection) -> Option<String> {
    let query = "SELECT version FROM runs ORDER BY id DESC LIMIT 1";
    let version: String = connection.query_row(query, [], |row| row.get(0)).ok()?;
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ".+-".contains(letter);
    let is_version = !version.is_empty() && version.len() <= WRITER_MAX;
    (is_version && version.chars().all(is_letter)).then_some(version)
}

/// Makes the schema in an empty database, all of it or nothing.
///
/// # Errors
/// Another program has made something else in it, or it can't be written.
pub(super) fn create(connection: &mut Connection) -> Result<(), DatabaseError> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another run may have been faster.
    if version(&change)? == 0 {
        for (table, columns) in tables() {
            let columns: Vec<_> =
                columns.iter().map(|(name, declaration)| format!("{name} {declaration}")).collect();
            change.execute_batch(&format!("CREATE TABLE {table} ({})", columns.join(", ")))?;
        }
        change.execute_batch("CREATE INDEX outcomes_by_target ON outcomes (run, host, port)")?;
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(change.commit()?)
}

/// Brings an older schema up to date, in the transaction that is open.
///
/// # Errors
/// It is newer, or not what any version has made; or it can't be written.
pub(super) fn upgrade(connection: &Connection) -> Result<(), DatabaseError> {
    let found = version(connection)?;
    check_changes_nothing(connection)?;
    for lack in missing(connection)? {
        let Missing { table, column, declaration } = lack;
        connection
            .execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {declaration}"))?;
    }
    if found < VERSION {
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(())
}

/// The columns that the database lacks, and that can be added.
///
/// # Errors
/// Something else has changed it: a table is missing or is none, a column is of another type, or
/// one is missing that every version has.
pub(crate) fn missing(connection: &Connection) -> Result<Vec<Missing>, DatabaseError> {
    let mut missing = Vec::new();
    for (table, columns) in tables() {
        check_table(connection, table)?;
        let found = found_columns(connection, table)?;
        for (column, declaration) in columns {
            let lack = Missing { table, column, declaration };
            match found.iter().find(|found| found.name.eq_ignore_ascii_case(column)) {
                Some(found) => found.check(&lack)?,
                // Rows that are there would have no value.
                None if declaration.contains(' ') => return Err(lack.error()),
                None => missing.push(lack),
            }
        }
    }
    Ok(missing)
}

/// Checks that it is a table whose rows have a number.
fn check_table(connection: &Connection, table: &str) -> Result<(), DatabaseError> {
    let mut query =
        connection.prepare("SELECT type, sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE")?;
    let found = query.query_map([table], |row| Ok((column_text(row, 0), column_text(row, 1))))?;
    let found: Vec<_> = found.take(2).collect::<Result<_, _>>()?;
    let altered = |what: String| Err(DatabaseError::Altered(what));
    match &found[..] {
        [] => return altered(format!("it has no table {table}")),
        [(kind, _)] if kind != "table" => {
            return altered(format!("its {table} is no ordinary table ({kind})"));
        }
        // SQLite keeps what it was told from the name on.
        [(_, made)] if made.starts_with("CREATE TABLE ") => {}
        [_] => return altered(format!("its {table} is no ordinary table (virtual)")),
        _ => return altered(format!("it has several tables {table}")),
    }
    // Of a table whose rows have a number the primary key is that number, and needs no index.
    let query = "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')";
    if connection.query_row(query, [table], |row| row.get(0))? {
        return altered(format!("the rows of its table {table} have no number"));
    }
    Ok(())
}

/// Checks that nothing in the database would change what is written to it, or make rows give way
/// to others: triggers would not run, but whoever has made them means them to.
///
/// # Errors
/// There is something: what, and how to be rid of it.
pub(super) fn check_changes_nothing(connection: &Connection) -> Result<(), DatabaseError> {
    for (table, _) in tables() {
        for (what, query) in [
            (
                "TRIGGER",
                "SELECT name FROM sqlite_schema
                WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE LIMIT 1",
            ),
            ("INDEX", "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" LIMIT 1"),
        ] {
            let mut query = connection.prepare(query)?;
            let mut found = query.query([table])?;
            let Some(row) = found.next()? else { continue };
            let name = escape(column_text(row, 0).as_bytes());
            let kind = if what == "INDEX" { "unique index" } else { "trigger" };
            // That of a constraint can't be dropped.
            let cure = if name.starts_with("sqlite_autoindex_") {
                String::new()
            } else {
                format!(" (DROP {what} {name} removes it)")
            };
            return Err(DatabaseError::Altered(format!(
                "its table {table} has the {kind} {name}, which may keep rows out{cure}"
            )));
        }
    }
    Ok(())
}

/// What a column has, whatever that is; empty where it is no text.
fn column_text(row: &Row<'_>, column: usize) -> String {
    row.get(column).unwrap_or_default()
}

/// A column that a table has.
struct Found {
    name: String,
    kind: String,
    is_key: bool,
    /// Its values are computed from others.
    is_generated: bool,
}

impl Found {
    fn check(&self, wanted: &Missing) -> Result<(), DatabaseError> {
        let Missing { table, column, declaration } = wanted;
        let kind = declaration.split(' ').next().unwrap_or_default();
        if !self.kind.eq_ignore_ascii_case(kind) {
            let found = if self.kind.is_empty() { "of no type" } else { &self.kind };
            return Err(DatabaseError::Altered(format!(
                "the column {column} of its table {table} is {found}, not {kind}"
            )));
        }
        if self.is_generated {
            return Err(DatabaseError::Altered(format!(
                "the column {column} of its table {table} is generated from others"
            )));
        }
        if declaration.ends_with("PRIMARY KEY") && !self.is_key {
            return Err(DatabaseError::Altered(format!(
                "the column {column} of its table {table} is no primary key"
            )));
        }
        Ok(())
    }
}

fn found_columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Found>> {
    // The columns that are generated are listed here only.
    let query = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1)";
    let mut query = connection.prepare(query)?;
    let found = query.query_map([table], |row| {
        let (name, kind, is_key) = (column_text(row, 0), column_text(row, 1), row.get(2)?);
        Ok(Found { name, kind, is_key, is_generated: row.get::<_, i64>(3)? != 0 })
    })?;
    found.collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::SystemTime};

    use tempfile::TempDir;

    use super::*;
    use crate::{
        history::read_run,
        sink::{Beginning, PreparedRun, Sink, Sqlite, samples},
    };

    /// What version 0.1.0 made, and a run that was cut off in it.
    const SCHEMA_1: &str = "
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY,
            started TEXT NOT NULL, ended TEXT,
            version TEXT NOT NULL, arguments TEXT NOT NULL,
            targets INTEGER, open INTEGER, closed INTEGER, filtered INTEGER, unresolved INTEGER,
            unchecked INTEGER, excluded INTEGER, left INTEGER
        );
        CREATE TABLE outcomes (
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            host TEXT NOT NULL, port INTEGER NOT NULL, open INTEGER NOT NULL, state TEXT NOT NULL,
            reason TEXT NOT NULL, address TEXT, service TEXT, banner TEXT, banner_base64 TEXT,
            ssh_protocol TEXT, ssh_software TEXT, ssh_comment TEXT, kex_algorithms TEXT,
            host_key_algorithms TEXT, ciphers_client_to_server TEXT, ciphers_server_to_client TEXT,
            macs_client_to_server TEXT, macs_server_to_client TEXT,
            compression_client_to_server TEXT, compression_server_to_client TEXT, kex_missing TEXT,
            telnet_options TEXT, protocol TEXT, findings TEXT, connect_ms REAL, first_byte_ms REAL,
            total_ms REAL, label TEXT, attempts INTEGER NOT NULL, time TEXT NOT NULL, evidence TEXT
        );
        CREATE INDEX outcomes_by_target ON outcomes (run, host, port);
        PRAGMA application_id = 1886351988;
        PRAGMA user_version = 1;
        PRAGMA journal_mode = WAL;
        INSERT INTO runs (started, version, arguments) VALUES ('2026-11-22T10:00:00.123Z', '0.1.0', '');
        INSERT INTO outcomes (run, position, host, port, open, state, reason, attempts, time)
            VALUES (1, 0, '10.0.0.5', 22, 1, 'open', 'accepted', 1, '2026-11-22T10:00:00.123Z'),
                (1, 1, '10.0.0.6', 22, 0, 'closed', 'refused', 1, '2026-11-22T10:00:00.123Z');";

    struct Old(TempDir);

    impl Old {
        fn new() -> Self {
            let folder = Self(TempDir::new().expect("there is room for a folder"));
            folder.change(SCHEMA_1);
            folder
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("audit.db")
        }

        fn change(&self, change: &str) {
            Connection::open(self.file())
                .and_then(|database| database.execute_batch(change))
                .expect("it can be changed");
        }

        fn begin(&self) -> Result<PreparedRun, DatabaseError> {
            let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments: String::new() };
            PreparedRun::begin(&self.file(), &beginning)
        }
    }

    /// The version, the columns of outcomes, and the rows, each with what the rule is.
    fn found(file: &Path) -> (u32, usize, Vec<Option<String>>) {
        let database = Connection::open(file).expect("it can be opened");
        let version = version(&database).expect("this program knows it");
        let columns = found_columns(&database, "outcomes").expect("it can be read").len();
        let column = if version == 1 { "NULL" } else { "rule" };
        let query = format!("SELECT {column} FROM outcomes ORDER BY id");
        let mut query = database.prepare(&query).expect("it is SQL");
        let rows = query.query_map([], |row| row.get(0)).expect("it can be read");
        (version, columns, rows.map(|rule| rule.expect("it is text")).collect())
    }

    const OLD_COLUMNS: usize = 34;

    #[test]
    fn a_run_that_begins_brings_an_older_schema_up_to_date() {
        let old = Old::new();
        assert_eq!(found(&old.file()), (1, OLD_COLUMNS, vec![None, None]));
        let mut sink = old.begin().and_then(PreparedRun::commit).expect("it is a database");
        sink.write(&samples::everything()).expect("there is room");
        sink.checkpoint().expect("there is room");
        drop(sink);
        let rule = Some("identification".to_owned());
        assert_eq!(found(&old.file()), (VERSION, OLD_COLUMNS + 1, vec![None, None, rule]));
    }

    #[test]
    fn a_run_that_is_resumed_brings_an_older_schema_up_to_date() {
        let old = Old::new();
        let mut sink = Sqlite::resume(&old.file(), 1, 1).expect("the run is there");
        sink.write(&samples::everything()).expect("there is room");
        sink.checkpoint().expect("there is room");
        drop(sink);
        let rule = Some("identification".to_owned());
        assert_eq!(found(&old.file()), (VERSION, OLD_COLUMNS + 1, vec![None, rule]));
        let database = Connection::open(old.file()).expect("it can be opened");
        assert_eq!(writer(&database).as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }

    /// What a kill leaves is what the files have at that moment.
    #[test]
    fn killed_at_any_moment_the_schema_is_the_old_one_or_the_new_one() {
        let old = Old::new();
        let copy = || {
            let copied = TempDir::new().expect("there is room for a folder");
            for name in ["audit.db", "audit.db-wal"] {
                let from = old.0.path().join(name);
                if from.exists() {
                    fs::copy(from, copied.path().join(name)).expect("there is room");
                }
            }
            found(&copied.path().join("audit.db"))
        };
        let before = (1, OLD_COLUMNS, vec![None, None]);
        let prepared = old.begin().expect("it is a database");
        assert_eq!(copy(), before);
        drop(prepared);
        assert_eq!(copy(), before);
        let prepared = old.begin().expect("it is a database");
        let committed = prepared.commit().expect("there is room");
        assert_eq!(copy(), (VERSION, OLD_COLUMNS + 1, vec![None, None]));
        drop(committed);
    }

    #[test]
    fn reading_an_older_schema_changes_nothing() {
        let old = Old::new();
        let before = fs::read(old.file()).expect("it is there");
        let stored = read_run(&old.file(), "last".parse().expect("a run")).expect("it is there");
        assert_eq!((stored.run.rows(), stored.has_ended), (2, false));
        assert_eq!(fs::read(old.file()).expect("it is there"), before);
    }

    #[test]
    fn a_newer_schema_is_refused_with_the_version_that_it_needs() {
        let told = |change: &str| {
            let newer = Old::new();
            newer.change(change);
            let before = fs::read(newer.file()).expect("it is there");
            let read = read_run(&newer.file(), "last".parse().expect("a run")).expect_err("newer");
            let begun = newer.begin().expect_err("it is newer");
            assert_eq!(begun.to_string(), read.to_string());
            assert_eq!(fs::read(newer.file()).expect("it is there"), before);
            assert_eq!(fs::read_dir(newer.0.path()).expect("it is there").count(), 1);
            begun.to_string()
        };
        let this = env!("CARGO_PKG_VERSION");
        let newer = "PRAGMA user_version = 3; UPDATE runs SET version = ";
        assert_eq!(
            told(&format!("{newer}'7.3.0-rc.1'")),
            format!(
                "its schema is 3, written by portmuster 7.3.0-rc.1; this program ({this}) knows up \
                 to 2: use that version or newer, or choose another file"
            )
        );
        let unknown = format!(
            "its schema is 3, written by a newer portmuster; this program ({this}) knows up to 2: \
             use its version or newer, or choose another file"
        );
        for version in ["'\u{1b}[2J'", "''", "x'ff'", "printf('%.99c', '1')"] {
            assert_eq!(told(&format!("{newer}{version}")), unknown, "{version}");
        }
        assert_eq!(told("PRAGMA user_version = 3; DROP TABLE runs"), unknown);
    }

    /// The header still has the old version while the change waits in the log.
    #[test]
    fn a_newer_schema_in_the_log_is_refused() {
        let newer = Old::new();
        let writer = Connection::open(newer.file()).expect("it can be opened");
        writer.execute_batch("PRAGMA user_version = 3").expect("it can be changed");
        assert!(inspect(&newer.file()).is_ok());
        let read = read_run(&newer.file(), "last".parse().expect("a run")).expect_err("newer");
        for error in [read.to_string(), newer.begin().expect_err("newer").to_string()] {
            assert!(error.starts_with("its schema is 3, written by portmuster 0.1.0;"), "{error}");
        }
        drop(writer);
    }

    #[test]
    fn what_is_only_nearly_ours_is_refused_and_left_as_it_is() {
        let schema = SCHEMA_1.split("INSERT INTO").next().expect("it begins");
        let runs = schema.split_inclusive(");").next().expect("its first statement");
        let marked = |sql: &str| {
            format!("{sql}; PRAGMA application_id = 1886351988; PRAGMA user_version = 1;")
        };
        for (made, complaint) in [
            (marked("CREATE TABLE x (y)"), "it has no table runs"),
            (marked(runs), "it has no table outcomes"),
            (marked("CREATE VIEW runs AS SELECT 1 AS id"), "its runs is no ordinary table (view)"),
            (
                schema.replace("evidence TEXT\n        )", "evidence TEXT) WITHOUT ROWID"),
                "the rows of its table outcomes have no number",
            ),
            (
                schema.replace("banner TEXT,", "banner BLOB,"),
                "the column banner of its table outcomes is BLOB, not TEXT",
            ),
            (
                schema.replace("banner TEXT,", "banner,"),
                "the column banner of its table outcomes is of no type, not TEXT",
            ),
            (
                schema.replacen("id INTEGER PRIMARY KEY", "id INTEGER", 1),
                "the column id of its table runs is no primary key",
            ),
            (schema.replace("version TEXT NOT NULL, ", ""), "its table runs has no column version"),
        ] {
            let folder = Old(TempDir::new().expect("there is room for a folder"));
            folder.change(&made);
            let before = fs::read(folder.file()).expect("it is there");
            let read =
                read_run(&folder.file(), "last".parse().expect("a run")).expect_err("not ours");
            let resumed = Sqlite::resume(&folder.file(), 1, 0).expect_err("not ours");
            let begun = folder.begin().expect_err("it is not ours");
            for error in [read.to_string(), resumed.to_string(), begun.to_string()] {
                let expected = format!(
                    "it is not as portmuster has made it: {complaint}; choose another file"
                );
                assert_eq!(error, expected);
            }
            assert_eq!(fs::read(folder.file()).expect("it is there"), before);
        }
    }

    /// A column that readers need and no row has to have.
    #[test]
    fn a_column_that_is_read_and_missing_is_told() {
        let folder = Old::new();
        folder.change("ALTER TABLE outcomes DROP COLUMN banner");
        let read = read_run(&folder.file(), "last".parse().expect("a run")).expect_err("not whole");
        assert!(read.to_string().contains("its table outcomes has no column banner"), "{read}");
    }

    #[test]
    fn an_application_without_a_schema_is_foreign() {
        let folder = Old::new();
        folder.change("PRAGMA user_version = 0");
        assert!(matches!(folder.begin(), Err(DatabaseError::Foreign)));
    }
}
