//! Decides what happens to each packet. It does no I/O and reads no clock.
//!
//! A packet of the near side passes the firewall, the middlebox with its limit of SYNs, and the bursts.
//! Then its network decides whether there is a host, and only packets of hosts are lost at random. So
//! the losses of one endpoint depend on its own packets only, and are the same in each run.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    attempts::{AttemptLog, Attempts},
    counts::LinkCounts,
    frame::Packet,
    network::{Unassigned, number, words},
    random::{draw, unit},
    settings::LinkSettings,
};

/// The most endpoints of hosts whose packets are counted. Packets of further ones are dropped.
const MAX_ENDPOINTS: usize = 1 << 22;

/// The least time that a packet is held back so that others overtake it.
const LEAST_REORDER: Duration = Duration::from_millis(10);

/// The middlebox lets the SYNs of this part of a second pass at once.
const SYN_BURST: f64 = 0.1;

/// The path that the forwarder and its handle share.
pub(crate) type SharedPath = Arc<Mutex<PacketPath>>;

/// Locks the path. A panic of another thread leaves only its counts incomplete.
pub(crate) fn lock(path: &SharedPath) -> MutexGuard<'_, PacketPath> {
    path.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens to a packet. Times have the origin of the times that the caller passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is lost.
    Drop,
    /// It reaches the other side at this time.
    Deliver(Duration),
    /// A router refuses it in this way, and the refusal arrives at this time.
    Refuse(Duration, Unassigned),
}

/// The direction of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToHost,
    FromHost,
}

/// What a random number decides.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Loss = 1,
    Jitter = 2,
    Reorder = 3,
}

/// The packets of one endpoint of a host.
#[derive(Debug, Default)]
struct Flow {
    syns: u32,
    /// Numbers of packets, by direction.
    packets: [u64; 2],
    /// The latest time at which a packet of each direction arrives.
    last: [Duration; 2],
}

/// The state of a link.
#[derive(Debug)]
pub(crate) struct PacketPath {
    settings: LinkSettings,
    counts: LinkCounts,
    attempts: AttemptLog,
    flows: HashMap<SocketAddr, Flow>,
    /// The time of the first packet of the near side.
    origin: Option<Duration>,
    /// SYNs that the middlebox still lets pass, and when this was computed.
    allowance: (f64, Duration),
}

impl PacketPath {
    pub(crate) fn new(settings: LinkSettings) -> Self {
        let allowance = (f64::INFINITY, Duration::ZERO);
        Self {
            settings,
            counts: LinkCounts::default(),
            attempts: AttemptLog::default(),
            flows: HashMap::new(),
            origin: None,
            allowance,
        }
    }

    pub(crate) fn round_trip(&self) -> Duration {
        self.settings.round_trip
    }

    pub(crate) fn counts(&self) -> LinkCounts {
        self.counts.clone()
    }

    pub(crate) fn attempts(&self, endpoint: SocketAddr) -> Option<Attempts> {
        self.attempts.get(endpoint).cloned()
    }

    /// Records the time, the forwarder's processor time, and packets that were lost outside.
    pub(crate) fn record(&mut self, now: Duration, cpu: Duration, overflow: u64) {
        self.counts.elapsed = self.since_origin(now);
        self.counts.forwarder_cpu = cpu;
        self.counts.overflow += overflow;
    }

    /// Decides about a packet of the near side that was sent at `now`.
    pub(crate) fn packet_to_host(&mut self, packet: &Packet, now: Duration) -> Fate {
        self.origin.get_or_insert(now);
        let time = self.since_origin(now);
        let endpoint = packet.destination;
        if packet.is_syn {
            self.counts.syn(time);
            if self.settings.record_attempts {
                self.attempts.record(endpoint, packet.source.port(), time);
            }
        }
        if self.is_blocked(time) {
            self.counts.blocked += 1;
            return Fate::Drop;
        }
        if packet.is_syn && !self.middlebox_passes(time) {
            self.counts.limited += 1;
            return Fate::Drop;
        }
        if self.is_in_burst(time) {
            self.counts.lost_in_bursts += 1;
            return Fate::Drop;
        }
        let network = self.settings.network_of(endpoint.ip());
        let reaction = network.map_or(Unassigned::Silent, |network| network.unassigned);
        match network.filter(|network| network.has_host(endpoint.ip(), self.settings.seed)) {
            Some(network) => {
                let after = if packet.is_syn { network.answer_after } else { Duration::ZERO };
                let ignored = network.ignored_syns;
                self.reach_host(packet, now, after, ignored)
            }
            None if reaction == Unassigned::Silent => {
                self.counts.silent += 1;
                Fate::Drop
            }
            None => {
                self.counts.refused += 1;
                Fate::Refuse(now + self.settings.round_trip, reaction)
            }
        }
    }

    /// Decides about a packet of a host that was sent at `now`.
    pub(crate) fn packet_from_host(&mut self, packet: &Packet, now: Duration) -> Fate {
        if self.is_in_burst(self.since_origin(now)) {
            self.counts.lost_in_bursts += 1;
            return Fate::Drop;
        }
        let fate = self.cross(packet.source, Direction::FromHost, now);
        self.counts.from_hosts += u64::from(fate != Fate::Drop);
        fate
    }

    fn reach_host(
        &mut self,
        packet: &Packet,
        now: Duration,
        after: Duration,
        ignored: u32,
    ) -> Fate {
        let Fate::Deliver(at) = self.cross(packet.destination, Direction::ToHost, now) else {
            return Fate::Drop;
        };
        if packet.is_syn {
            let flow = self.flows.entry(packet.destination).or_default();
            flow.syns = flow.syns.saturating_add(1);
            if flow.syns <= ignored {
                self.counts.ignored += 1;
                return Fate::Drop;
            }
        }
        self.counts.to_hosts += 1;
        Fate::Deliver(at + after)
    }

    /// Loses or delays a packet of a host's endpoint.
    fn cross(&mut self, endpoint: SocketAddr, direction: Direction, now: Duration) -> Fate {
        if self.flows.len() >= MAX_ENDPOINTS && !self.flows.contains_key(&endpoint) {
            self.counts.overflow += 1;
            return Fate::Drop;
        }
        let index = direction as usize;
        let flow = self.flows.entry(endpoint).or_default();
        let number_of_packet = flow.packets[index];
        flow.packets[index] += 1;
        let LinkSettings { seed, round_trip, jitter, loss, reorder, .. } = self.settings;
        let chance = |purpose: Purpose| {
            let [high, low] = words(number(endpoint.ip()));
            let port = u64::from(endpoint.port());
            let words = [purpose as u64, high, low, port, index as u64, number_of_packet];
            unit(draw(seed, &words))
        };
        if loss > 0.0 && chance(Purpose::Loss) < loss {
            self.counts.lost += 1;
            return Fate::Drop;
        }
        let delay = match direction {
            Direction::ToHost => round_trip / 2,
            Direction::FromHost => round_trip.saturating_sub(round_trip / 2),
        };
        let at = now + delay + jitter.mul_f64(chance(Purpose::Jitter));
        if reorder > 0.0 && chance(Purpose::Reorder) < reorder {
            self.counts.reordered += 1;
            return Fate::Deliver(at + LEAST_REORDER.max(round_trip / 2));
        }
        flow.last[index] = at.max(flow.last[index]);
        Fate::Deliver(flow.last[index])
    }

    fn since_origin(&self, now: Duration) -> Duration {
        self.origin.map_or(Duration::ZERO, |origin| now.saturating_sub(origin))
    }

    fn is_blocked(&self, time: Duration) -> bool {
        self.settings.block_after.is_some_and(|after| time >= after)
            || self.settings.block_after_syns.is_some_and(|syns| self.counts.syns > syns)
    }

    fn is_in_burst(&self, time: Duration) -> bool {
        self.settings.bursts.is_some_and(|bursts| {
            let phase = time.as_nanos() % bursts.every.as_nanos();
            time >= bursts.every && phase < bursts.length.as_nanos()
        })
    }

    /// Counts a SYN at the middlebox and returns whether it passes: a token bucket.
    fn middlebox_passes(&mut self, time: Duration) -> bool {
        let Some(limit) = self.settings.syn_limit.map(f64::from) else { return true };
        let (tokens, then) = self.allowance;
        let added = time.saturating_sub(then).as_secs_f64() * limit;
        let tokens = (tokens + added).min((limit * SYN_BURST).max(1.0));
        let passes = tokens >= 1.0;
        self.allowance = (tokens - f64::from(u8::from(passes)), time.max(then));
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Bursts, Network};

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Settings with hosts at all addresses of 10.200.0.0/24 and at none of 10.201.0.0/24.
    fn settings() -> LinkSettings {
        let hosts: Network = "10.200.0.0/24".parse().unwrap();
        LinkSettings::new(1).network(hosts.one_in(1))
    }

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn packet(is_syn: bool, to: &str) -> Packet {
        let source = "10.199.0.2:40000".parse().unwrap();
        Packet { source, destination: to.parse().unwrap(), is_syn }
    }

    fn syn() -> Packet {
        packet(true, "10.200.0.1:22")
    }

    fn answer() -> Packet {
        let Packet { source, destination, .. } = syn();
        Packet { source: destination, destination: source, is_syn: false }
    }

    #[test]
    fn each_direction_takes_half_of_the_round_trip() {
        let mut path = PacketPath::new(settings().round_trip(51 * MS));
        let Fate::Deliver(at) = path.packet_to_host(&syn(), SECOND) else { panic!("it is lost") };
        assert_eq!(at, SECOND + 51 * MS / 2);
        assert_eq!(path.packet_from_host(&answer(), at), Fate::Deliver(SECOND + 51 * MS));
        let counts = path.counts();
        assert_eq!((counts.syns, counts.to_hosts, counts.from_hosts), (1, 1, 1));
    }

    #[test]
    fn jitter_keeps_the_order_of_an_endpoint() {
        let mut path = PacketPath::new(settings().jitter(100 * MS));
        let times: Vec<_> = (0..200)
            .map(|number| match path.packet_to_host(&syn(), number * MS) {
                Fate::Deliver(at) if (number * MS..(number + 100) * MS).contains(&at) => at,
                fate => panic!("{number}: {fate:?}"),
            })
            .collect();
        assert!(times.is_sorted());
        assert!(times.iter().zip(0..).any(|(&at, number)| at > (number + 30) * MS));
    }

    #[test]
    fn reordered_packets_are_overtaken() {
        let mut path = PacketPath::new(settings().reorder(0.1));
        let times: Vec<_> = (0..1000)
            .map(|number| match path.packet_to_host(&syn(), number * MS) {
                Fate::Deliver(at) => at,
                fate => panic!("{fate:?}"),
            })
            .collect();
        assert!(!times.is_sorted());
        let reordered = path.counts().reordered;
        assert!((50..200).contains(&reordered), "{reordered}");
    }

    /// The losses of an endpoint depend on the seed and its own packets, not on others.
    #[test]
    fn losses_are_repeatable_and_have_the_set_share() {
        let losses = |settings: LinkSettings, has_others: bool| -> Vec<bool> {
            let mut path = PacketPath::new(settings);
            let one = |number: u32| {
                if has_others {
                    path.packet_to_host(&packet(true, "10.200.0.9:22"), number * MS);
                }
                path.packet_to_host(&syn(), number * MS) == Fate::Drop
            };
            (0..10_000).map(one).collect()
        };
        let first = losses(settings().loss(0.1), false);
        assert_eq!(first, losses(settings().loss(0.1), true));
        assert_ne!(first, losses(settings().loss(0.1).seed(2), false));
        let lost = first.iter().filter(|&&is_lost| is_lost).count();
        assert!((800..1200).contains(&lost), "{lost}");
        assert!(losses(settings().loss(1.0), false).iter().all(|&is_lost| is_lost));
    }

    #[test]
    fn bursts_lose_all_packets_of_both_directions() {
        let bursts = Bursts { every: 10 * SECOND, length: SECOND };
        let mut path = PacketPath::new(settings().bursts(bursts));
        let start = 3 * SECOND;
        for (after, is_lost) in [
            (0, false),
            (9999, false),
            (10_000, true),
            (10_999, true),
            (11_000, false),
            (20_500, true),
        ] {
            let now = start + after * MS;
            assert_eq!(path.packet_to_host(&syn(), now) == Fate::Drop, is_lost, "{after}");
            assert_eq!(path.packet_from_host(&answer(), now) == Fate::Drop, is_lost, "{after}");
        }
        assert_eq!(path.counts().lost_in_bursts, 6);
    }

    #[test]
    fn middlebox_lets_only_so_many_syns_pass() {
        let mut path = PacketPath::new(settings().syn_limit(5000));
        // 20,000 per second, for 10 seconds.
        for number in 0..200_000 {
            path.packet_to_host(&syn(), number * Duration::from_micros(50));
        }
        let passed = path.counts().to_hosts;
        assert!((50_000..=50_500).contains(&passed), "{passed}");
        assert_eq!(path.counts().limited, 200_000 - passed);
        let other = packet(false, "10.200.0.1:22");
        assert_ne!(path.packet_to_host(&other, 10 * SECOND), Fate::Drop, "it is no SYN");
    }

    #[test]
    fn firewall_drops_everything_of_the_near_side() {
        let by_count = settings().block_after_syns(3);
        let by_time = settings().block_after(3 * SECOND);
        for settings in [by_count, by_time] {
            let mut path = PacketPath::new(settings);
            for second in 1..=3 {
                assert_ne!(path.packet_to_host(&syn(), second * SECOND), Fate::Drop);
            }
            for second in 4..9 {
                assert_eq!(path.packet_to_host(&syn(), second * SECOND), Fate::Drop);
            }
            let late = packet(false, "10.200.0.1:22");
            assert_eq!(path.packet_to_host(&late, 9 * SECOND), Fate::Drop);
            assert_ne!(path.packet_from_host(&answer(), 9 * SECOND), Fate::Drop);
            assert_eq!(path.counts().blocked, 6);
        }
    }

    #[test]
    fn endpoint_answers_the_third_syn_and_all_later_ones() {
        let hosts = network("10.200.0.0/24").one_in(1).ignore_syns(2);
        let mut path = PacketPath::new(LinkSettings::new(1).network(hosts));
        for endpoint in ["10.200.0.1:22", "10.200.0.1:23"] {
            let passes = [(); 5].map(|()| path.packet_to_host(&packet(true, endpoint), SECOND));
            assert_eq!(passes.map(|fate| fate != Fate::Drop), [false, false, true, true, true]);
        }
        assert_eq!(path.counts().ignored, 4);
    }

    #[test]
    fn late_host_delays_only_syns() {
        let hosts = network("10.200.0.0/24").one_in(1).answer_after(5 * SECOND);
        let mut path = PacketPath::new(LinkSettings::new(1).network(hosts));
        assert_eq!(path.packet_to_host(&syn(), SECOND), Fate::Deliver(6 * SECOND));
        let other = packet(false, "10.200.0.1:22");
        assert_eq!(path.packet_to_host(&other, SECOND), Fate::Deliver(SECOND));
    }

    #[test]
    fn addresses_without_a_host_do_what_their_network_says() {
        let refusing = network("10.201.0.0/24").unassigned(Unassigned::Prohibited);
        let settings = LinkSettings::new(1).round_trip(SECOND).network(network("10.200.0.0/24"));
        let settings = settings.network(refusing);
        let mut path = PacketPath::new(settings.clone());
        for last in 0..=255 {
            for network in [200, 201] {
                let syn = packet(true, &format!("10.{network}.0.{last}:22"));
                let fate = path.packet_to_host(&syn, SECOND);
                let expected = match (settings.has_host(syn.destination.ip()), network) {
                    (true, _) => Fate::Deliver(SECOND * 3 / 2),
                    (false, 200) => Fate::Drop,
                    (false, _) => Fate::Refuse(2 * SECOND, Unassigned::Prohibited),
                };
                assert_eq!(fate, expected, "{syn:?}");
            }
        }
        assert_eq!(path.packet_to_host(&packet(true, "192.0.2.1:22"), SECOND), Fate::Drop);
        let counts = path.counts();
        assert_eq!((counts.to_hosts, counts.silent, counts.refused), (8, 253, 252));
    }
}
