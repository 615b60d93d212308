//! SQL statements on outcomes, and the conversion of their parameters.

use rusqlite::{
    Connection, ToSql,
    types::{ToSqlOutput, ValueRef},
};

use crate::sink::{
    columns::{COLUMNS, ColumnValue},
    text::{escape, is_plain},
};

/// Number of columns that take a field of the row: all but the version of the fields.
const FIELDS: usize = COLUMNS.len() - 1;

/// Counts the outcomes of a run.
pub(super) const COUNT_RUN: &str = "SELECT count(*) FROM outcomes WHERE run = ?1";

/// Counts the outcomes of a run up to an id.
pub(super) const COUNT_UP_TO: &str = "SELECT count(*) FROM outcomes WHERE run = ?1 AND id <= ?2";

/// Runs a query for a count.
pub(super) fn count(
    connection: &Connection,
    query: &str,
    arguments: &[i64],
) -> rusqlite::Result<u64> {
    let arguments = rusqlite::params_from_iter(arguments);
    let count: i64 = connection.query_row(query, arguments, |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Returns the statement that deletes the outcomes of a run after the one with id `last`. The unary
/// plus disables an index for the term: with `last`, the index by run would visit all outcomes of this
/// run; without, the ids would visit those of all other runs.
pub(super) fn delete_after(last: i64) -> &'static str {
    match last {
        0 => "DELETE FROM outcomes WHERE +id > ?1 AND run = ?2",
        _ => "DELETE FROM outcomes WHERE id > ?1 AND +run = ?2",
    }
}

/// Returns the statement that inserts an outcome: run and position, then the fields of the row.
pub(super) fn insert_outcome() -> String {
    let places = "?, ".repeat(FIELDS);
    let fields = COLUMNS[1..].join(", ");
    format!("INSERT INTO outcomes (run, position, {fields}) VALUES ({places}?, ?)")
}

impl ToSql for ColumnValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Self::Empty => ValueRef::Null,
            Self::Bool(value) => ValueRef::Integer((*value).into()),
            Self::Number(number) => ValueRef::Integer((*number).into()),
            Self::Milliseconds(milliseconds) => ValueRef::Real(*milliseconds),
            Self::Word(word) => ValueRef::Text(word.as_bytes()),
            Self::Json(json) => ValueRef::Text(json.as_bytes()),
            Self::Escaped(text) => ValueRef::Text(text.as_bytes()),
            Self::Text(text) if is_plain(text) => ValueRef::Text(text.as_bytes()),
            Self::Text(text) => return Ok(escape(text.as_bytes()).into()),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// Converts a count to an integer of `SQLite`, saturating.
pub(super) fn to_i64(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
