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
    collections::{BTreeMap, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    attempt::Rules,
    clock::Instant,
    config::Config,
    driver::{Net, simulated::Simulated},
    memory::Memory,
    method::event_loop::EventLoop,
    outcome::{Account, Outcome},
    schedule::{Policy, Schedule, Stopped},
    targets::Target,
};

mod lookups;
mod troubles;

use self::lookups::Lookups;

pub(crate) use self::troubles::FaultInjector;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// These bytes.
    Bytes(Vec<u8>),
    /// It closes the connection.
    HangUp,
    /// It resets the connection; what was not read is lost.
    Reset,
}

/// How an endpoint behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerBehaviour {
    /// It refuses after this time.
    Refuses {
        /// From the start of the attempt.
        after: Duration,
    },
    /// It never answers.
    Silent,
    /// An ICMP message says that the port can't be reached.
    RefusedByIcmp {
        /// From the start of the attempt.
        after: Duration,
    },
    /// An ICMP message says that the host can't be reached.
    Unreachable {
        /// From the start of the attempt.
        after: Duration,
    },
    /// This machine has no route to it.
    NoRoute,
    /// This machine never has what it takes to connect to it.
    Starves,
    /// It accepts and says something.
    Accepts {
        /// From the start of the attempt until the accept.
        after: Duration,
        /// What it says, each part so long after the one before.
        says: Vec<(Duration, Action)>,
        /// What it says, before it hangs up, as soon as something is written to it.
        answer: Option<Vec<u8>>,
    },
}

impl ServerBehaviour {
    /// Accepts after a millisecond and greets with these bytes.
    #[must_use]
    pub fn greets(greeting: &[u8]) -> Self {
        let says = vec![(Duration::ZERO, Action::Bytes(greeting.to_vec()))];
        Self::Accepts { after: Duration::from_millis(1), says, answer: None }
    }
}

/// A network: who behaves how, and what goes wrong how often.
#[derive(Debug, Clone)]
pub struct Network {
    pub(crate) seed: u64,
    pub(crate) faults: u8,
    pub(crate) oddities: u8,
    pub(crate) splits: u8,
    pub(crate) losses: u8,
    pub(crate) stalls: u8,
    pub(crate) descriptors: usize,
    endpoints: HashMap<SocketAddr, ServerBehaviour>,
    otherwise: ServerBehaviour,
    /// What comes of looking a name up, and how long that takes.
    names: HashMap<String, (Naming, Duration)>,
}

/// What comes of looking a name up that the network knows.
#[derive(Debug, Clone)]
enum Naming {
    Found(Vec<IpAddr>),
    NoAnswer,
}

impl Network {
    /// A network in which everyone refuses at once and nothing goes wrong.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: 0,
            oddities: 0,
            splits: 0,
            losses: 0,
            stalls: 0,
            descriptors: usize::MAX,
            endpoints: HashMap::new(),
            otherwise: ServerBehaviour::Refuses { after: Duration::ZERO },
            names: HashMap::new(),
        }
    }

    /// How an endpoint behaves.
    #[must_use]
    pub fn endpoint(mut self, endpoint: SocketAddr, manner: ServerBehaviour) -> Self {
        self.endpoints.insert(endpoint, manner);
        self
    }

    /// How all others behave.
    #[must_use]
    pub fn otherwise(mut self, manner: ServerBehaviour) -> Self {
        self.otherwise = manner;
        self
    }

    /// A name and its addresses, found at once. Any other name does not exist.
    #[must_use]
    pub fn name(self, name: &str, addresses: &[IpAddr]) -> Self {
        self.slow_name(name, addresses, Duration::ZERO)
    }

    /// A name and its addresses, and how long it takes to look it up.
    #[must_use]
    pub fn slow_name(mut self, name: &str, addresses: &[IpAddr], after: Duration) -> Self {
        self.names.insert(name.to_owned(), (Naming::Found(addresses.to_vec()), after));
        self
    }

    /// A name for which the resolver gets no answer, and how long it takes to say so.
    #[must_use]
    pub fn unanswered_name(mut self, name: &str, after: Duration) -> Self {
        self.names.insert(name.to_owned(), (Naming::NoAnswer, after));
        self
    }

    /// The chance, in a hundred, that opening a socket, beginning to connect or looking up a name
    /// fails because this machine is short of something.
    #[must_use]
    pub fn faults(mut self, percent: u8) -> Self {
        self.faults = percent;
        self
    }

    /// The chance, in a hundred, that a read is short, that a socket is named for nothing or
    /// for what happened before it was opened, and that one at which something has happened is not
    /// named before the next time.
    #[must_use]
    pub fn oddities(mut self, percent: u8) -> Self {
        self.oddities = percent;
        self
    }

    /// The chance, in a hundred, that what a server says at once comes byte by byte.
    #[must_use]
    pub fn splits(mut self, percent: u8) -> Self {
        self.splits = percent;
        self
    }

    /// The chance, in a hundred, that nothing comes back of the first connection to an endpoint.
    #[must_use]
    pub fn losses(mut self, percent: u8) -> Self {
        self.losses = percent;
        self
    }

    /// The chance, in a hundred, that this machine is held up for up to 30 s before it looks at
    /// what has happened.
    #[must_use]
    pub fn stalls(mut self, percent: u8) -> Self {
        self.stalls = percent;
        self
    }

    /// Sockets that may be open at the same time.
    #[must_use]
    pub fn descriptors(mut self, most: usize) -> Self {
        self.descriptors = most;
        self
    }

    pub(crate) fn manner(&self, endpoint: SocketAddr) -> &ServerBehaviour {
        self.endpoints.get(&endpoint).unwrap_or(&self.otherwise)
    }
}

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
    let mut schedule = Schedule::new(policy, SystemTime::UNIX_EPOCH);
    let mut event_loop =
        EventLoop::new(Simulated::new(network.clone()), rules, Memory::new(usize::MAX));
    let mut targets = targets.into_iter();
    let mut lookups = Lookups::new(network.seed);
    let (mut leased, mut reports, mut outcomes) = (VecDeque::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS_MAX {
        let now = event_loop.driver.net.now();
        for report in reports.drain(..) {
            schedule.settle(report, now);
        }
        take_targets(&mut schedule, &mut targets, now);
        lookups.run(&mut schedule, network, now);
        leased.extend(std::iter::from_fn(|| schedule.next_start(now)));
        outcomes.extend(schedule.take_outcomes());
        if schedule.is_finished() {
            let mut troubles = event_loop.driver.net.troubles.counts;
            troubles.extend(lookups.troubles.counts);
            return Simulation {
                outcomes,
                account: schedule.account(now),
                elapsed: now.since(Instant::START),
                peak_in_flight: event_loop.driver.net.peak.0,
                peak_per_host: event_loop.driver.net.peak.1,
                begun: event_loop.driver.net.begun,
                troubles,
            };
        }
        let until = schedule.wake_at().into_iter().chain(lookups.next()).min();
        event_loop.turn(&mut leased, &mut reports, until);
    }
    panic!("seed {}: the run does not end", network.seed);
}

fn take_targets(schedule: &mut Schedule, targets: &mut impl Iterator<Item = Target>, now: Instant) {
    while schedule.has_room() {
        match targets.next() {
            Some(target) => schedule.add(target, now),
            None => return schedule.input_ended(),
        }
    }
}
