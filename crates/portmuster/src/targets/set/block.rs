//! A block of a set: hosts that have the same ports and the same label.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use crate::{
    fingerprint::Fingerprint,
    targets::{
        host_lists::HostLists,
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
    /// The ports of each host; those of the first one if each has its own.
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
    /// Single addresses in the set's list of IPv4 hosts, each with its own ports, equally many.
    V4Hosts {
        /// The position of the first.
        start: usize,
        count: usize,
    },
    /// Single addresses in the set's list of IPv6 hosts, each with its own ports, equally many.
    V6Hosts {
        /// The position of the first.
        start: usize,
        count: usize,
    },
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

    /// Adds the hosts and ports to a fingerprint, and the label if `with_label`.
    ///
    /// Each host of a list of hosts counts like a block of its own.
    pub(super) fn add_to(
        &self,
        fingerprint: &mut Fingerprint,
        hosts: &HostLists,
        with_label: bool,
    ) {
        match &self.hosts {
            BlockHosts::V4(first, last) => {
                add_v4(fingerprint, *first, *last);
                add_ports(fingerprint, &self.ports);
            }
            BlockHosts::V6(range) => {
                add_v6(fingerprint, range.0, range.1);
                add_ports(fingerprint, &self.ports);
            }
            BlockHosts::Name(name) => {
                fingerprint.add(b"n").add(name.as_bytes()).add(&[0]);
                add_ports(fingerprint, &self.ports);
            }
            BlockHosts::Ranges(ranges) => {
                for range in ranges.ranges() {
                    let AddressRange::V4(first, last) = range else { continue };
                    add_v4(fingerprint, first, last);
                    add_ports(fingerprint, &self.ports);
                }
            }
            BlockHosts::V4Hosts { start, count } => {
                for (address, ports) in positions(*start, *count).filter_map(|at| hosts.v4(at)) {
                    add_v4(fingerprint, address, address);
                    add_ports(fingerprint, &ports);
                    self.add_label(fingerprint, with_label);
                }
                return;
            }
            BlockHosts::V6Hosts { start, count } => {
                for (address, ports) in positions(*start, *count).filter_map(|at| hosts.v6(at)) {
                    add_v6(fingerprint, address, address);
                    add_ports(fingerprint, &ports);
                    self.add_label(fingerprint, with_label);
                }
                return;
            }
        }
        self.add_label(fingerprint, with_label);
    }

    fn add_label(&self, fingerprint: &mut Fingerprint, with_label: bool) {
        if with_label {
            // A label contains no line end, so the line ends delimit it.
            let label = self.label.as_deref().unwrap_or_default();
            fingerprint.add(b"\n").add(label.as_bytes()).add(b"\n");
        }
    }

    /// Returns the number of targets; saturates at `u128::MAX`.
    pub(super) fn len(&self) -> u128 {
        let hosts = match &self.hosts {
            BlockHosts::V4(first, last) => AddressRange::V4(*first, *last).len(),
            BlockHosts::V6(range) => AddressRange::V6(range.0, range.1).len(),
            BlockHosts::V4Hosts { count, .. } | BlockHosts::V6Hosts { count, .. } => *count as u128,
            BlockHosts::Name(_) => 1,
            BlockHosts::Ranges(ranges) => ranges.len(),
        };
        hosts.saturating_mul(self.ports.len() as u128)
    }

    /// Iterates over the ranges of addresses; a name has none.
    pub(super) fn ranges(&self, hosts: &HostLists) -> impl Iterator<Item = AddressRange> {
        let (range, list, positions) = match &self.hosts {
            BlockHosts::V4(first, last) => (Some(AddressRange::V4(*first, *last)), None, 0..0),
            BlockHosts::V6(range) => (Some(AddressRange::V6(range.0, range.1)), None, 0..0),
            BlockHosts::V4Hosts { start, count } | BlockHosts::V6Hosts { start, count } => {
                (None, None, positions(*start, *count))
            }
            BlockHosts::Name(_) => (None, None, 0..0),
            BlockHosts::Ranges(ranges) => (None, Some(ranges.ranges()), 0..0),
        };
        let listed = positions.filter_map(|at| match self.hosts {
            BlockHosts::V4Hosts { .. } => {
                hosts.v4(at).map(|(address, _)| AddressRange::V4(address, address))
            }
            _ => hosts.v6_address(at).map(|address| AddressRange::V6(address, address)),
        });
        range.into_iter().chain(list.into_iter().flatten()).chain(listed)
    }

    /// Returns the target at `index` in the block, host by host and port by port; `None` beyond the
    /// last.
    pub(super) fn get(&self, index: u128, hosts: &HostLists) -> Option<Target> {
        if index >= self.len() {
            return None;
        }
        let port_count = self.ports.len() as u128;
        let (host, port) = (index / port_count, usize::try_from(index % port_count).ok()?);
        let at = |start: usize| start.checked_add(usize::try_from(host).ok()?);
        let (host, port) = match &self.hosts {
            BlockHosts::Name(name) => (Host::Name(Arc::clone(name)), self.ports.get(port)?),
            BlockHosts::Ranges(ranges) => {
                (address(Ipv4Addr::from(ranges.get(host)?)), self.ports.get(port)?)
            }
            BlockHosts::V4(first, last) => {
                (address(AddressRange::V4(*first, *last).get(host)?), self.ports.get(port)?)
            }
            BlockHosts::V6(range) => {
                (address(AddressRange::V6(range.0, range.1).get(host)?), self.ports.get(port)?)
            }
            BlockHosts::V4Hosts { start, .. } => {
                let (host, ports) = hosts.v4(at(*start)?)?;
                (address(Ipv4Addr::from(host)), ports.get(port)?)
            }
            BlockHosts::V6Hosts { start, .. } => {
                let (host, ports) = hosts.v6(at(*start)?)?;
                (address(Ipv6Addr::from(host)), ports.get(port)?)
            }
        };
        Some(Target { host, port, label: self.label.clone() })
    }
}

fn address(address: impl Into<IpAddr>) -> Host {
    Host::Address(address.into())
}

fn positions(start: usize, count: usize) -> std::ops::Range<usize> {
    start..start + count
}

fn add_v4(fingerprint: &mut Fingerprint, first: u32, last: u32) {
    fingerprint.add(b"4").add(&first.to_be_bytes()).add(&last.to_be_bytes());
}

fn add_v6(fingerprint: &mut Fingerprint, first: u128, last: u128) {
    fingerprint.add(b"6").add(&first.to_be_bytes()).add(&last.to_be_bytes());
}

fn add_ports(fingerprint: &mut Fingerprint, ports: &Ports) {
    for range in ports.ranges() {
        fingerprint.add(&range.start().to_be_bytes()).add(&range.end().to_be_bytes());
    }
}
