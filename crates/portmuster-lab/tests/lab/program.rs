//! Tests of the program `portmuster-lab`.

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
};

use portmuster_lab::fixtures;

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_portmuster-lab"))
}

#[test]
fn program_runs_fixtures_until_standard_input_ends() {
    let mut child =
        lab().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let stdout = child.stdout.take().expect("it is piped");
    let lines = BufReader::new(stdout).lines().take(fixtures().len());
    let lines: Vec<_> = lines.map(|line| line.expect("it is text")).collect();
    for (line, fixture) in lines.iter().zip(fixtures()) {
        let (endpoint, rest) = line.split_once(' ').expect("there are columns");
        assert_eq!(TcpStream::connect(endpoint).is_ok(), fixture.state == "open", "{line}");
        assert!(rest.contains(fixture.name) && rest.ends_with(fixture.about), "{line}");
    }
    assert_eq!(lines.len(), fixtures().len());
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn invalid_arguments_print_a_message_and_set_the_exit_status() {
    for (arguments, status, message) in [
        (&["--address", "0.0.0.0"][..], 1, "not a loopback address"),
        (&["--address", "here"], 2, "not an IP address"),
        (&["--port", "65536"], 2, "not a number from 0 to 65535"),
        (&["--port"], 2, "its value is missing"),
        (&["--fast"], 2, "no such option"),
    ] {
        let output = lab().args(arguments).stdin(Stdio::null()).output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(stderr.contains(message), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_option_prints_usage() {
    let output = lab().arg("--help").stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success() && output.stdout.starts_with(b"usage: portmuster-lab"));
}
