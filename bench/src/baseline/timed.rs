//! Connects with the same sockets again and again, with a deadline for each target.
//!
//! Deadlines wait in a queue, because all targets have the same timeout. Events are handled before
//! deadlines expire.

use std::{
    collections::VecDeque,
    mem::MaybeUninit,
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::{
    event::{Timespec, epoll},
    io::Errno,
    net::{RecvFlags, recv},
};

use super::{
    socket::{self, BUFFER},
    tally::{Conclusion, Tally},
};

/// Connections to start, and events to take, at once.
const BURST: usize = 256;

/// Sockets, and what each is doing.
struct Pool {
    poller: OwnedFd,
    sockets: Vec<PooledSocket>,
    /// Slots of sockets that do nothing.
    idle: Vec<usize>,
    window: usize,
    timeout: Duration,
    /// Deadlines, the next first. Some belong to targets that have ended.
    deadlines: VecDeque<Deadline>,
    tally: Tally,
    /// How late each deadline was noticed, in microseconds.
    lateness: Vec<u32>,
}

struct PooledSocket {
    descriptor: OwnedFd,
    activity: Activity,
    /// Counts the targets of this socket.
    turn: u32,
}

#[derive(Clone, Copy)]
enum Activity {
    Idle,
    Connecting(SocketAddr),
    Reading(SocketAddr),
}

struct Deadline {
    at: Instant,
    slot: usize,
    turn: u32,
}

/// Connects once to each target and reads a greeting, with at most `window` connections at the same
/// time. Returns how late each deadline was noticed, too.
pub(super) fn connect(
    mut targets: impl Iterator<Item = SocketAddr>,
    window: usize,
    timeout: Duration,
) -> Result<(Tally, Vec<u32>)> {
    let mut pool = Pool {
        poller: socket::poller()?,
        sockets: Vec::with_capacity(window),
        idle: Vec::with_capacity(window),
        window,
        timeout,
        deadlines: VecDeque::with_capacity(window),
        tally: Tally::default(),
        lateness: Vec::new(),
    };
    let mut has_more = true;
    loop {
        for _ in 0..BURST {
            if !has_more || !pool.has_capacity() {
                break;
            }
            match targets.next() {
                Some(target) => pool.begin(target)?,
                None => has_more = false,
            }
        }
        if pool.idle.len() < pool.sockets.len() {
            let may_wait = !(has_more && pool.has_capacity());
            pool.handle_events(may_wait)?;
            pool.expire()?;
        } else if !has_more {
            return Ok((pool.tally, pool.lateness));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the baseline measures the least cost of deadlines")]
fn now() -> Instant {
    Instant::now()
}

impl Pool {
    fn has_capacity(&self) -> bool {
        !self.idle.is_empty() || self.sockets.len() < self.window
    }

    /// The slot of an idle socket. The pool must have capacity.
    fn idle_slot(&mut self) -> Result<usize> {
        if let Some(slot) = self.idle.pop() {
            return Ok(slot);
        }
        let slot = self.sockets.len();
        let descriptor = socket::open_registered(&self.poller, slot)?;
        self.sockets.push(PooledSocket { descriptor, activity: Activity::Idle, turn: 0 });
        Ok(slot)
    }

    fn begin(&mut self, target: SocketAddr) -> Result<()> {
        let slot = self.idle_slot()?;
        self.sockets[slot].activity = Activity::Connecting(target);
        // A target on this machine that refuses has done so by the second call.
        for _ in 0..2 {
            if let Activity::Connecting(_) = self.sockets[slot].activity {
                self.connect(slot, target)?;
            }
        }
        let socket = &mut self.sockets[slot];
        if let Activity::Connecting(_) = socket.activity {
            socket.turn = socket.turn.wrapping_add(1);
            let deadline = Deadline { at: now() + self.timeout, slot, turn: socket.turn };
            self.deadlines.push_back(deadline);
        }
        Ok(())
    }

    /// Starts a connection, or asks for its state.
    fn connect(&mut self, slot: usize, target: SocketAddr) -> Result<()> {
        let socket = &mut self.sockets[slot];
        match rustix::net::connect(&socket.descriptor, &target) {
            Err(Errno::INPROGRESS | Errno::ALREADY) => {}
            Err(Errno::CONNREFUSED) => self.end(slot, Conclusion::Refused),
            Ok(()) | Err(Errno::ISCONN) => socket.activity = Activity::Reading(target),
            Err(errno) => return Err(socket::failed(target, errno)),
        }
        Ok(())
    }

    /// Reads a greeting, if it has arrived, and disconnects.
    fn read(&mut self, slot: usize, target: SocketAddr) -> Result<()> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        match recv(&self.sockets[slot].descriptor, &mut buffer, RecvFlags::empty()) {
            Ok((([], _), _)) => self.close(slot, Conclusion::Accepted),
            Ok(((bytes, _), _)) if bytes.ends_with(b"\n") => self.close(slot, Conclusion::Greeted),
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(socket::failed(target, errno)),
        }
    }

    /// Ends a connected target: only a new socket can connect again.
    fn close(&mut self, slot: usize, conclusion: Conclusion) -> Result<()> {
        self.sockets[slot].descriptor = socket::open_registered(&self.poller, slot)?;
        self.end(slot, conclusion);
        Ok(())
    }

    fn end(&mut self, slot: usize, conclusion: Conclusion) {
        self.tally.add(conclusion);
        self.sockets[slot].activity = Activity::Idle;
        self.idle.push(slot);
    }

    /// Handles all pending events; first waits for one, or for the next deadline, if it may.
    fn handle_events(&mut self, may_wait: bool) -> Result<()> {
        let mut wait = if may_wait { self.until_deadline() } else { Some(Duration::ZERO) };
        loop {
            let timeout = wait.map(Timespec::try_from).transpose().context("it is short")?;
            let mut buffer = [const { MaybeUninit::uninit() }; BURST];
            let (events, _) =
                epoll::wait(&self.poller, &mut buffer, timeout.as_ref()).context("waiting")?;
            let is_last = events.len() < BURST;
            for event in events {
                let slot = usize::try_from(event.data.u64()).context("a slot is a usize")?;
                if let Activity::Connecting(target) = self.sockets[slot].activity {
                    self.connect(slot, target)?;
                }
                if let Activity::Reading(target) = self.sockets[slot].activity {
                    self.read(slot, target)?;
                }
            }
            if is_last {
                return Ok(());
            }
            wait = Some(Duration::ZERO);
        }
    }

    /// Whether the target of this deadline is still connecting.
    fn is_connecting(&self, deadline: &Deadline) -> bool {
        let socket = &self.sockets[deadline.slot];
        matches!(socket.activity, Activity::Connecting(_)) && socket.turn == deadline.turn
    }

    /// The time until the next deadline; `None` when no connecting target has one.
    fn until_deadline(&mut self) -> Option<Duration> {
        while self.deadlines.front().is_some_and(|deadline| !self.is_connecting(deadline)) {
            self.deadlines.pop_front();
        }
        Some(self.deadlines.front()?.at.saturating_duration_since(now()))
    }

    /// Gives up the targets whose deadline has passed.
    fn expire(&mut self) -> Result<()> {
        let now = now();
        while self.deadlines.front().is_some_and(|deadline| deadline.at <= now) {
            let Some(deadline) = self.deadlines.pop_front() else { break };
            if self.is_connecting(&deadline) {
                let descriptor = &self.sockets[deadline.slot].descriptor;
                rustix::net::connect_unspec(descriptor).context("giving up a target")?;
                self.end(deadline.slot, Conclusion::Silent);
                let lateness = now.saturating_duration_since(deadline.at).as_micros();
                self.lateness.push(u32::try_from(lateness).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}
