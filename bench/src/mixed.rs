//! A list as it is in real life: most refuse, some are silent, few are open.

use std::{io::Write, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    answers::Coverage,
    contest::{self, Demand},
    greeter::{Greeter, Place},
    limit::{
        self,
        baseline::{self, Mode},
    },
    list::List,
    namespace::Namespace,
    program::{self, Depth},
    section::{Goal, Section},
    span::{SILENT_PORT, Span},
};

/// How many times the baseline's time on the wall it may take.
const WALL_MOST: f64 = 1.15;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Targets: 90 % refuse, 8 % are silent, 2 % greet
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = crate::at_least_one)]
    targets: usize,
    /// Connections open at the same time
    #[arg(long, value_name = "N", default_value_t = 19_000, value_parser = crate::at_least_one)]
    in_flight: usize,
    /// How long each may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    timeout_ms: u64,
    /// Event loops, and threads of the baseline [default: one per core]
    #[arg(long, value_name = "N", value_parser = crate::at_least_one)]
    threads: Option<usize>,
    /// Rounds, in each of which everybody runs once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = crate::at_least_one)]
    rounds: usize,
    /// The portmuster that is measured [default: built from this source]
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// Runs both, and says how near portmuster comes.
///
/// # Errors
/// Somebody can't be started, or does not find each target as it is.
pub(crate) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut output = anstream::stdout().lock();
    let mut namespace = Namespace::prepare()?;
    namespace.silence(SILENT_PORT)?;
    let threads = options.threads.unwrap_or_else(limit::cores);
    let greeter = Greeter::start(&Place::default())?;
    let list = List::new(Span::mixed(greeter.port, options.targets))?;
    let program = options.program.clone().map_or_else(|| program::beside("portmuster"), Ok)?;

    let mut ours = program::loops(&program, &list, threads, Depth::Greeting);
    ours.args(["--timeout", &format!("{}ms", options.timeout_ms)]);
    ours.args(["--in-flight", &options.in_flight.to_string()]);
    let mut theirs = baseline::command(Mode::Timed, threads, list.span())?;
    under_way(&mut theirs, options.in_flight, options.timeout_ms);
    let expected = baseline::expected(list.span());
    let mut candidates = [
        baseline::candidate("the baseline, with deadlines".into(), theirs, &list, expected),
        list.candidate("portmuster --no-kex".into(), ours, Coverage::All, Depth::Greeting.parser()),
    ];
    let title = format!(
        "{} targets: 90 % refuse, 8 % are silent, 2 % greet; {} in flight, {} ms for each",
        options.targets, options.in_flight, options.timeout_ms
    );
    let rows =
        contest::run_rounds(&mut output, &title, &mut candidates, options.rounds, Demand::Exact)?;
    let [baseline, portmuster] = &rows[..] else { unreachable!("there are two candidates") };
    let what = format!("time on the wall, portmuster to {}", baseline.name);
    let goals = vec![Goal::at_most(what, portmuster.wall_times(baseline), WALL_MOST)];
    let unit = Some(baseline.name.clone());
    let settings = namespace.settings;
    let section = Section { title, rows, unit, goals, settings, ..Section::default() };
    writeln!(output, "{section}").context("telling the figures")?;
    Ok(vec![section])
}

/// What the baseline is told of its window and deadlines.
pub(crate) fn under_way(baseline: &mut Command, in_flight: usize, timeout_ms: u64) {
    baseline.args(["--in-flight", &in_flight.to_string()]);
    baseline.args(["--timeout-ms", &timeout_ms.to_string()]);
}
