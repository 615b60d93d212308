//! Every other behaviour played to a plain client, and what holds for all of them.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use portmuster_lab::{
    Behaviour, Counts, Crowd, Kind, Lab, LabError, MAX_CONNECTIONS, Server, fixtures,
};

use crate::{
    client::{
        LIMIT, connect, loopback, read, read_all, say, says, says_and_closes, start, stays_silent,
    },
    ssh::GREETING,
    telnet::PROMPT,
};

#[test]
fn http_answers_a_line_and_closes() {
    let bad = b"HTTP/1.1 400 Bad Request\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    says_and_closes(Behaviour::Http, b"\r\n", bad);
    says_and_closes(Behaviour::Http, b"SSH-2.0-portmuster\r\n", bad);
    let good = b"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    says_and_closes(Behaviour::Http, b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n", good);
}

#[test]
fn tls_servers_answer_a_line_with_an_alert_or_not_at_all() {
    says(Behaviour::TlsAlert, b"");
    says_and_closes(Behaviour::TlsAlert, b"\r\n", b"\x15\x03\x03\x00\x02\x02\x0a");
    let server = start(Behaviour::TlsMute);
    let mut stream = connect(server.endpoint());
    say(&mut stream, b"\r\n");
    stays_silent(&mut stream);
    say(&mut stream, b"\r\n");
    assert_eq!(read_all(&mut stream), b"");
}

#[test]
fn silent_ones_are_silent() {
    says(Behaviour::Silent, b"");
    says(Behaviour::Http, b"");
    says(Behaviour::LoginPrompt, PROMPT);
}

#[test]
fn closers_close_in_order() {
    says_and_closes(Behaviour::ClosesAtOnce, b"\r\n", b"");
    says_and_closes(Behaviour::HangsUpMidLine, b"\r\n", b"SSH-2.0-Ope");
    says_and_closes(Behaviour::SshThrottled, b"\r\n", b"Exceeded MaxStartups\r\n");
}

#[test]
fn resetting_one_resets() {
    let server = start(Behaviour::Resets);
    let error = connect(server.endpoint()).read(&mut [0]).expect_err("a reset is no end of file");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn what_is_said_before_a_reset_can_be_read() {
    let server = start(Behaviour::SaysAndResets(b"hello"));
    let mut stream = connect(server.endpoint());
    server.wait_for(LIMIT, |counts| counts.accepted == 1 && counts.open == 0);
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).expect("it was said");
    assert_eq!(heard, *b"hello");
    let error = stream.read(&mut [0]).expect_err("a reset is no end of file");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_urgent_byte_is_no_part_of_the_stream() {
    let server = start(Behaviour::SaysUrgently(b"hello"));
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 4), b"hell");
    stays_silent(&mut stream);
}

#[test]
fn hoarders_say_much_and_keep_the_end_back() {
    let whole = start(Behaviour::SshVast);
    let whole = read(&mut connect(whole.endpoint()), 34_000);
    let hoarder = start(Behaviour::SshHoarding);
    assert_eq!(read(&mut connect(hoarder.endpoint()), 34_000), whole);
}

#[test]
fn a_crowd_serves_at_each_of_its_addresses() {
    let binds = (1..=3).map(|last| SocketAddr::from((Ipv4Addr::new(127, 3, 0, last), 0)));
    let crowd = Crowd::start(Behaviour::Says(b"hello"), binds).expect("there are ports");
    let mut streams: Vec<_> = crowd.endpoints().iter().map(|&at| connect(at)).collect();
    for stream in &mut streams {
        assert_eq!(read(stream, 5), b"hello");
    }
    assert_eq!((crowd.endpoints().len(), crowd.counts().accepted), (3, 3));
    let elsewhere = [SocketAddr::from(([127, 0, 0, 1], 0)), SocketAddr::from(([192, 0, 2, 1], 0))];
    let refused = Crowd::start(Behaviour::Silent, elsewhere);
    assert!(matches!(refused, Err(LabError::NotLoopback { .. })));
}

#[test]
fn refused_port_refuses_and_is_held() {
    let server = start(Behaviour::Refused);
    let error = TcpStream::connect(server.endpoint()).expect_err("nothing listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let second = Server::start(Behaviour::Ssh, server.endpoint());
    assert!(matches!(second, Err(LabError::Listen { .. })), "{second:?}");
}

#[test]
fn drip_drips() {
    let server = start(Behaviour::Drip);
    let mut stream = connect(server.endpoint());
    let before = Instant::now();
    assert_eq!(read(&mut stream, 3), b"wel");
    assert!(before.elapsed() >= Duration::from_millis(1900));
}

#[test]
fn endless_lines_go_on() {
    let server = start(Behaviour::EndlessLines);
    let heard = read(&mut connect(server.endpoint()), 8 << 20);
    let mut lines: Vec<_> = heard.split(|&byte| byte == b'\n').collect();
    lines.pop();
    assert!(lines.len() > 100_000);
    assert!(lines.iter().all(|line| *line == lines[0]));
}

#[test]
fn late_lines_come_late_and_go_on() {
    let server = start(Behaviour::LateEndlessLines(Duration::from_millis(200)));
    let mut stream = connect(server.endpoint());
    let before = Instant::now();
    read(&mut stream, 1);
    assert!(before.elapsed() >= Duration::from_millis(200));
    let lines = read(&mut stream, 8 << 20);
    assert!(lines.split(|&byte| byte == b'\n').count() > 100_000);
}

#[test]
fn garbage_is_a_megabyte_and_always_the_same() {
    let server = start(Behaviour::Garbage);
    let first = read_all(&mut connect(server.endpoint()));
    assert_eq!(first.len(), 1 << 20);
    assert_eq!(first[0], 0);
    let second = read_all(&mut connect(server.endpoint()));
    assert!(first == second);
}

#[test]
fn deceivers_deceive() {
    let server = start(Behaviour::EscapeGreeting);
    let mut stream = connect(server.endpoint());
    let heard = read(&mut stream, 48);
    for part in [&b"SSH-2.0-"[..], b"\x1b]0;", b"\x1b[2J", b"\0", b"\x9b", "\u{202e}".as_bytes()] {
        assert!(heard.windows(part.len()).any(|window| window == part), "{part:?} in {heard:?}");
    }
    let greeting = "SSH-2.0-evil\u{1b}[31m\u{9b}2J\u{202e}gnp.exe\u{200b}\r\n";
    says(Behaviour::UnicodeGreeting, greeting.as_bytes());
}

#[test]
fn long_lines_have_no_end() {
    says(Behaviour::LongLine, &vec![b'a'; 128 * 1024]);
    says(Behaviour::LimitLine, &vec![b'a'; 64 * 1024]);
}

#[test]
fn connections_are_counted() {
    let server = start(Behaviour::Silent);
    let guests: Vec<_> = (0..3).map(|_| connect(server.endpoint())).collect();
    let expected = Counts { accepted: 3, open: 3, peak: 3 };
    assert_eq!(server.wait_for(LIMIT, |counts| counts == expected), expected);
    drop(guests);
    assert_eq!(server.wait_for(LIMIT, |counts| counts.open == 0).open, 0);
    drop(connect(server.endpoint()));
    let counts = server.wait_for(LIMIT, |counts| counts.accepted == 4 && counts.open == 0);
    assert_eq!(counts, Counts { accepted: 4, open: 0, peak: 3 });
    assert_eq!((server.accepted(), server.peak()), (4, 3));
}

#[test]
fn peak_is_one_for_a_client_that_closes_before_it_connects_again() {
    let server = start(Behaviour::Ssh);
    for _ in 0..3000 {
        drop(connect(server.endpoint()));
    }
    let counts = server.wait_for(LIMIT, |counts| counts.accepted == 3000);
    assert_eq!((counts.accepted, counts.peak), (3000, 1));
}

#[test]
fn further_clients_are_served_when_others_leave() {
    let server = start(Behaviour::Ssh);
    let mut guests: Vec<_> = (0..=MAX_CONNECTIONS).map(|_| connect(server.endpoint())).collect();
    let full = server.wait_for(LIMIT, |counts| counts.open == MAX_CONNECTIONS);
    assert_eq!(full.open, MAX_CONNECTIONS);
    let mut last = guests.pop().expect("there are many");
    stays_silent(&mut last);
    guests.pop();
    assert_eq!(read(&mut last, GREETING.len()), GREETING);
    assert_eq!(server.peak(), MAX_CONNECTIONS);
}

#[test]
fn a_flooding_client_does_no_harm() {
    let server = start(Behaviour::Http);
    let mut flood = connect(server.endpoint());
    // The server may have hung up on the flood before all of it is written.
    let _ = flood.write_all(&vec![b'x'; 8 << 20]);
    let mut other = connect(server.endpoint());
    say(&mut other, b"\n");
    assert!(read_all(&mut other).starts_with(b"HTTP/1.1 400"));
}

#[test]
fn drop_is_prompt_whatever_goes_on() {
    for fixture in fixtures() {
        let server = start(fixture.behaviour);
        let guest = TcpStream::connect(server.endpoint());
        server.wait_for(LIMIT, |counts| counts.accepted == 1 || guest.is_err());
        let before = Instant::now();
        let endpoint = server.endpoint();
        drop(server);
        assert!(before.elapsed() < Duration::from_millis(500), "{}", fixture.name);
        let error = TcpStream::connect(endpoint).expect_err("the server has stopped");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn only_loopback_is_served() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
        for behaviour in [Behaviour::Ssh, Behaviour::Refused] {
            let refused = Server::start(behaviour, address.parse().expect("an address"));
            assert!(matches!(refused, Err(LabError::NotLoopback { .. })), "{address}");
        }
    }
}

#[test]
fn version_six_is_served_too() {
    let bind = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let ssh = Server::start(Behaviour::Ssh, bind).expect("this machine has IPv6 on loopback");
    assert_eq!(read(&mut connect(ssh.endpoint()), GREETING.len()), GREETING);
    let refused = Server::start(Behaviour::Refused, bind).expect("loopback has ports");
    let error = TcpStream::connect(refused.endpoint()).expect_err("nothing listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn fixtures_are_consistent() {
    let mut names: Vec<_> = fixtures().iter().map(|fixture| fixture.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), fixtures().len());
    assert!(fixtures().is_sorted_by_key(|fixture| fixture.kind as u8));
    for fixture in fixtures() {
        assert_eq!(fixture.state == "open", fixture.service.is_some(), "{}", fixture.name);
    }
    assert!(fixtures().iter().any(|fixture| fixture.kind == Kind::Honest));
}

#[test]
fn lab_runs_every_exhibit() {
    let lab = Lab::start(loopback()).expect("loopback has ports");
    assert_eq!(lab.fixtures().len(), fixtures().len());
    for ((fixture, endpoint), server) in lab.fixtures().zip(lab.servers()) {
        assert_eq!((server.endpoint(), server.behaviour()), (endpoint, fixture.behaviour));
        let accepts = TcpStream::connect(endpoint).is_ok();
        assert_eq!(accepts, fixture.state == "open", "{}", fixture.name);
    }
}

#[test]
fn lab_refuses_ports_that_do_not_exist() {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 65_530));
    match Lab::start(bind) {
        Err(LabError::PortsExhausted { first, needed }) => {
            assert_eq!((first, needed), (65_530, fixtures().len()));
        }
        // Where somebody has one of the six ports that do exist.
        Err(LabError::Listen { .. }) => {}
        other => panic!("{other:?}"),
    }
}
