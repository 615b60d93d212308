//! Refusals by ICMP, which proves nothing of the host, between targets that refuse, accept or are
//! silent. Every method tells them apart, and keeps its limits.

use std::thread;

use crate::{
    program::Ended,
    row::Row,
    shell::{sh_apart, sh_apart_as_root},
};

/// What every run is made by, and the same with a single thread, which has a single socket: all that
/// a refusal leaves there is met by whoever comes next.
const METHODS: [&str; 10] = [
    "serial",
    "threads",
    "processes",
    "process-threads",
    "event-loop",
    "process-event-loops",
    "threads --workers 1",
    "processes --workers 1",
    "process-threads --workers 1 --threads 1",
    WITHOUT_EPOLL,
];

/// Threads stand in for the loop that can't be had.
const WITHOUT_EPOLL: &str = "event-loop --in-flight 1";

/// What comes of a port over IPv4 and over IPv6, in the order in which they are checked: where one
/// socket is all that a thread has, each kind of refusal is followed by a wait.
const PORTS: [(u16, [(&str, &str); 2]); 8] = [
    (1001, [("filtered", "icmp-port-unreachable"); 2]),
    (1006, [("filtered", "no-answer"); 2]),
    (1002, [("filtered", "host-unreachable"), ("filtered", "prohibited")]),
    (1007, [("open", "accepted"); 2]),
    (1003, [("filtered", "host-unreachable"); 2]),
    (1005, [("closed", "refused"); 2]),
    (1004, [("filtered", "network-unreachable"); 2]),
    (1008, [("closed", "refused"); 2]),
];

/// The same as rules for packets. Who is to be open is started by the script.
const RULES: &str = "nft -f - <<'END'
table inet refusals {
    chain input {
        type filter hook input priority 0
        tcp dport 1001 reject with icmpx port-unreachable
        tcp dport 1002 reject with icmpx admin-prohibited
        tcp dport 1003 reject with icmpx host-unreachable
        tcp dport 1004 reject with icmpx no-route
        tcp dport 1005 reject with tcp reset
        tcp dport 1006 drop
    }
}
END";

/// Accepts connections at port 1007, and says nothing on them, while a command runs.
const OPEN: &str = "import socket, subprocess, sys
servers = [socket.create_server((host, 1007), family=family) for host, family in
    [('127.0.0.1', socket.AF_INET), ('::1', socket.AF_INET6)]]
sys.exit(subprocess.call(sys.argv[1:]))";

/// Skips what follows where there are no rules for packets.
const NEEDS_NFT: &str = "nft list ruleset >&2 || exit 77";

const TIMEOUT_MS: f64 = 2000.0;
const FIRST_BYTE_MS: f64 = 1000.0;
/// What a machine that is busy may add.
const LATE_MS: f64 = 20_000.0;

/// The check that a script runs by a method.
fn checked(hosts: [&str; 2], method: &str) -> String {
    let targets = hosts.map(|host| PORTS.map(|(port, _)| format!("{host}:{port}")).join(" "));
    let without =
        if method == WITHOUT_EPOLL { "python3 \"$forbid\" epoll_create1=EPERM -- " } else { "" };
    format!(
        "{without}\"$portmuster\" check {} --method {method} --order given --retries 0 \
            --timeout {TIMEOUT_MS}ms --first-byte {FIRST_BYTE_MS}ms -o jsonl",
        targets.join(" ")
    )
}

fn assert_told_apart(ended: &Ended, hosts: [&str; 2], method: &str) {
    assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
    let rows = ended.rows();
    assert_eq!(rows.len(), 2 * PORTS.len(), "{method}: {}", ended.stdout);
    for (family, host) in hosts.into_iter().enumerate() {
        let host = host.trim_matches(['[', ']']);
        for (port, verdicts) in PORTS {
            let row = rows.iter().find(|row| row.host == host && row.port == port);
            let row = row.expect("each target has a row");
            assert_eq!(row.verdict(), verdicts[family], "{method}: {row:?}");
            assert_in_time(row, method);
        }
    }
}

/// Whoever answers is not waited for, and whoever is silent as long as was said.
fn assert_in_time(row: &Row, method: &str) {
    let total = row.total_ms.expect("it was tried");
    let least = match (row.reason.as_str(), row.connect_ms) {
        ("no-answer", _) => TIMEOUT_MS,
        ("accepted", Some(connected)) => connected + FIRST_BYTE_MS,
        _ => 0.0,
    };
    assert!((least..least + LATE_MS).contains(&total), "{method}: {row:?}");
}

/// Every method at the same time, each in a network of its own.
fn by_every_method(hosts: [&str; 2], apart: impl Fn(&str) -> Option<Ended> + Sync) {
    thread::scope(|scope| {
        for method in METHODS {
            let apart = &apart;
            scope.spawn(move || {
                if let Some(ended) = apart(&checked(hosts, method)) {
                    assert_told_apart(&ended, hosts, method);
                }
            });
        }
    });
}

/// On loopback the message comes while the system is busy with the socket, which it leaves pending.
#[test]
fn icmp_that_comes_at_once_is_told_from_a_reset() {
    by_every_method(["127.0.0.1", "[::1]"], |check| {
        let script = format!(
            "ip link set lo up
            {NEEDS_NFT}
            {RULES}
            exec python3 -c \"$1\" sh -c '{check}'"
        );
        sh_apart(&["--net"], &script, OPEN)
    });
}

/// Over a wire it comes later, and the system ends the connection with it.
#[test]
fn icmp_that_comes_late_is_told_from_a_reset() {
    by_every_method(["10.77.0.1", "[fd77::1]"], |check| {
        sh_apart(&["--net"], &format!("exec python3 \"$far_end\" sh -c '{check}'"), "")
    });
}

/// How many targets there are of which half refuse by ICMP, at addresses that are odd.
const MANY: usize = 2048;

/// Where another processor takes in what comes, a refusal may be there when a connection has just
/// begun, of whatever kind; then one socket is refused many times in a row.
#[test]
fn many_refusals_of_one_socket_are_told_apart() {
    let script = format!(
        "ip link set lo up
        {NEEDS_NFT}
        nft -f - <<'END'
table inet refusals {{
    chain input {{
        type filter hook input priority 0
        ip daddr & 0.0.0.1 == 1 tcp dport 1001 reject with icmpx port-unreachable
    }}
}}
END
        mount -t sysfs sysfs /mnt
        printf %x $(((1 << $(nproc)) - 1)) >/mnt/class/net/lo/queues/rx-0/rps_cpus \\
            || {{ echo 'no choice of the processor that takes in packets' >&2; exit 77; }}
        exec \"$portmuster\" check 127.1.0.0/21 -p 1001 --method $1 --workers 1 --no-probe \\
            --order given --retries 0 --rate max --per-host max -o jsonl"
    );
    for method in ["event-loop", "threads"] {
        let Some(ended) = sh_apart_as_root(&["--net", "--mount"], &script, method) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {}", ended.stderr);
        let rows = ended.rows();
        assert_eq!(rows.len(), MANY, "{method}");
        for row in rows {
            let is_odd = row.host.ends_with(['1', '3', '5', '7', '9']);
            let reset = ("closed", "refused");
            let verdict = if is_odd { ("filtered", "icmp-port-unreachable") } else { reset };
            assert_eq!(row.verdict(), verdict, "{method}: {row:?}");
        }
    }
}
