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
    Ok(connection)
}
