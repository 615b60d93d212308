//! Standard output as a place of rows.

use std::{
    cell::Cell,
    io::{self, Stdout, Write},
    rc::Rc,
};

use anyhow::{anyhow, bail};
use portmuster::sink::SeekableOutput;
use rustix::{
    fs::{FlockOperation, OFlags, fcntl_getfl, flock},
    io::Errno,
};

use super::{lock::BUSY, names::redirected};

/// Standard output, and how many bytes of rows it has taken.
pub(super) struct Standard {
    stdout: Stdout,
    redirection: Redirection,
}

impl Standard {
    pub(super) fn new(redirection: &Redirection) -> Self {
        Self { stdout: io::stdout(), redirection: redirection.clone() }
    }
}

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Written behind the end of a file that was cut, rows would hide that others are gone.
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

impl SeekableOutput for Standard {
    fn length(&self) -> Option<u64> {
        self.stdout.length()
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.stdout.rewrite(at, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.stdout.truncate(length)
    }
}

/// The file that standard output was redirected to, if it was. Other programs may write to it as
/// well: a shell lets several share one. Clones are of the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Redirection {
    written: Rc<Cell<u64>>,
    /// Whether it was a file with a name when the run began.
    has_name: bool,
    /// `None`: it is not a file, or one whose file system has no locks.
    _lock: Option<Rc<Lock>>,
}

impl Redirection {
    /// Of standard output as it is now. Its file is locked like that of any other output; runs that
    /// append to one (`>>`), or got it from the same shell, may do so side by side.
    ///
    /// # Errors
    /// Another run writes to the file.
    pub(super) fn new() -> anyhow::Result<Self> {
        let Some((.., has_name)) = redirected(&io::stdout()) else { return Ok(Self::default()) };
        let lock = Lock::new()?.map(Rc::new);
        Ok(Self { has_name, _lock: lock, ..Self::default() })
    }

    /// # Errors
    /// The file has not even the length of the rows, or has no name any more.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Some((_, length, has_name)) = redirected(&io::stdout()) else { return Ok(()) };
        let written = self.written.get();
        if length < written {
            bail!("another program has cut the file to {length} bytes; {written} were written");
        }
        if self.has_name && !has_name {
            bail!("another program has removed the file while the run wrote to it");
        }
        Ok(())
    }
}

/// The lock of the file that standard output is. Given back by hand: the shell that opened the file
/// keeps it open.
#[derive(Debug)]
struct Lock;

impl Lock {
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

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(io::stdout(), FlockOperation::Unlock);
    }
}
