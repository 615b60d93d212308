//! Opens a database to write a run to it.

use std::{io, path::Path};

use rusqlite::{Connection, ErrorCode};

use super::{
    connection,
    error::DatabaseErrorRepr,
    schema,
    settings::{BUSY_TIMEOUT, CACHE_KIB, LOG_RETRY_DELAY},
};
use crate::clock::{Clock, Instant};

/// The greatest id in a database to which a run is added. No run adds as many rows as follow it.
const ID_MAX: i64 = i64::MAX >> 1;

/// Opens the database, creates its schema if it is empty, and switches on its write-ahead log.
fn open(path: &Path) -> Result<Connection, DatabaseErrorRepr> {
    match schema::inspect(path) {
        Err(DatabaseErrorRepr::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        inspected => inspected?,
    }
    let mut connection = connection::open_to_write(path)?;
    if schema::version(&connection)? == 0 {
        schema::create(&mut connection)?;
    }
    // Check before anything is changed; `open_locked` adds missing columns under the lock.
    schema::missing_columns(&connection)?;
    schema::refuse_triggers_and_unique_indexes(&connection)?;
    for table in ["runs", "outcomes"] {
        connection::check_indexes(path, table)?;
    }
    // With the log, readers never wait, and a commit is a single write.
    switch_on_log(&connection)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Switches on the write-ahead log. `SQLite`'s own timeout does not cover another program that is about
/// to do the same, so this retries until [`BUSY_TIMEOUT`].
fn switch_on_log(connection: &Connection) -> rusqlite::Result<()> {
    let clock = Clock::start();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && clock.now() < Instant::START.after(BUSY_TIMEOUT) =>
            {
                let _ = crossbeam_channel::after(LOG_RETRY_DELAY).recv();
            }
            result => return result,
        }
    }
}

/// Opens the database and starts a transaction that locks out other writers and upgrades the schema.
/// Closing the connection without a commit rolls it back.
pub(super) fn open_locked(path: &Path) -> Result<Connection, DatabaseErrorRepr> {
    let connection = open(path)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    schema::upgrade(&connection)?;
    refuse_last_ids(&connection)?;
    Ok(connection)
}

/// Checks that the next ids are greater than all others. After the greatest possible id, `SQLite`
/// chooses ids at random (<https://www.sqlite.org/autoinc.html>), and runs would lose their order.
fn refuse_last_ids(connection: &Connection) -> Result<(), DatabaseErrorRepr> {
    for table in ["runs", "outcomes"] {
        let query = format!("SELECT coalesce(max(id), 0) FROM {table}");
        let last: i64 = connection.query_row(&query, [], |row| row.get(0))?;
        if last > ID_MAX {
            return Err(DatabaseErrorRepr::Altered(format!(
                "the table {table} has the id {last}, and no run writes ids above {ID_MAX}"
            )));
        }
    }
    Ok(())
}
