//! Tests of whole conversations.

use super::{
    EMPTY_LINE, Probe, ProbeState, ProbeStep,
    judgement::{EndOfInput, Judgement},
    limits::{BANNER_MAX, BYTES_MAX, LINES_MAX, WRITTEN_MAX},
    samples, ssh, transcripts,
};
use crate::{
    config::Probing,
    outcome::{KexFailure, KeyExchange, Rule, Service},
};

/// Judges the bytes whole, byte by byte, and split at every position, and checks that the services
/// agree.
fn judged(bytes: &[u8], end: EndOfInput) -> Judgement {
    let whole = judged_in(&[bytes], end);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(judged_in(&single, end).service, whole.service, "byte by byte");
    if bytes.len() < 2 * BANNER_MAX {
        for position in 0..bytes.len() {
            let (front, back) = bytes.split_at(position);
            assert_eq!(judged_in(&[front, back], end).service, whole.service, "at {position}");
        }
    }
    whole
}

fn judged_in(parts: &[&[u8]], end: EndOfInput) -> Judgement {
    let mut probe = Probe::new(Probing::Greeting);
    for part in parts {
        if let ProbeStep::Judged(judgement) = probe.receive(part) {
            return judgement;
        }
    }
    probe.finish(end)
}

fn service(bytes: &[u8], end: EndOfInput) -> Service {
    judged(bytes, end).service
}

fn is_neither(service: Service) -> bool {
    matches!(service, Service::Other | Service::Unknown)
}

#[test]
fn identification_line_is_ssh() {
    let judgement = judged(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\x00\x00\x01", EndOfInput::Quiet);
    assert_eq!(judgement.service, Service::Ssh);
    assert_eq!(judgement.banner, b"SSH-2.0-OpenSSH_9.2p1 Debian-2");
    assert_eq!(service(b"SSH-1.99-Cisco-1.25\n", EndOfInput::Quiet), Service::Ssh);
    assert_eq!(service(b"SSH-1.5-1.2.27\n", EndOfInput::Quiet), Service::Ssh);
    assert_eq!(service(b"hello\r\nthere\r\nSSH-2.0-x\r\n", EndOfInput::Quiet), Service::Ssh);
    assert_eq!(service(b"SSH-2.0-Ope", EndOfInput::Closed), Service::Ssh);
}

#[test]
fn ambiguous_commands_do_not_prove_telnet() {
    for other in [
        &b"HTTP/1.1 400 Bad\r\n\r\n\xff\xfb\x01\xff\xfd\x18"[..],
        b"220 FTP \xe2\xfb\xef\xee\xeb\xed\xff\xfe\xf2\r\n",
        b"\xcb\xe8\xed\xe8\xff \xe7\xe0\xed\xff\xf2\xe0\r\n",
        b"\xff\xfeH\0e\0l\0l\0o\0",
        b"\xff\xfb\x90d\0\x03\x01",
        b"\xff\xf9\0\x01\x02\x03",
        b"\xff\xf0 400 Bad Request\r\nContent-Type: text/html\r\n",
    ] {
        assert!(is_neither(service(other, EndOfInput::Quiet)), "{other:?}");
    }
    for telnet in [&b"login: \xff\xf9"[..], b"\xff\xfc\x01\r\nHP JetDirect\r\n"] {
        assert_eq!(service(telnet, EndOfInput::Quiet), Service::Telnet, "{telnet:?}");
    }
}

#[test]
fn status_or_page_that_an_open_prompt_follows_has_no_protocol_name() {
    let starts = [
        "HTTP/1.0 200 OK\r\n\r\n",
        "<html></html>\r\n",
        "RTSP/1.0 200 OK\r\n",
        "SIP/2.0 200 OK\r\n",
    ];
    for start in starts {
        let judged = |rest: &str, end| service([start, rest].concat().as_bytes(), end);
        for prompt in ["login: ", "Password: ", "user@host:~$ "] {
            assert_eq!(
                judged(prompt, EndOfInput::Quiet),
                Service::TelnetLikely,
                "{start} {prompt}"
            );
            assert_eq!(judged(prompt, EndOfInput::Closed), Service::Other, "{start} {prompt}");
        }
        for page in ["", "<p>login: <input>\n</html>", "<b>user</b>", "please log in\r\n"] {
            assert_eq!(judged(page, EndOfInput::Quiet), Service::Other, "{start} {page}");
        }
    }
}

/// Whatever the greeting of a server is, a telnet client that reaches it shows what follows.
#[test]
fn telnet_after_the_greeting_of_another_protocol_contradicts_it() {
    let transcripts = transcripts::all();
    let others: Vec<_> = transcripts.iter().filter(|it| it.is_of_another_protocol()).collect();
    assert!(others.len() >= 15, "{}", others.len());
    for transcript in others {
        let greeting = transcript.bytes();
        for telnet in [&b"\xff\xfb\x01\xff\xfd\x18"[..], b"\xff\xfd\x18\xff\xfd\x20\r\n\r\nlogin: "]
        {
            let all = [&greeting, telnet].concat();
            let service = judged_in(&[&all], EndOfInput::Quiet).service;
            assert_ne!(service, Service::Other, "{}", all.escape_ascii());
        }
    }
    for greeting in [
        &b"\x01rlogind: Permission denied.\r\n"[..],
        b"\x01Permission denied.\n",
        b"ERROR\nmessage:no\n\nbody\0\0",
        b"\x15\x03\x03\0\x02\x02\n",
        b"\0\x16\x0b\0\0\0\x06\0No protocol specified\n\0\0",
        b"AMQP\0\0\x09\x01",
        b"\x06\0\0\0\xff\x6a\x04x!y",
    ] {
        let closed = service(greeting, EndOfInput::Closed);
        assert_eq!(closed, Service::Other, "{}", greeting.escape_ascii());
        for telnet in [&b"\xff\xfb\x01"[..], b"\xff\xfb\x01login: ", b"\r\nlogin: ", b"\r\nrouter>"]
        {
            let all = [greeting, telnet].concat();
            assert!(!is_pass(service(&all, EndOfInput::Quiet)), "{}", all.escape_ascii());
        }
    }
}

/// What hides telnet behind the greeting of another protocol, or of ssh, must not pass as that.
#[test]
fn telnet_that_a_greeting_hides_is_no_proof_of_its_absence() {
    let long = [&b"220 caf\xe9 ready\r\n220-"[..], &b"x".repeat(BANNER_MAX), b"\r\n"].concat();
    for (greeting, telnet) in [
        (&b"0\x0c\x02\x01\x01a\x07\x0a\x01\0\x04\0\x04\0"[..], &b"Password: "[..]),
        (b"\0\x5b\0\0\0\0\0\0", b"\r\nlogin: "),
        (&long, b"\xff\xfd\x18"),
        (b"220 caf\xe9 ESMTP\r\n", b"\xff\xfd\x18"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"Router>"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"1) Status\r\n2) Reboot\r\nEnter your choice: "),
        (b"220 m ESMTP Postfix\r\n", b"\xff\xfa\x18\x01\r\nlogin: "),
        (b"220 m ESMTP Postfix\r\n", b"\x1b]0;title login: "),
        (b"SSH-2.0-x\r\n", b"\xff\xfb\x01"),
        (b"SSH-2.0-x\r\n", b"\xff\xfb\x01\xff\xfd\x18\r\nlogin: "),
        (b"SSH-2.0-x\r\n", b"Welcome\r\nlogin: "),
        (b"SSH-2.0-x\r\n", b"\0\0\x01\0\xff\xfb\x01"),
        (b"No host key is configured!\r\n", b"login: "),
        (b"No host key is configured!\r\n\0\0", b"\xff\xfb\x01"),
    ] {
        let all = [greeting, telnet].concat();
        let whole = conversation(&[&all], EndOfInput::Quiet).1.service;
        let parts: Vec<_> = all.chunks(1).collect();
        let in_parts = conversation(&parts, EndOfInput::Quiet).1.service;
        for service in [whole, in_parts] {
            let is_pass = is_pass(service) || service == Service::SshBroken;
            assert!(!is_pass, "{service:?}: {}", all.escape_ascii());
        }
    }
    let long_text =
        [&b"SSH-2.0-x\r\n"[..], &b"a notice\r\n".repeat(BANNER_MAX), b"login: "].concat();
    assert_eq!(conversation(&[&long_text], EndOfInput::Quiet).1.service, Service::Unknown);
    let spaces = [&b"Exceeded MaxStartups"[..], &b" ".repeat(BANNER_MAX), b"and more"].concat();
    assert_eq!(service(&spaces, EndOfInput::Quiet), Service::Unknown);
    assert_eq!(service(b"SSH-2.0-x\r\nToo many users.\r\n", EndOfInput::Quiet), Service::Ssh);
}

/// Returns whether a telnet gate passes the service.
fn is_pass(service: Service) -> bool {
    matches!(service, Service::Other | Service::Ssh)
}

#[test]
fn bytes_of_a_complete_message_are_no_telnet() {
    let message = b"login \xff\xfb!\xff\xfd# login: ";
    let announced = u8::try_from(message.len() + 3).expect("it is short");
    let mysql = [&[announced, 0, 0, 0, 0xff, 0x6a, 4][..], message].concat();
    assert_eq!(service(&mysql, EndOfInput::Closed), Service::Other);
    assert_eq!(service(&mysql[..mysql.len() - 1], EndOfInput::Closed), Service::Unknown);
    // A message that is longer than what is stored of it.
    let mut tls = [&b"\x16\x03\x03\x10\0\x02"[..], &[0x61; 0x0fff]].concat();
    tls[3000..3006].copy_from_slice(b"\xff\xfb\x01\xff\xfd\x18");
    let judged = |bytes: &[u8]| judged_in(&[bytes], EndOfInput::Quiet).service;
    assert_eq!(judged(&tls), Service::Other);
    tls.extend(b"\xff\xfb\x01\xff\xfd\x18");
    assert_eq!(judged(&tls), Service::Unknown);
}

#[test]
fn text_that_starts_like_a_refusal_is_unknown() {
    let riddle = b"Not allowed at this time of night, brave adventurer!\r\n";
    assert_eq!(service(riddle, EndOfInput::Quiet), Service::Unknown);
    let more = b"Exceeded MaxStartups\r\nand a word more\r\n";
    assert_eq!(service(more, EndOfInput::Closed), Service::Unknown);
    let endless = [&b"Not allowed at this time\r\n"[..], &b"no\n".repeat(LINES_MAX)].concat();
    assert_eq!(service(&endless, EndOfInput::Closed), Service::Tarpit);
}

#[test]
fn echo_of_our_bytes_proves_nothing() {
    let mut probe = Probe::new(Probing::KeyExchange);
    let sent = probe.active_step();
    assert_eq!(probe.receive(&sent), ProbeStep::Read);
    assert_eq!(probe.finish(EndOfInput::Quiet).service, Service::Unknown);
    assert!(matches!(probe.receive(b"\xff\xfd\x18"), ProbeStep::Write(_)));
    assert_eq!(probe.finish(EndOfInput::Quiet).service, Service::Telnet);
}

#[test]
fn identification_within_another_protocol_is_not_ssh() {
    for other in [
        &b"HTTP/1.1 200 OK\r\n\r\nlog:\r\nSSH-2.0-foo\r\n"[..],
        b"220-mail ESMTP\r\nSSH-2.0-foo\r\n",
        b"\x00\x01\x02\x03\nSSH-2.0-foo\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-fo",
    ] {
        assert!(is_neither(service(other, EndOfInput::Closed)), "{other:?}");
    }
    let notice = [b"a line of a notice\r\n".repeat(LINES_MAX - 1), b"SSH-2.0-x\r\n".to_vec()];
    assert_eq!(service(&notice.concat(), EndOfInput::Quiet), Service::Ssh);
}

#[test]
fn missing_kex_init_after_an_empty_line_is_spoiled() {
    let invalid = b"Invalid SSH identification string.\r\n";
    for parts in [&[&b"SSH-2.0-x\r\n"[..], invalid][..], &[b"SSH-2.0-x\r\nInvalid SSH\r\n"]] {
        let mut probe = Probe::new(Probing::KeyExchange);
        probe.active_step();
        for part in parts {
            let step = probe.receive(part);
            assert!(!matches!(step, ProbeStep::Judged(_)), "more may contradict the line");
        }
        let judgement = probe.finish(EndOfInput::Closed);
        let details = judgement.details.expect("ssh has details");
        assert_eq!(details.key_exchange, KeyExchange::Missing(KexFailure::Spoiled));
    }
}

/// Runs a conversation to its judgement. Returns the bytes that the probe wrote, too.
fn conversation(parts: &[&[u8]], end: EndOfInput) -> (Vec<u8>, Judgement) {
    let mut probe = Probe::new(Probing::KeyExchange);
    let mut written = Vec::new();
    for part in parts {
        match probe.receive(part) {
            ProbeStep::Read => {}
            ProbeStep::Write(bytes) => written.extend(bytes),
            ProbeStep::Judged(judgement) => return (written, judgement),
        }
    }
    (written, probe.finish(end))
}

fn key_exchange(parts: &[&[u8]], end: EndOfInput) -> (Vec<u8>, KeyExchange) {
    let (written, judgement) = conversation(parts, end);
    assert_eq!(judgement.service, Service::Ssh);
    let details = judgement.details.expect("ssh has details");
    assert!(details.identification.is_some());
    (written, details.key_exchange)
}

#[test]
fn kex_init_is_requested_by_our_identification_only() {
    let packet = samples::packet(&samples::kexinit(samples::LISTS));
    let parts = [&b"SSH-2.0-x\r\n"[..], &packet[..7], &packet[7..]];
    let (written, judgement) = conversation(&parts, EndOfInput::Quiet);
    assert_eq!(written, ssh::OUR_IDENTIFICATION);
    let details = judgement.details.expect("ssh has details");
    let kex_init = details.key_exchange.kex_init().expect("the server sent it");
    assert!(kex_init.kex.contains("curve25519-sha256"));
    let findings: Vec<_> = details.findings.iter().map(|it| it.name()).collect();
    let weak = ["group1-sha1", "sha1-kex", "ssh-dss", "cbc", "md5", "no-post-quantum"];
    assert_eq!(findings, weak);
}

/// RFC 4253 §4.2 allows printable ASCII only, and at least one such character.
#[test]
fn identification_that_the_rfc_does_not_allow_is_ssh_if_a_kex_init_follows() {
    let packet = samples::packet(&samples::kexinit(samples::LISTS));
    for line in [
        &b"SSH-2.0-\r\n"[..],
        b"SSH-2.0-\xff\r\n",
        b"SSH-2.0-\x7f\r\n",
        b"SSH-2.0-Open\x7fSSH_9 \x01\r\n",
        b"a notice\r\nSSH-1.99-\x02\n",
        b"SSH-1.99-\r\n",
        b"SSH-2.0- \r\n",
        b"SSH-2.0- a comment\r\n",
        b"SSH-2.0-OpenSSH\x07\r\n",
        b"SSH-2.0-\x08OpenSSH\r\n",
        b"SSH-2.0-Open\tSSH\r\n",
        b"SSH-2.0-Open\x0bSSH\x0c\r\n",
        b"SSH-2.0-Open\rSSH\r\n",
        b"SSH-2.0-\x1b[2JOpenSSH\r\n",
        b"SSH-2.0-\x9b2JOpenSSH\r\n",
        b"SSH-2.0-\xc2\x9b2JOpenSSH\r\n",
        b"a notice\n\rSSH-2.0-OpenSSH\r\n",
    ] {
        let all = [line, &packet].concat();
        assert_eq!(judged(&all, EndOfInput::Quiet).service, Service::Ssh, "{line:?}");
        let (written, judgement) = conversation(&[line, &packet], EndOfInput::Quiet);
        assert_eq!(written, ssh::OUR_IDENTIFICATION, "{line:?}");
        assert_eq!((judgement.service, judgement.rule), (Service::Ssh, Rule::Identification));
        let details = judgement.details.expect("ssh has details");
        assert!(details.key_exchange.kex_init().is_some(), "{line:?}");

        let cut = &packet[..packet.len() - 1];
        for other in [&b""[..], cut, b"SSH-2.0-portmuster_0.2.0\r\n", b"\0\0\0\x0c\x04\x01"] {
            let all = [line, other].concat();
            assert_eq!(judged(&all, EndOfInput::Closed).service, Service::Unknown, "{all:?}");
        }
        let prompt = [line, b"login: "].concat();
        let service = judged(&prompt, EndOfInput::Quiet).service;
        assert!(matches!(service, Service::TelnetLikely | Service::Unknown), "{prompt:?}");
        let telnet = [line, b"\xff\xfb\x01\xff\xfd\x18"].concat();
        let before = judged(&telnet, EndOfInput::Quiet).service;
        assert!(matches!(before, Service::Telnet | Service::Unknown), "{telnet:?}");
    }
    assert_eq!(service(b"SSH-2.0-\r\nlogin: ", EndOfInput::Quiet), Service::TelnetLikely);
    assert_eq!(
        service(b"SSH-2.0-\r\n\xff\xfb\x01\xff\xfd\x18", EndOfInput::Quiet),
        Service::Telnet
    );
    // Neither binary data before the line nor the packet alone is ssh.
    for start in [&b"\x01\x02\nSSH-2.0-\x7f\r\n"[..], b"SSH-3.0-\x7f\r\n", b"220 x\r\n", b""] {
        let all = [start, &packet].concat();
        assert_ne!(judged(&all, EndOfInput::Quiet).service, Service::Ssh, "{start:?}");
    }
}

/// A device may greet as another protocol and then hand the connection on to ssh (RFC 4253 §4.2 allows text
/// before the identification).
#[test]
fn identification_after_another_protocol_is_ssh_with_its_offer_and_else_unknown() {
    let packet = samples::packet(&samples::kexinit(samples::LISTS));
    for greeting in [
        "220 m ESMTP Postfix\r\n",
        "220 FTP server ready\r\n",
        "RFB 003.008\n",
        "RTSP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: ssh\r\n\r\n",
        "@RSYNCD: 31.0\n",
    ] {
        assert_eq!(service(greeting.as_bytes(), EndOfInput::Quiet), Service::Other, "{greeting}");
        let line = format!("{greeting}SSH-2.0-OpenSSH_9.9\r\n").into_bytes();
        assert_eq!(service(&line, EndOfInput::Quiet), Service::Unknown, "{greeting}");
        let with_offer = [&line[..], &packet].concat();
        assert_eq!(service(&with_offer, EndOfInput::Quiet), Service::Ssh, "{greeting}");
        let binary = [&line[..], b"\0\x01\x02"].concat();
        assert_eq!(service(&binary, EndOfInput::Quiet), Service::Unknown, "{greeting}");
        let after_binary = format!("{greeting}\x01\r\nSSH-2.0-OpenSSH_9.9\r\n").into_bytes();
        let after_binary = [&after_binary[..], &packet].concat();
        assert_eq!(service(&after_binary, EndOfInput::Quiet), Service::Unknown, "{greeting}");
    }
}

#[test]
fn kex_init_may_follow_the_identification_immediately() {
    let packet = samples::packet(&samples::kexinit(samples::LISTS));
    let (written, key_exchange) =
        key_exchange(&[&[b"SSH-2.0-x\n", &packet[..]].concat()], EndOfInput::Quiet);
    assert!(written.is_empty() && key_exchange.kex_init().is_some());
}

#[test]
fn ssh_without_kex_init_has_a_failure() {
    let missing = KeyExchange::Missing;
    let greeting = b"SSH-2.0-x\r\n";
    for (end, why) in [
        (EndOfInput::Closed, KexFailure::HungUp),
        (EndOfInput::Quiet, KexFailure::Silence),
        (EndOfInput::Deadline, KexFailure::Deadline),
    ] {
        assert_eq!(key_exchange(&[greeting], end).1, missing(why));
        assert_eq!(key_exchange(&[b"SSH-2.0-Ope"], end).1, missing(why));
    }
    let malformed =
        key_exchange(&[greeting, b"\0\0\x10\0\x04\x14", &[0xff; 5000]], EndOfInput::Quiet);
    assert_eq!(malformed.1, missing(KexFailure::Malformed));
    let text = key_exchange(&[greeting, b"Protocol mismatch.\n"], EndOfInput::Closed);
    assert_eq!(text.1, missing(KexFailure::NoPacket));
    let long = [&b"SSH-2.0-"[..], &[b'x'; 1000], b"\r\n"].concat();
    assert_eq!(
        key_exchange(&[&long], EndOfInput::Quiet).1,
        missing(KexFailure::LongIdentification)
    );
    assert_eq!(conversation(&[&long], EndOfInput::Quiet).1.rule, Rule::Identification);
}

#[test]
fn version_1_is_not_asked_for_a_kex_init() {
    let (written, offered) = key_exchange(&[b"SSH-1.5-x\r\n"], EndOfInput::Quiet);
    assert_eq!((written, offered), (Vec::new(), KeyExchange::NotAsked));
    let (written, _) = key_exchange(&[b"SSH-1.99-x\r\n"], EndOfInput::Quiet);
    assert_eq!(written, ssh::OUR_IDENTIFICATION);
}

#[test]
fn greeting_probe_stops_after_the_identification() {
    let mut probe = Probe::new(Probing::Greeting);
    let ProbeStep::Judged(judgement) = probe.receive(b"SSH-2.0-x\r\n") else {
        panic!("the probe wants more bytes")
    };
    let details = judgement.details.expect("ssh has details");
    assert_eq!(details.key_exchange, KeyExchange::NotAsked);
}

#[test]
fn replies_to_telnet_are_bounded_and_contain_no_text() {
    let all: Vec<_> = (0..=255).flat_map(|it| [0xff, 0xfb, it, 0xff, 0xfd, it]).collect();
    let changing = b"\xff\xfb\x01\xff\xfc\x01".repeat(9_000);
    let mut probe = Probe::new(Probing::KeyExchange);
    let mut written = probe.active_step();
    for part in [&all[..], &changing, b"login: \nSSH-2.0-x\r\n"] {
        if let ProbeStep::Write(bytes) = probe.receive(part) {
            written.extend(bytes);
        }
    }
    assert!(written.len() < WRITTEN_MAX, "{}", written.len());
    let replies = written.strip_prefix(EMPTY_LINE).expect("the output starts with an empty line");
    assert!(replies.chunks(3).all(|reply| matches!(reply, [0xff, 0xfb..=0xfe, _])));
}

#[test]
fn server_that_only_negotiates_awaits_an_empty_line() {
    let mut probe = Probe::new(Probing::KeyExchange);
    probe.receive(b"\xff\xfb\x01\r\n");
    assert!(probe.awaits_active_step());
    assert_eq!(probe.active_step(), EMPTY_LINE);
    probe.receive(b"Welcome to this device");
    assert!(!probe.awaits_active_step());

    let mut probe = Probe::new(Probing::KeyExchange);
    probe.receive(b"con0 is now available\r\n\nPress RETURN to get started.\r\n");
    assert!(probe.awaits_active_step());
    probe.receive(b"\r\nUsername: ");
    assert!(!probe.awaits_active_step());
    assert_eq!(probe.finish(EndOfInput::Quiet).service, Service::TelnetLikely);
}

#[test]
fn answer_to_the_echo_request_gets_no_reply() {
    let mut probe = Probe::new(Probing::KeyExchange);
    assert_eq!(probe.active_step(), [EMPTY_LINE, b"\xff\xfd\x01"].concat());
    assert_eq!(probe.receive(b"\xff\xfb\x01"), ProbeStep::Read);
    assert_eq!(probe.finish(EndOfInput::Quiet).service, Service::Telnet);
}

#[test]
fn binary_banner_keeps_every_byte() {
    assert_eq!(judged(b"\x15\x03\x03\0\x02\x02\n", EndOfInput::Quiet).banner.last(), Some(&b'\n'));
    assert_eq!(judged(b"\r\nhello \r\n", EndOfInput::Quiet).banner, b"hello");
}

#[test]
fn endless_protocol_is_named() {
    let page = [&b"HTTP/1.1 400 Bad Request\r\n"[..], &b"x: y\r\n".repeat(LINES_MAX)].concat();
    for (bytes, end) in [(&page[..], EndOfInput::Quiet), (&page[..20], EndOfInput::Deadline)] {
        let judgement = judged(bytes, end);
        assert_eq!(judgement.service, Service::Other);
        let details = judgement.details.expect("the protocol has a name");
        assert_eq!(details.protocol.as_deref(), Some("http"));
    }
    assert_eq!(judged(b"hello\r\n", EndOfInput::Quiet).details, None);
}

#[test]
fn telnet_banner_is_the_text_on_the_screen() {
    let bytes = b"\xff\xfb\x01\x1b[2J\x1b[HUser Access\r\0\n\xff\xfd\x1f\x1b[1mlogin:\x1b[0m ";
    let judgement = judged(bytes, EndOfInput::Quiet);
    assert_eq!(judgement.banner, b"User Access\r\nlogin:");
    let details = judgement.details.expect("the server named options");
    let options: Vec<_> = details.options.iter().map(ToString::to_string).collect();
    assert_eq!(options, ["will echo", "do window-size"]);
}

#[test]
fn similar_lines_are_not_ssh() {
    for bytes in [&b"220 SSH-2.0-x\r\n"[..], b"SSH-3.0-x\r\n", b"SSH-2\r\n", b"SSH-\r\n"] {
        assert_eq!(service(bytes, EndOfInput::Quiet), Service::Unknown, "{bytes:?}");
    }
}

#[test]
fn commands_prove_telnet() {
    let bytes = b"\xff\xfd\x18\xff\xfb\x01\r\nDebian\r\nhost login: ";
    let judgement = judged(bytes, EndOfInput::Quiet);
    assert_eq!(judgement.service, Service::Telnet);
    assert_eq!(judgement.banner, b"Debian\r\nhost login:");
    assert_eq!(service(b"Welcome\r\n\xff\xfb\x01", EndOfInput::Quiet), Service::Telnet);
    assert_eq!(service(b"\xff\xfd\x18", EndOfInput::Closed), Service::Telnet);
}

#[test]
fn telnet_options_get_replies() {
    let mut probe = Probe::new(Probing::KeyExchange);
    assert_eq!(
        probe.receive(b"\xff\xfd\x18\xff\xfb\x01\xff\xfd\x18"),
        ProbeStep::Write(b"\xff\xfc\x18\xff\xfd\x01".to_vec())
    );
    assert_eq!(probe.receive(b"\xff\xfd\x18\xff\xfb\x01"), ProbeStep::Read);
}

#[test]
fn commands_in_binary_data_prove_nothing() {
    assert_eq!(
        service(b"\x03\x9b\x01\xff\xfd\x18\xff\xfb\x01", EndOfInput::Quiet),
        Service::Unknown
    );
    // MySQL 5.5: a thread id that looks like text, and capabilities 0xf7ff.
    let mysql = b"\x4a\0\0\0\x0a5.5.62-log\0\x2b\0\0\0saltsalt\0\xff\xf7\x08\x02\0";
    assert_eq!(service(mysql, EndOfInput::Quiet), Service::Other);
    assert_eq!(service(b"padded\r\0\n\xff\xfb\x01", EndOfInput::Quiet), Service::Telnet);
    assert_eq!(service(b"a\0\0\xff\xfb\x01", EndOfInput::Quiet), Service::Unknown);
    assert_eq!(service(b"\0\xff\xfb\x01", EndOfInput::Quiet), Service::Unknown);
}

#[test]
fn prompt_without_commands_is_likely_telnet() {
    assert_eq!(service(b"\r\nUser Name: ", EndOfInput::Quiet), Service::TelnetLikely);
    assert_eq!(service(b"220 login: ok\r\n", EndOfInput::Quiet), Service::TelnetLikely);
    assert_eq!(service(b"temperature 21.5\r\n", EndOfInput::Quiet), Service::Unknown);
    let notice = [b"Authorised use only.\r\n".repeat(60), b"login: ".to_vec()].concat();
    assert!(notice.len() > BANNER_MAX);
    assert_eq!(service(&notice, EndOfInput::Quiet), Service::TelnetLikely);
}

#[test]
fn refusal_of_sshd_is_throttled_ssh() {
    for refusal in [&b"Exceeded MaxStartups\r\n"[..], b"Not allowed at this time\r\n"] {
        assert_eq!(service(refusal, EndOfInput::Closed), Service::SshThrottled);
    }
    assert!(is_neither(service(b"220 Exceeded MaxStartups\r\n", EndOfInput::Closed)));
}

#[test]
fn silence_and_early_close_are_distinct() {
    assert_eq!(service(b"", EndOfInput::Closed), Service::ClosedEarly);
    assert_eq!(service(b"", EndOfInput::Quiet), Service::Silent);
    assert_eq!(service(b"", EndOfInput::Deadline), Service::Silent);
}

#[test]
fn endless_bytes_are_a_tarpit_in_bounded_memory() {
    assert_eq!(service(&b"no\n".repeat(LINES_MAX), EndOfInput::Quiet), Service::Tarpit);
    assert_eq!(service(&b"no\n".repeat(LINES_MAX - 1), EndOfInput::Quiet), Service::Unknown);
    assert_eq!(service(b"drip", EndOfInput::Deadline), Service::Tarpit);

    let mut probe = Probe::new(Probing::Greeting);
    let step = probe.receive(&vec![b'x'; 10 * BYTES_MAX]);
    assert!(matches!(step, ProbeStep::Judged(Judgement { service: Service::Tarpit, .. })));
    let ProbeState::Greeting(greeting) = &probe.state else { panic!("the greeting is not ssh") };
    assert!(greeting.raw.capacity() <= 2 * BANNER_MAX);
    assert_eq!(greeting.seen, BYTES_MAX);
}
