//! The life of one target: its addresses in the resolver's order until one accepts, round after
//! round while it stays filtered.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use crate::{
    outcome::{PortState, Reason, Verdict},
    targets::{Host, Target},
};

/// Addresses of one name that are tried.
pub(super) const ADDRESSES_MAX: usize = 16;
/// Faults of this machine in a row after which a target is given up.
const FAULTS_MAX: u32 = 10;
/// The pause after the first fault; each further one doubles it, up to [`PAUSE_MAX`]. Ten faults
/// in a row span at least 23 s, time in which other attempts end and give back what they hold.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What follows the end of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The next address is to be tried.
    NextAddress,
    /// No address gave an answer: try them again later.
    Retry,
    /// It is settled.
    Outcome(Option<SocketAddr>, Verdict),
}

#[derive(Debug)]
enum Endpoints {
    None,
    One(SocketAddr),
    Many(Arc<[SocketAddr]>),
}

#[derive(Debug)]
struct Finding {
    endpoint: SocketAddr,
    verdict: Verdict,
}

#[derive(Debug)]
pub(super) struct Check {
    target: Target,
    /// The target's place in the walk.
    position: u64,
    endpoints: Endpoints,
    /// Which of the endpoints is being tried.
    current: usize,
    /// The most telling verdict of this round.
    best: Option<Box<Finding>>,
    /// The verdict of the round before.
    earlier: Option<Box<Finding>>,
    attempts: u32,
    retries_made: u32,
    retries_left: u32,
    faults: u32,
    in_flight: bool,
    throttled: bool,
    /// What was said to a silent server spoiled the attempt before.
    patient: bool,
}

impl Check {
    pub(super) fn new(target: Target, position: u64, retries: u32) -> Self {
        Self {
            target,
            position,
            endpoints: Endpoints::None,
            current: 0,
            best: None,
            earlier: None,
            attempts: 0,
            retries_made: 0,
            retries_left: retries,
            faults: 0,
            in_flight: false,
            throttled: false,
            patient: false,
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Takes the target's addresses, whatever their port; at least one.
    pub(super) fn resolved(&mut self, addresses: &[SocketAddr]) {
        let port = self.target.port;
        let with_port = |&address: &SocketAddr| {
            let mut endpoint = match address.ip().to_canonical() {
                IpAddr::V4(address) => SocketAddr::new(address.into(), 0),
                IpAddr::V6(_) => address,
            };
            endpoint.set_port(port);
            endpoint
        };
        self.endpoints = match addresses {
            [address] => Endpoints::One(with_port(address)),
            _ => Endpoints::Many(addresses.iter().take(ADDRESSES_MAX).map(with_port).collect()),
        };
    }

    /// The endpoint that is being tried.
    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoints()[self.current]
    }

    fn endpoints(&self) -> &[SocketAddr] {
        match &self.endpoints {
            Endpoints::None => &[],
            Endpoints::One(endpoint) => std::slice::from_ref(endpoint),
            Endpoints::Many(endpoints) => endpoints,
        }
    }

    pub(super) fn started(&mut self) {
        self.attempts += 1;
        self.in_flight = true;
    }

    /// The attempt has ended; its conclusion follows.
    pub(super) fn settled(&mut self) {
        self.in_flight = false;
    }

    /// Whether it waits for another attempt although it has a verdict.
    pub(super) fn may_give_up(&self) -> bool {
        !self.in_flight && self.earlier.is_some()
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn was_retried(&self) -> bool {
        self.retries_made > 0
    }

    pub(super) fn into_target(self) -> Target {
        self.target
    }

    /// Takes the verdict on the current endpoint.
    pub(super) fn judged(&mut self, verdict: Verdict) -> Settled {
        let endpoint = self.endpoint();
        self.faults = 0;
        let is_alone = self.endpoints().len() == 1 && self.earlier.is_none();
        // The way of nearly all: nothing is kept beside the verdict, and nothing allocated.
        if verdict.state == PortState::Open || (is_alone && !self.may_retry(&verdict)) {
            return Settled::Outcome(Some(endpoint), verdict);
        }
        if self.best.as_ref().is_none_or(|best| doubt(&best.verdict) < doubt(&verdict)) {
            self.best = Some(Box::new(Finding { endpoint, verdict }));
        }
        self.current += 1;
        if self.current < self.endpoints().len() {
            return Settled::NextAddress;
        }
        self.current = 0;
        self.end_round()
    }

    /// Takes the verdict that the host asks for fewer connections: true the first time, when it
    /// is to be tried once more.
    pub(super) fn throttled(&mut self, verdict: &Verdict) -> bool {
        let first = !std::mem::replace(&mut self.throttled, true);
        if first {
            self.keep(verdict);
        }
        first
    }

    /// Takes a verdict that the active step has spoiled: true the first time, when it is to be
    /// tried once more, patiently.
    pub(super) fn spoiled(&mut self, verdict: &Verdict) -> bool {
        let first = !std::mem::replace(&mut self.patient, true);
        if first {
            self.keep(verdict);
        }
        first
    }

    /// Whether the next attempt says nothing to a server that is silent.
    pub(super) fn is_patient(&self) -> bool {
        self.patient
    }

    /// Keeps a verdict that another attempt may better.
    fn keep(&mut self, verdict: &Verdict) {
        let endpoint = self.endpoint();
        self.earlier = Some(Box::new(Finding { endpoint, verdict: verdict.clone() }));
    }

    /// Takes the verdict of the round before as the last one.
    pub(super) fn give_up(&mut self) -> Settled {
        self.retries_left = 0;
        self.best = None;
        self.end_round()
    }

    fn end_round(&mut self) -> Settled {
        // An attempt that could not be made takes nothing back of what one before it found, and
        // nothing does of a port that was open.
        let was_open =
            self.earlier.as_deref().is_some_and(|found| found.verdict.state == PortState::Open);
        let replaces = |best: &Finding| best.verdict.state != PortState::Unchecked && !was_open;
        if self.earlier.is_none() || self.best.as_deref().is_some_and(replaces) {
            self.earlier = self.best.take();
        }
        self.best = None;
        match &self.earlier {
            Some(found) if self.may_retry(&found.verdict) => {
                self.retries_left -= 1;
                self.retries_made += 1;
                Settled::Retry
            }
            _ => {
                let found = *self.earlier.take().expect("a round has at least one verdict");
                Settled::Outcome(Some(found.endpoint), found.verdict)
            }
        }
    }

    /// Whether a target with this verdict is tried again.
    fn may_retry(&self, verdict: &Verdict) -> bool {
        verdict.state == PortState::Filtered && self.retries_left > 0
    }

    /// The attempt that was started could not be begun, or not be brought to its end.
    pub(super) fn not_begun(&mut self) {
        self.attempts -= 1;
    }

    /// The name that is still to be looked up.
    pub(super) fn unresolved_name(&self) -> Option<Arc<str>> {
        match (&self.endpoints, &self.target.host) {
            (Endpoints::None, Host::Name(name)) => Some(Arc::clone(name)),
            _ => None,
        }
    }

    /// Takes a fault of this machine: how long to wait before the attempt is made again, `None`
    /// when patience has ended.
    pub(super) fn fault(&mut self) -> Option<Duration> {
        self.faults += 1;
        let again = self.faults < FAULTS_MAX;
        again.then(|| PAUSE_MAX.min(PAUSE * 2_u32.pow(self.faults - 1)))
    }
}

/// How much a verdict leaves open; of several addresses the most doubtful one's is told. What this
/// machine was too short to try may be open; what it has no way to reach is not asked for.
fn doubt(verdict: &Verdict) -> u8 {
    match (verdict.state, verdict.reason) {
        (_, Reason::Fault(_)) => 3,
        (PortState::Filtered, _) => 2,
        (PortState::Closed, _) => 1,
        _ => 0,
    }
}
