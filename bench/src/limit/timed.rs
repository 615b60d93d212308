//! Connecting with the same sockets again and again, with a deadline for each target.
//!
//! As bare as deadlines can be: a queue, because all targets have the same time, and nothing in it
//! is ever looked for. What is under way is asked for at the poller before what is due is given up.

use std::{
    collections::VecDeque,
    mem::MaybeUninit,
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::{
    event::{
        Timespec,
        epoll::{self, EventData, EventFlags},
    },
    io::Errno,
    net::RecvFlags,
};

use super::baseline::{self, Ended, Tally};

/// Begun before those who are under way are looked at.
const BURST: usize = 256;

/// More than a greeting.
const BUFFER: usize = 1024;

/// Sockets, and what they are doing.
struct Pool {
    poller: OwnedFd,
    sockets: Vec<Socket>,
    /// Places of those that do nothing.
    idle: Vec<usize>,
    window: usize,
    timeout: Duration,
    /// What ends when, the first to end first; those that have ended by themselves are still here.
    due: VecDeque<Due>,
    tally: Tally,
    /// How late deadlines were noticed, in microseconds.
    late: Vec<u32>,
}

struct Socket {
    descriptor: OwnedFd,
    doing: Doing,
    /// How many targets it has had.
    turn: u32,
}

/// What a socket does.
#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    Connecting(SocketAddr),
    Reading(SocketAddr),
}

struct Due {
    at: Instant,
    place: usize,
    turn: u32,
}

/// Connects to all of them once, so many at a time. Coverage how late each deadline was noticed.
pub(super) fn connect(
    mut targets: impl Iterator<Item = SocketAddr>,
    window: usize,
    timeout: Duration,
) -> Result<(Tally, Vec<u32>)> {
    let mut pool = Pool {
        poller: epoll::create(epoll::CreateFlags::CLOEXEC).context("making a poller")?,
        sockets: Vec::with_capacity(window),
        idle: Vec::with_capacity(window),
        window,
        timeout,
        due: VecDeque::with_capacity(window),
        tally: Tally::default(),
        late: Vec::new(),
    };
    let mut is_more = true;
    loop {
        for _ in 0..BURST {
            if !is_more || !pool.has_room() {
                break;
            }
            match targets.next() {
                Some(target) => pool.begin(target)?,
                None => is_more = false,
            }
        }
        if !is_more && pool.idle.len() == pool.sockets.len() {
            return Ok((pool.tally, pool.late));
        }
        let may_wait = !(is_more && pool.has_room());
        pool.look(may_wait)?;
        pool.expire()?;
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is what time costs at least")]
fn now() -> Instant {
    Instant::now()
}

impl Pool {
    fn has_room(&self) -> bool {
        !self.idle.is_empty() || self.sockets.len() < self.window
    }

    /// Opens a socket for this place, and registers it.
    fn open(&self, place: usize) -> Result<OwnedFd> {
        let descriptor = baseline::open()?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.poller, &descriptor, EventData::new_u64(place as u64), flags)
            .context("registering a socket")?;
        Ok(descriptor)
    }

    /// A socket that does nothing; there is room.
    fn place(&mut self) -> Result<usize> {
        if let Some(place) = self.idle.pop() {
            return Ok(place);
        }
        let place = self.sockets.len();
        let descriptor = self.open(place)?;
        self.sockets.push(Socket { descriptor, doing: Doing::Nothing, turn: 0 });
        Ok(place)
    }

    fn begin(&mut self, target: SocketAddr) -> Result<()> {
        let place = self.place()?;
        self.sockets[place].doing = Doing::Connecting(target);
        // Once more at once: who refuses on this machine has done it by now.
        for _ in 0..2 {
            if let Doing::Connecting(_) = self.sockets[place].doing {
                self.ask(place, target)?;
            }
        }
        let socket = &mut self.sockets[place];
        if let Doing::Connecting(_) = socket.doing {
            socket.turn = socket.turn.wrapping_add(1);
            self.due.push_back(Due { at: now() + self.timeout, place, turn: socket.turn });
        }
        Ok(())
    }

    /// Connects, or asks how that stands.
    fn ask(&mut self, place: usize, target: SocketAddr) -> Result<()> {
        let socket = &mut self.sockets[place];
        match rustix::net::connect(&socket.descriptor, &target) {
            Err(Errno::INPROGRESS | Errno::ALREADY) => {}
            Err(Errno::CONNREFUSED) => self.end(place, Ended::Refused),
            Ok(()) | Err(Errno::ISCONN) => socket.doing = Doing::Reading(target),
            Err(errno) => return Err(baseline::failed(target, errno)),
        }
        Ok(())
    }

    /// Reads a greeting, if it has come, and leaves.
    fn read(&mut self, place: usize, target: SocketAddr) -> Result<()> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let socket = &self.sockets[place];
        let ended = match rustix::net::recv(&socket.descriptor, &mut buffer, RecvFlags::empty()) {
            Ok((([], _), _)) => Ended::Accepted,
            Ok(((bytes, _), _)) if bytes.ends_with(b"\n") => Ended::Greeted,
            Ok(_) | Err(Errno::AGAIN) => return Ok(()),
            Err(errno) => return Err(baseline::failed(target, errno)),
        };
        // It has given all it had: its close sends FIN.
        self.sockets[place].descriptor = self.open(place)?;
        self.end(place, ended);
        Ok(())
    }

    fn end(&mut self, place: usize, how: Ended) {
        self.tally.add(how);
        self.sockets[place].doing = Doing::Nothing;
        self.idle.push(place);
    }

    /// Takes what has happened, until nothing more has; waits for it, if that is all there is to do.
    fn look(&mut self, may_wait: bool) -> Result<()> {
        let mut wait = if may_wait { self.until_due() } else { Some(Duration::ZERO) };
        loop {
            let timeout = wait.map(Timespec::try_from).transpose().context("it is short")?;
            let mut buffer = [const { MaybeUninit::uninit() }; BURST];
            let (events, _) =
                epoll::wait(&self.poller, &mut buffer, timeout.as_ref()).context("waiting")?;
            let is_all = events.len() < BURST;
            for event in events {
                let place = usize::try_from(event.data.u64()).context("a place is a usize")?;
                self.go_on(place)?;
            }
            if is_all {
                return Ok(());
            }
            wait = Some(Duration::ZERO);
        }
    }

    fn go_on(&mut self, place: usize) -> Result<()> {
        if let Doing::Connecting(target) = self.sockets[place].doing {
            self.ask(place, target)?;
        }
        if let Doing::Reading(target) = self.sockets[place].doing {
            self.read(place, target)?;
        }
        Ok(())
    }

    /// Whether what was due still is.
    fn is_under_way(&self, due: &Due) -> bool {
        let socket = &self.sockets[due.place];
        matches!(socket.doing, Doing::Connecting(_)) && socket.turn == due.turn
    }

    /// The time to the next deadline; `None` when only greetings are waited for.
    fn until_due(&mut self) -> Option<Duration> {
        while self.due.front().is_some_and(|due| !self.is_under_way(due)) {
            self.due.pop_front();
        }
        Some(self.due.front()?.at.saturating_duration_since(now()))
    }

    /// Gives up what is due.
    fn expire(&mut self) -> Result<()> {
        let now = now();
        while self.due.front().is_some_and(|due| due.at <= now) {
            let Some(due) = self.due.pop_front() else { break };
            if self.is_under_way(&due) {
                let descriptor = &self.sockets[due.place].descriptor;
                rustix::net::connect_unspec(descriptor).context("giving up a target")?;
                self.end(due.place, Ended::Silent);
                let late = now.saturating_duration_since(due.at).as_micros();
                self.late.push(u32::try_from(late).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}
