//! The real servers start, greet, offer what they were told to, and leave nothing behind.

use std::{
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpStream},
};

use portmuster_lab::real::{Busybox, Dropbear, OpenSsh, OpenSshSettings, Telnetd};

use crate::{
    client::{connect, read, read_line, say, stays_silent},
    kexinit::Kexinit,
};

const IDENTIFICATION: &[u8] = b"SSH-2.0-portmuster_0\r\n";

/// The server and the process of a connection that was open have both gone.
fn has_gone(endpoint: SocketAddr, mut open: TcpStream) {
    let error = TcpStream::connect(endpoint).expect_err("the server has stopped");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    if let Err(error) = open.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

fn start(settings: OpenSshSettings) -> OpenSsh {
    OpenSsh::start_with(settings).expect("OpenSSH starts")
}

/// What sshd offers to a client that identifies itself.
fn offer(server: &OpenSsh) -> Kexinit {
    let mut stream = connect(server.endpoint());
    assert!(read_line(&mut stream).starts_with(b"SSH-2.0-OpenSSH_"));
    stays_silent(&mut stream);
    say(&mut stream, IDENTIFICATION);
    let offer = Kexinit::read(&mut stream);
    stays_silent(&mut stream);
    offer
}

fn has(list: &[String], name: &str) -> bool {
    list.iter().any(|offered| offered == name)
}

#[test]
fn openssh_greets() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 15), b"SSH-2.0-OpenSSH");
    let endpoint = server.endpoint();
    drop(server);
    has_gone(endpoint, stream);
}

#[test]
fn openssh_takes_many_at_once_and_many_in_turn() {
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
fn openssh_offers_modern_algorithms_by_default() {
    let offer = offer(&OpenSsh::start().expect("OpenSSH starts"));
    assert!(has(&offer.key_exchanges, "curve25519-sha256"), "{offer:?}");
    assert!(has(&offer.host_keys, "ssh-ed25519"), "{offer:?}");
    assert!(has(&offer.ciphers, "chacha20-poly1305@openssh.com"), "{offer:?}");
    for weak in ["diffie-hellman-group1-sha1", "ssh-dss", "3des-cbc", "hmac-md5"] {
        let lists = [&offer.key_exchanges, &offer.host_keys, &offer.ciphers, &offer.macs];
        assert!(!lists.into_iter().any(|list| has(list, weak)), "{weak} in {offer:?}");
    }
}

/// Of `ssh-dss` there is no more in OpenSSH 10; the others are still there when asked for.
#[test]
fn openssh_offers_weak_algorithms_when_told_to() {
    let offer = offer(&start(OpenSshSettings { weak: true, ..OpenSshSettings::default() }));
    assert!(has(&offer.key_exchanges, "diffie-hellman-group1-sha1"), "{offer:?}");
    assert!(!has(&offer.key_exchanges, "curve25519-sha256"), "{offer:?}");
    assert!(has(&offer.host_keys, "ssh-rsa"), "{offer:?}");
    assert_eq!(offer.ciphers, ["3des-cbc", "aes128-cbc"]);
    assert_eq!(offer.macs, ["hmac-md5", "hmac-sha1-96"]);
}

/// sshd says its banner when somebody wants to log in, which is after the key exchange.
#[test]
fn openssh_says_its_banner_neither_before_its_greeting_nor_behind_it() {
    let banner = Some("Authorised use only.\n");
    let server = start(OpenSshSettings { banner, ..OpenSshSettings::default() });
    assert!(has(&offer(&server).key_exchanges, "curve25519-sha256"));
}

#[test]
fn openssh_throttles_when_told_to() {
    let server = start(OpenSshSettings { max_startups: 1, ..OpenSshSettings::default() });
    let mut streams: Vec<_> = (0..8).map(|_| connect(server.endpoint())).collect();
    let lines: Vec<_> = streams.iter_mut().map(read_line).collect();
    let refused = |line: &&Vec<u8>| !line.starts_with(b"SSH-2.0-OpenSSH");
    let refusals: Vec<_> = lines.iter().filter(refused).collect();
    assert!(!refusals.is_empty(), "{lines:?}");
    // Until 9.7 the first, since 9.8 the second.
    let texts = [&b"Exceeded MaxStartups\r\n"[..], b"Not allowed at this time\r\n"];
    assert!(refusals.iter().all(|line| texts.contains(&line.as_slice())), "{lines:?}");
}

#[test]
fn dropbear_greets_and_offers_at_once() {
    let server = Dropbear::start().expect("Dropbear starts");
    let mut stream = connect(server.endpoint());
    assert!(read_line(&mut stream).starts_with(b"SSH-2.0-dropbear"));
    let offer = Kexinit::read(&mut stream);
    assert!(has(&offer.key_exchanges, "curve25519-sha256"), "{offer:?}");
    assert_eq!(offer.host_keys[0], "ssh-ed25519");
    let endpoint = server.endpoint();
    drop(server);
    has_gone(endpoint, stream);
}

/// Its way to throttle has no words. The connection that found it ready may still be one of five,
/// and may give its place back between any two of the guests.
#[test]
fn dropbear_hangs_up_on_more_than_five_guests() {
    let server = Dropbear::start().expect("Dropbear starts");
    let mut guests: Vec<_> = (0..8).map(|_| connect(server.endpoint())).collect();
    for guest in &mut guests[..4] {
        assert!(read_line(guest).starts_with(b"SSH-2.0-dropbear"));
    }
    let is_refused = |guest: &mut TcpStream| guest.read(&mut [0]).is_ok_and(|length| length == 0);
    let refused = guests[4..].iter_mut().map(is_refused).filter(|&is_refused| is_refused).count();
    assert!(refused >= 3, "{refused} of eight were refused");
}

#[test]
fn telnetd_negotiates_and_prompts() {
    let server = Telnetd::start().expect("telnetd starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 3), b"\xff\xfd\x27", "it asks for the environment first");
    stays_silent(&mut stream);
    say(&mut stream, b"\xff\xfc\x27");
    refuse_all_until_the_prompt(&mut stream);
    let endpoint = server.endpoint();
    drop(server);
    has_gone(endpoint, stream);
}

#[test]
fn busybox_prompts_without_an_answer() {
    let server = Busybox::start().expect("Busybox starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 12), b"\xff\xfd\x01\xff\xfd\x1f\xff\xfb\x01\xff\xfb\x03");
    let mut text = Vec::new();
    while !text.ends_with(b"lab login: ") {
        text.extend(read(&mut stream, 1));
    }
    stays_silent(&mut stream);
    let endpoint = server.endpoint();
    drop(server);
    has_gone(endpoint, stream);
}

fn refuse_all_until_the_prompt(stream: &mut TcpStream) {
    let mut text = Vec::new();
    while !text.ends_with(b"lab login: ") {
        match read(stream, 1)[0] {
            0xff => refuse(stream),
            byte => text.push(byte),
        }
    }
}

/// Answers WILL with DONT and DO with WONT.
fn refuse(stream: &mut TcpStream) {
    let command = read(stream, 2);
    let answer = match command[0] {
        0xfb => 0xfe,
        0xfd => 0xfc,
        other => panic!("{other:#x} is no command that starts a negotiation"),
    };
    say(stream, &[0xff, answer, command[1]]);
}

#[test]
fn telnetds_serve_many_in_turn() {
    let netkit = Telnetd::start().expect("telnetd starts");
    let busybox = Busybox::start().expect("Busybox starts");
    for endpoint in [netkit.endpoint(), busybox.endpoint()] {
        for _ in 0..70 {
            assert_eq!(read(&mut connect(endpoint), 1), b"\xff");
        }
    }
}
