//! SIGINT (Ctrl-C) and SIGTERM, sent once and twice.

use std::{
    io::{self, PipeReader, PipeWriter, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use portmuster_lab::{Behaviour, Server};
use rustix::{io::ioctl_fionbio, process::Signal};

use crate::{
    program::{Ended, LIMIT, Running, is_gone},
    row,
    servers::{own_address, start, target},
};

const SILENT: usize = 300;
const STOPPING: &str = "portmuster: stopping; press Ctrl-C again to quit immediately\n";
const LONG_LIMITS: [&str; 4] = ["--first-byte=1h", "--deadline=1h", "--per-host=max", "-o=jsonl"];

/// Starts a run over one closed and many silent targets, and waits until its window is full of
/// silent ones.
fn start_with_silent_server(method: &str) -> (Running, Server) {
    let (refused, silent) = (start(Behaviour::Refused), start(Behaviour::Silent));
    let mut arguments = vec![target(&refused)];
    arguments.extend(["-i", "-"].map(str::to_owned));
    arguments.extend(LONG_LIMITS.map(str::to_owned));
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
    assert!(ended.stderr.starts_with(STOPPING), "{}", ended.stderr);
}

/// Asserts that the signal stops the run. Without it, the silent servers would keep the run alive.
fn assert_signal_stops(signal: Signal, method: &str) {
    let (mut running, silent) = start_with_silent_server(method);
    assert_eq!(running.row().state, "closed");
    let workers = running.children();
    assert_eq!(workers.is_empty(), !method.starts_with("process"));
    running.signal(signal);
    let ended = running.end();
    assert!(workers.iter().all(is_gone), "a worker has outlived the run");
    assert_interrupted(&ended);
    assert_eq!(ended.rows(), []);
    let summary = ended.summary();
    // For a stream, only targets taken before the signal count.
    assert_eq!((summary.of("closed"), summary.of("left")), (1, summary.targets - 1));
    assert!((2..=SILENT as u64 + 1).contains(&summary.targets), "{summary:?}");
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
fn sigterm_stops_the_event_loop() {
    assert_signal_stops(Signal::TERM, "event-loop");
}

/// The time for which checks in flight may continue after the first signal.
const GRACE: Duration = Duration::from_secs(1);

/// Pause before the servers greet. In this time, a program without a grace period closes its connections.
const PAUSE: Duration = Duration::from_millis(300);

/// The servers send their greetings after the program has printed that it stops.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "on a busy machine, the grace period may pass before"
)]
fn ctrl_c_lets_checks_in_flight_finish() {
    let listener = TcpListener::bind((own_address(), 0)).expect("there is a port");
    let target = listener.local_addr().expect("it is bound").to_string();
    let arguments = ["-i", "-", "--in-flight=5", "--no-kex"];
    let mut running = Running::check(arguments.into_iter().chain(LONG_LIMITS));
    running.feed(&format!("{target}\n").repeat(SILENT));
    let clients: Vec<_> =
        listener.incoming().take(5).map(|client| client.expect("it connects")).collect();
    let signalled = Instant::now();
    running.signal(Signal::INT);
    assert_eq!(running.stderr_line(), STOPPING);
    thread::sleep(PAUSE);
    for mut client in &clients {
        // The program may have closed the connection.
        let _ = client.write_all(b"SSH-2.0-x\r\n");
    }
    let ended = running.end();
    let time = signalled.elapsed();
    assert_eq!(ended.status, Some(130), "{ended:?}");
    let rows = ended.rows();
    assert!(!rows.is_empty() || time >= GRACE, "it has not waited: {time:?} {ended:?}");
    assert!(rows.iter().all(|row| row.service.as_deref() == Some("ssh")), "{rows:?}");
    let summary = ended.summary();
    assert_eq!(summary.of("open"), rows.len() as u64);
    assert!(summary.of("left") > 0, "{summary:?}");
}

#[test]
fn ctrl_c_ends_run_with_open_stream() {
    let silent = start(Behaviour::Silent);
    let mut running = Running::check(["-i", "-"].into_iter().chain(LONG_LIMITS));
    running.feed(&format!("127.0.0.1:1\n{}\n", target(&silent)));
    assert_eq!(running.row().state, "closed");
    silent.wait_for(LIMIT, |counts| counts.open == 1);
    running.signal(Signal::INT);
    while !running.stderr_line().contains("2 targets = ") {}
    let ended = running.end();
    assert_eq!(ended.status, Some(130), "{ended:?}");
}

/// Returns a pipe whose write end blocks, because the pipe is full.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("there are descriptors");
    ioctl_fionbio(&writer, true).expect("pipes can be non-blocking");
    while writer.write(&[0; 4096]).is_ok() {}
    ioctl_fionbio(&writer, false).expect("pipes can be blocking");
    (reader, writer)
}

/// Nobody reads stdout, so after the first signal the program waits to write the row of the accepted
/// connection. Only the second signal can end it.
#[test]
fn second_ctrl_c_exits_immediately() {
    let server = start(Behaviour::Silent);
    let (_unread, stdout) = full_pipe();
    let mut running = Running::start_into(stdout, "check", ["-i=-", "--no-probe", "-o=jsonl"]);
    running.feed(&format!("{}\n", target(&server)));
    // The program closes the connection when it has the outcome.
    let counts = server.wait_for(LIMIT, |counts| counts.accepted == 1 && counts.open == 0);
    assert_eq!((counts.accepted, counts.open), (1, 0));
    running.signal(Signal::INT);
    assert_eq!(running.stderr_line(), STOPPING);
    running.signal(Signal::INT);
    let ended = running.end_unread();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(130), ""), "no summary");
}

#[test]
fn interrupted_run_writes_whole_rows() {
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
fn partial_last_line_after_ctrl_c_is_not_an_error() {
    let silent = start(Behaviour::Silent);
    let mut running = Running::check(LONG_LIMITS.iter().copied().chain(["-i", "-"]));
    running.feed(&format!("{}\n127.0.0.", target(&silent)));
    assert_eq!(silent.wait_for(LIMIT, |counts| counts.open == 1).open, 1);
    running.signal(Signal::INT);
    running.stderr_line();
    running.end_input();
    assert_interrupted_quietly(&running.end());
}

fn assert_interrupted_quietly(ended: &Ended) {
    assert_eq!(ended.status, Some(130), "{ended:?}");
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
}
