//! ICMP refusals, mixed with targets that refuse, accept or are silent.
//!
//! An ICMP error proves nothing about the host. Every method distinguishes the cases and keeps its
//! limits.

use crate::{
    program::{Ended, concurrently},
    row::Row,
    shell::{sh_in_namespaces, sh_in_namespaces_as_root},
};

/// Method arguments of the runs. With one thread there is one socket, so the next attempt meets
/// everything that an ICMP refusal leaves in it.
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

/// `epoll_create1` fails, so threads replace the event loop.
const WITHOUT_EPOLL: &str = "event-loop --in-flight 1";

/// Ports in the order in which they are checked, with the expected state and reason for IPv4 and
/// IPv6. A wait follows each kind of refusal, for methods with only one socket.
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

/// Firewall rules that produce `PORTS`. The script starts the servers of the open ports.
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

/// Accepts connections on port 1007 and sends nothing, while it runs a command.
const OPEN: &str = "import socket, subprocess, sys
servers = [socket.create_server((host, 1007), family=family) for host, family in
    [('127.0.0.1', socket.AF_INET), ('::1', socket.AF_INET6)]]
sys.exit(subprocess.call(sys.argv[1:]))";

/// Skips the rest of the script where nftables is not available.
const NEEDS_NFT: &str = "nft list ruleset >&2 || exit 77";

const TIMEOUT_MS: f64 = 2000.0;
const FIRST_BYTE_MS: f64 = 1000.0;
/// Extra time that a busy machine may take.
const SLACK_MS: f64 = 20_000.0;

/// Returns the command that checks `PORTS` on both hosts by this method.
fn check_command(hosts: [&str; 2], method: &str) -> String {
    let targets = hosts.map(|host| PORTS.map(|(port, _)| format!("{host}:{port}")).join(" "));
    let sandbox =
        if method == WITHOUT_EPOLL { "python3 \"$seccomp\" epoll_create1=EPERM -- " } else { "" };
    format!(
        "{sandbox}\"$portmuster\" check {} --method {method} --order given --retries 0 \
            --timeout {TIMEOUT_MS}ms --first-byte {FIRST_BYTE_MS}ms -o jsonl",
        targets.join(" ")
    )
}

fn assert_distinguished(ended: &Ended, hosts: [&str; 2], method: &str) {
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

/// Asserts that an answer ended the check early and that a silent target used its whole limit.
fn assert_in_time(row: &Row, method: &str) {
    let total = row.total_ms.expect("it was tried");
    let least = match (row.reason.as_str(), row.connect_ms) {
        ("no-answer", _) => TIMEOUT_MS,
        ("accepted", Some(connected)) => connected + FIRST_BYTE_MS,
        _ => 0.0,
    };
    assert!((least..least + SLACK_MS).contains(&total), "{method}: {row:?}");
}

/// Runs every method concurrently, each in a network namespace of its own, and asserts the
/// outcomes.
fn by_every_method(hosts: [&str; 2], run: impl Fn(&str) -> Option<Ended> + Sync) {
    concurrently(METHODS, |method| {
        if let Some(ended) = run(&check_command(hosts, method)) {
            assert_distinguished(&ended, hosts, method);
        }
    });
}

/// On loopback the ICMP message arrives while the system holds the socket's lock, so the error
/// stays pending.
#[test]
fn immediate_icmp_is_distinguished_from_reset() {
    by_every_method(["127.0.0.1", "[::1]"], |check| {
        let script = format!(
            "ip link set lo up
            {NEEDS_NFT}
            {RULES}
            exec python3 -c \"$1\" sh -c '{check}'"
        );
        sh_in_namespaces(&["--net"], &script, OPEN)
    });
}

/// Over a wire the message arrives later, and the system ends the connection with it.
#[test]
fn delayed_icmp_is_distinguished_from_reset() {
    by_every_method(["10.77.0.1", "[fd77::1]"], |check| {
        sh_in_namespaces(
            &["--net"],
            &format!("exec python3 \"$remote_network\" sh -c '{check}'"),
            "",
        )
    });
}

/// Number of targets. Those with odd addresses refuse by ICMP.
const MANY: usize = 2048;

/// When another processor receives packets, a refusal of either kind may arrive as soon as a
/// connection starts. One socket is then refused many times in a row.
#[test]
fn repeated_icmp_on_one_socket_is_distinguished_from_reset() {
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
            || {{ echo 'the receiving processor cannot be chosen' >&2; exit 77; }}
        exec \"$portmuster\" check 127.1.0.0/21 -p 1001 --method $1 --workers 1 --no-probe \\
            --order given --retries 0 --rate max --per-host max -o jsonl"
    );
    for method in ["event-loop", "threads"] {
        let Some(ended) = sh_in_namespaces_as_root(&["--net", "--mount"], &script, method) else {
            return;
        };
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
