//! The schema of the database: creates, checks and upgrades its tables.
//!
//! Schema version 1 lacks the column `rule`, version 2 the columns of `runs` after `left`, version 3 the
//! columns of `outcomes` after `rule`, and version 4 those after `telnet_encryption`. An older database gets
//! missing columns in the transaction that begins or resumes a run; reading it changes nothing.

use std::{fs::File, io::Read, path::Path};

use rusqlite::{Connection, Row, TransactionBehavior};

use super::{
    connection::{has_log, open_immutable, open_read_only},
    error::DatabaseErrorRepr,
    settings::{APPLICATION_ID, SCHEMA_VERSION},
};
use crate::sink::{columns::COLUMNS, text::escape};

/// Limit of the length of a program version in a message.
const WRITER_MAX: usize = 32;

/// The name of a column and its declaration.
type ColumnDeclaration = (&'static str, &'static str);

/// The columns of `runs`.
const RUNS: [ColumnDeclaration; 34] = [
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
    ("elapsed_ms", "REAL"),
    ("found_on_retry", "INTEGER"),
    ("slowed", "INTEGER"),
    ("faults", "INTEGER"),
    ("syns", "INTEGER"),
    ("syns_lost", "INTEGER"),
    ("silent", "INTEGER"),
    ("asked_again", "INTEGER"),
    ("failed", "INTEGER"),
    ("answered", "INTEGER"),
    ("bound", "REAL"),
    ("bound_count", "INTEGER"),
    ("confidence", "REAL"),
    ("blocked", "INTEGER"),
    ("controls", "INTEGER"),
    ("silent_controls", "INTEGER"),
    ("icmp_refused", "INTEGER"),
    ("icmp_refused_asked_again", "INTEGER"),
    ("icmp_refused_failed", "INTEGER"),
    ("icmp_refused_answered", "INTEGER"),
    ("icmp_refused_bound_count", "INTEGER"),
];

/// The columns of `outcomes` before the fields of the row.
const OUTCOMES: [ColumnDeclaration; 3] = [
    ("id", "INTEGER PRIMARY KEY"),
    ("run", "INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE"),
    ("position", "INTEGER NOT NULL"),
];

/// Returns the tables with their columns.
fn tables() -> [(&'static str, Vec<ColumnDeclaration>); 2] {
    let fields = COLUMNS[1..].iter().map(|&name| (name, declaration(name)));
    [("runs", RUNS.into()), ("outcomes", OUTCOMES.into_iter().chain(fields).collect())]
}

/// Returns the declaration of the column of a field.
fn declaration(field: &str) -> &'static str {
    match field {
        "host" | "state" | "reason" | "time" => "TEXT NOT NULL",
        "port" | "open" | "attempts" => "INTEGER NOT NULL",
        "telnet_daemon_confidence_percent" => "INTEGER",
        "connect_ms" | "first_byte_ms" | "total_ms" => "REAL",
        _ => "TEXT",
    }
}

/// A column that a table should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExpectedColumn {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    declaration: &'static str,
}

impl ExpectedColumn {
    /// Returns the error for a table without this column.
    pub(crate) fn missing_error(&self) -> DatabaseErrorRepr {
        DatabaseErrorRepr::Altered(format!(
            "the table {} has no column {}",
            self.table, self.column
        ))
    }
}

/// Checks the header of a file: it must be empty, or a portmuster database with a supported schema
/// version. Changes nothing.
///
/// # Errors
/// The file is neither, or cannot be read.
pub(super) fn inspect(path: &Path) -> Result<(), DatabaseErrorRepr> {
    // https://www.sqlite.org/fileformat2.html#the_database_header
    let mut header = Vec::with_capacity(100);
    if !path.metadata()?.is_file() {
        // Opening a pipe would block.
        return Err(DatabaseErrorRepr::Foreign);
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
        (true, Some(APPLICATION_ID), Some(1..=SCHEMA_VERSION)) => Ok(()),
        (true, Some(APPLICATION_ID), Some(found)) if found > SCHEMA_VERSION => {
            let database = if has_log(path) { open_read_only(path) } else { open_immutable(path) };
            let written_by = database.ok().and_then(|database| writer(&database));
            Err(DatabaseErrorRepr::Newer { found, written_by })
        }
        _ => Err(DatabaseErrorRepr::Foreign),
    }
}

/// Returns the schema version of the database; 0 if it is empty.
///
/// # Errors
/// It is not a portmuster database, or a newer one. [`inspect`] does not notice that while the change
/// of the header is still in the log.
pub(crate) fn version(connection: &Connection) -> Result<u32, DatabaseErrorRepr> {
    // One statement, because another run may be creating the tables now.
    let query = "SELECT application_id, user_version, NOT EXISTS (SELECT 1 FROM sqlite_schema)
        FROM pragma_application_id, pragma_user_version";
    let all = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (application, found, is_empty): (i64, i64, bool) = connection.query_row(query, [], all)?;
    if found == 0 && application == 0 {
        return if is_empty { Ok(0) } else { Err(DatabaseErrorRepr::Foreign) };
    }
    match u32::try_from(found) {
        _ if application != i64::from(APPLICATION_ID) => Err(DatabaseErrorRepr::Foreign),
        Ok(found @ 1..=SCHEMA_VERSION) => Ok(found),
        Ok(found) if found > SCHEMA_VERSION => {
            Err(DatabaseErrorRepr::Newer { found, written_by: writer(connection) })
        }
        _ => Err(DatabaseErrorRepr::Foreign),
    }
}

/// Returns the version of the program that began the latest run. Only a run upgrades the schema.
pub(super) fn writer(connection: &Connection) -> Option<String> {
    let query = "SELECT version FROM runs ORDER BY id DESC LIMIT 1";
    let version: String = connection.query_row(query, [], |row| row.get(0)).ok()?;
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || ".+-".contains(letter);
    let is_version = !version.is_empty() && version.len() <= WRITER_MAX;
    (is_version && version.chars().all(is_letter)).then_some(version)
}

/// Creates the schema in an empty database, in one transaction.
///
/// # Errors
/// Another program has created tables in it meanwhile, or it cannot be written.
pub(super) fn create(connection: &mut Connection) -> Result<(), DatabaseErrorRepr> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another run may have created it meanwhile.
    if version(&change)? == 0 {
        for (table, columns) in tables() {
            let columns: Vec<_> =
                columns.iter().map(|(name, declaration)| format!("{name} {declaration}")).collect();
            change.execute_batch(&format!("CREATE TABLE {table} ({})", columns.join(", ")))?;
        }
        change.execute_batch("CREATE INDEX outcomes_by_target ON outcomes (run, host, port)")?;
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    Ok(change.commit()?)
}

/// Upgrades an older schema, within the current transaction.
///
/// # Errors
/// The schema is newer, or not that of any version, or it cannot be written.
pub(super) fn upgrade(connection: &Connection) -> Result<(), DatabaseErrorRepr> {
    let found = version(connection)?;
    refuse_triggers_and_unique_indexes(connection)?;
    for missing in missing_columns(connection)? {
        let ExpectedColumn { table, column, declaration } = missing;
        connection
            .execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {declaration}"))?;
    }
    if found < SCHEMA_VERSION {
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    Ok(())
}

/// Checks the tables, and returns the missing columns that can be added.
///
/// # Errors
/// Another program has changed the schema: a table is missing or not an ordinary one, a column has
/// another type, or a column that every version has is missing.
pub(crate) fn missing_columns(
    connection: &Connection,
) -> Result<Vec<ExpectedColumn>, DatabaseErrorRepr> {
    let mut missing = Vec::new();
    for (table, columns) in tables() {
        check_table(connection, table)?;
        let existing = existing_columns(connection, table)?;
        for (column, declaration) in columns {
            let expected = ExpectedColumn { table, column, declaration };
            match existing.iter().find(|existing| existing.name.eq_ignore_ascii_case(column)) {
                Some(existing) => existing.check(&expected)?,
                // A constraint such as NOT NULL: existing rows would have no value.
                None if declaration.contains(' ') => return Err(expected.missing_error()),
                None => missing.push(expected),
            }
        }
    }
    Ok(missing)
}

/// Checks that there is one ordinary table of this name, whose rows have a row id.
fn check_table(connection: &Connection, table: &str) -> Result<(), DatabaseErrorRepr> {
    let mut query =
        connection.prepare("SELECT type, sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE")?;
    let found = query.query_map([table], |row| Ok((column_text(row, 0), column_text(row, 1))))?;
    let found: Vec<_> = found.take(2).collect::<Result<_, _>>()?;
    let altered = |what: String| Err(DatabaseErrorRepr::Altered(what));
    match &found[..] {
        [] => return altered(format!("the table {table} is missing")),
        [(kind, _)] if kind != "table" => {
            return altered(format!("{table} is not an ordinary table ({kind})"));
        }
        // SQLite stores the statement that created the table, with a normalised start.
        [(_, statement)] if statement.starts_with("CREATE TABLE ") => {}
        [_] => return altered(format!("{table} is not an ordinary table (virtual)")),
        _ => return altered(format!("there are several tables {table}")),
    }
    // An INTEGER PRIMARY KEY is the row id itself and has no index of its own.
    let query = "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')";
    if connection.query_row(query, [table], |row| row.get(0))? {
        return altered(format!("the rows of the table {table} have no row id"));
    }
    Ok(())
}

/// Checks that the tables have no triggers, which could change rows, and no unique indexes, which
/// could reject rows. Triggers are disabled, but their author expects them to run.
///
/// # Errors
/// There is one: its name, and the statement that removes it.
pub(super) fn refuse_triggers_and_unique_indexes(
    connection: &Connection,
) -> Result<(), DatabaseErrorRepr> {
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
            // The index of a constraint cannot be dropped.
            let remedy = if name.starts_with("sqlite_autoindex_") {
                String::new()
            } else {
                format!(" (DROP {what} {name} removes it)")
            };
            return Err(DatabaseErrorRepr::Altered(format!(
                "the table {table} has the {kind} {name}, which may reject rows{remedy}"
            )));
        }
    }
    Ok(())
}

/// Returns the text in a column of a result; empty if it is not text.
fn column_text(row: &Row<'_>, column: usize) -> String {
    row.get(column).unwrap_or_default()
}

/// A column that a table has.
pub(crate) struct ExistingColumn {
    pub(crate) name: String,
    kind: String,
    is_key: bool,
    /// Whether the values are computed from other columns.
    is_generated: bool,
}

impl ExistingColumn {
    fn check(&self, expected: &ExpectedColumn) -> Result<(), DatabaseErrorRepr> {
        let ExpectedColumn { table, column, declaration } = expected;
        let altered = |what: &str| {
            Err(DatabaseErrorRepr::Altered(format!(
                "the column {column} of the table {table} {what}"
            )))
        };
        let kind = declaration.split(' ').next().unwrap_or_default();
        if !self.kind.eq_ignore_ascii_case(kind) {
            let found = if self.kind.is_empty() { "no type" } else { &self.kind };
            return altered(&format!("has {found} instead of {kind}"));
        }
        if self.is_generated {
            return altered("is a generated column");
        }
        if declaration.ends_with("PRIMARY KEY") && !self.is_key {
            return altered("is not the primary key");
        }
        Ok(())
    }
}

/// Lists the columns of a table.
pub(crate) fn existing_columns(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<ExistingColumn>> {
    // Unlike `pragma_table_info`, this lists generated columns, too.
    let query = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1)";
    let mut query = connection.prepare(query)?;
    let found = query.query_map([table], |row| {
        let (name, kind, is_key) = (column_text(row, 0), column_text(row, 1), row.get(2)?);
        Ok(ExistingColumn { name, kind, is_key, is_generated: row.get::<_, i64>(3)? != 0 })
    })?;
    found.collect()
}
