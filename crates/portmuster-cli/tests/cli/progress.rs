//! Progress of a run, on a terminal and elsewhere.

use crate::{
    program::{Ended, check},
    shell::{DROP_PORT_9, sh_in_namespaces},
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
    assert!(line.starts_with("portmuster: pass 1 of 2, "), "{line}");
    assert!(
        line.contains(" %, ")
            && line.contains("/s, 0 open, ")
            && line.contains(" s so far, about "),
        "{line}"
    );
    assert!(line.ends_with(" s left"), "{line}");
    assert_eq!(ended.stdout, "");
}

/// Nothing answers: the retries start 5 s after the first attempts and wait for 3.2 s. Then all targets
/// are asked once more, for 4 s.
#[test]
fn remaining_time_includes_retries_and_the_last_question() {
    let script = format!(
        "ip link set lo up
        {DROP_PORT_9}
        exec \"$portmuster\" check 127.0.0.0/24 -p 9 --progress=always --timeout 4s -o jsonl"
    );
    let Some(ended) = sh_in_namespaces(&["--net"], &script, "") else { return };
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let lines = ended.stderr.lines().filter(|line| line.contains(" %, "));
    let left = lines.filter_map(|line| {
        let (_, time) = line.rsplit_once("about ")?;
        time.strip_suffix(" s left")?.parse::<u64>().ok()
    });
    let left: Vec<_> = left.collect();
    // Until then, at least the last 4.5 s are left.
    assert!(!left.is_empty() && left.iter().all(|&seconds| seconds >= 5), "{ended:?}");
    assert!(ended.stderr.contains("asking silent targets again, "), "{ended:?}");
    let certainty = "certainty: all 256 silent targets were asked again, none answered";
    assert!(ended.stderr.contains(certainty), "{ended:?}");
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
    let (_, after) = shown.rsplit_once("pass 1 of 2, ").expect("the line was shown");
    assert!(after.contains("0 open, "), "{shown:?}");
    assert!(after.contains("\x1b[2K"), "{shown:?}");
    assert!(after.contains("128 targets = "), "{shown:?}");

    let arguments = arguments.into_iter().chain(["--progress=never"]);
    let shown = terminal::shown(arguments, &[("TERM", "xterm")]);
    assert!(!shown.contains("pass 1"), "{shown:?}");
}
