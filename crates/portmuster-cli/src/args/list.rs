//! The arguments of `portmuster list`.

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  portmuster list services
  portmuster list findings --json | jq -r .name

To list the targets of a run without connecting to them, use `portmuster check
--list`.";

/// Which values to print.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ValueList {
    /// Which values to print
    #[arg(value_name = "VALUES", value_enum)]
    pub(crate) kind: ValueKind,

    /// Print one JSON object per value and line, with its name and its meaning
    #[arg(long)]
    pub(crate) json: bool,
}

/// A set of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ValueKind {
    /// What an open port serves, which --forbid takes, too
    Services,
    /// Weaknesses of ssh servers, and groups of them, which --forbid takes
    Findings,
    /// States of a port
    States,
    /// Reasons for the state of a port
    Reasons,
    /// Formats of --output
    Formats,
    /// Profiles of --profile, with their flags
    Profiles,
    /// Protocols that rows of the service `other` name
    Protocols,
    /// Kinds of targets without a verdict, which --allow takes
    Kinds,
    /// Rules that decide on the service of a port
    Rules,
}
