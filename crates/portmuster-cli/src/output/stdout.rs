//! Rows on standard output.

use std::{
    cell::Cell,
    io::{self, Stdout, Write},
    rc::Rc,
};

use anyhow::{anyhow, bail};
use rustix::{
    fs::{FlockOperation, OFlags, fcntl_getfl, flock},
    io::Errno,
};

use super::lock::BUSY;
use crate::file_identity::redirected;

/// Standard output, with a count of the bytes written to it.
pub(super) struct StdoutRows {
    stdout: Stdout,
    redirection: Redirection,
}

impl StdoutRows {
    /// Creates a writer that shares the count of `redirection`.
    pub(super) fn new(redirection: &Redirection) -> Self {
        Self { stdout: io::stdout(), redirection: redirection.clone() }
    }
}

impl Write for StdoutRows {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Rows after the end of a truncated file would hide that earlier rows are missing.
        self.redirection.check().map_err(io::Error::other)?;
        let count = self.stdout.write(bytes)?;
        let written = &self.redirection.written;
        written.set(written.get() + count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// The file, if any, that standard output is redirected to. Clones share it.
///
/// Other programs may write to the same file, because a shell can pass it to several of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Redirection {
    written: Rc<Cell<u64>>,
    /// Whether a path led to the file when the run began.
    has_name: bool,
    /// `None`: standard output is no file, or its file system has no locks.
    _lock: Option<Rc<StdoutLock>>,
}

impl Redirection {
    /// Locks the file of standard output like that of any other output.
    ///
    /// Several runs may append to one file (`>>`), or inherit one file from a shell.
    ///
    /// # Errors
    /// Another run writes to the file.
    pub(super) fn new() -> anyhow::Result<Self> {
        let Some(file) = redirected(&io::stdout()) else { return Ok(Self::default()) };
        let lock = StdoutLock::new()?.map(Rc::new);
        Ok(Self { has_name: file.has_name, _lock: lock, ..Self::default() })
    }

    /// Checks that the file still contains all that was written.
    ///
    /// # Errors
    /// The file is shorter than the rows, or no path leads to it any more.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Some(file) = redirected(&io::stdout()) else { return Ok(()) };
        let written = self.written.get();
        let length = file.length;
        if length < written {
            bail!("another program has truncated the file to {length} of {written} bytes");
        }
        if self.has_name && !file.has_name {
            bail!("another program has removed the file during the run");
        }
        Ok(())
    }
}

/// The lock of the file behind standard output.
///
/// It must be released explicitly, because the shell that opened the file keeps it open.
#[derive(Debug)]
struct StdoutLock;

impl StdoutLock {
    /// Takes the lock, shared if the file is open for appending; `None`: there are no locks.
    fn new() -> anyhow::Result<Option<Self>> {
        let stdout = io::stdout();
        let appends = fcntl_getfl(&stdout).is_ok_and(|flags| flags.contains(OFlags::APPEND));
        let operation = if appends {
            FlockOperation::NonBlockingLockShared
        } else {
            FlockOperation::NonBlockingLockExclusive
        };
        match flock(&stdout, operation) {
            Ok(()) => Ok(Some(Self)),
            Err(Errno::WOULDBLOCK) => Err(anyhow!(BUSY).context("writing standard output")),
            Err(_) => Ok(None),
        }
    }
}

impl Drop for StdoutLock {
    fn drop(&mut self) {
        let _ = flock(io::stdout(), FlockOperation::Unlock);
    }
}
