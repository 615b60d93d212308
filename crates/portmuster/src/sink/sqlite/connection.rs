//! Connections to untrusted databases.
//!
//! Invariant: a path always names a file. `SQLite` gives some names a meaning of their own
//! (`:memory:`, the empty name, URIs that begin with `file:`), and strips slashes from the end of
//! others. `SQLite` only receives names that can mean nothing but the file.
//!
//! Invariant: `SQLite` executes nothing that is stored in a database: no triggers, no views, no unsafe
//! functions or virtual tables of its schema, no extensions
//! (<https://www.sqlite.org/security.html>).
//!
//! Invariant: every statement ends, even if pages of a damaged database refer to each other in a
//! cycle: the number of steps is limited in proportion to the size of the file.

use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use super::{
    error::DatabaseErrorRepr,
    settings::{
        BUSY_TIMEOUT, CHECKED_BYTES_MAX, STEPS_MIN, STEPS_PER_BYTE, STEPS_PER_CHECK,
        VALUE_BYTES_MAX,
    },
};
use crate::sink::text::escape_line;

/// Opens a database for reading and writing, and creates it if it is missing.
pub(super) fn open_to_write(database: &Path) -> Result<Connection, DatabaseErrorRepr> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    refuse_second_name(database)?;
    open(&unambiguous(database)?, flags, database)
}

/// Checks that no other program can write to the database by another name.
///
/// # Errors
/// The file has several names, or is a mount point itself.
pub(super) fn refuse_second_name(database: &Path) -> Result<(), DatabaseErrorRepr> {
    let found = match database.metadata() {
        // The file is about to be created.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if found.nlink() > 1 {
        return Err(DatabaseErrorRepr::Linked(found.nlink()));
    }
    // Kernels without this attribute (before 5.8) cannot detect the mount.
    let found = statx(CWD, database, AtFlags::empty(), StatxFlags::empty());
    if found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)) {
        return Err(DatabaseErrorRepr::Mounted);
    }
    Ok(())
}

/// Opens a database for reading only.
///
/// # Errors
/// The database cannot be read.
pub(crate) fn open_read_only(database: &Path) -> Result<Connection, DatabaseErrorRepr> {
    let connection = open(&unambiguous(database)?, OpenFlags::SQLITE_OPEN_READ_ONLY, database)?;
    match connection.pragma_query_value(None, "user_version", |_| Ok(())) {
        // Readers share a file beside the log. If this process cannot create it and there is no log,
        // nobody is writing, and the file is not needed
        // (https://www.sqlite.org/wal.html#read_only_databases).
        Err(_) if !has_log(database) => open_immutable(database),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(connection),
    }
}

/// Opens a database that nobody is writing to, without creating a file beside it.
pub(super) fn open_immutable(database: &Path) -> Result<Connection, DatabaseErrorRepr> {
    let path = unambiguous(database)?;
    // The empty authority keeps a path that begins with two slashes from being read as one.
    let authority = if path.is_absolute() { "//" } else { "" };
    let uri = format!("file:{authority}{}?immutable=1", percent_encoded(&path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    open(Path::new(&uri), flags, database)
}

/// Returns whether the database has a write-ahead log beside it.
pub(super) fn has_log(database: &Path) -> bool {
    log(database).exists()
}

/// Returns whether every page of the database, as other programs see it, is intact. It reads them all.
pub(super) fn is_whole(database: &Path) -> bool {
    let checked = open_read_only(database).and_then(|mut connection| {
        lift_limit(&mut connection)?;
        Ok(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?)
    });
    checked.is_ok_and(|found| found == "ok")
}

/// Checks that the rows of a table and its indexes agree, unless the database is
/// [larger](CHECKED_BYTES_MAX) than can be checked in a moment.
///
/// # Errors
/// They differ, or a page is damaged.
pub(super) fn check_indexes(database: &Path, table: &str) -> Result<(), DatabaseErrorRepr> {
    let bytes = [database, &log(database)].map(|path| path.metadata().map_or(0, |it| it.len()));
    if bytes.iter().sum::<u64>() > CHECKED_BYTES_MAX {
        return Ok(());
    }
    let mut connection = open_read_only(database)?;
    // The check visits each page once, and the first problem ends it.
    lift_limit(&mut connection)?;
    let query = "SELECT integrity_check FROM pragma_integrity_check(?1)";
    let mut found = connection.prepare(query)?;
    let found = found.query_map([table], |row| row.get::<_, String>(0))?;
    // Values that a constraint or a type of the table does not allow are no damage of its file.
    let is_allowed = |text: &str| {
        text == "ok" || text.contains(" value in ") || text.starts_with("CHECK constraint failed")
    };
    for text in found {
        let text = text?;
        if !is_allowed(&text) {
            return Err(DatabaseErrorRepr::Inconsistent(escape_line(text.as_bytes())));
        }
    }
    Ok(())
}

/// Removes the limit of steps, for writing after the untrusted parts of the database were checked.
pub(super) fn lift_limit(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.progress_handler(0, None::<fn() -> bool>)
}

fn open(name: &Path, flags: OpenFlags, file: &Path) -> Result<Connection, DatabaseErrorRepr> {
    let mut connection =
        Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    limit_steps(&mut connection, file.to_owned())?;
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, value)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Interrupts statements that take more steps than reading the whole file several times.
fn limit_steps(connection: &mut Connection, file: PathBuf) -> rusqlite::Result<()> {
    let (mut steps, mut limit) = (0, STEPS_MIN);
    let is_exceeded = move || {
        steps += u64::from(STEPS_PER_CHECK.unsigned_abs());
        if steps > limit {
            // The file may have grown.
            let bytes =
                [file.clone(), log(&file)].map(|path| path.metadata().map_or(0, |it| it.len()));
            limit = STEPS_MIN + STEPS_PER_BYTE * bytes.iter().sum::<u64>();
        }
        steps > limit
    };
    connection.progress_handler(STEPS_PER_CHECK, Some(is_exceeded))
}

/// Returns a path to the same file that `SQLite` cannot take for anything else.
///
/// # Errors
/// The path cannot name a file: it is empty, or ends like the path of a folder.
pub(super) fn unambiguous(path: &Path) -> Result<PathBuf, DatabaseErrorRepr> {
    let last = path.as_os_str().as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if matches!(last, b"" | b"." | b"..") {
        let error = "the path must name a file, such as audit.db";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error).into());
    }
    // Joining leaves an absolute path unchanged.
    Ok(Path::new(".").join(path))
}

/// Returns the path of the log: beside the file itself, after resolving symbolic links.
pub(super) fn log(database: &Path) -> PathBuf {
    let file = database.canonicalize();
    let file = file.as_deref().unwrap_or(database);
    let log = [file.as_os_str().as_bytes(), b"-wal"].concat();
    OsStr::from_bytes(&log).into()
}

/// Encodes a path for a URI (RFC 3986 §2.1).
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
