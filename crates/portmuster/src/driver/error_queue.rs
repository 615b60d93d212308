//! A socket's error queue, which holds ICMP errors about its connections (recvmsg(2),
//! `MSG_ERRQUEUE`).
//!
//! Linux 5.8 and later queue ICMP errors about a pending TCP connection, for IPv6 only if the option
//! `IPV6_RECVERR` is set. Messages stay in the queue until they are read, even when the socket
//! connects elsewhere, and until then every poll reports an error. The error number of a connection
//! does not tell an ICMP refusal from a reset: both are `ECONNREFUSED`.

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

use super::net::{IcmpError, IcmpErrors, Socket};

/// The most messages to read from a queue at a time.
const MESSAGES_MAX: usize = 256;

/// The most refusals of one socket before its queue is read.
const UNREAD_MAX: u8 = 16;

/// The most pages that one message takes: network cards receive into one page, and the kernel adds its
/// metadata.
const PAGES: usize = 2;

/// A lower bound on how many messages a socket's error queue can hold. The receive buffer limits the
/// queue, and its default size is the second value of `tcp_rmem` (tcp(7)).
pub(super) static UNREAD: LazyLock<u8> = LazyLock::new(|| {
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap_or_default();
    unread(&text, rustix::param::page_size())
});

fn unread(text: &str, page: usize) -> u8 {
    let buffer: usize = text.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    u8::try_from(buffer / (PAGES * page)).unwrap_or(u8::MAX).clamp(1, UNREAD_MAX)
}

/// Makes the kernel queue ICMP errors about pending connections. It does so for IPv4 in any case.
///
/// # Errors
/// The kernel has error queues and refuses to enable them.
pub(super) fn enable(socket: impl AsFd, endpoint: SocketAddr) -> Result<(), Errno> {
    if endpoint.is_ipv4() {
        return Ok(());
    }
    match setsockopt(&socket, sockopt::Ipv6RecvErr, &true).map_err(errno) {
        Err(errno) if !is_missing(errno) => Err(errno),
        _ => Ok(()),
    }
}

/// Stops what [`enable`] began. While it is enabled, ICMP also ends accepted connections, which must
/// not end a conversation.
pub(super) fn disable(socket: impl AsFd, endpoint: SocketAddr) {
    if endpoint.is_ipv6() {
        let _ = setsockopt(&socket, sockopt::Ipv6RecvErr, &false);
    }
}

/// Returns whether the error means that this system has no error queues. Other errors may come from a
/// sandbox that denies access to them.
fn is_missing(errno: Errno) -> bool {
    errno == Errno::OPNOTSUPP
}

fn errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

/// Empties the socket's queue and adds its ICMP errors to `icmp`.
pub(super) fn read(descriptor: impl AsFd, socket: Socket, icmp: &mut IcmpErrors) {
    let descriptor = descriptor.as_fd().as_raw_fd();
    for _ in 0..MESSAGES_MAX {
        let mut control = nix::cmsg_space!(sock_extended_err, libc::sockaddr_in6);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            match recvmsg::<SockaddrStorage>(descriptor, &mut [], Some(&mut control), flags) {
                Ok(message) => message,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(nix::errno::Errno::EAGAIN) => return,
                Err(error) => {
                    let errno = errno(error);
                    if !is_missing(errno) {
                        icmp.unreadable = Some(errno);
                    }
                    return;
                }
            };
        let endpoint = message.address.as_ref().and_then(endpoint);
        let errno =
            message.cmsgs().ok().and_then(|mut parts| parts.find_map(|part| icmp_errno(&part)));
        if let (Some(endpoint), Some(errno)) = (endpoint, errno) {
            icmp.errors.push(IcmpError { socket, endpoint, errno });
        }
    }
}

fn endpoint(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|it| SocketAddrV4::from(*it).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|it| SocketAddrV6::from(*it).into()))
}

/// Returns the error number if the message is an ICMP error.
fn icmp_errno(part: &ControlMessageOwned) -> Option<Errno> {
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
    fn messages_stay_unread_only_while_the_queue_has_room() {
        assert_eq!(unread("4096\t131072\t6291456\n", 4096), 16);
        assert_eq!(unread("4096 65536 6291456", 4096), 8);
        assert_eq!(unread("4096 131072 6291456", 65536), 1);
        assert_eq!(unread("4096 4096 4096", 4096), 1);
        assert_eq!(unread("", 4096), 1);
    }
}
