//! The runs to compare: where they are, and how they are read.

use std::{
    error::Error,
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use portmuster::history::{RowErrorKind, RunChoice, RunResults, StoredRun, read_jsonl, read_run};

use crate::terminal;

/// Size of the read buffer in bytes.
const BUFFER: usize = 256 * 1024;

/// The first bytes of a database (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const DATABASE: &[u8] = b"SQLite format 3\0";

/// The location of a run.
#[derive(Debug)]
pub(super) struct Source {
    /// The name for messages.
    name: String,
    /// `None`: stdin.
    file: Option<PathBuf>,
    /// Which run of a database; `None`: the argument names none.
    choice: Option<RunChoice>,
}

impl Source {
    /// Parses `FILE`, `-` or `FILE#RUN`. An existing file whose name contains `#` takes precedence.
    ///
    /// # Errors
    /// The text after `#` is not a run.
    pub(super) fn parse(text: &OsStr) -> anyhow::Result<Self> {
        let name = text.display().to_string();
        if text == "-" {
            return Ok(Self { name: "standard input".into(), file: None, choice: None });
        }
        let parts = text.to_str().and_then(|text| text.rsplit_once('#'));
        let (file, choice) = match parts {
            Some((file, run)) if !Path::new(text).exists() => (
                file.into(),
                Some(run.parse().with_context(|| format!("choosing the run {name}"))?),
            ),
            _ => (text.into(), None),
        };
        Ok(Self { name, file: Some(file), choice })
    }

    /// Returns whether the run is read from standard input.
    pub(super) fn is_stdin(&self) -> bool {
        self.file.is_none()
    }

    /// Returns the file; `-` is standard input.
    pub(super) fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new("-"))
    }

    /// Returns whether the run is in a database that can be read.
    pub(super) fn is_database(&self) -> bool {
        // Opening a pipe would block.
        let is_plain = |path: &&PathBuf| path.metadata().is_ok_and(|found| found.is_file());
        let file = self.file.as_ref().filter(is_plain).and_then(|path| File::open(path).ok());
        let mut start = [0; DATABASE.len()];
        file.is_some_and(|mut file| file.read_exact(&mut start).is_ok() && start == *DATABASE)
    }

    /// Reads the run, and prints a message if it is incomplete.
    ///
    /// # Errors
    /// The run can't be read.
    pub(super) fn read(&self, quiet: bool) -> anyhow::Result<RunResults> {
        let (run, defect) =
            self.read_all().with_context(|| format!("reading the run {}", self.name))?;
        if quiet {
            return Ok(run);
        }
        if let Some(defect) = defect {
            terminal::note(format!(
                "{} {defect}: nothing is known about its missing targets",
                self.name
            ));
        }
        if run.rows() == 0 {
            terminal::note(format!("{} has no rows", self.name));
        }
        Ok(run)
    }

    /// Reads the run; returns it with the reason why it is incomplete, if it is.
    fn read_all(&self) -> anyhow::Result<(RunResults, Option<String>)> {
        let Some(path) = &self.file else { return rows(io::stdin().lock()) };
        match self.choice {
            choice if self.is_database() => {
                stored(path, choice.unwrap_or(RunChoice::BeforeLast(0)))
            }
            None => rows(BufReader::with_capacity(BUFFER, File::open(path)?)),
            Some(_) => {
                File::open(path)?;
                bail!("only databases contain several runs: remove the # and the text after it")
            }
        }
    }
}

/// Reads a file of rows.
fn rows(input: impl BufRead) -> anyhow::Result<(RunResults, Option<String>)> {
    let results = read_jsonl(input).map_err(|error| match error.kind() {
        RowErrorKind::NoRow => {
            let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
            let line = error.line();
            anyhow!("line {line}: not a row as portmuster check -o jsonl writes it{why}")
        }
        _ => error.into(),
    })?;
    let is_cut = results.is_partial();
    let defect = is_cut.then(|| "ends in the middle of a row, so its run was killed".to_owned());
    Ok((results, defect))
}

/// Reads a run in a database.
fn stored(database: &Path, choice: RunChoice) -> anyhow::Result<(RunResults, Option<String>)> {
    let StoredRun { results, id, has_ended, left, .. } = read_run(database, choice)?;
    let defect = match (has_ended, left) {
        (false, _) => Some(format!("(run {id}) was killed or is still running")),
        (true, 0) => None,
        (true, left) => Some(format!("(run {id}) was stopped with {left} targets left")),
    };
    Ok((results, defect))
}
