//! The question `silent`: a network of which most is silent, at the defaults.

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::contest::Contest;
use crate::{
    arguments::at_least_one, harness::Harness, namespace::Namespace, row::Row, span::PREFIX_MIN,
};

mod behind;
mod contest;
mod cost;
mod growth;
mod scanner;

use scanner::Scanner;

/// Options of the subcommand `silent`.
#[derive(Debug, Args)]
pub(crate) struct SilentOptions {
    /// What to measure; repeatable
    #[arg(long = "part", value_name = "PART", default_values = ["contest", "cost", "growth"])]
    parts: Vec<SilentPart>,
    /// Prefix length of the network; ports 22 and 23 of each address are checked
    #[arg(long, value_name = "N", default_value_t = contest::PREFIX, value_parser = prefix)]
    prefix: u8,
    /// Percentages of the packets to and from hosts to lose in each direction
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [0, 2, 10])]
    loss: Vec<u32>,
    /// Other programs that take part; repeatable [default: all that are installed]
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<Scanner>,
    /// Prefix lengths of the networks of the part `growth`
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_values_t = [19, 16, 13],
        value_parser = prefix
    )]
    growth: Vec<u8>,
    /// Rounds; each candidate runs once per round
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SilentPart {
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

/// Runs the selected measurements and adds their sections to the report of `harness`.
pub(crate) fn run(options: &SilentOptions, harness: &mut Harness) -> Result<()> {
    // The link has namespaces of its own, so no setting of this one matters.
    Namespace::prepare()?;
    let program = harness.portmuster()?;
    for part in &options.parts {
        match part {
            SilentPart::Contest => {
                let mut lossless: Option<Row> = None;
                for &loss in &options.loss {
                    let contest = Contest { options, program: &program, loss };
                    let section = contest.run(lossless.as_ref())?;
                    if loss == 0 {
                        lossless = section.rows.first().cloned();
                    }
                    harness.add(section)?;
                }
            }
            SilentPart::Cost => {
                harness.add(cost::run(&program, addresses(options.prefix), options.rounds)?)?;
            }
            SilentPart::Growth => harness.add(growth::run(&program, &options.growth)?)?,
        }
    }
    Ok(())
}

/// The number of addresses of a network.
fn addresses(prefix: u8) -> usize {
    1 << (32 - prefix)
}
