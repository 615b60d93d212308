//! Where a run is read from.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use anyhow::Context;
use portmuster::history::{Run, read_jsonl};

use crate::terminal;

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;

/// Where a run is.
#[derive(Debug)]
pub(super) struct Source {
    named: OsString,
}

impl Source {
    pub(super) fn named(named: &OsStr) -> Self {
        Self { named: named.to_owned() }
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.named == "-"
    }

    fn name(&self) -> String {
        if self.is_stdin() { "standard input".into() } else { self.named.display().to_string() }
    }

    /// Reads the run, and says what keeps it from being whole.
    ///
    /// # Errors
    /// It can't be read: where, and why.
    pub(super) fn read(&self, quiet: bool) -> anyhow::Result<Run> {
        let name = self.name();
        let (run, is_cut) = self
            .open()
            .and_then(|input| Ok(read_jsonl(input)?))
            .with_context(|| format!("reading the run {name}"))?;
        if !quiet && is_cut {
            terminal::note(format!(
                "{name} ends in the middle of a row, so its run was cut off: targets that it does \
                 not have prove nothing"
            ));
        }
        if !quiet && run.rows() == 0 {
            terminal::note(format!("{name} has no rows"));
        }
        Ok(run)
    }

    fn open(&self) -> anyhow::Result<Box<dyn BufRead>> {
        if self.is_stdin() {
            return Ok(Box::new(io::stdin().lock()));
        }
        let file = File::open(PathBuf::from(&self.named))?;
        Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
    }
}
