//! Simulates a whole run over a seeded network in virtual time, for tests. Feature `__simulator`,
//! which semantic versioning does not cover.
//!
//! The run loop, the schedule, the event loop and the attempts are the real ones; sockets, resolver
//! and time are simulated.
//!
//! ```
//! use std::time::Duration;
//! use portmuster::{Config, Target, simulator::{Network, ServerBehaviour, simulate}};
//!
//! let network = Network::new(7).otherwise(ServerBehaviour::Silent);
//! let run = simulate(&Config::default(), &network, [Target::from(("192.0.2.1", 22))]);
//! assert_eq!(run.outcomes[0].verdict.state.name(), "filtered");
//! assert!(run.elapsed >= Duration::from_secs(20)); // two attempts of 10 s, in virtual time
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    attempt::Rules,
    clock::Instant,
    config::{Config, MaxMissed, defaults},
    driver::Net,
    input::{NextInput, known_length},
    memory::Memory,
    method::event_loop::EventLoop,
    outcome::{Account, Certainty, Outcome},
    run_loop::{Environment, RunLoop},
    schedule::{BlockPolicy, Lookup, Policy, Question, Report, Schedule, Start, Stopped},
    targets::Target,
};

mod faults;
mod network;
mod simulated_net;
mod simulated_resolver;

pub use self::network::{Action, Network, ServerBehaviour};

use self::{simulated_net::SimulatedNet, simulated_resolver::SimulatedResolver};

/// The result of a simulated run.
#[derive(Debug)]
pub struct Simulation {
    /// The outcomes, in the order in which the run emitted them. The run's wall clock starts at the
    /// Unix epoch.
    pub outcomes: Vec<Outcome>,
    /// The account of the run.
    pub account: Account,
    /// What the run knows of the targets that did not answer; `None` if it was not estimated.
    pub certainty: Option<Certainty>,
    /// The duration of the run, in virtual time.
    pub elapsed: Duration,
    /// The most connections open at the same time.
    pub peak_in_flight: usize,
    /// The most connections open towards one address at the same time.
    pub peak_per_host: usize,
    /// When each connection started, in virtual time since the start of the run.
    pub connect_starts: Vec<Duration>,
    /// How often each kind of fault occurred.
    pub fault_counts: BTreeMap<&'static str, u64>,
}

/// The most turns of a run loop. A run that takes more counts as one that never ends.
const TURNS_MAX: u64 = 50_000_000;

/// Checks the targets over a simulated network. Ignores [`Config::method`]: a simulated run always
/// uses one event loop.
///
/// # Panics
///
/// If the run does not end.
pub fn simulate(
    config: &Config,
    network: &Network,
    targets: impl IntoIterator<Item = Target>,
) -> Simulation {
    let targets = targets.into_iter();
    let positions = known_length(&targets);
    let policy = Policy {
        in_flight: config.in_flight().unwrap_or(defaults::IN_FLIGHT_MAX),
        rate: config.rate(),
        per_host: config.per_host(),
        host_timeout: config.host_timeout(),
        waiting: usize::MAX,
        retries: config.retries(),
        patience: config.patience(),
        timeout: config.timeout(),
        blocks: BlockPolicy {
            positions,
            max_missed: config.max_missed().filter(|_| config.retries() > 0).map(MaxMissed::share),
            seed: config.seed().unwrap_or(network.seed),
            stored_max: usize::MAX,
        },
        speak_first: config.speak_first(),
        addresses: config.addresses(),
        excludes: Arc::default(),
        stopped: Stopped::default(),
    };
    let rules = Rules::from(config);
    let net = SimulatedNet::new(network.clone());
    let environment = SimulatedEnvironment {
        network,
        event_loop: EventLoop::new(net, rules, Memory::new(usize::MAX)),
        resolver: SimulatedResolver::new(network.seed),
        targets,
        leased: VecDeque::new(),
        reports: Vec::new(),
        outcomes: Vec::new(),
    };
    let schedule = Schedule::new(policy, SystemTime::UNIX_EPOCH);
    let mut run = RunLoop { schedule, environment };
    for _ in 0..TURNS_MAX {
        run.turn();
        if run.schedule.is_finished() {
            return run.environment.finish(&run.schedule);
        }
    }
    panic!("seed {}: the run does not end", network.seed);
}

/// The environment of a simulated run: one event loop over a simulated network, and a simulated
/// resolver.
struct SimulatedEnvironment<'a, T> {
    network: &'a Network,
    event_loop: EventLoop<SimulatedNet>,
    resolver: SimulatedResolver,
    targets: T,
    leased: VecDeque<Start>,
    reports: Vec<Report>,
    outcomes: Vec<Outcome>,
}

impl<T> SimulatedEnvironment<'_, T> {
    /// Returns the result of the finished run.
    fn finish(self, schedule: &Schedule) -> Simulation {
        let net = self.event_loop.driver.net;
        let mut fault_counts = net.faults.counts.clone();
        fault_counts.extend(self.resolver.faults.counts);
        Simulation {
            outcomes: self.outcomes,
            account: schedule.account(net.now()),
            certainty: schedule.certainty(),
            elapsed: net.now().since(Instant::START),
            peak_in_flight: net.peak.0,
            peak_per_host: net.peak.1,
            connect_starts: net.connect_starts,
            fault_counts,
        }
    }
}

impl<T: Iterator<Item = Target>> Environment for SimulatedEnvironment<'_, T> {
    fn now(&self) -> Instant {
        self.event_loop.driver.net.now()
    }

    fn take_stop(&mut self, _now: Instant) -> bool {
        false
    }

    fn take_reports(&mut self) -> Option<Vec<Report>> {
        let reports = std::mem::take(&mut self.reports);
        (!reports.is_empty()).then_some(reports)
    }

    fn take_lookup(&mut self, now: Instant) -> Option<(Question, Lookup)> {
        self.resolver.take_ended(self.network, now)
    }

    fn take_target(&mut self) -> NextInput<Target> {
        self.targets.next().map_or(NextInput::Ended, NextInput::Item)
    }

    fn capacity(&self) -> usize {
        usize::MAX
    }

    fn queued(&self) -> usize {
        self.leased.len()
    }

    fn backlog_room(&self) -> usize {
        usize::MAX
    }

    fn begin(&mut self, start: Start) {
        self.leased.push_back(start);
    }

    fn flush(&mut self) {}

    fn can_look_up(&self) -> bool {
        self.resolver.has_capacity()
    }

    fn look_up(&mut self, question: &Question, now: Instant) {
        self.resolver.start(self.network, question.clone(), now);
    }

    fn hand_out(&mut self, schedule: &mut Schedule) -> bool {
        self.outcomes.append(&mut schedule.take_outcomes());
        true
    }

    fn wait(&mut self, schedule: &Schedule) {
        let until = schedule.next_timeout().into_iter().chain(self.resolver.next_timeout()).min();
        self.event_loop.turn(&mut self.leased, &mut self.reports, until);
    }
}
