//! The meaning of error numbers, by the phase of the attempt.

use rustix::io::Errno;

use crate::outcome::{Conclusion, Fault, PortState, Reason};

/// The phase of an attempt in which a system call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Opening the socket, or the first connect(2): the error can't come from the network.
    Start,
    /// The connection was pending: the error comes from the network.
    Pending,
    /// The connection had been accepted.
    Conversation,
}

/// The meaning of an error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// This machine lacks a resource.
    Fault(Fault),
    /// The endpoint has this state.
    State(PortState, Reason),
    /// The server ended a connection that it had accepted.
    HungUp,
}

/// Returns the meaning of an error number. No other code interprets one.
///
/// Linux turns an ICMP refusal of a pending connection into an error number (`icmp_err_convert`
/// and `icmpv6_err_convert` in its source). The same number from the first connect(2) comes from this
/// system's own routing.
pub(crate) fn meaning(phase: Phase, errno: Errno) -> Meaning {
    if let Some(fault) = fault(phase, errno) {
        return Meaning::Fault(fault);
    }
    match phase {
        Phase::Start => at_start(errno),
        Phase::Pending => while_pending(errno),
        Phase::Conversation => Meaning::HungUp,
    }
}

fn fault(phase: Phase, errno: Errno) -> Option<Fault> {
    match errno {
        Errno::MFILE => Some(Fault::ProcessDescriptors),
        Errno::NFILE => Some(Fault::SystemDescriptors),
        Errno::NOBUFS => Some(Fault::Buffers),
        Errno::NOMEM => Some(Fault::Memory),
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE | Errno::AGAIN => Some(Fault::LocalPorts),
        Errno::NOSPC if phase == Phase::Start => Some(Fault::Watches),
        _ => None,
    }
}

fn at_start(errno: Errno) -> Meaning {
    let reason = match errno {
        Errno::CONNRESET | Errno::PIPE => return Meaning::HungUp,
        // EINVAL comes from a route of the type blackhole.
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::INVAL => Reason::NoRoute,
        // The first call does not wait for an answer, so a filter or policy of this machine refuses
        // (SELinux returns these).
        Errno::PERM | Errno::ACCESS | Errno::CONNREFUSED => Reason::NotPermitted,
        Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT => Reason::NoAddressFamily,
        other => Reason::errno(other),
    };
    Meaning::State(PortState::Unchecked, reason)
}

fn while_pending(errno: Errno) -> Meaning {
    let reason = match errno {
        Errno::CONNREFUSED => return Meaning::State(PortState::Closed, Reason::Refused),
        // A refused SYN is always ECONNREFUSED; these come after the handshake.
        Errno::CONNRESET | Errno::PIPE => return Meaning::HungUp,
        Errno::TIMEDOUT => Reason::NoAnswer,
        Errno::NETUNREACH | Errno::NONET | Errno::OPNOTSUPP => Reason::NetworkUnreachable,
        Errno::HOSTUNREACH | Errno::HOSTDOWN => Reason::HostUnreachable,
        Errno::NOPROTOOPT | Errno::PROTO => Reason::ProtocolUnreachable,
        Errno::ACCESS | Errno::PERM => Reason::Prohibited,
        Errno::NETDOWN => return Meaning::State(PortState::Unchecked, Reason::NoRoute),
        // An unknown error proves nothing about the endpoint.
        other => return Meaning::State(PortState::Unchecked, Reason::errno(other)),
    };
    Meaning::State(PortState::Filtered, reason)
}

/// Returns what this machine is short of if a socket can't be opened with this error.
pub(crate) fn shortage(errno: Errno) -> Option<Fault> {
    fault(Phase::Start, errno)
}

/// Withdraws a refusal that may have been ICMP's, because the error queue could not be read.
pub(crate) fn withdraw_refusal(conclusion: &mut Conclusion, errno: Errno) {
    let Conclusion::Verdict(verdict) = conclusion else { return };
    if verdict.reason != Reason::Refused {
        return;
    }
    match meaning(Phase::Start, errno) {
        Meaning::Fault(fault) => *conclusion = Conclusion::Fault(fault),
        Meaning::State(..) | Meaning::HungUp => {
            (verdict.state, verdict.reason) = (PortState::Unchecked, Reason::UnknownRefusal);
        }
    }
}

/// Returns the state and reason when an ICMP error ended a pending connection.
pub(super) fn by_icmp(errno: Errno) -> (PortState, Reason) {
    match while_pending(errno) {
        // A firewall may have sent it as well as the host.
        Meaning::State(PortState::Closed, _) => (PortState::Filtered, Reason::IcmpPortUnreachable),
        Meaning::State(state, reason) => (state, reason),
        Meaning::Fault(_) | Meaning::HungUp => (PortState::Unchecked, Reason::errno(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        use Meaning::{Fault as F, HungUp, State as S};
        use PortState::{Closed, Filtered, Unchecked};

        let plain = Reason::errno;
        #[rustfmt::skip]
        let table = [
            //               at the start                             while pending                                  in conversation
            (Errno::MFILE,        F(Fault::ProcessDescriptors),             F(Fault::ProcessDescriptors),              F(Fault::ProcessDescriptors)),
            (Errno::NFILE,        F(Fault::SystemDescriptors),              F(Fault::SystemDescriptors),               F(Fault::SystemDescriptors)),
            (Errno::NOBUFS,       F(Fault::Buffers),                        F(Fault::Buffers),                         F(Fault::Buffers)),
            (Errno::NOMEM,        F(Fault::Memory),                         F(Fault::Memory),                          F(Fault::Memory)),
            (Errno::ADDRNOTAVAIL, F(Fault::LocalPorts),                     F(Fault::LocalPorts),                      F(Fault::LocalPorts)),
            (Errno::ADDRINUSE,    F(Fault::LocalPorts),                     F(Fault::LocalPorts),                      F(Fault::LocalPorts)),
            (Errno::AGAIN,        F(Fault::LocalPorts),                     F(Fault::LocalPorts),                      F(Fault::LocalPorts)),
            (Errno::NOSPC,        F(Fault::Watches),                        S(Unchecked, plain(Errno::NOSPC)),         HungUp),
            (Errno::CONNREFUSED,  S(Unchecked, Reason::NotPermitted),       S(Closed, Reason::Refused),                HungUp),
            (Errno::CONNRESET,    HungUp,                                   HungUp,                                    HungUp),
            (Errno::PIPE,         HungUp,                                   HungUp,                                    HungUp),
            // This system itself ended the connection attempt (sock_diag(7), SOCK_DESTROY).
            (Errno::CONNABORTED,  S(Unchecked, plain(Errno::CONNABORTED)),  S(Unchecked, plain(Errno::CONNABORTED)),   HungUp),
            (Errno::TIMEDOUT,     S(Unchecked, plain(Errno::TIMEDOUT)),     S(Filtered, Reason::NoAnswer),             HungUp),
            (Errno::NETUNREACH,   S(Unchecked, Reason::NoRoute),            S(Filtered, Reason::NetworkUnreachable),   HungUp),
            (Errno::NONET,        S(Unchecked, plain(Errno::NONET)),        S(Filtered, Reason::NetworkUnreachable),   HungUp),
            (Errno::HOSTUNREACH,  S(Unchecked, Reason::NoRoute),            S(Filtered, Reason::HostUnreachable),      HungUp),
            (Errno::HOSTDOWN,     S(Unchecked, plain(Errno::HOSTDOWN)),     S(Filtered, Reason::HostUnreachable),      HungUp),
            (Errno::NOPROTOOPT,   S(Unchecked, plain(Errno::NOPROTOOPT)),   S(Filtered, Reason::ProtocolUnreachable),  HungUp),
            (Errno::PROTO,        S(Unchecked, plain(Errno::PROTO)),        S(Filtered, Reason::ProtocolUnreachable),  HungUp),
            (Errno::ACCESS,       S(Unchecked, Reason::NotPermitted),       S(Filtered, Reason::Prohibited),           HungUp),
            (Errno::PERM,         S(Unchecked, Reason::NotPermitted),       S(Filtered, Reason::Prohibited),           HungUp),
            (Errno::NETDOWN,      S(Unchecked, Reason::NoRoute),            S(Unchecked, Reason::NoRoute),             HungUp),
            (Errno::INVAL,        S(Unchecked, Reason::NoRoute),            S(Unchecked, plain(Errno::INVAL)),         HungUp),
            (Errno::AFNOSUPPORT,  S(Unchecked, Reason::NoAddressFamily),    S(Unchecked, plain(Errno::AFNOSUPPORT)),   HungUp),
            (Errno::DOM,          S(Unchecked, plain(Errno::DOM)),          S(Unchecked, plain(Errno::DOM)),           HungUp),
        ];
        for (errno, start, pending, conversation) in table {
            assert_eq!(meaning(Phase::Start, errno), start, "{errno:?} at the start");
            assert_eq!(meaning(Phase::Pending, errno), pending, "{errno:?} while pending");
            assert_eq!(
                meaning(Phase::Conversation, errno),
                conversation,
                "{errno:?} in conversation"
            );
        }
    }

    #[test]
    fn icmp_refusal_is_never_closed() {
        let filtered = |reason| (PortState::Filtered, reason);
        assert_eq!(by_icmp(Errno::CONNREFUSED), filtered(Reason::IcmpPortUnreachable));
        assert_eq!(by_icmp(Errno::HOSTUNREACH), filtered(Reason::HostUnreachable));
        assert_eq!(by_icmp(Errno::NETUNREACH), filtered(Reason::NetworkUnreachable));
        assert_eq!(by_icmp(Errno::ACCESS), filtered(Reason::Prohibited));
        assert_eq!(by_icmp(Errno::CONNRESET).0, PortState::Unchecked);
    }
}
