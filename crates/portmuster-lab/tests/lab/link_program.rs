//! Tests of `portmuster-lab link` (feature `link`).

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

use crate::link::skip;

fn link(arguments: &[&str]) -> Command {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_portmuster-lab"));
    lab.arg("link").args(arguments).stdin(Stdio::null());
    lab
}

/// Returns the output; `None`, with a note, if this machine has no links.
fn unless_unsupported(output: Output) -> Option<Output> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_unsupported =
        ["making a network namespace", "TAP device", "unshare", "install iproute2"]
            .iter()
            .any(|cause| stderr.contains(cause));
    if is_unsupported {
        skip(stderr.trim());
    }
    (!is_unsupported).then_some(output)
}

#[test]
fn command_runs_inside_and_counts_are_printed() {
    let listed =
        link(&["--network", "10.200.0.0/24", "--alive", "1/4", "--hosts"]).output().unwrap();
    let hosts = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(hosts.lines().count(), 64);
    let host = hosts.lines().next().unwrap();
    let script = format!("exec 3<>/dev/tcp/{host}/22; read -r line <&3; echo \"$line\"; exit 7");
    let arguments = ["--network", "10.200.0.0/24", "--alive", "1/4", "--round-trip", "20ms"];
    let command = ["--", "bash", "-c", &script];
    let output = link(&[&arguments[..], &command].concat()).output().unwrap();
    let Some(output) = unless_unsupported(output) else { return };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert!(output.stdout.starts_with(b"SSH-2.0-"), "{stderr}");
    assert!(stderr.contains("SYNs from the near side"), "{stderr}");
    assert!(!stderr.contains("too slow"), "{stderr}");
}

#[test]
fn command_ends_with_the_program() {
    let script = "import time; print('started', flush=True); time.sleep(60); print('survived')";
    let mut lab = link(&["--", "python3", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(lab.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    if line.is_empty() {
        assert!(unless_unsupported(lab.wait_with_output().unwrap()).is_none());
        return;
    }
    lab.kill().unwrap();
    lab.wait().unwrap();
    // The pipe closes when the command has ended.
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn interrupted_command_ends_and_counts_are_printed() {
    let script = "import time; print('started', flush=True); time.sleep(60)";
    let mut lab = link(&["--", "python3", "-c", script])
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(lab.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    if line.is_empty() {
        assert!(unless_unsupported(lab.wait_with_output().unwrap()).is_none());
        return;
    }
    let group = format!("-{}", lab.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    let output = lab.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // 128 and SIGINT.
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("since the first packet"), "{stderr}");
}

#[test]
fn invalid_arguments_print_a_message() {
    for (arguments, message) in [
        (&["--loss", "101%", "--", "true"][..], "not a percentage; try 2%"),
        (&["--round-trip", "50", "--", "true"], "not a duration; try 50ms or 5s"),
        (&["--alive", "64", "--", "true"], "not one in a number; try 1/64"),
        (&["--network", "10.0.0.1", "--", "true"], "try 10.200.0.0/16"),
        (&["--burst", "10s", "--", "true"], "not two durations; try 10s,1s"),
        (&["--seed"], "its value is missing"),
        (&["--fast"], "no such option"),
        (&[], "there is no command"),
    ] {
        let output = link(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr.contains(message), "{stderr}");
    }
    let help = link(&["--help"]).output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"usage: portmuster-lab link"));
}
