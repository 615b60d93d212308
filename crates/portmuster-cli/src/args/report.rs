//! The arguments of `portmuster report`.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgGroup, Args};

const EXAMPLES_AND_STATUS: &str = "\
Examples:
  portmuster report audit.db -o report.html
  portmuster report audit.db#last --since audit.db#-2 -o report.html
  portmuster report today.jsonl --summary today.json -o report.html
  portmuster report audit.db --markdown

A database knows how its run was made, what it counted and what it has measured
of silent targets. A file of rows does not: --summary adds what portmuster check
--summary json=FILE has written, with the gates.

Exit status:
  0    the report was made
  2    the arguments are invalid, or a run can't be read
  3    the report can't be written";

const RUN: &str = "\
The run: a file written by `portmuster check -o jsonl=FILE` with the rows of all targets, or a run in a \
database (-o sqlite=FILE). FILE, FILE#last and FILE#-1 mean the last run, FILE#-2 the run before it, and \
FILE#7 the run with id 7. `-` is stdin";

/// Which run a report is about, and in which format it is written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES_AND_STATUS, group = ArgGroup::new("format").args(["markdown", "json"]))]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct Report {
    /// The run
    #[arg(value_name = "RUN", long_help = RUN)]
    pub(crate) run: OsString,

    /// Write to this file; `-` is stdout [default: stdout, unless it is a terminal]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Show what changed since this earlier run, in the same notation
    #[arg(long, value_name = "RUN")]
    pub(crate) since: Option<OsString>,

    /// Add what the run counted, from a file of `portmuster check --summary json=FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,

    /// Write a summary in Markdown, for a ticket or a pull request
    #[arg(long)]
    markdown: bool,

    /// Write what the page shows as JSON
    #[arg(long)]
    json: bool,

    /// Overwrite the file if it exists
    #[arg(long)]
    pub(crate) force: bool,

    /// Print only errors on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportFormat {
    Html,
    Markdown,
    Json,
}

impl Report {
    /// Returns the format.
    pub(crate) fn format(&self) -> ReportFormat {
        match (self.markdown, self.json) {
            (true, _) => ReportFormat::Markdown,
            (false, true) => ReportFormat::Json,
            (false, false) => ReportFormat::Html,
        }
    }
}
