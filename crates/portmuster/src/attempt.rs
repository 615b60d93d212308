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
use serde::{Deserialize, Serialize};

use self::conversation::Conversation;
use crate::{
    clock::Instant,
    config::{Config, HostKeyProbing, Limits, Probing},
    memory::{Memory, Reservation},
    outcome::{
        Conclusion, Evidence, KeyTypes, PortState, Reason, Rule, Service, Side, Times, Verdict,
    },
    probe::{EndOfInput, Judgement, Probe, ProbeStep},
};

mod conversation;
mod errno;
mod timer;

pub(crate) use timer::Timer;

pub(crate) use errno::{Phase, shortage, withdraw_refusal};

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

/// An event of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The connection was accepted.
    Accepted,
    /// The server sent these bytes.
    Bytes(&'a [u8]),
    /// The server closed the connection.
    Closed,
    /// A system call failed.
    Failed(Errno),
    /// ICMP ended the pending connection with this error.
    RefusedByIcmp(Errno),
    /// The deadline has passed.
    DeadlinePassed,
}

/// What an attempt wants its driver to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for more.
    Read,
    /// Send these bytes, then wait for more.
    Write(Vec<u8>),
    /// The attempt has ended: close the socket.
    Done(Conclusion),
}

/// Which side speaks first in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Opening {
    /// The server. A silent one gets an empty line after a while.
    #[default]
    Listen,
    /// The server, however long it is silent.
    OnlyListen,
    /// This side: it sends its identification as soon as the connection is accepted, as ssh clients do.
    Introduce,
}

/// The settings of every attempt of a run.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) probing: Probing,
    /// Whether to keep the conversation.
    pub(crate) evidence: bool,
    /// Which host keys ssh servers are asked for.
    pub(crate) host_keys: HostKeyProbing,
}

impl From<&Config> for Rules {
    fn from(config: &Config) -> Self {
        Self {
            limits: config.limits(),
            probing: config.probing(),
            evidence: config.evidence(),
            host_keys: config.host_keys(),
        }
    }
}

/// The state of one connection to one endpoint.
#[derive(Debug)]
pub(crate) struct Attempt {
    endpoint: SocketAddr,
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
        let Stage::Talking(conversation) = &mut self.stage else { return true };
        let evidence = if conversation.evidence.is_some() { Evidence::BYTES_MAX } else { 0 };
        // Twice, because the conclusion copies some of it.
        let bytes = 2 * conversation.probe.memory() + evidence + more;
        memory.reserve(&mut conversation.held, bytes)
    }

    /// Returns the reserved memory, to be held until the conclusion was handed on.
    pub(crate) fn release(&mut self) -> Option<Reservation> {
        let Stage::Talking(conversation) = &mut self.stage else { return None };
        let held = std::mem::take(&mut conversation.held);
        (!held.is_empty()).then_some(held)
    }

    /// Returns how many bytes the conversation keeps, without its evidence.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) fn held(&self) -> usize {
        match &self.stage {
            Stage::Talking(conversation) => conversation.probe.memory(),
            Stage::Starting | Stage::Connecting => 0,
        }
    }

    /// Returns whether the connection is neither accepted nor refused yet.
    pub(crate) fn is_connecting(&self) -> bool {
        !matches!(self.stage, Stage::Talking(_))
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
    pub(crate) fn deadline(&self, limits: &Limits) -> (Timer, Instant) {
        match &self.stage {
            Stage::Starting | Stage::Connecting => (Timer::Connect, self.answer_by(limits)),
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
            | (Stage::Talking(_), Event::Accepted | Event::RefusedByIcmp(_)) => Step::Read,
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

    fn refused(&mut self, rules: &Rules, errno: Errno, now: Instant) -> Step {
        let phase = match self.stage {
            Stage::Starting => Phase::Start,
            _ => Phase::Pending,
        };
        match errno::meaning(phase, errno) {
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
mod tests {
    use super::*;
    use crate::outcome::{KexFailure, KeyExchange};

    const ENDPOINT: ([u8; 4], u16) = ([192, 0, 2, 1], 22);

    fn at(milliseconds: u64) -> Instant {
        Instant::START.after(Duration::from_millis(milliseconds))
    }

    fn attempt() -> (Attempt, Rules) {
        (Attempt::new(ENDPOINT.into(), at(0)), Rules::default())
    }

    /// An attempt that was accepted after 5 ms.
    fn accepted() -> (Attempt, Rules) {
        let rules = Rules::default();
        (accepted_by(&rules), rules)
    }

    fn accepted_by(rules: &Rules) -> Attempt {
        let (mut attempt, _) = attempt();
        attempt.connection_pending();
        assert_eq!(attempt.handle(rules, Event::Accepted, at(5)), Step::Read);
        attempt
    }

    fn verdict(step: Step) -> Verdict {
        match step {
            Step::Done(Conclusion::Verdict(verdict)) => verdict,
            step => panic!("no verdict but {step:?}"),
        }
    }

    /// Lets every deadline pass until the attempt ends; says when, and how.
    fn wait_out(attempt: &mut Attempt, rules: &Rules) -> (Vec<(Timer, Instant)>, Verdict) {
        let mut passed = Vec::new();
        loop {
            let (timer, when) = attempt.deadline(&rules.limits);
            passed.push((timer, when));
            assert!(passed.len() < 10, "it never ends: {passed:?}");
            let step = attempt.handle(rules, Event::DeadlinePassed, when);
            if let Step::Done(_) = step {
                return (passed, verdict(step));
            }
        }
    }

    #[test]
    fn time_to_answer_begins_when_the_syn_was_sent() {
        let (mut attempt, rules) = attempt();
        let timeout = rules.limits.timeout;
        assert_eq!(attempt.deadline(&rules.limits), (Timer::Connect, at(0).after(timeout)));
        attempt.connection_pending();
        attempt.sent(at(30), &rules.limits);
        assert_eq!(attempt.deadline(&rules.limits), (Timer::Connect, at(30).after(timeout)));
        let patience = Some(Duration::from_millis(3200));
        let mut attempt = Attempt::new(ENDPOINT.into(), at(0)).patience(patience);
        attempt.connection_pending();
        attempt.sent(at(7), &rules.limits);
        assert_eq!(attempt.deadline(&rules.limits), (Timer::Connect, at(3207)));
    }

    #[test]
    fn silence_is_filtered_at_the_timeout() {
        let (mut attempt, rules) = attempt();
        attempt.connection_pending();
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Connect, at(10_000))]);
        assert_eq!((verdict.state, verdict.reason), (PortState::Filtered, Reason::NoAnswer));
    }

    #[test]
    fn lost_syns_are_counted_by_the_system_or_by_time() {
        let rules = Rules { probing: Probing::Greeting, ..Rules::default() };
        for (after, repeated, lost) in [
            (20, None, 0),
            (2_020, None, 2),
            (5_900, None, 4),
            (6_000, None, 5),
            (2_020, Some(1), 1),
        ] {
            let (mut accepted, _) = attempt();
            accepted.connection_pending();
            assert_eq!(accepted.may_have_repeated(at(after)), after >= 1_000);
            accepted.set_syns_repeated(repeated);
            accepted.handle(&rules, Event::Accepted, at(after));
            let step = accepted.handle(&rules, Event::Bytes(b"SSH-2.0-x\r\n"), at(after + 9_000));
            assert_eq!(verdict(step).syns_lost, lost, "accepted after {after} ms");
            let (mut refused, _) = attempt();
            refused.connection_pending();
            refused.set_syns_repeated(repeated);
            let step = refused.handle(&rules, Event::Failed(Errno::CONNREFUSED), at(after));
            assert_eq!(verdict(step).syns_lost, lost, "refused after {after} ms");
        }
        let (mut silent, rules) = attempt();
        silent.connection_pending();
        assert_eq!(wait_out(&mut silent, &rules).1.syns_lost, 0, "nothing answered");
    }

    #[test]
    fn error_before_the_first_packet_has_another_meaning() {
        let (mut attempt, rules) = attempt();
        let step = attempt.handle(&rules, Event::Failed(Errno::NETUNREACH), at(0));
        assert_eq!(verdict(step).state, PortState::Unchecked);

        let (mut attempt, rules) = self::attempt();
        attempt.connection_pending();
        let step = attempt.handle(&rules, Event::Failed(Errno::NETUNREACH), at(1));
        assert_eq!(verdict(step).state, PortState::Filtered);
    }

    #[test]
    fn greeting_decides_at_once_and_keeps_its_times() {
        let rules = Rules { probing: Probing::Greeting, ..Rules::default() };
        let mut attempt = accepted_by(&rules);
        assert_eq!(attempt.handle(&rules, Event::Bytes(b"SSH-2.0"), at(20)), Step::Read);
        let verdict = verdict(attempt.handle(&rules, Event::Bytes(b"-x\r\n"), at(30)));
        assert_eq!(verdict.service, Some(Service::Ssh));
        assert_eq!(verdict.banner, b"SSH-2.0-x");
        let times = Times {
            connect: Some(Duration::from_millis(5)),
            first_byte: Some(Duration::from_millis(20)),
            total: Duration::from_millis(30),
        };
        assert_eq!(verdict.times, times);
    }

    #[test]
    fn silent_server_gets_one_empty_line_then_is_judged() {
        let (mut attempt, rules) = accepted();
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        let expected = [(Timer::ActiveStep, at(3_005)), (Timer::FirstByte, at(12_005))];
        assert_eq!(passed, expected);
        assert_eq!(verdict.service, Some(Service::Silent));
    }

    #[test]
    fn active_step_is_an_empty_line_and_a_telnet_command() {
        let (mut attempt, rules) = accepted();
        let step = attempt.handle(&rules, Event::DeadlinePassed, at(3_005));
        assert_eq!(step, Step::Write(b"\r\n\xff\xfd\x01".to_vec()));
    }

    #[test]
    fn negotiating_server_gets_one_empty_line_then_is_judged() {
        let (mut attempt, rules) = accepted();
        let wishes = b"\xff\xfd\x18\xff\xfb\x01";
        let refusals = b"\xff\xfc\x18\xff\xfd\x01".to_vec();
        assert_eq!(attempt.handle(&rules, Event::Bytes(wishes), at(10)), Step::Write(refusals));
        assert_eq!(attempt.deadline(&rules.limits), (Timer::Quiet, at(2_010)));
        let step = attempt.handle(&rules, Event::DeadlinePassed, at(2_010));
        assert_eq!(step, Step::Write(b"\r\n".to_vec()));
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Quiet, at(4_010))]);
        assert_eq!(verdict.service, Some(Service::Telnet));
    }

    #[test]
    fn kexinit_gets_as_long_as_a_first_byte() {
        let (mut attempt, rules) = accepted();
        let step = attempt.handle(&rules, Event::Bytes(b"SSH-2.0-x\r\n"), at(10));
        assert!(matches!(step, Step::Write(ours) if ours.starts_with(b"SSH-2.0-portmuster_")));
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::FirstByte, at(12_010))]);
        assert_eq!(verdict.service, Some(Service::Ssh));
        let details = verdict.details.expect("ssh has an identification");
        assert_eq!(details.key_exchange, KeyExchange::Missing(KexFailure::Silence));
        assert_eq!(details.evidence, None);
    }

    #[test]
    fn bytes_dripping_after_the_identification_end_with_the_conversation() {
        let (mut attempt, rules) = accepted();
        attempt.handle(&rules, Event::Bytes(b"SSH-2.0-x\r\n"), at(10));
        // A packet of 8,192 bytes.
        for (second, byte) in (1..=20).zip(b"\0\0\x20\0\x04\x14xxxxxxxxxxxxxx".chunks(1)) {
            assert_eq!(attempt.handle(&rules, Event::Bytes(byte), at(second * 1000)), Step::Read);
        }
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Conversation, at(20_005))]);
        let details = verdict.details.expect("ssh has an identification");
        assert_eq!(details.key_exchange, KeyExchange::Missing(KexFailure::Deadline));
    }

    #[test]
    fn unrecognised_bytes_get_as_long_as_a_first_byte() {
        for (notice, rest, service) in [
            (&b"a notice\r\n"[..], &b"SSH-2.0-x\r\n"[..], Service::Ssh),
            (b"please wait\r\n", b"login: ", Service::TelnetLikely),
            (b"\r\n", b"\xff\xfd\x18login: ", Service::Telnet),
            (b"\0", b"\xff\xfd\x18login: ", Service::Unknown),
            (b"SSH", b"-2.0-x\r\n", Service::Ssh),
        ] {
            let (mut attempt, rules) = accepted();
            let rules = Rules { probing: Probing::Greeting, ..rules };
            assert_eq!(attempt.handle(&rules, Event::Bytes(notice), at(10)), Step::Read);
            assert_eq!(attempt.deadline(&rules.limits), (Timer::Quiet, at(2_010)));
            assert_eq!(attempt.handle(&rules, Event::DeadlinePassed, at(2_010)), Step::Read);
            assert_eq!(attempt.deadline(&rules.limits), (Timer::Unrecognised, at(12_010)));
            let step = attempt.handle(&rules, Event::Bytes(rest), at(12_000));
            let verdict = match step {
                Step::Done(_) => verdict(step),
                _ => wait_out(&mut attempt, &rules).1,
            };
            assert_eq!(verdict.service, Some(service), "{}", rest.escape_ascii());
        }
    }

    #[test]
    fn recognised_bytes_are_judged_after_a_pause() {
        for greeting in [&b"login: "[..], b"/ # ", b"* OK IMAP4rev1 ready\r\n", b"\xff\xf1ok\r\n"] {
            let (mut attempt, rules) = accepted();
            attempt.handle(&rules, Event::Bytes(greeting), at(10));
            let (passed, _) = wait_out(&mut attempt, &rules);
            assert_eq!(passed, [(Timer::Quiet, at(2_010))], "{}", greeting.escape_ascii());
        }
    }

    #[test]
    fn introduction_is_sent_first_and_once() {
        let (attempt, rules) = attempt();
        let mut attempt = attempt.opening(Opening::Introduce);
        attempt.connection_pending();
        let Step::Write(sent) = attempt.handle(&rules, Event::Accepted, at(5)) else {
            panic!("nothing is sent")
        };
        assert!(sent.starts_with(b"SSH-2.0-portmuster_"));
        let step = attempt.handle(&rules, Event::Bytes(b"SSH-2.0-x\r\n"), at(6));
        assert_eq!(step, Step::Read);
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::FirstByte, at(12_006))]);
        assert_eq!(verdict.service, Some(Service::Ssh));
    }

    #[test]
    fn echo_of_our_identification_is_not_ssh() {
        let (attempt, rules) = attempt();
        let mut attempt = attempt.opening(Opening::Introduce);
        attempt.connection_pending();
        let Step::Write(sent) = attempt.handle(&rules, Event::Accepted, at(5)) else {
            panic!("nothing is sent")
        };
        attempt.handle(&rules, Event::Bytes(&sent), at(6));
        assert_eq!(wait_out(&mut attempt, &rules).1.service, Some(Service::Unknown));
    }

    #[test]
    fn endless_lines_after_ten_seconds_are_a_tarpit() {
        let (mut attempt, rules) = accepted();
        attempt.handle(&rules, Event::DeadlinePassed, at(3_005));
        let mut last = at(10_000);
        for second in 10..20 {
            last = at(second * 1000);
            assert_eq!(attempt.handle(&rules, Event::Bytes(b"x1Yz\r\n"), last), Step::Read);
        }
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert!(passed[0].1 > last);
        assert_eq!(passed, [(Timer::Conversation, at(20_005))]);
        assert_eq!(
            (verdict.service, verdict.rule),
            (Some(Service::Tarpit), Some(Rule::StillTalking))
        );
    }

    #[test]
    fn endless_negotiation_is_telnet_at_the_end_of_the_conversation() {
        let (mut attempt, rules) = accepted();
        for (turn, option) in (0..200_u64).zip((0..=255).cycle()) {
            attempt.handle(&rules, Event::Bytes(&[0xff, 0xfd, option]), at(10 + turn * 99));
        }
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Conversation, at(20_005))]);
        assert_eq!(verdict.service, Some(Service::Telnet));
    }

    #[test]
    fn conversation_is_kept_with_evidence() {
        let rules = Rules { evidence: true, ..Rules::default() };
        let mut attempt = accepted_by(&rules);
        attempt.handle(&rules, Event::Bytes(b"hello\nSSH-2.0"), at(20));
        attempt.handle(&rules, Event::Bytes(b"-x\r\n"), at(30));
        let verdict = verdict(attempt.handle(&rules, Event::Closed, at(40)));
        let evidence =
            verdict.details.and_then(|details| details.evidence).expect("it was asked for");
        let parts: Vec<_> =
            evidence.parts.iter().map(|part| (part.at.as_millis(), part.side)).collect();
        assert_eq!(parts, [(20, Side::Server), (30, Side::Server), (30, Side::Portmuster)]);
        assert_eq!(evidence.parts[0].bytes, b"hello\nSSH-2.0");
    }

    #[test]
    fn dripping_bytes_end_with_the_conversation() {
        let (mut attempt, rules) = accepted();
        for second in 1..=20 {
            let (timer, when) = attempt.deadline(&rules.limits);
            assert!(when > at(second * 1000), "{timer:?} passed early");
            assert_eq!(attempt.handle(&rules, Event::Bytes(b"x"), at(second * 1000)), Step::Read);
        }
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Conversation, at(20_005))]);
        assert_eq!(verdict.service, Some(Service::Tarpit));
    }

    #[test]
    fn greeting_cut_off_by_a_short_deadline_is_not_a_tarpit() {
        let (mut attempt, mut rules) = accepted();
        rules.limits.deadline = Duration::from_secs(1);
        attempt.handle(&rules, Event::Bytes(b"hello\r\n"), at(10));
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Conversation, at(1_005))]);
        assert_eq!(verdict.service, Some(Service::Unknown));
    }

    #[test]
    fn delay_of_this_machine_extends_the_time_for_an_answer() {
        let (mut attempt, rules) = accepted();
        let step = attempt.handle(&rules, Event::DeadlinePassed, at(15_000));
        assert!(matches!(step, Step::Write(_)));
        assert_eq!(attempt.deadline(&rules.limits), (Timer::FirstByte, at(24_000)));
    }

    #[test]
    fn reset_after_the_accept_is_closed_early() {
        for error in [Errno::CONNRESET, Errno::PIPE] {
            let (mut attempt, rules) = attempt();
            attempt.connection_pending();
            let early = verdict(attempt.handle(&rules, Event::Failed(error), at(1)));
            assert_eq!(early.service, Some(Service::ClosedEarly));
        }
        let (mut attempt, rules) = accepted();
        let late = verdict(attempt.handle(&rules, Event::Failed(Errno::CONNRESET), at(6)));
        assert_eq!((late.state, late.service), (PortState::Open, Some(Service::ClosedEarly)));
    }

    #[test]
    fn connect_only_ends_with_the_accept() {
        let (mut attempt, _) = attempt();
        let rules = Rules { probing: Probing::ConnectOnly, ..Rules::default() };
        let verdict = verdict(attempt.handle(&rules, Event::Accepted, at(1)));
        assert_eq!((verdict.state, verdict.service), (PortState::Open, Some(Service::NotProbed)));
    }

    #[test]
    fn attempt_that_can_not_be_registered_has_not_begun() {
        assert!(matches!(Attempt::unregistered(Errno::NOSPC), Conclusion::Fault(_)));
        let Conclusion::Verdict(verdict) = Attempt::unregistered(Errno::PERM) else {
            panic!("no fault")
        };
        assert_eq!(verdict.state, PortState::Unchecked);
    }

    #[test]
    fn fault_is_never_a_verdict() {
        let (mut starting, rules) = attempt();
        let (mut pending, _) = attempt();
        pending.connection_pending();
        let (mut talking, _) = accepted();
        for attempt in [&mut starting, &mut pending, &mut talking] {
            let step = attempt.handle(&rules, Event::Failed(Errno::NOBUFS), at(6));
            assert!(matches!(step, Step::Done(Conclusion::Fault(_))), "{step:?}");
        }
    }
}
