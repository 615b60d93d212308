//! A check: all attempts on one target. It tries the target's addresses in the resolver's order until
//! one accepts, in rounds while the target stays filtered.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use crate::{
    attempt::Opening,
    config::SpeakFirst,
    outcome::{KeyTypes, PortState, Reason, Service, Times, Verdict},
    targets::{Host, Target},
};

use super::{
    new_check::{Coverage, Endpoints, NewCheck},
    stratum::Stratum,
};

/// How many faults of this machine in a row end a check.
const FAULTS_MAX: u8 = 10;
/// The pause after the first fault. It doubles with each further fault, up to [`PAUSE_MAX`]. Ten
/// faults in a row span at least 23 s, in which other attempts end and free their resources.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause after a fault.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The pause before a connection that asks for another host key. As much time has to pass until sshd has
/// forgiven a connection without authentication (`PerSourcePenalties noauth:1s` in `sshd_config(5)`).
pub(super) const KEY_PAUSE: Duration = Duration::from_secs(1);
/// Ports of printers that print every byte they get. nmap does not send to them for the same reason.
const PRINTER_PORTS: RangeInclusive<u16> = 9100..=9107;

/// When to make another attempt on an endpoint that has a verdict, because it may prove more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextLook {
    /// As soon as an attempt may start.
    Now,
    /// After its host, which asked for fewer connections, has rested.
    AfterRest,
    /// After a pause.
    Later,
    /// After [`KEY_PAUSE`].
    AfterKeyPause,
}

/// What the end of an attempt means for its check.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The next address is tried.
    NextAddress,
    /// No address answered; all are tried again later.
    Retry,
    /// The check ends with this verdict.
    Outcome(Option<SocketAddr>, Verdict),
}

/// How long an attempt waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    WholeTimeout,
    /// As long as other answers have taken.
    Less,
}

/// What the next attempt of a check is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find out the state of the target.
    Target,
    /// To find out whether the target still does not answer, in an additional pass over its stratum.
    Again(Stratum),
    /// The same, in a sample from which the targets that were missed are estimated.
    Canary(Stratum),
    /// To find out whether an endpoint that has answered still does. It has no outcome.
    Control,
}

impl Purpose {
    /// Returns the stratum that the target belongs to; `None` if it has not had all its attempts.
    fn stratum(self) -> Option<Stratum> {
        match self {
            Self::Again(stratum) | Self::Canary(stratum) => Some(stratum),
            Self::Target | Self::Control => None,
        }
    }
}

/// The state of a check of one endpoint that did not answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoAnswer {
    pub(super) endpoint: SocketAddr,
    pub(super) verdict: Verdict,
    pub(super) retries_left: u32,
}

/// A verdict and the endpoint that it is about.
#[derive(Debug)]
struct Finding {
    endpoint: SocketAddr,
    verdict: Verdict,
}

impl Finding {
    /// Returns the stronger of two verdicts, this one if they are equal, with the host keys of both.
    fn or_stronger(self, earlier: Self) -> Self {
        let is_weaker = earlier.verdict.strength() > self.verdict.strength();
        let (mut stronger, weaker) = if is_weaker { (earlier, self) } else { (self, earlier) };
        stronger.verdict.add_host_keys(weaker.verdict);
        stronger
    }
}

/// The state of one target from its addition to its outcome.
#[derive(Debug)]
pub(super) struct Check {
    target: Target,
    /// The target's position in the run's order.
    position: u64,
    endpoints: Endpoints,
    /// Index of the current endpoint.
    current: u32,
    /// The most doubtful verdict of this round.
    best: Option<Box<Finding>>,
    /// The verdict of the previous round.
    earlier: Option<Box<Finding>>,
    attempts: u32,
    retries_made: u32,
    retries_left: u32,
    faults: u8,
    coverage: Coverage,
    /// Which of these could be tried in this round.
    round: Coverage,
    /// The doubt of the verdict on the other addresses, while the rest of the addresses is tried.
    kept_doubt: u8,
    in_flight: bool,
    /// Whether it has waited because its host asked for fewer connections.
    throttled: bool,
    /// Whether it was postponed because its server closed without sending a byte.
    postponed: bool,
    /// Which side speaks first in the next attempt.
    opening: Opening,
    /// The types of host keys that the next attempt does not ask for.
    known_keys: KeyTypes,
    purpose: Purpose,
    /// How many attempts were made before those for this purpose; `None` if one for it could not be made.
    attempts_before: Option<u32>,
    /// How long the last attempt waited for an answer.
    wait: Wait,
}

impl Check {
    pub(super) fn new(target: Target, position: u64, retries: u32) -> Self {
        Self {
            target,
            position,
            endpoints: Endpoints::Own,
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
            known_keys: KeyTypes::default(),
            purpose: Purpose::Target,
            attempts_before: Some(0),
            wait: Wait::WholeTimeout,
        }
    }

    /// Creates a check from the state of one without an attempt.
    pub(super) fn from_new(new: NewCheck, retries: u32) -> Self {
        let NewCheck { target, position, endpoints, coverage } = new;
        Self { endpoints, coverage, ..Self::new(target, position, retries) }
    }

    /// Returns the state of a check that has [not begun](Self::has_begun).
    pub(super) fn into_new(self) -> NewCheck {
        let Self { target, position, endpoints, coverage, .. } = self;
        NewCheck { target, position, endpoints, coverage }
    }

    /// Returns whether it has had an attempt or a fault of this machine, or has another purpose than a
    /// new target.
    pub(super) fn has_begun(&self) -> bool {
        let has_verdict = self.best.is_some() || self.earlier.is_some();
        let has_advanced = self.current > 0 || self.round != Coverage::Whole;
        let has_purpose = self.purpose != Purpose::Target;
        self.attempts > 0 || self.faults > 0 || has_verdict || has_advanced || has_purpose
    }

    /// Restores the state after attempts of which the last ended with this verdict: the server closed
    /// without sending a byte.
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

    /// Returns the retries left and the times of the last attempt, if [`Self::after_hang_up`] can
    /// restore this check from them; `None` if it has more state.
    pub(super) fn only_hung_up(&self) -> Option<(u32, Times)> {
        let earlier = self.earlier.as_ref()?;
        let is_alone = self.endpoints() == 1 && self.best.is_none();
        let is_first = self.retries_made == 0 && !self.throttled && self.opening == Opening::Listen;
        let Verdict { service, ref details, times, .. } = earlier.verdict;
        let hung_up = service == Some(Service::ClosedEarly) && details.is_none();
        (is_alone && is_first && hung_up).then_some((self.retries_left, times))
    }

    /// Restores the state after attempts on one endpoint that got no answer.
    pub(super) fn after_no_answer(
        target: Target,
        position: u64,
        attempts: u32,
        NoAnswer { endpoint, verdict, retries_left }: NoAnswer,
    ) -> Self {
        let mut check = Self {
            attempts,
            retries_made: 1,
            earlier: Some(Box::new(Finding { endpoint, verdict })),
            ..Self::new(target, position, retries_left)
        };
        check.resolved(endpoint);
        check
    }

    /// Returns the state from which [`Self::after_no_answer`] can restore this check; `None` if it has
    /// more state.
    pub(super) fn only_unanswered(&self) -> Option<NoAnswer> {
        let is_alone = self.endpoints() == 1 && self.best.is_none();
        let earlier = self.earlier.as_ref().filter(|_| is_alone)?;
        let endpoint = self.endpoint();
        let is_first = !self.throttled && !self.postponed && self.opening == Opening::Listen;
        let is_whole = self.coverage == Coverage::Whole
            && self.round == Coverage::Whole
            && self.kept_doubt == 0;
        let is_plain = earlier.endpoint == endpoint && earlier.verdict.is_unanswered();
        (is_first && is_whole && is_plain).then(|| NoAnswer {
            endpoint,
            verdict: earlier.verdict.clone(),
            retries_left: self.retries_left,
        })
    }

    /// Records the verdict of a check that has got no answer, so that it can be asked again.
    pub(super) fn not_answered(&mut self, endpoint: SocketAddr, verdict: Verdict) {
        self.earlier = Some(Box::new(Finding { endpoint, verdict }));
    }

    /// Returns what its next attempt is for.
    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Sets what its next attempts are for. Those for another purpose than the target are not retried.
    pub(super) fn set_purpose(&mut self, purpose: Purpose) {
        self.purpose = purpose;
        self.attempts_before = Some(self.attempts);
        if purpose != Purpose::Target {
            self.retries_left = 0;
        }
    }

    /// Continues a check of which an earlier process has made so many attempts without an answer.
    pub(super) fn continue_after(&mut self, attempts: u32, retries_left: u32) {
        self.attempts = attempts;
        self.retries_made = 1;
        self.retries_left = retries_left;
    }

    /// Records that this machine could not make an attempt.
    pub(super) fn attempt_failed_here(&mut self) {
        self.attempts_before = None;
    }

    /// Returns whether an attempt was made for the purpose, and none failed on this machine.
    pub(super) fn was_asked(&self) -> bool {
        self.attempts_before.is_some_and(|before| self.attempts > before)
    }

    /// Returns whether the last attempt waited for the whole timeout.
    pub(super) fn kept_timeout(&self) -> bool {
        self.wait == Wait::WholeTimeout
    }

    /// Gives up retries, because the attempt that got no answer stands for so many more.
    pub(super) fn spend_retries(&mut self, retries: u32) {
        if self.endpoints() == 1 {
            self.retries_left = self.retries_left.saturating_sub(retries);
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Sets the target's address. Its port is ignored.
    pub(super) fn resolved(&mut self, address: SocketAddr) {
        let endpoint = with_port(address, self.target.port);
        self.endpoints = if self.own_endpoint() == Some(endpoint) {
            Endpoints::Own
        } else {
            Endpoints::Listed([address].into())
        };
    }

    /// Sets the addresses to try for the target's name, at least one. Their ports are ignored.
    pub(super) fn resolved_name(&mut self, addresses: &Arc<[SocketAddr]>, coverage: Coverage) {
        self.endpoints = Endpoints::Listed(Arc::clone(addresses));
        self.current = 0;
        self.coverage = coverage;
    }

    /// Returns the name if its other address family must be looked up before the check may end as not
    /// open.
    pub(super) fn half_resolved_name(&self) -> Option<Arc<str>> {
        match &self.target.host {
            Host::Name(name) if self.coverage == Coverage::OneFamily => Some(Arc::clone(name)),
            _ => None,
        }
    }

    /// Keeps the verdict on one family while the rest of the name's addresses is looked up.
    pub(super) fn keep(&mut self, endpoint: SocketAddr, verdict: Verdict) {
        self.coverage = Coverage::Part;
        self.kept_doubt = doubt(&verdict);
        self.earlier = Some(Box::new(Finding { endpoint, verdict }));
    }

    /// Returns the stratum of its target, if it gets no answer any more for this reason. A target that was
    /// drawn from a stratum stays in it, so that both numbers of a sample count the same targets.
    pub(super) fn stratum(&self, reason: Reason) -> Stratum {
        self.purpose.stratum().unwrap_or_else(|| Stratum::of(reason))
    }

    /// Returns the reason of its verdict; `None` if it has none.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.earlier.as_ref().map(|found| found.verdict.reason)
    }

    /// Returns its verdict and the endpoint that it is about; `None` if it has none.
    pub(super) fn take_verdict(&mut self) -> Option<(SocketAddr, Verdict)> {
        self.earlier.take().map(|found| (found.endpoint, found.verdict))
    }

    /// Returns whether its verdict is that nothing answered.
    pub(super) fn is_filtered(&self) -> bool {
        self.earlier.as_ref().is_some_and(|found| found.verdict.state == PortState::Filtered)
    }

    /// Makes the verdict unchecked, because the rest of the name's addresses can't be looked up.
    pub(super) fn lookup_failed(&mut self) {
        if let Some(found) = &mut self.earlier {
            found.verdict.state = PortState::Unchecked;
            found.verdict.reason = Reason::LookupFailed;
            self.kept_doubt = doubt(&found.verdict);
        }
    }

    /// Records whether all addresses of the name were tried, those of one family, or only some.
    pub(super) fn set_coverage(&mut self, coverage: Coverage) {
        self.coverage = coverage;
    }

    /// Returns whether an address of the name was not tried in the deciding round.
    pub(super) fn is_in_part(&self) -> bool {
        // When a run stops before the other family was looked up, that family is unknown.
        self.coverage != Coverage::Whole || self.round != Coverage::Whole
    }

    /// Returns the current endpoint.
    pub(super) fn endpoint(&self) -> SocketAddr {
        match &self.endpoints {
            Endpoints::Own => {
                self.own_endpoint().expect("a name is not tried before its addresses are known")
            }
            Endpoints::Listed(addresses) => {
                with_port(addresses[self.current as usize], self.target.port)
            }
        }
    }

    /// Returns the endpoint of a target that is an address; `None` for a name.
    fn own_endpoint(&self) -> Option<SocketAddr> {
        match self.target.host {
            Host::Address(address) => {
                Some(with_port(SocketAddr::new(address, 0), self.target.port))
            }
            Host::Name(_) => None,
        }
    }

    /// Returns the number of endpoints; 0 for a name whose addresses are not known yet.
    fn endpoints(&self) -> usize {
        match &self.endpoints {
            Endpoints::Own => usize::from(self.own_endpoint().is_some()),
            Endpoints::Listed(addresses) => addresses.len(),
        }
    }

    /// Records that an attempt has started, which waits so long for an answer.
    pub(super) fn started(&mut self, wait: Wait) {
        self.attempts += 1;
        self.in_flight = true;
        self.wait = wait;
    }

    /// Records that the attempt has ended.
    pub(super) fn settled(&mut self) {
        self.in_flight = false;
    }

    /// Returns whether it has a verdict and waits for another attempt.
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

    /// Applies the verdict on the current endpoint.
    pub(super) fn judged(&mut self, verdict: Verdict) -> Settled {
        let endpoint = self.endpoint();
        self.faults = 0;
        // A second attempt never weakens what the first one proved.
        if let Some(earlier) = self.earlier.take_if(|found| found.verdict.state == PortState::Open)
        {
            let later = Finding { endpoint, verdict };
            let Finding { endpoint, verdict } = later.or_stronger(*earlier);
            return Settled::Outcome(Some(endpoint), verdict);
        }
        let is_alone = self.endpoints() == 1 && self.earlier.is_none();
        // Nearly all checks end here, without an allocation.
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
        if (self.current as usize) < self.endpoints() {
            return Settled::NextAddress;
        }
        self.current = 0;
        self.end_round()
    }

    /// Keeps the verdict on the current endpoint and returns when to look again, if another attempt may
    /// prove more. Returns `None` if it can't, or was made before.
    pub(super) fn look_again(
        &mut self,
        verdict: &Verdict,
        speak_first: SpeakFirst,
    ) -> Option<NextLook> {
        self.faults = 0;
        let opening = self.other_opening(verdict, speak_first);
        let other_keys = verdict.other_host_keys();
        let asks_for_keys = self.purpose == Purpose::Target;
        let again = match verdict.service {
            Some(Service::Ssh) if asks_for_keys && !other_keys.is_empty() => {
                NextLook::AfterKeyPause
            }
            Some(Service::SshThrottled) if !self.throttled => NextLook::AfterRest,
            Some(Service::ClosedEarly) if self.may_postpone() => NextLook::Later,
            _ if opening.is_some() => NextLook::Now,
            _ => return None,
        };
        self.opening = opening.unwrap_or(self.opening);
        if again == NextLook::AfterKeyPause {
            self.known_keys = other_keys.complement();
        }
        self.throttled |= again == NextLook::AfterRest;
        self.postponed |= again == NextLook::Later;
        let found = Finding { endpoint: self.endpoint(), verdict: verdict.clone() };
        self.earlier = Some(Box::new(match self.earlier.take() {
            Some(earlier) => found.or_stronger(*earlier),
            None => found,
        }));
        Some(again)
    }

    /// Returns whether a server that closed early may be tried again. It needs retries.
    fn may_postpone(&self) -> bool {
        !self.postponed && self.retries_made + self.retries_left > 0
    }

    /// Returns the opening with which a second connection may prove more.
    fn other_opening(&self, verdict: &Verdict, speak_first: SpeakFirst) -> Option<Opening> {
        let may_introduce = speak_first == SpeakFirst::Auto;
        match self.opening {
            // The server speaks ssh, so the port does not matter.
            Opening::Listen if verdict.is_spoiled() && may_introduce => Some(Opening::Introduce),
            Opening::Listen if verdict.is_spoiled() => Some(Opening::OnlyListen),
            Opening::Listen if verdict.may_await_client() && may_introduce => {
                (!PRINTER_PORTS.contains(&self.target.port)).then_some(Opening::Introduce)
            }
            _ => None,
        }
    }

    /// Returns which side speaks first in the next attempt.
    pub(super) fn opening(&self) -> Opening {
        self.opening
    }

    /// Returns the types of host keys that the next attempt does not ask for.
    pub(super) fn known_keys(&self) -> KeyTypes {
        self.known_keys
    }

    /// Ends the check with the previous round's verdict, although addresses may be untried.
    pub(super) fn give_up(&mut self) -> Settled {
        if self.kept_doubt > 0 {
            self.round = Coverage::Part;
        }
        self.conclude()
    }

    /// Ends the check with the previous round's verdict.
    pub(super) fn conclude(&mut self) -> Settled {
        self.retries_left = 0;
        self.best = None;
        self.end_round()
    }

    fn end_round(&mut self) -> Settled {
        // An attempt that could not be made does not replace an earlier verdict, and neither does one
        // on the rest of a name's addresses that is less doubtful.
        let replaces =
            |best: &Finding| was_made(&best.verdict) && doubt(&best.verdict) >= self.kept_doubt;
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

    /// Returns whether a target with this verdict is tried again.
    fn may_retry(&self, verdict: &Verdict) -> bool {
        verdict.state == PortState::Filtered && self.retries_left > 0
    }

    /// Uncounts an attempt that this machine could not begin or complete.
    pub(super) fn uncount_attempt(&mut self) {
        self.attempts -= 1;
    }

    /// Returns the name if it was not looked up yet.
    pub(super) fn unresolved_name(&self) -> Option<Arc<str>> {
        match (&self.endpoints, &self.target.host) {
            (Endpoints::Own, Host::Name(name)) => Some(Arc::clone(name)),
            _ => None,
        }
    }

    /// Counts a fault of this machine. Returns how long to wait before the next attempt, `None` after
    /// [`FAULTS_MAX`] faults in a row.
    pub(super) fn fault(&mut self) -> Option<Duration> {
        self.faults += 1;
        let again = self.faults < FAULTS_MAX;
        again.then(|| PAUSE_MAX.min(PAUSE * 2_u32.pow(u32::from(self.faults) - 1)))
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

/// Returns whether this machine has made the attempt of this verdict.
pub(super) fn was_made(verdict: &Verdict) -> bool {
    verdict.state != PortState::Unchecked || verdict.reason == Reason::UnknownRefusal
}

/// Returns how doubtful a verdict is; of several addresses the most doubtful verdict is reported. An
/// address that this machine lacked the resources to try may be open. One that it has no route to does
/// not count.
fn doubt(verdict: &Verdict) -> u8 {
    match (verdict.reason, verdict.state) {
        (
            Reason::Fault(_)
            | Reason::HostTimeout
            | Reason::LookupFailed
            | Reason::UnknownRefusal
            | Reason::ProxyUnreachable
            | Reason::ProxyLogin
            | Reason::ProxyFailed,
            _,
        ) => 3,
        (_, PortState::Filtered) => 2,
        (_, PortState::Closed) => 1,
        _ => 0,
    }
}
