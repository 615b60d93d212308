//! The targets of a benchmark, each computed from its number, and the true state of each.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
};

use portmuster_lab::link::Network;

/// First address of targets on loopback; no other server listens from here on.
pub(crate) const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// A port where no server listens.
pub(crate) const REFUSED_PORT: u16 = 1;

/// The port whose packets a prepared namespace drops.
pub(crate) const SILENT_PORT: u16 = 9;

/// The first address of a network behind a link, its longest prefix, and the seed that decides which
/// addresses have hosts.
pub(crate) const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 0);
pub(crate) const PREFIX_MIN: u8 = 13;
pub(crate) const HOSTS_SEED: u64 = 1;

/// The ports of a network behind a link: hosts listen at the first, and refuse the second.
const NETWORK_PORT: u16 = 22;
const NETWORK_PORTS: u16 = 2;

/// The state of a target: the true one, or the one that a program reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    Refused,
    Silent,
}

/// Consecutive targets: all ports of the first address, then all ports of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Ipv4Addr,
    /// The first port; in a mixture the port of the open targets.
    pub(crate) port: u16,
    /// Ports of each address, at least 1; exactly 1 in a mixture.
    pub(crate) ports: u16,
    pub(crate) targets: usize,
    pub(crate) states: StatePattern,
}

/// Which targets of a span are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatePattern {
    /// The first `n` targets are open, the others refuse.
    OpenFirst(usize),
    /// No target answers.
    Silent,
    /// A [network behind a link](NETWORK): one address in 64 has a host. Its first port is open, and
    /// the others refuse.
    Hosts,
    /// Of every 50 targets, 1 is open (2 %), 4 are silent (8 %) and 45 refuse (90 %). Each state
    /// has a port of its own.
    Mixed,
}

impl Span {
    /// Targets where no server listens, one per address.
    pub(crate) fn refused(targets: usize) -> Self {
        let states = StatePattern::OpenFirst(0);
        Self { first: LOOPBACK, port: REFUSED_PORT, ports: 1, targets, states }
    }

    /// Targets where a server listens at `port`, one per address.
    pub(crate) fn open(port: u16, targets: usize) -> Self {
        Self { port, states: StatePattern::OpenFirst(targets), ..Self::refused(targets) }
    }

    /// A mixture of all states, with a server at `port` of the open targets.
    pub(crate) fn mixed(port: u16, targets: usize) -> Self {
        Self { port, states: StatePattern::Mixed, ..Self::refused(targets) }
    }

    /// Targets from `first` upwards that never answer.
    pub(crate) fn silent(first: Ipv4Addr, targets: usize) -> Self {
        Self { first, port: SILENT_PORT, states: StatePattern::Silent, ..Self::refused(targets) }
    }

    /// Both ports of each address of a [network behind a link](NETWORK) with this prefix length, from
    /// [`PREFIX_MIN`] to 30.
    pub(crate) fn network(prefix: u8) -> Self {
        let addresses = 1_usize << (32 - prefix);
        let (port, ports) = (NETWORK_PORT, NETWORK_PORTS);
        let targets = addresses * usize::from(ports);
        Self { first: NETWORK, port, ports, targets, states: StatePattern::Hosts }
    }

    /// The numbers of all targets.
    pub(crate) fn numbers(self) -> Range<usize> {
        0..self.targets
    }

    /// The target with this number.
    pub(crate) fn target(self, number: usize) -> SocketAddr {
        let ports = usize::from(self.ports);
        let port = match (self.states, self.state(number)) {
            (StatePattern::Mixed, State::Refused) => REFUSED_PORT,
            (StatePattern::Mixed, State::Silent) => SILENT_PORT,
            // The remainder is less than `ports`, which is a u16.
            _ => self.port + u16::try_from(number % ports).unwrap_or(0),
        };
        SocketAddr::from((self.address(number / ports), port))
    }

    /// The true state of the target with this number.
    pub(crate) fn state(self, number: usize) -> State {
        match self.states {
            StatePattern::OpenFirst(open) if number < open => State::Open,
            StatePattern::OpenFirst(_) => State::Refused,
            StatePattern::Silent => State::Silent,
            StatePattern::Hosts => {
                let ports = usize::from(self.ports);
                match (has_host(self.address(number / ports)), number % ports) {
                    (false, _) => State::Silent,
                    (true, 0) => State::Open,
                    (true, _) => State::Refused,
                }
            }
            StatePattern::Mixed => match number % 50 {
                0 => State::Open,
                1..=4 => State::Silent,
                _ => State::Refused,
            },
        }
    }

    /// The number of a target; `None` when the span does not contain it.
    pub(crate) fn number_of(self, target: SocketAddr) -> Option<usize> {
        let SocketAddr::V4(v4) = target else { return None };
        let address = u32::from(*v4.ip()).wrapping_sub(u32::from(self.first));
        let is_mixed = self.states == StatePattern::Mixed;
        let port = if is_mixed { 0 } else { usize::from(v4.port().checked_sub(self.port)?) };
        let ports = usize::from(self.ports);
        let number = usize::try_from(address).ok()?.checked_mul(ports)?.checked_add(port)?;
        let is_target = port < ports && number < self.targets && self.target(number) == target;
        is_target.then_some(number)
    }

    /// All addresses, each once.
    pub(crate) fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (0..self.targets.div_ceil(usize::from(self.ports))).map(move |nth| self.address(nth))
    }

    /// The ports, as port scanners take them: `FIRST-LAST`.
    pub(crate) fn port_range(self) -> String {
        format!("{}-{}", self.port, self.port + (self.ports - 1))
    }

    fn address(self, nth: usize) -> Ipv4Addr {
        let nth = u32::try_from(nth).unwrap_or(u32::MAX);
        Ipv4Addr::from(u32::from(self.first).wrapping_add(nth))
    }
}

/// Whether an address of the network behind a link has a host.
fn has_host(address: Ipv4Addr) -> bool {
    let network = Network::new(NETWORK.into(), PREFIX_MIN);
    network.is_ok_and(|network| network.has_host(IpAddr::V4(address), HOSTS_SEED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_of_every_span_has_its_number() {
        let many = Span { ports: 7, port: 100, ..Span::refused(50) };
        assert_eq!((many.addresses().count(), many.port_range().as_str()), (8, "100-106"));
        let large = Span::refused(65_537);
        assert_eq!(large.target(65_535).to_string(), "127.1.255.255:1");
        assert_eq!(large.number_of(large.target(65_537)), None);
        let mixed = Span::mixed(4000, 120);
        for span in
            [many, large, mixed, Span::open(4000, 3), Span::silent(LOOPBACK, 2), Span::network(30)]
        {
            for number in span.numbers() {
                assert_eq!(span.number_of(span.target(number)), Some(number), "{span:?}");
            }
        }
        assert_eq!(mixed.number_of(SocketAddr::from((LOOPBACK, SILENT_PORT))), None);
    }

    #[test]
    fn one_address_in_64_of_a_network_has_an_open_and_a_refused_port() {
        let span = Span::network(22);
        let count = |state| span.numbers().filter(|&number| span.state(number) == state).count();
        assert_eq!([State::Open, State::Refused, State::Silent].map(count), [16, 16, 2016]);
        let open = span.numbers().filter(|&number| span.state(number) == State::Open);
        assert!(open.map(|number| span.target(number)).all(|open| open.port() == 22));
    }

    #[test]
    fn mixture_has_the_documented_shares() {
        let span = Span::mixed(4000, 1000);
        let count = |state| span.numbers().filter(|&number| span.state(number) == state).count();
        assert_eq!([State::Open, State::Silent, State::Refused].map(count), [20, 80, 900]);
    }
}
