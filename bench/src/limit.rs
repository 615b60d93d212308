//! The question `limit`: how near portmuster comes to what the system allows.
//!
//! The baseline only connects, close to bare system calls. The same rounds show that it is a fair
//! bound: beside it runs a usual event loop, with a new socket for each target, and strace counts
//! the system calls of each.

use std::{io::Write, path::Path, process::Command};

use anyhow::Result;
use clap::Args;

use self::Participant::{Baseline, Portmuster};
use crate::{
    arguments::{at_least_one, cores},
    baseline::{self, Mode, WINDOW},
    calls,
    candidate::Candidate,
    contest::{Demand, run_rounds},
    greeter::Greeter,
    harness::Harness,
    list::List,
    program::Depth,
    row::count,
    section::{Goal, Section, Wanted},
    span::Span,
};

/// Numbers of targets with which system calls are counted. The difference of both runs excludes
/// the calls of start and end.
const COUNTED: [usize; 2] = [2_000, 22_000];

/// Connections of portmuster where targets greet, as a multiple of the baseline's. Some of its
/// attempts are always on their way from or to its scheduler; more would only wait for the greeter.
const IN_FLIGHT_FACTOR: usize = 4;

/// The most system calls of the baseline per refused target.
const CALLS_MAX: f64 = 2.1;

/// Options of the subcommand `limit`.
#[derive(Debug, Args)]
pub(crate) struct LimitOptions {
    /// Targets that refuse
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = at_least_one)]
    targets: usize,
    /// Targets that greet
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = at_least_one)]
    greetings: usize,
    /// Numbers of threads, each measured in rounds of its own [default: 1, and one per core]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = threads)]
    threads: Vec<usize>,
    /// Rounds; each candidate runs once per round
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    rounds: usize,
    /// Count system calls, too; needs strace
    #[arg(long)]
    count_calls: bool,
}

fn threads(text: &str) -> Result<usize, String> {
    if text == "cores" { Ok(cores()) } else { at_least_one(text) }
}

/// The candidates of the same rounds, and their goals.
struct Comparison {
    title: &'static str,
    participants: &'static [Participant],
    /// The least pace of one participant, as a multiple of that of another.
    goals: &'static [(usize, usize, f64)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Participant {
    Baseline(Mode, &'static str),
    Portmuster(Depth),
}

const REFUSED: Comparison = Comparison {
    title: "targets that refuse",
    participants: &[
        Baseline(Mode::Fresh, "plain epoll, fresh sockets"),
        Baseline(Mode::Reused, "the baseline, reused sockets"),
        Portmuster(Depth::Connect),
    ],
    goals: &[(1, 0, 1.40), (2, 1, 0.80)],
};

const GREETED: Comparison = Comparison {
    title: "targets that greet, from a server on the same processors",
    participants: &[
        Baseline(Mode::Greeting, "the baseline, one greeting"),
        Portmuster(Depth::Greeting),
    ],
    goals: &[(1, 0, 0.85)],
};

/// Runs all comparisons with each number of threads.
pub(crate) fn run(options: &LimitOptions, harness: &mut Harness) -> Result<()> {
    let counts_calls = options.count_calls && calls::is_strace_installed();
    if options.count_calls && !counts_calls {
        let line = "system calls are not counted: strace is missing (apt-get install strace)\n";
        writeln!(anstream::stdout(), "{line}")?;
    }
    let portmuster = &harness.portmuster()?;
    let greeter = Greeter::start()?;
    let mut numbers = options.threads.clone();
    if numbers.is_empty() {
        numbers = vec![1, cores()];
    }
    numbers.dedup();
    for threads in numbers {
        let terms = Terms { portmuster, threads, counts_calls };
        let open = Span::open(greeter.port, options.greetings);
        for (comparison, span) in [(&REFUSED, Span::refused(options.targets)), (&GREETED, open)] {
            harness.add(terms.compare(comparison, span, options.rounds)?)?;
        }
    }
    Ok(())
}

/// The terms of one comparison.
#[derive(Debug, Clone, Copy)]
struct Terms<'a> {
    portmuster: &'a Path,
    threads: usize,
    counts_calls: bool,
}

impl Terms<'_> {
    fn compare(self, comparison: &Comparison, span: Span, rounds: usize) -> Result<Section> {
        let list = List::new(span)?;
        let participants = comparison.participants.iter();
        let candidates = participants.map(|&participant| self.candidate(participant, &list));
        let mut candidates = candidates.collect::<Result<Vec<_>>>()?;
        let title = format!("{} {}; threads: {}", span.targets, comparison.title, self.threads);
        let mut section = run_rounds(title, &mut candidates, rounds, Demand::Exact)?;
        for &(one, other, least) in comparison.goals {
            let (one, other) = (&section.rows[one], &section.rows[other]);
            let what = format!("pace of {} over {}", one.name, other.name);
            section.goals.push(Goal::at_least(what, one.pace_ratio(other), least));
        }
        let reused = |participant: &_| matches!(participant, Baseline(Mode::Reused, _));
        let reused = comparison.participants.iter().position(reused);
        if let Some(calls) = reused.and_then(|nth| section.rows[nth].calls) {
            let what = "system calls of the baseline for each target";
            section.goals.push(Goal::number(what, calls, Wanted::AtMost, CALLS_MAX));
        }
        Ok(section)
    }

    fn candidate(self, participant: Participant, list: &List) -> Result<Candidate<'_>> {
        let (what, expected) = match participant {
            Baseline(_, name) => (name.to_owned(), baseline::expected(list.span())),
            Portmuster(depth) => (format!("portmuster {}", depth.flag()), depth.expected()),
        };
        let name =
            format!("{what}, {} thread{}", self.threads, if self.threads == 1 { "" } else { "s" });
        let candidate = list.candidate(name, self.command(participant, list)?, expected);
        let calls = self.counts_calls.then(|| self.count_calls(participant, list.span()));
        let calls = calls.transpose()?;
        Ok(Candidate { calls, ..candidate })
    }

    fn command(self, participant: Participant, list: &List) -> Result<Command> {
        match participant {
            Baseline(mode, _) => baseline::command(mode, self.threads, list.span()),
            Portmuster(depth) => {
                let mut command = depth.command(self.portmuster, list, self.threads);
                if depth == Depth::Greeting {
                    let in_flight = IN_FLIGHT_FACTOR * WINDOW * self.threads;
                    command.arg("--in-flight").arg(in_flight.to_string());
                }
                Ok(command)
            }
        }
    }

    /// Counts the system calls per target.
    fn count_calls(self, participant: Participant, span: Span) -> Result<f64> {
        let mut counts = [0.0; 2];
        for (count, targets) in counts.iter_mut().zip(COUNTED) {
            let list = List::new(Span { targets, ..span })?;
            *count = f64::from(calls::count(&self.command(participant, &list)?)?);
        }
        Ok((counts[1] - counts[0]) / count(COUNTED[1] - COUNTED[0]))
    }
}
