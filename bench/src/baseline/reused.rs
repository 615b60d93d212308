//! Connects with the same sockets again and again: two system calls per refused target.
//!
//! `connect` starts the connection; `connect` again reports the refusal and resets the socket. The
//! poller, where each socket is registered once, is asked only while all sockets are connecting.
//! This loop is separate from that of `timed`, whose bookkeeping costs a tenth more CPU per target.

use std::{mem::MaybeUninit, net::SocketAddr, os::fd::OwnedFd};

use anyhow::{Context, Result};
use rustix::{event::epoll, io::Errno};

use super::{
    socket,
    tally::{Conclusion, Tally},
};

/// Sockets, and what each is doing.
struct ReusedSockets<const WINDOW: usize> {
    poller: OwnedFd,
    /// Each socket, with the target that it is connecting to.
    sockets: Vec<(OwnedFd, Option<SocketAddr>)>,
    /// Slots of sockets that do nothing.
    idle: Vec<usize>,
    tally: Tally,
}

/// Connects once to each target, with at most `WINDOW` connections at the same time.
pub(super) fn connect<const WINDOW: usize>(
    targets: impl Iterator<Item = SocketAddr>,
) -> Result<Tally> {
    let (sockets, idle) = (Vec::with_capacity(WINDOW), Vec::with_capacity(WINDOW));
    let poller = socket::poller()?;
    let mut reused = ReusedSockets::<WINDOW> { poller, sockets, idle, tally: Tally::default() };
    for target in targets {
        let slot = reused.idle_slot()?;
        reused.begin(slot, target)?;
    }
    while reused.idle.len() < reused.sockets.len() {
        reused.wait()?;
    }
    Ok(reused.tally)
}

impl<const WINDOW: usize> ReusedSockets<WINDOW> {
    /// The slot of an idle socket, after a wait when all are connecting.
    fn idle_slot(&mut self) -> Result<usize> {
        loop {
            if let Some(slot) = self.idle.pop() {
                return Ok(slot);
            }
            if self.sockets.len() < WINDOW {
                let slot = self.sockets.len();
                self.sockets.push((socket::open_registered(&self.poller, slot)?, None));
                return Ok(slot);
            }
            self.wait()?;
        }
    }

    fn begin(&mut self, slot: usize, target: SocketAddr) -> Result<()> {
        match rustix::net::connect(&self.sockets[slot].0, &target) {
            Err(Errno::INPROGRESS) => self.connect_again(slot, target),
            result => self.end(slot, target, result),
        }
    }

    /// Asks for the state of a connection.
    fn connect_again(&mut self, slot: usize, target: SocketAddr) -> Result<()> {
        let (socket, pending) = &mut self.sockets[slot];
        match rustix::net::connect(&*socket, &target) {
            Err(Errno::ALREADY) => *pending = Some(target),
            result => self.end(slot, target, result)?,
        }
        Ok(())
    }

    fn end(&mut self, slot: usize, target: SocketAddr, how: Result<(), Errno>) -> Result<()> {
        match how {
            Err(Errno::CONNREFUSED) => self.tally.add(Conclusion::Refused),
            Ok(()) | Err(Errno::ISCONN) => {
                self.tally.add(Conclusion::Accepted);
                self.sockets[slot].0 = socket::open_registered(&self.poller, slot)?;
            }
            Err(errno) => return Err(socket::failed(target, errno)),
        }
        self.idle.push(slot);
        Ok(())
    }

    /// Waits for events, and asks for the state of their connections.
    fn wait(&mut self) -> Result<()> {
        let mut buffer = [const { MaybeUninit::uninit() }; WINDOW];
        let (events, _) = epoll::wait(&self.poller, &mut buffer, None).context("waiting")?;
        for event in events {
            let slot = usize::try_from(event.data.u64()).context("a slot is a usize")?;
            // A socket without a target has ended before its event was taken.
            if let Some(target) = self.sockets[slot].1.take() {
                self.connect_again(slot, target)?;
            }
        }
        Ok(())
    }
}
