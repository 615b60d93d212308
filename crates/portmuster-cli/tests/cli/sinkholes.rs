//! Addresses that stand for no host, or that reach this machine whatever name they belong to.

use crate::{
    program::{Ended, check},
    shell::{sh_in_namespaces, sh_with_hosts},
};

/// Shell commands that start a server on all addresses of a network namespace. It greets like ssh, and
/// appends the peer of each connection to the file `touched`.
const SERVER: &str = r#"
cat >server.py <<'END'
import socket, sys
server = socket.socket(socket.AF_INET6)
server.bind(("::", 22))
server.listen()
print(flush=True)
while True:
    connection, peer = server.accept()
    open("touched", "a").write(f"{peer}\n")
    connection.sendall(b"SSH-2.0-own\r\n")
END
mkfifo ready
python3 server.py >ready &
server=$!
read -r _ <ready
"#;

/// Runs `portmuster check` beside the server. Its peers are appended to stderr.
fn check_beside_a_server(hosts: &str, arguments: &str) -> Option<Ended> {
    let script = format!(
        "{SERVER}
        \"$portmuster\" check {arguments} && status=0 || status=$?
        kill $server
        test ! -e touched || cat touched >&2
        exit $status"
    );
    sh_with_hosts(hosts, &script)
}

const SINKHOLED: &str = "\
0.0.0.0 blocked.example
:: blocked6.example
::ffff:0.0.0.0 mapped.example
0.0.0.0 both.example
127.0.0.1 both.example
";

/// DNS filters answer like this for names that they block. A connection would reach this machine.
#[test]
fn sinkholed_name_is_unchecked_and_never_contacted() {
    let arguments =
        "blocked.example blocked6.example mapped.example 0.0.0.0 '[::]' -p 22 --no-kex -o jsonl";
    let Some(ended) = check_beside_a_server(SINKHOLED, arguments) else { return };
    let rows = ended.rows();
    assert_eq!(rows.len(), 5, "{ended:?}");
    for row in &rows {
        assert_eq!(row.verdict(), ("unchecked", "unspecified-address"), "{row:?}");
        assert_eq!((row.attempts, row.address), (0, None), "{row:?}");
    }
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let unchecked = "unchecked: 5 unspecified-address (";
    assert!(ended.stderr.contains(unchecked), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "there was no connection: {ended:?}");

    let arguments = "blocked.example 127.0.0.1 -p 22 --no-kex --forbid telnet --require-verdict";
    let Some(ended) = check_beside_a_server(SINKHOLED, arguments) else { return };
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("1 unchecked (blocked.example:22)"), "{ended:?}");
}

#[test]
fn other_addresses_of_a_sinkholed_name_are_checked() {
    let arguments = "both.example -p 22,23 --no-kex -o jsonl";
    let Some(ended) = check_beside_a_server(SINKHOLED, arguments) else { return };
    let rows = ended.rows();
    let by_port = |port| rows.iter().find(|row| row.port == port).expect("a row");
    assert_eq!(by_port(22).service.as_deref(), Some("ssh"));
    assert_eq!(by_port(23).verdict(), ("closed", "refused-in-part"));
}

/// The targets come from stdin, so that each is compared with the excludes by itself.
#[test]
fn excluded_loopback_is_not_contacted_in_any_notation() {
    let hosts = "0.0.0.0 a.example\n::ffff:127.0.0.1 b.example\n::127.0.0.1 c.example\n";
    let targets = "0.0.0.0\n::ffff:127.0.0.1\n::127.0.0.1\n::ffff:0.0.0.0\n0x7f000001\n\
        0X7F.0.0.0x1\na.example\nb.example\nc.example\n";
    let arguments = format!(
        "-i - -p 22 --no-kex --exclude 127.0.0.0/8 -o jsonl <<'END' || true\n{targets}END\n"
    );
    let Some(ended) = check_beside_a_server(hosts, &format!("{arguments}true")) else { return };
    assert_eq!(ended.stdout, "", "{ended:?}");
    assert!(!ended.stderr.contains("('::"), "there was no connection: {ended:?}");
    assert!(ended.stderr.contains("8 targets = 8 excluded, in "), "{ended:?}");
}

/// The system refuses to connect to multicast and broadcast addresses. The reserved network has no route
/// here.
#[test]
fn multicast_broadcast_and_reserved_addresses_are_unchecked() {
    let targets = "255.255.255.255:1 127.255.255.255:1 224.0.0.1:1 239.255.255.255:1 240.0.0.1:1 \
        0.1.2.3:1 [ff02::1]:1 [::127.0.0.1]:1";
    let script = format!("ip link set lo up; exec \"$portmuster\" check {targets} -o jsonl");
    let Some(ended) = sh_in_namespaces(&["--net"], &script, "") else { return };
    let rows = ended.rows();
    assert_eq!(rows.len(), 8, "{ended:?}");
    assert!(rows.iter().all(|row| row.verdict() == ("unchecked", "no-route")), "{rows:?}");
}

#[test]
fn address_as_a_lone_number_is_an_error() {
    for notation in ["2130706433:1", "127.1:1", "0x7f.1:1"] {
        let ended = check([notation, "--exclude", "127.0.0.0/8"]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    }
}
