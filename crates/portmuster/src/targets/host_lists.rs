//! Compact lists of single addresses, each with its ports.

use std::collections::HashMap;

use super::{chunks::Chunks, ports::Ports};

/// The number of the first list of several ports. The number of a list of one port is that port.
const FIRST_LIST: u32 = 1 << 16;
/// One more than the greatest number of a list, which takes three bytes.
const NUMBERS_END: u32 = 1 << 24;

/// Addresses of both families with their ports, in the order of adding.
#[derive(Debug, Clone, Default)]
pub(super) struct HostLists {
    v4: Chunks<V4Host>,
    v6: Chunks<V6Host>,
    ports: PortLists,
}

/// An IPv4 address with its ports, in 7 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct V4Host {
    address: [u8; 4],
    ports: PortListNumber,
}

/// An IPv6 address with its ports, in 19 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct V6Host {
    address: [u8; 16],
    ports: PortListNumber,
}

/// The number of a list of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PortListNumber([u8; 3]);

/// The numbered lists of ports. Those of one port need no memory.
#[derive(Debug, Clone, Default)]
struct PortLists {
    lists: Vec<Ports>,
    /// The index of each list in `lists`.
    indexes: HashMap<Ports, u32>,
    /// The index of the latest list, which the next host most often has too.
    latest: u32,
}

impl HostLists {
    /// Adds an IPv4 address. Returns its position; `None` if there are too many lists of ports.
    pub(super) fn push_v4(&mut self, address: u32, ports: &Ports) -> Option<usize> {
        let ports = self.ports.number(ports)?;
        self.v4.push(V4Host { address: address.to_le_bytes(), ports });
        Some(self.v4.len() - 1)
    }

    /// Adds an IPv6 address. Returns its position; `None` if there are too many lists of ports.
    pub(super) fn push_v6(&mut self, address: u128, ports: &Ports) -> Option<usize> {
        let ports = self.ports.number(ports)?;
        self.v6.push(V6Host { address: address.to_le_bytes(), ports });
        Some(self.v6.len() - 1)
    }

    /// Returns the IPv4 address at a position and its ports.
    pub(super) fn v4(&self, position: usize) -> Option<(u32, Ports)> {
        let host = self.v4.get(position)?;
        Some((u32::from_le_bytes(host.address), self.ports.list(host.ports)?))
    }

    /// Returns the IPv6 address at a position and its ports.
    pub(super) fn v6(&self, position: usize) -> Option<(u128, Ports)> {
        let host = self.v6.get(position)?;
        Some((u128::from_le_bytes(host.address), self.ports.list(host.ports)?))
    }

    /// Returns the IPv6 address at a position.
    pub(super) fn v6_address(&self, position: usize) -> Option<u128> {
        self.v6.get(position).map(|host| u128::from_le_bytes(host.address))
    }

    /// Frees the memory that only adding needs.
    pub(super) fn freeze(&mut self) {
        self.ports.indexes = HashMap::new();
    }
}

impl PortLists {
    /// Returns the number of a list, which it gets unless it has one; `None` if all are taken.
    fn number(&mut self, ports: &Ports) -> Option<PortListNumber> {
        if let Some(port) = ports.single() {
            return PortListNumber::new(port.into());
        }
        if self.lists.get(self.latest as usize) != Some(ports) {
            self.latest = match self.indexes.get(ports) {
                Some(&index) => index,
                None => self.push(ports)?,
            };
        }
        PortListNumber::new(FIRST_LIST + self.latest)
    }

    fn push(&mut self, ports: &Ports) -> Option<u32> {
        let index = u32::try_from(self.lists.len()).ok()?;
        PortListNumber::new(FIRST_LIST.checked_add(index)?)?;
        self.lists.push(ports.clone());
        self.indexes.insert(ports.clone(), index);
        Some(index)
    }

    fn list(&self, number: PortListNumber) -> Option<Ports> {
        let number = number.get();
        match number.checked_sub(FIRST_LIST) {
            Some(index) => self.lists.get(index as usize).cloned(),
            None => Some(Ports::one(u16::try_from(number).ok()?)),
        }
    }
}

impl PortListNumber {
    fn new(number: u32) -> Option<Self> {
        let [low, middle, high, _] = number.to_le_bytes();
        (number < NUMBERS_END).then_some(Self([low, middle, high]))
    }

    fn get(self) -> u32 {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_keep_their_ports_until_the_lists_of_ports_are_exhausted() {
        assert_eq!((size_of::<V4Host>(), size_of::<V6Host>()), (7, 19));
        let ports = |text: &str| text.parse::<Ports>().expect("ports");
        let mut hosts = HostLists::default();
        for (position, list) in ["22", "22-23", "65535", "22,80", "22-23", "1"].iter().enumerate() {
            let address = u32::MAX - u32::try_from(position).expect("a small number");
            assert_eq!(hosts.push_v4(address, &ports(list)), Some(position));
            assert_eq!(hosts.push_v6(address.into(), &ports(list)), Some(position));
            assert_eq!(hosts.v4(position), Some((address, ports(list))));
            assert_eq!(hosts.v6(position), Some((address.into(), ports(list))));
        }
        assert_eq!(hosts.ports.lists.len(), 2);
        assert_eq!((hosts.v4(6), hosts.v6_address(6)), (None, None));
        hosts.ports.lists.resize((NUMBERS_END - FIRST_LIST) as usize, ports("1-2"));
        assert_eq!(hosts.push_v4(1, &ports("5,7")), None);
        assert_eq!(hosts.push_v4(1, &ports("22,80")), Some(6));
    }
}
