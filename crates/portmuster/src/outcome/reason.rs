//! The reason for a port state.

use std::fmt;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// The reason for the [state](super::PortState) of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// Open: the connection was accepted.
    Accepted,
    /// Closed: the connection was refused, by a TCP reset as far as this system can tell.
    Refused,
    /// Closed: every address of the name that was tried refused the connection, and at least one was
    /// not tried because it is excluded, unreachable from this system, or unknown.
    RefusedInPart,
    /// Filtered: nothing answered before the timeout.
    NoAnswer,
    /// Filtered: ICMP reports that the network is unreachable.
    NetworkUnreachable,
    /// Filtered: ICMP reports that the host is unreachable, or neighbour discovery (ARP, NDP) failed.
    HostUnreachable,
    /// Filtered: ICMP reports that the protocol is unreachable.
    ProtocolUnreachable,
    /// Filtered: ICMP reports that the connection is administratively prohibited.
    Prohibited,
    /// Filtered: ICMP reports that the port is unreachable; the sender may be a firewall or the host.
    IcmpPortUnreachable,
    /// Unresolved: the name does not exist or has no address.
    NoSuchName,
    /// Unchecked: the resolver gave no answer at all, or none for IPv4 or for IPv6.
    LookupFailed,
    /// Unchecked: the name has more addresses than the configured limit.
    TooManyAddresses,
    /// Unchecked: `0.0.0.0` and `::` are not addresses of a host (RFC 1122 §3.2.1.3, RFC 4291
    /// §2.5.2); a connection to them would reach this machine. Filtering resolvers return them for
    /// names that they block.
    UnspecifiedAddress,
    /// Unchecked: this machine has no interface with the zone name after the `%` of the address
    /// (RFC 4007 §11), or an address of this kind takes no zone.
    NoSuchInterface,
    /// Unchecked: this system has no route to the address, or a rejecting route.
    NoRoute,
    /// Unchecked: this system does not permit the connection.
    NotPermitted,
    /// Unchecked: this system does not support the address family.
    NoAddressFamily,
    /// Unchecked: a connection to port 0 is not possible.
    PortZero,
    /// Unchecked: the time limit of the host had passed before the target was started.
    HostTimeout,
    /// Unchecked: this machine could not start the run.
    NotStarted,
    /// Unchecked: three worker processes died while this target was the only one they were checking.
    KillsWorkers,
    /// Unchecked: no worker process can be started any more.
    NoWorkers,
    /// Unchecked: this machine was short of a resource for longer than attempts are retried.
    Fault(Fault),
    /// An error number without a rule of its own; the phase of the attempt decides on the state.
    Errno(i32),
}

impl Reason {
    /// The reason for an error number without a rule of its own.
    pub(crate) fn errno(errno: Errno) -> Self {
        Self::Errno(errno.raw_os_error())
    }

    /// Returns the name of the reason in rows; an unknown error number is `errno-N`.
    #[must_use]
    pub fn name(self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Accepted => "accepted".into(),
            Self::Refused => "refused".into(),
            Self::RefusedInPart => "refused-in-part".into(),
            Self::NoAnswer => "no-answer".into(),
            Self::NetworkUnreachable => "network-unreachable".into(),
            Self::HostUnreachable => "host-unreachable".into(),
            Self::ProtocolUnreachable => "protocol-unreachable".into(),
            Self::Prohibited => "prohibited".into(),
            Self::IcmpPortUnreachable => "icmp-port-unreachable".into(),
            Self::NoSuchName => "no-such-name".into(),
            Self::LookupFailed => "lookup-failed".into(),
            Self::TooManyAddresses => "too-many-addresses".into(),
            Self::UnspecifiedAddress => "unspecified-address".into(),
            Self::NoSuchInterface => "no-such-interface".into(),
            Self::NoRoute => "no-route".into(),
            Self::NotPermitted => "not-permitted".into(),
            Self::NoAddressFamily => "no-address-family".into(),
            Self::PortZero => "port-zero".into(),
            Self::HostTimeout => "host-timeout".into(),
            Self::NotStarted => "not-started".into(),
            Self::KillsWorkers => "kills-workers".into(),
            Self::NoWorkers => "no-workers".into(),
            Self::Fault(fault) => fault.name().into(),
            Self::Errno(number) => format!("errno-{number}").into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.name())
    }
}
