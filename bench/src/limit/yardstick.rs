//! A process that does nothing but connect: what all that does more is measured by.
//!
//! It keeps no list, no deadlines and no results: targets come from a number, and what is left of
//! each is one more in a sum.

use std::{
    io::Write,
    net::SocketAddr,
    ops::{AddAssign, Range},
    os::fd::OwnedFd,
    thread,
};

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use nix::sched::{CloneFlags, unshare};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
};

use super::{fresh, greeting, reused};
use crate::list::Span;

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
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Refused,
    Accepted,
    Greeted,
}

/// What became of all targets.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    refused: usize,
    accepted: usize,
    greeted: usize,
}

impl Tally {
    pub(super) fn add(&mut self, ended: Ended) {
        *match ended {
            Ended::Refused => &mut self.refused,
            Ended::Accepted => &mut self.accepted,
            Ended::Greeted => &mut self.greeted,
        } += 1;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.refused += other.refused;
        self.accepted += other.accepted;
        self.greeted += other.greeted;
    }
}

/// Connects to all targets, and prints what became of them.
///
/// # Errors
/// A target is neither there nor refuses, or this machine is short of something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let span = Span { port: options.port, targets: options.targets };
    let mut shares = shares(options.targets, options.threads).into_iter();
    let mode = options.mode;
    // A process of one thread has only this one: the system spares it all locks.
    let own = shares.next().context("there is at least one thread")?;
    let mut tally = Tally::default();
    thread::scope(|scope| -> Result<()> {
        let others: Vec<_> =
            shares.map(|share| scope.spawn(move || mode.connect(span, share))).collect();
        tally += mode.connect(span, own)?;
        for other in others {
            tally += other.join().map_err(|_| anyhow!("a thread has panicked"))??;
        }
        Ok(())
    })?;
    writeln!(anstream::stdout(), "{}", told(tally)).context("telling what became of the targets")
}

/// How it is printed.
fn told(Tally { refused, accepted, greeted }: Tally) -> String {
    format!("refused={refused} accepted={accepted} greeted={greeted}")
}

/// Each thread's part of the targets.
fn shares(targets: usize, threads: usize) -> Vec<Range<usize>> {
    let border = |nth: usize| targets * nth / threads;
    (0..threads).map(|nth| border(nth)..border(nth + 1)).collect()
}

impl Mode {
    /// What it is called on the command line and in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Fresh => "fresh",
            Self::Greeting => "greeting",
        }
    }

    /// What it prints when all goes as it should.
    pub(super) fn expected(self, targets: usize) -> String {
        told(match self {
            Self::Reused | Self::Fresh => Tally { refused: targets, ..Tally::default() },
            Self::Greeting => Tally { greeted: targets, ..Tally::default() },
        })
    }

    fn connect(self, span: Span, share: Range<usize>) -> Result<Tally> {
        let targets = share.map(|nth| span.target(nth));
        if self != Self::Fresh {
            // A container may forbid it. Then threads wait for each other's descriptors.
            let _ = unshare(CloneFlags::CLONE_FILES);
        }
        match self {
            Self::Reused => reused::connect(targets),
            Self::Fresh => fresh::connect(targets),
            Self::Greeting => greeting::connect(targets),
        }
    }
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
}
