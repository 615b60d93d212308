//! What tells a run of a database apart from another run of the same number, in another database.

use rusqlite::{Connection, OptionalExtension};

use crate::fingerprint::Fingerprint;

/// A number that another run, or the same run with another last outcome, does not have.
///
/// # Errors
/// The run is not there, or can't be read.
pub(super) fn fingerprint(connection: &Connection, run: i64, last: i64) -> rusqlite::Result<u64> {
    let mut print = Fingerprint::default();
    let begun = "SELECT started || char(10) || arguments FROM runs WHERE id = ?1";
    let begun: String = connection.query_row(begun, [run], |row| row.get(0))?;
    print.add(begun.as_bytes()).add(b"\n");
    let outcome = "SELECT position || ' ' || host || ' ' || port || ' ' || time FROM outcomes
        WHERE id = ?1 AND run = ?2";
    let outcome = connection.query_row(outcome, [last, run], |row| row.get::<_, String>(0));
    print.add(outcome.optional()?.unwrap_or_default().as_bytes());
    Ok(print.sum())
}
