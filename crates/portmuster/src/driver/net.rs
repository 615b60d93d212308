//! The seam between attempts and the operating system: sockets and time.

use std::net::SocketAddr;

use rustix::io::Errno;

use crate::clock::Instant;

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
    /// It ended with this error. Whether the host refused or ICMP did, [`Net::take_icmp`] tells.
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

    /// Opens a TCP socket of the endpoint's family, or takes one that was
    /// [given up](Self::disconnect).
    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno>;

    /// Begins to connect, or, when that has begun, says how it stands. A connection that was
    /// accepted counts as accepted while there is something to read of it, even when it is over.
    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection;

    /// Says how a connection stands that has just begun, as cheaply as can be: of one that was
    /// accepted and reset since, what was said is lost.
    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection;

    /// Reads what has come, whatever signals come; `Ok(0)` when the peer hung up, `EAGAIN` when
    /// nothing has come.
    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes what the socket takes at once.
    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno>;

    /// Gives up a connection; to who has accepted it that is a reset. The socket's place may be
    /// given to another, and may be named once more for what happened before.
    fn disconnect(&mut self, socket: Socket);

    /// Closes the socket; its place may be given to another.
    fn close(&mut self, socket: Socket);

    /// From now on the socket is named by [`wait`](Self::wait) when something has happened at it,
    /// also for what happened since it was opened. Asked again it changes nothing.
    fn watch(&mut self, socket: Socket) -> Result<(), Errno>;

    /// The next [`wait`](Self::wait) names the socket at once: it was not read to its end.
    fn revisit(&mut self, socket: Socket);

    /// What the last waits told about the socket is not relied on: the next `connect` and `read`
    /// ask the system.
    fn invalidate(&mut self, socket: Socket);

    /// What ICMP has said since the last call: of connections that have failed since then, why; of
    /// those that are pending, that they fail. What was said of any other comes too late.
    fn take_icmp(&mut self) -> Vec<IcmpError>;

    /// Waits until something has happened at a watched socket, somebody calls, or the time has come
    /// (`None`: without end), and adds the sockets at which something has happened. A socket may
    /// be named for no reason; it is not named again for what it was named for once.
    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken;
}

/// An ICMP message about a connection that was pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// The socket that the connection was of; it may have begun another since.
    pub(crate) socket: Socket,
    /// Where the connection was to go to.
    pub(crate) endpoint: SocketAddr,
    /// What the system makes of the message's type and code.
    pub(crate) errno: Errno,
}

impl IcmpError {
    /// Whether it is about a connection to this endpoint. Zones are not compared: the system tells
    /// them of some addresses only.
    pub(crate) fn is_about(&self, endpoint: SocketAddr) -> bool {
        (self.endpoint.ip(), self.endpoint.port()) == (endpoint.ip(), endpoint.port())
    }
}
