//! Servers that reset the connection (RST) right after their greeting, or without one. Every method
//! reads the greeting.

use std::net::{Ipv4Addr, SocketAddr};

use portmuster_lab::{Behaviour, Crowd};

use crate::{
    program::{Ended, METHODS, command, run},
    row::Row,
    servers::own_address,
};

/// Servers of one behaviour, each on its own address.
const SERVERS: u8 = 250;

/// What the servers send before the reset, and the expected service.
const GREETINGS: [(Behaviour, &str); 8] = [
    (Behaviour::SaysAndResets(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n"), "ssh"),
    (Behaviour::SaysAndResets(b"SSH-2.0-cut_o"), "ssh"),
    (Behaviour::SaysAndResets(b"notice\r\nSSH-1.5-1.2.27\n"), "ssh"),
    (Behaviour::SaysAndResets(b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23"), "telnet"),
    (Behaviour::SaysAndResets(b"\xff\xfb\x01\r\nlogin: "), "telnet"),
    (Behaviour::SaysAndResets(b"\r\nUser Name: "), "telnet-likely"),
    (Behaviour::SaysAndResets(b"temperature 21.5\r\n"), "unknown"),
    (Behaviour::SaysAndResets(b"220 mail.example.com ESMTP Postfix\r\n"), "other"),
];

fn crowd(behaviour: Behaviour, network: u8) -> Crowd {
    let [_, second, ..] = own_address().octets();
    let [.., low] = std::process::id().to_be_bytes();
    let bind = |last| SocketAddr::from((Ipv4Addr::new(127, second, low ^ network, last), 0));
    Crowd::start(behaviour, (1..=SERVERS).map(bind)).expect("the lab has servers")
}

/// Checks all servers without a rate limit.
fn check(crowds: &[Crowd], method: &str) -> Ended {
    let endpoints = crowds.iter().flat_map(Crowd::endpoints);
    let targets: Vec<_> = endpoints.map(ToString::to_string).collect();
    let settings = "check -i - --rate max --per-host max --retries 0 --speak-first never --first-byte 1h --deadline 1h -o jsonl";
    let mut program = command(crate::program::PATH);
    program
        .args(settings.split(' '))
        .arg(format!("--method={method}"))
        .write_stdin(targets.join("\n"));
    run(&mut program)
}

fn row(rows: &[Row], endpoint: SocketAddr) -> &Row {
    let matches = |row: &&Row| (row.address, row.port) == (Some(endpoint.ip()), endpoint.port());
    rows.iter().find(matches).expect("each target has a row")
}

#[test]
fn bytes_before_reset_are_read_by_every_method() {
    let crowds: Vec<_> =
        GREETINGS.iter().zip(0..).map(|(&(it, _), network)| crowd(it, network)).collect();
    for method in METHODS {
        let ended = check(&crowds, method);
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), GREETINGS.len() * usize::from(SERVERS), "{method}");
        for ((behaviour, service), crowd) in GREETINGS.iter().zip(&crowds) {
            let judged = crowd.endpoints().iter().map(|&endpoint| row(&rows, endpoint));
            let wrong: Vec<_> =
                judged.filter(|row| row.service.as_deref() != Some(service)).collect();
            assert!(wrong.is_empty(), "{method}: {behaviour:?}: {} {:?}", wrong.len(), wrong[0]);
        }
    }
}

/// Each server is connected to only once: the first connection already yields the greeting.
#[test]
fn reset_without_bytes_is_closed_early() {
    let crowds = [crowd(Behaviour::Resets, 0)];
    for method in METHODS {
        let ended = check(&crowds, method);
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), usize::from(SERVERS), "{method}");
        for row in rows {
            assert_eq!(row.service.as_deref(), Some("closed-early"), "{method}: {row:?}");
            assert_eq!((row.first_byte_ms, row.attempts), (None, 1), "{method}: {row:?}");
        }
    }
}
