//! `portmuster compare`: the same targets checked by each method.

use std::net::TcpListener;

use rustix::process::Signal;
use serde::Deserialize;

use crate::{
    program::{Ended, METHODS, Running, is_gone, program, run, wait_until},
    servers::{full_listener, own_address},
};

/// Schema 1 of a comparison row, declared independently of the program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodRow {
    schema: u32,
    method: String,
    rounds: usize,
    targets: u64,
    targets_per_s: f64,
    targets_per_s_min: f64,
    targets_per_s_max: f64,
    wall_s: f64,
    cpu_s: f64,
    peak_memory_kib: u64,
    context_switches: u64,
    peak_in_flight: usize,
    workers: usize,
    fairness: f64,
    differing: u64,
}

fn compare(arguments: &[&str]) -> Ended {
    run(program().arg("compare").args(arguments))
}

#[test]
fn unusable_temporary_folder_is_named() {
    let ended = run(program().args(["compare", "127.0.0.1:1"]).env("TMPDIR", "/no/such"));
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let error = "error: creating a temporary directory (TMPDIR says where): No such file";
    assert!(ended.stderr.contains(error) && ended.stderr.contains("/no/such"), "{ended:?}");
}

fn rows(ended: &Ended) -> Vec<MethodRow> {
    let row = |line| serde_json::from_str(line).expect("a row of schema 1");
    ended.stdout.lines().map(row).collect()
}

#[test]
fn each_method_gets_a_row_without_differences() {
    let ended = compare(&["127.0.0.0/22", "-p1", "--rounds=2", "--output=jsonl"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let terms = "options of each run: --no-probe --rate max --per-host max --retries 0\n";
    assert_eq!(ended.stderr, format!("portmuster: {terms}"));
    let rows = rows(&ended);
    let methods: Vec<_> = rows.iter().map(|row| row.method.as_str()).collect();
    assert_eq!(methods, METHODS);
    for row in rows {
        assert_eq!((row.schema, row.rounds, row.targets, row.differing), (1, 2, 1024, 0));
        let least_to_most = [row.targets_per_s_min, row.targets_per_s, row.targets_per_s_max];
        assert!(least_to_most.is_sorted() && least_to_most[0] > 0.0, "{row:?}");
        assert!(row.wall_s > 0.0 && row.cpu_s > 0.0 && row.context_switches > 0, "{row:?}");
        assert!((0.0..=1.000_001).contains(&row.fairness), "{row:?}");
        assert!(row.peak_in_flight >= 1 && row.peak_memory_kib < 1 << 20, "{row:?}");
        match row.method.as_str() {
            "serial" => assert_eq!((row.workers, row.peak_in_flight), (1, 1)),
            "threads" => assert_eq!(row.workers, 256),
            "processes" => assert_eq!((row.workers, row.peak_in_flight.min(33)), (32, 32)),
            _ => assert!(row.workers >= 1, "{row:?}"),
        }
    }
}

#[test]
fn table_lists_selected_methods_in_order() {
    let ended = compare(&["127.0.0.0/25", "-p1", "--rounds=1", "--methods=threads,serial"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    let starts = ["METHOD", "threads ", "serial "];
    assert_eq!(lines.len(), starts.len());
    assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{lines:?}");
    assert!(lines[1..].iter().all(|line| line.ends_with("  same")), "{lines:?}");
}

/// The backlog of the server has one place, and the first connection keeps it.
#[test]
fn differing_target_is_named() {
    let listener = TcpListener::bind((own_address(), 0)).expect("there is a port");
    rustix::net::listen(&listener, 0).expect("it listens");
    let target = listener.local_addr().expect("it is bound").to_string();
    let settings = ["--rounds=1", "--methods=serial,threads", "--timeout=300ms", "-o=jsonl"];
    let ended = compare(&[&[target.as_str()], &settings[..]].concat());
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let difference = format!("{target} is open with serial, but not with threads\n");
    assert!(ended.stderr.ends_with(&difference), "{}", ended.stderr);
    let differing: Vec<_> = rows(&ended).iter().map(|row| row.differing).collect();
    assert_eq!(differing, [0, 1]);
}

#[test]
fn stdin_input_is_refused() {
    let ended = compare(&["-i", "-"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("stdin can't be read by several runs"), "{ended:?}");
}

#[test]
fn bad_target_is_reported_once() {
    let ended = compare(&["300.0.0.0/8"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr.matches("300.0.0.0/8").count(), 1, "{ended:?}");
}

#[test]
fn ctrl_c_ends_current_run_and_starts_no_other() {
    let (listener, _first) = full_listener();
    let target = listener.local_addr().expect("it is bound").to_string();
    let running = Running::start("compare", [target.as_str(), "--timeout=1h"]);
    let mut children = Vec::new();
    wait_until("a run", || {
        children = running.children();
        !children.is_empty()
    });
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(130), ""), "{ended:?}");
    assert!(children.iter().all(is_gone), "a run has outlived the comparison");
}
