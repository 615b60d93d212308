//! Abrupt ends leave no core dump and no worker processes.

use std::fs;

use portmuster_lab::Behaviour;
use rustix::process::{PidfdGetfdFlags, Signal, pidfd_getfd};

use crate::{
    program::{Running, check, wait_for_end},
    servers::{start, target},
    shell::{sh, sh_in_namespaces, sh_or_skip},
    terminal::shown,
};

/// Starts a run whose worker processes are busy with the target.
fn with_workers(target: &str) -> Running {
    let mut running = Running::check([
        "127.0.0.1:1",
        target,
        "--method",
        "processes",
        "--workers",
        "2",
        "--timeout",
        "60s",
        "-o",
        "jsonl",
    ]);
    assert_eq!(running.row().state, "closed");
    assert!(!running.children().is_empty());
    running
}

#[test]
fn program_and_workers_disable_core_dumps() {
    let server = start(Behaviour::Silent);
    let running = with_workers(&target(&server));
    let ids = fs::read_dir(format!("/proc/{}/task", running.pid())).expect("it runs");
    let children = ids.flatten().map(|thread| thread.path().join("children"));
    let children: String = children.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let ids = children.split_whitespace().map(str::to_owned).chain([running.pid().to_string()]);
    for id in ids {
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).expect("it runs");
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        let core: Vec<_> = core.expect("it has a limit").split_whitespace().rev().take(3).collect();
        assert_eq!(core, ["bytes", "0", "0"], "{limits}");
    }
}

#[test]
fn small_stack_is_raised_or_refused_with_an_error() {
    for size in [64, 100, 500, 1000] {
        for command in ["check 127.0.0.1:1", "--help", "check --no-such-option", "worker"] {
            let script = format!("ulimit -s {size}; exec \"$portmuster\" {command}");
            let ended = sh(&script, "");
            assert_eq!(ended.status, Some(3), "{size} {command}: {ended:?}");
            let message = format!(
                "error: the stack is limited to {size} KiB, and portmuster needs 1024: raise the limit \
                 with \"ulimit -s 8192\"; if that is not permitted, start portmuster from another shell\n"
            );
            assert_eq!((ended.stderr, ended.stdout.as_str()), (message, ""));
        }
    }
    // The hard limit permits more, and 1,024 KiB are enough.
    for limit in ["ulimit -S -s 64", "ulimit -s 1024"] {
        for method in ["event-loop", "processes", "threads"] {
            let run = format!("exec \"$portmuster\" check 127.0.0.1:1 --method {method} -o csv");
            let ended = sh(&format!("{limit}; {run}"), "");
            assert_eq!(ended.status, Some(0), "{limit} {method}: {ended:?}");
        }
    }
}

/// Duplicates in this process keep the workers' sockets open after the program has gone.
#[test]
fn workers_end_with_program_even_if_sockets_stay_open() {
    let server = start(Behaviour::Silent);
    let running = with_workers(&target(&server));
    let workers = running.children();
    let program = running.process();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", running.pid())).expect("it runs");
    let numbers =
        descriptors.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let kept: Vec<_> = numbers
        .filter_map(|number| pidfd_getfd(&program, number, PidfdGetfdFlags::empty()).ok())
        .collect();
    assert!(kept.len() > workers.len());
    running.signal(Signal::KILL);
    wait_for_end(&program);
    workers.iter().for_each(wait_for_end);
}

const ROOT: &str = "portmuster: running as root is unnecessary, and risky";

#[test]
fn root_gets_one_note_on_a_terminal() {
    let script = "[ \"$(id -u)\" = 0 ] && grep -q 4294967295 /proc/self/uid_map || exit 77";
    let Some(_) = sh_or_skip("does not run tests as root", script, "") else {
        return;
    };
    let notes = |more: &[&'static str]| {
        let arguments = ["check", "127.0.0.1:1", "-o", "jsonl", "--color", "never"];
        shown(arguments.into_iter().chain(more.iter().copied()), &[]).matches(ROOT).count()
    };
    assert_eq!((notes(&[]), notes(&["--quiet"]), notes(&["--list"])), (1, 0, 0));
    assert!(check(["127.0.0.1:1", "--verbose"]).stderr.contains(ROOT));
    assert!(!check(["127.0.0.1:1"]).stderr.contains(ROOT), "scripts get no note");
}

#[test]
fn namespace_root_gets_no_note() {
    let script = "exec \"$portmuster\" check 127.0.0.1:1 --verbose";
    let Some(ended) = sh_in_namespaces(&[], script, "") else { return };
    assert!(ended.summary().targets == 1 && !ended.stderr.contains(ROOT), "{}", ended.stderr);
}
