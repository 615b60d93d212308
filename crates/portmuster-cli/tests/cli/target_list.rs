//! The format `list`: `host:port` lines for other programs.

use std::fs;

use portmuster_lab::Behaviour;

use crate::{
    folder::{Folder, output, read},
    program::check,
    resume::{KilledRun, assert_each_once},
    servers::{start, target},
};

/// Returns the lines in order.
fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn list_has_open_targets_unless_all_are_shown() {
    let open = start(Behaviour::SshEager);
    let open = target(&open);
    let targets = [&open, "127.0.0.1:1", "[::1]:1", "localhost:1"];
    let ended = check([&targets[..], &["-o", "list"]].concat());
    assert_eq!((ended.status, ended.stdout), (Some(0), format!("{open}\n")));

    let folder = Folder::new();
    let file = folder.file("list");
    let arguments = ["--show=all", "-o", &output("list", &file)];
    let ended = check([&targets[..], &arguments].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let mut expected = targets;
    expected.sort_unstable();
    assert_eq!(sorted(&read(&file)), expected);

    let again = check(["-i", &file.display().to_string(), "--show=all", "-o=list"]);
    assert_eq!(sorted(&again.stdout), expected, "a list is an input: {again:?}");
}

#[test]
fn list_of_a_killed_run_is_continued() {
    let run = KilledRun::with_flags(&["jsonl", "list"], &["--show=all"]);
    let targets = run.targets.clone();
    let run = run.assert_resumed();
    assert_each_once(&run.file("jsonl"), &targets);
    let mut targets: Vec<_> = targets.iter().map(String::as_str).collect();
    targets.sort_unstable();
    assert_eq!(sorted(&fs::read_to_string(run.file("list")).expect("it exists")), targets);
}
