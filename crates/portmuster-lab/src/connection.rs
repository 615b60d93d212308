//! One connection of a client: a stream, the player of its script, and its end.
//!
//! - Invariant: no call blocks, and each takes and gives a bounded number of bytes.
//! - Invariant: a visit ends after [`MAX_LIFE`] at the latest.

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

use crate::script::{Act, Player, Step};

/// How long a connection lasts at most. It outlives every deadline a check has.
pub const MAX_LIFE: Duration = Duration::from_mins(1);

/// How long a client may leave its side open after ours was closed. Closing both sides while
/// the client still writes would turn our FIN into a RST.
const LINGER: Duration = Duration::from_secs(2);

/// So that a client which floods or drains can't keep the server from its others.
const READS_PER_TURN: usize = 16;
const STEPS_PER_TURN: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Stays,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    player: Player,
    ends: Instant,
    wake: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Until the client speaks or the time comes.
    Waiting,
    /// Until the client has read more.
    Sending,
    /// Our side is closed; until the client has closed its own.
    Closing,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, script: Arc<[Step]>, now: Instant) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let ends = now + MAX_LIFE;
        Ok(Self { stream, player: Player::new(script), ends, wake: ends, state: State::Waiting })
    }

    pub(crate) fn plays(&self, script: &Arc<[Step]>) -> bool {
        self.player.plays(script)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(crate) fn interest(&self) -> PollFlags {
        match self.state {
            State::Waiting | State::Closing => PollFlags::IN,
            State::Sending => PollFlags::IN | PollFlags::OUT,
        }
    }

    /// When to be served even if nothing has happened.
    pub(crate) fn wake(&self) -> Instant {
        self.wake.min(self.ends)
    }

    pub(crate) fn serve(&mut self, now: Instant) -> Standing {
        if now >= self.ends {
            return Standing::Gone;
        }
        // What a client asked before it left is still answered.
        let client = self.listen();
        match self.state {
            State::Closing => client,
            State::Waiting | State::Sending => match self.play(now) {
                Standing::Stays => client,
                Standing::Gone => Standing::Gone,
            },
        }
    }

    fn listen(&mut self) -> Standing {
        let mut buffer = [0; 4096];
        for _ in 0..READS_PER_TURN {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Standing::Gone,
                Ok(length) => self.player.heard(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Standing::Gone,
            }
        }
        Standing::Stays
    }

    fn play(&mut self, now: Instant) -> Standing {
        self.state = State::Sending;
        self.wake = self.ends;
        for _ in 0..STEPS_PER_TURN {
            match self.player.next(now) {
                Act::Send(bytes) => match self.stream.write(bytes) {
                    Ok(length) => self.player.sent(length),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return Standing::Gone,
                },
                Act::SendUrgent(bytes) => {
                    match rustix::net::send(&self.stream, bytes, SendFlags::OOB) {
                        Ok(length) => self.player.sent(length),
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => break,
                        Err(_) => return Standing::Gone,
                    }
                }
                Act::Wait(wake) => {
                    self.state = State::Waiting;
                    self.wake = wake.unwrap_or(self.ends);
                    break;
                }
                Act::Close => return self.close(now),
                Act::Reset => return self.reset(),
            }
        }
        Standing::Stays
    }

    fn close(&mut self, now: Instant) -> Standing {
        self.state = State::Closing;
        self.ends = self.ends.min(now + LINGER);
        match self.stream.shutdown(Shutdown::Write) {
            Ok(()) => Standing::Stays,
            Err(_) => Standing::Gone,
        }
    }

    /// With a linger time of zero, the close that follows sends RST.
    fn reset(&self) -> Standing {
        let _ = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
        Standing::Gone
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

    fn visit(script: Vec<Step>) -> (Connection, TcpStream, Instant) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let now = Instant::now();
        (Connection::new(stream, script.into(), now).unwrap(), client, now)
    }

    #[test]
    fn lasts_its_time_and_no_longer() {
        let (mut visit, _client, now) = visit(vec![]);
        assert_eq!(visit.serve(now), Standing::Stays);
        assert_eq!(visit.wake(), now + MAX_LIFE);
        assert_eq!(visit.serve(now + MAX_LIFE / 2), Standing::Stays);
        assert_eq!(visit.serve(now + MAX_LIFE), Standing::Gone);
    }

    #[test]
    fn does_not_wait_long_for_the_client_to_close() {
        let (mut visit, _client, now) = visit(vec![Step::Close]);
        assert_eq!(visit.serve(now), Standing::Stays);
        assert_eq!(visit.wake(), now + LINGER);
        assert_eq!(visit.serve(now + LINGER), Standing::Gone);
    }

    #[test]
    fn a_flood_is_sent_in_turns() {
        let flood = vec![Step::Send(vec![b'x'; 1000].into()), Step::Again(0)];
        let (mut visit, mut client, now) = visit(flood);
        assert_eq!(visit.serve(now), Standing::Stays);
        drop(visit);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).unwrap();
        assert!(!heard.is_empty() && heard.len() <= STEPS_PER_TURN * 1000, "{}", heard.len());
    }
}
