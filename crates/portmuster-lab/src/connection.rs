//! One connection of a client: its stream, the script that runs on it, and its end.
//!
//! - Invariant: no call blocks, and each call reads and writes a bounded number of bytes.
//! - Invariant: a connection ends after [`MAX_LIFE`] at the latest.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::PollFlags,
    io::Errno,
    net::{SendFlags, sockopt},
};

use crate::{
    limits::MAX_LIFE,
    script::{Action, ScriptRunner, Step},
};

/// How long a client may keep its side open after the server has closed its own. If the server
/// closed both sides while the client still writes, the FIN would become a RST.
const LINGER: Duration = Duration::from_secs(2);

/// The most reads per turn, so that a client that floods the server does not starve the others.
const READS_PER_TURN: usize = 16;

/// The most script actions per turn, so that a client that reads without pause does not starve the
/// others.
const STEPS_PER_TURN: usize = 16;

/// Whether a connection is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionStatus {
    Open,
    Ended,
}

/// A connection and the state of its script.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    runner: ScriptRunner,
    ends: Instant,
    wake: Instant,
    state: State,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Input from the client, or the timeout.
    Waiting,
    /// Space in the send buffer.
    Sending,
    /// The client's FIN. The server's side is closed.
    Closing,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, script: Arc<[Step]>, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let ends = now + MAX_LIFE;
        let runner = ScriptRunner::new(script);
        Ok(Self { stream, runner, ends, wake: ends, state: State::Waiting })
    }

    /// The script that runs on this connection.
    pub(crate) fn script(&self) -> &Arc<[Step]> {
        self.runner.script()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// The events to poll for.
    pub(crate) fn interest(&self) -> PollFlags {
        match self.state {
            State::Waiting | State::Closing => PollFlags::IN,
            State::Sending => PollFlags::IN | PollFlags::OUT,
        }
    }

    /// Returns the time at which [`Self::serve`] must be called even without an event.
    pub(crate) fn next_timeout(&self) -> Instant {
        self.wake.min(self.ends)
    }

    /// Reads what has arrived and runs the script as far as possible.
    pub(crate) fn serve(&mut self, now: Instant) -> ConnectionStatus {
        if now >= self.ends {
            return ConnectionStatus::Ended;
        }
        // Requests that the client sent before it closed the connection are still answered.
        let client = self.receive();
        match self.state {
            State::Closing => client,
            State::Waiting | State::Sending => match self.run_script(now) {
                ConnectionStatus::Open => client,
                ConnectionStatus::Ended => ConnectionStatus::Ended,
            },
        }
    }

    fn receive(&mut self) -> ConnectionStatus {
        let mut buffer = [0; 4096];
        for _ in 0..READS_PER_TURN {
            match self.stream.read(&mut buffer) {
                Ok(0) => return ConnectionStatus::Ended,
                Ok(length) => self.runner.receive(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return ConnectionStatus::Ended,
            }
        }
        ConnectionStatus::Open
    }

    fn run_script(&mut self, now: Instant) -> ConnectionStatus {
        self.state = State::Sending;
        self.wake = self.ends;
        for _ in 0..STEPS_PER_TURN {
            match self.runner.next_action(now) {
                Action::Send(bytes) => match self.stream.write(bytes) {
                    Ok(length) => self.runner.sent(length),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return ConnectionStatus::Ended,
                },
                Action::SendUrgent(bytes) => {
                    match rustix::net::send(&self.stream, bytes, SendFlags::OOB) {
                        Ok(length) => self.runner.sent(length),
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => break,
                        Err(_) => return ConnectionStatus::Ended,
                    }
                }
                Action::Wait(wake) => {
                    self.state = State::Waiting;
                    self.wake = wake.unwrap_or(self.ends);
                    break;
                }
                Action::Close => return self.close(now),
                Action::Reset => return self.reset(),
            }
        }
        ConnectionStatus::Open
    }

    /// Sends FIN, and keeps the connection open until the client closes its side.
    fn close(&mut self, now: Instant) -> ConnectionStatus {
        self.state = State::Closing;
        self.ends = self.ends.min(now + LINGER);
        match self.stream.shutdown(Shutdown::Write) {
            Ok(()) => ConnectionStatus::Open,
            Err(_) => ConnectionStatus::Ended,
        }
    }

    /// Sets a linger time of zero, so that the close that follows sends RST.
    fn reset(&self) -> ConnectionStatus {
        let _ = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        ConnectionStatus::Ended
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "one real connection, and a start for its times"
    )]

    use std::net::TcpListener;

    use super::*;

    fn connection(script: Vec<Step>) -> (Connection, TcpStream, Instant) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let now = Instant::now();
        (Connection::new(stream, script.into(), now).unwrap(), client, now)
    }

    #[test]
    fn connection_ends_after_its_maximum_life() {
        let (mut connection, _client, now) = connection(vec![]);
        assert_eq!(connection.serve(now), ConnectionStatus::Open);
        assert_eq!(connection.next_timeout(), now + MAX_LIFE);
        assert_eq!(connection.serve(now + MAX_LIFE / 2), ConnectionStatus::Open);
        assert_eq!(connection.serve(now + MAX_LIFE), ConnectionStatus::Ended);
    }

    #[test]
    fn closed_connection_ends_after_the_linger_time() {
        let (mut connection, _client, now) = connection(vec![Step::Close]);
        assert_eq!(connection.serve(now), ConnectionStatus::Open);
        assert_eq!(connection.next_timeout(), now + LINGER);
        assert_eq!(connection.serve(now + LINGER), ConnectionStatus::Ended);
    }

    #[test]
    fn endless_output_is_bounded_per_turn() {
        let flood = vec![Step::Send(vec![b'x'; 1000].into()), Step::GoTo(0)];
        let (mut connection, mut client, now) = connection(flood);
        assert_eq!(connection.serve(now), ConnectionStatus::Open);
        drop(connection);
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        let length = received.len();
        assert!((1..=STEPS_PER_TURN * 1000).contains(&length), "{length}");
    }
}
