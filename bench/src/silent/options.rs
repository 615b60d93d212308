//! The options of the question `silent`.

use clap::{Args, ValueEnum};

use super::scanner::Scanner;
use crate::{arguments::at_least_one, span::PREFIX_MIN};

/// Prefix length of the network for which the goals hold.
pub(super) const PREFIX: u8 = 16;

/// Options of the subcommand `silent`.
#[derive(Debug, Args)]
pub(crate) struct SilentOptions {
    /// What to measure; repeatable
    #[arg(long = "part", value_name = "PART", default_values = ["contest", "cost", "growth"])]
    pub(super) parts: Vec<SilentPart>,
    /// Prefix length of the network; ports 22 and 23 of each address are checked
    #[arg(long, value_name = "N", default_value_t = PREFIX, value_parser = prefix)]
    pub(super) prefix: u8,
    /// Percentages of the packets to and from hosts to lose in each direction
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [0, 2, 10])]
    pub(super) loss: Vec<u32>,
    /// Other programs that take part; repeatable [default: all that are installed]
    #[arg(long = "peer", value_name = "PEER")]
    pub(super) peers: Vec<Scanner>,
    /// Prefix lengths of the networks of the part `growth`
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_values_t = [19, 16, 13],
        value_parser = prefix
    )]
    pub(super) growth: Vec<u8>,
    /// Rounds; each candidate runs once per round
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    pub(super) rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SilentPart {
    /// The time of portmuster and other programs, with and without loss
    Contest,
    /// The CPU time of a silent target, beside that of a bare connection attempt
    Cost,
    /// Time and memory of ever larger networks
    Growth,
}

fn prefix(text: &str) -> Result<u8, String> {
    let prefix = text.parse().ok().filter(|prefix| (PREFIX_MIN..=30).contains(prefix));
    prefix.ok_or_else(|| format!("it must be a number from {PREFIX_MIN} to 30"))
}
