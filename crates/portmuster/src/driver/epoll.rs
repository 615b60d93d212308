//! Many sockets under one epoll instance: what an event loop waits with.

use std::{
    mem::MaybeUninit,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};
use slab::Slab;

use super::{Connection, Net, Socket, Woken, tcp, waker::Waker};
use crate::clock::{Clock, Instant};

/// Events taken at a time.
const EVENTS: usize = 1024;

/// Stands for the waker where events name their socket.
const WAKER: u64 = u64::MAX;

/// Sockets of one event loop.
#[derive(Debug)]
pub(crate) struct Epoll {
    clock: Clock,
    source: Option<IpAddr>,
    poller: OwnedFd,
    waker: Waker,
    sockets: Slab<OwnedFd>,
}

impl Epoll {
    /// # Errors
    /// This machine is short of descriptors or memory.
    pub(crate) fn new(clock: Clock, source: Option<IpAddr>) -> Result<Self, Errno> {
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Waker::new()?;
        epoll::add(
            &poller,
            waker.descriptor(),
            epoll::EventData::new_u64(WAKER),
            epoll::EventFlags::IN,
        )?;
        Ok(Self { clock, source, poller, waker, sockets: Slab::new() })
    }

    /// What calls the thread that waits here.
    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The time until then; whole milliseconds, rounded up: a wait never ends early, and kernels
    /// and sandboxes that only know `epoll_pwait` do.
    fn timeout(&self, until: Instant) -> Timespec {
        let milliseconds = until.since(self.now()).as_nanos().div_ceil(1_000_000);
        let timeout = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX));
        Timespec::try_from(timeout.min(Duration::from_hours(1))).unwrap_or_default()
    }
}

impl Net for Epoll {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno> {
        let socket = tcp::open(endpoint, self.source)?;
        let entry = self.sockets.vacant_entry();
        let place = entry.key();
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        epoll::add(&self.poller, &socket, epoll::EventData::new_u64(place as u64), flags)?;
        entry.insert(socket);
        Ok(Socket(place))
    }

    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        tcp::connect(&self.sockets[socket.0], endpoint)
    }

    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
        tcp::read(&self.sockets[socket.0], buffer)
    }

    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno> {
        tcp::write(&self.sockets[socket.0], bytes)
    }

    fn close(&mut self, socket: Socket) {
        // The kernel takes a closed socket off the poller itself.
        drop(self.sockets.remove(socket.0));
    }

    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
        let timeout = until.map(|until| self.timeout(until));
        let mut buffer = [const { MaybeUninit::uninit() }; EVENTS];
        let events = match epoll::wait(&self.poller, &mut buffer, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Woken::ByEvent,
            Err(errno) => unreachable!("waiting with a valid poller and buffer failed: {errno}"),
        };
        let mut woken = Woken::ByEvent;
        for event in events {
            match event.data.u64() {
                WAKER => {
                    self.waker.heard();
                    woken = Woken::ByCall;
                }
                place => ready.extend(usize::try_from(place).map(Socket)),
            }
        }
        woken
    }
}
