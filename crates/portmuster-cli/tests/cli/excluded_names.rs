//! Names that are excluded: all their addresses are, whatever else leads to them.

use std::{collections::BTreeSet, fs};

use tempfile::TempDir;

use crate::{
    program::{Ended, check},
    shell::sh_apart,
};

/// Names that the resolver knows, and asks nobody for.
const HOSTS: &str = "\
127.0.0.2 fragile.example
127.0.0.3 fragile.example alias.example
127.0.0.4 other.example
::ffff:127.0.0.5 mapped.example
";

/// Runs `portmuster check` where the resolver knows these names and no others.
fn check_with_hosts(hosts: &str, arguments: &str) -> Option<Ended> {
    let folder = TempDir::new().expect("there is room for a folder");
    fs::write(folder.path().join("hosts"), hosts).expect("there is room");
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").expect("there is room");
    fs::write(folder.path().join("list"), LIST).expect("there is room");
    let script = format!(
        "mount --bind \"$1/hosts\" /etc/hosts
        mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
        cd \"$1\"
        exec \"$portmuster\" check {arguments}"
    );
    let folder = folder.path().to_str().expect("temporary folders have plain names");
    sh_apart(&["--mount"], &script, folder)
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
    assert_eq!(ended.summary().of("excluded"), 1, "of the alias no address is left");
    assert!(ended.stderr.contains("5 excluded from the list"), "{ended:?}");
}

#[test]
fn ports_of_an_excluded_name_are_those_of_its_addresses() {
    let Some(ended) = check_with_hosts(
        HOSTS,
        "127.0.0.3:1,2 fragile.example:1,2 --exclude fragile.example:2 --list",
    ) else {
        return;
    };
    assert_eq!(listed(&ended), BTreeSet::from(["127.0.0.3:1", "fragile.example:1"]), "{ended:?}");
}

#[test]
fn listing_and_counting_look_excluded_names_up() {
    for (flag, expected) in [("--list", "127.0.0.4:1\n"), ("--count", "1\n")] {
        let arguments = format!("127.0.0.2-4:1 --exclude fragile.example {flag}");
        let Some(ended) = check_with_hosts(HOSTS, &arguments) else { return };
        assert_eq!((ended.status, &*ended.stdout), (Some(0), expected), "{ended:?}");
    }
}

#[test]
fn excluded_name_that_cannot_be_looked_up_is_an_error_with_its_line() {
    for flag in ["-ojsonl", "--list", "--count", "--skip-bad-lines"] {
        let arguments = format!("127.0.0.4:1 --exclude-file list {flag}");
        let Some(ended) = check_with_hosts(HOSTS, &arguments) else { return };
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let told = "error: list, line 5: gone.example: there is no such name, or it has no address; \
            a name must be resolved to be excluded: correct it, replace it with its addresses, or \
            remove it\n";
        assert_eq!(ended.stderr, told);
    }
    let arguments = "127.0.0.4:1 --exclude-file list --exclude gone.example:22 --exclude 10.0.0.1";
    let Some(ended) = check_with_hosts(HOSTS, arguments) else { return };
    assert!(ended.stderr.starts_with("error: --exclude: gone.example: there is"), "{ended:?}");
    assert!(ended.stderr.contains("; list, line 5: gone.example: there is"), "{ended:?}");
}

#[test]
fn errors_of_many_excluded_names_are_bounded() {
    let script = "seq -f 'gone-%.0f.example' 5000 >\"$1/many\"
        exec \"$portmuster\" check 127.0.0.4:1 --exclude-file \"$1/many\"";
    let folder = TempDir::new().expect("there is room for a folder");
    let folder = folder.path().to_str().expect("temporary folders have plain names");
    // Its network has nobody to ask.
    let Some(ended) = sh_apart(&["--net"], script, folder) else { return };
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let said = "portmuster: resolving 5000 excluded names\n";
    assert!(ended.stderr.starts_with(said), "{ended:?}");
    assert!(ended.stderr.contains("/many, line 1: gone-1.example: the resolver gave no answer"));
    assert!(ended.stderr.contains("/many, line 20: gone-20.example: "), "{ended:?}");
    assert!(ended.stderr.contains("; and 4980 more; a name must be resolved"), "{ended:?}");
}

#[test]
fn address_with_a_zone_is_excluded_without_the_interface() {
    let ended =
        check(["[fe80::1%no-such-zone]", "127.0.0.1:1", "--exclude=[fe80::1%no-such-zone]"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("2 excluded from the list"), "{ended:?}");
}

/// A name server that never answers, and interrupts whoever asks it.
const DEAF: &str = "
import os, signal, socket, subprocess, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
asking = subprocess.Popen(sys.argv[1:])
server.recv(512)
asking.send_signal(signal.SIGINT)
sys.exit(128 - asking.wait())
";

#[test]
fn ctrl_c_ends_the_lookup_of_excluded_names() {
    let folder = TempDir::new().expect("there is room for a folder");
    fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.1\n").expect("room");
    fs::write(folder.path().join("nsswitch.conf"), "hosts: dns\n").expect("room");
    fs::write(folder.path().join("deaf.py"), DEAF).expect("there is room");
    let script = "ip link set lo up
        mount --bind \"$1/resolv.conf\" /etc/resolv.conf
        mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
        exec python3 \"$1/deaf.py\" \"$portmuster\" check 127.0.0.4:1 --exclude asked.example -ojsonl";
    let folder = folder.path().to_str().expect("temporary folders have plain names");
    let Some(ended) = sh_apart(&["--net", "--mount"], script, folder) else { return };
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(130), ""), "{ended:?}");
}
