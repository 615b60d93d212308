//! A whole run over a seeded network in virtual time: the real schedule, the real event loop and
//! the real attempts, and nothing else that is real. For tests.
//!
//! ```
//! use std::time::Duration;
//! use portmuster::{Config, Target, simulator::{ServerBehaviour, Network, simulate}};
//!
//! let network = Network::new(7).otherwise(ServerBehaviour::Silent);
//! let run = simulate(&Config::default(), &network, [Target::from(("192.0.2.1", 22))]);
//! assert_eq!(run.outcomes[0].verdict.state.name(), "filtered");
//! assert!(run.elapsed >= Duration::from_secs(20)); // two attempts of 10 s, in no time
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    attempt::Rules,
    clock::Instant,
    config::Config,
    driver::Net,
    input::NextInput,
    memory::Memory,
    method::event_loop::EventLoop,
    outcome::{Account, Outcome},
    run_loop::{Environment, RunLoop},
    schedule::{Lookup, Policy, Question, Report, Schedule, Start, Stopped},
    targets::Target,
};

mod faults;
mod lookups;
mod network;
mod simulated_net;

pub use self::network::{Action, Network, ServerBehaviour};

use self::{lookups::Lookups, simulated_net::SimulatedNet};

/// What a simulated run came to.
#[derive(Debug)]
pub struct Simulation {
    /// The outcomes, in the order in which they became known. Their wall clock started at 1970.
    pub outcomes: Vec<Outcome>,
    /// The sum.
    pub account: Account,
    /// How long it took, in virtual time.
    pub elapsed: Duration,
    /// The most connections open at the same time.
    pub peak_in_flight: usize,
    /// The most connections open towards one address at the same time.
    pub peak_per_host: usize,
    /// When each connection began, in virtual time.
    pub begun: Vec<Duration>,
    /// How often each kind of trouble occurred.
    pub troubles: BTreeMap<&'static str, u64>,
}

/// Turns after which a run counts as one that never ends.
const TURNS_MAX: u64 = 50_000_000;

/// Runs the targets over the network. The method of the settings is not used: it is always one
/// event loop.
///
/// # Panics
/// The run does not end.
pub fn simulate(
    config: &Config,
    network: &Network,
    targets: impl IntoIterator<Item = Target>,
) -> Simulation {
    let policy = Policy {
        in_flight: config.in_flight,
        rate: config.rate,
        per_host: config.per_host,
        host_timeout: config.host_timeout,
        waiting: usize::MAX,
        retries: config.retries,
        speak_first: config.speak_first,
        addresses: config.addresses,
        excludes: Arc::default(),
        stopped: Stopped::default(),
    };
    let rules = Rules::from(config);
    let net = SimulatedNet::new(network.clone());
    let environment = VirtualTime {
        network,
        event_loop: EventLoop::new(net, rules, Memory::new(usize::MAX)),
        lookups: Lookups::new(network.seed),
        targets: targets.into_iter(),
        leased: VecDeque::new(),
        reports: Vec::new(),
        outcomes: Vec::new(),
    };
    let schedule = Schedule::new(policy, SystemTime::UNIX_EPOCH);
    let mut run = RunLoop { schedule, environment };
    for _ in 0..TURNS_MAX {
        run.turn();
        if run.schedule.is_finished() {
            return run.environment.end(&run.schedule);
        }
    }
    panic!("seed {}: the run does not end", network.seed);
}

/// One event loop over a simulated network, and everything else of a run in its time.
struct VirtualTime<'a, T> {
    network: &'a Network,
    event_loop: EventLoop<SimulatedNet>,
    lookups: Lookups,
    targets: T,
    leased: VecDeque<Start>,
    reports: Vec<Report>,
    outcomes: Vec<Outcome>,
}

impl<T> VirtualTime<'_, T> {
    fn end(self, schedule: &Schedule) -> Simulation {
        let net = self.event_loop.driver.net;
        let mut troubles = net.troubles.counts.clone();
        troubles.extend(self.lookups.troubles.counts);
        Simulation {
            outcomes: self.outcomes,
            account: schedule.account(net.now()),
            elapsed: net.now().since(Instant::START),
            peak_in_flight: net.peak.0,
            peak_per_host: net.peak.1,
            begun: net.begun,
            troubles,
        }
    }
}

impl<T: Iterator<Item = Target>> Environment for VirtualTime<'_, T> {
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
        self.lookups.take(self.network, now)
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
        self.lookups.has_room()
    }

    fn look_up(&mut self, question: Question, now: Instant) {
        self.lookups.begin(self.network, question, now);
    }

    fn hand_out(&mut self, schedule: &mut Schedule) -> bool {
        self.outcomes.append(&mut schedule.take_outcomes());
        true
    }

    fn wait(&mut self, schedule: &Schedule) {
        let until = schedule.next_timeout().into_iter().chain(self.lookups.next()).min();
        self.event_loop.turn(&mut self.leased, &mut self.reports, until);
    }
}
