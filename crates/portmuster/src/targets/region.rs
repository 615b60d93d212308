//! Sets of hosts with ports, for the members of a set of targets and for excludes.

use std::net::IpAddr;

use super::{
    ports::Ports,
    range::{AddressRange, Family},
};

mod insertion;
mod names;
mod span;
mod spans;
#[cfg(test)]
mod tests;

pub(crate) use names::NamePorts;
pub(crate) use span::Span;
pub(crate) use spans::Spans;

/// The maximum number of spans that are inserted one by one, so that adjacent ones are joined. More
/// are inserted in place, with [`Spans::insert_all`].
pub(crate) const FEW_SPANS: usize = 16;

/// Returns the IPv4 ranges among `ranges` as spans with these ports.
pub(crate) fn v4_spans(ranges: &[AddressRange], ports: &Ports) -> Vec<Span<u32>> {
    let spans = ranges.iter().filter_map(|range| match *range {
        AddressRange::V4(first, last) => Some(Span { first, last, ports: ports.clone() }),
        AddressRange::V6(..) => None,
    });
    spans.collect()
}

/// A set of hosts with ports: addresses of both families, and names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Region {
    pub(crate) v4: Spans<u32>,
    pub(crate) v6: Spans<u128>,
    pub(crate) names: NamePorts,
}

impl Region {
    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && self.names.is_empty()
    }

    /// Adds addresses with ports.
    pub(crate) fn insert(&mut self, range: AddressRange, ports: &Ports) {
        let ports = ports.clone();
        match range {
            AddressRange::V4(first, last) => drop(self.v4.insert(&Span { first, last, ports })),
            AddressRange::V6(first, last) => drop(self.v6.insert(&Span { first, last, ports })),
        }
    }

    /// Returns whether the set contains every address of a family with all the ports.
    pub(crate) fn contains_all(&self, family: Family, ports: &Ports) -> bool {
        let ports = ports.clone();
        match family {
            Family::V4 => self.v4.missing(&Span { first: 0, last: u32::MAX, ports }).is_empty(),
            Family::V6 => self.v6.missing(&Span { first: 0, last: u128::MAX, ports }).is_empty(),
        }
    }

    /// Returns whether the set contains the pair of address and port.
    pub(crate) fn contains(&self, address: IpAddr, port: u16) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.into(), port),
            IpAddr::V6(address) => self.v6.contains(address.into(), port),
        }
    }
}
