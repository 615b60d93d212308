//! How near portmuster comes to what the system allows.
//!
//! The yardstick is a process that does nothing but connect, as close to bare system calls as can
//! be. That it is one is shown in the same rounds: beside it runs what event loops usually do, a
//! new socket for each target, and strace counts the system calls of each.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::{
    Contender::{Portmuster, Yardstick},
    greeter::Greeter,
    yardstick::Mode,
};
use crate::{
    contest::{self, Check, Contestant},
    list::{List, Span},
    program::{self, Depth},
    table::Row,
};

mod calls;
mod fresh;
pub(crate) mod greeter;
mod greeting;
mod reused;
mod window;
pub(crate) mod yardstick;

/// Targets with which system calls are counted: the difference of these is without those of the
/// start and the end.
const COUNTED: [usize; 2] = [2_000, 22_000];

/// System calls that a refused target may cost the yardstick.
const CALLS_MOST: f64 = 2.1;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Targets that are refused
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = crate::at_least_one)]
    targets: usize,
    /// Targets that greet
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = crate::at_least_one)]
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

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn threads(text: &str) -> Result<usize, String> {
    if text == "cores" { Ok(cores()) } else { crate::at_least_one(text) }
}

/// Who runs in the same rounds, and what is asked of them.
struct Part {
    title: &'static str,
    contenders: &'static [Contender],
    /// The first is to have at least so many times the pace of the second.
    goals: &'static [(Contender, Contender, f64)],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contender {
    Yardstick(Mode),
    Portmuster(Depth),
}

const REFUSED: Part = Part {
    title: "targets, each refused",
    contenders: &[Yardstick(Mode::Fresh), Yardstick(Mode::Reused), Portmuster(Depth::Connect)],
    goals: &[
        (Yardstick(Mode::Reused), Yardstick(Mode::Fresh), 1.40),
        (Portmuster(Depth::Connect), Yardstick(Mode::Reused), 0.80),
    ],
};

const GREETED: Part = Part {
    title: "targets, each of which greets; those who greet share the processors",
    contenders: &[Yardstick(Mode::Greeting), Portmuster(Depth::Greeting)],
    goals: &[(Portmuster(Depth::Greeting), Yardstick(Mode::Greeting), 0.85)],
};

/// Runs all, and says how near they come.
///
/// # Errors
/// Somebody can't be started, or does not find each target as it is.
pub(crate) fn run(options: &Options) -> Result<()> {
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
    let greeter = Greeter::start()?;
    let usual = [1, cores()];
    let mut threads =
        if options.threads.is_empty() { usual.to_vec() } else { options.threads.clone() };
    threads.dedup();
    for threads in threads {
        let bench =
            Bench { portmuster: portmuster.as_deref(), threads, rounds: options.rounds, counts };
        bench.hold(&mut output, &REFUSED, Span::refused(options.targets))?;
        let span = Span { port: greeter.port, targets: options.greetings };
        bench.hold(&mut output, &GREETED, span)?;
    }
    Ok(())
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
    fn hold(self, output: &mut impl Write, part: &Part, span: Span) -> Result<()> {
        let list = List::new(span)?;
        let (mut present, mut contestants) = (Vec::new(), Vec::new());
        for &contender in part.contenders {
            if self.portmuster.is_some() || matches!(contender, Yardstick(_)) {
                present.push(contender);
                contestants.push(self.contestant(contender, &list)?);
            }
        }
        let calls: Vec<_> = contestants.iter().map(|contestant| contestant.calls).collect();
        let title = format!("{} {}; threads: {}", span.targets, part.title, self.threads);
        let unit = contestants.first().map(|first| first.name.clone()).unwrap_or_default();
        let rows = contest::hold(output, &title, &mut contestants, self.rounds, &unit)?;
        let place = |sought| present.iter().position(|&contender| contender == sought);
        for &(contender, over, least) in part.goals {
            let (Some(contender), Some(over)) = (place(contender), place(over)) else { continue };
            tell(output, &rows[contender], &rows[over], least)?;
        }
        if let Some(calls) = place(Yardstick(Mode::Reused)).and_then(|place| calls[place]) {
            let how = verdict(calls <= CALLS_MOST);
            writeln!(output, "  {calls:.2} system calls a target; at most {CALLS_MOST:.2}: {how}")?;
        }
        writeln!(output)?;
        Ok(())
    }

    fn contestant(self, contender: Contender, list: &List) -> Result<Contestant<'_>> {
        let name = contender.name(self.threads);
        let command = self.command(contender, list)?;
        let calls = if self.counts { Some(self.calls(contender, list.span())?) } else { None };
        let contestant = match contender {
            Yardstick(mode) => yardstick(name, command, mode, list.span().targets),
            Portmuster(depth) => list.contestant(name, command, depth.read()),
        };
        Ok(Contestant { calls, ..contestant })
    }

    fn command(self, contender: Contender, list: &List) -> Result<Command> {
        match contender {
            Yardstick(mode) => {
                let program = env::current_exe().context("asking where this program is")?;
                let mut command = Command::new(program);
                let Span { port, targets } = list.span();
                command.args(["yardstick", mode.name()]);
                for (name, number) in
                    [("--threads", self.threads), ("--port", port.into()), ("--targets", targets)]
                {
                    command.arg(name).arg(number.to_string());
                }
                Ok(command)
            }
            Portmuster(depth) => {
                let program = self.portmuster.context("portmuster takes part")?;
                Ok(program::loops(program, list, self.threads, depth))
            }
        }
    }

    /// System calls for each target.
    fn calls(self, contender: Contender, span: Span) -> Result<f64> {
        let mut counts = [0.0; 2];
        for (count, targets) in counts.iter_mut().zip(COUNTED) {
            let list = List::new(Span { targets, ..span })?;
            *count = f64::from(calls::count(&self.command(contender, &list)?)?);
        }
        let targets = u32::try_from(COUNTED[1] - COUNTED[0]).context("they are few")?;
        Ok((counts[1] - counts[0]) / f64::from(targets))
    }
}

impl Contender {
    fn name(self, threads: usize) -> String {
        let what = match self {
            Yardstick(Mode::Reused) => "the yardstick, reused sockets",
            Yardstick(Mode::Fresh) => "plain epoll, fresh sockets",
            Yardstick(Mode::Greeting) => "the yardstick, one greeting",
            Portmuster(Depth::Connect) => "portmuster --no-probe",
            Portmuster(Depth::Greeting) => "portmuster --no-kex",
        };
        format!("{what}, {threads} thread{}", if threads == 1 { "" } else { "s" })
    }
}

fn yardstick<'a>(name: String, mut command: Command, mode: Mode, targets: usize) -> Contestant<'a> {
    let run = move || -> Result<Check> {
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.context("starting the yardstick")?;
        ensure!(output.status.success(), "the yardstick ended with {}", output.status);
        Ok(Box::new(move || {
            let (told, expected) =
                (String::from_utf8_lossy(&output.stdout), mode.expected(targets));
            ensure!(told.trim_end() == expected, "{told:?} instead of {expected:?}");
            Ok(())
        }))
    };
    Contestant { name, pieces: targets, calls: None, run: Box::new(run) }
}

fn tell(output: &mut impl Write, row: &Row, over: &Row, least: f64) -> Result<()> {
    let times = row.times(over);
    let how = verdict(times.median >= least);
    writeln!(output, "  {} over {}: {times}; at least {least:.2}: {how}", row.name, over.name)?;
    Ok(())
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}
