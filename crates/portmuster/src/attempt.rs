//! An attempt: one connection to one endpoint and the conversation on it.
//!
//! It is a state machine without I/O: it takes events, and returns the next step and the next
//! deadline. The same machine runs under blocking threads, event loops and the simulator, so they
//! agree by construction. The [schedule](crate::schedule) decides which address is next, and whether
//! to try again.
//!
//! Invariant: an attempt ends at its deadline at the latest, whatever the server does.

use std::{net::SocketAddr, time::Duration};

use rustix::io::Errno;

use self::{
    conversation::Conversation,
    proxied::{Proxying, Request},
    socks::SocksStep,
};
use crate::{
    clock::Instant,
    config::{Limits, Probing},
    memory::{Memory, Reservation},
    outcome::{
        Conclusion, Evidence, KeyTypes, PortState, Reason, Rule, Service, Side, Times, Verdict,
    },
    probe::{EndOfInput, Judgement, Probe, ProbeStep},
};

mod conversation;
mod errno;
mod proxied;
mod rules;
mod socks;
mod step;
mod timer;

pub(crate) use errno::{Phase, shortage, withdraw_refusal};
pub(crate) use rules::Rules;
pub(crate) use socks::ProxyServer;
pub(crate) use step::{Event, Opening, Step};
pub(crate) use timer::Timer;

/// When Linux repeats the SYN of a connection that gets no answer: four times after a second each
/// (`net.ipv4.tcp_syn_linear_timeouts`), then after twice as long each time.
const SYN_REPEATS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(4),
    Duration::from_secs(6),
    Duration::from_secs(10),
];

/// The state of one connection to one endpoint.
#[derive(Debug)]
pub(crate) struct Attempt {
    endpoint: SocketAddr,
    request: Request,
    started: Instant,
    opening: Opening,
    /// Until when to wait for an answer; [`Instant::NEVER`]: for the whole timeout.
    answer_by: Instant,
    /// The types of the host keys that earlier attempts got.
    known_keys: KeyTypes,
    /// How often the system has repeated the SYN; `None` if that is not known.
    syns_repeated: Option<u8>,
    stage: Stage,
}

/// The stage of an attempt.
#[derive(Debug)]
enum Stage {
    /// connect(2) has not returned for the first time.
    Starting,
    /// The connection is pending.
    Connecting,
    /// The proxy has accepted a connection, and is asked for one to the endpoint.
    Proxying(Box<Proxying>),
    /// The connection was accepted.
    // BoxedIterator, because most attempts of a run never get here.
    Talking(Box<Conversation>),
}

impl Attempt {
    /// Creates an attempt that begins now.
    pub(crate) fn new(endpoint: SocketAddr, now: Instant) -> Self {
        let opening = Opening::default();
        Self {
            endpoint,
            request: Request::Endpoint,
            started: now,
            opening,
            answer_by: Instant::NEVER,
            known_keys: KeyTypes::default(),
            syns_repeated: None,
            stage: Stage::Starting,
        }
    }

    /// Sets how long to wait for an answer; `None`: the whole timeout.
    pub(crate) fn patience(self, patience: Option<Duration>) -> Self {
        let answer_by = patience.map_or(Instant::NEVER, |patience| self.started.after(patience));
        Self { answer_by, ..self }
    }

    /// Sets which types of host keys earlier attempts got, so that another is asked for.
    pub(crate) fn known_keys(self, known_keys: KeyTypes) -> Self {
        Self { known_keys, ..self }
    }

    /// Sets the name that the proxy looks up, instead of connecting to the endpoint; `None`: there is none.
    pub(crate) fn name(self, name: Option<Box<str>>) -> Self {
        Self { request: name.map_or(Request::Endpoint, Request::Name), ..self }
    }

    /// Makes the attempt end when the proxy has accepted this client.
    pub(crate) fn only_proxy(self) -> Self {
        Self { request: Request::Nothing, ..self }
    }

    /// Sets which side speaks first.
    pub(crate) fn opening(self, opening: Opening) -> Self {
        Self { opening, ..self }
    }

    /// Returns whether the attempt has lasted so long that the system may have repeated its SYN.
    pub(crate) fn may_have_repeated(&self, now: Instant) -> bool {
        now.since(self.started) >= SYN_REPEATS[0]
    }

    /// Records how often the system has repeated the SYN of the connection that was accepted.
    pub(crate) fn set_syns_repeated(&mut self, syns_repeated: Option<u8>) {
        self.syns_repeated = syns_repeated;
    }

    /// Returns how many SYNs got no answer before this one came: as many as the system has repeated, or
    /// would have by now.
    fn syns_lost(&self, now: Instant) -> u8 {
        let elapsed = now.since(self.started);
        let by_time = || SYN_REPEATS.iter().filter(|&&repeat| repeat <= elapsed).count();
        self.syns_repeated.unwrap_or_else(|| u8::try_from(by_time()).unwrap_or(u8::MAX))
    }

    pub(crate) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Reserves memory for what the conversation keeps and for this many bytes more. Returns false if
    /// the pool has too little.
    pub(crate) fn reserve(&mut self, memory: &Memory, more: usize) -> bool {
        let conversation = match &mut self.stage {
            Stage::Talking(conversation) => conversation,
            Stage::Proxying(proxying) => return memory.reserve(&mut proxying.held, more),
            Stage::Starting | Stage::Connecting => return true,
        };
        let evidence = if conversation.evidence.is_some() { Evidence::BYTES_MAX } else { 0 };
        // Twice, because the conclusion copies some of it.
        let bytes = 2 * conversation.probe.memory() + evidence + more;
        memory.reserve(&mut conversation.held, bytes)
    }

    /// Returns the reserved memory, to be held until the conclusion was handed on.
    pub(crate) fn release(&mut self) -> Option<Reservation> {
        let held = match &mut self.stage {
            Stage::Talking(conversation) => std::mem::take(&mut conversation.held),
            Stage::Proxying(proxying) => std::mem::take(&mut proxying.held),
            Stage::Starting | Stage::Connecting => return None,
        };
        (!held.is_empty()).then_some(held)
    }

    /// Returns how many bytes the conversation keeps, without its evidence.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) fn held(&self) -> usize {
        match &self.stage {
            Stage::Talking(conversation) => conversation.probe.memory(),
            Stage::Starting | Stage::Connecting | Stage::Proxying(_) => 0,
        }
    }

    /// Returns whether the connection, to the endpoint or the proxy, is neither accepted nor refused yet.
    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Connecting)
    }

    /// Records that the connection is pending.
    pub(crate) fn connection_pending(&mut self) {
        if let Stage::Starting = self.stage {
            self.stage = Stage::Connecting;
        }
    }

    /// Records that the SYN of a connection that is pending was sent before `now`: the time to wait for an
    /// answer begins then, because a busy system may have interrupted this thread before.
    pub(crate) fn sent(&mut self, now: Instant, limits: &Limits) {
        if let Stage::Connecting = self.stage {
            let late = now.since(self.started);
            self.answer_by = self.answer_by(limits).after(late);
        }
    }

    /// Returns the conclusion of an attempt whose socket could not be registered for events.
    pub(crate) fn unregistered(errno: Errno) -> Conclusion {
        match errno::meaning(Phase::Start, errno) {
            errno::Meaning::Fault(fault) => Conclusion::Fault(fault),
            _ => Conclusion::Verdict(Verdict::unconnected(
                PortState::Unchecked,
                Reason::errno(errno),
                Duration::ZERO,
            )),
        }
    }

    /// Returns the next timer to expire, and when. Events may change it.
    pub(crate) fn deadline(&self, rules: &Rules) -> (Timer, Instant) {
        let limits = &rules.limits;
        match &self.stage {
            Stage::Proxying(proxying) if proxying.has_asked() => {
                (Timer::Connect, self.answer_by(limits))
            }
            Stage::Starting | Stage::Connecting if rules.proxy.is_none() => {
                (Timer::Connect, self.answer_by(limits))
            }
            Stage::Starting | Stage::Connecting | Stage::Proxying(_) => {
                (Timer::Proxy, self.started.after(limits.timeout))
            }
            Stage::Talking(conversation) => conversation.deadline(limits),
        }
    }

    /// Returns until when to wait for an answer.
    fn answer_by(&self, limits: &Limits) -> Instant {
        match self.answer_by {
            Instant::NEVER => self.started.after(limits.timeout),
            answer_by => answer_by,
        }
    }

    /// Applies an event. Returns the next step.
    pub(crate) fn handle(&mut self, rules: &Rules, event: Event<'_>, now: Instant) -> Step {
        if let Some(proxy) = &rules.proxy
            && !matches!(self.stage, Stage::Talking(_))
        {
            return self.handle_by_proxy(proxy, rules, event, now);
        }
        if let Event::Bytes(bytes) = event {
            self.record(Side::Server, bytes, now);
        }
        let step = self.respond(rules, event, now);
        if let Step::Write(bytes) = &step {
            self.record(Side::Portmuster, bytes, now);
        }
        step
    }

    fn record(&mut self, side: Side, bytes: &[u8], now: Instant) {
        if let Stage::Talking(conversation) = &mut self.stage
            && let Some(evidence) = &mut conversation.evidence
        {
            evidence.add(now.since(self.started), side, bytes);
        }
    }

    fn respond(&mut self, rules: &Rules, event: Event<'_>, now: Instant) -> Step {
        match (&mut self.stage, event) {
            (Stage::Starting | Stage::Connecting, Event::Accepted) => self.accepted(rules, now),
            (Stage::Starting | Stage::Connecting, Event::Failed(errno)) => {
                self.refused(rules, errno, now)
            }
            (Stage::Starting | Stage::Connecting, Event::RefusedByIcmp(errno)) => {
                let (state, reason) = errno::by_icmp(errno);
                self.unconnected(state, reason, now)
            }
            (Stage::Starting | Stage::Connecting, Event::DeadlinePassed) => {
                self.unconnected(PortState::Filtered, Reason::NoAnswer, now)
            }
            (Stage::Talking(conversation), Event::Bytes(bytes)) => {
                match conversation.bytes(bytes, now) {
                    ProbeStep::Read => Step::Read,
                    ProbeStep::Write(bytes) => Step::Write(bytes),
                    ProbeStep::Judged(judgement) => self.judged(judgement, now),
                }
            }
            (Stage::Talking(_), Event::Closed) => self.ended(EndOfInput::Closed, now),
            (Stage::Talking(_), Event::Failed(errno)) => {
                match errno::meaning(Phase::Conversation, errno) {
                    errno::Meaning::Fault(fault) => Step::Done(Conclusion::Fault(fault)),
                    _ => self.ended(EndOfInput::Closed, now),
                }
            }
            (Stage::Talking(_), Event::DeadlinePassed) => self.limit_reached(rules, now),
            // Events that can't happen in this stage.
            (Stage::Starting | Stage::Connecting, Event::Bytes(_) | Event::Closed)
            | (Stage::Talking(_), Event::Accepted | Event::RefusedByIcmp(_))
            | (Stage::Proxying(_), _) => Step::Read,
        }
    }

    /// Applies an event before the endpoint has accepted a connection through the proxy.
    ///
    /// Whatever happens on the way to the proxy says nothing about the endpoint.
    fn handle_by_proxy(
        &mut self,
        proxy: &ProxyServer,
        rules: &Rules,
        event: Event<'_>,
        now: Instant,
    ) -> Step {
        let Stage::Proxying(proxying) = &mut self.stage else {
            return self.handle_way_to_proxy(proxy, &event, now);
        };
        let destination = self.request.destination(self.endpoint);
        match proxying.handle(event, proxy, destination) {
            Err(fault) => Step::Done(Conclusion::Fault(fault)),
            Ok(SocksStep::Read) => Step::Read,
            Ok(SocksStep::Failed(state, reason)) => self.unconnected(state, reason, now),
            Ok(SocksStep::Admitted) => self.conclude_unprobed(Service::NotProbed, rules, now),
            Ok(SocksStep::Write(bytes)) => {
                if proxying.has_asked() {
                    self.answer_by = self.answer_by(&rules.limits).after(now.since(self.started));
                }
                Step::Write(bytes)
            }
            Ok(SocksStep::Connected(rest)) => self.connected_by_proxy(rules, rest, now),
        }
    }

    /// Applies an event before the proxy has accepted a connection.
    fn handle_way_to_proxy(
        &mut self,
        proxy: &ProxyServer,
        event: &Event<'_>,
        now: Instant,
    ) -> Step {
        match event {
            Event::Accepted => {
                let (proxying, greeting) = Proxying::begin(proxy);
                self.stage = Stage::Proxying(Box::new(proxying));
                return Step::Write(greeting);
            }
            Event::Failed(errno) => {
                if let errno::Meaning::Fault(fault) = errno::meaning(self.phase(), *errno) {
                    return Step::Done(Conclusion::Fault(fault));
                }
            }
            Event::RefusedByIcmp(_) | Event::DeadlinePassed => {}
            // Events that can't happen in this stage.
            Event::Bytes(_) | Event::Closed => return Step::Read,
        }
        self.unconnected(PortState::Unchecked, Reason::ProxyUnreachable, now)
    }

    /// Begins the conversation with an endpoint that the proxy has connected to. `rest` are the bytes
    /// that it has sent already.
    fn connected_by_proxy(&mut self, rules: &Rules, rest: &[u8], now: Instant) -> Step {
        let held = self.release();
        // The system counts the SYNs to the proxy only.
        self.syns_repeated = Some(0);
        let first = self.accepted(rules, now);
        if let Stage::Talking(conversation) = &mut self.stage {
            conversation.held = held.unwrap_or_default();
        }
        if let Step::Write(bytes) = &first {
            self.record(Side::Portmuster, bytes, now);
        }
        if rest.is_empty() || matches!(first, Step::Done(_)) {
            return first;
        }
        match (first, self.handle(rules, Event::Bytes(rest), now)) {
            (Step::Write(first), Step::Read) => Step::Write(first),
            (Step::Write(first), Step::Write(second)) => Step::Write([first, second].concat()),
            (_, second) => second,
        }
    }

    fn accepted(&mut self, rules: &Rules, now: Instant) -> Step {
        self.syns_repeated = Some(self.syns_lost(now));
        if rules.probing == Probing::ConnectOnly {
            return self.conclude_unprobed(Service::NotProbed, rules, now);
        }
        self.stage = Stage::Talking(Box::new(Conversation {
            accepted: now,
            first_byte: None,
            last_byte: now,
            quiet_since: now,
            since: now,
            active_step_done: self.opening != Opening::Listen,
            awaits_more: false,
            probe: Probe::new(rules.probing).host_keys(rules.host_keys, self.known_keys),
            evidence: rules.evidence.then(Evidence::default),
            held: Reservation::default(),
        }));
        match (&mut self.stage, self.opening) {
            (Stage::Talking(conversation), Opening::Introduce) => {
                Step::Write(conversation.probe.introduce())
            }
            _ => Step::Read,
        }
    }

    /// Concludes an attempt on a server that was not probed, or closed the connection before.
    fn conclude_unprobed(&self, service: Service, rules: &Rules, now: Instant) -> Step {
        let rule = match service {
            Service::NotProbed => Rule::ConnectOnly,
            _ => Rule::HungUp,
        };
        let judgement = Judgement::new(service, rule, Vec::new());
        let total = now.since(self.started);
        let times = Times { connect: Some(total), first_byte: None, total };
        let judgement = judgement.with_evidence(rules.evidence.then(Evidence::default));
        Step::Done(open(judgement, times, self.syns_lost(now)))
    }

    /// Returns the phase that decides what an error number means.
    fn phase(&self) -> Phase {
        match self.stage {
            Stage::Starting => Phase::Start,
            Stage::Connecting => Phase::Pending,
            Stage::Proxying(_) | Stage::Talking(_) => Phase::Conversation,
        }
    }

    fn refused(&mut self, rules: &Rules, errno: Errno, now: Instant) -> Step {
        match errno::meaning(self.phase(), errno) {
            errno::Meaning::Fault(fault) => Step::Done(Conclusion::Fault(fault)),
            errno::Meaning::State(state, reason) => self.unconnected(state, reason, now),
            errno::Meaning::HungUp => self.conclude_unprobed(Service::ClosedEarly, rules, now),
        }
    }

    fn limit_reached(&mut self, rules: &Rules, now: Instant) -> Step {
        let Stage::Talking(conversation) = &mut self.stage else { return Step::Read };
        match conversation.deadline(&rules.limits).0 {
            Timer::ActiveStep => {
                conversation.since = now.before(rules.limits.active_step);
                Step::Write(conversation.active_step(now))
            }
            Timer::Quiet
                if !conversation.active_step_done && conversation.probe.awaits_active_step() =>
            {
                Step::Write(conversation.active_step(now))
            }
            Timer::Quiet if !conversation.probe.is_recognised() => {
                conversation.awaits_more = true;
                Step::Read
            }
            Timer::Conversation
                if conversation.is_still_sending(&rules.limits, now)
                    || conversation.probe.is_in_ssh() =>
            {
                self.ended(EndOfInput::Deadline, now)
            }
            _ => self.ended(EndOfInput::Quiet, now),
        }
    }

    fn ended(&mut self, end: EndOfInput, now: Instant) -> Step {
        match &self.stage {
            Stage::Talking(conversation) => {
                let judgement = conversation.probe.finish(end);
                self.judged(judgement, now)
            }
            _ => self.unconnected(PortState::Filtered, Reason::NoAnswer, now),
        }
    }

    fn unconnected(&self, state: PortState, reason: Reason, now: Instant) -> Step {
        let mut verdict = Verdict::unconnected(state, reason, now.since(self.started));
        if reason == Reason::Refused {
            verdict.syns_lost = self.syns_lost(now);
        }
        Step::Done(Conclusion::Verdict(verdict))
    }

    fn judged(&mut self, mut judgement: Judgement, now: Instant) -> Step {
        let mut times = Times { total: now.since(self.started), ..Times::default() };
        if let Stage::Talking(conversation) = &mut self.stage {
            judgement = judgement.with_evidence(conversation.evidence.take());
            times.connect = Some(conversation.accepted.since(self.started));
            times.first_byte = conversation.first_byte.map(|first| first.since(self.started));
        }
        Step::Done(open(judgement, times, self.syns_lost(now)))
    }
}

/// Returns the conclusion on an endpoint that accepted.
fn open(judgement: Judgement, times: Times, syns_lost: u8) -> Conclusion {
    let Judgement { service, rule, banner, details } = judgement;
    Conclusion::Verdict(Verdict {
        state: PortState::Open,
        reason: Reason::Accepted,
        service: Some(service),
        rule: Some(rule),
        banner,
        details,
        times,
        syns_lost,
    })
}

#[cfg(test)]
mod tests;
