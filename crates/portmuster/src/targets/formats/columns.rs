//! The columns of a CSV table that are read.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::csv_header::simplified;

/// A column of a CSV table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The column with this title in the header row. Case, spaces and punctuation do not matter.
    Named(String),
    /// The column with this number, counted from 1. There is no column 0.
    Numbered(usize),
}

/// The columns of a CSV table that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The column of hosts: addresses, networks, ranges or names, with or without ports.
    pub host: Column,
    /// The column of ports. If its cell is empty, the run's default ports apply.
    pub port: Option<Column>,
    /// The column of labels.
    pub label: Option<Column>,
}

/// A text that does not name the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct ColumnsError {
    kind: ColumnsErrorKind,
}

impl ColumnsError {
    /// Returns the problem.
    #[must_use]
    pub fn kind(&self) -> &ColumnsErrorKind {
        &self.kind
    }
}

/// Why a text does not name the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ColumnsErrorKind {
    /// The column of hosts is missing.
    #[error("the host column is missing: write HOST,PORT,LABEL, such as ip,port,name or 1,2,3")]
    NoHost,
    /// More than three columns are named.
    #[error("there are only three columns: write HOST,PORT,LABEL, such as ip,port,name or 1,2,3")]
    TooMany,
    /// A column has the number 0.
    #[error("there is no column 0: columns are counted from 1")]
    Zero,
}

impl FromStr for Columns {
    type Err = ColumnsError;

    /// Parses `HOST[,PORT[,LABEL]]`. Each is the title or the number of a column; `PORT` and
    /// `LABEL` may be empty.
    fn from_str(text: &str) -> Result<Self, ColumnsError> {
        Self::parse(text).map_err(|kind| ColumnsError { kind })
    }
}

impl Columns {
    fn parse(text: &str) -> Result<Self, ColumnsErrorKind> {
        let mut columns = text.split(',').map(|column| Column::parse(column.trim()));
        let host = columns.next().transpose()?.flatten().ok_or(ColumnsErrorKind::NoHost)?;
        let port = columns.next().transpose()?.flatten();
        let label = columns.next().transpose()?.flatten();
        if columns.next().is_some() {
            return Err(ColumnsErrorKind::TooMany);
        }
        Ok(Self { host, port, label })
    }
}

impl Column {
    /// Parses the title or the number of a column; `None` if the text is empty.
    fn parse(text: &str) -> Result<Option<Self>, ColumnsErrorKind> {
        match text.parse() {
            Ok(0) => Err(ColumnsErrorKind::Zero),
            Ok(number) => Ok(Some(Self::Numbered(number))),
            Err(_) if text.is_empty() => Ok(None),
            Err(_) => Ok(Some(Self::Named(text.to_owned()))),
        }
    }

    /// Returns the index of the column, given the [simplified] titles of the header row. `None` if
    /// no title matches.
    pub(super) fn index_in(&self, titles: &[String]) -> Option<usize> {
        match self {
            Self::Numbered(number) => number.checked_sub(1),
            Self::Named(name) => {
                let name = simplified(name);
                titles.iter().position(|title| *title == name)
            }
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => formatter.write_str(name),
            Self::Numbered(number) => number.fmt(formatter),
        }
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |column: &Option<Column>| column.as_ref().map(ToString::to_string);
        let [port, label] =
            [&self.port, &self.label].map(|column| text(column).unwrap_or_default());
        write!(formatter, "{},{port},{label}", self.host)
    }
}
