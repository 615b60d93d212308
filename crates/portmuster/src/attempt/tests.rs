//! Tests of attempts in virtual time.

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
        let (timer, when) = attempt.deadline(rules);
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
    assert_eq!(attempt.deadline(&rules), (Timer::Connect, at(0).after(timeout)));
    attempt.connection_pending();
    attempt.sent(at(30), &rules.limits);
    assert_eq!(attempt.deadline(&rules), (Timer::Connect, at(30).after(timeout)));
    let patience = Some(Duration::from_millis(3200));
    let mut attempt = Attempt::new(ENDPOINT.into(), at(0)).patience(patience);
    attempt.connection_pending();
    attempt.sent(at(7), &rules.limits);
    assert_eq!(attempt.deadline(&rules), (Timer::Connect, at(3207)));
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
    for (after, repeated, lost) in
        [(20, None, 0), (2_020, None, 2), (5_900, None, 4), (6_000, None, 5), (2_020, Some(1), 1)]
    {
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
    assert_eq!(attempt.deadline(&rules), (Timer::Quiet, at(2_010)));
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
        assert_eq!(attempt.deadline(&rules), (Timer::Quiet, at(2_010)));
        assert_eq!(attempt.handle(&rules, Event::DeadlinePassed, at(2_010)), Step::Read);
        assert_eq!(attempt.deadline(&rules), (Timer::Unrecognised, at(12_010)));
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
    assert_eq!((verdict.service, verdict.rule), (Some(Service::Tarpit), Some(Rule::StillTalking)));
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
    let evidence = verdict.details.and_then(|details| details.evidence).expect("it was asked for");
    let parts: Vec<_> =
        evidence.parts.iter().map(|part| (part.at.as_millis(), part.side)).collect();
    assert_eq!(parts, [(20, Side::Server), (30, Side::Server), (30, Side::Portmuster)]);
    assert_eq!(evidence.parts[0].bytes, b"hello\nSSH-2.0");
}

#[test]
fn dripping_bytes_end_with_the_conversation() {
    let (mut attempt, rules) = accepted();
    for second in 1..=20 {
        let (timer, when) = attempt.deadline(&rules);
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
    assert_eq!(attempt.deadline(&rules), (Timer::FirstByte, at(24_000)));
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
