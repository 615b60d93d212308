//! Non-blocking sockets, and the poller that watches them.

use std::{net::SocketAddr, os::fd::OwnedFd};

use anyhow::{Context, Result};
use rustix::{
    event::epoll::{self, CreateFlags, EventData, EventFlags},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
};

/// Bytes to read at once; more than a greeting has. A read that returns fewer bytes has emptied
/// the socket (epoll(7)), so that closing it sends FIN.
pub(super) const BUFFER: usize = 1024;

/// Opens a poller.
pub(super) fn poller() -> Result<OwnedFd> {
    epoll::create(CreateFlags::CLOEXEC).context("opening a poller")
}

/// Opens a non-blocking TCP socket.
#[expect(clippy::disallowed_methods, reason = "the baseline measures bare sockets")]
pub(super) fn open() -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .context("opening a socket")
}

/// Registers a socket at the poller; its events carry `slot`.
pub(super) fn register(
    poller: &OwnedFd,
    socket: &OwnedFd,
    slot: usize,
    events: EventFlags,
) -> Result<()> {
    epoll::add(poller, socket, EventData::new_u64(slot as u64), events)
        .context("registering a socket")
}

/// Opens a socket and registers it for all edges, so that it can be connected again and again.
pub(super) fn open_registered(poller: &OwnedFd, slot: usize) -> Result<OwnedFd> {
    let socket = open()?;
    let events = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    register(poller, &socket, slot, events)?;
    Ok(socket)
}

/// The error for a target that neither accepts nor refuses, which would make the figures worthless.
pub(super) fn failed(target: SocketAddr, errno: Errno) -> anyhow::Error {
    anyhow::Error::new(errno).context(format!("connecting to {target}"))
}
