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
    net::{IpAddr, SocketAddr},
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
    schedule::{BlockPolicy, Lookup, Policy, Question, Report, Route, Schedule, Start, Stopped},
    targets::{Target, mix},
};

mod faults;
mod journal;
mod network;
mod path;
mod simulated_net;
mod simulated_resolver;

pub use self::{
    network::{Action, Endpoint, Network, ServerBehaviour},
    path::Bursts,
};

use self::{
    journal::SimulatedJournal, simulated_net::SimulatedNet, simulated_resolver::SimulatedResolver,
};

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
    Simulator::new(config, network).run(targets)
}

/// Returns a number from 0 to less than 1 that looks random, and depends on the seed and the endpoint
/// only.
#[must_use]
pub fn draw(seed: u64, endpoint: SocketAddr) -> f64 {
    let address = endpoint.ip().to_canonical();
    let address = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let halves = [address >> 64, address & u128::from(u64::MAX)];
    let [high, low] = halves.map(|half| u64::try_from(half).expect("it has 64 bits"));
    let words = [high, low, endpoint.port().into()];
    let step = 0x9E37_79B9_7F4A_7C15_u64;
    let mixed =
        words.iter().fold(mix(seed ^ step), |state, word| mix((state ^ word).wrapping_add(step)));
    let mixed = u32::try_from(mixed >> 32).expect("32 bits remain");
    f64::from(mixed) / 2_f64.powi(32)
}

/// A simulated run to make, with choices that [`simulate`] makes by itself.
#[derive(Debug)]
pub struct Simulator<'a> {
    config: &'a Config,
    network: &'a Network,
    block_targets: u64,
    stop: Option<Duration>,
}

impl<'a> Simulator<'a> {
    /// Creates a run with these settings, over this network.
    #[must_use]
    pub fn new(config: &'a Config, network: &'a Network) -> Self {
        Self { config, network, block_targets: BlockPolicy::TARGETS_MAX, stop: None }
    }

    /// Sets the most targets in a block, so that a small run has several.
    #[must_use]
    pub fn block_targets(mut self, targets: u64) -> Self {
        self.block_targets = targets;
        self
    }

    /// Stops the run after this virtual time, as a user does.
    #[must_use]
    pub fn stop_after(mut self, time: Duration) -> Self {
        self.stop = Some(time);
        self
    }

    /// Checks the targets.
    ///
    /// # Panics
    ///
    /// If the run does not end.
    pub fn run(&self, targets: impl IntoIterator<Item = Target>) -> Simulation {
        let mut outcomes = Vec::new();
        let mut keep = |outcome| outcomes.push(outcome);
        let mut targets = targets.into_iter();
        let positions = known_length(&targets);
        let process =
            Process { positions, records_starts: true, ..Process::new(&mut targets, &mut keep) };
        let simulation = self.simulate(process);
        Simulation { outcomes, ..simulation }
    }

    /// Checks the targets and passes each outcome on. The result has neither outcomes nor
    /// [`Simulation::connect_starts`], so a large run takes little memory.
    ///
    /// # Panics
    ///
    /// If the run does not end.
    pub fn run_each(
        &self,
        targets: impl IntoIterator<Item = Target>,
        mut take: impl FnMut(Outcome),
    ) -> Simulation {
        let mut targets = targets.into_iter();
        let positions = known_length(&targets);
        self.simulate(Process { positions, ..Process::new(&mut targets, &mut take) })
    }

    /// Checks so many targets in a process that is killed and continued by another one, once for each of
    /// these times: how long the process has run, in virtual time. A process that is killed loses what has
    /// happened since its last checkpoint, which is at most a second old. Passes each outcome on once it is
    /// saved.
    ///
    /// The result is that of the last process, but for [`Simulation::elapsed`], which is the time of all.
    /// It has neither outcomes nor [`Simulation::connect_starts`].
    ///
    /// # Panics
    ///
    /// If the run does not end.
    pub fn run_killed(
        &self,
        targets: u64,
        target: impl Fn(u64) -> Target,
        killed_after: &[Duration],
        mut take: impl FnMut(Outcome),
    ) -> Simulation {
        let mut journal = SimulatedJournal::default();
        let mut elapsed = Duration::ZERO;
        let mut run = |killed_at| {
            let mut left = journal.missing(targets).map(&target);
            let simulation = self.simulate(Process {
                positions: Some(targets),
                journal: Some(&mut journal),
                killed_at,
                ..Process::new(&mut left, &mut take)
            });
            elapsed += simulation.elapsed;
            Simulation { elapsed, ..simulation }
        };
        for &killed_after in killed_after {
            run(Some(Instant::START.after(killed_after)));
        }
        run(None)
    }

    /// Makes the run, or the part of it that one process makes. It is not generic, so that it is compiled,
    /// and optimised, with this crate.
    fn simulate(&self, process: Process<'_>) -> Simulation {
        let Self { config, network, .. } = *self;
        let Process { targets, positions, take, records_starts, mut journal, killed_at } = process;
        let schedule = Schedule::new(self.policy(positions), SystemTime::UNIX_EPOCH);
        let schedule = match &mut journal {
            Some(journal) => journal.resume(schedule),
            None => schedule,
        };
        let rules = Rules::from(config);
        let net = SimulatedNet::new(network.clone(), records_starts);
        let environment = SimulatedEnvironment {
            network,
            event_loop: EventLoop::new(net, rules, Memory::new(usize::MAX)),
            resolver: SimulatedResolver::new(network.seed),
            targets,
            leased: VecDeque::new(),
            reports: Vec::new(),
            stop: self.stop.map(|time| Instant::START.after(time)),
            take,
            journal,
        };
        let mut run = RunLoop { schedule, environment };
        for _ in 0..TURNS_MAX {
            run.turn();
            let is_killed = killed_at.is_some_and(|at| at <= run.environment.now());
            if is_killed || run.schedule.is_finished() {
                return run.environment.finish(&run.schedule);
            }
        }
        panic!("seed {}: the run does not end", network.seed);
    }

    fn policy(&self, positions: Option<u64>) -> Policy {
        let Self { config, network, block_targets, .. } = *self;
        Policy {
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
                max_missed: config
                    .max_missed()
                    .filter(|_| config.retries() > 0)
                    .map(MaxMissed::share),
                seed: config.seed().unwrap_or(network.seed),
                stored_max: BlockPolicy::STORED_MAX,
                targets_max: block_targets,
            },
            speak_first: config.speak_first(),
            addresses: config.addresses(),
            excludes: Arc::default(),
            stopped: Stopped::default(),
            route: Route::default(),
        }
    }
}

/// A process that makes a simulated run or a part of it.
struct Process<'a> {
    targets: &'a mut dyn Iterator<Item = Target>,
    /// The number of targets of the whole run; `None` if it is not known.
    positions: Option<u64>,
    /// Takes the outcomes.
    take: &'a mut dyn FnMut(Outcome),
    records_starts: bool,
    /// From what it continues the run; `None`: it makes the whole run.
    journal: Option<&'a mut SimulatedJournal>,
    /// When it is killed; `None` if it is not.
    killed_at: Option<Instant>,
}

impl<'a> Process<'a> {
    fn new(targets: &'a mut dyn Iterator<Item = Target>, take: &'a mut dyn FnMut(Outcome)) -> Self {
        let (positions, journal, killed_at) = (None, None, None);
        Self { targets, positions, take, records_starts: false, journal, killed_at }
    }
}

/// The environment of a simulated run: one event loop over a simulated network, and a simulated
/// resolver.
struct SimulatedEnvironment<'a> {
    network: &'a Network,
    event_loop: EventLoop<SimulatedNet>,
    resolver: SimulatedResolver,
    targets: &'a mut dyn Iterator<Item = Target>,
    leased: VecDeque<Start>,
    reports: Vec<Report>,
    /// When the run is stopped; `None` if it is not, or was.
    stop: Option<Instant>,
    /// Takes the outcomes.
    take: &'a mut dyn FnMut(Outcome),
    /// What the next process would continue from; `None` if there is none.
    journal: Option<&'a mut SimulatedJournal>,
}

impl SimulatedEnvironment<'_> {
    /// Returns the result of the finished run.
    fn finish(self, schedule: &Schedule) -> Simulation {
        let net = self.event_loop.driver.net;
        let mut fault_counts = net.faults.counts.clone();
        fault_counts.extend(self.resolver.faults.counts);
        Simulation {
            outcomes: Vec::new(),
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

impl Environment for SimulatedEnvironment<'_> {
    fn now(&self) -> Instant {
        self.event_loop.driver.net.now()
    }

    fn take_stop(&mut self, now: Instant) -> bool {
        self.stop.take_if(|at| *at <= now).is_some()
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
        let now = self.now();
        match &mut self.journal {
            Some(journal) => journal.take_outcomes(schedule, now, self.take),
            None => schedule.take_outcomes().into_iter().for_each(&mut self.take),
        }
        true
    }

    fn wait(&mut self, schedule: &Schedule) {
        let until = schedule.next_timeout().into_iter().chain(self.resolver.next_timeout());
        let until = until.chain(self.stop).min();
        self.event_loop.turn(&mut self.leased, &mut self.reports, until);
    }
}
