//! SQL statements on outcomes, and the conversion of their parameters.

use rusqlite::{
    Connection, ToSql,
    types::{ToSqlOutput, Value, ValueRef},
};

use crate::{
    outcome::{Certainty, PortState},
    sink::{
        columns::{COLUMNS, ColumnValue},
        interface::Ending,
        text::{escape, is_plain},
        timestamp::timestamp,
    },
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

/// Stores the end of a run.
pub(super) const END_RUN: &str = "UPDATE runs SET ended = ?2, targets = ?3, open = ?4, closed = ?5,
    filtered = ?6, unresolved = ?7, unchecked = ?8, excluded = ?9, left = ?10, elapsed_ms = ?11,
    found_on_retry = ?12, slowed = ?13, faults = ?14, syns = ?15, syns_lost = ?16, silent = ?17,
    asked_again = ?18, failed = ?19, answered = ?20, bound = ?21, bound_count = ?22, confidence = ?23,
    blocked = ?24, controls = ?25, silent_controls = ?26, icmp_refused = ?27,
    icmp_refused_asked_again = ?28, icmp_refused_failed = ?29, icmp_refused_answered = ?30,
    icmp_refused_bound_count = ?31 WHERE id = ?1";

/// Returns the parameters of [`END_RUN`].
pub(super) fn end_values(run: i64, ending: &Ending) -> Vec<Value> {
    let account = &ending.account;
    let time = Value::Text(timestamp(ending.time).as_str().to_owned());
    let mut values = vec![Value::Integer(run), time, Value::Integer(to_i64(ending.targets))];
    let integer = |count: u64| Value::Integer(to_i64(count));
    values.extend(PortState::ALL.map(|state| integer(account.state(state))));
    values.extend([
        integer(account.excluded),
        Value::Integer(to_i64(ending.left())),
        Value::Real((account.elapsed.as_secs_f64() * 1e6).round() / 1e3),
        integer(account.found_on_retry),
        integer(account.slowed),
        integer(account.faults),
        integer(account.syns),
        integer(account.syns_lost),
    ]);
    values.extend(certainty_values(ending.certainty.as_ref()));
    values
}

fn certainty_values(certainty: Option<&Certainty>) -> [Value; 15] {
    let Some(certainty) = certainty else { return [const { Value::Null }; 15] };
    let integer = |count: u64| Value::Integer(to_i64(count));
    let or_null = |count: Option<u64>| count.map_or(Value::Null, integer);
    let Certainty { silent, refused, controls, silent_controls, .. } = certainty;
    [
        integer(silent.targets),
        integer(silent.asked_again),
        integer(silent.failed),
        integer(silent.answered),
        certainty.missed_share().map_or(Value::Null, Value::Real),
        or_null(certainty.missed_max()),
        Value::Real(Certainty::CONFIDENCE),
        Value::Integer(certainty.is_blocked().into()),
        integer(*controls),
        integer(*silent_controls),
        integer(refused.targets),
        integer(refused.asked_again),
        integer(refused.failed),
        integer(refused.answered),
        or_null(certainty.refused_missed_max()),
    ]
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
