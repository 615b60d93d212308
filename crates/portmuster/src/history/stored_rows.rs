//! Reads a run of a database as JSON: its rows as JSON lines write them, and its record.

use std::path::Path;

use rusqlite::{
    Connection, Row,
    types::{FromSqlError, Value as Stored, ValueRef},
};
use serde_json::{Map, Value, json};

use super::database::{
    RunChoice, StateCounts, StoredEnding, StoredRunError, StoredRunErrorRepr, for_each_row, in_run,
    state,
};
use crate::sink::{COLUMNS, SCHEMA, push_json_line, schema, unescape};

/// The columns of the sums of a run.
const ACCOUNT: [&str; 9] = [
    "targets",
    "open",
    "closed",
    "filtered",
    "unresolved",
    "unchecked",
    "excluded",
    "left",
    "elapsed_ms",
];

/// The columns about what got lost.
const LOSS: [&str; 5] = ["found_on_retry", "slowed", "faults", "syns", "syns_lost"];

/// The columns about targets that were asked again.
const CERTAINTY: [&str; 10] = [
    "silent",
    "asked_again",
    "failed",
    "answered",
    "bound",
    "bound_count",
    "confidence",
    "blocked",
    "controls",
    "silent_controls",
];

/// A run whose rows were read from a database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRows {
    /// The id of the run.
    pub id: i64,
    /// Whether the run has ended. Otherwise it is still going on, or was killed.
    pub has_ended: bool,
    /// Number of targets that it did not check.
    pub left: u64,
    /// The record of the run: a JSON object with `started`, `ended`, `version`, `arguments`, and the
    /// objects `account`, `loss` and `certainty` with the names of the columns. What the run did not
    /// record is null.
    pub record: String,
}

/// Reads the rows of a run from a database, in the order of completion. `line` gets each row as
/// [JSON](crate::sink::Jsonl), without a line break.
///
/// A run that has ended must have all its rows, as for [`read_run`](super::read_run).
///
/// # Errors
/// As for [`read_run`](super::read_run).
pub fn read_run_rows(
    database: impl AsRef<Path>,
    choice: RunChoice,
    line: impl FnMut(&[u8]),
) -> Result<StoredRows, StoredRunError> {
    let read = |view: &Connection, id| -> Result<_, StoredRunErrorRepr> {
        let counts = read_lines(view, id, line)?;
        Ok((record(view, id)?, counts))
    };
    let (record, StoredEnding { id, has_ended, left, .. }) =
        in_run(database.as_ref(), choice, read)?;
    Ok(StoredRows { id, has_ended, left, record })
}

fn read_lines(
    view: &Connection,
    id: i64,
    mut line: impl FnMut(&[u8]),
) -> Result<StateCounts, StoredRunErrorRepr> {
    let existing = existing(view, "outcomes")?;
    // An older database lacks the newer columns, and `schema` is a constant.
    let fields =
        COLUMNS[1..].iter().copied().filter(|column| existing.iter().any(|it| it == column));
    let columns: Vec<_> = ["id"].into_iter().chain(fields).collect();
    let state_column = columns.iter().position(|&column| column == "state");
    let state_column = state_column.expect("the columns were checked");
    let mut buffer = Vec::new();
    for_each_row(view, id, &columns, |row| {
        buffer.clear();
        push_json_line(&mut buffer, &row_object(row, &columns)?).map_err(FromSqlError::other)?;
        line(buffer.trim_ascii_end());
        state(row, state_column)
    })
}

/// Returns the names of the columns of a table.
fn existing(view: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let columns = schema::existing_columns(view, table)?;
    Ok(columns.into_iter().map(|column| column.name.to_ascii_lowercase()).collect())
}

/// Returns a row as a JSON object.
fn row_object(row: &Row<'_>, columns: &[&str]) -> rusqlite::Result<Map<String, Value>> {
    let mut object = Map::from_iter([("schema".to_owned(), SCHEMA.into())]);
    for (index, &column) in columns.iter().enumerate().skip(1) {
        if let Some(value) = field(column, row.get_ref(index)?)? {
            object.insert(column.to_owned(), value);
        }
    }
    Ok(object)
}

/// Returns the value of a field; `None`: the row lacks it.
fn field(column: &str, stored: ValueRef<'_>) -> rusqlite::Result<Option<Value>> {
    Ok(Some(match (column, stored) {
        (_, ValueRef::Null) => return Ok(None),
        ("open", ValueRef::Integer(number)) => Value::Bool(number != 0),
        (_, ValueRef::Integer(number)) => number.into(),
        (_, ValueRef::Real(number)) => number.into(),
        ("evidence" | "host_keys", ValueRef::Text(text)) => {
            serde_json::from_slice(text).map_err(FromSqlError::other)?
        }
        (_, ValueRef::Text(_)) => {
            let escaped = stored.as_str()?;
            let text = String::from_utf8(unescape(escaped)).unwrap_or_else(|_| escaped.to_owned());
            match column {
                "telnet_options" => options(&text),
                "findings" => text.split_whitespace().collect(),
                _ if is_list(column) => text.split(' ').collect(),
                _ => text.into(),
            }
        }
        (_, ValueRef::Blob(_)) => return Err(FromSqlError::InvalidType.into()),
    }))
}

fn is_list(column: &str) -> bool {
    let prefixes = ["kex_algorithms", "host_key_algorithms", "ciphers_", "macs_", "compression_"];
    prefixes.iter().any(|prefix| column.starts_with(prefix))
}

/// Splits telnet options, each of which is a verb and a name.
fn options(text: &str) -> Value {
    let words: Vec<_> = text.split(' ').collect();
    words.chunks(2).map(|option| option.join(" ")).collect()
}

/// Returns the record of a run as JSON.
fn record(view: &Connection, id: i64) -> rusqlite::Result<String> {
    let existing = existing(view, "runs")?;
    let value = |column: &str| -> rusqlite::Result<Value> {
        if !existing.iter().any(|it| it == column) {
            return Ok(Value::Null);
        }
        let query = format!("SELECT \"{column}\" FROM runs WHERE id = ?1");
        let stored: Stored = view.query_row(&query, [id], |row| row.get(0))?;
        Ok(match stored {
            Stored::Integer(number) if column == "blocked" => Value::Bool(number != 0),
            Stored::Integer(number) => number.into(),
            Stored::Real(number) => number.into(),
            Stored::Text(text) => text.into(),
            Stored::Null | Stored::Blob(_) => Value::Null,
        })
    };
    // A run that has not ended has no sums, and one may have measured no certainty.
    let object = |columns: &[&str]| -> rusqlite::Result<Value> {
        let fields = columns.iter().map(|&column| Ok((column.to_owned(), value(column)?)));
        let fields: Map<_, _> = fields.collect::<rusqlite::Result<_>>()?;
        let is_known = !fields[columns[0]].is_null();
        let known: Map<_, _> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
        Ok(if is_known { Value::Object(known) } else { Value::Null })
    };
    let record = json!({
        "started": value("started")?,
        "ended": value("ended")?,
        "version": value("version")?,
        "arguments": value("arguments")?,
        "account": object(&ACCOUNT)?,
        "loss": object(&LOSS)?,
        "certainty": object(&CERTAINTY)?,
    });
    Ok(record.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        outcome::{Account, Outcome},
        sink::{Ending, Jsonl, ResumableSink, Sink, samples, scratch::ScratchDatabase},
    };

    fn stored(
        outcomes: &[Outcome],
        targets: Option<u128>,
    ) -> (ScratchDatabase, StoredRows, Vec<Value>) {
        let database = ScratchDatabase::new();
        let mut sink = database.begin();
        for outcome in outcomes {
            sink.write(outcome).expect("there is room");
        }
        sink.checkpoint().expect("there is room");
        if let Some(targets) = targets {
            let ending = Ending::new(Account::default(), targets, SystemTime::UNIX_EPOCH);
            sink.finish(&ending).expect("there is room");
        }
        drop(sink);
        let mut rows = Vec::new();
        let read = read_run_rows(database.file(), RunChoice::BeforeLast(0), |line| {
            rows.push(serde_json::from_slice(line).expect("it is JSON"));
        });
        (database, read.expect("the run can be read"), rows)
    }

    #[test]
    fn rows_of_a_database_equal_those_in_json_lines() {
        let outcomes =
            [samples::everything(), samples::binary(), samples::no_utf8(), samples::unresolved()];
        let mut lines = Vec::new();
        let mut jsonl = Jsonl::new(&mut lines);
        for outcome in &outcomes {
            jsonl.write(outcome).expect("writing to a vector cannot fail");
        }
        let lines = String::from_utf8(lines).expect("JSON is UTF-8");
        let expected = lines.lines().map(|line| serde_json::from_str(line).expect("it is JSON"));
        let expected: Vec<Value> = expected.collect();
        assert_eq!(stored(&outcomes, Some(4)).2, expected);
    }

    #[test]
    fn record_has_the_sums_of_a_run_that_has_ended() {
        let (_database, ended, _) = stored(&[samples::unresolved()], Some(9));
        let record: Value = serde_json::from_str(&ended.record).expect("it is JSON");
        assert_eq!((ended.has_ended, ended.left), (true, 9));
        assert_eq!(
            (&record["account"]["targets"], &record["certainty"]),
            (&json!(9), &Value::Null)
        );
        assert_eq!(record["loss"]["syns"], 0);

        let (_database, killed, _) = stored(&[samples::unresolved()], None);
        let record: Value = serde_json::from_str(&killed.record).expect("it is JSON");
        assert_eq!((killed.has_ended, &record["account"]), (false, &Value::Null));
        assert!(record["started"].is_string());
    }
}
