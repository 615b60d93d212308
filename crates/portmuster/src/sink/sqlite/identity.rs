//! Fingerprints that tell runs with the same id in different databases apart.

use rusqlite::{Connection, OptionalExtension};

use crate::fingerprint::Fingerprint;

/// Computes the fingerprint of a run, its last outcome, and the number of its outcomes.
///
/// # Errors
/// The run is missing or cannot be read.
pub(super) fn fingerprint(
    connection: &Connection,
    run: i64,
    last: i64,
    outcomes: u64,
) -> rusqlite::Result<u64> {
    let mut print = Fingerprint::default();
    let beginning = "SELECT started || char(10) || arguments FROM runs WHERE id = ?1";
    let beginning: String = connection.query_row(beginning, [run], |row| row.get(0))?;
    print.add(beginning.as_bytes()).add(b"\n");
    let outcome = "SELECT position || ' ' || host || ' ' || port || ' ' || time FROM outcomes
        WHERE id = ?1 AND run = ?2";
    let outcome = connection.query_row(outcome, [last, run], |row| row.get::<_, String>(0));
    print.add(outcome.optional()?.unwrap_or_default().as_bytes());
    print.add(&outcomes.to_be_bytes());
    Ok(print.sum())
}
