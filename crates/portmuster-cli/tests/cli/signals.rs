//! Ctrl-C, once and twice.

use std::time::Duration;

use portmuster_lab::{Behaviour, Server};
use rustix::process::Signal;

use crate::{
    program::{Ended, LIMIT, Running, is_gone},
    row,
    servers::{start, target},
};

const SILENT: usize = 300;
const PATIENT: [&str; 4] = ["--first-byte=1h", "--deadline=1h", "--per-host=max", "-o=jsonl"];

/// A run over one closed target and many silent ones, all of which are in flight.
fn run_in_silence(method: &str) -> (Running, Server) {
    let (refused, silent) = (start(Behaviour::Refused), start(Behaviour::Silent));
    let mut arguments = vec![target(&refused)];
    arguments.extend(["-i", "-"].map(str::to_owned));
    arguments.extend(PATIENT.map(str::to_owned));
    arguments.extend(["--method".to_owned(), method.to_owned(), "--in-flight=50".to_owned()]);
    let mut running = Running::check(arguments);
    running.feed(&format!("{}\n", target(&silent)).repeat(SILENT));
    running.end_input();
    let in_flight = match method {
        "serial" => 1,
        "processes" => 32,
        _ => 50,
    };
    let counts = silent.wait_for(LIMIT, |counts| counts.open == in_flight);
    assert_eq!(counts.open, in_flight);
    (running, silent)
}

fn assert_interrupted(ended: &Ended) {
    assert_eq!(ended.status, Some(130), "{ended:?}");
    let note = "portmuster: stopping; press Ctrl-C again to quit immediately\n";
    assert!(ended.stderr.starts_with(note), "{}", ended.stderr);
}

/// The silent servers would keep the run for as long as they live, were it not for the signal.
fn assert_signal_stops(signal: Signal, method: &str) {
    let (mut running, silent) = run_in_silence(method);
    assert_eq!(running.row().state, "closed");
    let workers = running.children();
    assert_eq!(workers.is_empty(), !method.starts_with("process"));
    running.signal(signal);
    let ended = running.end();
    assert!(workers.iter().all(is_gone), "a worker has outlived the run");
    assert_interrupted(&ended);
    assert_eq!(ended.rows(), []);
    let summary = ended.summary();
    // Of a stream only what was taken before the signal counts.
    assert_eq!((summary.of("closed"), summary.of("left")), (1, summary.targets - 1));
    assert!((2..=SILENT as u64 + 1).contains(&summary.targets), "{summary:?}");
    assert!(summary.seconds < LIMIT.as_secs_f64() / 2.0, "{summary:?}");
    assert_eq!(silent.wait_for(LIMIT, |counts| counts.open == 0).open, 0);
}

#[test]
fn ctrl_c_stops_the_event_loop() {
    assert_signal_stops(Signal::INT, "event-loop");
}

#[test]
fn ctrl_c_stops_threads() {
    assert_signal_stops(Signal::INT, "threads");
}

#[test]
fn ctrl_c_stops_a_serial_run() {
    assert_signal_stops(Signal::INT, "serial");
}

#[test]
fn ctrl_c_stops_processes() {
    assert_signal_stops(Signal::INT, "processes");
}

#[test]
fn ctrl_c_stops_processes_with_threads() {
    assert_signal_stops(Signal::INT, "process-threads");
}

#[test]
fn ctrl_c_stops_processes_with_event_loops() {
    assert_signal_stops(Signal::INT, "process-event-loops");
}

#[test]
fn sigterm_stops_as_ctrl_c_does() {
    assert_signal_stops(Signal::TERM, "event-loop");
}

#[test]
fn what_is_in_flight_gets_its_time_to_end() {
    let slow = start(Behaviour::Slow(Duration::from_millis(500)));
    let mut running = Running::check(["-i", "-", "--in-flight=5"].into_iter().chain(PATIENT));
    running.feed(&format!("{}\n", target(&slow)).repeat(SILENT));
    running.end_input();
    slow.wait_for(LIMIT, |counts| counts.accepted == 5);
    running.signal(Signal::INT);
    let ended = running.end();
    assert_interrupted(&ended);
    let rows = ended.rows();
    assert!(!rows.is_empty(), "{ended:?}");
    assert!(rows.iter().all(|row| row.service.as_deref() == Some("ssh")), "{rows:?}");
    let summary = ended.summary();
    assert_eq!(summary.of("open"), rows.len() as u64);
    assert!(summary.of("left") > 0, "{summary:?}");
}

#[test]
fn a_stream_that_stays_open_does_not_hold_up_the_end() {
    let silent = start(Behaviour::Silent);
    let mut running = Running::check(["-i", "-"].into_iter().chain(PATIENT));
    running.feed(&format!("127.0.0.1:1\n{}\n", target(&silent)));
    assert_eq!(running.row().state, "closed");
    silent.wait_for(LIMIT, |counts| counts.open == 1);
    running.signal(Signal::INT);
    while !running.said().contains(" targets = ") {}
    let ended = running.end();
    assert_eq!(ended.status, Some(130), "{ended:?}");
}

/// Nobody reads stdout, so the first signal can't end the run, and only the second can have.
#[test]
fn a_second_ctrl_c_leaves_at_once() {
    let mut running = Running::check(["127.0.0.0/16", "-p1", "--rate=max", "-o=jsonl"]);
    let first = running.row();
    running.signal(Signal::INT);
    assert_eq!(running.said(), "portmuster: stopping; press Ctrl-C again to quit immediately\n");
    running.signal(Signal::INT);
    let ended = running.end_unread();
    assert_eq!(ended.status, Some(130));
    assert_eq!(ended.stderr, "");
    assert_eq!(first.state, "closed");
}

#[test]
fn rows_are_whole_when_a_full_run_is_interrupted() {
    let mut running = Running::check(["127.0.0.0/12", "-p1", "--rate=max", "-o=jsonl"]);
    let first = running.row();
    running.signal(Signal::INT);
    let ended = running.end();
    assert_interrupted(&ended);
    let mut rows = ended.rows();
    rows.push(first);
    let summary = ended.summary();
    assert_eq!(row::targets(&rows).len() as u64, summary.of("closed"));
    assert_eq!(summary.targets, 1 << 20);
    assert!(summary.of("left") > 0, "{summary:?}");
}

#[test]
fn the_ctrl_c_that_ended_the_list_as_well_is_no_bad_line() {
    let silent = start(Behaviour::Silent);
    let mut running = Running::check(PATIENT.iter().copied().chain(["-i", "-"]));
    running.feed(&format!("{}\n127.0.0.", target(&silent)));
    assert_eq!(silent.wait_for(LIMIT, |counts| counts.open == 1).open, 1);
    running.signal(Signal::INT);
    assert_ne!(running.said(), "");
    running.end_input();
    assert_interrupted_quietly(&running.end());
}

fn assert_interrupted_quietly(ended: &Ended) {
    assert_eq!(ended.status, Some(130), "{ended:?}");
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
}
