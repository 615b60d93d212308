//! Decides how long an attempt waits for an endpoint that does not answer, from the answers so far.
//!
//! Only attempts that keep the whole timeout show how late answers come, because a socket that was
//! closed earlier hears none. One first attempt in [`SAMPLE`] does.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use crate::{
    config::{Patience, defaults},
    outcome::{Reason, Verdict},
    targets::mix,
};

/// One first attempt in so many keeps the whole timeout.
const SAMPLE: u64 = 64;
/// The shortest wait.
const SHORTEST: Duration = defaults::PATIENCE;
/// The fewest answers from which the answers of a network decide instead of those of all.
const ENOUGH: u32 = 20;
/// One answer in so many may come later than an attempt waits.
const LATE: u32 = 1000;
/// The most networks whose answers are counted separately.
const NETWORKS_MAX: usize = 8192;
/// The number of intervals into which the timeout is divided.
const INTERVALS: usize = 32;

/// The time limits of attempts that get no answer.
#[derive(Debug)]
pub(super) struct PatiencePolicy {
    /// Whether attempts wait less than the whole timeout.
    is_adaptive: bool,
    timeout: Duration,
    /// Determines which attempts keep the whole timeout.
    seed: u64,
    all: Answers,
    networks: HashMap<NetworkId, Answers>,
}

/// A network whose answers are counted: a /16 of IPv4 or a /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NetworkId(u64);

/// When the answers to attempts with the whole timeout came.
#[derive(Debug, Clone, Default)]
struct Answers {
    count: u32,
    by_interval: [u32; INTERVALS],
    /// How long to wait, as these answers require.
    wait: Duration,
}

impl PatiencePolicy {
    /// Creates the policy of a run. `retries`: without any, every attempt has the whole timeout.
    pub(super) fn new(patience: Patience, timeout: Duration, retries: u32, seed: u64) -> Self {
        let is_adaptive = patience == Patience::Adaptive && retries > 0 && timeout > SHORTEST;
        Self { is_adaptive, timeout, seed, all: Answers::default(), networks: HashMap::new() }
    }

    /// Returns how long the next attempt on a target waits for an answer; `None`: the whole timeout.
    pub(super) fn wait(&self, host: IpAddr, position: u64, attempts: u32) -> Option<Duration> {
        if !self.is_adaptive || (attempts == 0 && self.is_sampled(position)) {
            return None;
        }
        let network = self.networks.get(&NetworkId::of(host));
        let answers = network.filter(|answers| answers.count >= ENOUGH).unwrap_or(&self.all);
        let wait = answers.wait.max(SHORTEST);
        (wait < self.timeout).then_some(wait)
    }

    /// Returns how long most attempts wait.
    pub(super) fn usual(&self) -> Duration {
        if self.is_adaptive { self.all.wait.max(SHORTEST).min(self.timeout) } else { self.timeout }
    }

    /// Returns whether the first attempt on the target at this position has the whole timeout.
    fn is_sampled(&self, position: u64) -> bool {
        mix(position ^ self.seed).is_multiple_of(SAMPLE)
    }

    /// Returns how many attempts without an answer one with the whole timeout stands for: it sends
    /// SYNs over as long a time.
    pub(super) fn attempts_in_timeout(&self, spacing: Duration) -> u32 {
        if !self.is_adaptive {
            return 1;
        }
        let more = self.timeout.saturating_sub(SHORTEST).as_nanos() / spacing.as_nanos();
        u32::try_from(more).map_or(u32::MAX, |more| more.saturating_add(1))
    }

    /// Counts an answer, of either kind, to an attempt that had the whole timeout.
    pub(super) fn answered(&mut self, host: IpAddr, after: Duration) {
        if !self.is_adaptive {
            return;
        }
        self.all.add(after, self.timeout);
        let network = NetworkId::of(host);
        if self.networks.len() < NETWORKS_MAX || self.networks.contains_key(&network) {
            self.networks.entry(network).or_default().add(after, self.timeout);
        }
    }
}

/// Returns whether the endpoint has answered: it accepted the connection or refused it by a reset.
pub(super) fn is_answer(verdict: &Verdict) -> bool {
    matches!(verdict.reason, Reason::Accepted | Reason::Refused)
}

impl NetworkId {
    pub(crate) fn of(host: IpAddr) -> Self {
        match host.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits() >> 16)),
            // The prefix 0::/48 has no hosts other than those that IPv4 covers.
            IpAddr::V6(address) => {
                let bits = u64::try_from(address.to_bits() >> 80).expect("48 bits remain");
                Self(1 << 63 | bits)
            }
        }
    }
}

impl Answers {
    fn add(&mut self, after: Duration, timeout: Duration) {
        self.count += 1;
        let interval = after.as_nanos() * INTERVALS as u128 / timeout.as_nanos().max(1);
        let interval = usize::try_from(interval).map_or(INTERVALS - 1, |it| it.min(INTERVALS - 1));
        self.by_interval[interval] += 1;
        self.wait = self.required(timeout);
    }

    /// Returns how long to wait so that at most one answer in [`LATE`] comes later, and a quarter more
    /// if that is longer than the [shortest](SHORTEST) wait.
    fn required(&self, timeout: Duration) -> Duration {
        let mut may_be_late = self.count / LATE;
        let last = self.by_interval.iter().rposition(|&count| {
            let is_needed = count > may_be_late;
            may_be_late = may_be_late.saturating_sub(count);
            is_needed
        });
        let Some(last) = last else { return Duration::ZERO };
        let intervals = u32::try_from(last + 1).expect("there are few intervals");
        let end = timeout / u32::try_from(INTERVALS).expect("there are few intervals") * intervals;
        if end <= SHORTEST { end } else { end * 5 / 4 }
    }
}

impl std::fmt::Display for NetworkId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(bits) = self;
        if bits >> 63 == 0 {
            return write!(formatter, "{}.{}.0.0/16", bits >> 8, bits & 0xff);
        }
        let network = u128::from(bits & !(1 << 63)) << 80;
        write!(formatter, "{}/48", std::net::Ipv6Addr::from_bits(network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1));

    fn adaptive() -> PatiencePolicy {
        PatiencePolicy::new(Patience::Adaptive, TIMEOUT, 1, 7)
    }

    fn milliseconds(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn one_first_attempt_in_64_keeps_the_whole_timeout() {
        let policy = adaptive();
        let kept = (0..64_000).filter(|&position| policy.wait(HOST, position, 0).is_none()).count();
        assert!((900..1100).contains(&kept), "{kept}");
        let again = (0..64_000).filter(|&position| policy.wait(HOST, position, 1).is_none());
        assert_eq!(again.count(), 0);
        let waits: Vec<_> = (0..100).filter_map(|it| policy.wait(HOST, it, 0)).collect();
        assert!(waits.iter().all(|&wait| wait == SHORTEST));
    }

    #[test]
    fn full_patience_short_timeouts_and_no_retries_keep_the_whole_timeout() {
        for policy in [
            PatiencePolicy::new(Patience::Full, TIMEOUT, 1, 7),
            PatiencePolicy::new(Patience::Adaptive, TIMEOUT, 0, 7),
            PatiencePolicy::new(Patience::Adaptive, milliseconds(1000), 1, 7),
        ] {
            assert!((0..1000).all(|position| policy.wait(HOST, position, 1).is_none()));
            assert_eq!(policy.attempts_in_timeout(Duration::from_secs(5)), 1);
        }
        assert_eq!(adaptive().attempts_in_timeout(Duration::from_secs(5)), 2);
    }

    #[test]
    fn late_answers_lengthen_the_wait_of_their_network_only() {
        let mut policy = adaptive();
        for _ in 0..30_000 {
            policy.answered(OTHER, milliseconds(20));
        }
        assert_eq!(policy.wait(HOST, 0, 1), Some(SHORTEST));
        for _ in 0..20 {
            policy.answered(HOST, milliseconds(5100));
        }
        let late = policy.wait(HOST, 0, 1).expect("it is shorter than the timeout");
        assert!((milliseconds(5100)..milliseconds(7000)).contains(&late), "{late:?}");
        assert_eq!(policy.wait(OTHER, 0, 1), Some(SHORTEST), "one answer in 1,500 is late");
        policy.answered(HOST, milliseconds(9900));
        assert_eq!(policy.wait(HOST, 0, 1), None, "it reaches the timeout");
    }

    #[test]
    fn first_late_answers_lengthen_all_waits() {
        let mut policy = adaptive();
        policy.answered(HOST, milliseconds(4000));
        assert!(policy.wait(OTHER, 0, 1).is_some_and(|wait| wait > milliseconds(4000)));
    }

    #[test]
    fn networks_are_named_by_their_prefix() {
        let name = |host: &str| NetworkId::of(host.parse().expect("an address")).to_string();
        assert_eq!(name("10.200.3.4"), "10.200.0.0/16");
        assert_eq!(name("::ffff:10.200.3.4"), "10.200.0.0/16");
        assert_eq!(name("2001:db8:1:2::3"), "2001:db8:1::/48");
    }
}
