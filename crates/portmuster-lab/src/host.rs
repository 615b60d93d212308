//! The one thread of a server: accepts connections and plays the script on each.
//!
//! It refuses to start threads per connection, and to wait for anything but an event or a time.
//!
//! - Invariant: at most [`MAX_CONNECTIONS`] are served at a time; further ones wait in the
//!   system's backlog.
//! - Invariant: in each turn, connections that have ended are let go before one is accepted, and
//!   only one is accepted at each port. So a connection which a client closed before it opened the
//!   next is never counted beside it.

use std::{
    io::{self, ErrorKind},
    net::TcpListener,
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    Behaviour,
    connection::{Connection, Standing},
    penalties::Penalties,
    script::Step,
    stats::Stats,
};

/// Most connections that one server serves at a time.
pub const MAX_CONNECTIONS: usize = 256;

/// How long nothing is accepted after the system refused to (for lack of descriptors, say);
/// the listener would be reported as ready all that time.
const ACCEPT_REST: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Host {
    listeners: Vec<TcpListener>,
    stop: UnixStream,
    door: ServerPolicy,
    stats: Arc<Stats>,
    visits: Vec<Connection>,
    resting_until: Option<Instant>,
}

/// What is said to those who connect.
#[derive(Debug)]
pub(crate) struct ServerPolicy {
    script: Arc<[Step]>,
    refusal: Option<Arc<[Step]>>,
    penalties: Penalties,
    /// The next client is refused for being the first.
    refuses_next: bool,
}

impl ServerPolicy {
    /// `None` where nobody gets in.
    pub(crate) fn of(behaviour: Behaviour) -> Option<Self> {
        let script = behaviour.script()?.into();
        let refusal = behaviour.refusal().map(Into::into);
        let refuses_next = behaviour == Behaviour::SshOnSecondTry;
        Some(Self { script, refusal, penalties: Penalties::default(), refuses_next })
    }

    fn open(&mut self, now: Instant) -> Arc<[Step]> {
        let is_refused = std::mem::take(&mut self.refuses_next) || self.penalties.refuse(now);
        let refusal = self.refusal.as_ref().filter(|_| is_refused);
        Arc::clone(refusal.unwrap_or(&self.script))
    }

    /// Those who were refused are not penalised again.
    fn left(&mut self, visit: &Connection, now: Instant) {
        if visit.plays(&self.script) {
            self.penalties.add(now);
        }
    }
}

impl Host {
    /// `stop` ends the host when its other end is shut down. No listener may block.
    pub(crate) fn new(
        listeners: Vec<TcpListener>,
        stop: UnixStream,
        door: ServerPolicy,
        stats: Arc<Stats>,
    ) -> Self {
        Self { listeners, stop, door, stats, visits: Vec::new(), resting_until: None }
    }

    /// Serves until told to stop, or until the system can't wait for events any more.
    pub(crate) fn run(mut self) {
        while let Ok(events) = self.wait() {
            let Some((stop, events)) = events.split_first() else { break };
            if !stop.is_empty() {
                break;
            }
            let now = now();
            let (listeners, visits) = events.split_at(self.listeners.len());
            self.serve(visits, now);
            for (place, _) in listeners.iter().enumerate().filter(|(_, events)| !events.is_empty())
            {
                if self.visits.len() < MAX_CONNECTIONS {
                    self.accept(place, now);
                }
            }
        }
        self.stats.ended(self.visits.len());
    }

    /// What happened on the stop channel, the listeners, and each visit.
    fn wait(&self) -> io::Result<Vec<PollFlags>> {
        let now = now();
        let resting = self.resting_until.is_some_and(|until| now < until);
        let accepting = !resting && self.visits.len() < MAX_CONNECTIONS;
        let wish = if accepting { PollFlags::IN } else { PollFlags::empty() };

        let mut polled = Vec::with_capacity(1 + self.listeners.len() + self.visits.len());
        polled.push(PollFd::new(&self.stop, PollFlags::IN));
        polled.extend(self.listeners.iter().map(|listener| PollFd::new(listener, wish)));
        polled.extend(self.visits.iter().map(|v| PollFd::from_borrowed_fd(v.fd(), v.interest())));
        let timeout = self
            .wake(now)
            .and_then(|wake| Timespec::try_from(wake.saturating_duration_since(now)).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) => Ok(polled.iter().map(PollFd::revents).collect()),
            Err(Errno::INTR) => Ok(vec![PollFlags::empty(); polled.len()]),
            Err(errno) => Err(errno.into()),
        }
    }

    fn wake(&self, now: Instant) -> Option<Instant> {
        let rest = self.resting_until.filter(|&until| now < until);
        self.visits.iter().map(Connection::wake).chain(rest).min()
    }

    fn serve(&mut self, events: &[PollFlags], now: Instant) {
        let before = self.visits.len();
        let mut events = events.iter();
        self.visits.retain_mut(|visit| {
            let quiet = events.next().is_none_or(PollFlags::is_empty);
            let due = !quiet || now >= visit.wake();
            let stays = !due || visit.serve(now) == Standing::Stays;
            if !stays {
                self.door.left(visit, now);
            }
            stays
        });
        self.stats.ended(before - self.visits.len());
    }

    fn accept(&mut self, place: usize, now: Instant) {
        match self.listeners[place].accept() {
            Ok((stream, _)) => {
                self.stats.opened();
                let visit = Connection::new(stream, self.door.open(now), now);
                match visit.map(|mut visit| (visit.serve(now), visit)) {
                    Ok((Standing::Stays, visit)) => self.visits.push(visit),
                    Ok((Standing::Gone, visit)) => {
                        self.door.left(&visit, now);
                        self.stats.ended(1);
                    }
                    Err(_) => self.stats.ended(1),
                }
            }
            Err(error) if is_passing(error.kind()) => {}
            Err(_) => self.resting_until = Some(now + ACCEPT_REST),
        }
    }
}

/// The client left again before it was accepted, or the call is simply to be made again.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}

#[expect(clippy::disallowed_methods, reason = "the lab plays its scripts in real time")]
fn now() -> Instant {
    Instant::now()
}
