//! Names that are found, names that are not, and targets that this machine may not reach.

use std::fs;

use portmuster_lab::Behaviour;
use tempfile::TempDir;

use crate::{
    program::check,
    row::Row,
    servers::{start, start_on_localhost, target},
    shell::sh_apart,
};

fn row<'a>(rows: &'a [Row], host: &str) -> &'a Row {
    rows.iter().find(|row| row.host == host).unwrap_or_else(|| panic!("no {host} in {rows:?}"))
}

#[test]
fn a_name_is_looked_up_and_its_address_told() {
    let server = start_on_localhost(Behaviour::Ssh);
    let localhost = format!("localhost:{}", server.endpoint().port());
    let ended = check([&localhost, "-o", "jsonl"]);
    let rows = ended.rows();
    assert_eq!(ended.status, Some(0));
    assert_eq!(row(&rows, "localhost").address, Some(server.endpoint().ip()));
    assert_eq!(row(&rows, "localhost").service.as_deref(), Some("ssh"));

    let table = check([localhost.as_str()]).stdout;
    assert!(table.contains(&format!("{localhost} (127.0.0.1)")), "{table}");
}

/// That this machine has no such interface says nothing of the target.
#[test]
fn address_on_an_interface_that_is_not_here_is_unchecked_and_the_run_incomplete() {
    let server = start(Behaviour::Ssh);
    let zoned = "[fe80::1%no-such-zone]:22";
    let ended = check([zoned, &target(&server), "-o", "jsonl"]);
    let rows = ended.rows();
    let unchecked = row(&rows, "fe80::1%no-such-zone");
    assert_eq!(unchecked.verdict(), ("unchecked", "no-such-interface"));
    assert_eq!((unchecked.address, unchecked.attempts), (None, 0));
    let host = server.endpoint().ip().to_string();
    assert_eq!(row(&rows, &host).service.as_deref(), Some("ssh"));
    assert_eq!(ended.status, Some(3));
    assert_eq!(ended.summary().of("unchecked"), 1);
    let gated = check([zoned, &target(&server), "--forbid=telnet", "--require-verdict"]);
    assert_eq!(gated.status, Some(1), "{gated:?}");
}

/// The system's resolver is told to look into its own files only: otherwise it would send
/// questions to a server elsewhere.
#[test]
fn a_name_that_the_resolver_does_not_know_is_unresolved() {
    let folder = TempDir::new().expect("there is room for a folder");
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files\n").expect("there is room");
    let script = "mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf
        exec \"$portmuster\" check no-such-name.invalid:22 localhost:1 127.0.0.1:1 -o jsonl";
    let folder = folder.path().to_str().expect("temporary folders have plain names");
    let Some(ended) = sh_apart(&["--mount"], script, folder) else { return };
    let rows = ended.rows();
    assert_eq!(row(&rows, "no-such-name.invalid").verdict(), ("unresolved", "no-such-name"));
    assert_eq!(row(&rows, "localhost").verdict(), ("closed", "refused"));
    assert_eq!(row(&rows, "127.0.0.1").verdict(), ("closed", "refused"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn a_resolver_that_does_not_answer_leaves_the_name_unchecked() {
    let script = "exec \"$portmuster\" check no-such-name.invalid:22 localhost:1 -o jsonl";
    let Some(ended) = sh_apart(&["--net"], script, "") else { return };
    let rows = ended.rows();
    assert_eq!(row(&rows, "no-such-name.invalid").verdict(), ("unchecked", "lookup-failed"));
    assert_eq!(row(&rows, "localhost").verdict(), ("unchecked", "no-route"));
    assert_eq!(ended.status, Some(3), "{ended:?}");
}

/// TCP to the broadcast address is refused by the system itself, before anything is sent.
#[test]
fn what_this_machine_may_not_reach_is_unchecked_and_the_run_incomplete() {
    for method in ["serial", "threads", "event-loop"] {
        let ended = check(["255.255.255.255:1", "127.0.0.1:1", "-o", "jsonl", "--method", method]);
        let rows = ended.rows();
        assert_eq!(row(&rows, "255.255.255.255").verdict(), ("unchecked", "no-route"));
        assert_eq!(row(&rows, "127.0.0.1").verdict(), ("closed", "refused"));
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert_eq!(ended.summary().of("unchecked"), 1);
    }
}
