//! The system calls on one TCP socket.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    os::fd::{AsFd, OwnedFd},
    sync::LazyLock,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::{Errno, retry_on_intr},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt},
};

use super::{error_queue, net::Connection};

/// The ports that the system gives to connections that begin here, IPv4 and IPv6 alike, in this
/// network namespace; all of them where it does not say.
static LOCAL_PORTS: LazyLock<RangeInclusive<u16>> = LazyLock::new(|| {
    let said = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    said.and_then(|said| local_ports(&said)).unwrap_or(0..=u16::MAX)
});

fn local_ports(said: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = said.trim().split_once(char::is_whitespace)?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

#[expect(clippy::disallowed_methods, reason = "this is where the driver opens its sockets")]
pub(super) fn open(endpoint: SocketAddr, source: Option<IpAddr>) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family(endpoint), SocketType::STREAM, flags, None)?;
    if let Some(source) = source {
        if source.is_ipv4() != endpoint.is_ipv4() {
            return Err(Errno::AFNOSUPPORT);
        }
        rustix::net::bind(&socket, &SocketAddr::new(source, 0))?;
    }
    error_queue::ask(&socket, endpoint, true);
    // Urgent data is data: what a server says so is read with the rest (RFC 6093 §6). A system that
    // can't do that tells nothing of it.
    let _ = sockopt::set_socket_oobinline(&socket, true);
    Ok(socket)
}

/// Whether connections can begin at this address.
pub(crate) fn can_be_source(source: IpAddr) -> Result<(), Errno> {
    open(SocketAddr::new(source, 0), Some(source)).map(drop)
}

/// What is told of a connection that has begun, by poll(2) or epoll(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It is neither accepted nor over.
    Pending,
    /// It was accepted.
    Accepted,
    /// It may be over; perhaps it was accepted before.
    Over,
}

impl Told {
    /// A connection that has not been accepted is never writable, but for one that is over: that
    /// one has been hung up on both sides. An error alone may be one that the error queue holds.
    pub(super) fn by(is_writable: bool, is_hung_up: bool, has_error: bool) -> Self {
        match (is_writable, is_hung_up, has_error) {
            (_, true, _) | (true, _, true) => Self::Over,
            (true, false, false) => Self::Accepted,
            (false, false, _) => Self::Pending,
        }
    }

    /// Asks the system, which changes nothing at the socket.
    fn ask(socket: impl AsFd) -> Self {
        let mut asked = [PollFd::new(&socket, PollFlags::OUT)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        if retry_on_intr(|| rustix::event::poll(&mut asked, Some(&at_once))).is_err() {
            return Self::Over;
        }
        let flags = asked[0].revents();
        let [out, hup, err] = [PollFlags::OUT, PollFlags::HUP, PollFlags::ERR];
        Self::by(flags.contains(out), flags.contains(hup), flags.contains(err))
    }
}

/// How a connection stands that has begun. What a server has said before it ended the connection is
/// kept: with unread bytes the connection counts as accepted, and reading finds its end behind them.
/// connect(2) would throw them away.
pub(super) fn stands(socket: impl AsFd, endpoint: SocketAddr, told: Option<Told>) -> Connection {
    match told.unwrap_or_else(|| Told::ask(&socket)) {
        Told::Pending => Connection::Pending,
        Told::Accepted => accepted(socket, endpoint),
        Told::Over => match rustix::io::ioctl_fionread(&socket) {
            Ok(1..) => accepted(socket, endpoint),
            _ => connect(socket, endpoint),
        },
    }
}

/// Begins to connect, or says how it stands: connect(2) asked again tells the outcome. When that is
/// an error, the socket is as it was before, and what was received on it is thrown away.
pub(super) fn connect(socket: impl AsFd, endpoint: SocketAddr) -> Connection {
    loop {
        return match rustix::net::connect(socket.as_fd(), &endpoint) {
            Ok(()) | Err(Errno::ISCONN) => accepted(socket, endpoint),
            Err(Errno::INPROGRESS | Errno::ALREADY) => Connection::Pending,
            Err(Errno::INTR) => continue,
            // The kernel says the same of an address without any way to it and of local ports
            // that are used up; only these come back.
            Err(Errno::ADDRNOTAVAIL) if has_no_source(endpoint) => {
                Connection::Failed(Errno::NETUNREACH)
            }
            Err(errno) => Connection::Failed(errno),
        };
    }
}

/// What it means that the connection was accepted: a socket that is connected to itself proves
/// that nobody listens.
fn accepted(socket: impl AsFd, endpoint: SocketAddr) -> Connection {
    if LOCAL_PORTS.contains(&endpoint.port()) && is_itself(&socket, endpoint) {
        let _ = disconnect(&socket);
        return Connection::Failed(Errno::CONNREFUSED);
    }
    error_queue::ask(&socket, endpoint, false);
    Connection::Accepted
}

/// Gives up a connection, so that the socket can be used for another; to who has accepted it that
/// is a reset. False where the system can't do that, as gVisor's network: the socket is to be
/// closed.
pub(super) fn disconnect(socket: impl AsFd) -> bool {
    retry_on_intr(|| rustix::net::connect_unspec(&socket)).is_ok()
}

/// Whether the socket is connected to itself: TCP allows that (RFC 9293 §3.5, simultaneous open)
/// when the local port happens to be the one asked for, and it proves that nobody listens there.
fn is_itself(socket: impl AsFd, endpoint: SocketAddr) -> bool {
    let Ok(local) = rustix::net::getsockname(&socket).and_then(SocketAddr::try_from) else {
        return false;
    };
    // Who connects to no address in particular reaches this machine by one that it has.
    local.port() == endpoint.port()
        && (local.ip() == endpoint.ip() || endpoint.ip().is_unspecified())
}

/// Whether this machine has no address of its own to reach the endpoint from. Connecting a UDP
/// socket asks the same of the routing and sends nothing.
#[expect(clippy::disallowed_methods, reason = "this is where the driver opens its sockets")]
fn has_no_source(endpoint: SocketAddr) -> bool {
    let (family, flags) = (family(endpoint), SocketFlags::CLOEXEC);
    rustix::net::socket_with(family, SocketType::DGRAM, flags, None)
        .and_then(|socket| retry_on_intr(|| rustix::net::connect(&socket, &endpoint)))
        == Err(Errno::ADDRNOTAVAIL)
}

fn family(endpoint: SocketAddr) -> AddressFamily {
    match endpoint {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

pub(super) fn read(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    retry_on_intr(|| rustix::net::recv(&socket, &mut *buffer, RecvFlags::empty()))
        .map(|(length, _)| length)
}

pub(super) fn write(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    retry_on_intr(|| rustix::net::send(&socket, bytes, SendFlags::NOSIGNAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_poller_tells_is_understood() {
        assert_eq!(Told::by(false, false, false), Told::Pending);
        // ICMP was queued while the system was busy with the socket.
        assert_eq!(Told::by(false, false, true), Told::Pending);
        assert_eq!(Told::by(true, false, false), Told::Accepted);
        assert_eq!(Told::by(true, true, true), Told::Over);
        assert_eq!(Told::by(false, true, false), Told::Over);
    }

    #[test]
    fn the_range_of_local_ports_is_read() {
        assert_eq!(local_ports("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(local_ports("32768"), None);
        assert_eq!(local_ports("1 70000"), None);
    }
}
