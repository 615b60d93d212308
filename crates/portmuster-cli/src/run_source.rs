//! The runs that a command reads: where they are, and how they are read.

use std::{
    error::Error,
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use portmuster::history::{
    RowErrorKind, RunChoice, RunResults, StoredRows, StoredRun, read_jsonl, read_run, read_run_rows,
};

use serde::Deserialize;

use crate::{numbers, terminal};

/// Size of the read buffer in bytes.
const BUFFER: usize = 256 * 1024;

/// Limit of the length of a line, in bytes: four times the longest row.
const LINE_MAX: usize = 1 << 20;

/// The first bytes of a database (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const DATABASE: &[u8] = b"SQLite format 3\0";

/// The location of a run.
#[derive(Debug)]
pub(crate) struct Source {
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
    pub(crate) fn parse(text: &OsStr) -> anyhow::Result<Self> {
        let name = text.display().to_string();
        if text == "-" {
            return Ok(Self { name: "standard input".into(), file: None, choice: None });
        }
        let parts = text.to_str().and_then(|text| text.rsplit_once('#'));
        let (file, choice) = match parts {
            Some((file, run)) if !Path::new(text).exists() => (
                file.into(),
                Some(run.parse().with_context(|| format!("choosing the run {name:?}"))?),
            ),
            _ => (text.into(), None),
        };
        Ok(Self { name, file: Some(file), choice })
    }

    /// Returns whether the run is read from standard input.
    pub(crate) fn is_stdin(&self) -> bool {
        self.file.is_none()
    }

    /// Returns the name for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file; `-` is standard input.
    pub(crate) fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new("-"))
    }

    /// Returns whether the run is in a database that can be read.
    pub(crate) fn is_database(&self) -> bool {
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
    pub(crate) fn read(&self, quiet: bool) -> anyhow::Result<ReadRun> {
        let run = self.read_all().with_context(|| format!("reading the run {:?}", self.name))?;
        if quiet {
            return Ok(run);
        }
        if let Some(defect) = &run.defect {
            terminal::note_over_progress(&format!(
                "{} {defect}: nothing is known about its missing targets",
                self.name
            ));
        }
        if run.results.rows() == 0 {
            terminal::note_over_progress(&format!("{} has no rows", self.name));
        }
        Ok(run)
    }

    /// Reads the run.
    fn read_all(&self) -> anyhow::Result<ReadRun> {
        let Some(path) = &self.file else { return rows(io::stdin().lock()) };
        match self.choice {
            choice if self.is_database() => {
                stored(path, choice.unwrap_or(RunChoice::BeforeLast(0)))
            }
            None => rows(BufReader::with_capacity(BUFFER, File::open(path)?)),
            Some(_) => {
                File::open(path)?;
                bail!(ONE_RUN)
            }
        }
    }
}

/// A run that was read.
#[derive(Debug)]
pub(crate) struct ReadRun {
    pub(crate) results: RunResults,
    /// When it began: RFC 3339, UTC; of a file of rows, the time of its first row. `None`: it has none.
    pub(crate) started: Option<String>,
    /// Why it is incomplete; `None`: it is not known to be.
    defect: Option<String>,
}

/// What is known of a run besides its rows.
#[derive(Debug, Default)]
pub(crate) struct RunRemarks {
    /// The record of a run in a database, in JSON; `None`: a file of rows has none.
    pub(crate) record: Option<String>,
    /// Why the run is incomplete; `None`: it is not known to be.
    pub(crate) defect: Option<String>,
}

impl Source {
    /// Reads the rows of the run, each as a line of JSON with the number of the line, from 1. Prints a
    /// message if the run is incomplete.
    ///
    /// # Errors
    /// The run can't be read, or `add` refuses a line.
    pub(crate) fn read_lines(
        &self,
        quiet: bool,
        add: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<RunRemarks> {
        let remarks =
            self.lines(add).with_context(|| format!("reading the run {:?}", self.name))?;
        if let Some(defect) = remarks.defect.as_ref().filter(|_| !quiet) {
            terminal::note_over_progress(&format!(
                "{} {defect}: nothing is known about its missing targets",
                self.name
            ));
        }
        Ok(remarks)
    }

    fn lines(
        &self,
        mut add: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<RunRemarks> {
        let Some(path) = &self.file else { return lines_of(io::stdin().lock(), add) };
        match self.choice {
            choice if self.is_database() => {
                let (mut line, mut refused) = (0, None);
                let choice = choice.unwrap_or(RunChoice::BeforeLast(0));
                let rows = read_run_rows(path, choice, |row| {
                    line += 1;
                    if refused.is_none() {
                        refused = add(line, row).err();
                    }
                })?;
                let StoredRows { id, has_ended, left, record, .. } = rows;
                let defect = defect(id, has_ended, left);
                refused.map_or(Ok(RunRemarks { record: Some(record), defect }), Err)
            }
            None => lines_of(BufReader::with_capacity(BUFFER, File::open(path)?), add),
            Some(_) => {
                File::open(path)?;
                bail!(ONE_RUN)
            }
        }
    }
}

/// Reads lines. One that is cut off at the end of the input is no row, and makes the run incomplete.
fn lines_of(
    mut input: impl BufRead,
    mut add: impl FnMut(u64, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<RunRemarks> {
    let mut buffer = Vec::new();
    for line in 1.. {
        buffer.clear();
        if input.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut buffer)? == 0 {
            break;
        }
        let is_whole = buffer.ends_with(b"\n");
        if !is_whole && buffer.len() == LINE_MAX {
            bail!("line {line}: longer than {LINE_MAX} bytes, the limit of a row");
        }
        let added = add(line, &buffer);
        if !is_whole && line > 1 && added.is_err() {
            return Ok(RunRemarks { record: None, defect: Some(CUT_OFF.to_owned()) });
        }
        added.with_context(|| format!("line {line}"))?;
    }
    Ok(RunRemarks::default())
}

/// What to read instead of a file whose first line is no row.
const OTHER_FORMAT: &str = "; a run is a file of -o jsonl or a database of -o sqlite";

/// Why a file of rows is incomplete.
const CUT_OFF: &str = "ends in the middle of a row, so its run was killed";

/// Why a file of rows has no runs to choose from.
const ONE_RUN: &str = "only databases contain several runs: remove the # and the text after it";

/// Returns why a run in a database is incomplete; `None`: it is complete.
fn defect(id: i64, has_ended: bool, left: u64) -> Option<String> {
    match (has_ended, left) {
        (false, _) => Some(format!("(run {id}) was killed or is still running")),
        (true, 0) => None,
        (true, left) => {
            Some(format!("(run {id}) was stopped with {} left", numbers::count(left, "target")))
        }
    }
}

/// Reads a file of rows.
fn rows(mut input: impl BufRead) -> anyhow::Result<ReadRun> {
    let started = first_time(input.fill_buf()?);
    let results = read_jsonl(input).map_err(|error| match error.kind() {
        RowErrorKind::NoRow => {
            let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
            let line = error.line();
            let formats = if line == 1 { OTHER_FORMAT } else { "" };
            anyhow!("line {line}: not a row as portmuster check -o jsonl writes it{why}{formats}")
        }
        _ => error.into(),
    })?;
    let is_cut = results.is_partial();
    let defect = is_cut.then(|| CUT_OFF.to_owned());
    Ok(ReadRun { results, started, defect })
}

/// Returns the time of the first of these rows.
fn first_time(rows: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Timed {
        time: String,
    }

    let line = rows.split(|&byte| byte == b'\n').next()?;
    serde_json::from_slice::<Timed>(line).ok().map(|row| row.time)
}

/// Reads a run in a database.
fn stored(database: &Path, choice: RunChoice) -> anyhow::Result<ReadRun> {
    let StoredRun { results, id, has_ended, left, started, .. } = read_run(database, choice)?;
    Ok(ReadRun { results, started: Some(started), defect: defect(id, has_ended, left) })
}
