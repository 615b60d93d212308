//! The baseline: a process that connects and does nothing else, with as few system calls as
//! possible.
//!
//! It keeps no list and no results: each target is computed from its number, and its end is counted.

use std::{env, io::Write, net::Ipv4Addr, ops::Range, process::Command, thread, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use nix::sched::{CloneFlags, unshare};

use self::{
    fresh::Awaited,
    tally::{Conclusion, Tally},
};
use crate::{
    lateness::Lateness,
    list::Expected,
    span::{self, Span, State, StatePattern},
};

mod fresh;
mod reused;
mod socket;
mod tally;
mod timed;

/// Connections of one thread at the same time.
pub(crate) const WINDOW: usize = 256;

/// Options of the hidden subcommand `baseline`.
#[derive(Debug, Args)]
pub(crate) struct BaselineOptions {
    /// How to connect
    mode: Mode,
    #[arg(long, value_name = "N")]
    threads: usize,
    #[arg(long, value_name = "PORT")]
    port: u16,
    #[arg(long, value_name = "N")]
    targets: usize,
    /// The first target's address
    #[arg(long, value_name = "ADDRESS", default_value_t = span::LOOPBACK)]
    first: Ipv4Addr,
    /// Mix targets of all states; the port is that of the open ones
    #[arg(long)]
    mixed: bool,
    /// Mode `timed`: connections of all threads at the same time
    #[arg(long, value_name = "N", default_value_t = WINDOW)]
    in_flight: usize,
    /// Mode `timed`: timeout of each target in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    timeout_ms: u64,
    /// Mode `timed`: how often to connect to each target
    #[arg(long, value_name = "N", default_value_t = 1)]
    passes: usize,
}

/// A way to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The same sockets again and again, in a descriptor table per thread
    Reused,
    /// A new socket for each target, in one descriptor table, as event loops usually do
    Fresh,
    /// A new socket for each target, in a descriptor table per thread; reads a greeting
    Greeting,
    /// As `reused`, with a chosen number of connections and a deadline for each target; reads a
    /// greeting
    Timed,
}

/// Connects to all targets, and prints the tally.
///
/// # Errors
/// A target neither accepts nor refuses, or this machine lacks a resource.
pub(crate) fn run(options: &BaselineOptions) -> Result<()> {
    let mut shares = shares(options.targets, options.threads).into_iter();
    // The main thread works, too: the kernel spares a process of one thread its locks.
    let own = shares.next().context("there is at least one thread")?;
    let (tally, lateness) = thread::scope(|scope| -> Result<_> {
        let others: Vec<_> =
            shares.map(|share| scope.spawn(move || options.connect(share))).collect();
        let (mut tally, mut lateness) = options.connect(own)?;
        for other in others {
            let (ended, late) = other.join().map_err(|_| anyhow!("a thread panicked"))??;
            tally += ended;
            lateness.extend(late);
        }
        Ok((tally, lateness))
    })?;
    let mut output = anstream::stdout();
    writeln!(output, "{tally}")?;
    if let Some(lateness) = Lateness::of(lateness) {
        writeln!(output, "{}", serde_json::to_string(&lateness)?)?;
    }
    Ok(())
}

/// The numbers of the targets of each thread.
fn shares(targets: usize, threads: usize) -> Vec<Range<usize>> {
    let start = |nth: usize| targets * nth / threads;
    (0..threads).map(|nth| start(nth)..start(nth + 1)).collect()
}

impl BaselineOptions {
    /// Connects to a thread's share of the targets. Returns how late each deadline was noticed, too.
    fn connect(&self, share: Range<usize>) -> Result<(Tally, Vec<u32>)> {
        let states = if self.mixed { StatePattern::Mixed } else { StatePattern::OpenFirst(0) };
        let span = Span { first: self.first, states, ..Span::open(self.port, self.targets) };
        let targets = share.clone().map(|number| span.target(number));
        if self.mode != Mode::Fresh {
            // A container may forbid it; then the threads share one table, and its lock.
            let _ = unshare(CloneFlags::CLONE_FILES);
        }
        let tally = match self.mode {
            Mode::Reused => reused::connect::<WINDOW>(targets)?,
            Mode::Fresh => fresh::connect::<WINDOW>(targets, Awaited::Connection)?,
            Mode::Greeting => fresh::connect::<WINDOW>(targets, Awaited::Greeting)?,
            Mode::Timed => {
                let timeout = Duration::from_millis(self.timeout_ms);
                let window = self.in_flight.div_ceil(self.threads);
                let numbers = (0..self.passes).flat_map(|_| share.clone());
                let targets = numbers.map(|number| span.target(number));
                return timed::connect(targets, window, timeout);
            }
        };
        Ok((tally, Vec::new()))
    }
}

/// The command that connects to the targets of a span.
pub(crate) fn command(mode: Mode, threads: usize, span: Span) -> Result<Command> {
    let mode = mode.to_possible_value().context("every mode has a name")?;
    let mut command = Command::new(env::current_exe().context("finding this program")?);
    command.args(["baseline", mode.get_name(), "--first", &span.first.to_string()]);
    for (name, number) in
        [("--threads", threads), ("--port", span.port.into()), ("--targets", span.targets)]
    {
        command.arg(name).arg(number.to_string());
    }
    if span.states == StatePattern::Mixed {
        command.arg("--mixed");
    }
    Ok(command)
}

/// The command of the mode `timed`, with `in_flight` connections at the same time.
pub(crate) fn timed_command(
    threads: usize,
    span: Span,
    in_flight: usize,
    timeout_ms: u64,
) -> Result<Command> {
    let mut command = command(Mode::Timed, threads, span)?;
    command.args(["--in-flight", &in_flight.to_string()]);
    command.args(["--timeout-ms", &timeout_ms.to_string()]);
    Ok(command)
}

/// The output after this many attempts, none of which was answered.
pub(crate) fn expected_silence(attempts: usize) -> Expected {
    let mut tally = Tally::default();
    (0..attempts).for_each(|_| tally.add(Conclusion::Silent));
    Expected::Line(tally.to_string())
}

/// The tally that the process must print.
fn expected_line(span: Span) -> String {
    let mut tally = Tally::default();
    for number in span.numbers() {
        tally.add(match span.state(number) {
            State::Refused => Conclusion::Refused,
            State::Silent => Conclusion::Silent,
            State::Open => Conclusion::Greeted,
        });
    }
    tally.to_string()
}

/// The output that the process must print.
pub(crate) fn expected(span: Span) -> Expected {
    Expected::Line(expected_line(span))
}

/// Checks the output of the mode `timed`, and returns its lateness.
///
/// # Errors
/// The tally is wrong, or no target had a deadline.
pub(crate) fn lateness(output: &str, span: Span) -> Result<Lateness> {
    let (tally, lateness) = output.split_once('\n').context("the baseline printed nothing")?;
    let expected = expected_line(span);
    ensure!(tally == expected, "the baseline printed {tally:?} instead of {expected:?}");
    serde_json::from_str(lateness).context("reading the lateness of the baseline")
}
