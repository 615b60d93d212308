use super::*;

fn known(state: PortState, service: Option<&str>) -> Known {
    Known {
        state,
        reason: "reason".into(),
        service: service.map(Into::into),
        banner: Box::default(),
        identification: [None, None, None],
        protocol: None,
        has_offer: false,
        findings: Box::default(),
    }
}

fn open(service: &str) -> Known {
    known(PortState::Open, Some(service))
}

fn ssh(software: &str, findings: Option<&[&str]>) -> Known {
    Known {
        identification: [Some("2.0".into()), Some(software.into()), None],
        has_offer: findings.is_some(),
        findings: findings.unwrap_or_default().iter().map(|&it| it.into()).collect(),
        ..open("ssh")
    }
}

fn run(rows: Vec<(&str, Option<&str>, Known)>) -> Run {
    let mut run = Run::new();
    for (host, address, known) in rows {
        run.add(host, 22, address.map(|it| it.parse().expect("an address")), known);
    }
    run
}

fn kinds(old: Known, new: Known) -> Vec<&'static str> {
    let run = |known| run(vec![("192.0.2.1", None, known)]);
    let changes: Vec<_> = Changes::between(run(old), run(new)).collect();
    let kinds = changes.into_iter().flat_map(|change| change.kinds);
    kinds.map(ChangeKind::name).collect()
}

/// Which targets changed, and how.
fn told(old: Run, new: Run) -> Vec<String> {
    Changes::between(old, new).map(in_words).collect()
}

fn in_words(change: Change) -> String {
    let address = change.new.or(change.old).and_then(|side| side.address);
    let address = address.map_or_else(String::new, |it| format!(" at {it}"));
    let kinds: Vec<_> = change.kinds.iter().map(|kind| kind.name()).collect();
    format!("{}{address} {}", change.target.host, kinds.join(","))
}

#[test]
fn only_an_answer_proves_that_a_port_opened_or_closed() {
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
            let found = kinds(known(old, service(old)), known(new, service(new)));
            assert_eq!(found, expected, "{old} → {new}");
        }
    }
}

#[test]
fn another_service_is_a_change_and_no_service_is_none() {
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
        // As 0.1.0 wrote it, without a protocol.
        ("other", "unknown", &[]),
        ("unknown", "ssh-broken", &["service"]),
    ] {
        assert_eq!(kinds(open(old), open(new)), expected, "{old} → {new}");
    }
    let other = |protocol: &str| Known { protocol: Some(protocol.into()), ..open("other") };
    assert_eq!(kinds(other("http"), other("smtp")), ["service"]);
}

#[test]
fn a_version_is_what_ssh_says_of_itself_and_a_banner_what_telnet_says() {
    assert_eq!(kinds(ssh("a", None), ssh("b", None)), ["version"]);
    assert_eq!(kinds(ssh("a", None), ssh("a", None)), [""; 0]);
    let commented = |comment: &str| {
        let mut known = ssh("a", None);
        known.identification[2] = Some(comment.into());
        known
    };
    assert_eq!(kinds(commented("Debian-2"), commented("Debian-3")), ["version"]);
    let bannered = |service, banner: &[u8]| Known { banner: banner.into(), ..open(service) };
    // What comes before the identification may hold the time.
    assert_eq!(kinds(bannered("ssh", b"1"), bannered("ssh", b"2")), [""; 0]);
    assert_eq!(kinds(bannered("telnet", b"1"), bannered("telnet", b"2")), ["banner"]);
    assert_eq!(kinds(bannered("other", b"1"), bannered("other", b"2")), [""; 0]);
    assert_eq!(kinds(bannered("tarpit", b"1"), bannered("tarpit", b"2")), [""; 0]);
}

#[test]
fn findings_are_compared_where_both_runs_know_the_offer() {
    let old = ssh("a", Some(&["terrapin", "cbc"]));
    let new = ssh("a", Some(&["cbc", "md5"]));
    let of = |known| run(vec![("192.0.2.1", None, known)]);
    let mut changes = Changes::between(of(old.clone()), of(new.clone()));
    let change = changes.next().expect("it changed");
    assert_eq!(change.kinds, [ChangeKind::NewFindings, ChangeKind::GoneFindings]);
    assert_eq!(change.new_findings, ["md5".into()]);
    assert_eq!(change.gone_findings, ["terrapin".into()]);

    for (one, other) in [(ssh("a", None), new), (old, ssh("a", None))] {
        let mut changes = Changes::between(of(one), of(other));
        assert_eq!(changes.next(), None);
        assert_eq!(changes.tally().offers_unseen, 1);
    }
    let old_protocol = Known { findings: ["ssh-1".into()].into(), ..ssh("a", None) };
    assert_eq!(kinds(ssh("a", None), old_protocol.clone()), ["new-findings"]);
    assert_eq!(kinds(old_protocol, ssh("a", Some(&[]))), ["gone-findings"]);
}

#[test]
fn targets_of_one_run_only_came_or_went_and_all_come_in_their_order() {
    let closed = || known(PortState::Closed, None);
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
    assert_eq!(told(old, new), expected);
}

#[test]
fn what_a_partial_run_does_not_have_neither_came_nor_went() {
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
        assert_eq!(changes.by_ref().map(in_words).collect::<Vec<_>>(), expected);
        let tally = changes.tally();
        assert_eq!((tally.old, tally.new, tally.unreached), (2, 2, unreached));
        assert_eq!(tally.changed, expected.len() as u64);
    }
}

#[test]
fn what_a_partial_run_has_is_compared() {
    let mut new = run(vec![("192.0.2.1", None, known(PortState::Closed, None))]);
    new.set_partial();
    assert_eq!(told(run(vec![("192.0.2.1", None, open("telnet"))]), new), ["192.0.2.1 closed"]);

    // Of several addresses of a name it may have come to one.
    let at = |address| ("db.example", Some(address), open("ssh"));
    let mut new = run(vec![at("192.0.2.1")]);
    new.set_partial();
    assert_eq!(told(run(vec![at("192.0.2.1"), at("192.0.2.2")]), new), [""; 0]);
}

#[test]
fn the_last_of_several_rows_counts() {
    let rows = |first, last| {
        run(vec![
            ("DB.example.", None, first),
            ("192.0.2.1", None, open("ssh")),
            ("db.example", None, last),
        ])
    };
    let closed = || known(PortState::Closed, None);
    let changes =
        || Changes::between(rows(closed(), open("telnet")), rows(open("telnet"), closed()));
    assert_eq!(changes().map(|change| change.kinds).collect::<Vec<_>>(), [[ChangeKind::Closed]]);
    assert_eq!((changes().tally().old, changes().tally().new), (2, 2));
}

#[test]
fn a_name_is_one_target_unless_several_of_its_addresses_were_checked() {
    let at = |address, known| ("db.example", Some(address), known);
    let closed = || known(PortState::Closed, None);
    let ssh = || open("ssh");

    // Another address today.
    let (one, other) = ("192.0.2.1", "192.0.2.2");
    assert_eq!(told(run(vec![at(one, ssh())]), run(vec![at(other, ssh())])), [""; 0]);

    let both = || run(vec![at(other, closed()), at(one, ssh())]);
    assert_eq!(told(both(), run(vec![at(one, ssh())])), ["db.example at 192.0.2.2 went"]);
    let new = run(vec![at(one, ssh()), at(other, ssh())]);
    assert_eq!(told(both(), new), ["db.example at 192.0.2.2 opened"]);

    // Without an address it speaks of all of them.
    let nameless = || run(vec![("db.example", None, known(PortState::Unresolved, None))]);
    assert_eq!(told(both(), nameless()), ["db.example closed"]);
    assert_eq!(told(nameless(), both()), ["db.example at 192.0.2.1 opened"]);
}

#[test]
fn the_tally_counts_what_came_of_each() {
    let at = |host, known| (host, None, known);
    let unchecked = || known(PortState::Unchecked, None);
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
    let tally = changes.tally();
    assert_eq!((tally.old, tally.new, tally.changed, tally.unchecked), (3, 3, 2, 1));
    assert_eq!(tally.of(ChangeKind::Answers), 1);
    assert_eq!(tally.of(ChangeKind::Service), 1);
}

#[test]
fn kinds_are_in_the_order_of_their_variants() {
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
fn rows_of_later_versions_are_read_and_the_rest_is_refused() {
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
        let error = read(text).expect_err("it can't be read");
        assert!(error.starts_with(start) && error.len() < 400, "{error}");
    };
    let schema_2 = r#"{"schema":2,"host":["192.0.2.1"]}"#;
    starts(&format!("{good}\n{schema_2}"), "line 2: its schema is 2, and this program reads 1;");
    starts(&good[..40], "line 1: it is not a row");
    starts(&format!("{}\n{good}", &good[..40]), "line 1: it is not a row");
    starts("{\"ip\": \"192.0.2.1\"}\n", "line 1: it is not a row");
    starts(&row(r#","banner_base64":"?""#), "line 1: it is not a row");
    starts(&format!("\"{}\"", "x".repeat(100_000)), "line 1: it is not a row");
    starts(&" ".repeat(LINE_MAX + 1), "line 1: it is longer than");
    starts("\u{0}\u{ff}", "line 1: it is not a row");
}

#[test]
fn a_line_of_a_change_comes_back_whole_and_harmless() {
    let mut new = ssh("evil\u{1b}[2J\u{202e}", Some(&["ssh-1"]));
    new.banner = b"\xff\x1b"[..].into();
    let mut old = open("telnet");
    old.banner = b"login:"[..].into();
    let of = |known| run(vec![("db.example", Some("192.0.2.7"), known)]);
    let mut line = Vec::new();
    let changes = Changes::between(of(old), of(new));
    let mut jsonl = ChangesJsonl::new(&mut line);
    changes.for_each(|change| jsonl.write(&change).expect("a vector takes everything"));
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
