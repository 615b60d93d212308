//! System calls on one TCP socket.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::LazyLock,
};

use nix::libc;
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::{Errno, retry_on_intr},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt},
};

use super::{error_queue, net::Connection};

/// The local ports that the kernel assigns to outgoing connections in this network namespace, IPv4 and
/// IPv6 alike; all ports if the kernel does not say.
static LOCAL_PORTS: LazyLock<RangeInclusive<u16>> = LazyLock::new(|| {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    text.and_then(|text| local_ports(&text)).unwrap_or(0..=u16::MAX)
});

fn local_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

#[expect(clippy::disallowed_methods, reason = "this is where the driver opens its sockets")]
/// Opens a socket of the endpoint's family, bound to the source address if there is one.
///
/// # Errors
/// This machine lacks descriptors or memory, or the source address can't be used.
pub(super) fn open(endpoint: SocketAddr, source: Option<IpAddr>) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family(endpoint), SocketType::STREAM, flags, None)?;
    if let Some(source) = source {
        if source.is_ipv4() != endpoint.is_ipv4() {
            return Err(Errno::AFNOSUPPORT);
        }
        rustix::net::bind(&socket, &SocketAddr::new(source, 0))?;
    }
    error_queue::enable(&socket, endpoint)?;
    // Urgent data is read with the rest (RFC 6093 §6). Errors are ignored: a system that can't do that
    // does not report urgent data.
    let _ = sockopt::set_socket_oobinline(&socket, true);
    Ok(socket)
}

/// Checks that connections can be made from this address.
///
/// Linux binds to multicast and broadcast addresses, and then connects from another one.
///
/// # Errors
/// They can't, for this reason.
pub(crate) fn can_be_source(source: IpAddr) -> Result<(), Errno> {
    open(SocketAddr::new(source, 0), Some(source))?;
    if source.is_multicast() || is_broadcast(source)? {
        return Err(Errno::ADDRNOTAVAIL);
    }
    Ok(())
}

/// Returns whether this is a broadcast address of a network of this machine. Nothing is sent.
#[expect(clippy::disallowed_methods, reason = "this file opens the sockets")]
fn is_broadcast(address: IpAddr) -> Result<bool, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::DGRAM, None)?;
    // Without the option SO_BROADCAST only broadcast addresses are refused so (ip(7)).
    let connected = rustix::net::connect(&socket, &SocketAddr::new(address, 9));
    Ok(connected == Err(Errno::ACCESS))
}

/// What poll(2) or epoll(7) says of a connection that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polled {
    /// It is neither accepted nor ended.
    Pending,
    /// It was accepted.
    Accepted,
    /// It may have ended; perhaps it was accepted before.
    Ended,
}

impl Polled {
    /// Interprets the flags OUT, HUP and ERR. A pending connection is not writable; one that has ended
    /// has HUP set. ERR alone may stand for a message in the error queue.
    pub(super) fn from_flags(is_writable: bool, is_hung_up: bool, has_error: bool) -> Self {
        match (is_writable, is_hung_up, has_error) {
            (_, true, _) | (true, _, true) => Self::Ended,
            (true, false, false) => Self::Accepted,
            (false, false, _) => Self::Pending,
        }
    }

    /// Polls the socket, which does not change its state.
    fn poll(socket: impl AsFd) -> Self {
        let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        if retry_on_intr(|| rustix::event::poll(&mut polled, Some(&at_once))).is_err() {
            return Self::Ended;
        }
        let flags = polled[0].revents();
        let [out, hup, err] = [PollFlags::OUT, PollFlags::HUP, PollFlags::ERR];
        Self::from_flags(flags.contains(out), flags.contains(hup), flags.contains(err))
    }
}

/// Returns the state of a connection that has begun. A connection with unread bytes counts as accepted,
/// and reading finds its end after them; connect(2) would discard them.
pub(super) fn poll(socket: impl AsFd, endpoint: SocketAddr, polled: Option<Polled>) -> Connection {
    match polled.unwrap_or_else(|| Polled::poll(&socket)) {
        Polled::Pending => Connection::Pending,
        Polled::Accepted => accepted(socket, endpoint),
        Polled::Ended => match rustix::io::ioctl_fionread(&socket) {
            Ok(1..) => accepted(socket, endpoint),
            _ => connect(socket, endpoint),
        },
    }
}

/// Begins to connect, or returns the state of a connection that has begun: calling connect(2) again
/// returns the result. After an error the socket is unconnected and its received bytes are lost.
pub(super) fn connect(socket: impl AsFd, endpoint: SocketAddr) -> Connection {
    loop {
        return match rustix::net::connect(socket.as_fd(), &endpoint) {
            Ok(()) | Err(Errno::ISCONN) => accepted(socket, endpoint),
            Err(Errno::INPROGRESS | Errno::ALREADY) => Connection::Pending,
            Err(Errno::INTR) => continue,
            // The kernel returns the same error for an address without a route and for exhausted
            // local ports; only ports become free again.
            Err(Errno::ADDRNOTAVAIL) if has_no_source(endpoint) => {
                Connection::Failed(Errno::NETUNREACH)
            }
            Err(errno) => Connection::Failed(errno),
        };
    }
}

/// Handles a connection that was accepted. A socket that is connected to itself proves that nothing
/// listens.
fn accepted(socket: impl AsFd, endpoint: SocketAddr) -> Connection {
    if LOCAL_PORTS.contains(&endpoint.port()) && is_itself(&socket, endpoint) {
        let _ = disconnect(&socket);
        return Connection::Failed(Errno::CONNREFUSED);
    }
    error_queue::disable(&socket, endpoint);
    Connection::Accepted
}

/// Abandons a connection, so that its socket can be reused. A peer that has accepted it gets a reset.
/// Returns false if the system can't do that, as gVisor: the socket must be closed.
pub(super) fn disconnect(socket: impl AsFd) -> bool {
    retry_on_intr(|| rustix::net::connect_unspec(&socket)).is_ok()
}

/// Returns whether the socket is connected to itself. TCP allows that (RFC 9293 §3.5, simultaneous
/// open) when the kernel chooses the target's port as local port; it proves that nothing listens there.
fn is_itself(socket: impl AsFd, endpoint: SocketAddr) -> bool {
    let Ok(local) = rustix::net::getsockname(&socket).and_then(SocketAddr::try_from) else {
        return false;
    };
    // A connection to the unspecified address reaches this machine by one of its addresses.
    local.port() == endpoint.port()
        && (local.ip() == endpoint.ip() || endpoint.ip().is_unspecified())
}

/// Returns whether this machine has no source address to reach the endpoint from. Connecting a UDP
/// socket makes the same routing decision and sends nothing.
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

/// Returns how often the kernel has repeated the SYN of a connection that was accepted, and has sent
/// nothing since; `None` if it does not say.
#[expect(unsafe_code, reason = "no safe function reads the socket option TCP_INFO")]
pub(super) fn syns_repeated(socket: impl AsFd) -> Option<u8> {
    // SAFETY: the structure consists of integers, for which all bits zero are valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `length` bytes, the size of the structure that the pointer leads
    // to, and the descriptor is open while `socket` is borrowed.
    let result = unsafe {
        libc::getsockopt(
            descriptor,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    let is_known = result == 0
        && length as usize >= std::mem::offset_of!(libc::tcp_info, tcpi_total_retrans) + 4;
    is_known.then(|| u8::try_from(info.tcpi_total_retrans).unwrap_or(u8::MAX))
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
    fn flags_of_a_poller_are_interpreted() {
        assert_eq!(Polled::from_flags(false, false, false), Polled::Pending);
        // An ICMP message was queued while the kernel used the socket.
        assert_eq!(Polled::from_flags(false, false, true), Polled::Pending);
        assert_eq!(Polled::from_flags(true, false, false), Polled::Accepted);
        assert_eq!(Polled::from_flags(true, true, true), Polled::Ended);
        assert_eq!(Polled::from_flags(false, true, false), Polled::Ended);
    }

    #[test]
    fn range_of_local_ports_is_parsed() {
        assert_eq!(local_ports("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(local_ports("32768"), None);
        assert_eq!(local_ports("1 70000"), None);
    }
}
