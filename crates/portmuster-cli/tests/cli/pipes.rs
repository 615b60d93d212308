//! Streams on stdin, and a stdout that is closed early.

use std::time::Duration;

use portmuster_lab::Behaviour;

use crate::{
    folder::{Folder, ListFile},
    program::{Running, check, program, run},
    row,
    servers::{start, target},
    shell::sh,
};

#[test]
fn targets_on_stdin_are_checked_as_they_arrive() {
    let server = start(Behaviour::Ssh);
    let mut running = Running::check(["-i", "-", "-o", "jsonl"]);
    for _ in 0..3 {
        running.feed(&format!("# next\n\n{}\n", target(&server)));
        assert_eq!(running.row().service.as_deref(), Some("ssh"));
    }
    let ended = running.end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.rows(), []);
    assert_eq!(ended.summary().of("open"), 3);
}

#[test]
fn bad_line_on_stdin_ends_run_after_checks_in_flight() {
    let server = start(Behaviour::Slow(Duration::from_secs(1)));
    let mut running = Running::check(["-i", "-", "-o", "jsonl"]);
    let good = target(&server);
    running.feed(&format!("{good}\n127.0.0.1:1\n  10.0.0.300\n{good}\n"));
    let ended = running.end();
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.starts_with("error: standard input, line 3, column 3: \"10.0.0.300\""),
        "{}",
        ended.stderr
    );
    let mut states: Vec<_> = ended.rows().into_iter().map(|row| row.state).collect();
    states.sort();
    assert_eq!(states, ["closed", "open"]);
    assert_eq!(ended.summary().targets, 2);
    assert_eq!(server.accepted(), 1);
}

#[test]
fn stdin_without_targets_is_an_error() {
    let ended = run(program().args(["check", "-i", "-"]).write_stdin("# nothing\n"));
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.starts_with("error: there is no target in standard input\n"));
    assert_eq!(ended.stdout, "");
}

#[test]
fn stdin_is_read_only_on_request() {
    let script = "echo unread | { \"$portmuster\" check 127.0.0.1:1; cat; }";
    let ended = sh(script, "");
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "unread\n"), "{ended:?}");
}

#[test]
fn arguments_files_and_stdin_are_combined() {
    let list = ListFile::new("127.0.0.2\r\n127.0.0.3:2,3\n");
    let file = list.path.as_str();
    let arguments = ["check", "127.0.0.1", "-i", file, "-i", "-", "-p", "1", "-o", "jsonl"];
    let ended = run(program().args(arguments).write_stdin("127.0.0.4\n127.0.0.8/30:2"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.rows().len(), 9);
    assert_eq!(ended.summary().of("closed"), 9);
}

#[test]
fn closed_stdout_ends_run_quietly() {
    for format in ["table", "jsonl", "csv", "xml"] {
        let mut running =
            Running::check(["127.0.0.0/17", "-p1", "--rate=max", "--show=all", "-o", format]);
        assert_ne!(running.line(), "");
        running.close_stdout();
        let ended = running.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn quiet_run_prints_nothing_on_stderr() {
    for arguments in [&["127.0.0.1:1"][..], &["255.255.255.255:1"]] {
        let ended = check([arguments, &["-q", "--progress=always"]].concat());
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn closed_stdout_does_not_affect_other_outputs() {
    let folder = Folder::new();
    let file = folder.file("rows.jsonl");
    let output = format!("-ojsonl={}", file.display());
    let mut running =
        Running::check(["127.0.0.0/17", "-p1", "--rate=max", "--show=all", "-otable", &output]);
    assert_ne!(running.line(), "");
    running.close_stdout();
    let ended = running.end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let rows = std::fs::read_to_string(&file).expect("the run has written it");
    assert_eq!(row::targets(&row::read(&rows)).len(), 1 << 15);
    assert_eq!(ended.summary().of("closed"), 1 << 15);
}

#[test]
fn demo_with_closed_stdout_ends_quietly() {
    let ended = sh("{ \"$portmuster\" demo; echo $? >&2; } | true", "");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", "0\n"), "{ended:?}");
}
