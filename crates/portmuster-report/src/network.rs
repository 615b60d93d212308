//! The networks by which targets are grouped.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::collect::HostKey;

/// A network, or the domain of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum NetworkKey {
    V4(Ipv4Addr, u8),
    /// The first 64 bits of an address.
    V6(Ipv6Addr),
    Domain(String),
}

impl NetworkKey {
    /// Returns the network of a host. `is_coarse`: of IPv4 a /16 instead of a /24.
    pub(crate) fn new(host: &HostKey, is_coarse: bool) -> Self {
        match host {
            HostKey::V4(address) => {
                let prefix = if is_coarse { 16 } else { 24 };
                let mask = u32::MAX << (32 - prefix);
                Self::V4((u32::from(*address) & mask).into(), prefix)
            }
            HostKey::V6(address) => Self::V6((u128::from(*address) >> 64 << 64).into()),
            HostKey::Name(named) => Self::Domain(domain(&named.0)),
        }
    }

    /// Returns the network as text.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::V4(address, prefix) => format!("{address}/{prefix}"),
            Self::V6(address) => format!("{address}/64"),
            Self::Domain(domain) => domain.clone(),
        }
    }
}

/// Returns the last two labels of a name with a dot before them, or the name itself.
fn domain(name: &str) -> String {
    let name = name.trim_end_matches('.');
    match name.rmatch_indices('.').nth(1) {
        Some((at, _)) => format!("*{}", &name[at..]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn networks_of_addresses_and_names() {
        let text = |host: &str, is_coarse| {
            let host = match host.parse() {
                Ok(IpAddr::V4(address)) => HostKey::V4(address),
                Ok(IpAddr::V6(address)) => HostKey::V6(address),
                Err(_) => HostKey::Name(Box::new((host.to_owned(), None))),
            };
            NetworkKey::new(&host, is_coarse).to_text()
        };
        assert_eq!(text("10.1.2.3", false), "10.1.2.0/24");
        assert_eq!(text("10.1.2.3", true), "10.1.0.0/16");
        assert_eq!(text("2001:db8::5:1:2:3", false), "2001:db8::/64");
        assert_eq!(text("a.b.example.org", false), "*.example.org");
        assert_eq!(text("example.org", false), "example.org");
        assert_eq!(text("localhost", false), "localhost");
    }
}
