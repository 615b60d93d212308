//! Limits of concurrency, rate and time, and limits of this machine.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use portmuster_lab::{Behaviour, Server};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    program::{Ended, LIMIT, METHODS, check, program, run},
    row::{self, Row},
    servers::{full_listener, own_address, start, target},
    shell::sh,
};

/// Checks the target `times` times. A stream does not merge duplicate targets.
fn check_many(target: &str, times: usize, arguments: &[&str]) -> Ended {
    let targets = format!("{target}\n").repeat(times);
    run(program().args(["check", "-i", "-"]).args(arguments).write_stdin(targets))
}

/// Time in which a server is contacted by a client that exceeds a limit. Such a client connects at the
/// same time as others.
const EXCESS_WAIT: Duration = Duration::from_millis(50);

/// Accepts a client that connects within this time.
fn accept_within(time: Duration, listener: &TcpListener) -> Option<TcpStream> {
    let time = Timespec::try_from(time).expect("a short time");
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    let count = poll(&mut ready, Some(&time)).expect("poll succeeds");
    (count > 0).then(|| listener.accept().expect("it connects").0)
}

/// Serves groups of `size` clients. Greets none before its group is complete, so the clients of a group
/// are connected at the same time. Returns the greatest number at the same time.
fn serve_groups(listener: &TcpListener, size: usize, groups: usize) -> usize {
    for _ in 0..groups {
        let clients: Vec<_> = (0..size).map_while(|_| accept_within(LIMIT, listener)).collect();
        if clients.len() < size {
            return clients.len();
        }
        if accept_within(EXCESS_WAIT, listener).is_some() {
            return size + 1;
        }
        for mut client in clients {
            client.write_all(b"SSH-2.0-x\r\n").expect("it waits for the greeting");
            // The client closes the connection.
            let _ = client.read_to_end(&mut Vec::new());
        }
    }
    size
}

/// Checks a server in `groups` groups of `peak` targets, and asserts that `peak` connections are open
/// at the same time, and no more.
fn assert_peak(arguments: &[&str], groups: usize, peak: usize) {
    let listener = TcpListener::bind((own_address(), 0)).expect("there is a port");
    let target = listener.local_addr().expect("it is bound").to_string();
    let server = thread::spawn(move || serve_groups(&listener, peak, groups));
    let settings = ["-o=jsonl", "--no-kex", "--retries=0", "--speak-first=never"];
    let settings = [arguments, &settings, &["--first-byte=1h", "--deadline=1h"]].concat();
    let ended = check_many(&target, groups * peak, &settings);
    let found = server.join().expect("the server does not panic");
    assert_eq!(found, peak, "{arguments:?}: {ended:?}");
    let rows = ended.rows();
    assert_eq!(rows.len(), groups * peak, "{arguments:?}: {ended:?}");
    assert!(rows.iter().all(|row| row.service.as_deref() == Some("ssh")), "{ended:?}");
}

#[test]
fn per_host_limit_defaults_to_four() {
    assert_peak(&[], 3, 4);
    assert_peak(&["--per-host=1"], 3, 1);
    assert_peak(&["--per-host=7", "--method=threads"], 3, 7);
    assert_peak(&["--per-host=max"], 1, 20);
}

#[test]
fn host_timeout_leaves_targets_unchecked_and_fails_the_gate() {
    let server = start(Behaviour::Silent);
    let arguments = ["--per-host=1", "--host-timeout=1s", "--first-byte=4s", "--speak-first=never"];
    let gate = ["--require-verdict", "--allow=silent", "-o=jsonl"];
    let ended = check_many(&target(&server), 5, &[&arguments[..], &gate].concat());
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
        assert_peak(&[arguments, &["--per-host=max"]].concat(), 3, peak);
    }
}

#[test]
fn per_host_1_opens_one_connection_at_a_time() {
    for method in METHODS {
        let server = start(Behaviour::Ssh);
        let arguments = ["--per-host=1", "-o=jsonl", "--method", method];
        let ended = check_many(&target(&server), 20, &arguments);
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
            let ended = check_many(&target(&server), 5, &arguments);
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
    let ended = check_many(&target(server), 1, &[arguments, &["-o=jsonl"]].concat());
    let [row] = <[Row; 1]>::try_from(ended.rows()).expect("one target is one row");
    assert!(row.total_ms.is_some_and(|time| (300.0..9000.0).contains(&time)), "{row:?}");
    row
}

#[test]
fn first_byte_and_deadline_limits_are_respected() {
    let row = row_at_the_limit(&start(Behaviour::Silent), &["--first-byte=300ms"]);
    assert_eq!(row.service.as_deref(), Some("silent"));
    // The server sends a byte per second. A busy one may pause, but for less than `--quiet-after`.
    let drip = ["--deadline=6500ms", "--quiet-after=3s"];
    let row = row_at_the_limit(&start(Behaviour::Drip), &drip);
    assert_eq!(row.service.as_deref(), Some("tarpit"));
}

#[test]
fn unanswered_port_is_filtered_after_retries() {
    let (listener, _first) = full_listener();
    let target = listener.local_addr().expect("it is bound").to_string();
    for method in METHODS {
        for (retries, attempts) in [("0", 1), ("2", 3)] {
            let settings = [
                "--timeout=300ms",
                "--patience=full",
                "--no-canaries",
                "--retries",
                retries,
                "--method",
                method,
            ];
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
        exec \"$portmuster\" check 127.0.0.0/20 -p 1 --rate max -o jsonl --method \"$1\"";
    let ended = sh(script, method);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!((summary.targets, summary.of("closed")), (4096, 4096));
    assert_eq!(row::targets(&ended.rows()).len(), 4096);
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
