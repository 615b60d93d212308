use super::{
    change::{Change, ChangeKind},
    changes::Changes,
    jsonl::ChangesJsonl,
    read::{LINE_MAX, read_jsonl},
    run_results::RunResults,
    table::ChangeTable,
    target_result::{KnownHostKey, TargetResult},
};
use crate::{
    outcome::PortState,
    sink::{Paint, columns},
};

fn result(state: PortState, service: Option<&str>) -> TargetResult {
    TargetResult {
        state,
        reason: "reason".into(),
        service: service.map(Into::into),
        banner: Box::default(),
        ssh_protocol: None,
        ssh_software: None,
        ssh_comment: None,
        protocol: None,
        has_kex_init: false,
        findings: Box::default(),
        host_keys: Box::default(),
    }
}

fn open(service: &str) -> TargetResult {
    result(PortState::Open, Some(service))
}

fn ssh(software: &str, findings: Option<&[&str]>) -> TargetResult {
    TargetResult {
        ssh_protocol: Some("2.0".into()),
        ssh_software: Some(software.into()),
        has_kex_init: findings.is_some(),
        findings: findings.unwrap_or_default().iter().map(|&it| it.into()).collect(),
        ..open("ssh")
    }
}

fn run(rows: Vec<(&str, Option<&str>, TargetResult)>) -> RunResults {
    let mut run = RunResults::new();
    for (host, address, result) in rows {
        run.add_result(host, 22, address.map(|it| it.parse().expect("an address")), result);
    }
    run
}

fn kinds(old: TargetResult, new: TargetResult) -> Vec<&'static str> {
    let run = |result| run(vec![("192.0.2.1", None, result)]);
    let changes: Vec<_> = Changes::between(run(old), run(new)).collect();
    let kinds = changes.into_iter().flat_map(|change| change.kinds);
    kinds.map(ChangeKind::name).collect()
}

/// Describes the changes between two runs.
fn descriptions(old: RunResults, new: RunResults) -> Vec<String> {
    Changes::between(old, new).map(describe).collect()
}

fn describe(change: Change) -> String {
    let address = change.new.or(change.old).and_then(|side| side.address);
    let address = address.map_or_else(String::new, |it| format!(" at {it}"));
    let kinds: Vec<_> = change.kinds.iter().map(|kind| kind.name()).collect();
    format!("{}{address} {}", change.target.host, kinds.join(","))
}

#[test]
fn only_answers_prove_that_a_port_opened_or_closed() {
    use PortState::{Closed, Filtered, Open, Unchecked, Unresolved};

    for old in PortState::ALL {
        for new in PortState::ALL {
            let service = |state| (state == Open).then_some("ssh");
            let expected: &[&str] = match (old, new) {
                (Closed | Unresolved, Open) => &["opened"],
                (Open, Closed | Unresolved) => &["closed"],
                (Filtered | Unchecked, Open) => &["answers"],
                (Open, Filtered) => &["no-answer"],
                _ => &[],
            };
            let found = kinds(result(old, service(old)), result(new, service(new)));
            assert_eq!(found, expected, "{old} → {new}");
        }
    }
}

#[test]
fn different_services_are_a_change() {
    for (old, new, expected) in [
        ("ssh", "telnet", &["service"][..]),
        ("telnet", "telnet-likely", &["service"]),
        ("silent", "telnet", &["service"]),
        ("ssh", "tarpit", &["service"]),
        ("ssh", "named-later", &["service"]),
        ("telnet", "silent", &["no-answer"]),
        ("ssh", "closed-early", &["no-answer"]),
        ("silent", "closed-early", &[]),
        ("ssh", "ssh-throttled", &[]),
        ("ssh-throttled", "ssh", &[]),
        ("ssh-throttled", "telnet", &["service"]),
        ("not-probed", "telnet", &[]),
        ("telnet", "not-probed", &[]),
        // Version 0.1.0 wrote `other` without a protocol.
        ("other", "unknown", &[]),
        ("unknown", "ssh-broken", &["service"]),
    ] {
        assert_eq!(kinds(open(old), open(new)), expected, "{old} → {new}");
    }
    let other = |protocol: &str| TargetResult { protocol: Some(protocol.into()), ..open("other") };
    assert_eq!(kinds(other("http"), other("smtp")), ["service"]);
}

#[test]
fn version_compares_ssh_identifications_and_banner_telnet_greetings() {
    assert_eq!(kinds(ssh("a", None), ssh("b", None)), ["version"]);
    assert_eq!(kinds(ssh("a", None), ssh("a", None)), [""; 0]);
    let commented = |comment: &str| {
        let mut result = ssh("a", None);
        result.ssh_comment = Some(comment.into());
        result
    };
    assert_eq!(kinds(commented("Debian-2"), commented("Debian-3")), ["version"]);
    let bannered = |service, banner: &[u8]| TargetResult { banner: banner.into(), ..open(service) };
    // The text before the identification may contain the current time.
    assert_eq!(kinds(bannered("ssh", b"1"), bannered("ssh", b"2")), [""; 0]);
    assert_eq!(kinds(bannered("telnet", b"1"), bannered("telnet", b"2")), ["banner"]);
    assert_eq!(kinds(bannered("other", b"1"), bannered("other", b"2")), [""; 0]);
    assert_eq!(kinds(bannered("tarpit", b"1"), bannered("tarpit", b"2")), [""; 0]);
}

#[test]
fn host_keys_are_compared_by_type() {
    let key = |key_type: &str, sha256: &str| KnownHostKey {
        key_type: key_type.into(),
        sha256: sha256.into(),
    };
    let with = |keys: &[&KnownHostKey]| {
        let host_keys = keys.iter().map(|&key| key.clone()).collect();
        TargetResult { host_keys, ..ssh("a", None) }
    };
    let (ed, other_ed, rsa) = (
        key("ssh-ed25519", "SHA256:a"),
        key("ssh-ed25519", "SHA256:b"),
        key("ssh-rsa", "SHA256:c"),
    );
    assert_eq!(kinds(with(&[&ed]), with(&[&other_ed])), ["host-key"]);
    assert_eq!(kinds(with(&[&rsa, &ed]), with(&[&other_ed])), ["host-key"]);
    for (old, new) in [
        (with(&[&ed]), with(&[&ed, &rsa])),
        (with(&[&ed]), with(&[&rsa])),
        (with(&[&ed]), with(&[])),
        (with(&[]), with(&[&ed])),
    ] {
        assert_eq!(kinds(old, new), [""; 0]);
    }
}

#[test]
fn unproven_host_keys_are_compared_if_both_runs_have_keys() {
    let key = KnownHostKey { key_type: "ssh-ed25519".into(), sha256: "SHA256:a".into() };
    let proven = TargetResult { host_keys: [key].into(), ..ssh("a", Some(&[])) };
    let findings = ["host-key-unproven".into()].into();
    let unproven = TargetResult { findings, ..proven.clone() };
    assert_eq!(kinds(proven, unproven.clone()), ["new-findings"]);
    assert_eq!(kinds(ssh("a", Some(&[])), unproven), [""; 0]);
}

#[test]
fn findings_are_compared_if_both_runs_know_the_algorithms() {
    let old = ssh("a", Some(&["terrapin", "cbc"]));
    let new = ssh("a", Some(&["cbc", "md5"]));
    let run_of = |result| run(vec![("192.0.2.1", None, result)]);
    let mut changes = Changes::between(run_of(old.clone()), run_of(new.clone()));
    let change = changes.next().expect("there is a change");
    assert_eq!(change.kinds, [ChangeKind::NewFindings, ChangeKind::GoneFindings]);
    assert_eq!(change.new_findings, ["md5".into()]);
    assert_eq!(change.gone_findings, ["terrapin".into()]);

    for (one, other) in [(ssh("a", None), new), (old, ssh("a", None))] {
        let mut changes = Changes::between(run_of(one), run_of(other));
        assert_eq!(changes.next(), None);
        assert_eq!(changes.counts().algorithms_unknown, 1);
    }
    let version_1 = TargetResult { findings: ["ssh-1".into()].into(), ..ssh("a", None) };
    assert_eq!(kinds(ssh("a", None), version_1.clone()), ["new-findings"]);
    assert_eq!(kinds(version_1, ssh("a", Some(&[]))), ["gone-findings"]);
}

#[test]
fn targets_of_only_one_run_came_or_went_in_order() {
    let closed = || result(PortState::Closed, None);
    let old = run(vec![
        ("db.example", Some("192.0.2.7"), closed()),
        ("192.0.2.10", None, closed()),
        ("192.0.2.9", None, closed()),
    ]);
    let new = run(vec![
        ("a.example", None, closed()),
        ("2001:db8::1", None, closed()),
        ("192.0.2.10", None, closed()),
    ]);
    let expected =
        ["192.0.2.9 went", "2001:db8::1 came", "a.example came", "db.example at 192.0.2.7 went"];
    assert_eq!(descriptions(old, new), expected);
}

#[test]
fn targets_that_a_partial_run_lacks_neither_came_nor_went() {
    let rows = |host| vec![("192.0.2.9", None, open("ssh")), (host, None, open("telnet"))];
    for (old_is_partial, new_is_partial, expected, unreached) in [
        (false, false, &["192.0.2.1 went", "192.0.2.2 came"][..], 0),
        (false, true, &["192.0.2.2 came"], 1),
        (true, false, &["192.0.2.1 went"], 1),
        (true, true, &[], 2),
    ] {
        let (mut old, mut new) = (run(rows("192.0.2.1")), run(rows("192.0.2.2")));
        for (run, is_partial) in [(&mut old, old_is_partial), (&mut new, new_is_partial)] {
            if is_partial {
                run.set_partial();
            }
        }
        let mut changes = Changes::between(old, new);
        assert_eq!(changes.by_ref().map(describe).collect::<Vec<_>>(), expected);
        let counts = changes.counts();
        assert_eq!((counts.old, counts.new, counts.unreached), (2, 2, unreached));
        assert_eq!(counts.changed, expected.len() as u64);
    }
}

#[test]
fn targets_of_a_partial_run_are_compared() {
    let mut new = run(vec![("192.0.2.1", None, result(PortState::Closed, None))]);
    new.set_partial();
    assert_eq!(
        descriptions(run(vec![("192.0.2.1", None, open("telnet"))]), new),
        ["192.0.2.1 closed"]
    );

    // It may have reached only one of several addresses of a name.
    let at = |address| ("db.example", Some(address), open("ssh"));
    let mut new = run(vec![at("192.0.2.1")]);
    new.set_partial();
    assert_eq!(descriptions(run(vec![at("192.0.2.1"), at("192.0.2.2")]), new), [""; 0]);
}

#[test]
fn last_row_of_a_target_counts() {
    let rows = |first, last| {
        run(vec![
            ("DB.example", None, first),
            ("192.0.2.1", None, open("ssh")),
            ("db.example", None, last),
        ])
    };
    let closed = || result(PortState::Closed, None);
    let changes =
        || Changes::between(rows(closed(), open("telnet")), rows(open("telnet"), closed()));
    assert_eq!(changes().map(|change| change.kinds).collect::<Vec<_>>(), [[ChangeKind::Closed]]);
    assert_eq!((changes().counts().old, changes().counts().new), (2, 2));
}

#[test]
fn name_is_one_target_unless_several_addresses_were_checked() {
    let at = |address, result| ("db.example", Some(address), result);
    let closed = || result(PortState::Closed, None);
    let ssh = || open("ssh");

    // The name has another address today.
    let (one, other) = ("192.0.2.1", "192.0.2.2");
    assert_eq!(descriptions(run(vec![at(one, ssh())]), run(vec![at(other, ssh())])), [""; 0]);

    let both = || run(vec![at(other, closed()), at(one, ssh())]);
    assert_eq!(descriptions(both(), run(vec![at(one, ssh())])), ["db.example at 192.0.2.2 went"]);
    let new = run(vec![at(one, ssh()), at(other, ssh())]);
    assert_eq!(descriptions(both(), new), ["db.example at 192.0.2.2 opened"]);

    // A result without an address is compared with all addresses.
    let unresolved = || run(vec![("db.example", None, result(PortState::Unresolved, None))]);
    assert_eq!(descriptions(both(), unresolved()), ["db.example closed"]);
    assert_eq!(descriptions(unresolved(), both()), ["db.example at 192.0.2.1 opened"]);
}

#[test]
fn counts_cover_every_target() {
    let at = |host, result| (host, None, result);
    let unchecked = || result(PortState::Unchecked, None);
    let old = run(vec![
        at("192.0.2.1", open("ssh")),
        at("192.0.2.2", unchecked()),
        at("192.0.2.3", open("ssh")),
    ]);
    let new = run(vec![
        at("192.0.2.1", unchecked()),
        at("192.0.2.2", open("ssh")),
        at("192.0.2.3", open("telnet")),
    ]);
    let mut changes = Changes::between(old, new);
    assert_eq!(changes.by_ref().count(), 2);
    let counts = changes.counts();
    assert_eq!((counts.old, counts.new, counts.changed, counts.unchecked), (3, 3, 2, 1));
    assert_eq!(counts.of(ChangeKind::Answers), 1);
    assert_eq!(counts.of(ChangeKind::Service), 1);
}

#[test]
fn all_lists_kinds_in_declaration_order() {
    for (position, kind) in ChangeKind::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, position);
    }
}

fn row(more: &str) -> String {
    format!(
        r#"{{"schema":1,"host":"192.0.2.1","port":22,"open":true,"state":"open","reason":"accepted"{more}}}"#
    )
}

#[test]
fn rows_of_later_versions_are_read_and_other_lines_refused() {
    let read = |text: &str| {
        read_jsonl(text.as_bytes())
            .map(|run| (run.rows(), run.is_partial()))
            .map_err(|error| error.to_string())
    };
    let good = row(r#","service":"ssh","findings":["named-later"],"added":{"later":[null]}"#);
    assert_eq!(read(&format!("{good}\n\n{good}\r\n")), Ok((2, false)));
    assert_eq!(read(&good), Ok((1, false)));
    assert_eq!(read(""), Ok((0, false)));
    assert_eq!(read(&format!("{good}\n{}", &good[..40])), Ok((1, true)));

    let starts = |text: &str, start: &str| {
        let error = read(text).expect_err("the text is not rows");
        assert!(error.starts_with(start) && error.len() < 400, "{error}");
    };
    let schema_2 = r#"{"schema":2,"host":["192.0.2.1"]}"#;
    starts(
        &format!("{good}\n{schema_2}"),
        "line 2: schema 2 is not supported; this program reads 1:",
    );
    starts(&good[..40], "line 1: not a row");
    starts(&format!("{}\n{good}", &good[..40]), "line 1: not a row");
    starts("{\"ip\": \"192.0.2.1\"}\n", "line 1: not a row");
    starts(&row(r#","banner_base64":"?""#), "line 1: not a row");
    starts(&format!("\"{}\"", "x".repeat(100_000)), "line 1: not a row");
    starts(&" ".repeat(LINE_MAX + 1), "line 1: longer than");
    starts("\u{0}\u{ff}", "line 1: not a row");
}

#[test]
fn change_is_one_escaped_json_line() {
    let mut new = ssh("evil\u{1b}[2J\u{202e}", Some(&["ssh-1"]));
    new.banner = b"\xff\x1b"[..].into();
    let mut old = open("telnet");
    old.banner = b"login:"[..].into();
    let run_of = |result| run(vec![("db.example", Some("192.0.2.7"), result)]);
    let mut line = Vec::new();
    let changes = Changes::between(run_of(old), run_of(new));
    let mut jsonl = ChangesJsonl::new(&mut line);
    changes.for_each(|change| jsonl.write(&change).expect("writing to a vector cannot fail"));
    assert_eq!(
        String::from_utf8(line).expect("JSON is UTF-8"),
        concat!(
            r#"{"schema":1,"host":"db.example","port":22,"changes":["service"],"#,
            r#""old":{"state":"open","reason":"reason","address":"192.0.2.7","service":"telnet","#,
            r#""banner":"login:"},"#,
            r#""new":{"state":"open","reason":"reason","address":"192.0.2.7","service":"ssh","#,
            r#""banner_base64":"/xs=","ssh_protocol":"2.0","#,
            "\"ssh_software\":\"evil\\u001b[2J\\u202e\",\"findings\":[\"ssh-1\"]}}\n"
        )
    );
}

#[test]
fn rows_of_changes_fit_the_terminal() {
    let weak = ["group1-sha1", "sha1-kex", "ssh-dss", "rc4", "3des", "cbc", "md5"];
    let name = "a-very-long-name.of-a-host.in-the-domain.of-a-company.example.com";
    let hosts = ["192.168.100.200", "2001:db8:1234:5678:9abc:def0:1234:5678", name];
    let run = |result: &dyn Fn() -> TargetResult| {
        run(hosts.into_iter().map(|host| (host, None, result())).collect())
    };
    let old = run(&|| result(PortState::Closed, None));
    let new = run(&|| ssh("OpenSSH_9.2p1-with-a-long-software-version", Some(&weak)));
    let changes: Vec<_> = Changes::between(old, new).collect();
    assert_eq!(changes.len(), hosts.len());
    for width in (60..300).map(Some).chain([None]) {
        let mut output = Vec::new();
        let mut table = ChangeTable::new(&mut output, Paint::Plain).width(width);
        for change in &changes {
            table.write(change).expect("vectors accept any write");
        }
        let text = String::from_utf8(output).expect("tables are UTF-8");
        assert_eq!(text.lines().count(), 1 + hosts.len());
        for line in text.lines() {
            assert!(width.is_none_or(|width| columns(line) <= width), "{width:?}: {line}");
        }
        assert!(text.contains(hosts[0]), "{text}");
        if width.is_none_or(|width| width >= 80) {
            assert!(text.contains(&format!("[{}]:22", hosts[1])), "{text}");
        }
        if width.is_none_or(|width| width == 299) {
            assert_eq!(text.matches("3des, cbc, md5]").count(), hosts.len(), "{text}");
        }
    }
}
