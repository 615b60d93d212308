//! `portmuster explain`: one check, described step by step.

use std::time::Duration;

use portmuster_lab::Behaviour;

use crate::{
    program::{Ended, Running, program, run},
    servers::{start, start_on_localhost, target},
    shell::sh,
};

fn explain(arguments: &[&str]) -> Ended {
    run(program().arg("explain").args(arguments))
}

/// Explains a server with this behaviour and returns stdout.
fn description(behaviour: Behaviour, arguments: &[&str]) -> String {
    let server = start(behaviour);
    let target = target(&server);
    let ended = explain(&[&[&target[..]], arguments].concat());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.stdout.lines().next(), Some(target.as_str()));
    ended.stdout
}

/// Asserts that the description contains these lines in this order.
fn assert_contains_in_order(description: &str, lines: &[&str]) {
    let mut rest = description.lines();
    for line in lines {
        assert!(
            rest.any(|next| next.contains(line)),
            "{line} is missing, or too late:\n{description}"
        );
    }
}

#[test]
fn ssh_check_is_described_from_connection_to_findings() {
    let description = description(Behaviour::SshWeak, &[]);
    assert_contains_in_order(
        &description,
        &[
            " ms  connecting to 127.",
            " ms  accepted",
            " ms  server sends ",
            r"SSH-2.0-appliance_1.0\r\n",
            " ms  portmuster sends ",
            concat!("SSH-2.0-portmuster_", env!("CARGO_PKG_VERSION"), r"\r\n"),
            " ms  server sends ",
            "0000  00 00 ",
            " ms  judged ssh, by the rule identification",
            "state         open (accepted)",
            "service       ssh",
            "rule          identification: the server sent an ssh identification line (RFC 4253 §4.2)",
            "version       2.0",
            "software      appliance_1.0",
            "kex           diffie-hellman-group1-sha1",
            "host keys     ",
            "ciphers       ",
            "finding       group1-sha1 diffie-hellman-group1-sha1",
            "RFC 9142",
        ],
    );
}

#[test]
fn telnet_check_is_described_with_its_negotiation() {
    assert_contains_in_order(
        &description(Behaviour::Telnet, &[]),
        &[
            "server sends 12 bytes",
            "0000  ff fd 18 ff fb 01 ff fb 03 ff fd 1f",
            "portmuster sends 12 bytes",
            "0000  ff fc 18 ff fd 01 ff fd 03 ff fc 1f",
            "host login:",
            "judged telnet, by the rule telnet-commands",
            "options       do terminal-type",
        ],
    );
}

#[test]
fn hostile_server_bytes_are_escaped() {
    for behaviour in [Behaviour::EscapeGreeting, Behaviour::UnicodeGreeting, Behaviour::Garbage] {
        let description = description(behaviour, &[]);
        let is_harmless = |letter: char| !letter.is_control() && letter != '\u{202e}';
        assert!(description.lines().all(|line| line.chars().all(is_harmless)), "{description}");
    }
}

#[test]
fn name_is_shown_with_its_addresses() {
    let server = start_on_localhost(Behaviour::Ssh);
    let target = format!("localhost:{}", server.endpoint().port());
    let ended = explain(&[&target, "-4"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_contains_in_order(
        &ended.stdout,
        &[&target, "resolved to 127.0.0.1", "accepted", "service       ssh"],
    );
}

#[test]
fn closed_port_exits_0() {
    assert_contains_in_order(
        &description(Behaviour::Refused, &[]),
        &["closed: refused", "state         closed"],
    );
}

#[test]
fn unchecked_target_exits_3() {
    let ended = explain(&["255.255.255.255:22"]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert_contains_in_order(&ended.stdout, &["state         unchecked"]);
}

#[test]
fn throttling_pause_is_reported() {
    let server = start(Behaviour::SshThrottled);
    let ended = explain(&[&target(&server)]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "portmuster: waiting for hosts that asked for fewer connections\n");
    assert_contains_in_order(
        &ended.stdout,
        &[
            "an attempt was refused: the host asked for fewer connections",
            "the next attempt followed after a pause",
            "2 attempts",
            " ms  accepted",
            "service       ssh-throttled",
        ],
    );
}

#[test]
fn full_stdout_exits_3() {
    let ended = sh("exec \"$portmuster\" explain 127.0.0.1:1 >/dev/full", "");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.starts_with("error: writing standard output: No space"), "{ended:?}");
}

#[test]
fn closed_stdout_ends_quietly() {
    let server = start(Behaviour::Slow(Duration::from_secs(1)));
    let mut running = Running::start("explain", [target(&server)]);
    running.close_stdout();
    let ended = running.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn anything_but_one_target_exits_2() {
    for (target, message) in [
        ("127.0.0.0/30", "did you mean: portmuster check 127.0.0.0/30\n"),
        ("127.0.0.1", "did you mean: portmuster explain 127.0.0.1:22\n"),
        ("127.0.0.1:22,23", "did you mean: portmuster check 127.0.0.1:22,23\n"),
        ("127.0.0.1:x y", "column 11"),
    ] {
        let ended = explain(&[target]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}
