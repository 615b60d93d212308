//! The seam between attempts and the operating system: sockets and time.

use std::net::SocketAddr;

use rustix::io::Errno;

use crate::clock::Instant;

/// Identifies a socket within its [`Net`]. The number is reused after the socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Socket(pub(crate) usize);

/// The state of a connection attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Neither accepted nor refused.
    Pending,
    /// Accepted.
    Accepted,
    /// Failed with this error. [`Net::take_icmp`] says whether the host refused or ICMP did.
    Failed(Errno),
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There was an event at a socket, or the time was up.
    ByEvent,
    /// Another thread called this one with its waker.
    ByCall,
}

/// Sockets and time of an operating system. Only `wait` blocks.
pub(crate) trait Net {
    /// Returns the current time.
    fn now(&self) -> Instant;

    /// Opens a TCP socket of the endpoint's family, or reuses one that was
    /// [disconnected](Self::disconnect).
    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno>;

    /// Begins to connect, or polls a connection that has begun. A connection that was accepted counts
    /// as accepted while it has unread bytes, even after its end.
    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection;

    /// Polls a connection that has just begun, with a single system call. If the server has accepted
    /// and reset it since, the bytes that it sent are lost.
    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection;

    /// Returns how often the system has repeated the SYN of a connection that was accepted; `None` if it
    /// does not say.
    fn syns_repeated(&self, socket: Socket) -> Option<u8>;

    /// Reads what has arrived; `Ok(0)` after the peer closed the connection, `EAGAIN` if nothing has
    /// arrived. Retries when a signal interrupts it.
    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes as much as the socket takes without blocking.
    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno>;

    /// Abandons a connection and keeps its socket for reuse. A peer that has accepted it gets a reset.
    /// Events from before may still be reported for the socket's number.
    fn disconnect(&mut self, socket: Socket);

    /// Closes the socket. Its number may be reused.
    fn close(&mut self, socket: Socket);

    /// Registers the socket, so that [`wait`](Self::wait) reports its events, also those since it was
    /// opened. Does nothing if it is registered.
    fn watch(&mut self, socket: Socket) -> Result<(), Errno>;

    /// Makes the next [`wait`](Self::wait) report the socket at once, because it has unread bytes.
    fn revisit(&mut self, socket: Socket);

    /// Adds the sockets that have events to `ready`, without waiting. Returns whether these are all: then
    /// the connection of every other registered socket is as the last event has said, and need not be
    /// polled.
    fn take_events(&mut self, ready: &mut Vec<Socket>) -> bool;

    /// Forgets what earlier events have said about the socket, so that the next `connect` and `read` ask
    /// the operating system.
    fn invalidate(&mut self, socket: Socket);

    /// Returns the ICMP errors since the last call. They explain connections that have failed since
    /// then, and end those that are pending; errors about any other connection are late and mean
    /// nothing.
    fn take_icmp(&mut self) -> IcmpErrors;

    /// Waits for an event at a registered socket, a call of the waker, or the time `until` (`None`:
    /// without a limit). Adds the sockets that have events to `ready`. Wake-ups may be spurious. An
    /// event is reported only once.
    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken;
}

/// The ICMP errors that a [`Net`] has read.
#[derive(Debug, Default)]
pub(crate) struct IcmpErrors {
    pub(crate) errors: Vec<IcmpError>,
    /// Why an error queue could not be read. Any refusal since the last call may then be ICMP's.
    pub(crate) unreadable: Option<Errno>,
}

/// An ICMP message about a connection that was pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// The socket of the connection. It may have another connection by now.
    pub(crate) socket: Socket,
    /// The endpoint of the connection.
    pub(crate) endpoint: SocketAddr,
    /// The error number that the kernel maps the message's type and code to.
    pub(crate) errno: Errno,
}

impl IcmpError {
    /// Returns whether it is about a connection to this endpoint. Zones are not compared, because the
    /// kernel sets them for some addresses only.
    pub(crate) fn is_about(&self, endpoint: SocketAddr) -> bool {
        (self.endpoint.ip(), self.endpoint.port()) == (endpoint.ip(), endpoint.port())
    }
}
