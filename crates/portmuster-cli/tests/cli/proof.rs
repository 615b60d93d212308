//! What a verdict proves: odd servers, checked as a user checks them.

use std::time::Duration;

use portmuster_lab::{Behaviour, Server};

use crate::{
    program::check,
    row::Row,
    servers::{start, target},
};

/// Checks one server; its row.
fn row_of(server: &Server, arguments: &[&str]) -> Row {
    let target = target(server);
    let mut all = vec![target.as_str(), "-o=jsonl", "--evidence"];
    all.extend(arguments);
    let ended = check(all);
    let mut rows = ended.rows();
    assert_eq!(rows.len(), 1, "{ended:?}");
    rows.remove(0)
}

fn service_of(server: &Server, arguments: &[&str]) -> String {
    row_of(server, arguments).service.expect("it is open")
}

/// Whether we said this in the conversation that decided.
fn was_sent(row: &Row, text: &str) -> bool {
    let parts = &row.evidence.as_ref().expect("it was asked for").parts;
    let sent = |part: &&crate::row::Part| part.side == "portmuster";
    parts.iter().filter(sent).any(|part| part.text.as_deref().is_some_and(|it| it.contains(text)))
}

#[test]
fn a_port_that_waits_for_its_client_gets_a_connection_on_which_we_speak_first() {
    for behaviour in [Behaviour::SshAfterClient, Behaviour::SshMultiplexed, Behaviour::SshWhenAsked]
    {
        let server = start(behaviour);
        let row = row_of(&server, &["--first-byte=5s"]);
        assert_eq!(row.service.as_deref(), Some("ssh"), "{behaviour:?}");
        assert!(row.kex_algorithms.is_some(), "{behaviour:?}: {row:?}");
        assert_eq!(row.attempts, 2, "{behaviour:?}");
        assert!(was_sent(&row, "SSH-2.0-portmuster_"), "{behaviour:?}");
    }
}

#[test]
fn with_speak_first_never_no_port_is_spoken_to_as_ssh() {
    for (behaviour, service) in
        [(Behaviour::SshAfterClient, "silent"), (Behaviour::SshMultiplexed, "other")]
    {
        let server = start(behaviour);
        let row = row_of(&server, &["--speak-first=never", "--first-byte=5s"]);
        assert_eq!((row.service.as_deref(), row.attempts), (Some(service), 1));
        assert!(!was_sent(&row, "SSH-"));
    }
}

/// An sshd that answers the empty line, and hears nothing when it is asked again without one.
#[test]
fn a_later_look_takes_no_proof_back() {
    let server = start(Behaviour::SshWhenAsked);
    let row = row_of(&server, &["--speak-first=never", "--first-byte=5s"]);
    assert_eq!((row.service.as_deref(), row.attempts), (Some("ssh"), 2));
    assert_eq!(row.kex_missing.as_deref(), Some("spoiled"));
    let (first_byte, total) = (row.first_byte_ms, row.total_ms.expect("it was checked"));
    assert!(first_byte.is_some_and(|first| first >= 3000.0 && first <= total), "{row:?}");
}

#[test]
fn what_no_rule_recognises_is_heard_out() {
    let pause = Duration::from_millis(2500);
    for (first, then, service) in [
        (&b"*** authorised use only ***\r\n"[..], &b"SSH-2.0-x\r\n"[..], "ssh"),
        (b"please wait\r\n", b"\xff\xfd\x18\xff\xfb\x01\r\nlogin: ", "telnet"),
        (b"please wait\r\n", b"login: ", "telnet-likely"),
        (b"\r\n", b"SSH-2.0-x\r\n", "ssh"),
        (b"SSH", b"-2.0-Slow_1\r\n", "ssh"),
        (b"Welcome to the console of this device\r\n", b"SSH-2.0-x\r\n", "ssh"),
    ] {
        let server = start(Behaviour::SaysInParts(first, pause, then));
        assert_eq!(service_of(&server, &["--no-kex"]), service, "{}", then.escape_ascii());
    }
}

#[test]
fn quiet_after_ends_what_a_rule_recognises() {
    let server = start(Behaviour::Says(b"\r\nUsername: "));
    let row = row_of(&server, &["--quiet-after=300ms", "--first-byte=1h", "--deadline=1h"]);
    assert_eq!(row.service.as_deref(), Some("telnet-likely"));
    assert_eq!(row.evidence.expect("it was asked for").rule, "login-prompt");
}

#[test]
fn prompts_are_likely_telnet_by_a_rule_of_their_own() {
    for (text, rule) in [
        (&b"BusyBox v1.30.1 built-in shell (ash)\r\n/ # "[..], "shell-prompt"),
        (b"Router>", "shell-prompt"),
        (b"\r\nUsername(1-32 chars):", "login-prompt"),
        (b"Benutzername: ", "login-prompt"),
        (b"\xd3\xc3\xbb\xa7\xc3\xfb:", "login-prompt"),
        (b"1. Status\r\n2. Reboot\r\nEnter your choice: ", "menu"),
        (b"Another telnet session is in progress.\r\n", "names-telnet"),
    ] {
        let server = start(Behaviour::Says(text));
        let row = row_of(&server, &["--quiet-after=500ms", "--first-byte=2s"]);
        assert_eq!(row.service.as_deref(), Some("telnet-likely"), "{}", text.escape_ascii());
        assert_eq!(row.evidence.expect("it was asked for").rule, rule);
    }
}

#[test]
fn an_sshd_that_can_not_start_is_broken_and_a_padded_identification_is_ssh() {
    let broken = start(Behaviour::Says(b"Could not load host key. Closing connection...\r\n"));
    assert_eq!(service_of(&broken, &[]), "ssh-broken");
    let padded = start(Behaviour::Says(b"SSH-1.99-Cisco_server-1.24 \0\0\0\n"));
    let row = row_of(&padded, &["--no-kex"]);
    assert_eq!(row.service.as_deref(), Some("ssh"));
    assert_eq!(row.ssh_software.as_deref(), Some("Cisco_server-1.24"));
}

#[test]
fn a_server_that_hangs_up_is_tried_once_more_unless_nothing_is() {
    let row = row_of(&start(Behaviour::SshOnSecondTry), &[]);
    assert_eq!((row.service.as_deref(), row.attempts), (Some("ssh"), 2));
    let row = row_of(&start(Behaviour::SshOnSecondTry), &["--retries=0"]);
    assert_eq!((row.service.as_deref(), row.attempts), (Some("closed-early"), 1));
}
