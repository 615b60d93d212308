//! What starts next, and when. Pure: `now` comes in, the next wake-up goes out.
//!
//! It lives in one place, the coordinator, whatever the method: the total in flight, the rate,
//! the share of a host, retries, faults of this machine, and the walk over a name's addresses.
//! Workers only do what they are told to start, at once.
//!
//! Invariant: every target that is added gets exactly one outcome, or is counted as left when the
//! run is stopped.
//!
//! Invariant: what is held here is bounded: [`READY_MAX`] targets that may start, the window in
//! flight, [`hosts::WAITING_MAX`] waiting for their host (fewer where memory is scarce),
//! [`names::WAITING_MAX`] for their name, the addresses of [`EXPANDING_MAX`] names of which each is a
//! target of its own (and of those that are being looked up), [`RETRIES_MAX`] for another attempt,
//! [`later::WAITING_MAX`] for another look, [`PAUSES_MAX`] (and those of their names) for this machine
//! to recover, and [`OUTCOMES_MAX`] that ended without a start, and as many without an outcome.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use slab::Slab;

use crate::{
    attempt::Opening,
    clock::Instant,
    config::{Addresses, SpeakFirst},
    outcome::{Account, Conclusion, Fault, Outcome, PortState, Reason, Service, Throttle, Verdict},
    positions::{MissingPositions, OutcomeCount, Positions},
    targets::{Excludes, Host, Target},
};

mod backlog;
mod check;
mod each;
mod hosts;
mod later;
mod lookups;
mod loss;
mod names;
mod pacer;
mod window;

use self::{
    backlog::Waiting,
    check::{Check, LookAgain, Settled},
    each::Each,
    hosts::{Admission, Hosts},
    later::Later,
    loss::{Loss, Losses},
    names::Names,
    pacer::Pacer,
    window::Window,
};

pub(crate) use names::{
    Found, Lookup, LookupError, Missing, OUT_OF_ORDER, Question, Scope, again_after, has_failed,
    or_earlier,
};

/// Targets that may start as soon as the pace and the window allow.
const READY_MAX: usize = 2048;
/// Targets that wait for another attempt. As many starts later the first of them is due.
const RETRIES_MAX: usize = 65_536;
/// Targets that wait after a fault of this machine.
const PAUSES_MAX: usize = 1024;
/// Names whose addresses become targets of their own before no more names are looked up.
const EXPANDING_MAX: usize = 64;
/// Outcomes that wait to be taken before no more targets are.
const OUTCOMES_MAX: usize = 4096;
/// How long a filtered target waits for another attempt at most.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How long nothing starts after a fault: what was short is given back within milliseconds.
const HOLD: Duration = Duration::from_millis(10);

/// Which of the schedule's checks a start or a conclusion belongs to. Given again once the check
/// has its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CheckId(pub(crate) usize);

/// Permission to begin an attempt now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) id: CheckId,
    pub(crate) endpoint: SocketAddr,
    pub(crate) opening: Opening,
}

/// The end of an attempt that was started.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) id: CheckId,
    pub(crate) conclusion: Conclusion,
}

/// What a schedule goes by.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Attempts open at the same time, at most.
    pub(crate) in_flight: usize,
    /// New connections a second; `None`: any number.
    pub(crate) rate: Option<NonZeroU32>,
    /// Attempts open towards one address; `None`: any number.
    pub(crate) per_host: Option<NonZeroU32>,
    /// How long an address may be busy without a break; `None`: as long as it takes.
    pub(crate) host_timeout: Option<Duration>,
    /// Targets for which there is memory while they wait.
    pub(crate) waiting: usize,
    /// More attempts for a filtered target; with none, a server that hangs up without a word is not
    /// tried once more either.
    pub(crate) retries: u32,
    /// Whether a port that is silent, or answers an empty line, gets a second connection on which we
    /// speak first.
    pub(crate) speak_first: SpeakFirst,
    /// Which addresses of a name are checked.
    pub(crate) addresses: Addresses,
    /// What is never connected to.
    pub(crate) excludes: Arc<Excludes>,
    /// What becomes of targets that wait for another attempt when the run is stopped.
    pub(crate) stopped: Stopped,
}

/// What becomes of targets that wait for another attempt when a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stopped {
    /// They end with the verdict they have.
    #[default]
    Judged,
    /// They are left to a run that goes on.
    Left,
}

/// Whether more targets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intake {
    Open,
    Ended,
    Stopped,
}

#[derive(Debug)]
struct Retry {
    id: CheckId,
    at: Instant,
    after_start: u64,
}

/// The schedule of one run.
#[derive(Debug)]
pub(crate) struct Schedule {
    retries: u32,
    speak_first: SpeakFirst,
    addresses: Addresses,
    excludes: Arc<Excludes>,
    stopped: Stopped,
    losses: Losses,
    pacer: Pacer,
    window: Window,
    /// Those who make the attempts have more than they have begun.
    backlogged: bool,
    /// Of those in flight as many are not begun yet.
    queued: usize,
    hosts: Hosts,
    names: Names,
    checks: Slab<Check>,
    ready: VecDeque<CheckId>,
    /// Addresses of names that become targets of their own.
    expanding: VecDeque<Each>,
    retry_queue: VecDeque<Retry>,
    later: Later,
    pauses: BinaryHeap<Reverse<(Instant, CheckId)>>,
    /// Nothing starts before.
    hold: Instant,
    in_flight: usize,
    peak_in_flight: usize,
    starts: u64,
    intake: Intake,
    /// Of the targets to come.
    positions: MissingPositions,
    outcomes: Vec<Outcome>,
    odd: Vec<OutcomeCount>,
    account: Account,
    wall_start: SystemTime,
}

impl Schedule {
    /// A schedule without targets; `wall_start` is what the wall clock said at
    /// [`Instant::START`].
    pub(crate) fn new(policy: Policy, wall_start: SystemTime) -> Self {
        Self {
            retries: policy.retries,
            speak_first: policy.speak_first,
            addresses: policy.addresses,
            excludes: policy.excludes,
            stopped: policy.stopped,
            losses: Losses::default(),
            pacer: Pacer::new(policy.rate),
            window: Window::new(policy.in_flight),
            backlogged: false,
            queued: 0,
            hosts: Hosts::new(policy.per_host, policy.host_timeout, policy.waiting),
            names: Names::default(),
            checks: Slab::new(),
            ready: VecDeque::new(),
            expanding: VecDeque::new(),
            retry_queue: VecDeque::new(),
            later: Later::new(policy.waiting),
            pauses: BinaryHeap::new(),
            hold: Instant::START,
            in_flight: 0,
            peak_in_flight: 0,
            starts: 0,
            intake: Intake::Open,
            positions: Positions::new().missing(),
            outcomes: Vec::new(),
            odd: Vec::new(),
            account: Account::default(),
            wall_start,
        }
    }

    /// The same, whose targets have the positions that are not settled.
    pub(crate) fn resuming(self, settled: &Positions) -> Self {
        Self { positions: settled.missing(), ..self }
    }

    /// Whether another target may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.intake == Intake::Open
            && self.expanding.is_empty()
            && !self.names.is_full()
            && self.may_expand()
    }

    /// Whether there is room for what is not in the queue of a name.
    fn may_expand(&self) -> bool {
        self.ready.len() < READY_MAX
            && self.retry_queue.len() < RETRIES_MAX
            && self.pauses.len() < PAUSES_MAX
            && self.outcomes.len() < OUTCOMES_MAX
            && self.odd.len() < OUTCOMES_MAX
            && !self.later.is_full()
            && !self.hosts.is_full()
    }

    /// Adds a target.
    pub(crate) fn add(&mut self, target: Target, now: Instant) {
        self.account.targets += 1;
        let (host, port) = (target.host.clone(), target.port);
        let position = self.positions.next().unwrap_or(u64::MAX);
        let id = CheckId(self.checks.insert(Check::new(target, position, self.retries)));
        match host {
            _ if port == 0 => self.end(id, PortState::Unchecked, Reason::PortZero, now),
            Host::Address(address) => self.resolved(id, SocketAddr::new(address, 0), now),
            Host::Name(name) if self.excludes.contains_name(&name, port) => self.exclude(id),
            Host::Name(name) => self.look_up(id, &name, now),
        }
    }

    /// No more targets come.
    pub(crate) fn input_ended(&mut self) {
        if self.intake == Intake::Open {
            self.intake = Intake::Ended;
        }
    }

    /// Starts nothing more. What waits for another attempt ends with the verdict it has, unless it
    /// is to be left to a run that goes on; all else that has not started is left.
    pub(crate) fn stop(&mut self, now: Instant) {
        self.intake = Intake::Stopped;
        if !self.gives_up() {
            return;
        }
        let given_up = self.checks.iter().filter(|(_, check)| check.may_give_up());
        let given_up: Vec<_> = given_up.map(|(id, _)| CheckId(id)).collect();
        for id in given_up {
            self.give_up(id, now);
        }
        while let Some(check) = self.later.pop() {
            let id = CheckId(self.checks.insert(check));
            self.give_up(id, now);
        }
    }

    /// A name that wants to be looked up, and how far. It stays wanted until [`Self::lookup_began`].
    pub(crate) fn wanted_lookup(&mut self, now: Instant) -> Option<&Question> {
        let has_room = self.expanding.len() < EXPANDING_MAX;
        if self.intake == Intake::Stopped || !has_room { None } else { self.names.wanted(now) }
    }

    /// The wanted name is being looked up.
    pub(crate) fn lookup_began(&mut self) {
        self.names.began();
    }

    /// A lookup has ended.
    pub(crate) fn lookup_ended(&mut self, question: &Question, lookup: Lookup, now: Instant) {
        if let Err(LookupError::Short(fault)) = lookup {
            self.count_fault(fault);
        }
        let Some((checks, lookup)) = self.names.answered(question, lookup, now) else {
            return;
        };
        for id in checks {
            match question.scope {
                Scope::OneFamily | Scope::Each => self.looked_up(id, &lookup, now),
                // They were given up when the run was stopped.
                Scope::BothFamilies if self.gives_up() => {}
                Scope::BothFamilies => self.rest_looked_up(id, &lookup, now),
            }
        }
    }

    /// Those who make the attempts have room for so many just now.
    pub(crate) fn set_room(&mut self, room: usize) {
        self.window.set_room(room);
    }

    /// Whether those who make the attempts are given no more before they have begun some.
    pub(crate) fn set_backlogged(&mut self, backlogged: bool) {
        self.backlogged = backlogged;
    }

    /// Of those in flight as many are not begun yet.
    pub(crate) fn set_queued(&mut self, queued: usize) {
        self.queued = queued;
    }

    /// The next attempt to begin, if one may begin now.
    pub(crate) fn next_start(&mut self, now: Instant) -> Option<Start> {
        if self.intake == Intake::Stopped || now < self.hold {
            return None;
        }
        loop {
            self.promote(now);
            if !self.window.has_room(self.in_flight) {
                return None;
            }
            let id = *self.ready.front()?;
            let endpoint = self.checks[id.0].endpoint();
            match self.hosts.admission(endpoint.ip()) {
                Admission::Admitted => {}
                Admission::Waits => {
                    self.ready.pop_front();
                    self.wait_for_host(id, endpoint.ip(), now);
                    continue;
                }
                Admission::GivenUp if self.outcomes.len() >= OUTCOMES_MAX => return None,
                Admission::GivenUp => {
                    self.ready.pop_front();
                    self.host_timed_out(id, now);
                    continue;
                }
            }
            if !self.pacer.take(now) {
                return None;
            }
            self.ready.pop_front();
            self.hosts.started(endpoint.ip(), now);
            self.checks[id.0].started();
            self.in_flight += 1;
            self.peak_in_flight = self.peak_in_flight.max(self.in_flight);
            self.starts += 1;
            let opening = self.checks[id.0].opening();
            return Some(Start { id, endpoint, opening });
        }
    }

    /// An attempt that was started has ended.
    pub(crate) fn settle(&mut self, report: Report, now: Instant) {
        let Report { id, conclusion } = report;
        self.in_flight -= 1;
        self.checks[id.0].settled();
        let host = self.checks[id.0].endpoint().ip();
        if let Some(next) = self.hosts.ended(host) {
            let next = self.check_of(next);
            self.ready.push_front(next);
        }
        match conclusion {
            Conclusion::Verdict(verdict) => {
                self.window.settled();
                self.look_again_or_judge(id, host, verdict, now);
            }
            Conclusion::Fault(fault) => self.fault(id, fault, now),
        }
        let waits_in_vain =
            self.gives_up() && self.checks.get(id.0).is_some_and(Check::may_give_up);
        if waits_in_vain {
            self.give_up(id, now);
        }
    }

    /// What became known since the last time, in that order.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome> {
        // As many may come again; growing to them would copy each once more.
        let next = Vec::with_capacity(self.outcomes.len());
        std::mem::replace(&mut self.outcomes, next)
    }

    /// What was found out about positions that do not have one outcome; it is found out before
    /// they have any.
    pub(crate) fn take_odd(&mut self) -> Vec<OutcomeCount> {
        std::mem::take(&mut self.odd)
    }

    /// When [`Self::next_start`] is worth asking again although nothing has happened; `None`:
    /// not before something happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        if self.intake == Intake::Stopped || self.backlogged {
            return None;
        }
        let pause = self.pauses.peek().map(|&Reverse((at, _))| at);
        let retry = self.retry_queue.front().map(|retry| retry.at);
        let later = self.later.next_due().filter(|_| self.ready.len() < READY_MAX);
        let host = self.hosts.wake_at(self.ready.len() < READY_MAX);
        let name = self.names.next_due().filter(|_| self.expanding.len() < EXPANDING_MAX);
        let expand = (!self.expanding.is_empty() && self.may_expand()).then_some(Instant::START);
        let pace = (!self.ready.is_empty() && self.window.has_room(self.in_flight))
            .then(|| self.pacer.ready_at());
        let next = [pause, retry, later, host, name, expand, pace].into_iter().flatten().min()?;
        Some(next.max(self.hold))
    }

    /// Whether every target has its outcome, or nothing more will happen because the run was
    /// stopped.
    pub(crate) fn is_finished(&self) -> bool {
        self.outcomes.is_empty()
            && match self.intake {
                Intake::Open => false,
                Intake::Ended => {
                    self.checks.is_empty()
                        && self.later.is_empty()
                        && self.expanding.is_empty()
                        && self.hosts.is_idle()
                }
                Intake::Stopped => self.in_flight == 0,
            }
    }

    /// The most attempts that were ever open at the same time.
    pub(crate) fn peak_in_flight(&self) -> usize {
        self.peak_in_flight
    }

    /// The sum so far.
    pub(crate) fn account(&self, now: Instant) -> Account {
        let mut account = self.account;
        account.elapsed = now.since(Instant::START);
        account.throttle = self.throttle(now);
        account.backlog = self.hosts.backlog();
        (account.in_flight_least, account.in_flight_most) = self.window.extent();
        account
    }

    /// What keeps it from starting more.
    fn throttle(&self, now: Instant) -> Option<Throttle> {
        let is_full = !self.window.has_room(self.in_flight);
        match () {
            () if self.intake == Intake::Stopped => None,
            () if now < self.hold => Some(Throttle::Faults),
            () if self.backlogged => Some(Throttle::Machine),
            () if is_full && self.window.is_short_of_workers() => Some(Throttle::Workers),
            () if is_full && self.window.is_shrunk_by_loss() => Some(Throttle::Loss),
            () if is_full && self.window.is_shrunk() => Some(Throttle::Faults),
            () if is_full => Some(Throttle::InFlight),
            () if !self.ready.is_empty() => Some(Throttle::Rate),
            () if self.hosts.has_resting() && !self.hosts.is_idle() => Some(Throttle::Throttled),
            () if !self.hosts.is_idle() => Some(Throttle::PerHost),
            () if !self.names.is_idle() => Some(Throttle::Names),
            () if !self.retry_queue.is_empty() || self.later.is_full() => Some(Throttle::Retries),
            () if self.intake == Intake::Open => Some(Throttle::Input),
            () if !self.later.is_empty() => Some(Throttle::Retries),
            () => None,
        }
    }

    /// Moves what is due to the targets that may start.
    fn promote(&mut self, now: Instant) {
        while let Some(&Reverse((at, id))) = self.pauses.peek()
            && at <= now
        {
            self.pauses.pop();
            match self.checks[id.0].unresolved_name() {
                Some(name) => self.look_up(id, &name, now),
                None => self.ready.push_front(id),
            }
        }
        if !self.expanding.is_empty() {
            self.expand(now);
        }
        self.hosts.advance(now);
        while self.ready.len() < READY_MAX
            && let Some(waiting) = self.hosts.pop_rested()
        {
            let id = self.check_of(waiting);
            self.ready.push_back(id);
        }
        while self.outcomes.len() < OUTCOMES_MAX
            && let Some(waiting) = self.hosts.pop_abandoned()
        {
            let id = self.check_of(waiting);
            self.host_timed_out(id, now);
        }
        while let Some(retry) = self.retry_queue.front()
            && (retry.at <= now || retry.after_start <= self.starts || self.nothing_else_is_left())
        {
            self.ready.push_back(retry.id);
            self.retry_queue.pop_front();
        }
        while self.ready.len() < READY_MAX
            && let Some(check) = self.later.pop_due(now)
        {
            self.ready.push_back(CheckId(self.checks.insert(check)));
        }
    }

    /// A check waits for its host: as it is, or in less memory.
    fn wait_for_host(&mut self, id: CheckId, host: IpAddr, now: Instant) {
        if self.checks[id.0].has_begun() {
            return self.hosts.wait_begun(host, id, now);
        }
        let fresh = self.checks.remove(id.0).into_fresh();
        self.hosts.wait(host, fresh, now);
    }

    /// A check that waited for its host.
    fn check_of(&mut self, waiting: Waiting) -> CheckId {
        match waiting {
            Waiting::Begun(id) => id,
            Waiting::Fresh(fresh) => {
                CheckId(self.checks.insert(Check::from_fresh(fresh, self.retries)))
            }
        }
    }

    /// Ends a check whose host has had its time: with the verdict that it has, or without one.
    fn host_timed_out(&mut self, id: CheckId, now: Instant) {
        if self.checks[id.0].may_give_up() {
            return self.give_up(id, now);
        }
        let (state, reason) = (PortState::Unchecked, Reason::HostTimeout);
        self.judge(id, Verdict::unconnected(state, reason, Duration::ZERO), now);
    }

    fn nothing_else_is_left(&self) -> bool {
        self.intake == Intake::Ended
            && self.ready.is_empty()
            && self.expanding.is_empty()
            && self.pauses.is_empty()
            && self.hosts.is_idle()
            && self.names.is_idle()
    }

    /// Takes a verdict, unless another look at the endpoint may prove more.
    fn look_again_or_judge(&mut self, id: CheckId, host: IpAddr, verdict: Verdict, now: Instant) {
        let is_hopeless =
            verdict.service == Some(Service::SshThrottled) && !self.hosts.throttled(host, now);
        let again = if self.gives_up() || is_hopeless {
            None
        } else {
            self.checks[id.0].look_again(&verdict, self.speak_first)
        };
        match again {
            Some(LookAgain::Now) => self.ready.push_back(id),
            Some(LookAgain::AfterRest) => self.hosts.wait_begun(host, id, now),
            Some(LookAgain::Later) => self.later.push(self.checks.remove(id.0), now),
            None => self.judge(id, verdict, now),
        }
    }

    fn judge(&mut self, id: CheckId, verdict: Verdict, now: Instant) {
        match self.checks[id.0].judged(verdict) {
            Settled::NextAddress => self.ready.push_front(id),
            Settled::Retry if !self.gives_up() => self.retry_queue.push_back(Retry {
                id,
                at: now.after(RETRY_AFTER),
                after_start: self.starts + RETRIES_MAX as u64,
            }),
            Settled::Retry => self.give_up(id, now),
            Settled::Outcome(Some(endpoint), verdict)
                if matches!(verdict.state, PortState::Closed | PortState::Filtered)
                    && !self.gives_up() =>
            {
                match self.checks[id.0].half_resolved_name() {
                    Some(name) => {
                        self.checks[id.0].keep(endpoint, verdict);
                        self.look_up_rest(id, name, now);
                    }
                    None => self.finish(id, Some(endpoint), verdict, now),
                }
            }
            Settled::Outcome(endpoint, verdict) => self.finish(id, endpoint, verdict, now),
        }
    }

    /// Whether no target gets another attempt.
    fn gives_up(&self) -> bool {
        self.intake == Intake::Stopped && self.stopped == Stopped::Judged
    }

    /// Ends a check with the verdict that it has.
    fn give_up(&mut self, id: CheckId, now: Instant) {
        if let Settled::Outcome(endpoint, verdict) = self.checks[id.0].give_up() {
            self.finish(id, endpoint, verdict, now);
        }
    }

    fn fault(&mut self, id: CheckId, fault: Fault, now: Instant) {
        self.checks[id.0].not_begun();
        self.window.fault(self.in_flight.saturating_sub(self.queued));
        self.count_fault(fault);
        if !self.pause(id, now) {
            let reason = Reason::Fault(fault);
            self.judge(id, Verdict::unconnected(PortState::Unchecked, reason, Duration::ZERO), now);
        }
    }

    /// Slows down when retries find much of what was lost, and recovers when they find nothing.
    fn adapt(&mut self, found_on_retry: bool) {
        match self.losses.add(found_on_retry) {
            Some(Loss::TooMuch) => {
                self.pacer.slower();
                self.window.slower();
                self.account.slowed += 1;
            }
            Some(Loss::None) => self.pacer.faster(),
            None => {}
        }
    }

    /// Gives this machine time to get back what it was short of; false when the check has had its
    /// share of that.
    fn pause(&mut self, id: CheckId, now: Instant) -> bool {
        self.hold = now.after(HOLD);
        let pause = self.checks[id.0].fault();
        self.pauses.extend(pause.map(|pause| Reverse((now.after(pause), id))));
        pause.is_some()
    }

    fn count_fault(&mut self, fault: Fault) {
        self.account.faults += 1;
        self.account.last_fault = Some(fault);
    }

    /// Ends a check for which no connection was tried.
    fn end(&mut self, id: CheckId, state: PortState, reason: Reason, now: Instant) {
        self.finish(id, None, Verdict::unconnected(state, reason, Duration::ZERO), now);
    }

    fn finish(
        &mut self,
        id: CheckId,
        endpoint: Option<SocketAddr>,
        verdict: Verdict,
        now: Instant,
    ) {
        let check = self.checks.remove(id.0);
        let verdict = match verdict.reason {
            Reason::Refused if check.is_in_part() => {
                Verdict { reason: Reason::RefusedInPart, ..verdict }
            }
            _ => verdict,
        };
        self.account.add(&verdict);
        let found_on_retry = verdict.state == PortState::Open && check.was_retried();
        self.account.found_on_retry += u64::from(found_on_retry);
        // At the end there are only retries, and all that was lost is found in one period.
        if self.intake == Intake::Open {
            self.adapt(found_on_retry);
        }
        // Which of the name's addresses it is, only the endpoint tells.
        let is_one_of_many = self.addresses == Addresses::Each;
        self.outcomes.push(Outcome {
            endpoint: endpoint.filter(|_| check.attempts() > 0 || is_one_of_many),
            attempts: check.attempts(),
            position: check.position(),
            target: check.into_target(),
            verdict,
            time: now.wall_time(self.wall_start),
        });
    }
}

#[cfg(test)]
mod tests;
