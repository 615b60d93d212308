//! The networks behind a link: which addresses have a host, and how the hosts and the others react.

use std::{net::IpAddr, str::FromStr, time::Duration};

use super::{error::LinkError, random::draw};

/// A network behind a link, and what its addresses do.
///
/// One address in each block of [`Network::one_in`] addresses has a host; the seed decides which. A
/// host accepts connections on the ports of [`LinkSettings::serve`](super::LinkSettings::serve), and
/// refuses all others with RST.
///
/// ```
/// use std::time::Duration;
/// use portmuster_lab::link::Network;
///
/// let network: Network = "10.200.0.0/16".parse()?;
/// let slow = network.one_in(64).answer_after(Duration::from_secs(5));
/// # drop(slow);
/// # Ok::<(), portmuster_lab::link::LinkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    first: u128,
    is_ipv4: bool,
    length: u8,
    one_in: u32,
    pub(crate) ignored_syns: u32,
    pub(crate) answer_after: Duration,
    pub(crate) unassigned: Unassigned,
}

/// What happens to packets to an address without a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unassigned {
    /// They are dropped.
    Silent,
    /// A router refuses them with ICMP "administratively prohibited".
    Prohibited,
    /// A router refuses them with ICMP "host unreachable" (IPv6: "address unreachable").
    Unreachable,
}

impl Network {
    /// A network in which every 64th address has a host, and the others are silent.
    ///
    /// # Errors
    ///
    /// [`LinkError::Settings`] if the prefix is longer than the address, or the address has bits
    /// beyond it.
    pub fn new(address: IpAddr, prefix_length: u8) -> Result<Self, LinkError> {
        let (first, bits) = (number(address), if address.is_ipv4() { 32_u32 } else { 128 });
        let host_bits = bits.checked_sub(u32::from(prefix_length));
        if host_bits.is_none_or(|host_bits| first & mask(host_bits) != 0) {
            return Err(LinkError::Settings {
                problem: format!("{address}/{prefix_length} is not a network"),
            });
        }
        Ok(Self {
            first,
            is_ipv4: bits == 32,
            length: prefix_length,
            one_in: 64,
            ignored_syns: 0,
            answer_after: Duration::ZERO,
            unassigned: Unassigned::Silent,
        })
    }

    /// Sets the number of addresses for each one that has a host, from 1. The default is 64.
    #[must_use]
    pub fn one_in(mut self, addresses: u32) -> Self {
        self.one_in = addresses.max(1);
        self
    }

    /// Makes each endpoint ignore this many SYNs before it answers, over all connections: 2 for a host
    /// that answers the third. The default is 0.
    #[must_use]
    pub fn ignore_syns(mut self, syns: u32) -> Self {
        self.ignored_syns = syns;
        self
    }

    /// Makes hosts answer each SYN only after this time, beside the round trip.
    #[must_use]
    pub fn answer_after(mut self, time: Duration) -> Self {
        self.answer_after = time;
        self
    }

    /// Sets what addresses without a host do. The default is silence.
    #[must_use]
    pub fn unassigned(mut self, reaction: Unassigned) -> Self {
        self.unassigned = reaction;
        self
    }

    /// Whether the network is one of IPv4.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.is_ipv4
    }

    /// Whether the address belongs to the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.offset(address).is_some()
    }

    /// Whether the networks have an address in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.contains(address(other.first, other.is_ipv4))
            || other.contains(address(self.first, self.is_ipv4))
    }

    /// Whether the address has a host, with this seed.
    #[must_use]
    pub fn has_host(&self, address: IpAddr, seed: u64) -> bool {
        let one_in = u128::from(self.one_in);
        self.offset(address)
            .is_some_and(|offset| offset % one_in == self.position(offset / one_in, seed))
    }

    /// Returns the addresses that have a host, in ascending order.
    pub fn hosts(&self, seed: u64) -> impl Iterator<Item = IpAddr> + use<'_> {
        let one_in = u128::from(self.one_in);
        let last = mask(self.host_bits());
        (0..=last / one_in)
            .map(move |block| block * one_in + self.position(block, seed))
            .take_while(move |&offset| offset <= last)
            .map(|offset| address(self.first + offset, self.is_ipv4))
    }

    /// Returns the position of the host in a block of addresses.
    fn position(&self, block: u128, seed: u64) -> u128 {
        u128::from(draw(seed, &words(self.first + block))) % u128::from(self.one_in)
    }

    /// Returns the position of an address in the network; `None` if it is outside.
    fn offset(&self, address: IpAddr) -> Option<u128> {
        let offset = number(address).checked_sub(self.first)?;
        (address.is_ipv4() == self.is_ipv4 && offset <= mask(self.host_bits())).then_some(offset)
    }

    fn host_bits(&self) -> u32 {
        (if self.is_ipv4 { 32 } else { 128 }) - u32::from(self.length)
    }
}

/// The usual notation, such as `10.200.0.0/16`.
impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", address(self.first, self.is_ipv4), self.length)
    }
}

impl FromStr for Network {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let parts = text.split_once('/');
        let parts =
            parts.and_then(|(first, length)| Some((first.parse().ok()?, length.parse().ok()?)));
        let (first, length) = parts.ok_or_else(|| LinkError::Settings {
            problem: format!("{text:?} is not a network; try 10.200.0.0/16"),
        })?;
        Self::new(first, length)
    }
}

/// Splits a number into the words that [`draw`] takes.
#[expect(clippy::cast_possible_truncation, reason = "each half has 64 bits")]
pub(crate) fn words(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}

/// Returns an address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "addresses of IPv4 have 32 bits")]
fn address(number: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 { IpAddr::V4((number as u32).into()) } else { IpAddr::V6(number.into()) }
}

fn mask(bits: u32) -> u128 {
    1_u128.checked_shl(bits).map_or(u128::MAX, |power| power - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn each_block_has_one_host_and_the_seed_moves_it() {
        let network = network("10.200.0.0/16");
        for seed in [0, 1, u64::MAX] {
            let hosts: Vec<_> = network.hosts(seed).collect();
            assert_eq!(hosts.len(), 1024);
            for (block, host) in (0_u128..).zip(&hosts) {
                assert!(network.has_host(*host, seed));
                assert_eq!((number(*host) - network.first) / 64, block);
            }
        }
        assert!(network.hosts(0).zip(network.hosts(1)).filter(|(a, b)| a != b).count() > 900);
    }

    #[test]
    fn other_addresses_have_no_host() {
        let network = network("fd00:200::/48").one_in(1);
        assert!(network.has_host("fd00:200::1".parse().unwrap(), 3));
        assert!(network.has_host("fd00:200:0:ffff::1".parse().unwrap(), 3));
        for outside in ["fd00:200:1::1", "fd00:1ff:ffff::1", "10.0.0.1", "::1"] {
            assert!(!network.has_host(outside.parse().unwrap(), 3), "{outside}");
        }
    }

    #[test]
    fn last_block_may_be_short() {
        let network = network("10.0.0.0/30").one_in(3);
        for seed in 0..32 {
            let hosts: Vec<_> = network.hosts(seed).collect();
            let all = (0..4).map(|last| IpAddr::from([10, 0, 0, last]));
            assert!(all.filter(|&host| network.has_host(host, seed)).eq(hosts), "{seed}");
        }
    }

    #[test]
    fn text_that_is_no_network_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "::1/64", "x/8"] {
            assert!(Network::from_str(text).is_err(), "{text}");
        }
        for text in ["0.0.0.0/0", "::/0", "10.0.0.1/32", "::1/128"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
