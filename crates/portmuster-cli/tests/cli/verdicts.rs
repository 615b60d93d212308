//! Verdicts on unusual servers, checked with the program.

use std::time::Duration;

use portmuster_lab::{Behaviour, Server};

use crate::{
    program::{check, concurrently},
    row::Row,
    servers::{start, target},
};

/// Checks one server and returns its row.
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

/// Returns whether the program sent this text in the conversation that decided the verdict.
fn was_sent(row: &Row, text: &str) -> bool {
    let parts = &row.evidence.as_ref().expect("evidence was requested").parts;
    let sent = |part: &&crate::row::Part| part.side == "portmuster";
    parts.iter().filter(sent).any(|part| part.text.as_deref().is_some_and(|it| it.contains(text)))
}

#[test]
fn waiting_server_gets_second_connection_with_client_identification() {
    let behaviours =
        [Behaviour::SshAfterClient, Behaviour::SshMultiplexed, Behaviour::SshWhenAsked];
    concurrently(behaviours, |behaviour| {
        let server = start(behaviour);
        let row = row_of(&server, &["--first-byte=6s"]);
        assert_eq!(row.service.as_deref(), Some("ssh"), "{behaviour:?}");
        assert!(row.kex_algorithms.is_some(), "{behaviour:?}: {row:?}");
        assert_eq!(row.attempts, 2, "{behaviour:?}");
        assert!(was_sent(&row, "SSH-2.0-portmuster_"), "{behaviour:?}");
    });
}

#[test]
fn speak_first_never_sends_no_ssh_identification() {
    let expected = [(Behaviour::SshAfterClient, "silent"), (Behaviour::SshMultiplexed, "other")];
    concurrently(expected, |(behaviour, service)| {
        let server = start(behaviour);
        let row = row_of(&server, &["--speak-first=never", "--first-byte=6s"]);
        assert_eq!((row.service.as_deref(), row.attempts), (Some(service), 1));
        assert!(!was_sent(&row, "SSH-"));
    });
}

/// The server answers the empty line with its identification, and sends nothing on the second
/// connection, which waits for it without a word.
#[test]
fn second_attempt_does_not_withdraw_ssh_verdict() {
    let server = start(Behaviour::SshWhenAsked);
    let row = row_of(&server, &["--speak-first=never", "--first-byte=5s"]);
    assert_eq!((row.service.as_deref(), row.attempts), (Some("ssh"), 2));
    assert_eq!(row.kex_missing.as_deref(), Some("spoiled"));
    let (first_byte, total) = (row.first_byte_ms, row.total_ms.expect("it was checked"));
    assert!(first_byte.is_some_and(|first| first >= 3000.0 && first <= total), "{row:?}");
}

#[test]
fn unrecognised_greeting_is_read_to_its_end() {
    let pause = Duration::from_millis(2500);
    let greetings = [
        (&b"*** authorised use only ***\r\n"[..], &b"SSH-2.0-x\r\n"[..], "ssh"),
        (b"please wait\r\n", b"\xff\xfd\x18\xff\xfb\x01\r\nlogin: ", "telnet"),
        (b"please wait\r\n", b"login: ", "telnet-likely"),
        (b"\r\n", b"SSH-2.0-x\r\n", "ssh"),
        (b"SSH", b"-2.0-Slow_1\r\n", "ssh"),
        (b"Welcome to the console of this device\r\n", b"SSH-2.0-x\r\n", "ssh"),
    ];
    concurrently(greetings, |(first, then, service)| {
        let server = start(Behaviour::SaysInParts(first, pause, then));
        assert_eq!(service_of(&server, &["--no-kex"]), service, "{}", then.escape_ascii());
    });
}

#[test]
fn quiet_after_ends_recognised_greeting() {
    let server = start(Behaviour::Says(b"\r\nUsername: "));
    let row = row_of(&server, &["--quiet-after=300ms", "--first-byte=1h", "--deadline=1h"]);
    assert_eq!(row.service.as_deref(), Some("telnet-likely"));
    assert_eq!(row.evidence.expect("evidence was requested").rule, "login-prompt");
}

#[test]
fn each_prompt_is_telnet_likely_by_its_own_rule() {
    let prompts = [
        (&b"BusyBox v1.30.1 built-in shell (ash)\r\n/ # "[..], "shell-prompt"),
        (b"Router>", "shell-prompt"),
        (b"\r\nUsername(1-32 chars):", "login-prompt"),
        (b"Benutzername: ", "login-prompt"),
        (b"\xd3\xc3\xbb\xa7\xc3\xfb:", "login-prompt"),
        (b"1. Status\r\n2. Reboot\r\nEnter your choice: ", "menu"),
        // A greeting may follow a notice, so that portmuster waits for it as long as for a first byte.
        (b"Another telnet session is in progress.\r\n", "names-telnet"),
    ];
    concurrently(prompts, |(text, rule)| {
        let server = start(Behaviour::Says(text));
        let first_byte = if rule == "names-telnet" { "--first-byte=6s" } else { "--first-byte=1h" };
        let row = row_of(&server, &["--quiet-after=500ms", first_byte, "--deadline=1h"]);
        assert_eq!(row.service.as_deref(), Some("telnet-likely"), "{}", text.escape_ascii());
        assert_eq!(row.evidence.expect("evidence was requested").rule, rule);
    });
}

#[test]
fn failing_sshd_is_ssh_broken_and_padded_identification_is_ssh() {
    let broken = start(Behaviour::Says(b"Could not load host key. Closing connection...\r\n"));
    assert_eq!(service_of(&broken, &[]), "ssh-broken");
    let padded = start(Behaviour::Says(b"SSH-1.99-Cisco_server-1.24 \0\0\0\n"));
    let row = row_of(&padded, &["--no-kex"]);
    assert_eq!(row.service.as_deref(), Some("ssh"));
    assert_eq!(row.ssh_software.as_deref(), Some("Cisco_server-1.24"));
}

#[test]
fn closed_connection_is_retried_unless_retries_is_0() {
    let row = row_of(&start(Behaviour::SshOnSecondTry), &[]);
    assert_eq!((row.service.as_deref(), row.attempts), (Some("ssh"), 2));
    let row = row_of(&start(Behaviour::SshOnSecondTry), &["--retries=0"]);
    assert_eq!((row.service.as_deref(), row.attempts), (Some("closed-early"), 1));
}
