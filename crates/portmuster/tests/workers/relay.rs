//! A worker that stands between the coordinator and a real worker, and spoils what passes.

use std::{
    fmt,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use crate::jobs::{is_first, pause};

/// An address whose bytes end the relay.
pub(crate) const POISON: [u8; 4] = [127, 66, 177, 188];

/// How a relay spoils what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relay {
    /// Byte by byte.
    SingleBytes,
    /// The first of them sends nonsense after a while.
    GarbageOnce,
    /// The first of them never reads after the first frame, but shows life.
    DeafOnce,
    /// The first of them says nothing.
    MuteOnce,
    /// It ends when the poison is among what passes.
    Poisoned,
}

impl Relay {
    const ALL: [Self; 5] =
        [Self::SingleBytes, Self::GarbageOnce, Self::DeafOnce, Self::MuteOnce, Self::Poisoned];
}

impl fmt::Display for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// Relays until either side has gone.
pub(crate) fn run(manner: &str, memory: Option<String>) -> ExitCode {
    let memory = memory.expect("a folder");
    let manner = Relay::ALL.into_iter().find(|relay| relay.to_string() == manner);
    let manner = manner.expect("a manner");
    let is_once = matches!(manner, Relay::GarbageOnce | Relay::DeafOnce | Relay::MuteOnce);
    let spoils = !is_once || is_first(Path::new(&memory));
    let coordinator = io::stdin().as_fd().try_clone_to_owned().expect("a socket is stdin");
    let coordinator = UnixStream::from(coordinator);
    if manner == Relay::MuteOnce && spoils {
        pause(Duration::from_hours(1));
    }
    let (worker, inside) = UnixStream::pair().expect("a pair of sockets");
    let this = std::env::current_exe().expect("it runs");
    let _child = Command::new(this).arg("worker").stdin(OwnedFd::from(inside)).spawn();
    let (from, into) = (coordinator.try_clone(), worker.try_clone());
    let (mut from, mut into) = (from.expect("a clone"), into.expect("a clone"));
    thread::spawn(move || {
        relay(&mut from, &mut into, |nth, bytes| to_worker(manner, spoils, nth, bytes));
        // Leaving takes the worker along: its socket closes.
        std::process::abort();
    });
    let (mut from, mut into) = (worker, coordinator);
    relay(&mut from, &mut into, |nth, bytes| {
        if spoils && manner == Relay::GarbageOnce && nth > 200 {
            bytes.fill(0xEE);
        }
    });
    ExitCode::SUCCESS
}

/// Passes on what comes, byte by byte; `spoil` is told how many went before.
fn relay(from: &mut UnixStream, into: &mut UnixStream, mut spoil: impl FnMut(usize, &mut [u8])) {
    let (mut buffer, mut passed) = ([0; 4096], 0);
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer) else { return };
        spoil(passed, &mut buffer[..length]);
        passed += length;
        for byte in &buffer[..length] {
            if into.write_all(std::slice::from_ref(byte)).is_err() {
                return;
            }
        }
    }
}

fn to_worker(manner: Relay, spoils: bool, nth: usize, bytes: &[u8]) {
    match manner {
        Relay::DeafOnce if spoils && nth > 0 => pause(Duration::from_hours(1)),
        Relay::Poisoned if bytes.windows(POISON.len()).any(|window| window == POISON) => {
            std::process::abort()
        }
        _ => {}
    }
}
