//! `portmuster explain`: one check, told step by step.

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

/// The story of a server that behaves so.
fn story(behaviour: Behaviour, arguments: &[&str]) -> String {
    let server = start(behaviour);
    let target = target(&server);
    let ended = explain(&[&[&target[..]], arguments].concat());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(ended.stdout.lines().next(), Some(target.as_str()));
    ended.stdout
}

/// Asserts that the story has these lines, in their order.
fn assert_told(story: &str, lines: &[&str]) {
    let mut rest = story.lines();
    for line in lines {
        assert!(rest.any(|told| told.contains(line)), "{line} is missing, or too late:\n{story}");
    }
}

#[test]
fn an_ssh_check_is_told_from_the_connection_to_the_findings() {
    let story = story(Behaviour::SshWeak, &[]);
    assert_told(
        &story,
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
fn a_telnet_check_is_told_with_its_negotiation() {
    assert_told(
        &story(Behaviour::Telnet, &[]),
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
fn what_a_hostile_server_says_reaches_the_terminal_harmless() {
    for behaviour in [Behaviour::EscapeGreeting, Behaviour::UnicodeGreeting, Behaviour::Garbage] {
        let story = story(behaviour, &["--no-kex"]);
        let is_harmless = |letter: char| !letter.is_control() && letter != '\u{202e}';
        assert!(story.lines().all(|line| line.chars().all(is_harmless)), "{story}");
    }
}

#[test]
fn a_name_is_told_with_its_addresses() {
    let server = start_on_localhost(Behaviour::Ssh);
    let target = format!("localhost:{}", server.endpoint().port());
    let ended = explain(&[&target, "-4"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_told(
        &ended.stdout,
        &[&target, "resolved to 127.0.0.1", "accepted", "service       ssh"],
    );
}

#[test]
fn a_closed_port_is_an_answer() {
    assert_told(&story(Behaviour::Refused, &[]), &["closed: refused", "state         closed"]);
}

#[test]
fn what_could_not_be_checked_is_status_3() {
    let ended = explain(&["255.255.255.255:22"]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert_told(&ended.stdout, &["state         unchecked"]);
}

#[test]
fn a_rest_that_the_host_asked_for_is_told() {
    let server = start(Behaviour::SshThrottled);
    let ended = explain(&[&target(&server)]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "portmuster: waiting for hosts that asked for fewer connections\n");
    assert_told(
        &ended.stdout,
        &[
            "an attempt was refused: the host asked for fewer connections",
            "it rested before it was tried once more",
            "2 attempts",
            " ms  accepted",
            "service       ssh-throttled",
        ],
    );
}

#[test]
fn a_full_stdout_is_status_3() {
    let ended = sh("exec \"$portmuster\" explain 127.0.0.1:1 >/dev/full", "");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.starts_with("error: writing standard output: No space"), "{ended:?}");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let server = start(Behaviour::Slow(Duration::from_secs(1)));
    let mut running = Running::start("explain", [target(&server)]);
    running.close_stdout();
    let ended = running.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn what_is_not_one_target_is_status_2() {
    for (target, says) in [
        ("127.0.0.0/30", "is not one target"),
        ("127.0.0.1", "is not one target"),
        ("127.0.0.1:22,23", "is not one target"),
        ("127.0.0.1:x y", "column 11"),
    ] {
        let ended = explain(&[target]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
}
