//! What to check.
//!
//! A [`Target`] is one host and one port, as the user named them. A [`TargetSet`] is any number
//! of them, written as people write them; ranges in it are never expanded. [`Lines`] reads
//! items by lines from a file or a stream, [`Entries`] also what other programs write.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

mod formats;
mod grammar;
mod labels;
mod lines;
mod order;
mod pieces;
mod ports;
pub(crate) mod region;
mod set;

pub use formats::{
    Column, Columns, ColumnsError, Entries, InputFormat, InputOptions, PassedOver,
    UnknownInputFormat,
};
pub use grammar::{ItemError, ItemErrorKind};
pub use labels::LabelError;
pub use lines::{LINE_MAX, LineError, LineErrorKind, LineRule, Lines};
pub use order::WALK;
pub use ports::{Ports, PortsError};
pub(crate) use region::{Family, same_name};
pub use set::{Excludes, Order, Shard, Skipped, TargetSet, Targets};

/// Where a target is: an address, or a name that the system's resolver is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// Anything else. It need not be a name that can exist: then its outcome is `unresolved`.
    Name(Arc<str>),
}

impl From<&str> for Host {
    /// An address if it reads as one (an IPv6 address also in brackets), else a name.
    fn from(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match bare.unwrap_or(text).parse() {
            Ok(address @ IpAddr::V6(_)) => Self::Address(address),
            Ok(address) if bare.is_none() => Self::Address(address),
            _ => Self::Name(text.into()),
        }
    }
}

impl From<String> for Host {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<Ipv4Addr> for Host {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address.into())
    }
}

impl From<Ipv6Addr> for Host {
    fn from(address: Ipv6Addr) -> Self {
        Self::Address(address.into())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
        }
    }
}

/// One host and one port to check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Where.
    pub host: Host,
    /// Which port. Port 0 can't be connected to: its outcome is `unchecked`.
    pub port: u16,
    /// What the user calls it; it goes into the row.
    pub label: Option<Arc<str>>,
}

impl<H: Into<Host>> From<(H, u16)> for Target {
    fn from((host, port): (H, u16)) -> Self {
        Self { host: host.into(), port, label: None }
    }
}

impl From<SocketAddr> for Target {
    /// The flow label and the scope of an IPv6 address are not kept.
    fn from(endpoint: SocketAddr) -> Self {
        Self::from((endpoint.ip(), endpoint.port()))
    }
}

impl fmt::Display for Target {
    /// `host:port`, or `[host]:port` where the host has colons.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        match host {
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]:{port}"),
            Host::Name(name) if name.contains(':') => write!(formatter, "[{name}]:{port}"),
            _ => write!(formatter, "{host}:{port}"),
        }
    }
}

/// An IPv6 address with a zone (RFC 4007 §11), as in `fe80::1%eth0`; the resolver reads it.
fn is_zoned(text: &str) -> bool {
    text.split_once('%').is_some_and(|(address, zone)| {
        address.parse::<Ipv6Addr>().is_ok()
            && !zone.is_empty()
            && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name() {
        assert_eq!(Host::from("10.0.0.5"), Host::Address([10, 0, 0, 5].into()));
        assert_eq!(Host::from("[::1]"), Host::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(Host::from("::1"), Host::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(Host::from("db.example"), Host::Name("db.example".into()));
    }

    #[test]
    fn targets_are_shown_as_they_are_written() {
        for text in ["10.0.0.5:22", "[2001:db8::1]:23", "db.example:22", "[fe80::1%lo]:22"] {
            let (host, port) = text.rsplit_once(':').expect("a port");
            let host = host.trim_matches(['[', ']']);
            let target = Target::from((host, port.parse().expect("a number")));
            assert_eq!(target.to_string(), text);
        }
    }
}
