//! Shortages of this machine, made real in namespaces of the test's own: none becomes a verdict.

use crate::{program::METHODS, shell::sh_apart};

/// Eight local ports for forty connections to an endpoint that does not answer. The system says
/// that there is none left; each gets its turn, and its true verdict.
#[test]
fn local_ports_that_run_out_are_waited_for() {
    let script = "ip link set lo up
        echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range
        nft -f - <<'END'
table inet dropped {
    chain input {
        type filter hook input priority 0
        tcp dport 9 drop
    }
}
END
        yes 127.0.0.1:9 | head -n 40 |
        \"$portmuster\" check -i - --method \"$1\" --per-host max --rate max --retries 0 \
            --timeout 300ms -o jsonl";
    for method in METHODS.into_iter().filter(|&method| method != "serial") {
        let Some(ended) = sh_apart(&["--net"], script, method) else { return };
        assert_eq!(ended.status, Some(0), "{method}: {ended:?}");
        let rows = ended.rows();
        assert_eq!(rows.len(), 40, "{method}");
        let all_unanswered = rows.iter().all(|row| row.verdict() == ("filtered", "no-answer"));
        assert!(all_unanswered, "{method}: {rows:?}");
        let told = "portmuster: this machine was short of something ";
        assert!(ended.stderr.contains(told), "{method}: {}", ended.stderr);
        assert!(ended.stderr.contains(" times, last of local-ports\n"), "{}", ended.stderr);
    }
}
