//! Slow servers and servers with long preambles, checked with the default limits.

use std::time::Duration;

use portmuster_lab::Behaviour;

use crate::{
    program::check,
    row::Row,
    servers::{start, target},
};

/// Checks the servers in one run and pairs each behaviour with its row.
fn rows<const N: usize>(behaviours: [Behaviour; N]) -> [(Behaviour, Row); N] {
    let servers = behaviours.map(start);
    let targets = servers.iter().map(target).collect::<Vec<_>>();
    let targets = targets.iter().map(String::as_str);
    let ended = check(targets.chain(["-o=jsonl", "--per-host=max"]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let rows = ended.rows();
    servers.map(|server| {
        let row = rows.iter().find(|row| row.port == server.endpoint().port());
        (server.behaviour(), row.expect("each server has a row").clone())
    })
}

#[test]
fn kexinit_is_read_after_unusual_preambles() {
    for (behaviour, row) in rows([
        Behaviour::SshAfterPreBanner,
        Behaviour::SshAfterLongLine,
        Behaviour::SshBareLf,
        Behaviour::Slow(Duration::from_secs(1)),
    ]) {
        assert_eq!(row.service.as_deref(), Some("ssh"), "{behaviour:?}: {row:?}");
        assert!(row.banner.is_some_and(|banner| banner.starts_with("SSH-2.0-")), "{behaviour:?}");
        let kex = row.kex_algorithms.expect("it has a KEXINIT");
        assert_eq!(kex[0], "sntrup761x25519-sha512", "{behaviour:?}");
    }
}

/// The server is silent at first, and then reads the empty line it was sent as a bad
/// identification. The second attempt waits without sending anything.
#[test]
fn kexinit_is_read_from_server_silent_for_four_seconds() {
    let [(_, row)] = rows([Behaviour::Slow(Duration::from_secs(4))]);
    assert_eq!(row.service.as_deref(), Some("ssh"), "{row:?}");
    assert_eq!((row.attempts, row.kex_missing.as_deref()), (2, None), "{row:?}");
    assert_eq!(row.kex_algorithms.expect("it has a KEXINIT")[0], "sntrup761x25519-sha512");
}

/// Longer than the deadline of 20 s is on a busy machine. Without a limit, the servers would talk for
/// ten minutes.
const LIMIT_MS: f64 = 60_000.0;

/// No server delays the run beyond the limits.
#[test]
fn stalling_servers_are_judged_within_the_limits() {
    let expected = [
        (Behaviour::LateEndlessLines(Duration::from_secs(10)), "tarpit"),
        (Behaviour::LimitLine, "tarpit"),
        (Behaviour::TlsMute, "silent"),
        (Behaviour::TelnetWhenAsked, "telnet"),
        (Behaviour::TelnetRepeats, "telnet"),
        (Behaviour::TelnetToggles, "telnet"),
    ];
    let rows = rows(expected.map(|(behaviour, _)| behaviour));
    for ((behaviour, row), (_, service)) in rows.into_iter().zip(expected) {
        assert_eq!(row.service.as_deref(), Some(service), "{behaviour:?}: {row:?}");
        assert!(row.total_ms.is_some_and(|time| time < LIMIT_MS), "{behaviour:?}: {row:?}");
    }
}
