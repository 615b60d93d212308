//! How near portmuster comes to what the system allows.
//!
//! The baseline is a process that does nothing but connect, as close to bare system calls as can
//! be. That it is one is shown in the same rounds: beside it runs what event loops usually do, a
//! new socket for each target, and strace counts the system calls of each.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result};
use clap::Args;

use self::{
    Participant::{Baseline, Portmuster},
    baseline::{Mode, WINDOW},
};
use crate::{
    answers::Coverage,
    contest::{self, Candidate, Demand},
    greeter::{Greeter, Place},
    list::List,
    program::{self, Depth},
    section::{Goal, Section, Wanted},
    span::Span,
};

pub(crate) mod baseline;
mod calls;
mod fresh;
mod greeting;
mod reused;
mod timed;
mod window;

/// Targets with which system calls are counted: the difference of these is without those of the
/// start and the end.
const COUNTED: [usize; 2] = [2_000, 22_000];

/// Where targets greet, the program has so many times as many open as the baseline: each comes
/// from a schedule and its end goes back there, so some are always on their way. More would only
/// wait for those who greet.
const AHEAD: usize = 4;

/// System calls that a refused target may cost the baseline.
const CALLS_MOST: f64 = 2.1;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Targets that are refused
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = crate::at_least_one)]
    targets: usize,
    /// Targets that greet
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = crate::at_least_one)]
    greetings: usize,
    /// Threads, each number in rounds of its own [default: 1, and one per core]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = threads)]
    threads: Vec<usize>,
    /// Rounds, in each of which everybody runs once
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = crate::at_least_one)]
    rounds: usize,
    /// Count system calls, too; needs strace
    #[arg(long)]
    count_calls: bool,
    /// Without portmuster
    #[arg(long, conflicts_with = "program")]
    alone: bool,
    /// The portmuster that is measured [default: built from this source]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn threads(text: &str) -> Result<usize, String> {
    if text == "cores" { Ok(cores()) } else { crate::at_least_one(text) }
}

/// Who runs in the same rounds, and what is asked of them.
struct Part {
    title: &'static str,
    contenders: &'static [Participant],
    /// The first is to have at least so many times the pace of the second.
    goals: &'static [(Participant, Participant, f64)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Participant {
    Baseline(Mode),
    Portmuster(Depth),
}

const REFUSED: Part = Part {
    title: "targets, each refused",
    contenders: &[Baseline(Mode::Fresh), Baseline(Mode::Reused), Portmuster(Depth::Connect)],
    goals: &[
        (Baseline(Mode::Reused), Baseline(Mode::Fresh), 1.40),
        (Portmuster(Depth::Connect), Baseline(Mode::Reused), 0.80),
    ],
};

const GREETED: Part = Part {
    title: "targets, each of which greets; those who greet share the processors",
    contenders: &[Baseline(Mode::Greeting), Portmuster(Depth::Greeting)],
    goals: &[(Portmuster(Depth::Greeting), Baseline(Mode::Greeting), 0.85)],
};

/// Runs all, and says how near they come.
///
/// # Errors
/// Somebody can't be started, or does not find each target as it is.
pub(crate) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut output = anstream::stdout().lock();
    if cfg!(debug_assertions) {
        writeln!(output, "built without --release: these figures say nothing about speed\n")?;
    }
    let counts = options.count_calls && calls::can_be_counted()?;
    if options.count_calls && !counts {
        writeln!(
            output,
            "system calls are not counted: strace is missing (apt-get install strace)\n"
        )?;
    }
    let portmuster = match &options.program {
        _ if options.alone => None,
        Some(program) => Some(program.clone()),
        None => Some(program::build()?),
    };
    let greeter = Greeter::start(&Place::default())?;
    let mut sections = Vec::new();
    let usual = [1, cores()];
    let mut threads =
        if options.threads.is_empty() { usual.to_vec() } else { options.threads.clone() };
    threads.dedup();
    for threads in threads {
        let bench =
            Bench { portmuster: portmuster.as_deref(), threads, rounds: options.rounds, counts };
        let open = Span::open(greeter.port, options.greetings);
        for (part, span) in [(&REFUSED, Span::refused(options.targets)), (&GREETED, open)] {
            let section = bench.run_rounds(&mut output, part, span)?;
            writeln!(output, "{section}")?;
            sections.push(section);
        }
    }
    Ok(sections)
}

/// Terms of rounds.
#[derive(Debug, Clone, Copy)]
struct Bench<'a> {
    portmuster: Option<&'a Path>,
    threads: usize,
    rounds: usize,
    /// Whether system calls are counted.
    counts: bool,
}

impl Bench<'_> {
    fn run_rounds(self, output: &mut impl Write, part: &Part, span: Span) -> Result<Section> {
        let list = List::new(span)?;
        let (mut present, mut candidates) = (Vec::new(), Vec::new());
        for &contender in part.contenders {
            if self.portmuster.is_some() || matches!(contender, Baseline(_)) {
                present.push(contender);
                candidates.push(self.candidate(contender, &list)?);
            }
        }
        let calls: Vec<_> = candidates.iter().map(|candidate| candidate.calls).collect();
        let title = format!("{} {}; threads: {}", span.targets, part.title, self.threads);
        let rows =
            contest::run_rounds(output, &title, &mut candidates, self.rounds, Demand::Exact)?;
        let mut goals = Vec::new();
        let place = |sought| present.iter().position(|&contender| contender == sought);
        for &(contender, over, least) in part.goals {
            let (Some(contender), Some(over)) = (place(contender), place(over)) else { continue };
            let (contender, over) = (&rows[contender], &rows[over]);
            let what = format!("pace of {} over {}", contender.name, over.name);
            goals.push(Goal::at_least(what, contender.times(over), least));
        }
        if let Some(calls) = place(Baseline(Mode::Reused)).and_then(|place| calls[place]) {
            let what = "system calls of the baseline for each target";
            goals.push(Goal::number(what, calls, Wanted::AtMost, CALLS_MOST));
        }
        let unit = rows.first().map(|first| first.name.clone());
        Ok(Section { title, rows, unit, goals, ..Section::default() })
    }

    fn candidate(self, contender: Participant, list: &List) -> Result<Candidate<'_>> {
        let name = contender.name(self.threads);
        let command = self.command(contender, list)?;
        let calls = if self.counts { Some(self.calls(contender, list.span())?) } else { None };
        let candidate = match contender {
            Baseline(_) => {
                baseline::candidate(name, command, list, baseline::expected(list.span()))
            }
            Portmuster(depth) => list.candidate(name, command, Coverage::All, depth.parser()),
        };
        Ok(Candidate { calls, ..candidate })
    }

    fn command(self, contender: Participant, list: &List) -> Result<Command> {
        match contender {
            Baseline(mode) => baseline::command(mode, self.threads, list.span()),
            Portmuster(depth) => {
                let program = self.portmuster.context("portmuster takes part")?;
                let mut command = program::loops(program, list, self.threads, depth);
                if depth == Depth::Greeting {
                    let in_flight = AHEAD * WINDOW * self.threads;
                    command.arg("--in-flight").arg(in_flight.to_string());
                }
                Ok(command)
            }
        }
    }

    /// System calls for each target.
    fn calls(self, contender: Participant, span: Span) -> Result<f64> {
        let mut counts = [0.0; 2];
        for (count, targets) in counts.iter_mut().zip(COUNTED) {
            let list = List::new(Span { targets, ..span })?;
            *count = f64::from(calls::count(&self.command(contender, &list)?)?);
        }
        let targets = u32::try_from(COUNTED[1] - COUNTED[0]).context("they are few")?;
        Ok((counts[1] - counts[0]) / f64::from(targets))
    }
}

impl Participant {
    fn name(self, threads: usize) -> String {
        let what = match self {
            Baseline(Mode::Reused) => "the baseline, reused sockets",
            Baseline(Mode::Fresh) => "plain epoll, fresh sockets",
            Baseline(Mode::Greeting) => "the baseline, one greeting",
            Baseline(Mode::Timed) => "the baseline, with deadlines",
            Portmuster(Depth::Connect) => "portmuster --no-probe",
            Portmuster(Depth::Greeting) => "portmuster --no-kex",
        };
        format!("{what}, {threads} thread{}", if threads == 1 { "" } else { "s" })
    }
}
