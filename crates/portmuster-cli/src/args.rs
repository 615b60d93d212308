//! The command line: the program, its commands and their arguments.
//!
//! Each file below holds one command or one group of arguments. Nothing here reads a file, opens a
//! socket or prints.

use clap::{ArgAction, Parser, Subcommand};

mod certainty;
mod check;
mod compare;
mod conversation;
mod demo;
mod diff;
mod display;
mod explain;
mod gates;
mod headings;
mod host_keys;
mod input_format;
mod journal;
mod keys;
mod list;
mod output;
mod pages;
mod profile;
mod proxy;
mod recog;
mod report;
mod reports;
mod selection;
mod settings;
mod show;
mod speed;
mod table;
mod values;

pub(crate) use self::{
    check::Check,
    compare::{Compare, ComparisonFormat},
    demo::Demo,
    diff::{ChangeFormat, Diff, ShowChanges},
    display::{Color, ShowProgress},
    explain::Explain,
    gates::GateArgs,
    keys::{KeyFormat, Keys},
    list::{ValueKind, ValueList},
    output::{OutputSpec, SummarySpec},
    pages::{Completions, Man, Shell},
    profile::{PROFILES, profile_flags},
    proxy::without_login,
    report::{Report, ReportFormat},
    selection::DryRun,
    show::{ShowItem, ShownRows},
};

const START: &str = "\
Examples:
  portmuster demo
  portmuster check 10.0.0.0/24
  portmuster explain db.example:22
  portmuster check --help";

/// Find out which addresses support ssh or telnet
///
/// Checks millions of host:port pairs concurrently in bounded memory, and writes each result as
/// soon as it is known.
#[derive(Debug, Parser)]
#[command(
    name = "portmuster",
    version,
    arg_required_else_help = true,
    max_term_width = 80,
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = START
)]
pub(crate) struct Program {
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value_t = Color::Auto,
        value_enum,
        help_heading = headings::GENERAL,
        hide_short_help = true,
        display_order = 1000
    )]
    pub(crate) color: Color,
    /// Print help; --help prints all of it
    #[arg(
        short,
        long,
        global = true,
        action = ArgAction::Help,
        long_help = "Print help; -h prints a summary",
        help_heading = headings::GENERAL,
        display_order = 1001
    )]
    help: Option<bool>,
    /// Print version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = headings::GENERAL, display_order = 1002)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a list of targets
    Check(Box<Check>),
    /// Check one target and show each step that led to the verdict
    ///
    /// Runs the same check as `portmuster check`. If the target is a name, each of its addresses is
    /// checked. Text that the server sends is printed with every other byte escaped.
    Explain(Explain),
    /// Benchmark the execution methods on the same targets
    Compare(Box<Compare>),
    /// Show what changed between two runs
    Diff(Diff),
    /// Show host keys that are shared, weak, bad or unproven
    Keys(Keys),
    /// Make a page of a run, to read or to mail
    ///
    /// The page is one HTML file that needs no network. It says whether telnet is left and how sure that
    /// is, what to do first, where the services are, what changed, and lists every open target with its
    /// evidence.
    Report(Report),
    /// Check a set of sample servers on loopback
    Demo(Demo),
    /// Print the values of rows and options with their meanings
    List(ValueList),
    /// Print the JSON Schema of a row
    ///
    /// It describes the rows that this version writes with `-o jsonl`, in JSON Schema 2020-12. Another
    /// field or an unknown word is invalid; a later version may add some.
    Schema,
    /// Generate shell completions
    Completions(Completions),
    /// Generate manual pages
    Man(Man),
    /// Run as a worker process (started by portmuster itself)
    #[command(hide = true)]
    Worker,
}

impl Command {
    /// Returns whether the command takes targets or files as arguments, which any mistaken word can be
    /// taken for.
    pub(crate) fn takes_any_word(&self) -> bool {
        matches!(
            self,
            Self::Check(_) | Self::Explain(_) | Self::Compare(_) | Self::Diff(_) | Self::Report(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use portmuster::{
        Config,
        config::{MaxMissed, Patience},
    };

    use super::*;

    #[test]
    fn clap_accepts_the_definition_of_the_command_line() {
        Program::command().debug_assert();
    }

    #[test]
    fn defaults_of_check_equal_those_of_the_library_but_for_silent_targets() {
        let program = Program::parse_from(["portmuster", "check", "10.0.0.5"]);
        let Command::Check(check) = program.command else { panic!("the command is check") };
        let expected =
            Config::builder().patience(Patience::Adaptive).max_missed(MaxMissed::default()).build();
        assert_eq!(check.config().expect("the defaults are valid"), expected.expect("it is valid"));
    }
}
