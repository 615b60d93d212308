//! Excluded host names: all their addresses are excluded, whichever target leads to them.

use std::collections::BTreeSet;

use crate::{
    folder::Folder,
    program::{Ended, check},
    shell::{DNS_ONLY, FILES_ONLY, sh_in_namespaces, sh_with_etc},
};

/// A hosts file, so that the resolver asks no name server.
const HOSTS: &str = "\
127.0.0.2 fragile.example
127.0.0.3 fragile.example alias.example
127.0.0.4 other.example
::ffff:127.0.0.5 mapped.example
";

/// Runs `portmuster check` where the resolver knows only the names of this hosts file.
fn check_with_hosts(hosts: &str, arguments: &str) -> Option<Ended> {
    let folder = Folder::new();
    folder.write("list", LIST);
    let script = format!("exec \"$portmuster\" check {arguments}");
    sh_with_etc(&folder, &[("hosts", hosts), FILES_ONLY], &[], &script)
}

const LIST: &str = "# switches\n127.0.0.9\n\nfragile.example\n  gone.example # since May\n";

const TARGETS: &str = "127.0.0.2-127.0.0.5:1 fragile.example:1 alias.example:1 other.example:1 \
    mapped.example:1";

fn listed(ended: &Ended) -> BTreeSet<&str> {
    ended.stdout.lines().collect()
}

#[test]
fn addresses_of_an_excluded_name_are_never_contacted() {
    let arguments = format!("{TARGETS} --exclude Fragile.example --exclude mapped.example -ojsonl");
    let Some(ended) = check_with_hosts(HOSTS, &arguments) else { return };
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let rows = ended.rows();
    let hosts: BTreeSet<_> = rows.iter().map(|row| row.host.as_str()).collect();
    assert_eq!(hosts, BTreeSet::from(["127.0.0.4", "other.example"]), "{ended:?}");
    assert_eq!(ended.summary().of("excluded"), 1, "no address of the alias is left");
    assert!(ended.stderr.contains("5 excluded from the list"), "{ended:?}");
}

#[test]
fn excluded_name_with_port_excludes_that_port_of_its_addresses() {
    let Some(ended) = check_with_hosts(
        HOSTS,
        "127.0.0.3:1,2 fragile.example:1,2 --exclude fragile.example:2 --list",
    ) else {
        return;
    };
    assert_eq!(listed(&ended), BTreeSet::from(["127.0.0.3:1", "fragile.example:1"]), "{ended:?}");
}

#[test]
fn list_and_count_resolve_excluded_names() {
    for (flag, expected) in [("--list", "127.0.0.4:1\n"), ("--count", "1\n")] {
        let arguments = format!("127.0.0.2-4:1 --exclude fragile.example {flag}");
        let Some(ended) = check_with_hosts(HOSTS, &arguments) else { return };
        assert_eq!((ended.status, &*ended.stdout), (Some(0), expected), "{ended:?}");
    }
}

#[test]
fn unresolvable_excluded_name_error_names_line() {
    for flag in ["-ojsonl", "--list", "--count", "--skip-bad-lines"] {
        let arguments = format!("127.0.0.4:1 --exclude-file list {flag}");
        let Some(ended) = check_with_hosts(HOSTS, &arguments) else { return };
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let message = "error: list, line 5: gone.example: there is no such name, or it has no address; \
            a name must be resolved to be excluded: correct it, replace it with its addresses, or \
            remove it\n";
        assert_eq!(ended.stderr, message);
    }
    let arguments = "127.0.0.4:1 --exclude-file list --exclude gone.example:22 --exclude 10.0.0.1";
    let Some(ended) = check_with_hosts(HOSTS, arguments) else { return };
    assert!(ended.stderr.starts_with("error: --exclude: gone.example: there is"), "{ended:?}");
    assert!(ended.stderr.contains("; list, line 5: gone.example: there is"), "{ended:?}");
}

#[test]
fn errors_for_many_excluded_names_are_truncated() {
    let script = "seq -f 'gone-%.0f.example' 5000 >\"$1/many\"
        exec \"$portmuster\" check 127.0.0.4:1 --exclude-file \"$1/many\"";
    let folder = Folder::new();
    let folder = folder.path();
    // No name server is reachable in the new network namespace.
    let Some(ended) = sh_in_namespaces(&["--net"], script, folder) else { return };
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let message = "portmuster: resolving 5000 excluded names\n";
    assert!(ended.stderr.starts_with(message), "{ended:?}");
    assert!(ended.stderr.contains("/many, line 1: gone-1.example: the resolver gave no answer"));
    assert!(ended.stderr.contains("/many, line 20: gone-20.example: "), "{ended:?}");
    assert!(ended.stderr.contains("; and 4980 more; a name must be resolved"), "{ended:?}");
}

#[test]
fn zoned_address_is_excluded_without_its_interface() {
    let ended =
        check(["[fe80::1%no-such-zone]", "127.0.0.1:1", "--exclude=[fe80::1%no-such-zone]"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("2 excluded from the list"), "{ended:?}");
}

/// A name server that never answers and sends SIGINT to the program that queries it.
const UNRESPONSIVE: &str = "
import os, signal, socket, subprocess, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
client = subprocess.Popen(sys.argv[1:])
server.recv(512)
client.send_signal(signal.SIGINT)
sys.exit(128 - client.wait())
";

#[test]
fn ctrl_c_ends_excluded_name_lookup() {
    let folder = Folder::new();
    folder.write("unresponsive.py", UNRESPONSIVE);
    let script = "ip link set lo up
        exec python3 unresponsive.py \"$portmuster\" check 127.0.0.4:1 --exclude excluded.example \
            -ojsonl";
    let etc = [("resolv.conf", "nameserver 127.0.0.1\n"), DNS_ONLY];
    let Some(ended) = sh_with_etc(&folder, &etc, &["--net"], script) else { return };
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(130), ""), "{ended:?}");
}
