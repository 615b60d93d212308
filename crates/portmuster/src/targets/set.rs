//! Any number of targets, as a list of items that are never expanded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{
    Host, ItemError, Ports, Target,
    grammar::{self, Hosts, Item},
};

/// Items in the order in which they were added, each a number of hosts by a number of ports. A
/// network takes the memory of one address, whatever its size.
#[derive(Debug, Clone, Default)]
pub struct TargetSet {
    blocks: Vec<Block>,
    len: u128,
}

#[derive(Debug, Clone)]
struct Block {
    hosts: Hosts,
    ports: Ports,
    /// Place of its first target in the set.
    first: u128,
}

impl TargetSet {
    /// A set without targets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the item says: `10.0.0.5`, `10.0.0.0/24`, `2001:db8::/120`, `name.example`, any
    /// of them with `:port[,port…]` (`[v6]:port`). Without ports of its own it gets `ports`.
    ///
    /// # Errors
    /// What can't be read, and where.
    pub fn add(&mut self, item: &str, ports: &Ports) -> Result<(), ItemError> {
        let Item { hosts, ports: own } = grammar::parse(item)?;
        let block = Block { hosts, ports: own.unwrap_or_else(|| ports.clone()), first: self.len };
        self.len = self.len.saturating_add(block.len());
        self.blocks.push(block);
        Ok(())
    }

    /// How many targets there are; saturates at `u128::MAX`.
    #[must_use]
    pub fn len(&self) -> u128 {
        self.len
    }

    /// Whether there is no target.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The target at this place: item by item, in each host by host, of each port by port.
    /// `None` beyond the last.
    #[must_use]
    pub fn get(&self, place: u128) -> Option<Target> {
        let block = self.blocks.partition_point(|block| block.first <= place).checked_sub(1)?;
        let block = &self.blocks[block];
        block.get(place - block.first)
    }

    /// The targets in the order of [`Self::get`].
    #[must_use]
    pub fn into_targets(self) -> Targets {
        Targets { set: self, block: 0, place: 0 }
    }
}

impl IntoIterator for TargetSet {
    type Item = Target;
    type IntoIter = Targets;

    fn into_iter(self) -> Targets {
        self.into_targets()
    }
}

impl Block {
    fn len(&self) -> u128 {
        self.hosts().saturating_mul(self.ports.len() as u128)
    }

    fn hosts(&self) -> u128 {
        match &self.hosts {
            Hosts::One(_) => 1,
            Hosts::Network(network) => {
                let bits = u32::from(network.max_prefix_len() - network.prefix_len());
                1_u128.checked_shl(bits).unwrap_or(u128::MAX)
            }
        }
    }

    fn get(&self, place: u128) -> Option<Target> {
        let ports = self.ports.len() as u128;
        if place / ports >= self.hosts() {
            return None;
        }
        let port = self.ports.get(usize::try_from(place % ports).ok()?)?;
        let host = match &self.hosts {
            Hosts::One(host) => host.clone(),
            Hosts::Network(network) => Host::Address(nth(network, place / ports)?),
        };
        Some(Target { host, port })
    }
}

/// The address at this place of a network, the first of it being at 0.
fn nth(network: &IpNet, place: u128) -> Option<IpAddr> {
    Some(match network.network() {
        IpAddr::V4(first) => {
            Ipv4Addr::from(u32::from(first).checked_add(u32::try_from(place).ok()?)?).into()
        }
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first).checked_add(place)?).into(),
    })
}

/// The targets of a [`TargetSet`], one after the other.
#[derive(Debug)]
pub struct Targets {
    set: TargetSet,
    block: usize,
    place: u128,
}

impl Iterator for Targets {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        loop {
            let block = self.set.blocks.get(self.block)?;
            if let Some(target) = block.get(self.place) {
                self.place += 1;
                return Some(target);
            }
            self.block += 1;
            self.place = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(items: &[&str]) -> TargetSet {
        let mut set = TargetSet::new();
        for item in items {
            set.add(item, &Ports::ssh_and_telnet()).expect(item);
        }
        set
    }

    fn shown(items: &[&str]) -> Vec<String> {
        set(items).into_iter().map(|target| target.to_string()).collect()
    }

    #[test]
    fn items_keep_their_order_and_their_ports() {
        assert_eq!(
            shown(&["10.0.0.254/31", "db.example:2222", "[::1]:22,23"]),
            [
                "10.0.0.254:22",
                "10.0.0.254:23",
                "10.0.0.255:22",
                "10.0.0.255:23",
                "db.example:2222",
                "[::1]:22",
                "[::1]:23",
            ]
        );
    }

    #[test]
    fn networks_are_counted_not_expanded() {
        assert_eq!(set(&["10.0.0.0/8"]).len(), 33_554_432);
        assert_eq!(set(&["0.0.0.0/0:1"]).len(), 1 << 32);
        assert_eq!(set(&["::/0"]).len(), u128::MAX);
        let last = set(&["255.0.0.0/8:9"]).get((1 << 24) - 1).expect("the last target");
        assert_eq!(last.to_string(), "255.255.255.255:9");
        assert_eq!(set(&["255.0.0.0/8:9"]).get(1 << 24), None);
        assert_eq!(TargetSet::new().get(0), None);
    }

    proptest! {
        #[test]
        fn walking_and_indexing_agree(prefixes in proptest::collection::vec(24_u8..=32, 0..6)) {
            let items: Vec<_> = prefixes.iter().map(|prefix| format!("10.1.2.3/{prefix}:1-3")).collect();
            let set = set(&items.iter().map(String::as_str).collect::<Vec<_>>());
            let len = set.len();
            let indexed: Vec<_> = (0..len).map(|place| set.get(place).expect("within")).collect();
            prop_assert_eq!(set.get(len), None);
            prop_assert_eq!(indexed, set.into_iter().collect::<Vec<_>>());
        }
    }
}
