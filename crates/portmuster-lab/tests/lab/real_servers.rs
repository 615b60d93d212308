//! Tests that the real servers start, send what their settings ask for, and leave nothing behind.

use std::{
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpStream},
};

use portmuster_lab::real::{Busybox, Dropbear, OpenSsh, OpenSshSettings, Telnetd};

use crate::{
    client::{assert_silent, connect, read, read_line, send},
    kexinit::ReceivedKexInit,
};

const IDENTIFICATION: &[u8] = b"SSH-2.0-portmuster_0\r\n";

/// Asserts that the server and the process of its open connection have ended.
fn assert_ended(endpoint: SocketAddr, mut open: TcpStream) {
    let error = TcpStream::connect(endpoint).expect_err("the server has stopped");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    if let Err(error) = open.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

fn start(settings: OpenSshSettings) -> OpenSsh {
    OpenSsh::start_with(settings).expect("OpenSSH starts")
}

/// Sends an identification to sshd and returns its KEXINIT.
fn read_kexinit(server: &OpenSsh) -> ReceivedKexInit {
    let mut stream = connect(server.endpoint());
    assert!(read_line(&mut stream).starts_with(b"SSH-2.0-OpenSSH_"));
    assert_silent(&mut stream);
    send(&mut stream, IDENTIFICATION);
    let kexinit = ReceivedKexInit::read(&mut stream);
    assert_silent(&mut stream);
    kexinit
}

fn has(list: &[String], name: &str) -> bool {
    list.iter().any(|listed| listed == name)
}

#[test]
fn openssh_sends_its_greeting() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 15), b"SSH-2.0-OpenSSH");
    let endpoint = server.endpoint();
    drop(server);
    assert_ended(endpoint, stream);
}

#[test]
fn openssh_serves_many_connections_at_the_same_time_and_in_turn() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let mut streams: Vec<_> = (0..40).map(|_| connect(server.endpoint())).collect();
    for stream in &mut streams {
        assert_eq!(read(stream, 15), b"SSH-2.0-OpenSSH");
    }
    drop(streams);
    for _ in 0..40 {
        assert_eq!(read(&mut connect(server.endpoint()), 15), b"SSH-2.0-OpenSSH");
    }
}

#[test]
fn openssh_sends_secure_algorithms_by_default() {
    let kexinit = read_kexinit(&OpenSsh::start().expect("OpenSSH starts"));
    assert!(has(&kexinit.key_exchanges, "curve25519-sha256"), "{kexinit:?}");
    assert!(has(&kexinit.host_keys, "ssh-ed25519"), "{kexinit:?}");
    assert!(has(&kexinit.ciphers, "chacha20-poly1305@openssh.com"), "{kexinit:?}");
    for weak in ["diffie-hellman-group1-sha1", "ssh-dss", "3des-cbc", "hmac-md5"] {
        let lists = [&kexinit.key_exchanges, &kexinit.host_keys, &kexinit.ciphers, &kexinit.macs];
        assert!(!lists.into_iter().any(|list| has(list, weak)), "{weak} in {kexinit:?}");
    }
}

/// OpenSSH 10 no longer supports `ssh-dss`; it still supports the other weak algorithms.
#[test]
fn openssh_sends_weak_algorithms_if_set() {
    let kexinit =
        read_kexinit(&start(OpenSshSettings { weak: true, ..OpenSshSettings::default() }));
    assert!(has(&kexinit.key_exchanges, "diffie-hellman-group1-sha1"), "{kexinit:?}");
    assert!(!has(&kexinit.key_exchanges, "curve25519-sha256"), "{kexinit:?}");
    assert!(has(&kexinit.host_keys, "ssh-rsa"), "{kexinit:?}");
    assert_eq!(kexinit.ciphers, ["3des-cbc", "aes128-cbc"]);
    assert_eq!(kexinit.macs, ["hmac-md5", "hmac-sha1-96"]);
}

/// sshd sends its banner to a client that logs in, which is after the key exchange.
#[test]
fn openssh_banner_is_not_sent_before_a_login() {
    let banner = Some("Authorised use only.\n");
    let server = start(OpenSshSettings { banner, ..OpenSshSettings::default() });
    assert!(has(&read_kexinit(&server).key_exchanges, "curve25519-sha256"));
}

#[test]
fn openssh_refuses_connections_beyond_max_startups() {
    let server = start(OpenSshSettings { max_startups: 1, ..OpenSshSettings::default() });
    let mut streams: Vec<_> = (0..8).map(|_| connect(server.endpoint())).collect();
    let lines: Vec<_> = streams.iter_mut().map(read_line).collect();
    let refused = |line: &&Vec<u8>| !line.starts_with(b"SSH-2.0-OpenSSH");
    let refusals: Vec<_> = lines.iter().filter(refused).collect();
    assert!(!refusals.is_empty(), "{lines:?}");
    // The first text up to OpenSSH 9.7, the second since 9.8.
    let texts = [&b"Exceeded MaxStartups\r\n"[..], b"Not allowed at this time\r\n"];
    assert!(refusals.iter().all(|line| texts.contains(&line.as_slice())), "{lines:?}");
}

#[test]
fn dropbear_sends_greeting_and_kexinit_at_once() {
    let server = Dropbear::start().expect("Dropbear starts");
    let mut stream = connect(server.endpoint());
    assert!(read_line(&mut stream).starts_with(b"SSH-2.0-dropbear"));
    let kexinit = ReceivedKexInit::read(&mut stream);
    assert!(has(&kexinit.key_exchanges, "curve25519-sha256"), "{kexinit:?}");
    assert_eq!(kexinit.host_keys[0], "ssh-ed25519");
    let endpoint = server.endpoint();
    drop(server);
    assert_ended(endpoint, stream);
}

/// Dropbear refuses a connection by closing it without a message. The connection that tested
/// whether it is ready may still count as one of five, and may stop counting between any two
/// clients.
#[test]
fn dropbear_closes_connections_beyond_five_per_address() {
    let server = Dropbear::start().expect("Dropbear starts");
    let mut clients: Vec<_> = (0..8).map(|_| connect(server.endpoint())).collect();
    for client in &mut clients[..4] {
        assert!(read_line(client).starts_with(b"SSH-2.0-dropbear"));
    }
    let is_refused = |client: &mut TcpStream| client.read(&mut [0]).is_ok_and(|length| length == 0);
    let refused = clients[4..].iter_mut().map(is_refused).filter(|&is_refused| is_refused).count();
    assert!(refused >= 3, "{refused} of eight were refused");
}

#[test]
fn telnetd_negotiates_and_sends_a_prompt() {
    let server = Telnetd::start().expect("telnetd starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 3), b"\xff\xfd\x27", "the first command is DO NEW-ENVIRON");
    assert_silent(&mut stream);
    send(&mut stream, b"\xff\xfc\x27");
    refuse_all_until_the_prompt(&mut stream);
    let endpoint = server.endpoint();
    drop(server);
    assert_ended(endpoint, stream);
}

#[test]
fn busybox_sends_a_prompt_without_an_answer() {
    let server = Busybox::start().expect("Busybox starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 12), b"\xff\xfd\x01\xff\xfd\x1f\xff\xfb\x01\xff\xfb\x03");
    let mut text = Vec::new();
    while !text.ends_with(b"lab login: ") {
        text.extend(read(&mut stream, 1));
    }
    assert_silent(&mut stream);
    let endpoint = server.endpoint();
    drop(server);
    assert_ended(endpoint, stream);
}

/// Refuses every option until the login prompt has arrived.
fn refuse_all_until_the_prompt(stream: &mut TcpStream) {
    let mut text = Vec::new();
    while !text.ends_with(b"lab login: ") {
        match read(stream, 1)[0] {
            0xff => refuse(stream),
            byte => text.push(byte),
        }
    }
}

/// Reads the rest of a telnet command, and answers WILL with DONT and DO with WONT.
fn refuse(stream: &mut TcpStream) {
    let command = read(stream, 2);
    let answer = match command[0] {
        0xfb => 0xfe,
        0xfd => 0xfc,
        other => panic!("{other:#x} is no command that starts a negotiation"),
    };
    send(stream, &[0xff, answer, command[1]]);
}

#[test]
fn telnetds_serve_many_connections_in_turn() {
    let netkit = Telnetd::start().expect("telnetd starts");
    let busybox = Busybox::start().expect("Busybox starts");
    for endpoint in [netkit.endpoint(), busybox.endpoint()] {
        for _ in 0..70 {
            assert_eq!(read(&mut connect(endpoint), 1), b"\xff");
        }
    }
}
