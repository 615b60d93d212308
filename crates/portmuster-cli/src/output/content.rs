//! What the file of an output contains, and which existing content must stay.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use anyhow::bail;
use serde::Deserialize;

use super::empty::refuse_rows;
use crate::{
    args::OutputSpec,
    formats::{DatabaseFormat, RowFormat, Storage},
};

/// Maximum number of bytes of a summary, or of gates, that are read: many times more than they have.
const CLOSING_MAX: u64 = 64 * 1024;

/// How the file of `--metrics` begins.
pub(super) const METRICS_BEGINNING: &str = "# HELP portmuster_";

/// What the file of an output contains.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Rows, one after another.
    Rows(&'static RowFormat),
    /// The tables of a database.
    Database(&'static DatabaseFormat),
    /// What is written at the end of a run.
    Closing(ClosingContent),
    /// The metrics of the last run.
    Metrics,
}

/// What a file contains that is written when the run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosingContent {
    /// The summaries of runs, one in each line.
    Summary,
    /// The gates of a run as tests in XML, as `JUnit` writes them.
    Junit,
}

/// The start of the first element of the file of `--gates-junit`.
const JUNIT_NAME: &[u8] = b"<testsuites name=\"portmuster\"";

/// The fields by which a summary is recognised.
#[derive(Deserialize)]
struct SummaryHead {
    #[serde(rename = "schema")]
    _schema: u32,
    r#type: String,
}

impl Content {
    /// Returns the content of an output of the command line.
    pub(super) fn of(spec: &OutputSpec) -> Self {
        match &spec.format().storage {
            Storage::Rows(format) => Self::Rows(format),
            Storage::Database(format) => Self::Database(format),
        }
    }

    /// Returns whether the file is a database.
    pub(super) fn is_database(self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// Returns whether it is rows, which a run that resumes continues.
    pub(super) fn is_rows(self) -> bool {
        matches!(self, Self::Rows(_) | Self::Database(_))
    }

    /// Returns whether it is metrics, which each run replaces.
    pub(super) fn is_metrics(self) -> bool {
        matches!(self, Self::Metrics)
    }

    /// Returns whether it can be added at the end of a file, wherever that is.
    ///
    /// A format that can't be appended to rewrites its file in the middle.
    pub(super) fn can_append(self) -> bool {
        match self {
            Self::Rows(format) => format.append.is_ok(),
            Self::Database(_) | Self::Metrics | Self::Closing(ClosingContent::Junit) => false,
            Self::Closing(ClosingContent::Summary) => true,
        }
    }

    /// Returns whether a new file replaces the file at the end of the run.
    pub(super) fn is_replaced(self) -> bool {
        matches!(self, Self::Metrics | Self::Rows(RowFormat { group: Some(_), .. }))
    }

    /// Returns the words for a message that says what a file lacks.
    pub(super) fn lost(self) -> &'static str {
        match self {
            Self::Rows(_) | Self::Database(_) => "its rows are",
            Self::Closing(ClosingContent::Summary) => "the summary is",
            Self::Closing(ClosingContent::Junit) => "the gates are",
            Self::Metrics => "the metrics are",
        }
    }

    /// Refuses to replace a file that has other content than a run which starts again may replace.
    ///
    /// # Errors
    /// The file has other content, or can't be read.
    pub(super) fn refuse_unreplaceable(self, file: &File) -> anyhow::Result<()> {
        match self {
            Self::Rows(format) => refuse_rows(file, format),
            Self::Database(_) => Ok(()),
            Self::Closing(ClosingContent::Summary) => {
                refuse_other(file, "the summary of a run: --append appends to it, ", is_summary)
            }
            Self::Closing(ClosingContent::Junit) => refuse_other(file, "gates: ", is_junit),
            Self::Metrics => refuse_other(file, "metrics of portmuster: ", is_metrics),
        }
    }

    /// Checks that more of this content can follow that of the file.
    ///
    /// # Errors
    /// It can't be appended, the last line of the file is incomplete, or its columns are others.
    pub(super) fn check_appendable(self, file: &File) -> anyhow::Result<()> {
        if let Self::Rows(RowFormat { append: Err(reason), .. }) = self {
            bail!(*reason);
        }
        if let Self::Closing(ClosingContent::Junit) = self {
            bail!(
                "a finished XML document can't be appended to: choose another file, or use --force"
            );
        }
        if !ends_with_newline(file)? {
            bail!("it ends in the middle of a line: complete that line, or choose another file");
        }
        if let Self::Rows(format) = self
            && !begins_with_any(file, &(format.headers)())?
        {
            bail!("its columns are not those of this version: choose another file");
        }
        Ok(())
    }
}

/// Refuses a file that is neither empty nor has the expected content, whose name begins a list of flags.
fn refuse_other(
    mut file: &File,
    expected: &str,
    is_expected: fn(&[u8]) -> bool,
) -> anyhow::Result<()> {
    let mut content = Vec::new();
    file.rewind()?;
    file.take(CLOSING_MAX).read_to_end(&mut content)?;
    if !content.is_empty() && !is_expected(&content) {
        bail!("it exists, and contains something other than {expected}--force overwrites it");
    }
    Ok(())
}

/// Returns whether content is what this program writes to the file of `--gates-junit`.
fn is_junit(content: &[u8]) -> bool {
    let is_named = || content.windows(JUNIT_NAME.len()).any(|part| part == JUNIT_NAME);
    content.starts_with(b"<?xml ") && is_named()
}

/// Returns whether content is metrics of this program.
fn is_metrics(content: &[u8]) -> bool {
    content.starts_with(METRICS_BEGINNING.as_bytes())
}

/// Returns whether content is one summary of any version.
fn is_summary(content: &[u8]) -> bool {
    serde_json::from_slice::<SummaryHead>(content).is_ok_and(|head| head.r#type == "summary")
}

/// Returns whether the file begins with one of the headers, or there are none.
fn begins_with_any(file: &File, headers: &[String]) -> io::Result<bool> {
    for header in headers {
        if begins_with(file, header)? {
            return Ok(true);
        }
    }
    Ok(headers.is_empty())
}

fn begins_with(mut file: &File, header: &str) -> io::Result<bool> {
    let mut beginning = vec![0; header.len()];
    file.seek(SeekFrom::Start(0))?;
    match file.read_exact(&mut beginning) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| beginning == header.as_bytes()),
    }
}

/// Returns whether the file is empty or its last byte is a newline.
fn ends_with_newline(mut file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_summary_is_recognised() {
        let summary = "{\"schema\":1,\"type\":\"summary\",\"account\":{\"left\":1e30}}\n";
        assert!(is_summary(summary.as_bytes()));
        assert!(is_summary(summary.trim_end().as_bytes()), "its newline may be missing");
        let two = summary.repeat(2);
        let row = "{\"schema\":1,\"host\":\"10.0.0.5\"}\n";
        for other in [two.as_str(), row, "{\"type\":\"summary\"}\n", "precious\n", "{", "[]"] {
            assert!(!is_summary(other.as_bytes()), "{other}");
        }
    }
}
