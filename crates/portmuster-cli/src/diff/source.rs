//! Where a run is read from.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use portmuster::history::{RunChoice, RunResults, StoredRun, read_jsonl, read_run};

use crate::terminal;

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;

/// What a database begins with (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const DATABASE: &[u8] = b"SQLite format 3\0";

/// Where a run is.
#[derive(Debug)]
pub(super) struct Source {
    /// As messages call it.
    name: String,
    /// `None`: stdin.
    file: Option<PathBuf>,
    /// Which run of a database; `None`: none was named.
    choice: Option<RunChoice>,
}

impl Source {
    /// `FILE`, `-`, or `FILE#RUN`; a file whose name has the `#` goes before.
    ///
    /// # Errors
    /// What follows the `#` names no run.
    pub(super) fn named(named: &OsStr) -> anyhow::Result<Self> {
        let name = named.display().to_string();
        if named == "-" {
            return Ok(Self { name: "standard input".into(), file: None, choice: None });
        }
        let parts = named.to_str().and_then(|text| text.rsplit_once('#'));
        let (file, choice) = match parts {
            Some((file, run)) if !Path::new(named).exists() => (
                file.into(),
                Some(run.parse().with_context(|| format!("choosing the run {name}"))?),
            ),
            _ => (named.into(), None),
        };
        Ok(Self { name, file: Some(file), choice })
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.file.is_none()
    }

    /// The file; `-` is standard input.
    pub(super) fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new("-"))
    }

    /// Reads the run, and says what keeps it from being whole.
    ///
    /// # Errors
    /// It can't be read: where, and why.
    pub(super) fn read(&self, quiet: bool) -> anyhow::Result<RunResults> {
        let (run, doubt) =
            self.read_all().with_context(|| format!("reading the run {}", self.name))?;
        if quiet {
            return Ok(run);
        }
        if let Some(doubt) = doubt {
            terminal::note(format!(
                "{} {doubt}: targets that it does not have prove nothing",
                self.name
            ));
        }
        if run.rows() == 0 {
            terminal::note(format!("{} has no rows", self.name));
        }
        Ok(run)
    }

    /// The run, and why it may not be whole.
    fn read_all(&self) -> anyhow::Result<(RunResults, Option<String>)> {
        let Some(path) = &self.file else { return rows(io::stdin().lock()) };
        let file = File::open(path)?;
        let is_plain = file.metadata()?.is_file();
        let mut input = BufReader::with_capacity(BUFFER, file);
        let is_database = is_plain && input.fill_buf()?.starts_with(DATABASE);
        match self.choice {
            None if !is_database => rows(input),
            Some(_) if !is_database => {
                bail!("only databases have several runs; leave out what follows the #")
            }
            choice => stored(path, choice.unwrap_or(RunChoice::BeforeLast(0))),
        }
    }
}

fn rows(input: impl BufRead) -> anyhow::Result<(RunResults, Option<String>)> {
    let run = read_jsonl(input)?;
    let is_cut = run.is_partial();
    let doubt = is_cut.then(|| "ends in the middle of a row, so its run was cut off".to_owned());
    Ok((run, doubt))
}

fn stored(database: &Path, choice: RunChoice) -> anyhow::Result<(RunResults, Option<String>)> {
    let StoredRun { results, id, has_ended, left } = read_run(database, choice)?;
    let doubt = match (has_ended, left) {
        (false, _) => Some(format!("(run {id}) was cut off, or is still going on")),
        (true, 0) => None,
        (true, left) => Some(format!("(run {id}) was stopped with {left} targets left")),
    };
    Ok((results, doubt))
}
