//! Hostile servers, in virtual time and with the default limits.
//!
//! Each check ends in time with the right verdict, and no output contains control characters.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use portmuster::{
    Config, Outcome, Service, Target,
    config::HostKeyProbing,
    outcome::{Evidence, HostKeyFailure, KexFailure, KeyExchange, Rule},
    simulator::{Action, Network, ServerBehaviour, simulate},
    sink::{Beginning, Csv, Jsonl, Paint, Sink, Table, Xml},
};

/// Time limit of two conversations, because a silent server gets a second one, plus the simulator's
/// spread of simultaneous events.
const IN_TIME: Duration = Duration::from_millis(40_010);

/// Returns a server that sends these parts. The numbers are pauses before them in milliseconds.
fn sends(parts: Vec<(u64, Vec<u8>)>) -> ServerBehaviour {
    let action = |(pause, bytes)| (Duration::from_millis(pause), Action::Bytes(bytes));
    let actions = parts.into_iter().map(action).collect();
    ServerBehaviour::Accepts { after: Duration::from_millis(1), actions, answer: None }
}

fn repeated(times: usize, pause: u64, bytes: &[u8]) -> ServerBehaviour {
    sends(vec![(pause, bytes.to_vec()); times])
}

/// Checks one server with this behaviour and returns its outcome.
fn outcome(behaviour: ServerBehaviour) -> Outcome {
    outcome_with(behaviour, HostKeyProbing::Off)
}

fn outcome_with(behaviour: ServerBehaviour, host_keys: HostKeyProbing) -> Outcome {
    let endpoint = SocketAddr::from(([192, 0, 2, 1], 23));
    let network = Network::new(1).anomalies(20).endpoint(endpoint, behaviour);
    let config = Config::builder().evidence(true).host_keys(host_keys).build();
    let config = config.expect("the settings are valid");
    let mut run = simulate(&config, &network, [Target::from(endpoint)]);
    assert!(run.elapsed <= IN_TIME, "it took {:?}: {:?}", run.elapsed, run.outcomes);
    run.outcomes.pop().expect("one outcome")
}

/// Returns service and rule, and asserts that the outcome is bounded and its rows are escaped.
fn judged(behaviour: ServerBehaviour) -> (Service, Rule) {
    let outcome = outcome(behaviour);
    assert_bounded(&outcome);
    assert_escaped(&outcome);
    let verdict = outcome.verdict;
    (verdict.service.expect("it is open"), verdict.rule.expect("it is open"))
}

fn assert_bounded(outcome: &Outcome) {
    assert!(outcome.verdict.banner.len() <= 1024);
    let details = outcome.verdict.details.as_deref().expect("evidence was requested");
    let parts = &details.evidence.as_ref().expect("evidence was requested").parts;
    let bytes: usize = parts.iter().map(|part| part.bytes.len()).sum();
    assert!(bytes <= Evidence::BYTES_MAX && parts.len() <= Evidence::PARTS_MAX);
}

fn assert_escaped(outcome: &Outcome) {
    let [mut table, mut lines, mut csv, mut xml] = [const { Vec::new() }; 4];
    Table::new(&mut table, Paint::Plain).write(outcome).expect("vectors accept any write");
    Jsonl::new(&mut lines).write(outcome).expect("vectors accept any write");
    Csv::without_header(&mut csv).write(outcome).expect("vectors accept any write");
    let beginning = Beginning::new(SystemTime::UNIX_EPOCH, "");
    let mut document = Xml::new(&mut xml, &beginning);
    document.write(outcome).and_then(|()| document.flush()).expect("vectors accept any write");
    for text in [table, lines, csv, xml] {
        let text = String::from_utf8(text).expect("it is text");
        assert!(text.lines().all(|line| !line.contains(char::is_control)), "{text}");
    }
}

#[test]
fn one_byte_per_second_is_a_tarpit() {
    assert_eq!(judged(repeated(60, 1000, b"x")), (Service::Tarpit, Rule::StillTalking));
}

#[test]
fn endless_slow_lines_are_a_tarpit() {
    // endlessh sends a line of random letters every ten seconds.
    let slow = repeated(60, 10_000, b"1x7!kq\r\n");
    assert_eq!(judged(slow), (Service::Tarpit, Rule::StillTalking));
    let mut lines = vec![(500, b"x7!kq\r\n".to_vec()); 100];
    lines[0].0 = 10_000;
    assert_eq!(judged(sends(lines)), (Service::Tarpit, Rule::StillTalking));
}

#[test]
fn one_megabyte_at_once_is_a_tarpit() {
    let random = |it: u32| it.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    let noise = [0, 0xfe, 0x80].into_iter().chain((0..1 << 20).map(random)).collect();
    assert_eq!(judged(sends(vec![(0, noise)])), (Service::Tarpit, Rule::TooManyBytes));
}

#[test]
fn sixty_four_kibibytes_without_a_line_end_are_a_tarpit() {
    let line = sends(vec![(0, vec![b'a'; 64 * 1024])]);
    assert_eq!(judged(line), (Service::Tarpit, Rule::TooManyBytes));
}

#[test]
fn partial_tls_hello_is_other() {
    let hello = sends(vec![(3_500, b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03".to_vec())]);
    assert_eq!(judged(hello), (Service::Other, Rule::KnownProtocol));
}

#[test]
fn accept_without_bytes_is_silent() {
    assert_eq!(judged(sends(vec![])), (Service::Silent, Rule::Silence));
}

#[test]
fn endless_negotiation_is_telnet() {
    let for_ever = repeated(2_000, 50, b"\xff\xfb\x01\xff\xfc\x01\xff\xfd\x18");
    assert_eq!(judged(for_ever), (Service::Telnet, Rule::TelnetCommands));
    let without_end = repeated(1, 0, &[0xff, 0xfa].repeat(40_000));
    assert_eq!(judged(without_end).0, Service::Tarpit, "a subnegotiation that is never whole");
}

#[test]
fn nul_and_escape_bytes_are_escaped_in_output() {
    let greeting = b"\0\0\x1b]0;owned\x07\x1b[2J\x9b31m\xe2\x80\xae\r\n".to_vec();
    assert_eq!(judged(sends(vec![(0, greeting)])), (Service::Unknown, Rule::UnknownBytes));
    let telnet = b"\xff\xfb\x01\x1b]0;owned\x07\x1b[2Jhost\0\x9b31m login: ".to_vec();
    assert_eq!(judged(sends(vec![(0, telnet)])), (Service::Telnet, Rule::TelnetCommands));
}

#[test]
fn malformed_or_endless_kexinit_keeps_ssh() {
    let greeting = b"SSH-2.0-x\r\n".to_vec();
    let ignored = [&b"\0\0\x10\0\x04\x02"[..], &[0; 4094]].concat();
    for (parts, why) in [
        (vec![(5, b"\x7f\xff\xff\xff\x04\x14".to_vec())], KexFailure::NoPacket),
        (vec![(5, b"\0\0\0\x10\x04\x14\xff\xff".to_vec())], KexFailure::Silence),
        (vec![(5, [&b"\0\0\x01\0\x04\x14"[..], &[0xff; 254]].concat())], KexFailure::Malformed),
        (vec![(5, ignored); 50], KexFailure::TooMuch),
        (vec![(1000, vec![0]); 60], KexFailure::NoPacket),
        ([vec![(5, b"\0\0\x20\0\x04\x14".to_vec())], vec![(999, vec![b'x']); 60]].concat(), {
            KexFailure::Deadline
        }),
    ] {
        let parts = [vec![(0, greeting.clone())], parts].concat();
        let outcome = outcome(sends(parts));
        assert_bounded(&outcome);
        assert_escaped(&outcome);
        assert_eq!(outcome.verdict.service, Some(Service::Ssh));
        let details = outcome.verdict.details.expect("ssh has an identification");
        assert_eq!(details.key_exchange, KeyExchange::Missing(why));
    }
}

/// Returns a packet without encryption.
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let length = u32::try_from(1 + payload.len() + padding).expect("it is short");
    let padding = vec![u8::try_from(padding).expect("it is short"); padding];
    [&length.to_be_bytes()[..], &padding[..1], payload, &padding].concat()
}

/// Returns an offer of this method.
fn offer(method: &str) -> Vec<u8> {
    let mut payload = [&[20][..], &[7; 16]].concat();
    let (cipher, mac) = ("aes128-ctr", "hmac-sha2-256");
    for list in [method, "ssh-ed25519", cipher, cipher, mac, mac, "none", "none", "", ""] {
        let length = u32::try_from(list.len()).expect("it is short");
        payload.extend([&length.to_be_bytes()[..], list.as_bytes()].concat());
    }
    packet(&[&payload[..], &[0; 5]].concat())
}

#[test]
fn hostile_key_exchange_ends_in_time_with_its_reason() {
    let (curve, group) = ("curve25519-sha256", "diffie-hellman-group-exchange-sha256");
    let ignored = packet(&[&[2][..], &[0; 4094]].concat());
    let even = [&[31, 0, 0, 1, 0][..], &[0x7e; 256], &[0, 0, 0, 1, 2]].concat();
    let huge = [&[31, 0, 0, 0x20, 0][..], &[0x7f; 8192], &[0, 0, 0, 1, 2]].concat();
    for (method, replies, why) in [
        (curve, vec![], HostKeyFailure::Silence),
        (curve, vec![b"\x7f\xff\xff\xff\x04\x1f".to_vec()], HostKeyFailure::NoPacket),
        (curve, vec![packet(b"\x1f\xff\xff\xff\xff")], HostKeyFailure::Malformed),
        (curve, vec![packet(b"\x1f\0\0\0\x04\xff\xff\xff\xff")], HostKeyFailure::Malformed),
        (curve, vec![packet(b"\x01\0\0\0\x02")], HostKeyFailure::Disconnected),
        (curve, vec![packet(b"\x15")], HostKeyFailure::OtherPacket),
        (curve, vec![ignored; 50], HostKeyFailure::TooMuch),
        (curve, vec![vec![0]; 60], HostKeyFailure::NoPacket),
        (group, vec![packet(b"\x1f\0\0\0\0\0\0\0\x01\x02")], HostKeyFailure::BadGroup),
        (group, vec![packet(b"\x1f\0\0\0\x01\x01\0\0\0\x01\x02")], HostKeyFailure::BadGroup),
        (group, vec![packet(&even)], HostKeyFailure::BadGroup),
        (group, vec![packet(&huge)], HostKeyFailure::BadGroup),
        ("mlkem768x25519-sha256", vec![], HostKeyFailure::NoMethod),
    ] {
        let replies = replies.into_iter().map(|bytes| (1000, bytes));
        let greeting = (0, [b"SSH-2.0-x\r\n", &offer(method)[..]].concat());
        let parts = [greeting].into_iter().chain(replies).collect();
        let outcome = outcome_with(sends(parts), HostKeyProbing::First);
        assert_bounded(&outcome);
        assert_escaped(&outcome);
        let details = outcome.verdict.details.expect("ssh has an identification");
        assert!(matches!(details.key_exchange, KeyExchange::Offered(_)), "{why}");
        assert_eq!((details.host_keys.missing, details.host_keys.keys), (Some(why), vec![]));
    }
}
