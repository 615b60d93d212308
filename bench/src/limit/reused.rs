//! Connecting with the same sockets again and again: two system calls for a refused target.
//!
//! `connect` begins; `connect` again says how it ended, and where that was a refusal it leaves the
//! socket as it was before. Only for what is still under way is the poller asked, at which each
//! socket was registered once.

use std::{mem::MaybeUninit, net::SocketAddr, os::fd::OwnedFd};

use anyhow::{Context, Result};
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
};

use super::baseline::{self, Ended, Tally, WINDOW};

/// Sockets, and what they are doing.
struct Pool {
    poller: OwnedFd,
    sockets: Vec<Socket>,
    /// Places of those that do nothing.
    idle: Vec<usize>,
    tally: Tally,
}

struct Socket {
    descriptor: OwnedFd,
    /// Where it is under way to when the poller is to tell.
    pending: Option<SocketAddr>,
}

/// Connects to all of them once.
pub(super) fn connect(targets: impl Iterator<Item = SocketAddr>) -> Result<Tally> {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC).context("making a poller")?;
    let (sockets, idle) = (Vec::with_capacity(WINDOW), Vec::with_capacity(WINDOW));
    let mut pool = Pool { poller, sockets, idle, tally: Tally::default() };
    for target in targets {
        let place = pool.place()?;
        pool.begin(place, target)?;
    }
    while pool.idle.len() < pool.sockets.len() {
        pool.wait()?;
    }
    Ok(pool.tally)
}

impl Pool {
    /// A socket that does nothing: after a wait, when the window is full.
    fn place(&mut self) -> Result<usize> {
        loop {
            if let Some(place) = self.idle.pop() {
                return Ok(place);
            }
            if self.sockets.len() < WINDOW {
                let place = self.sockets.len();
                let descriptor = self.open(place)?;
                self.sockets.push(Socket { descriptor, pending: None });
                return Ok(place);
            }
            self.wait()?;
        }
    }

    fn open(&self, place: usize) -> Result<OwnedFd> {
        let descriptor = baseline::open()?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.poller, &descriptor, EventData::new_u64(place as u64), flags)
            .context("registering a socket")?;
        Ok(descriptor)
    }

    fn begin(&mut self, place: usize, target: SocketAddr) -> Result<()> {
        match rustix::net::connect(&self.sockets[place].descriptor, &target) {
            Err(Errno::INPROGRESS) => self.ask(place, target),
            result => self.end(place, target, result),
        }
    }

    /// Asks how it stands.
    fn ask(&mut self, place: usize, target: SocketAddr) -> Result<()> {
        let socket = &mut self.sockets[place];
        match rustix::net::connect(&socket.descriptor, &target) {
            Err(Errno::ALREADY) => socket.pending = Some(target),
            result => self.end(place, target, result)?,
        }
        Ok(())
    }

    fn end(&mut self, place: usize, target: SocketAddr, how: Result<(), Errno>) -> Result<()> {
        match how {
            Err(Errno::CONNREFUSED) => self.tally.add(Ended::Refused),
            Ok(()) | Err(Errno::ISCONN) => {
                self.tally.add(Ended::Accepted);
                self.sockets[place].descriptor = self.open(place)?;
            }
            Err(errno) => return Err(baseline::failed(target, errno)),
        }
        self.idle.push(place);
        Ok(())
    }

    /// Waits until something has happened, and asks those at which it has.
    fn wait(&mut self) -> Result<()> {
        let mut buffer = [const { MaybeUninit::uninit() }; WINDOW];
        let (events, _) = epoll::wait(&self.poller, &mut buffer, None).context("waiting")?;
        for event in events {
            let place = usize::try_from(event.data.u64()).context("a place is a usize")?;
            // An event of what has ended before is none.
            if let Some(target) = self.sockets[place].pending.take() {
                self.ask(place, target)?;
            }
        }
        Ok(())
    }
}
