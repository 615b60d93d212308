//! The event loop of a server: one thread accepts connections and runs the script on each.
//!
//! The loop starts no threads, and blocks only in its wait for an event or a time.
//!
//! - Invariant: at most `max_connections` connections are served at a time; further ones wait in the
//!   system's backlog.
//! - Invariant: each turn removes connections that have ended before it accepts new ones, and
//!   accepts at most one per port. So a connection that its client closed before it opened the next
//!   one is never counted beside it.

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
    connection::{Connection, ConnectionStatus},
    server_policy::ServerPolicy,
    stats::Stats,
};

/// How long to stop accepting after an accept failed, for lack of descriptors for example. The
/// listener would be reported as ready all that time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The state of a server's thread.
#[derive(Debug)]
pub(crate) struct ServerLoop {
    listeners: Vec<TcpListener>,
    stop: UnixStream,
    policy: ServerPolicy,
    stats: Arc<Stats>,
    max_connections: usize,
    connections: Vec<Connection>,
    paused_until: Option<Instant>,
}

impl ServerLoop {
    /// Returns a loop over these listeners, which must be non-blocking. Shutting down the other end
    /// of `stop` ends the loop.
    pub(crate) fn new(
        listeners: Vec<TcpListener>,
        stop: UnixStream,
        policy: ServerPolicy,
        stats: Arc<Stats>,
        max_connections: usize,
    ) -> Self {
        let connections = Vec::new();
        let paused_until = None;
        Self { listeners, stop, policy, stats, max_connections, connections, paused_until }
    }

    /// Serves until the loop is stopped, or until waiting for events fails.
    pub(crate) fn run(mut self) {
        while let Ok(events) = self.wait() {
            let Some((stop, events)) = events.split_first() else { break };
            if !stop.is_empty() {
                break;
            }
            let now = now();
            let (listeners, connections) = events.split_at(self.listeners.len());
            self.serve(connections, now);
            for (index, _) in listeners.iter().enumerate().filter(|(_, events)| !events.is_empty())
            {
                if self.connections.len() < self.max_connections {
                    self.accept(index, now);
                }
            }
        }
        self.stats.ended(self.connections.len());
    }

    /// Waits, and returns the events of the stop channel, each listener, and each connection, in
    /// this order.
    fn wait(&self) -> io::Result<Vec<PollFlags>> {
        let now = now();
        let is_paused = self.paused_until.is_some_and(|until| now < until);
        let accepts = !is_paused && self.connections.len() < self.max_connections;
        let interest = if accepts { PollFlags::IN } else { PollFlags::empty() };

        let mut polled = Vec::with_capacity(1 + self.listeners.len() + self.connections.len());
        polled.push(PollFd::new(&self.stop, PollFlags::IN));
        polled.extend(self.listeners.iter().map(|listener| PollFd::new(listener, interest)));
        let connections = self.connections.iter();
        polled.extend(connections.map(|c| PollFd::from_borrowed_fd(c.fd(), c.interest())));
        let timeout = self
            .next_timeout(now)
            .and_then(|time| Timespec::try_from(time.saturating_duration_since(now)).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) => Ok(polled.iter().map(PollFd::revents).collect()),
            Err(Errno::INTR) => Ok(vec![PollFlags::empty(); polled.len()]),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns the time of the next turn if no event comes before; `None` to wait without a limit.
    fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let pause = self.paused_until.filter(|&until| now < until);
        self.connections.iter().map(Connection::next_timeout).chain(pause).min()
    }

    /// Serves the connections that have events or whose timeout has passed, and removes those that
    /// have ended.
    fn serve(&mut self, events: &[PollFlags], now: Instant) {
        let before = self.connections.len();
        let mut events = events.iter();
        self.connections.retain_mut(|connection| {
            let has_event = !events.next().is_none_or(PollFlags::is_empty);
            let is_due = has_event || now >= connection.next_timeout();
            let is_open = !is_due || connection.serve(now) == ConnectionStatus::Open;
            if !is_open {
                self.policy.connection_ended(connection.script(), now);
            }
            is_open
        });
        self.stats.ended(before - self.connections.len());
    }

    /// Accepts one connection and serves it once.
    fn accept(&mut self, index: usize, now: Instant) {
        match self.listeners[index].accept() {
            Ok((stream, _)) => {
                self.stats.opened();
                let script = self.policy.script_for_next(now);
                let connection = Connection::new(stream, script, now);
                match connection.map(|mut connection| (connection.serve(now), connection)) {
                    Ok((ConnectionStatus::Open, connection)) => self.connections.push(connection),
                    Ok((ConnectionStatus::Ended, connection)) => {
                        self.policy.connection_ended(connection.script(), now);
                        self.stats.ended(1);
                    }
                    Err(_) => self.stats.ended(1),
                }
            }
            Err(error) if is_transient(error.kind()) => {}
            Err(_) => self.paused_until = Some(now + ACCEPT_PAUSE),
        }
    }
}

/// Returns whether an accept failed without a lack of resources: no client was waiting, the client
/// left before it was accepted, or a signal interrupted the call.
fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}

#[expect(clippy::disallowed_methods, reason = "the lab runs its scripts in real time")]
fn now() -> Instant {
    Instant::now()
}
