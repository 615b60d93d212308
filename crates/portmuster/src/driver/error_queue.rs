//! What ICMP says of a socket's connections: the socket's error queue (recvmsg(2), `MSG_ERRQUEUE`).
//!
//! Linux 5.8 and later queue what ICMP says of a pending TCP connection, IPv6 only where it is
//! asked to. The messages stay there until they are read, also when the socket connects elsewhere,
//! and until then the socket always has an error to tell. An error number alone does not tell an
//! ICMP refusal from a reset: both are `ECONNREFUSED`.

use std::{
    fs,
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd},
    sync::LazyLock,
};

use nix::{
    libc::{self, sock_extended_err},
    sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt},
};
use rustix::io::Errno;

use super::net::{IcmpError, Socket};

/// Messages read from one queue at a time, so that reading has an end.
const MESSAGES_MAX: usize = 256;

/// Refusals of one socket after which its queue is read at the latest.
const UNREAD_MAX: u8 = 16;

/// Pages of a queue that one message takes at most: network cards receive into one, and the system
/// adds what it knows of the message.
const PAGES: usize = 2;

/// Refusals of one socket whose messages its queue certainly has room for. The queue is bounded by
/// the receive buffer; the size that it starts with is the second of three (tcp(7), `tcp_rmem`).
pub(super) static UNREAD: LazyLock<u8> = LazyLock::new(|| {
    let said = fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap_or_default();
    unread(&said, rustix::param::page_size())
});

fn unread(said: &str, page: usize) -> u8 {
    let buffer: usize = said.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    u8::try_from(buffer / (PAGES * page)).unwrap_or(u8::MAX).clamp(1, UNREAD_MAX)
}

/// Has the system queue what ICMP says of pending connections, or no longer. IPv4 queues it in any
/// case, IPv6 where it is asked to. Where that was asked, ICMP also ends connections that were
/// accepted, which is nothing that a conversation should end of: so it is asked only until the
/// accept.
pub(super) fn ask(socket: impl AsFd, family: SocketAddr, wanted: bool) {
    if family.is_ipv6() {
        // A system that has no queues leaves them empty.
        let _ = setsockopt(&socket, sockopt::Ipv6RecvErr, &wanted);
    }
}

/// Empties the queue; adds what ICMP has said.
pub(super) fn read(descriptor: impl AsFd, socket: Socket, told: &mut Vec<IcmpError>) {
    let descriptor = descriptor.as_fd().as_raw_fd();
    for _ in 0..MESSAGES_MAX {
        let mut control = nix::cmsg_space!(sock_extended_err, libc::sockaddr_in6);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            match recvmsg::<SockaddrStorage>(descriptor, &mut [], Some(&mut control), flags) {
                Ok(message) => message,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return,
            };
        let endpoint = message.address.as_ref().and_then(endpoint);
        let errno = message.cmsgs().ok().and_then(|mut parts| parts.find_map(|part| icmp(&part)));
        if let (Some(endpoint), Some(errno)) = (endpoint, errno) {
            told.push(IcmpError { socket, endpoint, errno });
        }
    }
}

fn endpoint(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|it| SocketAddrV4::from(*it).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|it| SocketAddrV6::from(*it).into()))
}

/// The error number, where the message is one of ICMP.
fn icmp(part: &ControlMessageOwned) -> Option<Errno> {
    let (ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _)) =
        part
    else {
        return None;
    };
    let is_icmp = matches!(error.ee_origin, libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6);
    is_icmp.then(|| Errno::from_raw_os_error(i32::try_from(error.ee_errno).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_left_unread_as_far_as_the_queue_has_room() {
        assert_eq!(unread("4096\t131072\t6291456\n", 4096), 16);
        assert_eq!(unread("4096 65536 6291456", 4096), 8);
        assert_eq!(unread("4096 131072 6291456", 65536), 1);
        assert_eq!(unread("4096 4096 4096", 4096), 1);
        assert_eq!(unread("", 4096), 1);
    }
}
