//! Attempts through a proxy.

use super::*;
use crate::outcome::Fault;

const TARGET: ([u8; 4], u16) = ([192, 0, 2, 7], 22);
const CONNECTED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fn rules() -> Rules {
    let proxy = ProxyServer { address: ([127, 0, 0, 1], 1080).into(), credentials: None };
    Rules { proxy: Some(proxy), evidence: true, ..Rules::default() }
}

/// Returns an attempt that waits for an answer of its endpoint for 3.2 s.
fn attempt() -> Attempt {
    let patience = Some(Duration::from_millis(3200));
    let mut attempt = Attempt::new(TARGET.into(), at(0)).patience(patience);
    attempt.connection_pending();
    attempt
}

/// Returns an attempt that was greeted at 10 ms.
fn greeted() -> Attempt {
    let mut attempt = attempt();
    let step = attempt.handle(&rules(), Event::Accepted, at(10));
    assert_eq!(step, Step::Write(vec![5, 1, 0]));
    attempt
}

/// Returns an attempt that sent its request at 500 ms.
fn asked() -> Attempt {
    let mut attempt = greeted();
    let step = attempt.handle(&rules(), Event::Bytes(&[5, 0]), at(500));
    assert_eq!(step, Step::Write(vec![5, 1, 0, 1, 192, 0, 2, 7, 0, 22]));
    attempt
}

#[test]
fn trouble_on_the_way_to_the_proxy_is_no_verdict_on_the_target() {
    let events = || {
        [
            Event::Failed(Errno::CONNREFUSED),
            Event::Failed(Errno::TIMEDOUT),
            Event::Failed(Errno::HOSTUNREACH),
            Event::Failed(Errno::CONNRESET),
            Event::RefusedByIcmp(Errno::CONNREFUSED),
            Event::DeadlinePassed,
        ]
    };
    for event in events() {
        let verdict = verdict(attempt().handle(&rules(), event, at(7)));
        let unreachable = (PortState::Unchecked, Reason::ProxyUnreachable);
        assert_eq!(
            (verdict.state, verdict.reason, verdict.syns_lost),
            (unreachable.0, unreachable.1, 0)
        );
    }
    for (mut attempt, event, reason) in [
        (greeted(), Event::Closed, Reason::ProxyFailed),
        (greeted(), Event::Failed(Errno::CONNRESET), Reason::ProxyFailed),
        (greeted(), Event::DeadlinePassed, Reason::ProxyUnreachable),
        (asked(), Event::Closed, Reason::ProxyFailed),
        (asked(), Event::Failed(Errno::CONNRESET), Reason::ProxyFailed),
    ] {
        let verdict = verdict(attempt.handle(&rules(), event, at(900)));
        assert_eq!((verdict.state, verdict.reason), (PortState::Unchecked, reason));
    }
    let step = attempt().handle(&rules(), Event::Failed(Errno::NOBUFS), at(7));
    assert_eq!(step, Step::Done(Conclusion::Fault(Fault::Buffers)));
}

#[test]
fn proxy_gets_the_timeout_and_the_target_its_patience_from_the_request_on() {
    let rules = rules();
    assert_eq!(attempt().deadline(&rules), (Timer::Proxy, at(10_000)));
    assert_eq!(greeted().deadline(&rules), (Timer::Proxy, at(10_000)));
    let mut asked = asked();
    assert_eq!(asked.deadline(&rules), (Timer::Connect, at(3_700)));
    let verdict = verdict(asked.handle(&rules, Event::DeadlinePassed, at(3_700)));
    assert_eq!((verdict.state, verdict.reason), (PortState::Filtered, Reason::NoAnswer));
    assert_eq!(verdict.times.connect, None);
}

#[test]
fn bytes_after_the_reply_are_the_first_of_the_target() {
    let rules = rules();
    let mut attempt = asked();
    let bytes = [&CONNECTED[..], b"SSH-2.0-x\r\n"].concat();
    let step = attempt.handle(&rules, Event::Bytes(&bytes), at(2_600));
    assert!(matches!(&step, Step::Write(bytes) if bytes.starts_with(b"SSH-2.0-")), "{step:?}");
    let verdict = verdict(attempt.handle(&rules, Event::Closed, at(2_700)));
    assert_eq!(verdict.service, Some(Service::Ssh));
    assert_eq!(verdict.times.connect, Some(Duration::from_millis(2_600)));
    assert_eq!(verdict.syns_lost, 0, "nobody has counted them");
    let evidence = verdict.details.and_then(|details| details.evidence).expect("it is kept");
    assert_eq!(evidence.parts[0].bytes, b"SSH-2.0-x\r\n", "the proxy's bytes are no evidence");
    assert_eq!(evidence.parts[1].side, Side::Portmuster);
    assert_eq!(evidence.parts.len(), 2);
}

#[test]
fn side_that_speaks_first_does_so_after_the_reply() {
    let rules = rules();
    let mut attempt = asked().opening(Opening::Introduce);
    let bytes = [&CONNECTED[..], b"\xff\xfd\x18\xff\xfb\x01"].concat();
    let step = attempt.handle(&rules, Event::Bytes(&bytes), at(600));
    let Step::Write(bytes) = step else { panic!("it is silent: {step:?}") };
    assert!(bytes.starts_with(b"SSH-2.0-portmuster"), "{bytes:?}");
}

#[test]
fn connection_is_enough_where_nothing_is_probed() {
    let rules = Rules { probing: Probing::ConnectOnly, ..rules() };
    let bytes = [&CONNECTED[..], b"hello"].concat();
    let verdict = verdict(asked().handle(&rules, Event::Bytes(&bytes), at(600)));
    assert_eq!((verdict.state, verdict.service), (PortState::Open, Some(Service::NotProbed)));
}

#[test]
fn name_is_sent_instead_of_the_endpoint() {
    let rules = rules();
    let mut attempt = greeted().name(Some("db.example".into()));
    let step = attempt.handle(&rules, Event::Bytes(&[5, 0]), at(20));
    assert_eq!(step, Step::Write(b"\x05\x01\0\x03\x0adb.example\0\x16".to_vec()));
    let step = greeted().only_proxy().handle(&rules, Event::Bytes(&[5, 0]), at(20));
    assert_eq!(verdict(step).state, PortState::Open);
}
