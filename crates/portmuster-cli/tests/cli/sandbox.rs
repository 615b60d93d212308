//! Systems that forbid calls, as container profiles do.
//!
//! The run completes without the forbidden calls, or reports which call it needs.

use std::fs;

use crate::{
    folder::{Folder, output},
    program::METHODS,
    servers::{by_fixture, start_lab, targets_except},
    shell::{check_with_seccomp, sh_in_namespaces},
};

/// Runs a check while the calls fail as given. Asserts that every verdict is right and that the
/// note on the limit in flight contains `note`, or is absent if `note` is empty.
fn assert_completes(calls: &str, limits: &str, arguments: &str, note: &str) {
    let arguments = format!("127.0.0.0/20 -p 1 --rate max -o jsonl {arguments}");
    let Some(ended) = check_with_seccomp(calls, limits, &arguments) else { return };
    assert_eq!(ended.status, Some(0), "{calls} {arguments}: {}", ended.stderr);
    let rows = ended.rows();
    assert_eq!(rows.len(), 4096, "{calls} {arguments}");
    assert!(rows.iter().all(|row| row.verdict() == ("closed", "refused")), "{calls} {arguments}");
    let in_flight =
        ended.stderr.lines().find_map(|line| line.strip_prefix("portmuster: in flight: "));
    assert_eq!(in_flight.is_some(), !note.is_empty(), "{calls} {arguments}: {}", ended.stderr);
    assert!(in_flight.unwrap_or_default().contains(note), "{note}: {}", ended.stderr);
}

#[test]
fn forbidden_unshare_makes_loops_share_descriptor_table() {
    assert_completes("unshare=EPERM", "", "", "");
    assert_completes("unshare=ENOSYS", "", "--workers=7", "");
    assert_completes("unshare=EPERM", "", "--method=process-event-loops", "");
    let note = " of 5,000; this system does not let threads have descriptor tables of their own";
    assert_completes("unshare=EPERM", "ulimit -n 300", "--in-flight=5000", note);
    assert_completes("unshare=EPERM", "ulimit -n 40", "--in-flight=5000", note);
}

#[test]
fn missing_epoll_falls_back_to_threads() {
    let note = "256 of 16,384; epoll is not available";
    for call in ["epoll_create1=EPERM", "epoll_create1=ENOSYS", "epoll_ctl=ENOSPC"] {
        assert_completes(call, "", "--in-flight=16384", note);
        assert_completes(call, "", "--method=process-event-loops", "");
    }
    assert_completes("epoll_create1=EPERM", "", "--in-flight=3", "");
    assert_completes("epoll_create1=EMFILE", "ulimit -n 64", "--in-flight=16384", " of 16,384; ");
}

/// Some sandboxes allow a poller but forbid waiting for it. The second rule allows calls with a
/// timeout of 0 and forbids those that wait.
#[test]
fn forbidden_epoll_wait_falls_back_to_polling() {
    for call in ["epoll_pwait=EPERM", "epoll_pwait@3>=1=EACCES", "epoll_pwait=ENOSYS"] {
        assert_completes(call, "", "", "");
        assert_completes(call, "", "--method=process-event-loops --workers=3", "");
    }
}

#[test]
fn polling_loops_give_the_same_verdicts() {
    let lab = start_lab();
    // These fixtures take many seconds to identify.
    let slow = [
        "silent",
        "drip",
        "ssh-slow",
        "flood-late",
        "limit-line",
        "sensor",
        "telnet-toggles",
        "escapes",
        "unicode",
    ];
    let targets = targets_except(&lab, &slow).join(" ");
    let arguments = format!("{targets} --per-host max --retries 0 --speak-first never -o jsonl");
    let Some(ended) = check_with_seccomp("epoll_pwait@3>=1=EPERM", "", &arguments) else { return };
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for (name, row) in by_fixture(&lab, &ended.rows()) {
        let mut fixtures = lab.fixtures().map(|(fixture, _)| fixture);
        let fixture = fixtures.find(|fixture| fixture.name == name).expect("the fixture is known");
        assert_eq!(row.service.as_deref(), fixture.service, "{row:?}");
    }
}

#[test]
fn missing_eventfd_is_reported() {
    for (call, message) in [
        ("eventfd2=EPERM", "this system must allow eventfd: Operation not permitted"),
        ("eventfd2=EMFILE", "a higher limit of descriptors (ulimit -n) may help: Too many open"),
        ("eventfd2=ENFILE", "(fs.file-max) may help"),
    ] {
        for method in ["event-loop", "threads"] {
            let arguments = format!("127.0.0.1 -p 1 --method {method}");
            let Some(ended) = check_with_seccomp(call, "", &arguments) else { return };
            assert_eq!((ended.status, ended.stdout.as_str()), (Some(3), ""), "{}", ended.stderr);
            let start = "error: starting the run: creating a poller failed";
            assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
            assert!(ended.stderr.contains(message), "{call} {method}: {}", ended.stderr);
        }
    }
}

/// Only the error queue of a socket tells the host's refusal from a firewall's.
#[test]
fn refusals_without_a_readable_error_queue_are_unchecked() {
    for (call, target, reason) in [
        ("recvmsg@2>=8192=EPERM", "127.0.0.1", "unknown-refusal"),
        ("recvmsg@2>=8192=EINVAL", "127.0.0.1", "unknown-refusal"),
        ("recvmsg@2>=8192=ENOPROTOOPT", "[::1]", "unknown-refusal"),
        // The socket of the attempt can't be prepared.
        ("setsockopt@1>=41=ENOPROTOOPT", "[::1]", "errno-92"),
    ] {
        for method in METHODS {
            let arguments = format!("{target} -p 1 --method {method} --retries 0 -o jsonl");
            let Some(ended) = check_with_seccomp(call, "", &arguments) else { return };
            assert_eq!(ended.status, Some(3), "{call} {method}: {}", ended.stderr);
            let rows = ended.rows();
            assert_eq!(rows.len(), 1, "{call} {method}");
            let verdict = rows[0].verdict();
            assert_eq!(verdict, ("unchecked", reason), "{call} {method}");
        }
    }
}

#[test]
fn forbidden_connect_leaves_targets_unchecked() {
    for call in
        ["connect=EPERM", "connect=EACCES", "connect=ECONNREFUSED", "socket=EPERM", "socket=EACCES"]
    {
        let arguments = "127.0.0.0/24 -p 1 --rate max -o jsonl";
        let Some(ended) = check_with_seccomp(call, "", arguments) else { return };
        assert_eq!(ended.status, Some(3), "{call}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), 256, "{call}");
        let all = rows.iter().all(|row| row.verdict() == ("unchecked", "not-permitted"));
        assert!(all, "{call}: {:?}", rows[0]);
    }
}

#[test]
fn unsupported_address_family_is_unchecked() {
    let arguments = "127.0.0.1:1 -o jsonl";
    let Some(ended) = check_with_seccomp("socket=EAFNOSUPPORT", "", arguments) else { return };
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert_eq!(ended.rows()[0].verdict(), ("unchecked", "no-address-family"));
}

/// Checks the targets in a network namespace that `set_up` configures, and asserts their outcomes.
fn assert_outcomes(set_up: &str, outcomes: &[(&str, &str, &str)]) {
    for method in ["event-loop", "threads", "processes"] {
        let script = format!(
            "{set_up}
            \"$portmuster\" check $1 --method {method} --timeout 300ms --retries 0 \
                --order given -o jsonl"
        );
        let targets: Vec<_> = outcomes.iter().map(|&(target, ..)| target).collect();
        let Some(ended) = sh_in_namespaces(&["--net"], &script, &targets.join(" ")) else { return };
        let is_checked = outcomes.iter().all(|&(_, state, _)| state != "unchecked");
        assert_eq!(ended.status, Some(if is_checked { 0 } else { 3 }), "{}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), outcomes.len(), "{method}");
        for &(target, state, reason) in outcomes {
            let host = target.rsplit_once(':').expect("it has a port").0.trim_matches(['[', ']']);
            let is_its = |row: &&crate::row::Row| {
                row.host == host && target.ends_with(&format!(":{}", row.port))
            };
            let row = rows.iter().find(is_its).expect("each target has a row");
            assert_eq!(row.verdict(), (state, reason), "{method} {target}");
        }
    }
}

#[test]
fn missing_route_leaves_targets_unchecked() {
    let targets = ["127.0.0.1:1", "192.0.2.1:22", "[::1]:1", "[2001:db8::1]:23", "[fe80::1]:22"];
    assert_outcomes(":", &targets.map(|target| (target, "unchecked", "no-route")));
}

#[test]
fn disabled_ipv6_leaves_ipv6_targets_unchecked() {
    assert_outcomes(
        "ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
        &[
            ("127.0.0.1:1", "closed", "refused"),
            ("[::1]:1", "unchecked", "no-route"),
            ("[2001:db8::1]:22", "unchecked", "no-route"),
        ],
    );
}

#[test]
fn rejecting_routes_leave_targets_unchecked() {
    assert_outcomes(
        "ip link set lo up
        ip route add prohibit 192.0.2.0/26
        ip route add unreachable 192.0.2.64/26
        ip route add blackhole 192.0.2.128/26
        ip route add throw 192.0.2.192/26
        ip -6 route add prohibit 2001:db8:1::/48
        ip -6 route add unreachable 2001:db8:2::/48
        ip -6 route add blackhole 2001:db8:3::/48",
        &[
            ("192.0.2.1:22", "unchecked", "not-permitted"),
            ("192.0.2.65:22", "unchecked", "no-route"),
            ("192.0.2.129:22", "unchecked", "no-route"),
            ("192.0.2.193:22", "unchecked", "no-route"),
            ("[2001:db8:1::1]:22", "unchecked", "not-permitted"),
            ("[2001:db8:2::1]:22", "unchecked", "no-route"),
            ("[2001:db8:3::1]:22", "unchecked", "no-route"),
            ("127.0.0.1:1", "closed", "refused"),
        ],
    );
}

/// The system treats the dropped SYN as lost on its way, so the target is filtered.
#[test]
fn packets_dropped_by_local_firewall_are_filtered() {
    assert_outcomes(
        "ip link set lo up
        nft -f - <<'END'
table inet forbidden {
    chain output {
        type filter hook output priority 0
        tcp dport 1001 drop
    }
}
END",
        &[("127.0.0.1:1001", "filtered", "no-answer"), ("127.0.0.1:1003", "closed", "refused")],
    );
}

#[test]
fn foreign_source_address_is_refused() {
    for source in ["192.0.2.77", "2001:db8::77", "::1"] {
        let script = "ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
            \"$portmuster\" check 127.0.0.1:1 --source \"$1\"";
        let Some(ended) = sh_in_namespaces(&["--net"], script, source) else { return };
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(3), ""), "{}", ended.stderr);
        let message = format!("connecting from {source} is not possible: ");
        assert!(ended.stderr.contains(&message), "{}", ended.stderr);
    }
}

/// `F_DUPFD_CLOEXEC` (1030) fails, as it does when no descriptor is left.
#[test]
fn journal_setup_failure_removes_new_outputs() {
    let folder = Folder::new();
    let [jsonl, database] = [("jsonl", "rows"), ("sqlite", "audit.db")]
        .map(|(format, name)| output(format, &folder.file(name)));
    let journal = folder.file("journal");
    let arguments = format!("127.0.0.1:1 -o {jsonl} -o {database} --journal {}", journal.display());
    let Some(ended) = check_with_seccomp("fcntl@1>=1030=EMFILE", "", &arguments) else { return };
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("rows a second time: Too many open files"), "{}", ended.stderr);
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 0);
}
