//! Errors of an input, with the line and column at which they occur.

use thiserror::Error;

use super::{grammar::ItemError, input_format::InputFormat, labels::LabelError};

/// An error in an input, with its line and column.
#[derive(Debug, Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct LineError {
    /// The line, counted from 1.
    pub line: u64,
    /// The column, in characters from 1.
    pub column: usize,
    /// The problem.
    pub kind: LineErrorKind,
}

/// The problem of a [`LineError`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The input can't be read.
    #[error("reading the input failed: {0}")]
    Io(#[from] std::io::Error),
    /// The line is longer than this number of bytes.
    #[error("the line is longer than {0} bytes; write one target per line")]
    TooLong(usize),
    /// The line is not UTF-8 text, or it contains a NUL.
    #[error("this is not text (UTF-8)")]
    NotText,
    /// The item can't be parsed.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The text after the item is not a label.
    #[error(transparent)]
    Label(#[from] LabelError),
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
}

impl LineErrorKind {
    /// Whether the error ends the input: nothing after it can be read.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Io(_) | Self::TooLong(_) | Self::Document { .. })
    }
}
