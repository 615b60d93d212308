//! What the program tells of real servers: OpenSSH, Dropbear and two telnetds.

use std::{
    convert::identity,
    io::Read,
    iter,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use portmuster_lab::{
    Behaviour,
    real::{Busybox, Dropbear, OpenSsh, OpenSshSettings, Telnetd},
};

use crate::{
    program::{check, program, run},
    row::Row,
    servers::{start, target},
};

/// The row of the one target.
fn row_of(endpoint: SocketAddr, arguments: &[&str]) -> Row {
    let ended = check([&[endpoint.to_string().as_str(), "-o=jsonl"], arguments].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let [row] = <[Row; 1]>::try_from(ended.rows()).expect("one target is one row");
    row
}

fn sshd(settings: OpenSshSettings) -> OpenSsh {
    OpenSsh::start_with(settings).expect("OpenSSH starts")
}

fn has(list: Option<&Vec<String>>, name: &str) -> bool {
    list.is_some_and(|list| list.iter().any(|listed| listed == name))
}

/// An ssh row with an offer, which says what it is.
fn assert_ssh(row: &Row, software: &str) {
    assert_eq!(row.service.as_deref(), Some("ssh"), "{row:?}");
    assert_eq!(row.ssh_protocol.as_deref(), Some("2.0"), "{row:?}");
    let says = |text: &Option<String>, start: &str| {
        text.as_ref().is_some_and(|text| text.starts_with(start))
    };
    assert!(says(&row.ssh_software, software), "{row:?}");
    assert!(says(&row.banner, &format!("SSH-2.0-{software}")), "{row:?}");
    assert_eq!(row.kex_missing, None, "{row:?}");
    assert!(row.kex_algorithms.is_some(), "{row:?}");
}

const WEAK: [&str; 8] =
    ["ssh-1", "group1-sha1", "sha1-kex", "ssh-dss", "sha1-signatures", "3des", "cbc", "md5"];

#[test]
fn openssh_with_its_defaults_has_nothing_old() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "OpenSSH_");
    assert!(has(row.kex_algorithms.as_ref(), "curve25519-sha256"), "{row:?}");
    assert!(has(row.host_key_algorithms.as_ref(), "ssh-ed25519"), "{row:?}");
    assert!(has(row.ciphers_client_to_server.as_ref(), "aes256-ctr"), "{row:?}");
    assert!(WEAK.iter().all(|weak| !has(row.findings.as_ref(), weak)), "{row:?}");
}

#[test]
fn weakened_openssh_is_found_out() {
    let server = sshd(OpenSshSettings { weak: true, ..OpenSshSettings::default() });
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "OpenSSH_");
    // Without `ssh-dss`, which OpenSSH 10 has no more.
    for weak in ["group1-sha1", "sha1-kex", "sha1-signatures", "3des", "cbc", "md5"] {
        assert!(has(row.findings.as_ref(), weak), "{weak}: {row:?}");
    }
    assert!(has(row.kex_algorithms.as_ref(), "diffie-hellman-group1-sha1"), "{row:?}");
    assert!(has(row.macs_server_to_client.as_ref(), "hmac-md5"), "{row:?}");
}

#[test]
fn openssh_that_is_not_asked_for_its_offer_tells_who_it_is() {
    let server = sshd(OpenSshSettings { weak: true, ..OpenSshSettings::default() });
    let row = row_of(server.endpoint(), &["--no-kex"]);
    assert_eq!(row.service.as_deref(), Some("ssh"), "{row:?}");
    assert!(row.ssh_software.as_ref().is_some_and(|software| software.starts_with("OpenSSH_")));
    assert_eq!((&row.kex_algorithms, &row.kex_missing, &row.findings), (&None, &None, &None));
}

/// What sshd says before a login comes after the key exchange, so nobody hears it here.
#[test]
fn openssh_with_a_banner_is_known_by_its_identification() {
    let banner = Some("Authorised use only.\nSSH-1.5-not_me\n");
    let server = sshd(OpenSshSettings { banner, ..OpenSshSettings::default() });
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "OpenSSH_");
    assert!(!row.banner.is_some_and(|banner| banner.contains("Authorised")));
}

#[test]
fn dropbear_sends_its_offer_without_being_asked() {
    let server = Dropbear::start().expect("Dropbear starts");
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "dropbear");
    assert!(has(row.kex_algorithms.as_ref(), "curve25519-sha256"), "{row:?}");
    assert!(has(row.host_key_algorithms.as_ref(), "ssh-ed25519"), "{row:?}");
}

#[test]
fn both_telnetds_tell_what_they_negotiate() {
    let netkit = Telnetd::start().expect("telnetd starts");
    let busybox = Busybox::start().expect("Busybox starts");
    for (endpoint, option) in [
        (netkit.endpoint(), "do new-environ"),
        (busybox.endpoint(), "do echo"),
        (busybox.endpoint(), "will suppress-go-ahead"),
    ] {
        let row = row_of(endpoint, &[]);
        assert_eq!(row.service.as_deref(), Some("telnet"), "{row:?}");
        assert!(has(row.telnet_options.as_ref(), option), "{option}: {row:?}");
        assert!(row.banner.as_ref().is_some_and(|text| text.ends_with("lab login:")), "{row:?}");
    }
}

/// Takes the only place of the server, and gives it back after a while.
fn guest(endpoint: SocketAddr) -> thread::JoinHandle<()> {
    // The connection that found the server ready may still have the place; nobody is told when
    // that has gone. On a busy machine a thousand refusals take less time than that does.
    let mut stream = iter::repeat_with(|| let_in(endpoint))
        .take(20_000)
        .find_map(identity)
        .expect("the place is given back");
    thread::spawn(move || {
        // It says no more than the rest of its greeting.
        while stream.read(&mut [0; 256]).is_ok_and(|length| length > 0) {}
    })
}

/// A connection that was greeted.
#[expect(clippy::disallowed_methods, reason = "a client that is not the program's")]
fn let_in(endpoint: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(endpoint).expect("the server accepts");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("the time is not zero");
    let mut start = [0; 8];
    stream.read_exact(&mut start).expect("it says something");
    (&start == b"SSH-2.0-").then_some(stream)
}

#[test]
fn a_full_openssh_is_asked_again_when_it_has_had_time() {
    let server = sshd(OpenSshSettings { max_startups: 1, ..OpenSshSettings::default() });
    let guest = guest(server.endpoint());
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "OpenSSH_");
    assert_eq!(row.attempts, 2, "the first was refused: {row:?}");
    guest.join().expect("it only waits");
}

#[test]
fn an_sshd_that_penalises_is_asked_again_when_it_has_had_time() {
    let server = start(Behaviour::SshPenalising);
    let stream = format!("{}\n", target(&server)).repeat(20);
    let arguments = ["check", "-i", "-", "-o=jsonl", "--per-host=1", "--no-kex"];
    let ended = run(program().args(arguments).write_stdin(stream));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let rows = ended.rows();
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row.service.as_deref() == Some("ssh")), "{rows:?}");
    assert!(rows.iter().any(|row| row.attempts == 2), "nobody was refused: {rows:?}");
}
