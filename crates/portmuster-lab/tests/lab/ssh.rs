//! The lab's ssh servers: what they say, and what they offer.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use portmuster_lab::{Behaviour, Lie, Server};

use crate::{
    client::{connect, read, read_all, read_line, say, says, says_and_closes, start, stays_silent},
    kexinit::Kexinit,
};

pub(crate) const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

const IDENTIFICATION: &[u8] = b"SSH-2.0-portmuster_0\r\n";

/// The offer of a server that has just identified itself, once we have.
fn offer(stream: &mut TcpStream) -> Kexinit {
    stays_silent(stream);
    say(stream, IDENTIFICATION);
    let offer = Kexinit::read(stream);
    stays_silent(stream);
    offer
}

/// What it says up to its identification, and its offer.
fn greeting_and_offer(behaviour: Behaviour) -> (Vec<u8>, Kexinit) {
    let server = start(behaviour);
    let mut stream = connect(server.endpoint());
    let mut heard = read_line(&mut stream);
    while !heard[..heard.len() - 1].split(|&byte| byte == b'\n').any(|l| l.starts_with(b"SSH-")) {
        heard.extend(read_line(&mut stream));
    }
    (heard, offer(&mut stream))
}

#[test]
fn servers_greet_and_wait() {
    says(Behaviour::Ssh, GREETING);
    says(Behaviour::SshBareLf, b"SSH-2.0-babeld_1.0\n");
    says(Behaviour::SshOld, b"SSH-1.5-1.2.27\r\n");
    says(Behaviour::SshBoth, b"SSH-1.99-Cisco-1.25\r\n");
}

#[test]
fn the_honest_one_offers_what_openssh_does() {
    let (greeting, offer) = greeting_and_offer(Behaviour::Ssh);
    assert_eq!(greeting, GREETING);
    assert!(offer.key_exchanges.contains(&"curve25519-sha256".to_owned()), "{offer:?}");
    assert!(offer.host_keys.contains(&"ssh-ed25519".to_owned()), "{offer:?}");
    assert_eq!(offer.ciphers[0], "chacha20-poly1305@openssh.com");
    for behaviour in [Behaviour::SshBareLf, Behaviour::Slow(Duration::ZERO)] {
        assert_eq!(greeting_and_offer(behaviour).1, offer, "{behaviour:?}");
    }
}

#[test]
fn the_eager_one_does_not_wait() {
    let server = start(Behaviour::SshEager);
    let mut stream = connect(server.endpoint());
    assert_eq!(read_line(&mut stream), b"SSH-2.0-dropbear_2022.83\r\n");
    let offer = Kexinit::read(&mut stream);
    assert!(offer.ciphers.contains(&"aes256-ctr".to_owned()), "{offer:?}");
    stays_silent(&mut stream);
}

#[test]
fn the_weak_one_offers_nothing_that_is_safe() {
    let offer = greeting_and_offer(Behaviour::SshWeak).1;
    for (list, name) in [
        (&offer.key_exchanges, "diffie-hellman-group1-sha1"),
        (&offer.host_keys, "ssh-dss"),
        (&offer.ciphers, "3des-cbc"),
        (&offer.ciphers, "arcfour"),
        (&offer.macs, "hmac-md5"),
    ] {
        assert!(list.iter().any(|offered| offered == name), "{name} in {offer:?}");
    }
}

#[test]
fn other_lines_come_before_the_greeting() {
    for (behaviour, lines) in [(Behaviour::SshAfterPreBanner, 6), (Behaviour::SshAfterLongLine, 1)]
    {
        let (heard, _) = greeting_and_offer(behaviour);
        let before = heard.strip_suffix(GREETING).expect("the greeting is the last line");
        assert!(before.len() > 255, "{behaviour:?}");
        assert_eq!(before.split(|&byte| byte == b'\n').count(), lines + 1, "{behaviour:?}");
    }
}

#[test]
fn a_slow_server_takes_its_time() {
    let before = Instant::now();
    says(Behaviour::Slow(Duration::from_millis(200)), GREETING);
    assert!(before.elapsed() >= Duration::from_millis(200));
}

#[test]
fn the_old_one_hangs_up_on_the_new() {
    let said = b"SSH-1.5-1.2.27\r\nProtocol major versions differ.\n";
    says_and_closes(Behaviour::SshOld, IDENTIFICATION, said);
}

/// The bytes that a liar says after its greeting.
fn lie(lie: Lie) -> Vec<u8> {
    let server = start(Behaviour::SshLying(lie));
    let mut stream = connect(server.endpoint());
    assert_eq!(read_line(&mut stream), b"SSH-2.0-liar_1.0\r\n");
    stays_silent(&mut stream);
    say(&mut stream, IDENTIFICATION);
    let lied = read(&mut stream, 200);
    assert_eq!(lied[5], 20, "it looks like a KEXINIT");
    lied
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

#[test]
fn liars_lie() {
    assert_eq!(number(&lie(Lie::PacketLength)[..4]), 0x7fff_ffff);
    assert_eq!(number(&lie(Lie::ListLength)[22..26]), 0x7fff_ffff);
    let padding = lie(Lie::PaddingLength);
    assert!(u32::from(padding[4]) > number(&padding[..4]));
    let names = lie(Lie::Names);
    for part in [&b"\x1b[2J"[..], b"\0", b"\r\n", "\u{202e}".as_bytes()] {
        assert!(names.windows(part.len()).any(|window| window == part), "{part:?} in {names:?}");
    }
}

/// Whether a client that comes now and leaves at once is let in.
fn is_let_in(server: &Server) -> bool {
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
fn clients_that_leave_are_penalised_each_server_for_itself() {
    let (server, other) = (start(Behaviour::SshPenalising), start(Behaviour::SshPenalising));
    let let_in = (0..40).take_while(|_| is_let_in(&server)).count();
    // A machine that is busy lets a second or two of the penalties pass.
    assert!((16..20).contains(&let_in), "{let_in}");
    assert!(!is_let_in(&server));
    assert!(is_let_in(&other));
}

#[test]
fn guests_that_stay_are_not_penalised() {
    let server = start(Behaviour::SshPenalising);
    let guests: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = connect(server.endpoint());
            assert!(read_line(&mut stream).starts_with(b"SSH-2.0-"));
            stream
        })
        .collect();
    assert_eq!(guests.len(), 40);
}
