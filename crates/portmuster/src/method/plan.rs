//! The plan of a run: its method, its workers, and how many attempts are open at the same time.

use std::time::Duration;

use super::{
    capacity::{self, LimitingResource},
    worker_limits::Size,
};
use crate::{
    config::{Config, Method, Patience, defaults},
    descriptors,
    workers::Program,
};

/// The plan of a run, made from its settings and what this machine can bear.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) method: Method,
    pub(crate) size: Size,
    /// How many attempts at the same time the settings need, up to the method's workers.
    pub(super) asked: usize,
    /// The most attempts open at the same time, in all.
    pub(crate) in_flight: usize,
    /// The resource because of which that is fewer than the settings allow.
    pub(super) limited_by: Option<LimitingResource>,
    /// Whether the run has a rate, so that an attempt must begin as soon as it is handed over.
    pub(crate) has_rate: bool,
    /// The program of each worker process.
    pub(crate) program: Option<Program>,
    /// Bytes that long conversations may hold together.
    pub(crate) memory: u64,
}

impl Plan {
    /// Plans a run that has no more attempts in flight than this system can bear.
    pub(crate) fn new(config: &Config, size: Size, program: Option<&Program>) -> Self {
        let (most, limiting) = capacity::attempts_max();
        // What was opened since the size was determined, such as outputs, is counted now.
        let workers = match config.method() {
            Method::EventLoop => size.workers,
            _ => size.workers.min(descriptors::budget().attempts),
        };
        let is_short = workers < size.workers;
        let InFlightRange { needed, most: planned, ceiling } = InFlightRange::of(config);
        let mut plan = Self {
            method: config.method(),
            size,
            asked: 0,
            in_flight: planned.min(most),
            limited_by: if most < needed.min(planned) {
                Some(limiting)
            } else if is_short {
                Some(LimitingResource::Descriptors)
            } else {
                (planned < needed).then_some(ceiling)
            },
            has_rate: config.rate().is_some(),
            program: program.cloned(),
            memory: 0,
        };
        plan.asked = plan.with_workers_for(needed);
        plan.size.workers = workers;
        let processes = if config.method().has_processes() { workers } else { 0 };
        plan.memory = capacity::conversations(plan.wanted(), plan.blocking_threads(), processes);
        plan
    }

    /// Returns the number of threads that each block on one attempt, in all processes.
    fn blocking_threads(&self) -> usize {
        match self.method {
            Method::EventLoop | Method::ProcessEventLoops => 0,
            _ => self.wanted(),
        }
    }

    /// Returns how many attempts are open at the same time if every worker can be started.
    pub(super) fn wanted(&self) -> usize {
        self.with_workers_for(self.in_flight)
    }

    /// Returns how many of these attempts the method has workers for.
    fn with_workers_for(&self, in_flight: usize) -> usize {
        match self.method {
            Method::EventLoop | Method::ProcessEventLoops => in_flight,
            _ => in_flight.min(self.size.workers.saturating_mul(self.size.threads)),
        }
    }
}

/// How many attempts in flight the settings need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InFlightRange {
    /// As many as keep up the rate while nothing answers as soon as attempts usually wait.
    needed: usize,
    /// As many as keep it up while every attempt waits for the whole timeout, up to a ceiling.
    most: usize,
    /// What determines the ceiling.
    ceiling: LimitingResource,
}

impl InFlightRange {
    fn of(config: &Config) -> Self {
        if let Some(in_flight) = config.in_flight() {
            let ceiling = LimitingResource::Default;
            return Self { needed: in_flight, most: in_flight, ceiling };
        }
        if config.proxy().is_some() {
            let (in_flight, ceiling) = (defaults::IN_FLIGHT_PROXY, LimitingResource::Default);
            return Self { needed: in_flight, most: in_flight, ceiling };
        }
        // More would take the memory of other programs' connections.
        let half = capacity::tcp_attempts().map_or(usize::MAX, |attempts| attempts / 2);
        let most = half.clamp(defaults::IN_FLIGHT_MIN, defaults::IN_FLIGHT_MAX);
        let ceiling = if half < defaults::IN_FLIGHT_MAX {
            LimitingResource::TcpMemory
        } else {
            LimitingResource::Default
        };
        let during = |wait: Duration| {
            let Some(rate) = config.rate() else { return most };
            // A quarter more, for conversations and for what the retries of faults take.
            let attempts = u128::from(rate.get()) * wait.as_millis() * 5 / 4 / 1000;
            usize::try_from(attempts).unwrap_or(usize::MAX).max(defaults::IN_FLIGHT_MIN)
        };
        let timeout = config.timeout();
        let usual = match config.patience() {
            Patience::Adaptive if config.retries() > 0 => timeout.min(defaults::PATIENCE),
            Patience::Adaptive | Patience::Full => timeout,
        };
        Self { needed: during(usual), most: during(timeout).min(most), ceiling }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Proxy;

    fn range(builder: crate::config::ConfigBuilder) -> (usize, usize) {
        let range = InFlightRange::of(&builder.build().expect("the settings are valid"));
        (range.needed, range.most)
    }

    #[test]
    fn in_flight_follows_the_rate_and_the_patience() {
        let adaptive = || Config::builder().patience(Patience::Adaptive);
        assert_eq!(range(adaptive().in_flight(7)), (7, 7));
        assert_eq!(range(adaptive().rate(100)), (16_384, 16_384));
        let proxied =
            || adaptive().proxy("socks5://bastion".parse::<Proxy>().expect("it is valid"));
        assert_eq!(range(proxied()), (64, 64));
        assert_eq!(range(proxied().in_flight(500)), (500, 500));
        let (needed, most) = range(adaptive().rate(10_000));
        assert!((40_000..50_000).contains(&needed) && most > needed, "{needed} {most}");
        let (needed, most) = range(Config::builder().rate(10_000));
        assert!(needed >= most, "without adaptive patience every attempt waits: {needed} {most}");
        let (needed, most) = range(adaptive().rate(None));
        assert!(needed == most && most <= defaults::IN_FLIGHT_MAX);
        let (needed, most) = range(adaptive().rate(1_000_000));
        assert!(needed == 4_000_000 && most <= defaults::IN_FLIGHT_MAX, "{needed} {most}");
        assert_eq!(range(adaptive().rate(10_000).timeout(Duration::from_millis(100))).1, 16_384);
    }
}
