//! The IPv6 members of a set.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::targets::{
    host_lists::HostLists,
    limits::APART_PORTS_MAX,
    ports::Ports,
    region::{Span, Spans},
};

/// The IPv6 addresses and ports of a set.
///
/// Invariant: each pair of an address and a port is either in `spans` or in `endpoints`.
#[derive(Debug, Clone, Default)]
pub(in crate::targets) struct V6Members {
    spans: Spans<u128>,
    /// Single addresses, which the [`HostLists`] of the set contain.
    endpoints: HashTable<ListedEndpoint>,
    hasher: RandomState,
    /// The lowest and the highest address of `endpoints`.
    bounds: Option<(u128, u128)>,
}

/// A pair of an address and a port: the position of the address in the list of hosts, and the port.
///
/// The position is in two parts, because a `u32` would increase the size from 6 to 8 bytes.
#[derive(Debug, Clone, Copy)]
struct ListedEndpoint {
    position: [u16; 2],
    port: u16,
}

impl ListedEndpoint {
    fn position(self) -> usize {
        let [high, low] = self.position;
        usize::from(high) << 16 | usize::from(low)
    }

    /// Returns the address; `None` if the hosts are not those of the set.
    fn address(self, hosts: &HostLists) -> Option<u128> {
        hosts.v6_address(self.position())
    }
}

impl V6Members {
    /// Adds an address. Returns the ports that were new, or `None` if none was, and the position of the
    /// address with these ports in `hosts`, unless it was not added to them.
    pub(in crate::targets) fn insert(
        &mut self,
        address: u128,
        ports: &Ports,
        hosts: &mut HostLists,
    ) -> Option<(Ports, Option<usize>)> {
        let new = self.missing(address, ports, hosts)?;
        let listed = hosts.push_v6(address, &new);
        if let Some(position) = listed
            && let Ok(position) = u32::try_from(position)
            && new.len() <= APART_PORTS_MAX
        {
            self.insert_listed(address, position, &new, hosts);
        } else {
            let span = Span { first: address, last: address, ports: new.clone() };
            self.spans.insert_addresses(&span);
        }
        Some((new, listed))
    }

    /// Returns the spans, to which it first moves the addresses within and next to `near`.
    ///
    /// The caller may insert the span `near`, and nothing else.
    pub(in crate::targets) fn spans_near(
        &mut self,
        near: &Span<u128>,
        hosts: &HostLists,
    ) -> &mut Spans<u128> {
        let (first, last) = (near.first.saturating_sub(1), near.last.saturating_add(1));
        if self.bounds.is_some_and(|(lowest, highest)| lowest <= last && first <= highest) {
            self.move_all_to_spans(hosts);
        }
        &mut self.spans
    }

    /// Moves all addresses to the spans, as if each had been inserted there.
    pub(super) fn move_all_to_spans(&mut self, hosts: &HostLists) {
        self.bounds = None;
        for endpoint in std::mem::take(&mut self.endpoints) {
            if let Some(address) = endpoint.address(hosts) {
                let ports = Ports::one(endpoint.port);
                self.spans.insert_addresses(&Span { first: address, last: address, ports });
            }
        }
    }

    /// Returns the ports that no member with this address has; `None` if there are none.
    fn missing(&mut self, address: u128, ports: &Ports, hosts: &HostLists) -> Option<Ports> {
        if ports.len() > APART_PORTS_MAX {
            self.move_all_to_spans(hosts);
        }
        let missing = match self.spans.ports_at(address) {
            Some(present) => ports.without(present)?,
            None => ports.clone(),
        };
        if self.endpoints.is_empty() {
            return Some(missing);
        }
        let is_new = |port: &u16| {
            let hash = self.hasher.hash_one((address, *port));
            let is_same = |endpoint: &ListedEndpoint| {
                endpoint.port == *port && endpoint.address(hosts) == Some(address)
            };
            self.endpoints.find(hash, is_same).is_none()
        };
        Ports::from_numbers(missing.iter().filter(is_new))
    }

    /// Adds an address that has a position in `hosts`.
    fn insert_listed(&mut self, address: u128, position: u32, ports: &Ports, hosts: &HostLists) {
        let position = [(position >> 16) as u16, (position & 0xFFFF) as u16];
        for port in ports.iter() {
            let hash = |endpoint: &ListedEndpoint| {
                self.hasher.hash_one((endpoint.address(hosts).unwrap_or_default(), endpoint.port))
            };
            let endpoint = ListedEndpoint { position, port };
            self.endpoints.insert_unique(hash(&endpoint), endpoint, hash);
        }
        let (lowest, highest) = self.bounds.unwrap_or((address, address));
        self.bounds = Some((lowest.min(address), highest.max(address)));
    }
}
