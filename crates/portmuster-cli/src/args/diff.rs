//! The arguments of `portmuster diff`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

const CHANGES_AND_STATUS: &str = "\
Examples:
  portmuster diff audit.db#-2 audit.db#last
  portmuster diff last-week.jsonl today.jsonl
  portmuster diff old.jsonl new.jsonl -o jsonl | jq -r .host

Changes:
  came, went      only one of the runs contains the target
  opened, closed  the port was refused or its name unresolved, and is open now;
                  or the reverse
  answers         the port did not answer or was unchecked, and is open now
  no-answer       the port was open, and does not answer now or shows no service
  service         the service or protocol is a different one
  version         the ssh software is a different one
  banner          the telnet greeting is a different one
  new-findings, gone-findings  a weakness is new; a weakness is gone
  host-key                     another host key (--host-keys)
A missing answer does not prove that a port was closed, and a target that
could not be checked is not compared. If a database run was stopped or cut
off, or a file ends in the middle of a row, its missing targets count as not
reached: the summary counts them, and they are neither came nor went. Findings
are compared if both runs know what the ssh server offers. A name is compared
regardless of its address, unless several of its addresses were checked; then
it is compared by address. If a run has several rows of a target, the last one
counts. Each row takes 32 bytes of memory, the row of a name about 150 bytes;
each distinct greeting is stored once.

Exit status:
  0    nothing changed
  1    something changed
  2    the arguments are invalid, or a run can't be read
  3    standard output can't be written
If stdout is closed early, the command ends with status 0.";

const OLD: &str = "\
The earlier run: a file written by `portmuster check -o jsonl=FILE` with the rows of all targets, or \
a run in a database (-o sqlite=FILE). FILE, FILE#last and FILE#-1 mean the last run, FILE#-2 the run \
before it, and FILE#7 the run with id 7. `-` is stdin";

/// Which runs are compared, and how the changes are shown.
#[derive(Debug, Args)]
#[command(after_help = CHANGES_AND_STATUS)]
pub(crate) struct Diff {
    /// The earlier run
    #[arg(value_name = "OLD", long_help = OLD)]
    pub(crate) old: OsString,

    /// The later run, in the same notation
    #[arg(value_name = "NEW")]
    pub(crate) new: OsString,

    /// Output format of the changes
    #[arg(short, long, value_name = "FORMAT", default_value_t = ChangeFormat::Table, value_enum)]
    pub(crate) output: ChangeFormat,

    /// Changes to write; open omits targets that came or went and are not open [default: open for
    /// table, all for jsonl]
    #[arg(long, value_name = "WHICH", value_enum)]
    show: Option<ShowChanges>,

    /// Print only errors on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Output format of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangeFormat {
    Table,
    Jsonl,
}

/// Which changes to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowChanges {
    /// Without targets that came or went and are not open
    Open,
    All,
}

impl Diff {
    /// Returns which changes to write, by default depending on the format.
    pub(crate) fn show(&self) -> ShowChanges {
        self.show.unwrap_or(match self.output {
            ChangeFormat::Table => ShowChanges::Open,
            ChangeFormat::Jsonl => ShowChanges::All,
        })
    }
}
