//! The question `found`: how many open targets are found when packets get lost.

use anyhow::Result;
use clap::Args;

use crate::{
    arguments::at_least_one,
    contest::{Demand, run_rounds},
    harness::Harness,
    list::List,
    namespace::Namespace,
    peer::{self, Peer, Tuning},
    program,
    remote::Remote,
    row::{Row, count, percent},
    section::{Goal, Wanted},
};

/// Arguments for a fast check, which waits and retries less than the defaults.
const FAST_CHECK: [&str; 4] = ["--timeout", "1s", "--retries", "2"];

/// The least percentage of open targets that a fast check finds, and the percentage of lost packets
/// at which that holds.
const FAST_CHECK_MIN: f64 = 99.9;
const FAST_CHECK_LOSS: u32 = 2;

/// Options of the subcommand `found`.
#[derive(Debug, Args)]
pub(crate) struct FoundOptions {
    /// Open targets; as many others refuse
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    targets: usize,
    /// Percentages of packets to lose in each direction
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [2, 10])]
    loss: Vec<u32>,
    /// Peers that take part; repeatable [default: all that are installed]
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<Peer>,
}

/// Runs every candidate once with each loss.
pub(crate) fn run(options: &FoundOptions, harness: &mut Harness) -> Result<()> {
    let mut namespace = Namespace::prepare()?;
    let program = harness.portmuster()?;
    let open = options.targets;
    let list = List::new(Remote::span(2 * open, open))?;
    let remote = Remote::start(&mut namespace, open)?;
    for &loss in &options.loss {
        remote.lose(loss)?;
        let fast = format!("portmuster {}", FAST_CHECK.join(" "));
        let mut candidates = vec![
            program::candidate(&program, &list, "portmuster", &[]),
            program::candidate(&program, &list, &fast, &FAST_CHECK),
        ];
        let peers = [&Peer::CONNECTING[..], &Peer::RAW].concat();
        let (others, absent) = peer::candidates(&peers, &options.peers, &list, Tuning::Usual);
        candidates.extend(others.into_iter().flatten());
        let title = format!(
            "{open} open targets and as many that refuse, {loss} % of packets lost in each direction"
        );
        let mut section = run_rounds(title, &mut candidates, 1, Demand::Measured)?;
        section.unit = None;
        section.goals = goals(&section.rows, loss);
        section.absent = absent;
        section.settings.clone_from(&namespace.settings);
        let rule = format!("nft: numgen random mod 100 < {loss} drop, at the other end");
        section.settings.push(rule);
        harness.add(section)?;
    }
    Ok(())
}

fn goals(rows: &[Row], loss: u32) -> Vec<Goal> {
    let mut goals = Vec::new();
    let minima = [Some(100.0), (loss == FAST_CHECK_LOSS).then_some(FAST_CHECK_MIN)];
    for (row, least) in rows.iter().zip(minima) {
        let Some(accuracy) = row.accuracy else { continue };
        if let Some(least) = least {
            let what = format!("found of the open in %, {}", row.name);
            let found = percent(accuracy.open, accuracy.of);
            goals.push(Goal::number(what, found, Wanted::AtLeast, least));
        }
        let what = format!("false positives, {}", row.name);
        goals.push(Goal::number(what, count(accuracy.false_open), Wanted::AtMost, 0.0));
    }
    goals
}
