//! Standard output as a place of rows.

use std::{
    cell::Cell,
    io::{self, Stdout, Write},
    rc::Rc,
};

use anyhow::bail;
use portmuster::sink::Place;

use super::names::redirected;

/// Standard output, and how many bytes of rows it has taken.
pub(super) struct Standard {
    stdout: Stdout,
    written: Rc<Cell<u64>>,
}

impl Standard {
    pub(super) fn new(redirection: &Redirection) -> Self {
        Self { stdout: io::stdout(), written: Rc::clone(&redirection.written) }
    }
}

impl Write for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stdout.write(bytes)?;
        self.written.set(self.written.get() + count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

impl Place for Standard {
    fn length(&self) -> Option<u64> {
        self.stdout.length()
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.stdout.rewrite(at, bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.stdout.cut(length)
    }
}

/// The file that standard output was redirected to, if it was. Other programs may write to it as
/// well: a shell lets several share one. Clones are of the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Redirection {
    written: Rc<Cell<u64>>,
    /// Whether it was a file with a name when the run began.
    has_name: bool,
}

impl Redirection {
    /// Of standard output as it is now.
    pub(super) fn new() -> Self {
        let has_name = redirected(&io::stdout()).is_some_and(|(.., has_name)| has_name);
        Self { has_name, ..Self::default() }
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
