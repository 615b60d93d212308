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

/// Maximum number of bytes of a summary that are read: many times more than one has.
const SUMMARY_MAX: u64 = 64 * 1024;

/// What the file of an output contains.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// Rows, one after another.
    Rows(&'static RowFormat),
    /// The tables of a database.
    Database(&'static DatabaseFormat),
    /// The summaries of runs, one in each line.
    Summary,
}

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

    /// Returns whether it is a summary.
    pub(super) fn is_summary(self) -> bool {
        matches!(self, Self::Summary)
    }

    /// Returns whether it can be added at the end of a file, wherever that is.
    ///
    /// A format that can't be appended to rewrites its file in the middle.
    pub(super) fn can_append(self) -> bool {
        match self {
            Self::Rows(format) => format.append.is_ok(),
            Self::Database(_) => false,
            Self::Summary => true,
        }
    }

    /// Returns whether a new file with grouped rows replaces the file at the end of the run.
    pub(super) fn groups(self) -> bool {
        matches!(self, Self::Rows(RowFormat { group: Some(_), .. }))
    }

    /// Returns the words for a message that says what a file lacks.
    pub(super) fn lost(self) -> &'static str {
        match self {
            Self::Rows(_) | Self::Database(_) => "its rows are",
            Self::Summary => "the summary is",
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
            Self::Summary => refuse_other_than_summary(file),
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
        if !ends_with_newline(file)? {
            bail!("it ends in the middle of a line: complete that line, or choose another file");
        }
        if let Self::Rows(format) = self
            && !begins_with(file, &(format.header)())?
        {
            bail!("its columns are not those of this version: choose another file");
        }
        Ok(())
    }
}

/// Refuses a file that is neither empty nor contains exactly one summary.
fn refuse_other_than_summary(mut file: &File) -> anyhow::Result<()> {
    let mut content = Vec::new();
    file.rewind()?;
    file.take(SUMMARY_MAX).read_to_end(&mut content)?;
    if !content.is_empty() && !is_summary(&content) {
        bail!(
            "it exists, and contains something other than the summary of a run: --append appends to it, \
             --force overwrites it"
        );
    }
    Ok(())
}

/// Returns whether content is one summary of any version.
fn is_summary(content: &[u8]) -> bool {
    serde_json::from_slice::<SummaryHead>(content).is_ok_and(|head| head.r#type == "summary")
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
