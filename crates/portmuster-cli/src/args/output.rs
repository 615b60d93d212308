//! `-o FORMAT[=FILE]`.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use super::Show;

/// A format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Jsonl,
    Csv,
    Xml,
}

impl Format {
    const ALL: [Self; 4] = [Self::Table, Self::Jsonl, Self::Csv, Self::Xml];

    fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Xml => "xml",
        }
    }
}

/// The name of databases, beside those of the formats.
const DATABASE: &str = "sqlite";

/// Where rows go, and in what format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutputSpec {
    /// Bytes, one row after another.
    Rows {
        format: Format,
        /// `None`: stdout.
        file: Option<PathBuf>,
    },
    /// A database in a file.
    Database(PathBuf),
}

impl OutputSpec {
    /// The file; `None`: stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Rows { file, .. } => file.as_deref(),
            Self::Database(file) => Some(file),
        }
    }

    /// Whether it is a database.
    pub(crate) fn is_database(&self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// The name of its format.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Rows { format, .. } => format.name(),
            Self::Database(_) => DATABASE,
        }
    }

    /// The rows that it gets unless others are asked for.
    pub(crate) fn shown(&self) -> Show {
        match self {
            Self::Rows { format: Format::Table, .. } => Show::Open,
            Self::Rows { .. } | Self::Database(_) => Show::All,
        }
    }
}

impl FromStr for OutputSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((_, "")) => return Err("the file behind = is missing".to_owned()),
            Some((name, "-")) => (name, None),
            Some((name, file)) => (name, Some(file.into())),
            None => (text, None),
        };
        if name == DATABASE {
            let file = file.ok_or("a database is a file; name it: sqlite=FILE")?;
            return Ok(Self::Database(file));
        }
        let known = Format::ALL.into_iter().find(|format| format.name() == name);
        let format = known.ok_or_else(|| {
            let names = Format::ALL.map(Format::name).join(", ");
            format!("{name:?} is not a format: {names}, {DATABASE}")
        })?;
        Ok(Self::Rows { format, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_have_a_format_and_perhaps_a_file() {
        let to_file = OutputSpec::Rows { format: Format::Jsonl, file: Some("a=b".into()) };
        assert_eq!("jsonl=a=b".parse(), Ok(to_file));
        assert_eq!("table=-".parse(), Ok(OutputSpec::Rows { format: Format::Table, file: None }));
        assert_eq!("sqlite=a.db".parse(), Ok(OutputSpec::Database("a.db".into())));
        assert!("yaml".parse::<OutputSpec>().is_err());
        assert!("jsonl=".parse::<OutputSpec>().is_err());
        assert!("sqlite".parse::<OutputSpec>().is_err_and(|error| error.contains("sqlite=FILE")));
        assert!("sqlite=-".parse::<OutputSpec>().is_err());
    }
}
