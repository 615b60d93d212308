//! What happens to SYNs and their answers between this machine and an endpoint.
//!
//! Each SYN is sent, and may be lost, by itself, as the kernel repeats it: loss shows as later answers.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use fastrand::Rng;

use super::faults::FaultInjector;
use crate::clock::Instant;

/// The time from each SYN of a connection to the next, with Linux's defaults: four equal ones
/// (`tcp_syn_linear_timeouts`), then each twice as long, six in all (`tcp_syn_retries`).
const INTERVALS: [Duration; 6] = {
    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }
    [seconds(1), seconds(1), seconds(1), seconds(1), seconds(2), seconds(4)]
};

/// Makes the random numbers of packets differ from those of other faults.
const SEED: u64 = 0x7061_7468;

/// The time whose SYNs a middlebox with a limit allows at once.
const LIMIT_BURST: Duration = Duration::from_millis(100);

/// Times in which all packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bursts {
    /// The time from the start of one burst to the start of the next, and before the first one.
    pub interval: Duration,
    /// How long a burst lasts.
    pub length: Duration,
}

impl Bursts {
    fn contain(self, now: Instant) -> bool {
        let since = now.since(Instant::START);
        let place = since.as_nanos() % self.interval.as_nanos().max(1);
        since >= self.interval && place < self.length.as_nanos()
    }
}

/// The properties of a path.
#[derive(Debug, Clone, Default)]
pub(super) struct PathSettings {
    pub(super) round_trip: Duration,
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    pub(super) bursts: Option<Bursts>,
    pub(super) syn_limit: Option<u32>,
    pub(super) block_after_syns: Option<u64>,
}

/// A path, and the packets that it has carried.
#[derive(Debug)]
pub(super) struct Path {
    settings: Option<PathSettings>,
    rng: Rng,
    syns: u64,
    /// When the middlebox lets the next SYN pass. Earlier than now if it has let few pass.
    next_pass: Instant,
    /// How many SYNs have reached the endpoints that ignore some.
    reached: HashMap<SocketAddr, u32>,
}

/// Returns the time from a SYN to the next one of the same connection. `number`: 0 for the first.
pub(super) fn interval_after(number: usize) -> Option<Duration> {
    INTERVALS.get(number).copied()
}

impl Path {
    pub(super) fn new(settings: Option<PathSettings>, seed: u64) -> Self {
        Self {
            settings,
            rng: Rng::with_seed(seed ^ SEED),
            syns: 0,
            next_pass: Instant::START,
            reached: HashMap::new(),
        }
    }

    /// Returns whether the fate of a connection depends on its SYNs. `ignored_syns`: how many the
    /// endpoint ignores.
    pub(super) fn concerns(&self, ignored_syns: u32) -> bool {
        self.settings.is_some() || ignored_syns > 0
    }

    /// Returns whether SYNs without an answer change the fate of others.
    pub(super) fn counts_syns(&self) -> bool {
        let counts = |settings: &PathSettings| {
            settings.syn_limit.is_some() || settings.block_after_syns.is_some()
        };
        self.settings.as_ref().is_some_and(counts)
    }

    /// Carries a SYN to an endpoint that ignores so many. Returns how much longer than the endpoint's own
    /// time its answer takes; `None` if none will come.
    pub(super) fn carry_syn(
        &mut self,
        to: SocketAddr,
        ignored_syns: u32,
        now: Instant,
        faults: &mut FaultInjector,
    ) -> Option<Duration> {
        self.syns += 1;
        let settings = self.settings.clone().unwrap_or_default();
        if let Some(kind) = self.loses_syn(&settings, now) {
            faults.count(kind);
            return None;
        }
        if ignored_syns > 0 {
            let reached = self.reached.entry(to).or_default();
            *reached += 1;
            if *reached <= ignored_syns {
                faults.count("ignored SYN");
                return None;
            }
        }
        let jitter = settings.jitter.mul_f64(self.rng.f64());
        let after = settings.round_trip + jitter;
        let is_in_burst = settings.bursts.is_some_and(|bursts| bursts.contain(now.after(after)));
        if is_in_burst || self.is_lost(settings.loss) {
            faults.count("lost answer");
            return None;
        }
        Some(after)
    }

    /// Returns why the SYN that was just counted does not reach the endpoint; `None` if it does.
    fn loses_syn(&mut self, settings: &PathSettings, now: Instant) -> Option<&'static str> {
        if settings.block_after_syns.is_some_and(|most| self.syns > most) {
            return Some("blocked SYN");
        }
        if let Some(per_second) = settings.syn_limit {
            let due = self.next_pass.max(now.before(LIMIT_BURST));
            if due > now {
                return Some("SYN beyond the limit");
            }
            self.next_pass = due.after(Duration::from_secs(1) / per_second.max(1));
        }
        let is_in_burst = settings.bursts.is_some_and(|bursts| bursts.contain(now));
        (is_in_burst || self.is_lost(settings.loss)).then_some("lost SYN")
    }

    fn is_lost(&mut self, loss: f64) -> bool {
        loss > 0.0 && self.rng.f64() < loss
    }
}
