//! The file of `--summary`: what a run has found in all, for other programs.

use std::io::{self, Write};

use anyhow::{Context, anyhow};

mod record;

pub(crate) use self::record::SummaryRecord;
use crate::{
    args::Check,
    output::{OpenError, SummaryFile},
    read_files::ReadFiles,
};

/// Where the summary of a run is written at its end.
pub(crate) enum ClosingOutput {
    Stdout,
    File(Box<SummaryFile>),
}

impl ClosingOutput {
    /// Opens and locks the file of the command line without changing it; `None`: there is none.
    ///
    /// # Errors
    /// The file is refused as other outputs are, or an output goes to stdout as well.
    pub(crate) fn open(check: &Check, reads: &ReadFiles) -> Result<Option<Self>, OpenError> {
        let Some(spec) = &check.summary else { return Ok(None) };
        if let Some(path) = spec.file() {
            let file = SummaryFile::open(check, path, reads)?;
            return Ok(Some(Self::File(Box::new(file))));
        }
        if check.outputs.iter().any(|output| output.file().is_none()) {
            let error = "an output goes to stdout as well: write the summary to a file with --summary \
                         json=FILE";
            return Err(anyhow!(error).into());
        }
        reads.refuse_stdout()?;
        Ok(Some(Self::Stdout))
    }

    /// Empties the file, unless the summary is appended, so that no summary of an earlier run is taken
    /// for that of this run.
    ///
    /// # Errors
    /// The file can't be emptied.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(file) => file.begin(),
        }
    }

    /// Writes the summary.
    ///
    /// # Errors
    /// It can't be written, or another program has changed or replaced the file.
    pub(crate) fn write(self, record: &SummaryRecord) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let file = match self {
            Self::Stdout => return write_stdout(&line),
            Self::File(file) => file,
        };
        file.write(&line)
    }
}

fn write_stdout(line: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(line).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing the summary to standard output"),
    }
}
