//! Checks the answers of the reference in Python.

use std::{
    collections::BTreeSet,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Command, Stdio},
};

/// Runs the reference with these lines on stdin, and returns its answers.
fn answers(method: &str, targets: &str) -> Vec<String> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/reference.py");
    let mut command = Command::new("python3");
    command.args([program, method, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = command.spawn().expect("python3 is installed: cargo xtask setup");
    let mut stdin = python.stdin.take().expect("it is a pipe");
    stdin.write_all(targets.as_bytes()).expect("it reads");
    drop(stdin);
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{method}: {output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn every_method_tells_open_from_closed() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(any).expect("a port is free");
    let open = listener.local_addr().expect("it is bound").port();
    for method in ["serial", "threads", "processes", "process-threads"] {
        let targets =
            format!("127.0.0.1:{open}\n\nlocalhost:{open}\n127.0.0.9:1\nno..name:{open}\n");
        let answers = answers(method, &targets);
        let found: BTreeSet<_> = answers.iter().map(String::as_str).collect();
        let expected = [
            format!("127.0.0.1 {open} open"),
            format!("localhost {open} open"),
            "127.0.0.9 1 closed".to_owned(),
            format!("no..name {open} closed"),
        ];
        assert_eq!(answers.len(), expected.len(), "{method}: {answers:?}");
        assert_eq!(found, expected.iter().map(String::as_str).collect(), "{method}");
    }
}
