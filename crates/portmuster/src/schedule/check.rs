//! The life of one target: its addresses in the resolver's order until one accepts, round after
//! round while it stays filtered.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use crate::{
    attempt::Opening,
    config::SpeakFirst,
    outcome::{PortState, Reason, Service, Times, Verdict},
    targets::{Host, Target},
};

use super::new_check::{Coverage, Endpoints, NewCheck};

/// Faults of this machine in a row after which a target is given up.
const FAULTS_MAX: u32 = 10;
/// The pause after the first fault; each further one doubles it, up to [`PAUSE_MAX`]. Ten faults
/// in a row span at least 23 s, time in which other attempts end and give back what they hold.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Ports on which printers print what they are sent (nmap leaves them out for that reason, too).
const PRINTER_PORTS: RangeInclusive<u16> = 9100..=9107;

/// When an endpoint that has a verdict is looked at once more, because that may prove more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookAgain {
    /// As soon as it may start.
    Now,
    /// When its host, which asked for fewer connections, has rested.
    AfterRest,
    /// After a pause.
    Later,
}

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
struct Finding {
    endpoint: SocketAddr,
    verdict: Verdict,
}

impl Finding {
    /// This, or an earlier one that proves more.
    fn or_stronger(self, earlier: Self) -> Self {
        if earlier.verdict.strength() > self.verdict.strength() { earlier } else { self }
    }
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
    coverage: Coverage,
    /// Whether each of these could be tried in this round.
    round: Coverage,
    /// How doubtful the verdict on its other addresses is, when those that are tried are the rest.
    kept_doubt: u8,
    in_flight: bool,
    /// Its host asked for fewer connections, and was left alone for a while.
    throttled: bool,
    /// Its server hung up without a word, and was left alone for a while.
    postponed: bool,
    /// Who speaks first in the next attempt.
    opening: Opening,
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
            coverage: Coverage::Whole,
            round: Coverage::Whole,
            kept_doubt: 0,
            in_flight: false,
            throttled: false,
            postponed: false,
            opening: Opening::Listen,
        }
    }

    /// The check of which this is known.
    pub(super) fn from_new(fresh: NewCheck, retries: u32) -> Self {
        let NewCheck { target, position, endpoints, coverage } = fresh;
        Self { endpoints, coverage, ..Self::new(target, position, retries) }
    }

    /// All there is to know of a check that has [not begun](Self::has_begun).
    pub(super) fn into_new(self) -> NewCheck {
        let Self { target, position, endpoints, coverage, .. } = self;
        NewCheck { target, position, endpoints, coverage }
    }

    /// Whether it has had an attempt, or a fault of this machine.
    pub(super) fn has_begun(&self) -> bool {
        let has_verdict = self.best.is_some() || self.earlier.is_some();
        let has_gone_on = self.current > 0 || self.round != Coverage::Whole;
        self.attempts > 0 || self.faults > 0 || has_verdict || has_gone_on
    }

    /// The same check after attempts of which the last one ended with this verdict, that the server
    /// hung up without a word.
    pub(super) fn after_hang_up(
        mut self,
        endpoint: SocketAddr,
        attempts: u32,
        verdict: Verdict,
    ) -> Self {
        self.resolved(endpoint);
        self.attempts = attempts;
        self.postponed = true;
        self.earlier = Some(Box::new(Finding { endpoint, verdict }));
        self
    }

    /// What [`Self::after_hang_up`] needs, if that is all there is to know of this check: the
    /// retries it has left, and how long its last attempt took.
    pub(super) fn only_hung_up(&self) -> Option<(u32, Times)> {
        let earlier = self.earlier.as_ref()?;
        let is_alone = matches!(self.endpoints, Endpoints::One(_)) && self.best.is_none();
        let is_first = self.retries_made == 0 && !self.throttled && self.opening == Opening::Listen;
        let Verdict { service, ref details, times, .. } = earlier.verdict;
        let hung_up = service == Some(Service::ClosedEarly) && details.is_none();
        (is_alone && is_first && hung_up).then_some((self.retries_left, times))
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Takes the target's address, whatever its port.
    pub(super) fn resolved(&mut self, address: SocketAddr) {
        self.endpoints = Endpoints::One(with_port(address, self.target.port));
    }

    /// Takes the addresses of the target's name that are tried, whatever their port; at least one.
    pub(super) fn resolved_name(&mut self, addresses: &Arc<[SocketAddr]>, coverage: Coverage) {
        match **addresses {
            [address] => self.resolved(address),
            _ => self.endpoints = Endpoints::Many(Arc::clone(addresses)),
        }
        self.current = 0;
        self.coverage = coverage;
    }

    /// The name whose other family is to be asked for before it is told that this one did not accept.
    pub(super) fn half_resolved_name(&self) -> Option<Arc<str>> {
        match &self.target.host {
            Host::Name(name) if self.coverage == Coverage::OneFamily => Some(Arc::clone(name)),
            _ => None,
        }
    }

    /// Keeps the verdict on one family until the rest of the name's addresses is known.
    pub(super) fn keep(&mut self, endpoint: SocketAddr, verdict: Verdict) {
        self.coverage = Coverage::Part;
        self.kept_doubt = doubt(&verdict);
        self.earlier = Some(Box::new(Finding { endpoint, verdict }));
    }

    /// Whether the verdict that it has is that nothing answered.
    pub(super) fn is_filtered(&self) -> bool {
        self.earlier.as_ref().is_some_and(|found| found.verdict.state == PortState::Filtered)
    }

    /// Other addresses of its name can't be looked up: that is all that is known for certain.
    pub(super) fn doubts_lookup(&mut self) {
        if let Some(found) = &mut self.earlier {
            found.verdict.state = PortState::Unchecked;
            found.verdict.reason = Reason::LookupFailed;
            self.kept_doubt = doubt(&found.verdict);
        }
    }

    /// What the addresses that were tried turn out to be of those that the name has.
    pub(super) fn covers(&mut self, coverage: Coverage) {
        self.coverage = coverage;
    }

    /// Whether an address of the name was not tried in the round that decided.
    pub(super) fn is_in_part(&self) -> bool {
        // Of one family that was stopped before the other was asked for, nothing is known beyond it.
        self.coverage != Coverage::Whole || self.round != Coverage::Whole
    }

    /// The endpoint that is being tried.
    pub(super) fn endpoint(&self) -> SocketAddr {
        match &self.endpoints {
            Endpoints::None => unreachable!("what has no address yet is not started"),
            Endpoints::One(endpoint) => *endpoint,
            Endpoints::Many(addresses) => with_port(addresses[self.current], self.target.port),
        }
    }

    /// How many endpoints there are.
    fn endpoints(&self) -> usize {
        match &self.endpoints {
            Endpoints::None => 0,
            Endpoints::One(_) => 1,
            Endpoints::Many(addresses) => addresses.len(),
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
        // Nothing that a second look finds takes back what the first one proved.
        if let Some(earlier) = self.earlier.take_if(|found| found.verdict.state == PortState::Open)
        {
            let later = Finding { endpoint, verdict };
            let Finding { endpoint, verdict } = later.or_stronger(*earlier);
            return Settled::Outcome(Some(endpoint), verdict);
        }
        let is_alone = self.endpoints() == 1 && self.earlier.is_none();
        // The way of nearly all: nothing is kept beside the verdict, and nothing allocated.
        if verdict.state == PortState::Open || (is_alone && !self.may_retry(&verdict)) {
            return Settled::Outcome(Some(endpoint), verdict);
        }
        if verdict.state == PortState::Unchecked {
            self.round = Coverage::Part;
        }
        if self.best.as_ref().is_none_or(|best| doubt(&best.verdict) < doubt(&verdict)) {
            self.best = Some(Box::new(Finding { endpoint, verdict }));
        }
        self.current += 1;
        if self.current < self.endpoints() {
            return Settled::NextAddress;
        }
        self.current = 0;
        self.end_round()
    }

    /// Takes a verdict on the current endpoint that another look may better; `None`: it can't, or
    /// was looked at in that way before.
    pub(super) fn look_again(
        &mut self,
        verdict: &Verdict,
        speak_first: SpeakFirst,
    ) -> Option<LookAgain> {
        self.faults = 0;
        let opening = self.other_opening(verdict, speak_first);
        let again = match verdict.service {
            Some(Service::SshThrottled) if !self.throttled => LookAgain::AfterRest,
            Some(Service::ClosedEarly) if self.may_postpone() => LookAgain::Later,
            _ if opening.is_some() => LookAgain::Now,
            _ => return None,
        };
        self.opening = opening.unwrap_or(self.opening);
        self.throttled |= again == LookAgain::AfterRest;
        self.postponed |= again == LookAgain::Later;
        let found = Finding { endpoint: self.endpoint(), verdict: verdict.clone() };
        self.earlier = Some(Box::new(match self.earlier.take() {
            Some(earlier) => found.or_stronger(*earlier),
            None => found,
        }));
        Some(again)
    }

    /// Whether a server that hung up is tried once more: only where there are retries.
    fn may_postpone(&self) -> bool {
        !self.postponed && self.retries_made + self.retries_left > 0
    }

    /// The opening with which a second connection may prove more.
    fn other_opening(&self, verdict: &Verdict, speak_first: SpeakFirst) -> Option<Opening> {
        let may_introduce = speak_first == SpeakFirst::Auto;
        match self.opening {
            // It is ssh, whatever its port.
            Opening::Listen if verdict.is_spoiled() && may_introduce => Some(Opening::Introduce),
            Opening::Listen if verdict.is_spoiled() => Some(Opening::OnlyListen),
            Opening::Listen if verdict.may_await_client() && may_introduce => {
                (!PRINTER_PORTS.contains(&self.target.port)).then_some(Opening::Introduce)
            }
            _ => None,
        }
    }

    /// Who speaks first in the next attempt.
    pub(super) fn opening(&self) -> Opening {
        self.opening
    }

    /// Takes the verdict of the round before as the last one, whatever was still to be tried.
    pub(super) fn give_up(&mut self) -> Settled {
        if self.kept_doubt > 0 {
            self.round = Coverage::Part;
        }
        self.conclude()
    }

    /// Takes the verdict of the round before as the last one.
    pub(super) fn conclude(&mut self) -> Settled {
        self.retries_left = 0;
        self.best = None;
        self.end_round()
    }

    fn end_round(&mut self) -> Settled {
        // An attempt that could not be made takes nothing back of what one before it found.
        // Nor does one on the rest of a name's addresses take back a greater doubt.
        let replaces = |best: &Finding| {
            best.verdict.state != PortState::Unchecked && doubt(&best.verdict) >= self.kept_doubt
        };
        if self.earlier.is_none() || self.best.as_deref().is_some_and(replaces) {
            self.earlier = self.best.take();
        }
        self.best = None;
        match &self.earlier {
            Some(found) if self.may_retry(&found.verdict) => {
                self.retries_left -= 1;
                self.retries_made += 1;
                self.round = Coverage::Whole;
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

fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    let mut endpoint = match address.ip().to_canonical() {
        IpAddr::V4(address) => SocketAddr::new(address.into(), 0),
        IpAddr::V6(_) => address,
    };
    endpoint.set_port(port);
    endpoint
}

/// How much a verdict leaves open; of several addresses the most doubtful one's is told. What this
/// machine was too short to try may be open; what it has no way to reach is not asked for.
fn doubt(verdict: &Verdict) -> u8 {
    match (verdict.state, verdict.reason) {
        (_, Reason::Fault(_) | Reason::HostTimeout | Reason::LookupFailed) => 3,
        (PortState::Filtered, _) => 2,
        (PortState::Closed, _) => 1,
        _ => 0,
    }
}
