//! Names that resolve, names that do not, and targets that are unreachable from this machine.

use portmuster_lab::Behaviour;

use crate::{
    folder::Folder,
    program::check,
    row::Row,
    servers::{start, start_on_localhost, target},
    shell::{FILES_ONLY, sh_in_namespaces, sh_with_etc},
};

fn row<'a>(rows: &'a [Row], host: &str) -> &'a Row {
    rows.iter().find(|row| row.host == host).unwrap_or_else(|| panic!("no {host} in {rows:?}"))
}

#[test]
fn name_is_resolved_and_its_address_reported() {
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

/// A missing interface of this machine proves nothing about the target.
#[test]
fn missing_interface_leaves_address_unchecked_and_exits_3() {
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

/// The resolver reads its local files only. Otherwise it would query an external name server.
#[test]
fn unknown_name_is_unresolved() {
    let script =
        "exec \"$portmuster\" check no-such-name.invalid:22 localhost:1 127.0.0.1:1 -o jsonl";
    let Some(ended) = sh_with_etc(&Folder::new(), &[FILES_ONLY], &[], script) else { return };
    let rows = ended.rows();
    assert_eq!(row(&rows, "no-such-name.invalid").verdict(), ("unresolved", "no-such-name"));
    assert_eq!(row(&rows, "localhost").verdict(), ("closed", "refused"));
    assert_eq!(row(&rows, "127.0.0.1").verdict(), ("closed", "refused"));
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn unanswered_lookup_leaves_name_unchecked() {
    let script = "exec \"$portmuster\" check no-such-name.invalid:22 localhost:1 -o jsonl";
    let Some(ended) = sh_in_namespaces(&["--net"], script, "") else { return };
    let rows = ended.rows();
    assert_eq!(row(&rows, "no-such-name.invalid").verdict(), ("unchecked", "lookup-failed"));
    assert_eq!(row(&rows, "localhost").verdict(), ("unchecked", "no-route"));
    assert_eq!(ended.status, Some(3), "{ended:?}");
}

/// The system refuses TCP to the broadcast address before anything is sent.
#[test]
fn unreachable_target_is_unchecked_and_exits_3() {
    for method in ["serial", "threads", "event-loop"] {
        let ended = check(["255.255.255.255:1", "127.0.0.1:1", "-o", "jsonl", "--method", method]);
        let rows = ended.rows();
        assert_eq!(row(&rows, "255.255.255.255").verdict(), ("unchecked", "no-route"));
        assert_eq!(row(&rows, "127.0.0.1").verdict(), ("closed", "refused"));
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert_eq!(ended.summary().of("unchecked"), 1);
    }
}
