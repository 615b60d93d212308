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

/// Tenths of a second whose SYNs the middlebox lets pass at once.
const LIMIT_TENTHS: f64 = 1.0;

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
            Direction::FromHost => round_trip - round_trip / 2,
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
        let passed = time.saturating_sub(then).as_secs_f64();
        let tokens = (tokens + passed * limit).min((limit * LIMIT_TENTHS / 10.0).max(1.0));
        let passes = tokens >= 1.0;
        self.allowance = (tokens - f64::from(u8::from(passes)), time.max(then));
        passes
    }
}
