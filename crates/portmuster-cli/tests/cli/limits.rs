//! Limits of concurrency, rate and time, and limits of this machine.

use std::time::Duration;

use portmuster_lab::{Behaviour, Server};

use crate::{
    program::{Ended, METHODS, check, program, run},
    row::{self, Row},
    servers::{full_listener, start, target},
    shell::sh,
};

/// Checks the server `times` times. A stream does not merge duplicate targets.
fn check_many(server: &Server, times: usize, arguments: &[&str]) -> Ended {
    let targets = format!("{}\n", target(server)).repeat(times);
    run(program().args(["check", "-i", "-"]).args(arguments).write_stdin(targets))
}

/// Checks a slow server `times` times and asserts the peak number of open connections.
fn assert_peak(arguments: &[&str], times: usize, peak: usize) {
    let server = start(Behaviour::Slow(Duration::from_millis(200)));
    let ended = check_many(&server, times, &[arguments, &["-o=jsonl"]].concat());
    assert_eq!(ended.summary().of("open"), times as u64, "{arguments:?}: {ended:?}");
    assert_eq!((server.accepted(), server.peak()), (times, peak), "{arguments:?}: {ended:?}");
}

#[test]
fn per_host_limit_defaults_to_four() {
    assert_peak(&[], 12, 4);
    assert_peak(&["--per-host=1"], 3, 1);
    assert_peak(&["--per-host=7", "--method=threads"], 21, 7);
    assert_peak(&["--per-host=max"], 20, 20);
}

#[test]
fn host_timeout_leaves_targets_unchecked_and_fails_the_gate() {
    let server = start(Behaviour::Silent);
    let arguments = ["--per-host=1", "--host-timeout=1s", "--first-byte=4s", "--speak-first=never"];
    let gate = ["--require-verdict", "--allow=silent", "-o=jsonl"];
    let ended = check_many(&server, 5, &[&arguments[..], &gate].concat());
    let summary = ended.summary();
    assert_eq!((summary.of("open"), summary.of("unchecked")), (1, 4), "{ended:?}");
    let reasons = ended.rows().into_iter().filter(|row| row.state == "unchecked");
    assert!(reasons.clone().all(|row| row.reason == "host-timeout"), "{ended:?}");
    assert_eq!((ended.status, server.accepted()), (Some(1), 1), "{ended:?}");
}

#[test]
fn in_flight_and_workers_limit_open_connections() {
    for (arguments, peak) in [
        (&["--in-flight=3"][..], 3),
        (&["--in-flight=1", "--workers=1"], 1),
        (&["--in-flight=3", "--method=threads"], 3),
        (&["--workers=2", "--method=threads"], 2),
        (&["--method=serial"], 1),
        (&["--in-flight=3", "--method=processes"], 3),
        (&["--workers=2", "--method=processes"], 2),
        (&["--workers=2", "--threads=3", "--method=process-threads"], 6),
        (&["--in-flight=7", "--method=process-event-loops"], 7),
        (&["--in-flight=20", "--method=serial"], 1),
    ] {
        assert_peak(&[arguments, &["--per-host=max"]].concat(), 3 * peak, peak);
    }
}

#[test]
fn per_host_1_opens_one_connection_at_a_time() {
    for method in METHODS {
        let server = start(Behaviour::Ssh);
        let arguments = ["--per-host=1", "-o=jsonl", "--method", method];
        let ended = check_many(&server, 20, &arguments);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.summary().of("open"), 20);
        assert!(ended.rows().iter().all(|row| row.service.as_deref() == Some("ssh")));
        assert_eq!((server.accepted(), server.peak()), (20, 1), "{method}");
    }
}

#[test]
fn one_in_flight_completes_with_every_method() {
    for method in METHODS {
        for one in ["--in-flight=1", "--workers=1"] {
            let server = start(Behaviour::Ssh);
            let arguments = ["--per-host=max", "--method", method, one];
            let ended = check_many(&server, 5, &arguments);
            assert_eq!(ended.status, Some(0), "{ended:?}");
            assert_eq!(ended.summary().of("open"), 5, "{method} {one}");
        }
    }
}

#[test]
fn rate_limit_is_respected() {
    let ended = check(["127.0.0.0/25", "-p1", "--rate=64"]);
    let summary = ended.summary();
    assert_eq!(summary.of("closed"), 128);
    assert!(summary.seconds >= 1.9, "{summary:?}");
}

#[test]
fn default_rate_is_ten_thousand_per_second() {
    let ended = check(["127.0.0.0/19", "-p1"]);
    let summary = ended.summary();
    assert_eq!(summary.of("closed"), 8192);
    assert!(summary.seconds >= 0.8, "{summary:?}");
}

/// Returns the only row, and asserts that the check ended after the given limit and well before the
/// default limits.
fn row_at_the_limit(server: &Server, arguments: &[&str]) -> Row {
    let ended = check_many(server, 1, &[arguments, &["-o=jsonl"]].concat());
    let [row] = <[Row; 1]>::try_from(ended.rows()).expect("one target is one row");
    assert!(row.total_ms.is_some_and(|time| (300.0..9000.0).contains(&time)), "{row:?}");
    row
}

#[test]
fn first_byte_and_deadline_limits_are_respected() {
    let row = row_at_the_limit(&start(Behaviour::Silent), &["--first-byte=300ms"]);
    assert_eq!(row.service.as_deref(), Some("silent"));
    // Longer than two seconds of dripping, because two quiet seconds would end a greeting.
    let row = row_at_the_limit(&start(Behaviour::Drip), &["--deadline=3500ms"]);
    assert_eq!(row.service.as_deref(), Some("tarpit"));
}

#[test]
fn unanswered_port_is_filtered_after_retries() {
    let (listener, _first) = full_listener();
    let target = listener.local_addr().expect("it is bound").to_string();
    for method in METHODS {
        for (retries, attempts) in [("0", 1), ("2", 3)] {
            let settings = ["--timeout=300ms", "--retries", retries, "--method", method];
            let ended = check([&[target.as_str(), "-o=jsonl"], &settings[..]].concat());
            let rows = ended.rows();
            assert_eq!(rows[0].verdict(), ("filtered", "no-answer"), "{method}");
            assert_eq!(rows[0].attempts, attempts, "{method}");
            assert!(rows[0].total_ms.is_some_and(|time| time >= 300.0), "{rows:?}");
            assert_eq!((ended.status, ended.summary().of("filtered")), (Some(0), 1));
        }
    }
}

/// Asserts that a run with many more targets than descriptors completes.
fn assert_completes_with_few_descriptors(method: &str) {
    let script = "ulimit -n 256
        exec \"$portmuster\" check 127.0.0.0/18 -p 1 --rate max -o jsonl --method \"$1\"";
    let ended = sh(script, method);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!((summary.targets, summary.of("closed")), (16_384, 16_384));
    assert_eq!(row::targets(&ended.rows()).len(), 16_384);
}

#[test]
fn serial_run_completes_with_few_descriptors() {
    assert_completes_with_few_descriptors("serial");
}

#[test]
fn threads_complete_with_few_descriptors() {
    assert_completes_with_few_descriptors("threads");
}

#[test]
fn processes_complete_with_few_descriptors() {
    assert_completes_with_few_descriptors("processes");
}

#[test]
fn process_threads_complete_with_few_descriptors() {
    assert_completes_with_few_descriptors("process-threads");
}

#[test]
fn event_loop_completes_with_few_descriptors() {
    assert_completes_with_few_descriptors("event-loop");
}

#[test]
fn process_event_loops_complete_with_few_descriptors() {
    assert_completes_with_few_descriptors("process-event-loops");
}

/// Each open port keeps its descriptor for a while, so more descriptors are needed than exist.
#[test]
fn open_ports_complete_with_few_descriptors() {
    for method in METHODS {
        let server = start(Behaviour::Slow(Duration::from_millis(1)));
        let script = "ulimit -n 40
            yes \"$1\" | head -n 200 |
            \"$portmuster\" check -i - --per-host max --rate max -o jsonl --method ";
        let ended = sh(&format!("{script}{method}"), &target(&server));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let rows = ended.rows();
        assert_eq!(rows.len(), 200);
        assert!(rows.iter().all(|row| row.service.as_deref() == Some("ssh")), "{method}");
    }
}

#[test]
fn large_network_is_checked_completely() {
    let ended = check(["127.0.0.0/16", "-p1", "--rate=max", "--method=event-loop", "-o=jsonl"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.summary().of("closed"), 65_536);
    let rows = ended.rows();
    assert_eq!(row::targets(&rows).len(), 65_536);
    assert!(rows.iter().all(|row| row.verdict() == ("closed", "refused")));
}
