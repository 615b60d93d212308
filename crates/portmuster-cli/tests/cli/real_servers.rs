//! Checks of real servers: OpenSSH, Dropbear and two telnetds.

use std::{
    io::Read,
    net::{SocketAddr, TcpStream},
};

use portmuster_lab::{
    Behaviour,
    real::{Busybox, Dropbear, OpenSsh, OpenSshSettings, Telnetd},
};

use crate::{
    program::{LIMIT, Running, check, program, run, wait_until},
    row::Row,
    servers::{start, target},
};

/// Checks one endpoint and returns its row.
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

/// Asserts that the row is ssh with this software and a KEXINIT.
fn assert_ssh(row: &Row, software: &str) {
    assert_eq!(row.service.as_deref(), Some("ssh"), "{row:?}");
    assert_eq!(row.ssh_protocol.as_deref(), Some("2.0"), "{row:?}");
    let starts_with = |text: &Option<String>, start: &str| {
        text.as_ref().is_some_and(|text| text.starts_with(start))
    };
    assert!(starts_with(&row.ssh_software, software), "{row:?}");
    assert!(starts_with(&row.banner, &format!("SSH-2.0-{software}")), "{row:?}");
    assert_eq!(row.kex_missing, None, "{row:?}");
    assert!(row.kex_algorithms.is_some(), "{row:?}");
}

const WEAK: [&str; 8] =
    ["ssh-1", "group1-sha1", "sha1-kex", "ssh-dss", "sha1-signatures", "3des", "cbc", "md5"];

#[test]
fn default_openssh_has_no_weak_findings() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "OpenSSH_");
    assert!(has(row.kex_algorithms.as_ref(), "curve25519-sha256"), "{row:?}");
    assert!(has(row.host_key_algorithms.as_ref(), "ssh-ed25519"), "{row:?}");
    assert!(has(row.ciphers_client_to_server.as_ref(), "aes256-ctr"), "{row:?}");
    assert!(WEAK.iter().all(|weak| !has(row.findings.as_ref(), weak)), "{row:?}");
}

#[test]
fn weakened_openssh_has_weak_findings() {
    let server = sshd(OpenSshSettings { weak: true, ..OpenSshSettings::default() });
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "OpenSSH_");
    // `ssh-dss` is missing because OpenSSH 10 removed it.
    for weak in ["group1-sha1", "sha1-kex", "sha1-signatures", "3des", "cbc", "md5"] {
        assert!(has(row.findings.as_ref(), weak), "{weak}: {row:?}");
    }
    assert!(has(row.kex_algorithms.as_ref(), "diffie-hellman-group1-sha1"), "{row:?}");
    assert!(has(row.macs_server_to_client.as_ref(), "hmac-md5"), "{row:?}");
}

#[test]
fn no_kex_reports_openssh_software() {
    let server = sshd(OpenSshSettings { weak: true, ..OpenSshSettings::default() });
    let row = row_of(server.endpoint(), &["--no-kex"]);
    assert_eq!(row.service.as_deref(), Some("ssh"), "{row:?}");
    assert!(row.ssh_software.as_ref().is_some_and(|software| software.starts_with("OpenSSH_")));
    assert_eq!((&row.kex_algorithms, &row.kex_missing, &row.findings), (&None, &None, &None));
}

/// sshd sends its login banner after the key exchange, so the check never reads it.
#[test]
fn openssh_login_banner_is_not_its_identification() {
    let banner = Some("Authorised use only.\nSSH-1.5-not_me\n");
    let server = sshd(OpenSshSettings { banner, ..OpenSshSettings::default() });
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "OpenSSH_");
    assert!(!row.banner.is_some_and(|banner| banner.contains("Authorised")));
}

#[test]
fn dropbear_sends_kexinit_unprompted() {
    let server = Dropbear::start().expect("Dropbear starts");
    let row = row_of(server.endpoint(), &[]);
    assert_ssh(&row, "dropbear");
    assert!(has(row.kex_algorithms.as_ref(), "curve25519-sha256"), "{row:?}");
    assert!(has(row.host_key_algorithms.as_ref(), "ssh-ed25519"), "{row:?}");
}

#[test]
fn both_telnetds_report_their_options() {
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

/// Occupies the server's only connection slot while the stream is open.
fn occupy_slot(endpoint: SocketAddr) -> TcpStream {
    // The connection that found the server ready may still hold the slot, and its release cannot be
    // observed.
    let mut stream = None;
    wait_until("a free slot", || {
        stream = try_connect(endpoint);
        stream.is_some()
    });
    stream.expect("it was waited for")
}

/// Connects once. Returns the stream if the server greeted it with an identification.
#[expect(clippy::disallowed_methods, reason = "the test needs a client of its own")]
fn try_connect(endpoint: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(endpoint).expect("the server accepts");
    stream.set_read_timeout(Some(LIMIT)).expect("the time is not zero");
    let mut start = [0; 8];
    stream.read_exact(&mut start).expect("it sends a greeting");
    (&start == b"SSH-2.0-").then_some(stream)
}

#[test]
fn full_openssh_is_retried_after_a_pause() {
    let server = sshd(OpenSshSettings { max_startups: 1, ..OpenSshSettings::default() });
    let occupant = occupy_slot(server.endpoint());
    let target = server.endpoint().to_string();
    let mut running = Running::check([target.as_str(), "-o=jsonl", "--verbose"]);
    while !running.stderr_line().contains("hosts that asked for fewer connections") {}
    drop(occupant);
    let row = running.row();
    assert_ssh(&row, "OpenSSH_");
    assert_eq!(row.attempts, 2, "the first was refused: {row:?}");
    assert_eq!(running.end().status, Some(0));
}

#[test]
fn penalising_sshd_is_retried_after_a_pause() {
    let server = start(Behaviour::SshPenalising);
    let stream = format!("{}\n", target(&server)).repeat(20);
    let arguments = ["check", "-i", "-", "-o=jsonl", "--per-host=1", "--no-kex"];
    let ended = run(program().args(arguments).write_stdin(stream));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let rows = ended.rows();
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row.service.as_deref() == Some("ssh")), "{rows:?}");
    assert!(rows.iter().any(|row| row.attempts == 2), "no attempt was refused: {rows:?}");
}
