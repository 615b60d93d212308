//! Errors of an input, with the line and column at which they occur.

use std::{error::Error as StdError, fmt};

use thiserror::Error;

use super::{grammar::ItemErrorKind, input_format::InputFormat, labels::LabelErrorKind};

/// An error in an input, with its line and column.
#[derive(Debug)]
pub struct LineError {
    pub(super) line: u64,
    pub(super) column: usize,
    pub(super) kind: LineErrorKind,
}

impl LineError {
    /// Returns the line, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns the column of the problem, in characters from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// Returns the problem.
    #[must_use]
    pub fn kind(&self) -> &LineErrorKind {
        &self.kind
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}: {}", self.line, self.column, self.kind)
    }
}

impl StdError for LineError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.kind.source()
    }
}

/// The problem of a [`LineError`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The input can't be read.
    #[error("reading the input failed")]
    Io(#[from] std::io::Error),
    /// The line is longer than this number of bytes.
    #[error("the line is longer than {0} bytes; write one target per line")]
    TooLong(usize),
    /// The line is not UTF-8 text, or it contains a NUL.
    #[error("this is not text (UTF-8)")]
    NotText,
    /// The item can't be parsed.
    #[error(transparent)]
    Item(#[from] ItemErrorKind),
    /// The text after the item is not a label.
    #[error(transparent)]
    Label(#[from] LabelErrorKind),
    /// A record is not valid in its format. Reading continues with the next record.
    #[error("this can't be read as {format}: {why}")]
    Record {
        /// The format.
        format: InputFormat,
        /// The problem.
        why: String,
    },
    /// The document is not valid in its format, so the rest of it can't be read.
    #[error("this can't be read as {format}: {why}")]
    Document {
        /// The format.
        format: InputFormat,
        /// The problem.
        why: String,
    },
    /// The first row of a table does not show which columns contain hosts and ports, so
    /// [`InputOptions::columns`](super::InputOptions::columns) must.
    #[error(
        "this can't be read as csv: the first row is neither a header with known titles nor a host \
         and a port; name the columns"
    )]
    UnknownColumns,
    /// The document consists of the JSON rows that portmuster writes, which are no targets.
    #[error(
        "these are rows of a run in JSON; targets can be read from rows in CSV, and from a list of \
         host:port"
    )]
    Rows,
    /// The document is in another format than the one that was asked for.
    #[error("this can't be read as {format}: this is {}", text_of(*.actual))]
    OtherFormat {
        /// The format that was asked for.
        format: InputFormat,
        /// The format that can read it.
        actual: InputFormat,
    },
}

/// Returns what a document of the format consists of.
fn text_of(format: InputFormat) -> &'static str {
    if format == InputFormat::NmapXml { "XML" } else { format.name() }
}

impl LineErrorKind {
    /// Returns whether the error ends the input: nothing after it can be read.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Io(_)
            | Self::TooLong(_)
            | Self::Document { .. }
            | Self::UnknownColumns
            | Self::Rows
            | Self::OtherFormat { .. } => true,
            Self::NotText | Self::Item(_) | Self::Label(_) | Self::Record { .. } => false,
        }
    }
}
