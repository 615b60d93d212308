//! Bad arguments and input files exit with status 2 and a located message, before anything is sent.

use std::fs;

use portmuster_lab::Behaviour;

use crate::{
    folder::{Folder, ListFile},
    program::{Ended, Running, check, program, run},
    servers::{assert_untouched, start, target},
    shell::sh,
};

/// Runs `check` with a reachable target and the given bad arguments, and asserts the refusal.
fn refused(arguments: &[&str]) -> Ended {
    let server = start(Behaviour::Ssh);
    let good = target(&server);
    let ended = check([&[good.as_str()], arguments].concat());
    assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
    assert_eq!(ended.stdout, "", "{arguments:?}");
    assert_untouched(&server);
    ended
}

fn assert_error(arguments: &[&str], complaint: &str) {
    let stderr = refused(arguments).stderr;
    assert!(stderr.starts_with("error: ") && stderr.contains(complaint), "{arguments:?}: {stderr}");
}

fn assert_list_is_refused(content: &[u8], complaint: &str) {
    let list = ListFile::new(content);
    let stderr = refused(&["-i", &list.path]).stderr;
    assert_eq!(stderr, format!("error: {}\n", complaint.replace("LIST", &list.path)));
}

#[test]
fn bad_target_error_names_target_and_column() {
    for (bad, complaint) in [
        ("10.0.0.300", r#"target "10.0.0.300", column 1: "10.0.0.300" is not an IPv4 address"#),
        ("10.0.0.0/33", r#"target "10.0.0.0/33", column 9: /33 is not a prefix length"#),
        ("10.0.0.5:0", r#"target "10.0.0.5:0", column 10: port 0 is not from 1 to 65535"#),
        ("10.0.0.5:70000", r#"target "10.0.0.5:70000", column 10: port 70000 is not"#),
        ("[::1", r#"target "[::1", column 1: the bracket is not closed"#),
        ("", r#"target "", column 1: a host is missing"#),
        ("-", "\"-\" is not a target: to read a list from stdin, use -i -\n  did you mean: "),
    ] {
        assert_error(&[bad], complaint);
    }
}

#[test]
fn bad_option_value_is_reported() {
    for (bad, complaint) in [
        (&["-p", "0"][..], "'0' for '--ports <LIST>': column 1: port 0 is not from 1 to 65535"),
        (&["-p", "22,70000"], "'--ports <LIST>': column 4: port 70000 is not from 1 to 65535"),
        (&["--timeout", "10"], "'--timeout <TIME>': the unit is missing: use 10s, 10ms or 10m"),
        (&["--timeout", "0s"], "'0s' for '--timeout <TIME>': the duration must be longer than 0s"),
        (&["--first-byte", "soon"], "'--first-byte <TIME>': expected a duration such as 10s"),
        (&["--in-flight", "0"], "'0' for '--in-flight <N>'"),
        (&["--rate", "0"], "'0' for '--rate <N>': expected a whole number from 1"),
        (&["--per-host", "few"], "'few' for '--per-host <N>': expected a whole number"),
        (&["--workers", "0"], "'0' for '--workers <N>'"),
        (&["--workers", "100000"], "100000 event loops are more than the "),
        (&["--workers", "100000", "--method", "threads"], "100000 threads are more than the "),
        (&["--workers", "100000", "--method", "processes"], "100000 worker processes are more"),
        (
            &["--threads", "100000", "--method", "process-threads"],
            "100000 threads in each process are more than the ",
        ),
        (&["--retries", "x"], "'--retries <N>': expected a whole number from 0 to 4294967295"),
        (&["--retries", "-1"], "--retries -1: the value can't be negative"),
        (
            &["--max-missed", "0"],
            "'0' for '--max-missed <SHARE>': expected a percentage from 0.0001%",
        ),
        (&["--max-missed", "0%"], "expected a percentage from 0.0001% to 50%, such as 0.1%"),
        (&["--max-missed", "200%"], "expected a percentage from 0.0001% to 50%, such as 0.1%"),
        (&["--max-missed", "0.1"], "expected a percentage from 0.0001% to 50%, such as 0.1%"),
        (
            &["--max-missed", "1%", "--no-canaries"],
            "'--max-missed <SHARE>' cannot be used with '--no-canaries'",
        ),
        (
            &["--max-missed", "1%", "--retries", "0"],
            "--max-missed 1% asks silent targets again, and --retries 0 asks each only once: remove one \
             of them",
        ),
        (
            &["--patience", "some"],
            "'some' for '--patience <WHICH>'\n  [possible values: full, adaptive]",
        ),
        (&["--seed", "x"], "'--seed <N>': expected a whole number from 0 to 18446744073709551615"),
        (&["--column", "ip"], "--input <FILE>"),
        (
            &["--threads", "10"],
            "--threads is for the method process-threads: the limit of connections is --in-flight",
        ),
        (&["--method", "fibers"], "'fibers' for '--method <METHOD>'"),
        (&["-o", "yaml"], r#"'--output <FORMAT[=FILE]>': unknown format "yaml": use one of table"#),
        (&["-o", "jsonl="], "the file after = is missing"),
        (&["-o", "table", "-o", "jsonl"], "only one output can go to stdout"),
        (&["--append", "--force", "-o", "csv=a"], "'--append' cannot be used with '--force'"),
        (
            &["--append"],
            "--append is about files, and no output is a file: name one, as in -o csv=FILE",
        ),
        (
            &["--no-such-option"],
            "check has no option --no-such-option: see portmuster check --help",
        ),
    ] {
        assert_error(bad, complaint);
    }
}

#[test]
fn missing_target_error_explains_usage() {
    let ended = check([""; 0]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(
        ended.stderr,
        "error: there is no target: name one, or read a list with -i FILE (- is stdin)\n"
    );
}

#[test]
fn unreadable_file_error_names_file() {
    let folder = Folder::new();
    let missing = format!("{}/missing.txt", folder.path());
    let folder = folder.path();
    assert_error(&["-i", &missing], &format!("opening {missing}: No such file"));
    assert_error(
        &["-i", folder],
        &format!("{folder} is a directory: name a file with one target per line"),
    );
}

#[test]
fn file_without_targets_is_an_error() {
    assert_list_is_refused(b"", "there is no target in LIST");
    assert_list_is_refused(b"# none yet\n\n  # none here\n", "there is no target in LIST");
}

#[test]
fn stream_that_is_known_to_be_empty_is_refused_before_connecting() {
    let complaint = "error: there is no target in /dev/null\n";
    assert_eq!(refused(&["-i", "/dev/null"]).stderr, complaint);
    let list = ListFile::new("# none\n\n");
    let bad = ListFile::new("# one\n127.0.0.1:0\n");
    for (input, complaint) in [
        ("/dev/null", "there is no target in standard input"),
        (&list.path, "there is no target in standard input"),
        (&bad.path, "standard input, line 2, column 11: port 0 is not from 1 to 65535"),
        ("/", "reading standard input: Is a directory"),
    ] {
        let server = start(Behaviour::Ssh);
        let script = format!("exec \"$portmuster\" check \"$1\" -i - <{input}");
        let ended = sh(&script, &target(&server));
        assert_eq!(ended.status, Some(2), "{input}: {ended:?}");
        assert!(ended.stderr.starts_with(&format!("error: {complaint}")), "{input}: {ended:?}");
        assert_untouched(&server);
    }
}

#[test]
fn file_on_stdin_is_read_once_as_a_stream() {
    let list = ListFile::new("127.0.0.1:1 a\n127.0.0.2:1\n127.0.0.1:1 b\n");
    let script = "exec \"$portmuster\" check 127.0.0.3:1 -i - --list <\"$1\"";
    let ended = sh(script, &list.path);
    assert_eq!(ended.stdout, "127.0.0.3:1\n127.0.0.1:1 a\n127.0.0.2:1\n127.0.0.1:1 b\n");
}

#[test]
fn slow_stream_delays_no_other_target() {
    let mut running = Running::check(["127.0.0.1:1", "-i", "-", "-ojsonl"]);
    assert_eq!(running.row().state, "closed");
    let ended = running.end();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("error: there is no target in standard input"), "{ended:?}");
}

#[test]
fn binary_file_error_names_line_and_column() {
    let program = fs::read("/bin/sh").expect("every system has a shell");
    let list = ListFile::new(&program);
    let stderr = refused(&["-i", &list.path]).stderr;
    assert!(stderr.starts_with(&format!("error: {}, line 1, column ", list.path)), "{stderr}");

    assert_list_is_refused(
        b"127.0.0.1:1\n127.0.\xff\n",
        "LIST, line 2, column 7: this is not text (UTF-8)",
    );
    assert_list_is_refused(
        &b"1".repeat(1 << 20),
        "LIST, line 1, column 4097: the line is longer than 4096 bytes; write one target per line",
    );
}

#[test]
fn bad_line_error_names_line_and_column() {
    assert_list_is_refused(
        b"127.0.0.1:1\n# comment\n  127.0.0.1:1,70000 # too high\n127.0.0.2:1\n",
        "LIST, line 3, column 15: port 70000 is not from 1 to 65535",
    );
}

fn is_visible(letter: char) -> bool {
    letter == '\n' || (' '..='~').contains(&letter)
}

#[test]
fn bad_line_is_escaped_in_error() {
    let list = ListFile::new("127.0.0.1:1\nevil\u{1b}[2J\u{9b}31m\u{202e}:22\n".as_bytes());
    let stderr = refused(&["-i", &list.path]).stderr;
    assert!(stderr.contains("line 2, column 5"), "{stderr}");
    assert!(stderr.chars().all(is_visible), "{stderr:?}");
}

#[test]
fn bad_target_is_escaped_in_error() {
    let stderr = refused(&["127.0.0.1:\u{1b}]0;owned\u{7}"]).stderr;
    assert!(stderr.chars().all(is_visible), "{stderr:?}");
}

#[test]
fn file_name_is_escaped_in_error() {
    let stderr = refused(&["-i", "no-such\u{1b}[2J\u{202e}.txt"]).stderr;
    assert!(stderr.contains("opening no-such\\x1b[2J\\u{202e}.txt"), "{stderr}");
    assert!(stderr.chars().all(is_visible), "{stderr:?}");
}

#[test]
fn bad_input_creates_no_output_file() {
    let folder = Folder::new();
    let file = folder.file("rows.jsonl");
    refused(&["10.0.0.300", "-o", &format!("jsonl={}", file.display())]);
    assert!(!file.exists());
}

#[test]
fn unknown_command_error_names_command() {
    let ended = run(program().arg("nope"));
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.starts_with("error: there is no command \"nope\""), "{}", ended.stderr);
}

/// The descriptor limit is the lowest here, so the message names it.
#[test]
fn too_many_workers_error_names_limit() {
    let script = "ulimit -n 100
        exec \"$portmuster\" check 127.0.0.1 --workers 1000 --method \"$1\"";
    for method in ["threads", "processes", "event-loop", "process-event-loops"] {
        let ended = sh(script, method);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{method}");
        let limit = "that one run may have here (descriptors, ulimit -n)";
        assert!(ended.stderr.contains(limit), "{}", ended.stderr);
    }
}

#[test]
fn worker_command_refuses_direct_use() {
    let ended = run(program().arg("worker"));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("a process that portmuster starts by itself"), "{ended:?}");
}
