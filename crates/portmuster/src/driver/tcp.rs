//! The system calls on one TCP socket.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType},
};

use super::Connection;

#[expect(clippy::disallowed_methods, reason = "this is where the driver opens its sockets")]
pub(super) fn open(endpoint: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match endpoint {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(family, SocketType::STREAM, flags, None)
}

/// Begins to connect, or says how it stands: connect(2) asked again tells the outcome.
pub(super) fn connect(socket: impl AsFd, endpoint: SocketAddr) -> Connection {
    loop {
        return match rustix::net::connect(socket.as_fd(), &endpoint) {
            Ok(()) | Err(Errno::ISCONN) if is_itself(&socket, endpoint) => {
                Connection::Failed(Errno::CONNREFUSED)
            }
            Ok(()) | Err(Errno::ISCONN) => Connection::Accepted,
            Err(Errno::INPROGRESS | Errno::ALREADY) => Connection::Pending,
            Err(Errno::INTR) => continue,
            Err(errno) => Connection::Failed(errno),
        };
    }
}

/// Whether the socket is connected to itself: TCP allows that (RFC 9293 §3.5, simultaneous open)
/// when the local port happens to be the one asked for, and it proves that nobody listens there.
fn is_itself(socket: impl AsFd, endpoint: SocketAddr) -> bool {
    let local = rustix::net::getsockname(socket).and_then(SocketAddr::try_from);
    local.is_ok_and(|local| (local.ip(), local.port()) == (endpoint.ip(), endpoint.port()))
}

pub(super) fn read(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    rustix::net::recv(socket, buffer, RecvFlags::empty()).map(|(length, _)| length)
}

pub(super) fn write(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)
}
