//! Arguments about outputs: `-o FORMAT[=FILE]`, and files that exist.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;

use super::display::Show;

/// A format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowFormat {
    Table,
    Jsonl,
    Csv,
    Xml,
}

impl RowFormat {
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

/// The name of the database format.
const DATABASE: &str = "sqlite";

/// An output: where rows go, and in which format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutputSpec {
    /// A stream of rows.
    Rows {
        format: RowFormat,
        /// `None`: stdout.
        file: Option<PathBuf>,
    },
    /// A database in a file.
    Database(PathBuf),
}

impl OutputSpec {
    /// Returns the file; `None`: stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Rows { file, .. } => file.as_deref(),
            Self::Database(file) => Some(file),
        }
    }

    /// Returns whether the output is a database.
    pub(crate) fn is_database(&self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// Returns the name of the format.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Rows { format, .. } => format.name(),
            Self::Database(_) => DATABASE,
        }
    }

    /// Returns which rows are written unless `--show` says otherwise.
    pub(crate) fn default_show(&self) -> Show {
        match self {
            Self::Rows { format: RowFormat::Table, .. } => Show::Open,
            Self::Rows { .. } | Self::Database(_) => Show::All,
        }
    }
}

impl FromStr for OutputSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((_, "")) => return Err("the file after = is missing".to_owned()),
            Some((name, "-")) => (name, None),
            Some((name, file)) => (name, Some(file.into())),
            None => (text, None),
        };
        if name == DATABASE {
            let file = file.ok_or("a database needs a file: use sqlite=FILE")?;
            return Ok(Self::Database(file));
        }
        let known = RowFormat::ALL.into_iter().find(|format| format.name() == name);
        let format = known.ok_or_else(|| {
            let names = RowFormat::ALL.map(RowFormat::name).join(", ");
            format!("unknown format {name:?}: use one of {names}, {DATABASE}")
        })?;
        Ok(Self::Rows { format, file })
    }
}

/// What to do with output files that exist. By default the command refuses to change them.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct ExistingFiles {
    /// Append to existing output files (not possible for xml)
    #[arg(long)]
    pub(crate) append: bool,

    /// Overwrite existing output files (never a database, which keeps its runs)
    #[arg(long)]
    pub(crate) force: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_a_format_with_an_optional_file() {
        let to_file = OutputSpec::Rows { format: RowFormat::Jsonl, file: Some("a=b".into()) };
        assert_eq!("jsonl=a=b".parse(), Ok(to_file));
        assert_eq!(
            "table=-".parse(),
            Ok(OutputSpec::Rows { format: RowFormat::Table, file: None })
        );
        assert_eq!("sqlite=a.db".parse(), Ok(OutputSpec::Database("a.db".into())));
        assert!("yaml".parse::<OutputSpec>().is_err());
        assert!("jsonl=".parse::<OutputSpec>().is_err());
        assert!("sqlite".parse::<OutputSpec>().is_err_and(|error| error.contains("sqlite=FILE")));
        assert!("sqlite=-".parse::<OutputSpec>().is_err());
    }
}
