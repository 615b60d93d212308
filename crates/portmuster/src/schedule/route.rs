//! The route of connections: straight to their endpoints, or through a proxy.

use std::net::{IpAddr, Ipv6Addr};

use twox_hash::XxHash3_128;

/// The prefix of addresses that no host has (RFC 6666), from which stand-ins are taken.
const DISCARD_ONLY: u128 = 0x0100 << 112;

/// The route of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Route {
    /// To their endpoints.
    #[default]
    Direct,
    /// Through a proxy: what this system counts is about the way to the proxy.
    Proxy,
    /// Through a proxy, which also looks names up. A name is one endpoint, with a [stand-in](stand_in)
    /// for its address.
    ProxyWithNames,
}

/// Returns an address that stands for a host whose name the proxy looks up. The limits of a host apply
/// to it, and nothing connects to it. Names with the same hash share it.
pub(super) fn stand_in(name: &str) -> IpAddr {
    let hash = XxHash3_128::oneshot(name.as_bytes()) & u128::from(u64::MAX);
    Ipv6Addr::from_bits(DISCARD_ONLY | hash).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_addresses_that_no_host_has() {
        let (one, other) = (stand_in("a.example"), stand_in("b.example"));
        assert_ne!(one, other);
        for address in [one, other] {
            let IpAddr::V6(address) = address else { panic!("it is IPv6") };
            assert_eq!(address.segments()[..4], [0x100, 0, 0, 0], "{address}");
        }
    }
}
