//! Sockets and time, and nothing else.
//!
//! The seam is [`Net`]. It lies below the loops, so that the loops themselves can run over a
//! simulated network in virtual time. What an attempt does with its socket is the same over every
//! `Net`: [`begin`], then [`advance`] whenever something has happened, then [`expire`] at its
//! deadline.
//!
//! Invariant: no attempt is ended by its deadline before its socket was asked once more, so an
//! answer that waits to be seen is never taken for silence.

use std::net::SocketAddr;

use rustix::io::Errno;

use crate::{
    check::{Attempt, Event, Rules, Step},
    clock::Instant,
    outcome::Conclusion,
};

pub(crate) mod descriptors;
pub(crate) mod epoll;
pub(crate) mod poll;
#[cfg(feature = "simulator")]
pub(crate) mod simulated;
pub(crate) mod tcp;
pub(crate) mod waker;

/// Bytes taken from a socket at a time.
pub(crate) const READ_SIZE: usize = 16 * 1024;

/// Reads at most before a socket is closed, so that the close sends FIN and not a reset.
const DRAIN_READS: usize = 4;

/// A socket's place in its [`Net`]; given again after the socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Socket(pub(crate) usize);

/// How a connection attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Neither accepted nor refused.
    Pending,
    /// Accepted.
    Accepted,
    /// It ended with this error.
    Failed(Errno),
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something happened at a socket, or the time was up.
    ByEvent,
    /// Somebody called the waiting thread.
    ByCall,
}

/// Sockets and time as an operating system gives them; nothing blocks but `wait`.
pub(crate) trait Net {
    /// What time it is.
    fn now(&self) -> Instant;

    /// Opens a TCP socket of the endpoint's family.
    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno>;

    /// Begins to connect, or, when that has begun, says how it stands.
    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection;

    /// Reads what has come; `Ok(0)` when the peer hung up, `EAGAIN` when nothing has come.
    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes what the socket takes at once.
    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno>;

    /// Closes the socket; its place may be given to another.
    fn close(&mut self, socket: Socket);

    /// Waits until something has happened at a socket, somebody calls, or the time has come
    /// (`None`: without end), and adds the sockets at which something has happened. A socket may
    /// be named for no reason; it is not named again for what it was named for once.
    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken;
}

/// Begins an attempt: `Ok` with the socket that it goes on with, `Err` when it is over.
pub(crate) fn begin<N: Net>(
    net: &mut N,
    attempt: &mut Attempt,
    rules: &Rules,
    buffer: &mut [u8],
) -> Result<Socket, Conclusion> {
    let socket = match net.open(attempt.endpoint()) {
        Ok(socket) => socket,
        Err(errno) => match attempt.handle(rules, Event::Failed(errno), net.now()) {
            Step::Done(conclusion) => return Err(conclusion),
            step => unreachable!("an attempt without a socket wants {step:?}"),
        },
    };
    match advance(net, socket, attempt, rules, buffer) {
        Some(conclusion) => {
            close(net, socket, &conclusion, buffer);
            Err(conclusion)
        }
        None => Ok(socket),
    }
}

/// Does all that can be done without waiting; the conclusion when that was the last of it.
pub(crate) fn advance<N: Net>(
    net: &mut N,
    socket: Socket,
    attempt: &mut Attempt,
    rules: &Rules,
    buffer: &mut [u8],
) -> Option<Conclusion> {
    if attempt.is_connecting() {
        let event = match net.connect(socket, attempt.endpoint()) {
            Connection::Pending => Event::Pending,
            Connection::Accepted => Event::Accepted,
            Connection::Failed(errno) => Event::Failed(errno),
        };
        match attempt.handle(rules, event, net.now()) {
            Step::Connect => return None,
            Step::Done(conclusion) => return Some(conclusion),
            Step::Write(bytes) => write(net, socket, &bytes),
            Step::Read => {}
        }
    }
    read_all(net, socket, attempt, rules, buffer)
}

/// The attempt's deadline has passed: asks its socket once more, then tells it.
pub(crate) fn expire<N: Net>(
    net: &mut N,
    socket: Socket,
    attempt: &mut Attempt,
    rules: &Rules,
    buffer: &mut [u8],
) -> Option<Conclusion> {
    if let Some(conclusion) = advance(net, socket, attempt, rules, buffer) {
        return Some(conclusion);
    }
    let now = net.now();
    if attempt.deadline(&rules.limits).1 > now {
        return None;
    }
    match attempt.handle(rules, Event::DeadlinePassed, now) {
        Step::Done(conclusion) => Some(conclusion),
        Step::Write(bytes) => {
            write(net, socket, &bytes);
            None
        }
        Step::Connect | Step::Read => None,
    }
}

/// Closes an attempt's socket.
pub(crate) fn close<N: Net>(
    net: &mut N,
    socket: Socket,
    conclusion: &Conclusion,
    buffer: &mut [u8],
) {
    // Linux answers a close over unread bytes with a reset (RFC 2525 §2.17); servers log that.
    let accepted =
        matches!(conclusion, Conclusion::Verdict(verdict) if verdict.times.connect.is_some());
    if accepted {
        for _ in 0..DRAIN_READS {
            if !matches!(net.read(socket, buffer), Ok(1..)) {
                break;
            }
        }
    }
    net.close(socket);
}

fn read_all<N: Net>(
    net: &mut N,
    socket: Socket,
    attempt: &mut Attempt,
    rules: &Rules,
    buffer: &mut [u8],
) -> Option<Conclusion> {
    loop {
        let event = match net.read(socket, buffer) {
            Ok(0) => Event::Closed,
            Ok(length) => Event::Bytes(&buffer[..length]),
            Err(Errno::AGAIN) => return None,
            Err(Errno::INTR) => continue,
            Err(errno) => Event::Failed(errno),
        };
        match attempt.handle(rules, event, net.now()) {
            Step::Done(conclusion) => return Some(conclusion),
            Step::Write(bytes) => write(net, socket, &bytes),
            Step::Connect | Step::Read => {}
        }
    }
}

/// Writes without regard to how much is taken: in all an attempt writes less than the smallest
/// send buffer holds (4 KiB, tcp(7)), so what is not taken has no reader. A connection that is
/// gone shows at the next read.
fn write<N: Net>(net: &mut N, socket: Socket, bytes: &[u8]) {
    let _ = net.write(socket, bytes);
}
