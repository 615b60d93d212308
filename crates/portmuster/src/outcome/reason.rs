//! The reason for a port state.

use std::{borrow::Cow, fmt, str::FromStr};

use rustix::io::Errno;

use super::fault::Fault;
use crate::named_enum::{UnknownName, named_enum};

named_enum! {
    /// The reason for the [state](super::PortState) of a target.
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Reason {
        /// Open: the connection was accepted.
        Accepted = "accepted",
        /// Closed: the connection was refused, by a TCP reset as far as this system can tell.
        Refused = "refused",
        /// Closed: every address of the name that was tried refused the connection, and at least
        /// one was not tried because it is excluded, unreachable from this system, or unknown.
        RefusedInPart = "refused-in-part",
        /// Filtered: nothing answered before the timeout.
        NoAnswer = "no-answer",
        /// Filtered: ICMP reports that the network is unreachable.
        NetworkUnreachable = "network-unreachable",
        /// Filtered: ICMP reports that the host is unreachable, or neighbour discovery (ARP, NDP)
        /// failed.
        HostUnreachable = "host-unreachable",
        /// Filtered: ICMP reports that the protocol is unreachable.
        ProtocolUnreachable = "protocol-unreachable",
        /// Filtered: ICMP reports that the connection is administratively prohibited.
        Prohibited = "prohibited",
        /// Filtered: ICMP reports that the port is unreachable; the sender may be a firewall or the
        /// host.
        IcmpPortUnreachable = "icmp-port-unreachable",
        /// Unresolved: the name does not exist or has no address.
        NoSuchName = "no-such-name",
        /// Unchecked: the resolver gave no answer at all, or none for IPv4 or for IPv6.
        LookupFailed = "lookup-failed",
        /// Unchecked: the name has more addresses than the configured limit.
        TooManyAddresses = "too-many-addresses",
        /// Unchecked: `0.0.0.0` and `::` are not addresses of a host (RFC 1122 §3.2.1.3, RFC 4291
        /// §2.5.2); a connection to them would reach this machine. Filtering resolvers return them
        /// for names that they block.
        UnspecifiedAddress = "unspecified-address",
        /// Unchecked: this machine has no interface with the zone name after the `%` of the address
        /// (RFC 4007 §11), or an address of this kind takes no zone; none does through a proxy.
        NoSuchInterface = "no-such-interface",
        /// Unchecked: this system has no route to the address, or a rejecting route.
        NoRoute = "no-route",
        /// Unchecked: this system does not permit the connection.
        NotPermitted = "not-permitted",
        /// Unchecked: this system does not support the address family.
        NoAddressFamily = "no-address-family",
        /// Unchecked: a connection to port 0 is not possible.
        PortZero = "port-zero",
        /// Unchecked: the host or an ICMP message refused the connection, and this system does not say
        /// which.
        UnknownRefusal = "unknown-refusal",
        /// Unchecked: the time limit of the host had passed before the target was started.
        HostTimeout = "host-timeout",
        /// Unchecked: this machine could not start the run.
        NotStarted = "not-started",
        /// Unchecked: three worker processes died while this target was the only one they were
        /// checking.
        KillsWorkers = "kills-workers",
        /// Unchecked: no worker process can be started any more.
        NoWorkers = "no-workers",
        /// Closed: the proxy reports that the connection was refused.
        RefusedToProxy = "refused-to-proxy",
        /// Filtered: the proxy reports that the network or the host is unreachable, or that packets do
        /// not reach it (RFC 1928 §6, replies 3, 4 and 6).
        UnreachableFromProxy = "unreachable-from-proxy",
        /// Unchecked: the proxy could not be connected to, or did not answer.
        ProxyUnreachable = "proxy-unreachable",
        /// Unchecked: the proxy requires another login than this run has.
        ProxyLogin = "proxy-login",
        /// Unchecked: the proxy does not permit the connection.
        ProxyDenied = "proxy-denied",
        /// Unchecked: the proxy reported a failure of its own, hung up before its reply, or sent
        /// something other than SOCKS5. `ssh -D` hangs up whatever the reason is.
        ProxyFailed = "proxy-failed",
        ;
        /// Unchecked: this machine was short of a resource for longer than attempts are retried.
        Fault(Fault),
        /// An error number without a rule of its own; the phase of the attempt decides on the
        /// state.
        Errno(i32),
    }
}

impl Reason {
    /// Returns the reason for an error number without a rule of its own.
    pub(crate) fn errno(errno: Errno) -> Self {
        Self::Errno(errno.raw_os_error())
    }

    /// Returns the reasons that have names, which are all but the error numbers.
    pub fn known() -> impl Iterator<Item = Self> {
        let fixed = Self::FIXED.into_iter().map(|(reason, _)| reason);
        fixed.chain(Fault::ALL.map(Self::Fault))
    }

    /// Returns what the reason means, with the state that it is a reason for, as plain text of one line.
    ///
    /// ```
    /// let meaning = portmuster::Reason::Accepted.meaning();
    /// assert_eq!(meaning, "Open: the connection was accepted.");
    /// ```
    #[must_use]
    pub fn meaning(self) -> String {
        match self {
            Self::Fault(fault) => format!("{} {}", self.documentation(), fault.meaning()),
            _ => self.documentation(),
        }
    }

    /// Returns the name of the reason in rows; an error number is `errno-N`.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Fault(fault) => fault.name().into(),
            Self::Errno(number) => format!("errno-{number}").into(),
            _ => self.fixed_name().unwrap_or_default().into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.name())
    }
}

impl FromStr for Reason {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        if let Some((reason, _)) = Self::FIXED.into_iter().find(|&(_, fixed)| fixed == name) {
            return Ok(reason);
        }
        let number = || name.strip_prefix("errno-")?.parse().ok();
        let with_data = name.parse().map(Self::Fault).ok().or_else(|| number().map(Self::Errno));
        with_data.ok_or_else(|| {
            let fixed = Self::FIXED.into_iter().map(|(_, fixed)| fixed);
            let all = fixed.chain(Fault::ALL.map(Fault::name)).chain(["errno-N"]);
            UnknownName::new("reason", name, all)
        })
    }
}
