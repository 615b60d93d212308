//! How far a run is, for those who look.

use crate::{
    program::{Ended, check},
    terminal,
};

/// Lasts two seconds.
fn run_with(arguments: &[&str]) -> Ended {
    check([&["127.0.0.0/25", "-p1", "--rate=64"], arguments].concat())
}

#[test]
fn without_a_terminal_progress_comes_in_lines_when_told_to() {
    let ended = run_with(&["--progress=always"]);
    let line = ended.stderr.lines().next().expect("there is a line");
    let (done, rest) = line.split_once("/128 done, ").expect("it tells how many are done");
    assert!(done.starts_with("portmuster: ") && rest.ends_with("s left"), "{line}");
    assert!(rest.contains("/s, 0 open, "), "{line}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn without_a_terminal_progress_stays_away() {
    for arguments in [&[][..], &["--progress=auto"], &["--progress=never"]] {
        let ended = check([&["127.0.0.1:1"], arguments].concat());
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    assert_eq!(run_with(&[]).stderr.lines().count(), 1);
}

#[test]
fn on_a_terminal_progress_is_a_line_that_goes_away() {
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
