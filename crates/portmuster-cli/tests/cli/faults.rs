//! Shortages of this machine, produced by limits and in namespaces.
//!
//! No shortage becomes a verdict. When the resource is available again, the run returns to its full
//! concurrency.

use std::time::Duration;

use portmuster_lab::Behaviour;

use crate::{
    program::{Ended, METHODS, Running},
    servers::{start, target},
    shell::{DROP_PORT_9, sh_in_namespaces, sh_or_skip},
};

/// Parses the summary of shortages: how many there were, the lowest number in flight, and the limit
/// in flight at the end.
fn shortages(ended: &Ended, fault: &str) -> [u64; 3] {
    let note = "portmuster: this machine ran out of resources ";
    let note = ended.stderr.lines().find_map(|line| line.strip_prefix(note));
    let note = note.unwrap_or_else(|| panic!("no shortage is reported in: {}", ended.stderr));
    assert!(note.contains(&format!(" times, last of {fault} (see ")), "{note}");
    let numbers = note.split(|letter: char| !letter.is_ascii_digit());
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let numbers = match numbers[..] {
        // The hint `net.ipv4…` contains a digit as well.
        [times, 4, least, most] | [times, least, most] => [times, least, most],
        _ => panic!("{note}"),
    };
    assert!(numbers[0] > 0 && numbers[1] > 0, "{note}");
    numbers
}

/// Forty connections to an endpoint that does not answer share eight local ports, so the system
/// reports that none is left. Each still gets its verdict, and so do targets that need no port of
/// another connection. The following refused targets need no port for long, so the window grows to
/// its full size again.
#[test]
fn exhausted_local_ports_change_no_verdict() {
    let script = format!(
        "ip link set lo up
        echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range
        {DROP_PORT_9}
        short=$(yes 127.0.0.1:9 | head -n 40; seq --format '127.0.1.%g:22' 1 20)
        plenty=$(seq --format '127.0.2.%g:1' 1 250; seq --format '127.0.3.%g:1' 1 250)
        python3 \"$staged_input\" 60 \"$short\" \"$plenty\" \\
            \"$portmuster\" check -i - --method \"$1\" --per-host max --rate max --retries 0 \\
            --in-flight 50 --timeout 300ms --no-kex -o jsonl"
    );
    for method in METHODS.into_iter().filter(|&method| method != "serial") {
        let Some(ended) = sh_in_namespaces(&["--net"], &script, method) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), 560, "{method}");
        for row in &rows {
            let truth = match row.port {
                9 => ("filtered", "no-answer"),
                22 => ("open", "accepted"),
                _ => ("closed", "refused"),
            };
            assert_eq!(row.verdict(), truth, "{method}: {row:?}");
            assert_eq!(row.service.as_deref(), row.open.then_some("ssh"), "{row:?}");
        }
        let [_, least, at_the_end] = shortages(&ended, "local-ports");
        assert!((1..50).contains(&least), "{method}: {}", ended.stderr);
        assert_eq!(at_the_end, 50, "{method}: {}", ended.stderr);
    }
}

/// Feeds targets that are refused immediately, and reads their rows.
fn refused(run: &mut Running, times: usize) {
    run.feed(&"127.0.0.1:1\n".repeat(times));
    for _ in 0..times {
        assert_eq!(run.row().verdict(), ("closed", "refused"));
    }
}

/// Lowers the descriptor limit during the run and raises it again.
#[test]
fn lowered_and_restored_descriptor_limit_changes_no_verdict() {
    for method in ["threads", "event-loop"] {
        let server = start(Behaviour::Slow(Duration::from_millis(20)));
        let settings = ["--per-host=max", "--rate=max", "--in-flight=100", "-o=jsonl"];
        let mut run =
            Running::check([&["-i", "-", "--no-kex", "--method", method], &settings[..]].concat());
        refused(&mut run, 1);
        let before = run.limit_descriptors(20);
        run.feed(&format!("{}\n", target(&server)).repeat(300));
        for _ in 0..300 {
            let row = run.row();
            assert_eq!(row.service.as_deref(), Some("ssh"), "{method}: {row:?}");
        }
        // The method keeps sockets that were refused, but must not starve any attempt of a socket.
        refused(&mut run, 1000);
        run.limit_descriptors(before);
        refused(&mut run, 1000);
        let ended = run.end();
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let [_, least, at_the_end] = shortages(&ended, "process-descriptors");
        assert!(least < 50, "{method}: {}", ended.stderr);
        assert_eq!(at_the_end, 100, "{method}: {}", ended.stderr);
    }
}

/// Lets the system call fail for all but a few sockets of each event loop, and asserts that every
/// verdict is still right.
fn assert_failures_change_no_verdict(call: &str, fault: &str) {
    let script = "yes \"$target\" | head -n 300 |
        python3 \"$seccomp\" $1 -- \"$portmuster\" check -i - --per-host max --rate max --no-kex \
            -o jsonl --method";
    for method in ["event-loop", "process-event-loops"] {
        let server = start(Behaviour::Slow(Duration::from_millis(20)));
        let script = format!("target={}\n{script} {method}", target(&server));
        let what = "forbids no calls of its processor";
        let Some(ended) = sh_or_skip(what, &script, call) else { return };
        assert_eq!(ended.status, Some(0), "{call} {method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), 300, "{call} {method}");
        let all = rows.iter().all(|row| row.service.as_deref() == Some("ssh"));
        assert!(all, "{call} {method}: {rows:?}");
        shortages(&ended, fault);
    }
}

#[test]
fn enobufs_changes_no_verdict() {
    assert_failures_change_no_verdict("connect@0>=16=ENOBUFS", "buffers");
}

#[test]
fn enomem_changes_no_verdict() {
    assert_failures_change_no_verdict("connect@0>=16=ENOMEM", "memory");
}

#[test]
fn epoll_enospc_changes_no_verdict() {
    assert_failures_change_no_verdict("epoll_ctl@2>=16=ENOSPC", "watches");
}
