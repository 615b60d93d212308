//! The arguments of `portmuster diff`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

use super::Show;

const MORE: &str = "\
Examples:
  portmuster diff audit.db#-2 audit.db#last
  portmuster diff last-week.jsonl today.jsonl
  portmuster diff old.jsonl new.jsonl -o jsonl | jq -r 'select(.new.service == \"telnet\") | .host'

Changes:
  came, went      the target is in one of the runs only
  opened, closed  it is open, and was refused or had no name; the other way round
  answers         it is open, and gave no answer or could not be checked before
  no-answer       it was open, and gives no answer now, or none that tells a service
  service         it is another service, or another protocol
  version         ssh names another software
  banner          telnet greets with other words
  new-findings, gone-findings  something is weak that was not; the other way round
No answer is no proof that a port was closed, and a target that could not be checked is not
compared. Where a run of a database was stopped or cut off, or a file ends in the middle of a row,
targets that it does not have were not reached: the summary counts them, and they neither came nor
went. What is weak is compared where both runs know what ssh offers. A name is compared whatever its
address was, but address by address where several of them were checked. Where a run has several rows
of a target the last one counts. A row of either run takes 32 bytes of memory, one of a name about
150, and each greeting is kept once.

Exit status:
  0    nothing changed
  1    something changed
  2    the arguments or a run can't be read
  3    standard output can't be written
When stdout is closed early it ends quietly with 0.";

const RUN: &str = "\
The earlier run: a file of rows that `portmuster check -o jsonl=FILE` has written, of all targets, \
or a run of a database (-o sqlite=FILE): FILE#last, FILE#-1 and FILE are the last, FILE#-2 is the \
one before, FILE#7 the one whose id is 7. `-` is stdin";

/// Which runs are compared, and how the changes are shown.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct Diff {
    /// The earlier run
    #[arg(value_name = "OLD", long_help = RUN)]
    pub(crate) old: OsString,

    /// The later run, in the same way
    #[arg(value_name = "NEW")]
    pub(crate) new: OsString,

    /// How changes are written to stdout
    #[arg(short, long, value_name = "FORMAT", default_value_t = ChangeFormat::Table, value_enum)]
    pub(crate) output: ChangeFormat,

    /// Changes to write; targets that came or went and are not open belong to all [default: open
    /// for table, all for jsonl]
    #[arg(long, value_name = "WHICH", value_enum)]
    show: Option<Show>,

    /// Say nothing but errors on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// A format of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangeFormat {
    Table,
    Jsonl,
}

impl Diff {
    pub(crate) fn show(&self) -> Show {
        self.show.unwrap_or(match self.output {
            ChangeFormat::Table => Show::Open,
            ChangeFormat::Jsonl => Show::All,
        })
    }
}
