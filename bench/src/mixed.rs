//! The question `mixed`: the pace of portmuster where most targets refuse, some are silent and few
//! are open.

use anyhow::Result;
use clap::Args;

use crate::{
    arguments::{at_least_one, cores},
    baseline,
    contest::{Demand, run_rounds},
    greeter::Greeter,
    harness::Harness,
    list::List,
    namespace::Namespace,
    program::Depth,
    section::Goal,
    span::{SILENT_PORT, Span},
};

/// The most wall-clock time of portmuster, as a multiple of the baseline's.
const WALL_MAX: f64 = 1.15;

/// Options of the subcommand `mixed`.
#[derive(Debug, Args)]
pub(crate) struct MixedOptions {
    /// Targets: 90 % refuse, 8 % are silent, 2 % greet
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = at_least_one)]
    targets: usize,
    /// Connections at the same time
    #[arg(long, value_name = "N", default_value_t = 19_000, value_parser = at_least_one)]
    in_flight: usize,
    /// Timeout of each target in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    timeout_ms: u64,
    /// Event loops, and threads of the baseline [default: one per core]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    threads: Option<usize>,
    /// Rounds; each candidate runs once per round
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    rounds: usize,
}

/// Runs portmuster and the baseline side by side.
pub(crate) fn run(options: &MixedOptions, harness: &mut Harness) -> Result<()> {
    let &MixedOptions { targets, in_flight, timeout_ms, rounds, .. } = options;
    let mut namespace = Namespace::prepare()?;
    namespace.silence(SILENT_PORT)?;
    let threads = options.threads.unwrap_or_else(cores);
    let greeter = Greeter::start()?;
    let list = List::new(Span::mixed(greeter.port, targets))?;
    let depth = Depth::Greeting;
    let mut ours = depth.command(&harness.portmuster()?, &list, threads);
    ours.args(["--timeout", &format!("{timeout_ms}ms")]);
    ours.args(["--in-flight", &in_flight.to_string()]);
    let baseline = baseline::timed_command(threads, list.span(), in_flight, timeout_ms)?;
    let expected = baseline::expected(list.span());
    let mut candidates = [
        list.candidate("the baseline, with deadlines", baseline, expected),
        list.candidate("portmuster --no-kex", ours, depth.expected()),
    ];
    let title = format!(
        "{targets} targets: 90 % refuse, 8 % are silent, 2 % greet; {in_flight} in flight, {timeout_ms} ms for each"
    );
    let mut section = run_rounds(title, &mut candidates, rounds, Demand::Exact)?;
    let (baseline, portmuster) = (&section.rows[0], &section.rows[1]);
    let what = format!("time on the wall, portmuster to {}", baseline.name);
    section.goals = vec![Goal::at_most(what, portmuster.wall_ratio(baseline), WALL_MAX)];
    section.settings = namespace.settings;
    harness.add(section)
}
