//! Networks: groups of hosts that share the way to them.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// The most networks that are counted separately.
const NETWORKS_MAX: usize = 8192;

/// A /16 of IPv4 or a /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NetworkPrefix(u64);

/// A value for each network, of the first [`NETWORKS_MAX`] networks.
#[derive(Debug)]
pub(super) struct ByNetwork<T>(HashMap<NetworkPrefix, T>);

/// The bit that distinguishes networks of IPv6.
const IS_V6: u64 = 1 << 63;

impl NetworkPrefix {
    pub(super) fn of(host: IpAddr) -> Self {
        match host.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits() >> 16)),
            IpAddr::V6(address) => {
                let bits = u64::try_from(address.to_bits() >> 80).expect("48 bits remain");
                Self(IS_V6 | bits)
            }
        }
    }
}

impl fmt::Display for NetworkPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self(bits) = self;
        if bits & IS_V6 == 0 {
            return write!(formatter, "{}.{}.0.0/16", bits >> 8, bits & 0xff);
        }
        write!(formatter, "{}/48", Ipv6Addr::from_bits(u128::from(bits & !IS_V6) << 80))
    }
}

impl<T: Default> ByNetwork<T> {
    /// Returns the value of a host's network; `None` if there are too many networks.
    pub(super) fn entry(&mut self, host: IpAddr) -> Option<&mut T> {
        let Self(networks) = self;
        let network = NetworkPrefix::of(host);
        let is_counted = networks.len() < NETWORKS_MAX || networks.contains_key(&network);
        is_counted.then(|| networks.entry(network).or_default())
    }

    /// Returns the value of a host's network; `None` if it has none.
    pub(super) fn get(&self, host: IpAddr) -> Option<&T> {
        self.0.get(&NetworkPrefix::of(host))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NetworkPrefix, &T)> {
        self.0.iter().map(|(&network, value)| (network, value))
    }
}

impl<T> Default for ByNetwork<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_named_by_their_prefix() {
        let name = |host: &str| NetworkPrefix::of(host.parse().expect("an address")).to_string();
        assert_eq!(name("10.200.3.4"), "10.200.0.0/16");
        assert_eq!(name("::ffff:10.200.3.4"), "10.200.0.0/16");
        assert_eq!(name("2001:db8:1:2::3"), "2001:db8:1::/48");
        assert_eq!(name("::1"), "::/48");
    }

    #[test]
    fn networks_are_bounded() {
        let mut networks = ByNetwork::<u32>::default();
        for number in 0..10_000_u32 {
            if let Some(value) = networks.entry(std::net::Ipv4Addr::from_bits(number << 16).into())
            {
                *value += 1;
            }
        }
        assert_eq!(networks.iter().count(), NETWORKS_MAX);
        let first: IpAddr = [0, 0, 9, 9].into();
        *networks.entry(first).expect("it is known") += 1;
        assert_eq!(networks.get(first), Some(&2));
    }
}
