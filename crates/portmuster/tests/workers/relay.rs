//! A relay between the coordinator and a real worker that corrupts the traffic.

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

/// Address whose bytes make the relay abort.
pub(crate) const POISON: [u8; 4] = [127, 66, 177, 188];

/// How a relay corrupts the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relay {
    /// Passes every byte on separately.
    SingleBytes,
    /// The first relay sends garbage after a while.
    GarbageOnce,
    /// The first relay stops reading after the first frame, but its worker still sends signs of
    /// life.
    DeafOnce,
    /// The first relay sends nothing.
    MuteOnce,
    /// Aborts when the poison address passes.
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

/// Relays until either side has closed.
pub(crate) fn run(mode: &str, folder: Option<String>) -> ExitCode {
    let folder = folder.expect("a folder is given");
    let mode = Relay::ALL.into_iter().find(|relay| relay.to_string() == mode);
    let mode = mode.expect("a known mode");
    let is_once = matches!(mode, Relay::GarbageOnce | Relay::DeafOnce | Relay::MuteOnce);
    let corrupts = !is_once || is_first(Path::new(&folder));
    let coordinator = io::stdin().as_fd().try_clone_to_owned().expect("a socket is stdin");
    let coordinator = UnixStream::from(coordinator);
    if mode == Relay::MuteOnce && corrupts {
        pause(Duration::from_hours(1));
    }
    let (worker, inside) = UnixStream::pair().expect("a pair of sockets");
    let this = std::env::current_exe().expect("it runs");
    let _child = Command::new(this).arg("worker").stdin(OwnedFd::from(inside)).spawn();
    let (from, into) = (coordinator.try_clone(), worker.try_clone());
    let (mut from, mut into) = (from.expect("a clone"), into.expect("a clone"));
    thread::spawn(move || {
        relay(&mut from, &mut into, |nth, bytes| to_worker(mode, corrupts, nth, bytes));
        // Aborting ends the worker too, because its socket closes.
        std::process::abort();
    });
    let (mut from, mut into) = (worker, coordinator);
    relay(&mut from, &mut into, |nth, bytes| {
        if corrupts && mode == Relay::GarbageOnce && nth > 200 {
            bytes.fill(0xEE);
        }
    });
    ExitCode::SUCCESS
}

/// Passes bytes on one by one. `corrupt` gets the number of bytes passed before, and the next bytes.
fn relay(from: &mut UnixStream, into: &mut UnixStream, mut corrupt: impl FnMut(usize, &mut [u8])) {
    let (mut buffer, mut passed) = ([0; 4096], 0);
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer) else { return };
        corrupt(passed, &mut buffer[..length]);
        passed += length;
        for byte in &buffer[..length] {
            if into.write_all(std::slice::from_ref(byte)).is_err() {
                return;
            }
        }
    }
}

fn to_worker(mode: Relay, corrupts: bool, nth: usize, bytes: &[u8]) {
    match mode {
        Relay::DeafOnce if corrupts && nth > 0 => pause(Duration::from_hours(1)),
        Relay::Poisoned if bytes.windows(POISON.len()).any(|window| window == POISON) => {
            std::process::abort()
        }
        _ => {}
    }
}
