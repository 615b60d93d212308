//! What a link does to packets.

use std::{net::IpAddr, time::Duration};

use super::{
    addresses::{NEAR_IPV4_NETWORK, NEAR_IPV6_NETWORK},
    error::LinkError,
    network::Network,
};
use crate::behaviour::Behaviour;

/// What a link does to packets. Without settings it delivers all of them at once.
///
/// Times count from the first packet of the near side.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    pub(crate) seed: u64,
    pub(crate) networks: Vec<Network>,
    services: Vec<(u16, Behaviour)>,
    pub(crate) round_trip: Duration,
    pub(crate) jitter: Duration,
    pub(crate) loss: f64,
    pub(crate) reorder: f64,
    pub(crate) bursts: Option<Bursts>,
    pub(crate) syn_limit: Option<u32>,
    pub(crate) block_after_syns: Option<u64>,
    pub(crate) block_after: Option<Duration>,
    pub(crate) record_attempts: bool,
}

/// Times in which all packets are lost, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bursts {
    /// The time from the start of one burst to the start of the next, and before the first one.
    pub every: Duration,
    /// How long a burst lasts.
    pub length: Duration,
}

impl LinkSettings {
    /// A link without delay and loss, and without networks.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            networks: Vec::new(),
            services: Vec::new(),
            round_trip: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            reorder: 0.0,
            bursts: None,
            syn_limit: None,
            block_after_syns: None,
            block_after: None,
            record_attempts: false,
        }
    }

    /// Sets the seed, which decides which addresses have hosts and which packets are lost.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds a network. Of networks that overlap, the first one counts. Addresses in no network are
    /// silent.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.networks.push(network);
        self
    }

    /// Makes all hosts run a server on this port. Without a call, they run [`Behaviour::Ssh`] on port
    /// 22.
    #[must_use]
    pub fn serve(mut self, port: u16, behaviour: Behaviour) -> Self {
        self.services.push((port, behaviour));
        self
    }

    /// Sets the time from a packet to its answer. Each direction takes half of it.
    #[must_use]
    pub fn round_trip(mut self, time: Duration) -> Self {
        self.round_trip = time;
        self
    }

    /// Delays each packet by up to this time more. Packets of one endpoint keep their order.
    #[must_use]
    pub fn jitter(mut self, time: Duration) -> Self {
        self.jitter = time;
        self
    }

    /// Sets the probability with which a packet to or from a host is lost, from 0 to 1, in each
    /// direction.
    #[must_use]
    pub fn loss(mut self, probability: f64) -> Self {
        self.loss = probability;
        self
    }

    /// Sets the probability with which a packet is overtaken by those that follow it, from 0 to 1:
    /// it takes half a round trip longer, and at least 10 ms.
    #[must_use]
    pub fn reorder(mut self, probability: f64) -> Self {
        self.reorder = probability;
        self
    }

    /// Adds times in which all packets are lost.
    #[must_use]
    pub fn bursts(mut self, bursts: Bursts) -> Self {
        self.bursts = Some(bursts);
        self
    }

    /// Adds a middlebox that lets at most this many SYNs per second pass, and drops the others. It
    /// allows a tenth of a second's SYNs at once.
    #[must_use]
    pub fn syn_limit(mut self, per_second: u32) -> Self {
        self.syn_limit = Some(per_second);
        self
    }

    /// Adds a firewall that drops everything from the near side after this many SYNs from it.
    #[must_use]
    pub fn block_after_syns(mut self, syns: u64) -> Self {
        self.block_after_syns = Some(syns);
        self
    }

    /// Adds a firewall that drops everything from the near side after this time.
    #[must_use]
    pub fn block_after(mut self, time: Duration) -> Self {
        self.block_after = Some(time);
        self
    }

    /// Records when each endpoint was tried, for [`Link::attempts`](super::Link::attempts).
    #[must_use]
    pub fn record_attempts(mut self) -> Self {
        self.record_attempts = true;
        self
    }

    /// Whether the address has a host.
    #[must_use]
    pub fn has_host(&self, address: IpAddr) -> bool {
        self.network_of(address).is_some_and(|network| network.has_host(address, self.seed))
    }

    /// Returns the addresses of all hosts, network by network.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> + use<'_> {
        let all = self.networks.iter().enumerate();
        all.flat_map(move |(index, network)| {
            let earlier = &self.networks[..index];
            let is_earlier = move |host: IpAddr| earlier.iter().any(|other| other.contains(host));
            network.hosts(self.seed).filter(move |&host| !is_earlier(host))
        })
    }

    /// The ports of the hosts' servers, with what the servers do.
    #[must_use]
    pub fn services(&self) -> &[(u16, Behaviour)] {
        if self.services.is_empty() { &[(22, Behaviour::Ssh)] } else { &self.services }
    }

    /// Returns the first network with this address.
    pub(crate) fn network_of(&self, address: IpAddr) -> Option<&Network> {
        self.networks.iter().find(|network| network.contains(address))
    }

    /// Whether a network is one of IPv6.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.networks.iter().any(|network| !network.is_ipv4())
    }

    /// Checks the ranges of all settings.
    pub(crate) fn validate(&self) -> Result<(), LinkError> {
        let refuse = |problem: String| Err(LinkError::Settings { problem });
        for (name, probability) in [("loss", self.loss), ("reorder", self.reorder)] {
            if !(0.0..=1.0).contains(&probability) {
                return refuse(format!("{name} is {probability}, and must be from 0 to 1"));
            }
        }
        if self.bursts.is_some_and(|bursts| bursts.length > bursts.every || bursts.every.is_zero())
        {
            return refuse("bursts must be shorter than the time from one to the next".into());
        }
        if self.syn_limit == Some(0) {
            return refuse("the limit of SYNs must be at least 1 per second".into());
        }
        for own in [NEAR_IPV4_NETWORK, NEAR_IPV6_NETWORK] {
            let own: Network = own.parse()?;
            if let Some(network) = self.networks.iter().find(|network| network.overlaps(&own)) {
                return refuse(format!("{network} contains {own}, the link's own network"));
            }
        }
        Ok(())
    }
}
