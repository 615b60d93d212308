//! Tests of the behaviours other than ssh and telnet, and of properties of all servers.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use portmuster_lab::{
    Behaviour, Counts, Crowd, FixtureKind, Lab, LabError, MAX_CONNECTIONS, MAX_LIFE, Server,
    fixtures,
};

use crate::{
    client::{
        LIMIT, assert_answers_and_closes, assert_sends, assert_silent, connect, loopback, read,
        read_all, send, start,
    },
    ssh::GREETING,
    telnet::PROMPT,
};

#[test]
fn http_answers_a_line_and_closes() {
    let bad = b"HTTP/1.1 400 Bad Request\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_answers_and_closes(Behaviour::Http, b"\r\n", bad);
    assert_answers_and_closes(Behaviour::Http, b"SSH-2.0-portmuster\r\n", bad);
    let good = b"HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_answers_and_closes(Behaviour::Http, b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n", good);
}

#[test]
fn tls_servers_answer_a_line_with_an_alert_or_not_at_all() {
    assert_sends(Behaviour::TlsAlert, b"");
    assert_answers_and_closes(Behaviour::TlsAlert, b"\r\n", b"\x15\x03\x03\x00\x02\x02\x0a");
    let server = start(Behaviour::TlsMute);
    let mut stream = connect(server.endpoint());
    send(&mut stream, b"\r\n");
    assert_silent(&mut stream);
    send(&mut stream, b"\r\n");
    assert_eq!(read_all(&mut stream), b"");
}

#[test]
fn silent_servers_send_nothing() {
    assert_sends(Behaviour::Silent, b"");
    assert_sends(Behaviour::Http, b"");
    assert_sends(Behaviour::LoginPrompt, PROMPT);
}

#[test]
fn closing_servers_close_with_fin() {
    assert_answers_and_closes(Behaviour::ClosesAtOnce, b"\r\n", b"");
    assert_answers_and_closes(Behaviour::HangsUpMidLine, b"\r\n", b"SSH-2.0-Ope");
    assert_answers_and_closes(Behaviour::SshThrottled, b"\r\n", b"Exceeded MaxStartups\r\n");
}

#[test]
fn resetting_server_sends_rst() {
    let server = start(Behaviour::Resets);
    let error = connect(server.endpoint()).read(&mut [0]).expect_err("the server sends RST");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn bytes_sent_before_a_reset_can_be_read() {
    let server = start(Behaviour::SaysAndResets(b"hello"));
    let mut stream = connect(server.endpoint());
    server.wait_for(LIMIT, |counts| counts.accepted == 1 && counts.open == 0);
    let mut received = [0; 5];
    stream.read_exact(&mut received).expect("the bytes have arrived");
    assert_eq!(received, *b"hello");
    let error = stream.read(&mut [0]).expect_err("the server sends RST");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn urgent_byte_is_not_part_of_the_stream() {
    let server = start(Behaviour::SaysUrgently(b"hello"));
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 4), b"hell");
    assert_silent(&mut stream);
}

#[test]
fn incomplete_kexinit_starts_like_the_large_one() {
    let server = start(Behaviour::SshLargeKexInit);
    let complete = read(&mut connect(server.endpoint()), 34_000);
    let incomplete = start(Behaviour::SshIncompleteKexInit);
    assert_eq!(read(&mut connect(incomplete.endpoint()), 34_000), complete);
}

#[test]
fn crowd_serves_on_each_of_its_addresses() {
    let binds = (1..=3).map(|last| SocketAddr::from((Ipv4Addr::new(127, 3, 0, last), 0)));
    let crowd = Crowd::start(Behaviour::Says(b"hello"), binds).expect("there are ports");
    let mut streams: Vec<_> = crowd.endpoints().iter().map(|&at| connect(at)).collect();
    for stream in &mut streams {
        assert_eq!(read(stream, 5), b"hello");
    }
    assert_eq!((crowd.endpoints().len(), crowd.counts().accepted), (3, 3));
    let elsewhere = [SocketAddr::from(([127, 0, 0, 1], 0)), SocketAddr::from(([192, 0, 2, 1], 0))];
    let result = Crowd::start(Behaviour::Silent, elsewhere);
    assert!(matches!(result, Err(LabError::NotLoopback { .. })));
}

#[test]
fn refused_port_cannot_be_bound_by_another_server() {
    let server = start(Behaviour::Refused);
    let error = TcpStream::connect(server.endpoint()).expect_err("nothing listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let second = Server::start(Behaviour::Ssh, server.endpoint());
    assert!(matches!(second, Err(LabError::Listen { .. })), "{second:?}");
}

#[test]
fn drip_sends_one_byte_per_second() {
    let server = start(Behaviour::Drip);
    let before = Instant::now();
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 3), b"wel");
    assert!(before.elapsed() >= Duration::from_secs(2));
}

#[test]
fn endless_lines_continue() {
    let server = start(Behaviour::EndlessLines);
    let received = read(&mut connect(server.endpoint()), 8 << 20);
    let mut lines: Vec<_> = received.split(|&byte| byte == b'\n').collect();
    lines.pop();
    assert!(lines.len() > 100_000);
    assert!(lines.iter().all(|line| *line == lines[0]));
}

#[test]
fn late_endless_lines_start_after_their_pause_and_continue() {
    let server = start(Behaviour::LateEndlessLines(Duration::from_millis(200)));
    let before = Instant::now();
    let mut stream = connect(server.endpoint());
    read(&mut stream, 1);
    assert!(before.elapsed() >= Duration::from_millis(200));
    let lines = read(&mut stream, 8 << 20);
    assert!(lines.split(|&byte| byte == b'\n').count() > 100_000);
}

#[test]
fn garbage_is_the_same_megabyte_each_time() {
    let server = start(Behaviour::Garbage);
    let first = read_all(&mut connect(server.endpoint()));
    assert_eq!(first.len(), 1 << 20);
    assert_eq!(first[0], 0);
    let second = read_all(&mut connect(server.endpoint()));
    assert!(first == second);
}

#[test]
fn deceptive_greetings_contain_control_characters() {
    let server = start(Behaviour::EscapeGreeting);
    let mut stream = connect(server.endpoint());
    let received = read(&mut stream, 48);
    for part in [&b"SSH-2.0-"[..], b"\x1b]0;", b"\x1b[2J", b"\0", b"\x9b", "\u{202e}".as_bytes()] {
        assert!(
            received.windows(part.len()).any(|window| window == part),
            "{part:?} in {received:?}"
        );
    }
    let greeting = "SSH-2.0-evil\u{1b}[31m\u{9b}2J\u{202e}gnp.exe\u{200b}\r\n";
    assert_sends(Behaviour::UnicodeGreeting, greeting.as_bytes());
}

#[test]
fn long_lines_have_no_line_end() {
    assert_sends(Behaviour::LongLine, &vec![b'a'; 128 * 1024]);
    assert_sends(Behaviour::LimitLine, &vec![b'a'; 64 * 1024]);
}

#[test]
fn server_counts_its_connections() {
    let server = start(Behaviour::Silent);
    let clients: Vec<_> = (0..3).map(|_| connect(server.endpoint())).collect();
    let expected = Counts { accepted: 3, open: 3, peak: 3 };
    assert_eq!(server.wait_for(LIMIT, |counts| counts == expected), expected);
    drop(clients);
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
fn client_beyond_the_limit_is_served_when_another_leaves() {
    let server = start(Behaviour::Ssh);
    let mut clients: Vec<_> = (0..=MAX_CONNECTIONS).map(|_| connect(server.endpoint())).collect();
    let full = server.wait_for(LIMIT, |counts| counts.open == MAX_CONNECTIONS);
    assert_eq!(full.open, MAX_CONNECTIONS);
    let mut last = clients.pop().expect("there are 257 clients");
    assert_silent(&mut last);
    clients.pop();
    assert_eq!(read(&mut last, GREETING.len()), GREETING);
    assert_eq!(server.peak(), MAX_CONNECTIONS);
}

#[test]
fn flooding_client_does_not_block_others() {
    let server = start(Behaviour::Http);
    let mut flood = connect(server.endpoint());
    // The server may close the connection before the client has written everything.
    let _ = flood.write_all(&vec![b'x'; 8 << 20]);
    let mut other = connect(server.endpoint());
    send(&mut other, b"\n");
    assert!(read_all(&mut other).starts_with(b"HTTP/1.1 400"));
}

#[test]
fn drop_does_not_wait_for_the_end_of_a_connection() {
    for fixture in fixtures() {
        let server = start(fixture.behaviour);
        let client = TcpStream::connect(server.endpoint());
        server.wait_for(LIMIT, |counts| counts.accepted == 1 || client.is_err());
        let before = Instant::now();
        let endpoint = server.endpoint();
        drop(server);
        assert!(before.elapsed() < MAX_LIFE / 2, "{}", fixture.name);
        let error = TcpStream::connect(endpoint).expect_err("the server has stopped");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn addresses_other_than_loopback_are_refused() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
        for behaviour in [Behaviour::Ssh, Behaviour::Refused] {
            let result = Server::start(behaviour, address.parse().expect("an address"));
            assert!(matches!(result, Err(LabError::NotLoopback { .. })), "{address}");
        }
    }
}

#[test]
fn servers_listen_on_ipv6_loopback() {
    let bind = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let ssh = Server::start(Behaviour::Ssh, bind).expect("this machine has IPv6 on loopback");
    assert_eq!(read(&mut connect(ssh.endpoint()), GREETING.len()), GREETING);
    let refused = Server::start(Behaviour::Refused, bind).expect("loopback has ports");
    let error = TcpStream::connect(refused.endpoint()).expect_err("nothing listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn fixtures_have_unique_names_and_are_sorted_by_kind() {
    let mut names: Vec<_> = fixtures().iter().map(|fixture| fixture.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), fixtures().len());
    assert!(fixtures().is_sorted_by_key(|fixture| fixture.kind as u8));
    for fixture in fixtures() {
        assert_eq!(fixture.state == "open", fixture.service.is_some(), "{}", fixture.name);
    }
    assert!(fixtures().iter().any(|fixture| fixture.kind == FixtureKind::Honest));
}

#[test]
fn lab_runs_every_fixture() {
    let lab = Lab::start(loopback()).expect("loopback has ports");
    assert_eq!(lab.fixtures().len(), fixtures().len());
    for ((fixture, endpoint), server) in lab.fixtures().zip(lab.servers()) {
        assert_eq!((server.endpoint(), server.behaviour()), (endpoint, fixture.behaviour));
        let accepts = TcpStream::connect(endpoint).is_ok();
        assert_eq!(accepts, fixture.state == "open", "{}", fixture.name);
    }
}

#[test]
fn lab_refuses_ports_beyond_65535() {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 65_530));
    match Lab::start(bind) {
        Err(LabError::PortsExhausted { first, needed }) => {
            assert_eq!((first, needed), (65_530, fixtures().len()));
        }
        // Another process uses one of the six ports that exist.
        Err(LabError::Listen { .. }) => {}
        other => panic!("{other:?}"),
    }
}
