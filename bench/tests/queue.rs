//! The benchmarks themselves: small, and to their end.

use std::process::{Command, Output};

/// Runs the program with these arguments.
fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portmuster-bench"));
    command.arg("queue").args(["--rounds", "2"]).args(arguments).output().expect("it starts")
}

/// The program ends with an error when a piece does not come back once, with its result.
#[test]
fn every_piece_comes_back() {
    let small = ["--part", "costless", "--pieces", "3000", "--python-pieces", "50"];
    let output = bench(&[&small[..], &["--processes", "1", "--processes", "3"]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = || text.lines().filter(|line| !line.contains("at most"));
    let runs = |name: &str| figures().filter(|line| line.contains(name)).count();
    for name in [
        "portmuster, 1 processes, a number each",
        "portmuster, 3 processes, a number each",
        "portmuster, 3 processes, a target each",
        "Python, 32 processes",
        "Python, processes with threads",
    ] {
        assert_eq!(runs(name), 3, "two rounds and the summary: {text}");
    }
}

#[test]
fn without_python_it_says_what_to_do() {
    let output = bench(&["--part", "costless", "--pieces", "9", "--python", "no-such-python"]);
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("no-such-python") && text.contains("apt-get install python3"), "{text}");
}
