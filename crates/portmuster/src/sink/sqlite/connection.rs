//! Connections to databases that a stranger may have written.
//!
//! Invariant: a path is a path. The database library gives some names a meaning of their own
//! (`:memory:`, the empty name, URIs that begin with `file:`), and cuts slashes from the end of
//! others. A name reaches it as one that can only be that of the file, or not at all.
//!
//! Invariant: nothing that a database brings along is run: no triggers, no views, no functions or
//! virtual tables of its schema that are more than harmless, no extensions
//! (<https://www.sqlite.org/security.html>).
//!
//! Invariant: what is asked of a database ends, whatever is in it: pages that point at each other
//! in a circle have a limit of steps, which grows with the file.

use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::DatabaseError;

/// How long another program that writes to the database is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that one value or row may have. What a server says takes less than one megabyte in each
/// of its columns; the arguments of a run may be two megabytes, and each byte of them four.
const LENGTH_MAX: i32 = 32 << 20;

/// Steps of the database's machine that are made for each of its bytes at most. A row takes 20 to
/// 60 steps, and 60 bytes or more.
const STEPS_PER_BYTE: u64 = 8;
/// Steps that are made in any case.
const STEPS_LEAST: u64 = 1 << 22;
/// Steps from one look at the limit to the next.
const STEPS_AT_ONCE: i32 = 1 << 16;

/// Opens a database to write to it; it is made when it is not there.
pub(super) fn open_to_write(database: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    refuse_second_name(database)?;
    opened(&unmistakable(database)?, flags, database)
}

/// Sees that nobody else can write to the database by another name.
///
/// # Errors
/// Its file has another name, or is mounted here by itself.
pub(super) fn refuse_second_name(database: &Path) -> Result<(), DatabaseError> {
    let found = match database.metadata() {
        // It is about to be made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if found.nlink() > 1 {
        return Err(DatabaseError::Linked(found.nlink()));
    }
    // A system that can't tell is one where nothing is known of it.
    let told = statx(CWD, database, AtFlags::empty(), StatxFlags::empty());
    if told.is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)) {
        return Err(DatabaseError::Mounted);
    }
    Ok(())
}

/// Opens a database so that nothing is written to it.
///
/// # Errors
/// It can't be read.
pub(crate) fn open_read_only(database: &Path) -> Result<Connection, DatabaseError> {
    let connection = opened(&unmistakable(database)?, OpenFlags::SQLITE_OPEN_READ_ONLY, database)?;
    match connection.pragma_query_value(None, "user_version", |_| Ok(())) {
        // Readers share a file beside the log. Where we may not make it and there is no log, nobody
        // writes, and we can do without (https://www.sqlite.org/wal.html#read_only_databases).
        Err(_) if !has_log(database) => open_immutable(database),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(connection),
    }
}

/// Opens a database to which nobody writes, and makes no file beside it.
pub(super) fn open_immutable(database: &Path) -> Result<Connection, DatabaseError> {
    let path = unmistakable(database)?;
    // With an authority, which is empty, or a path that begins with two slashes has one.
    let authority = if path.is_absolute() { "//" } else { "" };
    let uri = format!("file:{authority}{}?immutable=1", percent_encoded(&path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    opened(Path::new(&uri), flags, database)
}

/// Whether the database has a log of changes beside it.
pub(super) fn has_log(database: &Path) -> bool {
    log(database).exists()
}

/// Whether every page of the database that other programs see can be read. It reads them all.
pub(super) fn is_whole(database: &Path) -> bool {
    let checked = open_read_only(database).and_then(|mut connection| {
        lift_limit(&mut connection)?;
        Ok(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?)
    });
    checked.is_ok_and(|found| found == "ok")
}

/// Lets statements take as many steps as they like. For what is written after all that a stranger
/// may have prepared has been looked at.
pub(super) fn lift_limit(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.progress_handler(0, None::<fn() -> bool>)
}

fn opened(name: &Path, flags: OpenFlags, file: &Path) -> Result<Connection, DatabaseError> {
    let mut connection =
        Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    limit_steps(&mut connection, file.to_owned())?;
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, value)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LENGTH_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Interrupts what takes more steps than reading the whole file several times would.
fn limit_steps(connection: &mut Connection, file: PathBuf) -> rusqlite::Result<()> {
    let (mut steps, mut most) = (0, STEPS_LEAST);
    let is_too_much = move || {
        steps += u64::from(STEPS_AT_ONCE.unsigned_abs());
        if steps > most {
            // It may have grown.
            let bytes =
                [file.clone(), log(&file)].map(|path| path.metadata().map_or(0, |it| it.len()));
            most = STEPS_LEAST + STEPS_PER_BYTE * bytes.iter().sum::<u64>();
        }
        steps > most
    };
    connection.progress_handler(STEPS_AT_ONCE, Some(is_too_much))
}

/// The same file by a name that can't be taken for anything else.
///
/// # Errors
/// No file can have the name: it is empty, or ends as only that of a folder does.
fn unmistakable(path: &Path) -> Result<PathBuf, DatabaseError> {
    let last = path.as_os_str().as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if matches!(last, b"" | b"." | b"..") {
        let error = "the name of a file is wanted, such as audit.db";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error).into());
    }
    // An absolute path stays what it is.
    Ok(Path::new(".").join(path))
}

/// Where the log of a database is: beside the file itself, whatever links lead to it.
pub(super) fn log(database: &Path) -> PathBuf {
    let file = database.canonicalize();
    let file = file.as_deref().unwrap_or(database);
    let log = [file.as_os_str().as_bytes(), b"-wal"].concat();
    OsStr::from_bytes(&log).into()
}

/// The path as a URI has it (RFC 3986 §2.1).
fn percent_encoded(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    let encoded = bytes.map(|&byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests;
