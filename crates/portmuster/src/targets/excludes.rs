//! Hosts and ports that must never be connected to.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{
    grammar::{self, ItemError, ItemHosts, ParsedItem},
    host_name::bare_name,
    limits::SET_RANGES_MAX,
    ports::Ports,
    range::{AddressRange, Family},
    region::{FEW_SPANS, Region, v4_spans},
};
use crate::fingerprint::Fingerprint;

/// Addresses, networks and names that must never be connected to.
///
/// Add all items, [resolve](Self::resolve) their names, then create the [`TargetSet`]. A
/// [`Checker`](crate::Checker) resolves names that are still unresolved.
///
/// [`TargetSet`]: super::TargetSet
#[derive(Debug, Clone, Default)]
pub struct Excludes {
    region: Arc<Region>,
    /// Names whose addresses are not known yet, each with its ports.
    unresolved: Vec<(Arc<str>, Ports)>,
    /// Of the text of the items, in the order of adding.
    fingerprint: Fingerprint,
}

impl Excludes {
    /// Creates an empty set, which excludes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Excludes the hosts of an item, with the ports that it names or else with all ports.
    ///
    /// A name is excluded as written at once, and its addresses once it is
    /// [resolved](Self::resolve). An address with a zone (`fe80::1%eth0`) excludes that address in
    /// every zone.
    ///
    /// # Errors
    /// The item can't be parsed, or the set has too many separate ranges.
    pub fn add(&mut self, item: &str) -> Result<(), ItemError> {
        let ParsedItem { hosts, ports } = grammar::parse(item)?;
        let ports = ports.unwrap_or_else(Ports::all);
        let region = Arc::make_mut(&mut self.region);
        match hosts {
            ItemHosts::Range(range) => region.insert(range, &ports),
            ItemHosts::Ranges(ranges) if ranges.len() <= FEW_SPANS => {
                for range in ranges {
                    region.insert(range, &ports);
                }
            }
            ItemHosts::Ranges(ranges) => {
                if region.v4.len() > SET_RANGES_MAX {
                    return Err(ItemError::too_many_set_ranges(item));
                }
                region.v4.insert_all(&v4_spans(&ranges, &ports));
            }
            ItemHosts::Name(name) => {
                region.names.insert(bare_name(&name), &ports);
                match name.split_once('%').and_then(|(address, _)| address.parse().ok()) {
                    Some(address) => region.insert(AddressRange::between(address, address), &ports),
                    None => self.unresolved.push((name, ports)),
                }
            }
        }
        self.fingerprint.add(item.as_bytes()).add(b"\n");
        Ok(())
    }

    /// Returns a hash of the items that were added, as text and in the order of adding.
    ///
    /// It is the same on every machine, whatever addresses the names have there.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint.sum()
    }

    /// Returns the names that were added and are not [resolved](Self::resolve) yet, in the order of
    /// adding. A name that was added twice occurs twice.
    #[must_use]
    pub fn unresolved(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.unresolved.iter().map(|(name, _)| name)
    }

    /// Excludes the addresses that `addresses` returns for each unresolved name. Afterwards, no
    /// name is unresolved.
    pub(crate) fn resolve_with(&mut self, addresses: impl Fn(&str) -> Vec<IpAddr>) {
        let region = Arc::make_mut(&mut self.region);
        for (name, ports) in self.unresolved.drain(..) {
            for address in addresses(&name) {
                region.insert(AddressRange::between(address, address), &ports);
            }
        }
    }

    /// Adds an unresolved name without checking that it is valid.
    #[cfg(test)]
    pub(crate) fn add_unchecked_name(&mut self, name: &str) {
        self.unresolved.push((name.into(), Ports::all()));
    }

    /// Returns whether nothing is excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.region.is_empty()
    }

    /// Returns whether this port of this name, as written, is excluded.
    #[must_use]
    pub fn contains_name(&self, name: &str, port: u16) -> bool {
        self.region.names.ports(&bare_name(name)).is_some_and(|ports| ports.contains(port))
    }

    /// Returns whether this port is excluded for the address, or for the address that a connection to
    /// it reaches: that of IPv4 in IPv6, and loopback for an unspecified address.
    ///
    /// ```
    /// use portmuster::targets::Excludes;
    ///
    /// let mut excludes = Excludes::new();
    /// excludes.add("127.0.0.0/8")?;
    /// for address in ["127.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "0.0.0.0"] {
    ///     assert!(excludes.contains(address.parse()?, 22));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr, port: u16) -> bool {
        let is_excluded = |address| self.region.contains(address, port);
        is_excluded(address) || reached_address(address).is_some_and(is_excluded)
    }

    /// Returns whether every port of every address of a family is excluded.
    pub(crate) fn contains_all_ports(&self, family: Family) -> bool {
        self.region.contains_all(family, &Ports::all())
    }

    /// Returns whether this port is excluded for every address of a family.
    pub(crate) fn contains_all(&self, family: Family, port: u16) -> bool {
        self.region.contains_all(family, &Ports::one(port))
    }

    /// Returns the excluded hosts and ports, shared with the sets of targets that exclude them.
    pub(super) fn region(&self) -> &Arc<Region> {
        &self.region
    }
}

/// Returns the address that a connection to `address` reaches, if it is a different one.
///
/// Linux connects to loopback for an unspecified address. It sends packets for an IPv4-compatible
/// IPv6 address (RFC 4291 §2.5.5.1) through a tunnel to the IPv4 address.
fn reached_address(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::LOCALHOST) | IpAddr::V4(_) => None,
        IpAddr::V6(address) => {
            let number = u32::try_from(u128::from(address)).ok()?;
            Some(Ipv4Addr::from(number).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_and_ipv4_compatible_addresses_reach_another_address() {
        for (address, expected) in [
            ("0.0.0.0", Some("127.0.0.1")),
            ("::", Some("::1")),
            ("::ffff:0.0.0.0", Some("127.0.0.1")),
            ("::127.0.0.1", Some("127.0.0.1")),
            ("::2", Some("0.0.0.2")),
            ("::1", None),
            ("0.0.0.1", None),
            ("127.0.0.1", None),
            ("::ffff:127.0.0.1", None),
            ("64:ff9b::7f00:1", None),
            ("2001:db8::1", None),
        ] {
            let parse = |text: &str| text.parse::<IpAddr>().expect(text);
            assert_eq!(reached_address(parse(address)), expected.map(parse), "{address}");
        }
    }

    #[test]
    fn the_fingerprint_is_that_of_the_items_that_were_added() {
        let mut excludes = Excludes::new();
        assert_eq!(excludes.fingerprint(), Fingerprint::of(b""));
        excludes.add("10.0.0.0/8").expect("a network");
        excludes.add("name.example:22").expect("a name");
        let added = Fingerprint::of(b"10.0.0.0/8\nname.example:22\n");
        assert_eq!(excludes.fingerprint(), added);
        excludes.resolve_with(|_| vec![[192, 0, 2, 1].into()]);
        excludes.add("10.0.0.0/33").expect_err("no network");
        assert_eq!(excludes.fingerprint(), added, "neither addresses nor errors count");
    }
}
