//! One attempt: a connection to one endpoint and the conversation on it, as a machine without
//! I/O. It is told what happened and answers with the next step and the next deadline.
//!
//! The same machine runs under blocking threads, the event loop and the simulator, so that they
//! agree by construction. Which address comes next and whether to try again is the
//! [schedule](crate::schedule)'s.
//!
//! Invariant: an attempt ends at its deadline at the latest, whatever a server does.

use std::{net::SocketAddr, time::Duration};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Instant,
    config::{Config, Limits, Probing},
    memory::{Held, Memory},
    outcome::{Conclusion, Evidence, PortState, Reason, Rule, Service, Side, Times, Verdict},
    probe::{Ending, Judgement, Probe, ProbeStep},
};

mod errno;

pub(crate) use errno::{Phase, shortage, withdraw_refusal};

/// All the limits in time that an attempt has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The connection is neither accepted nor refused: filtered.
    Connect,
    /// The server says nothing: send it an empty line.
    ActiveStep,
    /// The server still says nothing: silent.
    FirstByte,
    /// The server has paused: send it an empty line if it waits for one, else judge what came, if a
    /// rule recognises it.
    Quiet,
    /// No rule recognises what came, and nothing more came for as long as a first byte may take:
    /// unknown.
    Unrecognised,
    /// The conversation has lasted long enough.
    Conversation,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The connection was accepted.
    Accepted,
    /// Bytes came.
    Bytes(&'a [u8]),
    /// The server hung up.
    Closed,
    /// A system call failed.
    Failed(Errno),
    /// ICMP said so of the connection.
    RefusedByIcmp(Errno),
    /// The deadline passed.
    DeadlinePassed,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for what comes.
    Read,
    /// Send these bytes, then read what comes.
    Write(Vec<u8>),
    /// The attempt is over: close the socket.
    Done(Conclusion),
}

/// Who speaks first in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Opening {
    /// The server. One that says nothing is sent an empty line after a while.
    #[default]
    Listen,
    /// The server, however long it is silent.
    OnlyListen,
    /// We do: we send our identification as soon as the connection is accepted, as ssh clients do.
    Introduce,
}

/// What every attempt of a run goes by.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) probing: Probing,
    /// Whether the conversation is kept.
    pub(crate) evidence: bool,
}

impl From<&Config> for Rules {
    fn from(&Config { limits, probing, evidence, .. }: &Config) -> Self {
        Self { limits, probing, evidence }
    }
}

/// One connection to one endpoint.
#[derive(Debug)]
pub(crate) struct Attempt {
    endpoint: SocketAddr,
    started: Instant,
    opening: Opening,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Starting,
    Connecting,
    // Boxed, because most attempts of a run never get here.
    Talking(Box<Conversation>),
}

#[derive(Debug)]
struct Conversation {
    accepted: Instant,
    first_byte: Option<Instant>,
    last_byte: Instant,
    /// From when the server's silence counts: its last byte, or the active step.
    quiet_since: Instant,
    /// From when the limits count: the accept, or later where this machine was held up before it
    /// took the active step, so that the answer still gets its time.
    since: Instant,
    /// The active step has been taken, or is not to be.
    asked: bool,
    /// The server paused after bytes that no rule recognises, and is heard out.
    heard_out: bool,
    probe: Probe,
    evidence: Option<Evidence>,
    /// Memory that all conversations share.
    held: Held,
}

impl Attempt {
    /// An attempt that begins now.
    pub(crate) fn new(endpoint: SocketAddr, now: Instant) -> Self {
        Self { endpoint, started: now, opening: Opening::default(), stage: Stage::Starting }
    }

    /// The same attempt with this opening.
    pub(crate) fn opening(self, opening: Opening) -> Self {
        Self { opening, ..self }
    }

    pub(crate) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Holds out of this memory what is held for the server, and for so many bytes more; false where
    /// there is not so much.
    pub(crate) fn hold(&mut self, memory: &Memory, more: usize) -> bool {
        let Stage::Talking(conversation) = &mut self.stage else { return true };
        let evidence = if conversation.evidence.is_some() { Evidence::BYTES_MAX } else { 0 };
        // As much again for what the conclusion takes of it while both are there.
        let bytes = 2 * conversation.probe.held() + evidence + more;
        memory.lend(&mut conversation.held, bytes)
    }

    /// What was held for the server, as long as its conclusion is on its way.
    pub(crate) fn release(&mut self) -> Option<Held> {
        let Stage::Talking(conversation) = &mut self.stage else { return None };
        let held = std::mem::take(&mut conversation.held);
        (!held.is_nothing()).then_some(held)
    }

    /// Bytes of memory that are held for the server, beside its evidence.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held(&self) -> usize {
        match &self.stage {
            Stage::Talking(conversation) => conversation.probe.held(),
            Stage::Starting | Stage::Connecting => 0,
        }
    }

    /// Whether the connection is still to be accepted or refused.
    pub(crate) fn is_connecting(&self) -> bool {
        !matches!(self.stage, Stage::Talking(_))
    }

    /// The connection has begun, and is neither accepted nor refused.
    pub(crate) fn under_way(&mut self) {
        if let Stage::Starting = self.stage {
            self.stage = Stage::Connecting;
        }
    }

    /// Nobody can be told of what happens at its socket, because this machine is short of
    /// something: it was not begun.
    pub(crate) fn unwatched(errno: Errno) -> Conclusion {
        match errno::meaning(Phase::Start, errno) {
            errno::Meaning::Fault(fault) => Conclusion::Fault(fault),
            _ => Conclusion::Verdict(Verdict::unconnected(
                PortState::Unchecked,
                errno.into(),
                Duration::ZERO,
            )),
        }
    }

    /// The next limit in time and when it is reached. Later ones may replace it.
    pub(crate) fn deadline(&self, limits: &Limits) -> (Timer, Instant) {
        match &self.stage {
            Stage::Starting | Stage::Connecting => {
                (Timer::Connect, self.started.after(limits.timeout))
            }
            Stage::Talking(conversation) => conversation.deadline(limits),
        }
    }

    /// Takes what happened, says what to do next.
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
            (Stage::Talking(_), Event::Closed) => self.ended(Ending::Closed, now),
            (Stage::Talking(_), Event::Failed(errno)) => {
                match errno::meaning(Phase::Conversation, errno) {
                    errno::Meaning::Fault(fault) => Step::Done(Conclusion::Fault(fault)),
                    _ => self.ended(Ending::Closed, now),
                }
            }
            (Stage::Talking(_), Event::DeadlinePassed) => self.limit_reached(rules, now),
            // What no connection does, or has done.
            (Stage::Starting | Stage::Connecting, Event::Bytes(_) | Event::Closed)
            | (Stage::Talking(_), Event::Accepted | Event::RefusedByIcmp(_)) => Step::Read,
        }
    }

    fn accepted(&mut self, rules: &Rules, now: Instant) -> Step {
        if rules.probing == Probing::ConnectOnly {
            return self.without_words(Service::NotProbed, rules, now);
        }
        self.stage = Stage::Talking(Box::new(Conversation {
            accepted: now,
            first_byte: None,
            last_byte: now,
            quiet_since: now,
            since: now,
            asked: self.opening != Opening::Listen,
            heard_out: false,
            probe: Probe::new(rules.probing),
            evidence: rules.evidence.then(Evidence::default),
            held: Held::default(),
        }));
        match (&mut self.stage, self.opening) {
            (Stage::Talking(conversation), Opening::Introduce) => {
                Step::Write(conversation.probe.introduce())
            }
            _ => Step::Read,
        }
    }

    /// The conclusion on a server that was not listened to, or hung up before it could be.
    fn without_words(&self, service: Service, rules: &Rules, now: Instant) -> Step {
        let rule = match service {
            Service::NotProbed => Rule::ConnectOnly,
            _ => Rule::HungUp,
        };
        let judgement = Judgement::new(service, rule, Vec::new());
        let total = now.since(self.started);
        let times = Times { connect: Some(total), first_byte: None, total };
        Step::Done(open(judgement.proven_by(rules.evidence.then(Evidence::default)), times))
    }

    fn refused(&mut self, rules: &Rules, errno: Errno, now: Instant) -> Step {
        let phase = match self.stage {
            Stage::Starting => Phase::Start,
            _ => Phase::Pending,
        };
        match errno::meaning(phase, errno) {
            errno::Meaning::Fault(fault) => Step::Done(Conclusion::Fault(fault)),
            errno::Meaning::State(state, reason) => self.unconnected(state, reason, now),
            errno::Meaning::HungUp => self.without_words(Service::ClosedEarly, rules, now),
        }
    }

    fn limit_reached(&mut self, rules: &Rules, now: Instant) -> Step {
        let Stage::Talking(conversation) = &mut self.stage else { return Step::Read };
        match conversation.deadline(&rules.limits).0 {
            Timer::ActiveStep => {
                conversation.since = now.before(rules.limits.active_step);
                Step::Write(conversation.active_step(now))
            }
            Timer::Quiet if !conversation.asked && conversation.probe.awaits_active_step() => {
                Step::Write(conversation.active_step(now))
            }
            Timer::Quiet if !conversation.probe.is_recognised() => {
                conversation.heard_out = true;
                Step::Read
            }
            Timer::Conversation
                if conversation.goes_on(&rules.limits, now) || conversation.probe.is_in_ssh() =>
            {
                self.ended(Ending::Deadline, now)
            }
            _ => self.ended(Ending::Quiet, now),
        }
    }

    fn ended(&mut self, ending: Ending, now: Instant) -> Step {
        match &self.stage {
            Stage::Talking(conversation) => {
                let judgement = conversation.probe.ended(ending);
                self.judged(judgement, now)
            }
            _ => self.unconnected(PortState::Filtered, Reason::NoAnswer, now),
        }
    }

    fn unconnected(&self, state: PortState, reason: Reason, now: Instant) -> Step {
        let verdict = Verdict::unconnected(state, reason, now.since(self.started));
        Step::Done(Conclusion::Verdict(verdict))
    }

    fn judged(&mut self, mut judgement: Judgement, now: Instant) -> Step {
        let mut times = Times { total: now.since(self.started), ..Times::default() };
        if let Stage::Talking(conversation) = &mut self.stage {
            judgement = judgement.proven_by(conversation.evidence.take());
            times.connect = Some(conversation.accepted.since(self.started));
            times.first_byte = conversation.first_byte.map(|first| first.since(self.started));
        }
        Step::Done(open(judgement, times))
    }
}

/// The conclusion on an endpoint that accepted.
fn open(Judgement { service, rule, banner, details }: Judgement, times: Times) -> Conclusion {
    Conclusion::Verdict(Verdict {
        state: PortState::Open,
        reason: Reason::Accepted,
        service: Some(service),
        rule: Some(rule),
        banner,
        details,
        times,
    })
}

impl Conversation {
    fn bytes(&mut self, bytes: &[u8], now: Instant) -> ProbeStep {
        self.last_byte = now;
        self.quiet_since = now;
        self.heard_out = false;
        self.first_byte.get_or_insert(now);
        self.probe.bytes(bytes)
    }

    fn active_step(&mut self, now: Instant) -> Vec<u8> {
        self.asked = true;
        self.quiet_since = now;
        self.probe.active_step()
    }

    /// Whether bytes came for longer than the pause that ends a greeting, and until just now: what
    /// came in one go and was cut off by a short deadline is a greeting all the same, and so is
    /// what stopped before.
    fn goes_on(&self, limits: &Limits, now: Instant) -> bool {
        self.first_byte.is_some_and(|first| self.last_byte.since(first) >= limits.quiet)
            && now.since(self.last_byte) < limits.quiet
    }

    fn deadline(&self, limits: &Limits) -> (Timer, Instant) {
        let whole = (Timer::Conversation, self.since.after(limits.deadline));
        let first_byte = (Timer::FirstByte, self.since.after(limits.first_byte));
        let active_step = (Timer::ActiveStep, self.since.after(limits.active_step));
        let silence = match self.first_byte {
            // What is known to be ssh is given its time to make an offer.
            Some(_) if self.probe.is_in_ssh() => {
                (Timer::FirstByte, self.quiet_since.after(limits.first_byte))
            }
            Some(_) if self.heard_out => {
                let patience = limits.first_byte.max(limits.quiet);
                (Timer::Unrecognised, self.quiet_since.after(patience))
            }
            Some(_) => (Timer::Quiet, self.quiet_since.after(limits.quiet)),
            None if self.asked => first_byte,
            None => std::cmp::min_by_key(first_byte, active_step, |&(_, at)| at),
        };
        std::cmp::min_by_key(whole, silence, |&(_, at)| at)
    }
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
        attempt.under_way();
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
    fn no_answer_is_filtered_at_the_timeout() {
        let (mut attempt, rules) = attempt();
        attempt.under_way();
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Connect, at(10_000))]);
        assert_eq!((verdict.state, verdict.reason), (PortState::Filtered, Reason::NoAnswer));
    }

    #[test]
    fn the_same_error_means_another_thing_before_the_first_packet() {
        let (mut attempt, rules) = attempt();
        let step = attempt.handle(&rules, Event::Failed(Errno::NETUNREACH), at(0));
        assert_eq!(verdict(step).state, PortState::Unchecked);

        let (mut attempt, rules) = self::attempt();
        attempt.under_way();
        let step = attempt.handle(&rules, Event::Failed(Errno::NETUNREACH), at(1));
        assert_eq!(verdict(step).state, PortState::Filtered);
    }

    #[test]
    fn a_greeting_decides_at_once_and_keeps_its_times() {
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
    fn silence_is_asked_once_then_judged() {
        let (mut attempt, rules) = accepted();
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        let expected = [(Timer::ActiveStep, at(3_005)), (Timer::FirstByte, at(12_005))];
        assert_eq!(passed, expected);
        assert_eq!(verdict.service, Some(Service::Silent));
    }

    #[test]
    fn the_active_step_is_an_empty_line_and_a_wish_that_no_line_ends() {
        let (mut attempt, rules) = accepted();
        let step = attempt.handle(&rules, Event::DeadlinePassed, at(3_005));
        assert_eq!(step, Step::Write(b"\r\n\xff\xfd\x01".to_vec()));
    }

    #[test]
    fn a_server_that_only_negotiates_is_asked_once_then_judged() {
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
    fn an_offer_is_waited_for_as_long_as_a_first_byte() {
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
    fn a_drip_behind_the_identification_ends_with_the_conversation() {
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
    fn what_no_rule_recognises_is_waited_for_as_long_as_a_first_byte() {
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
    fn what_a_rule_recognises_is_judged_after_a_pause() {
        for greeting in [&b"login: "[..], b"/ # ", b"* OK IMAP4rev1 ready\r\n", b"\xff\xf1ok\r\n"] {
            let (mut attempt, rules) = accepted();
            attempt.handle(&rules, Event::Bytes(greeting), at(10));
            let (passed, _) = wait_out(&mut attempt, &rules);
            assert_eq!(passed, [(Timer::Quiet, at(2_010))], "{}", greeting.escape_ascii());
        }
    }

    #[test]
    fn who_introduces_itself_speaks_first_and_only_once() {
        let (attempt, rules) = attempt();
        let mut attempt = attempt.opening(Opening::Introduce);
        attempt.under_way();
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
    fn an_echo_of_our_identification_is_no_ssh() {
        let (attempt, rules) = attempt();
        let mut attempt = attempt.opening(Opening::Introduce);
        attempt.under_way();
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
    fn a_server_that_negotiates_for_ever_is_telnet_when_the_conversation_ends() {
        let (mut attempt, rules) = accepted();
        for (turn, option) in (0..200_u64).zip((0..=255).cycle()) {
            attempt.handle(&rules, Event::Bytes(&[0xff, 0xfd, option]), at(10 + turn * 99));
        }
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Conversation, at(20_005))]);
        assert_eq!(verdict.service, Some(Service::Telnet));
    }

    #[test]
    fn the_conversation_is_kept_when_it_is_asked_for() {
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
    fn a_drip_ends_with_the_conversation() {
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
    fn a_greeting_cut_off_by_a_short_deadline_is_no_tarpit() {
        let (mut attempt, mut rules) = accepted();
        rules.limits.deadline = Duration::from_secs(1);
        attempt.handle(&rules, Event::Bytes(b"hello\r\n"), at(10));
        let (passed, verdict) = wait_out(&mut attempt, &rules);
        assert_eq!(passed, [(Timer::Conversation, at(1_005))]);
        assert_eq!(verdict.service, Some(Service::Unknown));
    }

    #[test]
    fn an_answer_gets_its_time_when_this_machine_was_held_up() {
        let (mut attempt, rules) = accepted();
        let step = attempt.handle(&rules, Event::DeadlinePassed, at(15_000));
        assert!(matches!(step, Step::Write(_)));
        assert_eq!(attempt.deadline(&rules.limits), (Timer::FirstByte, at(24_000)));
    }

    #[test]
    fn a_reset_after_the_accept_is_open_and_closed_early() {
        for error in [Errno::CONNRESET, Errno::PIPE] {
            let (mut attempt, rules) = attempt();
            attempt.under_way();
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
    fn who_can_not_be_watched_was_not_begun() {
        assert!(matches!(Attempt::unwatched(Errno::NOSPC), Conclusion::Fault(_)));
        let Conclusion::Verdict(verdict) = Attempt::unwatched(Errno::PERM) else {
            panic!("no fault")
        };
        assert_eq!(verdict.state, PortState::Unchecked);
    }

    #[test]
    fn a_fault_is_no_verdict_in_any_phase() {
        let (mut starting, rules) = attempt();
        let (mut pending, _) = attempt();
        pending.under_way();
        let (mut talking, _) = accepted();
        for attempt in [&mut starting, &mut pending, &mut talking] {
            let step = attempt.handle(&rules, Event::Failed(Errno::NOBUFS), at(6));
            assert!(matches!(step, Step::Done(Conclusion::Fault(_))), "{step:?}");
        }
    }
}
