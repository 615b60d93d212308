//! Arguments about outputs: `-o FORMAT[=FILE]`, and files that exist.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;
use portmuster::gates::Forbidden;

use super::{
    headings,
    show::{ShowItem, ShownRows},
};
use crate::formats::{self, OutputFormat};

/// An output: where rows go, and in which format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputSpec {
    format: &'static OutputFormat,
    /// `None`: stdout.
    file: Option<PathBuf>,
}

impl OutputSpec {
    /// Returns the format.
    pub(crate) fn format(&self) -> &'static OutputFormat {
        self.format
    }

    /// Returns the file; `None`: stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns whether the output is a database.
    pub(crate) fn is_database(&self) -> bool {
        self.format.is_database()
    }

    /// Returns the name of the format.
    pub(crate) fn name(&self) -> &'static str {
        self.format.name
    }

    /// Returns which rows are written. `show` has the items of `--show`; without any, the format decides.
    pub(crate) fn rows(&self, show: &[ShowItem]) -> ShownRows {
        let default =
            if self.format.shows_all { ShowItem::All } else { ShowItem::Found(Forbidden::Open) };
        ShownRows::new(show, default)
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
        let format = OutputFormat::named(name).ok_or_else(|| {
            format!("unknown format {name:?}: use one of {}", formats::names().join(", "))
        })?;
        if let Some(what) = format.needs_file().filter(|_| file.is_none()) {
            return Err(format!("{what} needs a file: use {name}=FILE"));
        }
        Ok(Self { format, file })
    }
}

/// Where the summary of the run goes, in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SummarySpec {
    /// `None`: stdout.
    file: Option<PathBuf>,
}

impl SummarySpec {
    /// Returns the file; `None`: stdout.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl FromStr for SummarySpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("json", "")) => Err("the file after = is missing".to_owned()),
            Some(("json", "-")) => Ok(Self { file: None }),
            Some(("json", file)) => Ok(Self { file: Some(file.into()) }),
            _ => Err("expected json=FILE, or json=- for stdout".to_owned()),
        }
    }
}

/// What to do with output files that exist. By default the command refuses to change them.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = headings::OUTPUTS)]
#[group(multiple = false)]
pub(crate) struct ExistingFiles {
    #[arg(hide_short_help = true, long, help = formats::append_help())]
    pub(crate) append: bool,

    /// Overwrite existing output files (never a database, which keeps its runs)
    #[arg(hide_short_help = true, long)]
    pub(crate) force: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_a_format_with_an_optional_file() {
        let parsed = |text: &str| {
            let output: OutputSpec = text.parse()?;
            Ok::<_, String>((output.name(), output.file))
        };
        assert_eq!(parsed("jsonl=a=b"), Ok(("jsonl", Some("a=b".into()))));
        assert_eq!(parsed("table=-"), Ok(("table", None)));
        assert_eq!(parsed("sqlite=a.db"), Ok(("sqlite", Some("a.db".into()))));
        assert_eq!(
            parsed("yaml").expect_err("it is no format"),
            "unknown format \"yaml\": use one of table, list, jsonl, csv, xml, sarif, html, \
             known-hosts, sqlite"
        );
        assert!(parsed("jsonl=").is_err());
        assert!(parsed("sqlite").is_err_and(|error| error.contains("sqlite=FILE")));
        assert!(parsed("sqlite=-").is_err());
        assert!(parsed("html").is_err_and(|error| error == "a page needs a file: use html=FILE"));
    }

    #[test]
    fn summary_is_json_in_a_file_or_on_stdout() {
        let file = |text: &str| text.parse().map(|SummarySpec { file }| file);
        assert_eq!(file("json=a=b"), Ok(Some("a=b".into())));
        assert_eq!(file("json=-"), Ok(None));
        for text in ["json", "json=", "a.json", "xml=a", ""] {
            assert!(file(text).is_err(), "{text}");
        }
    }
}
