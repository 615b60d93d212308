//! Progress of a run, on a terminal and elsewhere.

use crate::{
    program::{Ended, check},
    terminal,
};

/// Runs a check that lasts two seconds.
fn run_with(arguments: &[&str]) -> Ended {
    check([&["127.0.0.0/25", "-p1", "--rate=64"], arguments].concat())
}

#[test]
fn progress_always_prints_lines_without_a_terminal() {
    let ended = run_with(&["--progress=always"]);
    let line = ended.stderr.lines().next().expect("there is a line");
    let (done, rest) = line.split_once("/128 done, ").expect("it counts the targets done");
    assert!(done.starts_with("portmuster: ") && rest.ends_with("s left"), "{line}");
    assert!(rest.contains("/s, 0 open, "), "{line}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn progress_is_off_without_a_terminal() {
    for arguments in [&[][..], &["--progress=auto"], &["--progress=never"]] {
        let ended = check([&["127.0.0.1:1"], arguments].concat());
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    assert_eq!(run_with(&[]).stderr.lines().count(), 1);
}

#[test]
fn progress_on_a_terminal_is_one_erased_line() {
    let arguments = ["check", "127.0.0.0/25", "-p1", "--rate=64"];
    let shown = terminal::shown(arguments, &[("TERM", "xterm")]);
    assert!(shown.contains("/128 ") && shown.contains("0 open"), "{shown:?}");
    let (_, after) = shown.rsplit_once("/128 ").expect("the line was shown");
    assert!(after.contains("\x1b[2K"), "{shown:?}");
    assert!(after.contains("128 targets = "), "{shown:?}");

    let arguments = arguments.into_iter().chain(["--progress=never"]);
    let shown = terminal::shown(arguments, &[("TERM", "xterm")]);
    assert!(!shown.contains("/128 "), "{shown:?}");
}
