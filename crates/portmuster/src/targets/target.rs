//! A target: one host and one port.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use super::grammar::{self, ItemError, ItemErrorKind, ItemHosts, ParsedItem, excerpt};

/// The host of a target: an address, or a name that the system's resolver looks up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// Any other text. If it is not a valid name, the outcome of its targets is `unresolved`.
    Name(Arc<str>),
}

impl From<&str> for Host {
    /// Parses an address (an IPv6 address may be in brackets); any other text becomes a name.
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
///
/// It is created from its parts or parsed from `host:port`, `[IPv6 address]:port`, or an ssh or telnet
/// URL. Unlike [`Host::from`], the parser refuses a host that is neither an address nor a valid name.
///
/// ```
/// use portmuster::Target;
///
/// let target: Target = "[2001:db8::1]:22".parse()?;
/// assert_eq!(target, Target::new("2001:db8::1", 22));
/// assert_eq!("ssh://db.example".parse::<Target>()?.port, 22);
///
/// let error = "db.example".parse::<Target>().expect_err("no port");
/// assert!(error.to_string().starts_with("column 11: a port is missing: write HOST:PORT"));
/// # Ok::<(), portmuster::targets::ItemError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Target {
    /// The host to connect to.
    pub host: Host,
    /// The TCP port to connect to. The outcome of port 0 is `unchecked`.
    pub port: u16,
    /// The user's label for the target, which the target's row contains.
    pub label: Option<Arc<str>>,
}

impl Target {
    /// Creates a target without a label.
    pub fn new(host: impl Into<Host>, port: u16) -> Self {
        Self { host: host.into(), port, label: None }
    }

    /// Sets the label.
    #[must_use]
    pub fn with_label(self, label: impl Into<Arc<str>>) -> Self {
        Self { label: Some(label.into()), ..self }
    }
}

impl<H: Into<Host>> From<(H, u16)> for Target {
    fn from((host, port): (H, u16)) -> Self {
        Self::new(host, port)
    }
}

impl FromStr for Target {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, ItemError> {
        let ParsedItem { hosts, ports } = grammar::parse(text)?;
        let host = match hosts {
            ItemHosts::Name(name) => Some(Host::Name(name)),
            ItemHosts::Range(range) if range.len() == 1 => range.get(0).map(Host::Address),
            ItemHosts::Range(_) | ItemHosts::Ranges(_) => None,
        };
        let not_single = || ItemError { column: 1, kind: ItemErrorKind::NotSingle(excerpt(text)) };
        let host = host.ok_or_else(not_single)?;
        let Some(ports) = ports else {
            let column = text.chars().count() + 1;
            return Err(ItemError { column, kind: ItemErrorKind::NoPort });
        };
        let port = ports.get(0).filter(|_| ports.len() == 1).ok_or_else(not_single)?;
        Ok(Self::new(host, port))
    }
}

impl From<SocketAddr> for Target {
    /// Converts a socket address. The flow label and the scope of an IPv6 address are discarded.
    fn from(endpoint: SocketAddr) -> Self {
        Self::from((endpoint.ip(), endpoint.port()))
    }
}

impl fmt::Display for Target {
    /// Writes `host:port`, or `[host]:port` if the host contains colons.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        match host {
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]:{port}"),
            Host::Name(name) if name.contains(':') => write!(formatter, "[{name}]:{port}"),
            _ => write!(formatter, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_an_address_or_a_name() {
        assert_eq!(Host::from("10.0.0.5"), Host::Address([10, 0, 0, 5].into()));
        assert_eq!(Host::from("[::1]"), Host::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(Host::from("::1"), Host::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(Host::from("db.example"), Host::Name("db.example".into()));
    }

    #[test]
    fn targets_are_displayed_as_users_write_them() {
        for text in ["10.0.0.5:22", "[2001:db8::1]:23", "db.example:22", "[fe80::1%lo]:22"] {
            let (host, port) = text.rsplit_once(':').expect("a port");
            let host = host.trim_matches(['[', ']']);
            let target = Target::new(host, port.parse().expect("a number"));
            assert_eq!(target.to_string(), text);
            assert_eq!(text.parse(), Ok(target));
        }
    }

    #[test]
    fn texts_other_than_one_host_and_one_port_are_refused() {
        for (text, message) in [
            ("", "column 1: a host is missing"),
            ("10.0.0.5", "column 9: a port is missing: write HOST:PORT"),
            ("2001:db8::1", "column 12: a port is missing: write HOST:PORT"),
            ("10.0.0.0/30:22", "column 1: \"10.0.0.0/30:22\" is not a single target"),
            ("10.0.0.5:22,23", "column 1: \"10.0.0.5:22,23\" is not a single target"),
            ("10.0.0.5:0", "column 10: port 0 is not from 1 to 65535"),
            ("a b:22", "column 2: ' ' is not allowed in a host name"),
            ("[::1:22", "column 1: the bracket is not closed"),
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}
