//! A block of a set: hosts that have the same ports and the same label.

use std::{net::Ipv4Addr, sync::Arc};

use crate::{
    fingerprint::Fingerprint,
    targets::{
        ports::Ports,
        range::AddressRange,
        range_list::RangeList,
        target::{Host, Target},
    },
};

/// The targets of a block: each host with each port, ordered by host, then by port.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) hosts: BlockHosts,
    pub(super) ports: Ports,
    pub(super) label: Option<Arc<str>>,
    /// The index of its first target in the set.
    pub(super) first: u128,
}

/// The hosts of a block.
#[derive(Debug, Clone)]
pub(super) enum BlockHosts {
    /// The first and the last address of an IPv4 range.
    V4(u32, u32),
    /// The first and the last address of an IPv6 range. Boxed, because most blocks of most lists
    /// are single IPv4 addresses.
    V6(Box<(u128, u128)>),
    Name(Arc<str>),
    /// Many separate IPv4 ranges.
    Ranges(Box<RangeList>),
}

impl Block {
    /// Extends the block if the range and the ports continue it, and returns whether they do.
    ///
    /// A range continues the block if it begins after the block's last address and has the same
    /// ports. Ports continue it if they follow the block's ports and belong to its only address.
    pub(super) fn extend(&mut self, first: u32, last: u32, ports: &Ports) -> bool {
        let BlockHosts::V4(own_first, own_last) = &mut self.hosts else { return false };
        if own_last.checked_add(1) == Some(first) && self.ports == *ports {
            *own_last = last;
            return true;
        }
        let is_only_address = own_first == own_last && (*own_first, *own_last) == (first, last);
        let Some(ports) = self.ports.extended_by(ports).filter(|_| is_only_address) else {
            return false;
        };
        self.ports = ports;
        true
    }

    /// Adds the hosts and ports to a fingerprint, but not the label.
    pub(super) fn add_to(&self, fingerprint: &mut Fingerprint) {
        match &self.hosts {
            BlockHosts::V4(first, last) => {
                fingerprint.add(b"4").add(&first.to_be_bytes()).add(&last.to_be_bytes());
            }
            BlockHosts::V6(range) => {
                fingerprint.add(b"6").add(&range.0.to_be_bytes()).add(&range.1.to_be_bytes());
            }
            BlockHosts::Name(name) => {
                fingerprint.add(b"n").add(name.as_bytes()).add(&[0]);
            }
            BlockHosts::Ranges(ranges) => {
                for range in ranges.ranges() {
                    let AddressRange::V4(first, last) = range else { continue };
                    fingerprint.add(b"4").add(&first.to_be_bytes()).add(&last.to_be_bytes());
                    self.add_ports_to(fingerprint);
                }
                return;
            }
        }
        self.add_ports_to(fingerprint);
    }

    fn add_ports_to(&self, fingerprint: &mut Fingerprint) {
        for range in self.ports.ranges() {
            fingerprint.add(&range.start().to_be_bytes()).add(&range.end().to_be_bytes());
        }
    }

    /// Returns the number of targets; saturates at `u128::MAX`.
    pub(super) fn len(&self) -> u128 {
        let hosts = match &self.hosts {
            BlockHosts::Ranges(ranges) => ranges.len(),
            _ => self.range().map_or(1, AddressRange::len),
        };
        hosts.saturating_mul(self.ports.len() as u128)
    }

    /// Returns the addresses; `None` unless they are a single range.
    fn range(&self) -> Option<AddressRange> {
        match &self.hosts {
            BlockHosts::V4(first, last) => Some(AddressRange::V4(*first, *last)),
            BlockHosts::V6(range) => Some(AddressRange::V6(range.0, range.1)),
            BlockHosts::Name(_) | BlockHosts::Ranges(_) => None,
        }
    }

    /// Iterates over the ranges of addresses; a name has none.
    pub(super) fn ranges(&self) -> impl Iterator<Item = AddressRange> {
        let list = match &self.hosts {
            BlockHosts::Ranges(ranges) => Some(ranges.ranges()),
            _ => None,
        };
        self.range().into_iter().chain(list.into_iter().flatten())
    }

    /// Returns the target at `index` in the block, host by host and port by port; `None` beyond the
    /// last.
    pub(super) fn get(&self, index: u128) -> Option<Target> {
        if index >= self.len() {
            return None;
        }
        let ports = self.ports.len() as u128;
        let port = self.ports.get(usize::try_from(index % ports).ok()?)?;
        let host = match &self.hosts {
            BlockHosts::Name(name) => Host::Name(Arc::clone(name)),
            BlockHosts::Ranges(ranges) => {
                Host::Address(Ipv4Addr::from(ranges.get(index / ports)?).into())
            }
            _ => Host::Address(self.range()?.get(index / ports)?),
        };
        Some(Target { host, port, label: self.label.clone() })
    }
}
