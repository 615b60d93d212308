//! Locks that keep other runs from writing to an output.

use std::{
    fs::{File, TryLockError},
    io,
};

use anyhow::{Context, bail};
use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

/// The error for an output that another run or program has locked.
pub(super) const BUSY: &str = "another run is writing to it, or another program has locked it: wait until that ends, or choose \
     another file";

/// Locks an output file until it is closed.
///
/// The lock is that of flock(2): a worker process that closes its inherited descriptors while it
/// starts does not release it, as it would release a POSIX lock.
///
/// # Errors
/// Another run holds the lock, the file is open as a database, or its file system has no locks.
pub(super) fn lock(file: &File) -> anyhow::Result<()> {
    refuse_open_database(file)?;
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => bail!(BUSY),
        Err(TryLockError::Error(error)) => Err(error).context(
            "it can't be locked against other runs: choose a file on another file system, or redirect \
             standard output to it",
        ),
    }
}

/// Refuses a file, which is or becomes a database, to which another run writes rows.
///
/// `SQLite` locks a database for each statement, and several runs can be added to one concurrently.
/// The file must be closed before `SQLite` opens it: closing it later would release its locks.
///
/// # Errors
/// Another run writes rows to the file.
pub(super) fn refuse_locked(file: &File) -> anyhow::Result<()> {
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => bail!(BUSY),
        // A file system without flock(2) may still support the locks of SQLite.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Refuses a file that another process has open as a database.
fn refuse_open_database(file: &File) -> anyhow::Result<()> {
    if is_open_database(file).unwrap_or(false) {
        bail!("another program has it open as a database: choose another file");
    }
    Ok(())
}

/// Returns whether another process holds a POSIX lock on the file.
///
/// `SQLite` holds one as long as it has a database with a write-ahead log open.
pub(super) fn is_open_database(file: &File) -> io::Result<bool> {
    let (l_type, l_whence) = (lock_word(libc::F_WRLCK), lock_word(libc::SEEK_SET));
    let mut found = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file, FcntlArg::F_GETLK(&mut found))?;
    Ok(found.l_type != lock_word(libc::F_UNLCK))
}

fn lock_word(constant: libc::c_int) -> libc::c_short {
    libc::c_short::try_from(constant).expect("the lock constants fit a short")
}
