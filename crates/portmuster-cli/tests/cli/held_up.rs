//! Servers that keep one waiting, or say much before they say who they are, with the limits that
//! every run has.

use std::time::Duration;

use portmuster_lab::Behaviour;

use crate::{
    program::check,
    row::Row,
    servers::{start, target},
};

/// Each with its row, from one run.
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
fn an_offer_is_read_whatever_comes_before_it() {
    for (behaviour, row) in rows([
        Behaviour::SshAfterPreBanner,
        Behaviour::SshAfterLongLine,
        Behaviour::SshBareLf,
        Behaviour::Slow(Duration::from_secs(1)),
    ]) {
        assert_eq!(row.service.as_deref(), Some("ssh"), "{behaviour:?}: {row:?}");
        assert!(row.banner.is_some_and(|banner| banner.starts_with("SSH-2.0-")), "{behaviour:?}");
        let kex = row.kex_algorithms.expect("it has an offer");
        assert_eq!(kex[0], "sntrup761x25519-sha512", "{behaviour:?}");
    }
}

/// It reads the empty line that it was sent while it was silent as a bad identification; the second
/// attempt waits for it without a word.
#[test]
fn an_offer_is_read_from_who_was_silent_for_longer_than_others() {
    let [(_, row)] = rows([Behaviour::Slow(Duration::from_secs(4))]);
    assert_eq!(row.service.as_deref(), Some("ssh"), "{row:?}");
    assert_eq!((row.attempts, row.kex_missing.as_deref()), (2, None), "{row:?}");
    assert_eq!(row.kex_algorithms.expect("it has an offer")[0], "sntrup761x25519-sha512");
}

/// None keeps a run for longer than the limits allow.
#[test]
fn those_that_hold_up_are_judged_within_the_limits() {
    let truth = [
        (Behaviour::LateEndlessLines(Duration::from_secs(10)), "tarpit"),
        (Behaviour::LimitLine, "tarpit"),
        (Behaviour::TlsMute, "silent"),
        (Behaviour::TelnetWhenAsked, "telnet"),
        (Behaviour::TelnetRepeats, "telnet"),
        (Behaviour::TelnetToggles, "telnet"),
    ];
    let rows = rows(truth.map(|(behaviour, _)| behaviour));
    for ((behaviour, row), (_, service)) in rows.into_iter().zip(truth) {
        assert_eq!(row.service.as_deref(), Some(service), "{behaviour:?}: {row:?}");
        assert!(row.total_ms.is_some_and(|time| time < 21_000.0), "{behaviour:?}: {row:?}");
    }
}
