//! Excluded host names: all their addresses are excluded, whichever target leads to them.

use std::{collections::BTreeSet, fs};

use tempfile::TempDir;

use crate::{
    program::{Ended, check},
    shell::sh_in_namespaces,
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
    let folder = TempDir::new().expect("temporary folders can be created");
    fs::write(folder.path().join("hosts"), hosts).expect("it is writable");
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").expect("it is writable");
    fs::write(folder.path().join("list"), LIST).expect("it is writable");
    let script = format!(
        "mount --bind \"$1/hosts\" /etc/hosts
        mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
        cd \"$1\"
        exec \"$portmuster\" check {arguments}"
    );
    let folder = folder.path().to_str().expect("temporary paths are UTF-8");
    sh_in_namespaces(&["--mount"], &script, folder)
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
            what can't be looked up can't be excluded: correct it, write its addresses instead, or \
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
    let folder = TempDir::new().expect("temporary folders can be created");
    let folder = folder.path().to_str().expect("temporary paths are UTF-8");
    // No name server is reachable in the new network namespace.
    let Some(ended) = sh_in_namespaces(&["--net"], script, folder) else { return };
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let message = "portmuster: looking up the 5000 names that are excluded\n";
    assert!(ended.stderr.starts_with(message), "{ended:?}");
    assert!(ended.stderr.contains("/many, line 1: gone-1.example: the resolver gave no answer"));
    assert!(ended.stderr.contains("/many, line 20: gone-20.example: "), "{ended:?}");
    assert!(ended.stderr.contains("; and 4980 more; what can't be looked up"), "{ended:?}");
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
    let folder = TempDir::new().expect("temporary folders can be created");
    fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.1\n").expect("it is writable");
    fs::write(folder.path().join("nsswitch.conf"), "hosts: dns\n").expect("it is writable");
    fs::write(folder.path().join("unresponsive.py"), UNRESPONSIVE).expect("it is writable");
    let script = "ip link set lo up
        mount --bind \"$1/resolv.conf\" /etc/resolv.conf
        mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
        exec python3 \"$1/unresponsive.py\" \"$portmuster\" check 127.0.0.4:1 --exclude asked.example -ojsonl";
    let folder = folder.path().to_str().expect("temporary paths are UTF-8");
    let Some(ended) = sh_in_namespaces(&["--net", "--mount"], script, folder) else { return };
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(130), ""), "{ended:?}");
}
