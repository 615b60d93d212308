//! A process that does nothing but connect: what all that does more is measured by.
//!
//! It keeps no list and no results, and deadlines only where it is asked to: targets come from a
//! number, and what is left of each is one more in a sum.

use std::{
    env,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    ops::{AddAssign, Range},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use nix::sched::{CloneFlags, unshare};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
};

use super::{fresh, greeting, reused, timed};
use crate::{
    contest::{Candidate, Ran},
    cost::Peak,
    list::List,
    span::{self, Span, State, States},
};

/// Connections under way at the same time in one thread.
pub(super) const WINDOW: usize = 256;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How it connects
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
    /// Targets of all kinds; the port is that of those who greet
    #[arg(long)]
    mixed: bool,
    /// Of the mode `timed`: connections under way at the same time, in all threads
    #[arg(long, value_name = "N", default_value_t = WINDOW)]
    in_flight: usize,
    /// Of the mode `timed`: how long each may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    timeout_ms: u64,
}

/// A way to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The same sockets again, in a descriptor table of each thread's own
    Reused,
    /// A new socket for each target, in one descriptor table: what event loops usually do
    Fresh,
    /// A new socket for each target, in a descriptor table of each thread's own; reads a greeting
    Greeting,
    /// As `reused`, with a window as large as is asked for and a deadline for each target; reads a
    /// greeting
    Timed,
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Refused,
    Accepted,
    Greeted,
    Silent,
}

/// What became of all targets.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    refused: usize,
    accepted: usize,
    greeted: usize,
    silent: usize,
}

impl Tally {
    pub(super) fn add(&mut self, ended: Ended) {
        *match ended {
            Ended::Refused => &mut self.refused,
            Ended::Accepted => &mut self.accepted,
            Ended::Greeted => &mut self.greeted,
            Ended::Silent => &mut self.silent,
        } += 1;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.refused += other.refused;
        self.accepted += other.accepted;
        self.greeted += other.greeted;
        self.silent += other.silent;
    }
}

/// Connects to all targets, and prints what became of them.
///
/// # Errors
/// A target is neither there nor refuses, or this machine is short of something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let span = options.span();
    let mut shares = shares(options.targets, options.threads).into_iter();
    // A process of one thread has only this one: the system spares it all locks.
    let own = shares.next().context("there is at least one thread")?;
    let (mut tally, mut late) = (Tally::default(), Vec::new());
    thread::scope(|scope| -> Result<()> {
        let others: Vec<_> =
            shares.map(|share| scope.spawn(move || options.connect(span, share))).collect();
        let mut add = |(ended, expired): (Tally, Vec<u32>)| {
            tally += ended;
            late.extend(expired);
        };
        add(options.connect(span, own)?);
        for other in others {
            add(other.join().map_err(|_| anyhow!("a thread has panicked"))??);
        }
        Ok(())
    })?;
    let late = Late::of(late).map_or(String::new(), |late| format!("\n{}", late.told()));
    writeln!(anstream::stdout(), "{}{late}", told(tally)).context("telling what became of targets")
}

/// How it is printed.
fn told(Tally { refused, accepted, greeted, silent }: Tally) -> String {
    format!("refused={refused} accepted={accepted} greeted={greeted} silent={silent}")
}

/// How late deadlines were noticed, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) median: u32,
    /// Of a hundred, 99 are no later.
    pub(crate) most: u32,
    pub(crate) last: u32,
}

impl Late {
    /// `None` when there was no deadline.
    pub(crate) fn of(mut late: Vec<u32>) -> Option<Self> {
        late.sort_unstable();
        let last = *late.last()?;
        Some(Self { median: late[late.len() / 2], most: late[late.len() * 99 / 100], last })
    }

    fn told(self) -> String {
        format!("late median={} most={} last={}", self.median, self.most, self.last)
    }

    /// What [`told`](Self::told) said.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.lines().find_map(|line| line.strip_prefix("late "))?.split(' ');
        let mut figure = |name: &str| words.next()?.strip_prefix(name)?.parse().ok();
        Some(Self { median: figure("median=")?, most: figure("most=")?, last: figure("last=")? })
    }
}

/// Each thread's part of the targets.
fn shares(targets: usize, threads: usize) -> Vec<Range<usize>> {
    let border = |nth: usize| targets * nth / threads;
    (0..threads).map(|nth| border(nth)..border(nth + 1)).collect()
}

impl Mode {
    /// What it is called on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Fresh => "fresh",
            Self::Greeting => "greeting",
            Self::Timed => "timed",
        }
    }
}

/// What is printed of these targets when all goes as it should.
pub(crate) fn expected(span: Span) -> String {
    let mut tally = Tally::default();
    for nth in span.numbers() {
        tally.add(match span.state(nth) {
            State::Refused => Ended::Refused,
            State::Silent => Ended::Silent,
            State::Open => Ended::Greeted,
        });
    }
    told(tally)
}

impl Options {
    fn span(&self) -> Span {
        let plain = Span { port: self.port, first: self.first, ..Span::refused(self.targets) };
        if self.mixed { Span { states: States::Mixed, ..plain } } else { plain }
    }

    /// Connects to a thread's part of the targets. Coverage how late deadlines were noticed, too.
    fn connect(&self, span: Span, share: Range<usize>) -> Result<(Tally, Vec<u32>)> {
        let targets = share.map(|nth| span.target(nth));
        if self.mode != Mode::Fresh {
            // A container may forbid it. Then threads wait for each other's descriptors.
            let _ = unshare(CloneFlags::CLONE_FILES);
        }
        let tally = match self.mode {
            Mode::Reused => reused::connect(targets)?,
            Mode::Fresh => fresh::connect(targets)?,
            Mode::Greeting => greeting::connect(targets)?,
            Mode::Timed => {
                let window = self.in_flight.div_ceil(self.threads);
                return timed::connect(targets, window, Duration::from_millis(self.timeout_ms));
            }
        };
        Ok((tally, Vec::new()))
    }
}

/// What starts it.
///
/// # Errors
/// Nobody knows where this program is.
pub(crate) fn command(mode: Mode, threads: usize, span: Span) -> Result<Command> {
    let program = env::current_exe().context("asking where this program is")?;
    let mut command = Command::new(program);
    command.args(["baseline", mode.name(), "--first", &span.first.to_string()]);
    for (name, number) in
        [("--threads", threads), ("--port", span.port.into()), ("--targets", span.targets)]
    {
        command.arg(name).arg(number.to_string());
    }
    if span.states == States::Mixed {
        command.arg("--mixed");
    }
    Ok(command)
}

/// The same as a candidate, that is to print this.
pub(crate) fn candidate<'a>(
    name: String,
    command: Command,
    list: &List,
    expected: String,
) -> Candidate<'a> {
    let (pieces, shown) = (list.span().targets, list.as_typed(&command));
    let run = move || -> Result<Ran> {
        let peak = Peak::of(&command)?;
        let mut watched = peak.command();
        let output = watched.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.context("starting the baseline")?;
        ensure!(output.status.success(), "the baseline ended with {}", output.status);
        let expected = expected.clone();
        let check = Box::new(move || {
            let told = String::from_utf8_lossy(&output.stdout);
            let told = told.lines().next().unwrap_or_default();
            ensure!(told == expected, "{told:?} instead of {expected:?}");
            Ok(None)
        });
        Ok(Ran { check, memory_kib: Some(peak.kib()?) })
    };
    Candidate { name, pieces, calls: None, command: Some(shown), run: Box::new(run) }
}

/// A socket that connects without waiting.
#[expect(clippy::disallowed_methods, reason = "what is measured is what sockets cost at least")]
pub(super) fn open() -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .context("opening a socket")
}

/// A target that is neither there nor refuses: what was measured would be worth nothing.
pub(super) fn failed(target: SocketAddr, errno: Errno) -> anyhow::Error {
    anyhow::Error::new(errno).context(format!("connecting to {target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_targets_once() {
        assert_eq!(shares(10, 3), [0..3, 3..6, 6..10]);
        assert_eq!(shares(1, 2), [0..0, 0..1]);
    }

    #[test]
    fn lateness_is_read_as_it_is_told() {
        let late = Late::of((0..200).rev().collect()).expect("there are some");
        assert_eq!(late, Late { median: 100, most: 198, last: 199 });
        assert_eq!(Late::read(&format!("silent=1\n{}\n", late.told())), Some(late));
        assert_eq!((Late::of(Vec::new()), Late::read("silent=0")), (None, None));
    }
}
