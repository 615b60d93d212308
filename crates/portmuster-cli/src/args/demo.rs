//! The arguments of `portmuster demo`.

use clap::Args;
use portmuster::Method;

use super::values;

/// Check a set of sample servers on loopback
///
/// Starts well-behaved, unusual and hostile ssh and telnet servers, checks them and shows the
/// verdicts. The time limits are shorter than those of `portmuster check`, so that the demo ends
/// within seconds: `--first-byte 6s --deadline 7s`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How to run checks concurrently
    #[arg(long, value_name = "METHOD", default_value = "event-loop", value_parser = values::method())]
    pub(crate) method: Method,
}
