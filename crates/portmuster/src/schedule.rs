//! The schedule decides which attempt starts next, and when.
//!
//! It is pure: the time comes in as `now`, and the next wake-up goes out. There is one schedule per
//! run, in the coordinator, whatever the method. It applies the limits on attempts in flight, rate
//! and attempts per host, and handles retries, faults of this machine and the addresses of a name.
//! Workers begin each start at once.
//!
//! Invariant: every target that is added gets exactly one outcome, or is counted as left when the
//! run is stopped.
//!
//! Invariant: every queue is bounded: [`READY_MAX`] targets that may start, the window in flight, as many
//! that have not answered as [`blocks`] store,
//! [`hosts::WAITING_MAX`] that wait for their host (fewer if little memory is free),
//! [`names::WAITING_MAX`] that wait for a lookup, the addresses of [`EXPANDING_MAX`] names whose
//! addresses are targets of their own (and of names in lookup), [`later::WAITING_MAX`] that are postponed, [`PAUSES_MAX`] (and the targets of their names) that wait
//! for this machine to recover, [`OUTCOMES_MAX`] outcomes without a start, and as many outcome counts.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use slab::Slab;

use crate::{
    clock::Instant,
    config::{Addresses, Patience, SpeakFirst},
    outcome::{
        Account, Conclusion, Fault, Outcome, PortState, Reason, Service, SynLoss, Throttle, Verdict,
    },
    positions::{MissingPositions, OutcomeCount, Positions},
    targets::{Excludes, Host, Target},
};

mod backlog;
mod blocks;
mod check;
mod each;
mod hosts;
mod later;
mod lookups;
mod loss;
mod names;
mod network;
mod new_check;
mod pacer;
mod passes;
mod patience;
mod policy;
mod route;
mod silent;
mod start;
mod stratum;
mod window;

use self::{
    backlog::Waiting,
    blocks::Blocks,
    check::{Check, KEY_PAUSE, NextLook, Purpose, Settled, Wait, was_made},
    each::AddressTargets,
    hosts::{Admission, Hosts},
    later::Later,
    loss::{Loss, Losses},
    names::Names,
    network::ByNetwork,
    pacer::Pacer,
    patience::PatiencePolicy,
    window::Window,
};

pub(crate) use blocks::BlockPolicy;
pub use blocks::SilentState;
pub(crate) use policy::{Policy, Stopped};
pub(crate) use route::Route;
pub(crate) use start::{CheckId, Report, Start};

pub(crate) use names::{
    Found, Lookup, LookupError, Missing, OUT_OF_ORDER, Question, Scope, again_after, has_failed,
    or_earlier,
};

/// The most targets that are ready to start as soon as rate and window allow.
const READY_MAX: usize = 2048;
/// The most targets that wait after a fault of this machine.
const PAUSES_MAX: usize = 1024;
/// The most names whose addresses are becoming targets of their own; beyond it no lookup starts.
const EXPANDING_MAX: usize = 64;
/// The most outcomes that wait to be taken; beyond it no target is added.
const OUTCOMES_MAX: usize = 4096;
/// The time between the starts of two attempts on a target that does not answer, unless attempts keep
/// the whole timeout. So one burst of loss, a rate limit or a late ARP answer does not affect both.
const SPACING: Duration = Duration::from_secs(5);
/// How long nothing starts after a fault. A resource that ran out is often free again within
/// milliseconds.
const HOLD: Duration = Duration::from_millis(10);

/// Whether more targets may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intake {
    Open,
    Ended,
    Stopped,
}

/// The schedule of one run.
#[derive(Debug)]
pub(crate) struct Schedule {
    retries: u32,
    speak_first: SpeakFirst,
    addresses: Addresses,
    excludes: Arc<Excludes>,
    /// The host keys that are known; `None`: those of servers are not compared.
    #[cfg(feature = "host-keys")]
    known_keys: Option<Arc<crate::outcome::KnownKeys>>,
    stopped: Stopped,
    route: Route,
    losses: Losses,
    /// The SYNs that were lost on the way to each network.
    syn_losses: ByNetwork<SynLoss>,
    patience: PatiencePolicy,
    /// The time between the starts of two attempts on a target that does not answer.
    spacing: Duration,
    /// Nothing starts before this time in a run that was resumed.
    begin: Instant,
    pacer: Pacer,
    window: Window,
    /// Whether the executor has a full backlog.
    backlogged: bool,
    /// How many attempts in flight the executor has not begun.
    queued: usize,
    hosts: Hosts,
    names: Names,
    checks: Slab<Check>,
    ready: VecDeque<CheckId>,
    /// Names whose addresses are becoming targets of their own.
    expanding: VecDeque<AddressTargets>,
    blocks: Blocks,
    later: Later,
    pauses: BinaryHeap<Reverse<(Instant, CheckId)>>,
    /// Nothing starts before this time.
    hold: Instant,
    in_flight: usize,
    peak_in_flight: usize,
    starts: u64,
    intake: Intake,
    /// The positions of the targets to be added.
    positions: MissingPositions,
    outcomes: Vec<Outcome>,
    outcome_counts: Vec<OutcomeCount>,
    account: Account,
    wall_start: SystemTime,
}

impl Schedule {
    /// Creates a schedule without targets. `wall_start` is the wall clock's time at
    /// [`Instant::START`].
    pub(crate) fn new(policy: Policy, wall_start: SystemTime) -> Self {
        let spacing = match policy.patience {
            Patience::Adaptive => SPACING,
            Patience::Full => Duration::ZERO,
        };
        Self {
            retries: policy.retries,
            speak_first: policy.speak_first,
            addresses: policy.addresses,
            excludes: policy.excludes,
            #[cfg(feature = "host-keys")]
            known_keys: None,
            stopped: policy.stopped,
            route: policy.route,
            losses: Losses::default(),
            syn_losses: ByNetwork::default(),
            patience: PatiencePolicy::new(
                policy.patience,
                policy.timeout,
                policy.retries,
                policy.blocks.seed,
            ),
            spacing,
            begin: Instant::START,
            pacer: Pacer::new(policy.rate),
            window: Window::new(policy.in_flight),
            backlogged: false,
            queued: 0,
            hosts: Hosts::new(policy.per_host, policy.host_timeout, policy.waiting),
            names: Names::default(),
            checks: Slab::new(),
            ready: VecDeque::new(),
            expanding: VecDeque::new(),
            // An attempt with a longer timeout is spread over as much time itself.
            blocks: Blocks::new(policy.blocks, spacing.saturating_sub(policy.timeout)),
            later: Later::new(policy.waiting),
            pauses: BinaryHeap::new(),
            hold: Instant::START,
            in_flight: 0,
            peak_in_flight: 0,
            starts: 0,
            intake: Intake::Open,
            positions: Positions::new().missing(),
            outcomes: Vec::new(),
            outcome_counts: Vec::new(),
            account: Account::default(),
            wall_start,
        }
    }

    /// Numbers the targets with the positions that are not in `settled`.
    pub(crate) fn resuming(self, settled: &Positions) -> Self {
        Self { positions: settled.missing(), ..self }
    }

    /// Continues with what an earlier process knew of targets that have not answered.
    pub(crate) fn resuming_silent(self, state: SilentState, settled: &Positions) -> Self {
        // The last attempts of the earlier process may have been made just now.
        let spacing = if state.has_tried() { self.spacing } else { Duration::ZERO };
        let begin = Instant::START.after(spacing);
        Self { blocks: self.blocks.restore(state, settled), begin, ..self }
    }

    /// Returns whether another target may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.intake == Intake::Open
            && self.expanding.is_empty()
            && !self.names.is_full()
            && self.blocks.has_room()
            && self.may_expand()
    }

    /// Returns whether every queue has room, other than those of names.
    fn may_expand(&self) -> bool {
        self.ready.len() < READY_MAX
            && self.pauses.len() < PAUSES_MAX
            && self.outcomes.len() < OUTCOMES_MAX
            && self.outcome_counts.len() < OUTCOMES_MAX
            && !self.later.is_full()
            && !self.hosts.is_full()
    }

    /// Adds a target. There must be [room](Self::has_room).
    pub(crate) fn add(&mut self, target: Target, now: Instant) {
        self.account.targets += 1;
        let (host, port) = (target.host.clone(), target.port);
        let position = self.positions.next().unwrap_or(u64::MAX);
        let id = CheckId(self.checks.insert(Check::new(target, position, self.retries)));
        let role = self.blocks.add(position, now);
        self.continue_check(id, role);
        match host {
            _ if port == 0 => self.end(id, PortState::Unchecked, Reason::PortZero, now),
            Host::Address(address) => self.resolved(id, SocketAddr::new(address, 0), now),
            Host::Name(name) if self.excludes.contains_name(&name, port) => self.exclude(id),
            Host::Name(name) if self.route == Route::ProxyWithNames => self.leave_name(id, &name),
            Host::Name(name) => self.look_up(id, &name, now),
        }
    }

    /// Records that there are no more targets.
    pub(crate) fn input_ended(&mut self) {
        if self.intake == Intake::Open {
            self.intake = Intake::Ended;
            self.blocks.input_ended();
        }
    }

    /// Stops the schedule: nothing starts any more. Targets that wait for another attempt end as the
    /// policy says; targets without an attempt are left.
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
        self.blocks.give_up();
        while let Some(check) = self.later.pop() {
            let id = CheckId(self.checks.insert(check));
            self.give_up(id, now);
        }
    }

    /// Returns a name to look up, and which of its addresses. Returns the same name until
    /// [`Self::lookup_began`] is called.
    pub(crate) fn wanted_lookup(&mut self, now: Instant) -> Option<&Question> {
        let has_room = self.expanding.len() < EXPANDING_MAX;
        if self.intake == Intake::Stopped || !has_room { None } else { self.names.wanted(now) }
    }

    /// Records that the lookup of the wanted name has begun.
    pub(crate) fn lookup_began(&mut self) {
        self.names.began();
    }

    /// Handles the result of a lookup.
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
                // The checks ended when the run was stopped.
                Scope::BothFamilies if self.gives_up() => {}
                Scope::BothFamilies => self.rest_looked_up(id, &lookup, now),
            }
        }
    }

    /// Sets the executor's current capacity.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.window.set_capacity(capacity);
    }

    /// Sets whether the executor has a full backlog, so that it must begin attempts before more start.
    pub(crate) fn set_backlogged(&mut self, backlogged: bool) {
        self.backlogged = backlogged;
    }

    /// Sets how many attempts in flight the executor has not begun.
    pub(crate) fn set_queued(&mut self, queued: usize) {
        self.queued = queued;
    }

    /// Returns the next attempt, if one may begin now.
    pub(crate) fn next_start(&mut self, now: Instant) -> Option<Start> {
        if self.intake == Intake::Stopped || now < self.hold.max(self.begin) {
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
                Admission::TimedOut if self.outcomes.len() >= OUTCOMES_MAX => return None,
                Admission::TimedOut => {
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
            self.in_flight += 1;
            self.peak_in_flight = self.peak_in_flight.max(self.in_flight);
            self.starts += 1;
            let patience = self.patience_for(id, endpoint.ip());
            let opening = self.checks[id.0].opening();
            let wait = if patience.is_none() { Wait::WholeTimeout } else { Wait::Less };
            self.checks[id.0].started(wait);
            let known_keys = self.checks[id.0].known_keys();
            let name = self.name_for_proxy(id);
            return Some(Start { id, endpoint, name, opening, patience, known_keys });
        }
    }

    /// Sets the host keys that are known.
    #[cfg(feature = "host-keys")]
    pub(crate) fn knowing_keys(self, known_keys: Option<Arc<crate::outcome::KnownKeys>>) -> Self {
        Self { known_keys, ..self }
    }

    /// Handles the end of an attempt.
    pub(crate) fn settle(&mut self, report: Report, now: Instant) {
        let Report { id, conclusion } = report;
        self.in_flight -= 1;
        self.checks[id.0].settled();
        let host = self.checks[id.0].endpoint().ip();
        if let Some(next) = self.hosts.ended(host) {
            let next = self.restore(next);
            self.ready.push_front(next);
        }
        match conclusion {
            Conclusion::Verdict(verdict) => {
                self.window.settled();
                self.learn(id, host, &verdict);
                if self.checks[id.0].purpose() == Purpose::Control {
                    return self.finish(id, None, verdict, now);
                }
                self.judge_or_look_again(id, host, verdict, now);
            }
            Conclusion::Fault(fault) => self.fault(id, fault, now),
        }
        let is_given_up = self.gives_up() && self.checks.get(id.0).is_some_and(Check::may_give_up);
        if is_given_up {
            self.give_up(id, now);
        }
    }

    /// Returns the outcomes since the last call, in the order in which they became known.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome> {
        self.give_out_ended();
        // Sized for as many again, because growing would copy each outcome once more.
        let next = Vec::with_capacity(self.outcomes.len());
        std::mem::replace(&mut self.outcomes, next)
    }

    /// Returns the outcome counts since the last call: of positions that do not have exactly one
    /// outcome. A count is returned no later than the position's first outcome.
    pub(crate) fn take_outcome_counts(&mut self) -> Vec<OutcomeCount> {
        std::mem::take(&mut self.outcome_counts)
    }

    /// Returns when to call [`Self::next_start`] again if nothing happens before; `None` if not before
    /// something happens.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        if self.intake == Intake::Stopped || self.backlogged {
            return None;
        }
        let pause = self.pauses.peek().map(|&Reverse((at, _))| at);
        let has_ready_room = self.ready.len() < READY_MAX;
        let block = self.blocks.next_due(self.ready.is_empty()).filter(|_| has_ready_room);
        let ended = self.blocks.has_ended().then_some(Instant::START);
        let later = self.later.next_due().filter(|_| has_ready_room);
        let host = self.hosts.next_timeout(has_ready_room);
        let name = self.names.next_due().filter(|_| self.expanding.len() < EXPANDING_MAX);
        let expand = (!self.expanding.is_empty() && self.may_expand()).then_some(Instant::START);
        let pace = (!self.ready.is_empty() && self.window.has_room(self.in_flight))
            .then(|| self.pacer.ready_at());
        let next =
            [pause, block, ended, later, host, name, expand, pace].into_iter().flatten().min()?;
        Some(next.max(self.hold).max(self.begin))
    }

    /// Returns whether every target has its outcome, or the stopped run has nothing in flight.
    pub(crate) fn is_finished(&self) -> bool {
        self.outcomes.is_empty()
            && match self.intake {
                Intake::Open => false,
                Intake::Ended => {
                    self.checks.is_empty()
                        && self.later.is_empty()
                        && self.expanding.is_empty()
                        && self.hosts.is_idle()
                        && self.blocks.is_empty()
                }
                Intake::Stopped => self.in_flight == 0 && !self.blocks.has_ended(),
            }
    }

    /// Returns the largest number of attempts that were in flight.
    pub(crate) fn peak_in_flight(&self) -> usize {
        self.peak_in_flight
    }

    /// Returns the account of the targets so far.
    pub(crate) fn account(&self, now: Instant) -> Account {
        let mut account = self.account;
        account.elapsed = now.since(Instant::START);
        account.throttle = self.throttle(now);
        account.backlog = self.hosts.backlog();
        account.passes = self.blocks.progress();
        (account.passes.started, account.passes.patience) = (self.starts, self.patience.usual());
        (account.in_flight_least, account.in_flight_most) = self.window.extent();
        account
    }

    /// Returns what keeps the schedule from starting more attempts.
    fn throttle(&self, now: Instant) -> Option<Throttle> {
        let is_full = !self.window.has_room(self.in_flight);
        match () {
            () if self.intake == Intake::Stopped => None,
            () if now < self.begin => Some(Throttle::Retries),
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
            () if self.later.is_full() => Some(Throttle::Retries),
            () if self.intake == Intake::Open => Some(Throttle::Input),
            () if !self.later.is_empty() || self.blocks.has_stored() => Some(Throttle::Retries),
            () => None,
        }
    }

    /// Moves targets that are due to the ready queue.
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
            let id = self.restore(waiting);
            self.ready.push_back(id);
        }
        while self.outcomes.len() < OUTCOMES_MAX
            && let Some(waiting) = self.hosts.pop_abandoned()
        {
            let id = self.restore(waiting);
            self.host_timed_out(id, now);
        }
        self.promote_blocks(now);
        while self.ready.len() < READY_MAX
            && let Some(check) = self.later.pop_due(now)
        {
            self.ready.push_back(CheckId(self.checks.insert(check)));
        }
    }

    /// Makes a check wait for its host, in as little memory as possible.
    fn wait_for_host(&mut self, id: CheckId, host: IpAddr, now: Instant) {
        if self.checks[id.0].has_begun() {
            return self.hosts.wait_begun(host, id, now);
        }
        let new = self.checks.remove(id.0).into_new();
        self.hosts.wait(host, new, now);
    }

    /// Returns the check that has waited for its host, made again if necessary.
    fn restore(&mut self, waiting: Waiting) -> CheckId {
        match waiting {
            Waiting::Begun(id) => id,
            Waiting::New(new) => CheckId(self.checks.insert(Check::from_new(new, self.retries))),
        }
    }

    /// Ends a check whose host has timed out, with the verdict that it has or as unchecked.
    fn host_timed_out(&mut self, id: CheckId, now: Instant) {
        if self.checks[id.0].may_give_up() {
            return self.give_up(id, now);
        }
        let (state, reason) = (PortState::Unchecked, Reason::HostTimeout);
        self.judge(id, Verdict::unconnected(state, reason, Duration::ZERO), now);
    }

    /// Applies a verdict, unless another attempt on the endpoint may prove more.
    fn judge_or_look_again(&mut self, id: CheckId, host: IpAddr, verdict: Verdict, now: Instant) {
        if !was_made(&verdict) && self.checks[id.0].reason().is_some() {
            // The earlier verdict stands, and its row says how many attempts it is based on.
            self.checks[id.0].uncount_attempt();
        }
        let is_hopeless =
            verdict.service == Some(Service::SshThrottled) && !self.hosts.throttled(host, now);
        let again = if self.gives_up() || is_hopeless {
            None
        } else {
            self.checks[id.0].look_again(&verdict, self.speak_first)
        };
        match again {
            Some(NextLook::Now) => self.ready.push_back(id),
            Some(NextLook::AfterRest) => self.hosts.wait_begun(host, id, now),
            Some(NextLook::AfterKeyPause) => self.pauses.push(Reverse((now.after(KEY_PAUSE), id))),
            Some(NextLook::Later) => self.later.push(self.checks.remove(id.0), now),
            None => self.judge(id, verdict, now),
        }
    }

    fn judge(&mut self, id: CheckId, verdict: Verdict, now: Instant) {
        if !was_made(&verdict) {
            self.checks[id.0].attempt_failed_here();
        }
        if verdict.reason == Reason::NoAnswer && self.checks[id.0].kept_timeout() {
            let retries = self.patience.attempts_in_timeout(self.spacing) - 1;
            self.checks[id.0].spend_retries(retries);
        }
        let started = now.before(verdict.times.total);
        match self.checks[id.0].judged(verdict) {
            Settled::NextAddress => self.ready.push_front(id),
            Settled::Retry if !self.gives_up() => {
                let position = self.checks[id.0].position();
                let due = started.after(self.spacing).max(now);
                let silent = self.pack(id, now);
                self.blocks.wait(silent, position, due);
            }
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

    /// Returns whether no target gets another attempt.
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
        self.checks[id.0].uncount_attempt();
        self.window.fault(self.in_flight.saturating_sub(self.queued));
        self.count_fault(fault);
        if !self.pause(id, now) {
            let reason = Reason::Fault(fault);
            self.judge(id, Verdict::unconnected(PortState::Unchecked, reason, Duration::ZERO), now);
        }
    }

    /// Slows down when retries find many open ports, and speeds up again when they find none.
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

    /// Waits for this machine to recover. Returns false if the check has had too many faults.
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

    /// Ends a check without an attempt.
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
        let (position, purpose) = (self.checks[id.0].position(), self.checks[id.0].purpose());
        let state = self.checks[id.0].was_asked().then_some(verdict.state);
        self.blocks.asked(position, purpose, state.filter(|&state| state != PortState::Unchecked));
        if let Some(endpoint) = endpoint.filter(|_| self.is_held(position, purpose, &verdict)) {
            self.count_verdict(false);
            self.checks[id.0].not_answered(endpoint, verdict);
            let silent = self.pack(id, now);
            return self.blocks.hold(silent, position);
        }
        let check = self.checks.remove(id.0);
        self.blocks.leave(position);
        if purpose == Purpose::Control {
            return;
        }
        let is_answer = verdict.is_answer() && !self.is_left_to_proxy(check.target());
        if let Some(endpoint) = endpoint.filter(|_| is_answer) {
            self.blocks.add_control(endpoint);
        }
        if verdict.state == PortState::Filtered && self.gives_up() {
            self.blocks.add_unmeasured(check.stratum(verdict.reason));
        }
        self.count_verdict(verdict.state == PortState::Open && check.was_retried());
        self.give_out(check, endpoint, verdict, now);
    }

    /// Counts a verdict, from which loss is estimated.
    fn count_verdict(&mut self, found_on_retry: bool) {
        self.account.found_on_retry += u64::from(found_on_retry);
        // At the end there are only retries, so their rate says nothing about the network.
        if self.intake == Intake::Open {
            self.adapt(found_on_retry);
        }
    }

    /// Adds an outcome to those to be taken.
    fn give_out(
        &mut self,
        check: Check,
        endpoint: Option<SocketAddr>,
        verdict: Verdict,
        time: Instant,
    ) {
        let verdict = match verdict.reason {
            Reason::Refused | Reason::RefusedToProxy if check.is_in_part() => {
                Verdict { reason: Reason::RefusedInPart, ..verdict }
            }
            _ => verdict,
        };
        let time = time.wall_time(self.wall_start);
        let verdict = self.compare_host_keys(&check, verdict, time);
        self.account.add(&verdict);
        // Only the endpoint says which of the name's addresses the outcome is about.
        let is_one_of_many = self.addresses == Addresses::Each;
        let has_endpoint = check.attempts() > 0 || is_one_of_many;
        let has_endpoint = has_endpoint && !self.is_left_to_proxy(check.target());
        self.outcomes.push(Outcome {
            endpoint: endpoint.filter(|_| has_endpoint),
            attempts: check.attempts(),
            position: check.position(),
            target: check.into_target(),
            verdict,
            time,
        });
    }

    /// Adds what the known host keys say about those of the server.
    #[cfg(feature = "host-keys")]
    fn compare_host_keys(&self, check: &Check, mut verdict: Verdict, time: SystemTime) -> Verdict {
        if let Some(known_keys) = &self.known_keys
            && let Some(details) = &verdict.details
        {
            let findings = known_keys.findings(check.target(), &details.host_keys.keys, time);
            verdict.add_findings(&findings);
        }
        verdict
    }

    #[cfg(not(feature = "host-keys"))]
    #[expect(clippy::unused_self, reason = "the other version compares with the known host keys")]
    fn compare_host_keys(&self, _: &Check, verdict: Verdict, _: SystemTime) -> Verdict {
        verdict
    }
}

#[cfg(test)]
mod tests;
