//! Locks that keep other runs from an output for as long as a run writes to it.

use std::{
    fs::{File, TryLockError},
    io,
};

use anyhow::{Context, bail};
use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

/// Why an output can't be written to.
pub(super) const BUSY: &str = "another run is writing to it (or another program has locked it); wait for its end, or choose \
     another file";

/// Takes the lock of an output file; it is held until the file is closed. The lock is flock(2)'s,
/// which workers that are being started can't lose by closing the file, as POSIX locks are lost.
///
/// # Errors
/// Another run holds it, a database is open in the file, or its file system has no locks.
pub(super) fn lock(file: &File) -> anyhow::Result<()> {
    refuse_open_database(file)?;
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => bail!(BUSY),
        Err(TryLockError::Error(error)) => Err(error).context(
            "it can't be locked, so another run could write to it as well; choose a file elsewhere, or \
             redirect standard output to it",
        ),
    }
}

/// Sees that no run writes rows to a file that is, or becomes, a database.
///
/// Databases are locked by `SQLite`, statement by statement, and runs accumulate in one side by side.
/// The file must be closed before `SQLite` opens it: closing it later would take its locks away.
///
/// # Errors
/// Another run writes rows to it.
pub(super) fn refuse_written(file: &File) -> anyhow::Result<()> {
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => bail!(BUSY),
        // A file system without these locks may have SQLite's.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// `SQLite` holds POSIX locks on a database for as long as it has it open with a log.
fn refuse_open_database(file: &File) -> anyhow::Result<()> {
    if is_open_database(file).unwrap_or(false) {
        bail!("another program has it open as a database; choose another file");
    }
    Ok(())
}

/// Whether another process holds a POSIX lock on the file.
pub(super) fn is_open_database(file: &File) -> io::Result<bool> {
    let (l_type, l_whence) = (lock_word(libc::F_WRLCK), lock_word(libc::SEEK_SET));
    let mut found = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file, FcntlArg::F_GETLK(&mut found))?;
    Ok(found.l_type != lock_word(libc::F_UNLCK))
}

fn lock_word(constant: libc::c_int) -> libc::c_short {
    libc::c_short::try_from(constant).expect("these constants are small")
}
