//! Connects with a new socket for each target, as event loops usually do.
//!
//! Each target takes five system calls and a share of a wait.

use std::{mem::MaybeUninit, net::SocketAddr, os::fd::OwnedFd};

use anyhow::{Context, Result};
use rustix::{
    event::epoll::{self, EventFlags},
    io::Errno,
    net::{RecvFlags, recv, sockopt},
};

use super::{
    socket::{self, BUFFER},
    tally::{Conclusion, Tally},
};

/// A connection in progress.
struct Attempt {
    target: SocketAddr,
    socket: OwnedFd,
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The connection.
    Connection,
    /// A greeting.
    Greeting,
}

/// Connects once to each target, with at most `WINDOW` connections at the same time.
pub(super) fn connect<const WINDOW: usize>(
    mut targets: impl Iterator<Item = SocketAddr>,
    awaited: Awaited,
) -> Result<Tally> {
    let poller = socket::poller()?;
    let mut attempts: Vec<Option<Attempt>> = (0..WINDOW).map(|_| None).collect();
    let mut idle: Vec<usize> = (0..WINDOW).rev().collect();
    let mut tally = Tally::default();
    loop {
        while let Some(slot) = idle.pop() {
            let Some(target) = targets.next() else {
                idle.push(slot);
                break;
            };
            attempts[slot] = Some(begin(&poller, slot, target, awaited)?);
        }
        if idle.len() == WINDOW {
            return Ok(tally);
        }
        let mut buffer = [const { MaybeUninit::uninit() }; WINDOW];
        let (events, _) = epoll::wait(&poller, &mut buffer, None).context("waiting")?;
        for event in events {
            let slot = usize::try_from(event.data.u64()).context("a slot is a usize")?;
            let Some(Attempt { target, socket }) = &attempts[slot] else { continue };
            let conclusion = match awaited {
                Awaited::Connection => concluded(socket),
                Awaited::Greeting => read_greeting(socket),
            };
            if let Some(conclusion) = conclusion.map_err(|errno| socket::failed(*target, errno))? {
                tally.add(conclusion);
                attempts[slot] = None;
                idle.push(slot);
            }
        }
    }
}

fn begin(poller: &OwnedFd, slot: usize, target: SocketAddr, awaited: Awaited) -> Result<Attempt> {
    let socket = socket::open()?;
    match rustix::net::connect(&socket, &target) {
        // The poller also reports a connection that completed at once.
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(socket::failed(target, errno)),
    }
    let events = if awaited == Awaited::Connection { EventFlags::OUT } else { EventFlags::IN };
    socket::register(poller, &socket, slot, events)?;
    Ok(Attempt { target, socket })
}

/// How the connection ended.
fn concluded(socket: &OwnedFd) -> Result<Option<Conclusion>, Errno> {
    match sockopt::socket_error(socket)? {
        Ok(()) => Ok(Some(Conclusion::Accepted)),
        Err(Errno::CONNREFUSED) => Ok(Some(Conclusion::Refused)),
        Err(errno) => Err(errno),
    }
}

/// Reads a greeting; `None` when it has not arrived completely.
fn read_greeting(socket: &OwnedFd) -> Result<Option<Conclusion>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    match recv(socket, &mut buffer, RecvFlags::empty()) {
        Ok((([], _), _)) => Ok(Some(Conclusion::Accepted)),
        Ok(((bytes, _), _)) => {
            let is_whole = bytes.len() < BUFFER && bytes.ends_with(b"\n");
            Ok(is_whole.then_some(Conclusion::Greeted))
        }
        Err(Errno::CONNREFUSED) => Ok(Some(Conclusion::Refused)),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}
