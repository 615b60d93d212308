//! Errors of an input, with the line and column at which they occur.

use thiserror::Error;

use super::{grammar::ItemErrorKind, input_format::InputFormat, labels::LabelErrorKind};

/// An error in an input, with its line and column.
#[derive(Debug, Error)]
#[error("line {line}, column {column}: {kind}")]
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
}

impl LineErrorKind {
    /// Whether the error ends the input: nothing after it can be read.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Io(_) | Self::TooLong(_) | Self::Document { .. })
    }
}
