//! Tests of the lab's ssh servers: their greetings and their KEXINIT packets.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use portmuster_lab::{Behaviour, KexInitDefect, Server};

use crate::{
    client::{
        assert_answers_and_closes, assert_sends, assert_silent, connect, read, read_all, read_line,
        send, start,
    },
    kexinit::ReceivedKexInit,
};

pub(crate) const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

const IDENTIFICATION: &[u8] = b"SSH-2.0-portmuster_0\r\n";

/// Sends an identification to a server that has sent its own, and returns the KEXINIT.
fn read_kexinit(stream: &mut TcpStream) -> ReceivedKexInit {
    assert_silent(stream);
    send(stream, IDENTIFICATION);
    let kexinit = ReceivedKexInit::read(stream);
    assert_silent(stream);
    kexinit
}

/// Returns the bytes that a server sends up to the end of its identification, and its KEXINIT.
fn greeting_and_kexinit(behaviour: Behaviour) -> (Vec<u8>, ReceivedKexInit) {
    let server = start(behaviour);
    let mut stream = connect(server.endpoint());
    let mut received = read_line(&mut stream);
    while !received[..received.len() - 1]
        .split(|&byte| byte == b'\n')
        .any(|l| l.starts_with(b"SSH-"))
    {
        received.extend(read_line(&mut stream));
    }
    (received, read_kexinit(&mut stream))
}

#[test]
fn servers_send_a_greeting_and_wait() {
    assert_sends(Behaviour::Ssh, GREETING);
    assert_sends(Behaviour::SshBareLf, b"SSH-2.0-babeld_1.0\n");
    assert_sends(Behaviour::SshOld, b"SSH-1.5-1.2.27\r\n");
    assert_sends(Behaviour::SshBoth, b"SSH-1.99-Cisco-1.25\r\n");
}

#[test]
fn honest_server_sends_the_algorithms_of_openssh() {
    let (greeting, kexinit) = greeting_and_kexinit(Behaviour::Ssh);
    assert_eq!(greeting, GREETING);
    assert!(kexinit.key_exchanges.contains(&"curve25519-sha256".to_owned()), "{kexinit:?}");
    assert!(kexinit.host_keys.contains(&"ssh-ed25519".to_owned()), "{kexinit:?}");
    assert_eq!(kexinit.ciphers[0], "chacha20-poly1305@openssh.com");
    for behaviour in [Behaviour::SshBareLf, Behaviour::Slow(Duration::ZERO)] {
        assert_eq!(greeting_and_kexinit(behaviour).1, kexinit, "{behaviour:?}");
    }
}

#[test]
fn eager_server_sends_its_kexinit_without_waiting() {
    let server = start(Behaviour::SshEager);
    let mut stream = connect(server.endpoint());
    assert_eq!(read_line(&mut stream), b"SSH-2.0-dropbear_2022.83\r\n");
    let kexinit = ReceivedKexInit::read(&mut stream);
    assert!(kexinit.ciphers.contains(&"aes256-ctr".to_owned()), "{kexinit:?}");
    assert_silent(&mut stream);
}

#[test]
fn weak_server_sends_insecure_algorithms() {
    let kexinit = greeting_and_kexinit(Behaviour::SshWeak).1;
    for (list, name) in [
        (&kexinit.key_exchanges, "diffie-hellman-group1-sha1"),
        (&kexinit.host_keys, "ssh-dss"),
        (&kexinit.ciphers, "3des-cbc"),
        (&kexinit.ciphers, "arcfour"),
        (&kexinit.macs, "hmac-md5"),
    ] {
        assert!(list.iter().any(|listed| listed == name), "{name} in {kexinit:?}");
    }
}

#[test]
fn pre_banner_lines_precede_the_greeting() {
    for (behaviour, lines) in [(Behaviour::SshAfterPreBanner, 6), (Behaviour::SshAfterLongLine, 1)]
    {
        let (received, _) = greeting_and_kexinit(behaviour);
        let before = received.strip_suffix(GREETING).expect("the greeting is the last line");
        assert!(before.len() > 255, "{behaviour:?}");
        assert_eq!(before.split(|&byte| byte == b'\n').count(), lines + 1, "{behaviour:?}");
    }
}

#[test]
fn slow_server_sends_its_greeting_after_its_pause() {
    let before = Instant::now();
    assert_sends(Behaviour::Slow(Duration::from_millis(200)), GREETING);
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[test]
fn old_server_refuses_a_client_of_the_new_protocol() {
    let expected = b"SSH-1.5-1.2.27\r\nProtocol major versions differ.\n";
    assert_answers_and_closes(Behaviour::SshOld, IDENTIFICATION, expected);
}

/// Returns the first bytes of a KEXINIT with this defect.
fn bad_kexinit(defect: KexInitDefect) -> Vec<u8> {
    let server = start(Behaviour::SshBadKexInit(defect));
    let mut stream = connect(server.endpoint());
    assert_eq!(read_line(&mut stream), b"SSH-2.0-liar_1.0\r\n");
    assert_silent(&mut stream);
    send(&mut stream, IDENTIFICATION);
    let packet = read(&mut stream, 200);
    assert_eq!(packet[5], 20, "the message number is that of KEXINIT");
    packet
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

#[test]
fn every_kexinit_defect_is_sent() {
    assert_eq!(number(&bad_kexinit(KexInitDefect::PacketLength)[..4]), 0x7fff_ffff);
    assert_eq!(number(&bad_kexinit(KexInitDefect::ListLength)[22..26]), 0x7fff_ffff);
    let padding = bad_kexinit(KexInitDefect::PaddingLength);
    assert!(u32::from(padding[4]) > number(&padding[..4]));
    let names = bad_kexinit(KexInitDefect::Names);
    for part in [&b"\x1b[2J"[..], b"\0", b"\r\n", "\u{202e}".as_bytes()] {
        assert!(names.windows(part.len()).any(|window| window == part), "{part:?} in {names:?}");
    }
}

/// Connects and leaves at once. Returns whether the server accepted the client.
fn is_accepted(server: &Server) -> bool {
    let mut stream = connect(server.endpoint());
    match read_line(&mut stream).as_slice() {
        b"SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n" => true,
        b"Not allowed at this time\r\n" => {
            assert_eq!(read_all(&mut stream), b"");
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn clients_that_leave_are_penalised_by_each_server_separately() {
    let (server, other) = (start(Behaviour::SshPenalising), start(Behaviour::SshPenalising));
    let accepted = (0..40).take_while(|_| is_accepted(&server)).count();
    // On a busy machine, a few seconds of the penalties expire meanwhile.
    assert!((16..40).contains(&accepted), "{accepted}");
    assert!(!is_accepted(&server));
    assert!(is_accepted(&other));
}

#[test]
fn clients_that_stay_are_not_penalised() {
    let server = start(Behaviour::SshPenalising);
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = connect(server.endpoint());
            assert!(read_line(&mut stream).starts_with(b"SSH-2.0-"));
            stream
        })
        .collect();
    assert_eq!(clients.len(), 40);
}
