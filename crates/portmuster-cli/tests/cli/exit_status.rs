//! Failing output exits with status 3, for every command.

use std::fs;

use crate::{
    folder::Folder,
    journal::JournaledRun,
    shell::{check_with_seccomp, sh},
};

#[test]
fn full_stdout_exits_3_for_every_command() {
    let folder = Folder::new();
    let row = "{\"schema\":1,\"host\":\"192.0.2.1\",\"port\":23,\"open\":true,\"state\":\"open\",\
        \"reason\":\"accepted\",\"attempts\":1,\"time\":\"2026-11-22T10:00:00.123Z\"}\n";
    folder.write("old.jsonl", row);
    folder.write("new.jsonl", "");
    for command in [
        "check 127.0.0.1:1-9 --list",
        "check 127.0.0.1:1-9 --count",
        "check -i - --list",
        "check 127.0.0.1:1 --show=all",
        "check 127.0.0.1:1 -o jsonl",
        "explain 127.0.0.1:1",
        "diff \"$1/old.jsonl\" \"$1/new.jsonl\"",
        "completions bash",
        "man",
        "man check",
        "--help",
        "-h",
        "--version",
        "help check",
        "check --help",
        "compare 127.0.0.1:1 --rounds 1 --methods serial",
    ] {
        let script = format!("echo 127.0.0.1:2 | \"$portmuster\" {command} >/dev/full");
        let ended = sh(&script, folder.path());
        assert_eq!(ended.status, Some(3), "{command}: {ended:?}");
        let message = "error: writing standard output";
        assert!(ended.stderr.contains(message), "{command}: {ended:?}");
        let script = format!(
            "{{ echo 127.0.0.1:2 | \"$portmuster\" {command} && echo 0 >&2 || echo $? >&2; }} | :"
        );
        let ended = sh(&script, folder.path());
        let last = ended.stderr.lines().last();
        assert!(matches!(last, Some("0" | "1")), "a reader that has gone: {command}: {ended:?}");
    }
}

#[test]
fn failing_first_sync_exits_3() {
    for call in ["fsync", "fdatasync"] {
        let run = JournaledRun::new(&["jsonl"], &["127.0.0.1:1"]);
        let arguments = run.arguments(false).join(" ");
        let Some(ended) = check_with_seccomp(&format!("{call}=EIO"), "", &arguments) else {
            return;
        };
        assert_eq!(ended.status, Some(3), "{call}: {ended:?}");
        assert!(ended.stderr.contains("Input/output error"), "{call}: {ended:?}");
        assert!(!run.file("journal").exists(), "{call}: there is nothing to resume");
    }
}

#[test]
fn unwritable_first_journal_exits_3() {
    let run = JournaledRun::new(&["jsonl"], &["127.0.0.1:1"]);
    let arguments = run.arguments(false).join(" ");
    let ended = sh(&format!("ulimit -f 0; exec \"$portmuster\" check {arguments}"), "");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("error: writing the journal "), "{ended:?}");
    let names = fs::read_dir(run.folder.path()).expect("it exists");
    let names: Vec<_> = names.flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["jsonl"], "no temporary file is left");
}
