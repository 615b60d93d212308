//! Name resolution, tested against a name server in a network namespace: the verdict of each kind
//! of answer, and which addresses are checked.

use std::collections::BTreeMap;

use crate::{
    folder::Folder,
    program::Ended,
    row::Row,
    shell::{DNS_ONLY, sh_with_etc, sh_with_hosts},
};

/// Runs `portmuster check` with the test name server as the only resolver, after the shell line
/// `before`.
fn check_with_names(search: &str, before: &str, arguments: &str) -> Option<Ended> {
    let resolv_conf = format!("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n{search}\n");
    let script = format!(
        "ip link set lo up
        {before}
        exec python3 \"$name_server\" \"$portmuster\" check {arguments}"
    );
    let etc = [("resolv.conf", &*resolv_conf), DNS_ONLY];
    sh_with_etc(&Folder::new(), &etc, &["--net"], &script)
}

fn check_with_hosts(hosts: &str, arguments: &str) -> Option<Ended> {
    sh_with_hosts(hosts, &format!("exec \"$portmuster\" check {arguments}"))
}

/// Counts the rows of each state and reason.
fn counted(rows: &[Row]) -> BTreeMap<(&str, &str), usize> {
    rows.iter().fold(BTreeMap::new(), |mut counted, row| {
        *counted.entry(row.verdict()).or_default() += 1;
        counted
    })
}

const ANSWERS: [&str; 7] =
    ["address", "nodata", "nxdomain", "servfail", "refused", "silence", "cutoff"];

/// A name is unresolved only if both families give a negative answer. A refused address counts as
/// closed only if the other family has none.
#[test]
fn each_pair_of_ipv4_and_ipv6_answers_has_expected_verdict() {
    let pairs = ANSWERS.iter().flat_map(|v4| ANSWERS.iter().map(move |v6| (*v4, *v6)));
    let pairs: Vec<_> = pairs.collect();
    let names = pairs.iter().map(|(v4, v6)| format!("{v4}-{v6}.example:1"));
    let arguments = format!("-o jsonl {}", names.collect::<Vec<_>>().join(" "));
    let Some(ended) = check_with_names("", "", &arguments) else { return };
    let rows = ended.rows();
    assert_eq!(rows.len(), pairs.len());
    for (v4, v6) in pairs {
        let is_negative = |answer| ["nodata", "nxdomain"].contains(&answer);
        let expected = match (v4, v6) {
            ("address", "address") => ("closed", "refused"),
            ("address", other) | (other, "address") if is_negative(other) => ("closed", "refused"),
            ("address", _) | (_, "address") => ("closed", "refused-in-part"),
            (v4, v6) if is_negative(v4) && is_negative(v6) => ("unresolved", "no-such-name"),
            _ => ("unchecked", "lookup-failed"),
        };
        let host = format!("{v4}-{v6}.example");
        let row = rows.iter().find(|row| row.host == host).expect(&host);
        assert_eq!(row.verdict(), expected, "{host}");
    }
    assert_eq!(ended.status, Some(3));
}

#[test]
fn lookup_is_retried_after_servfail() {
    let Some(ended) = check_with_names("", "", "late-late.example:1 -o jsonl") else { return };
    let rows = ended.rows();
    assert_eq!(rows[0].verdict(), ("closed", "refused"), "{ended:?}");
}

/// The resolver returns the negative answer for the name itself, although a name built from the
/// search list may exist.
#[test]
fn search_list_failure_is_not_a_negative_answer() {
    let names = "nxdomain-nxdomain.example:1 nowhere:1 -o jsonl";
    for (search, expected) in [
        ("search other.example broken.example", ("unchecked", "lookup-failed")),
        ("search other.example", ("unresolved", "no-such-name")),
    ] {
        let Some(ended) = check_with_names(search, "", names) else { return };
        let rows = ended.rows();
        assert_eq!(counted(&rows), BTreeMap::from([(expected, 2)]), "{search}");
    }
}

/// When asked for IPv4 only, the resolver continues through the search list after a failure, and
/// returns the negative answer for the last name.
#[test]
fn ipv4_failure_is_reported_despite_search_list() {
    for arguments in ["", "--all-addresses"] {
        let arguments =
            format!("servfail-address.example:1 -o jsonl --require-verdict {arguments}");
        let Some(ended) = check_with_names("search other.example", "", &arguments) else { return };
        assert_eq!(ended.status, Some(1), "{ended:?}");
    }
    let arguments = "127.0.0.2:1 --exclude servfail-address.example";
    let Some(ended) = check_with_names("search other.example", "", arguments) else { return };
    assert!(ended.stderr.contains("the resolver gave no answer for IPv4"), "{ended:?}");
}

#[test]
fn excluded_name_with_unanswered_family_is_an_error() {
    let expected = [
        ("address-servfail", "the resolver gave no answer for IPv6"),
        ("refused-address", "the resolver gave no answer for IPv4"),
        ("nodata-servfail", "the resolver gave no answer"),
        ("nodata-nxdomain", "there is no such name, or it has no address"),
    ];
    let excludes = expected.map(|(name, _)| format!("--exclude {name}.example")).join(" ");
    let excludes = format!("127.0.0.2:1 {excludes} --exclude address-nodata.example");
    let Some(ended) = check_with_names("", "", &excludes) else { return };
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    let message = expected.map(|(name, error)| format!("--exclude: {name}.example: {error}; "));
    let message = format!("error: {}a name must be resolved to be excluded", message.concat());
    assert!(ended.stderr.starts_with(&message), "{ended:?}");

    let without_v6 = "127.0.0.1:1 127.0.0.2:1 -4 --exclude address-servfail.example -o jsonl";
    let Some(ended) = check_with_names("", "", without_v6) else { return };
    let rows = ended.rows();
    assert_eq!((rows.len(), rows[0].host.as_str()), (1, "127.0.0.2"), "{ended:?}");
}

#[test]
fn telnet_on_the_last_of_forty_addresses_is_found() {
    let telnet = "export TELNET=127.1.0.40";
    for (arguments, rows) in [("--all-addresses", 40), ("", 1)] {
        let arguments = format!("many40-nodata.example:23 {arguments} --forbid telnet -o jsonl");
        let Some(ended) = check_with_names("", telnet, &arguments) else { return };
        let all = ended.rows();
        assert_eq!(all.len(), rows, "{ended:?}");
        let found: Vec<_> = all.iter().filter(|row| row.open).collect();
        assert_eq!(found.len(), 1, "{ended:?}");
        assert_eq!(found[0].service.as_deref(), Some("telnet"));
        assert_eq!(found[0].address, Some([127, 1, 0, 40].into()));
        assert_eq!(ended.status, Some(1), "{ended:?}");
    }
}

/// The largest number of addresses that a DNS message can hold.
#[test]
fn each_of_six_thousand_addresses_is_checked() {
    let arguments = "many4000-many2000.example:1 --all-addresses -o jsonl";
    let Some(ended) = check_with_names("", "", arguments) else { return };
    let rows = ended.rows();
    let expected = [(("closed", "refused"), 4_000), (("unchecked", "no-route"), 2_000)];
    assert_eq!(counted(&rows), BTreeMap::from(expected));
    assert_eq!(ended.summary().targets, 6_000);
}

#[test]
fn all_addresses_adds_a_row_for_unanswered_family() {
    let arguments = "many3-servfail.example:1 --all-addresses -o jsonl";
    let Some(ended) = check_with_names("", "", arguments) else { return };
    let rows = ended.rows();
    let expected = [(("closed", "refused"), 3), (("unchecked", "lookup-failed"), 1)];
    assert_eq!(counted(&rows), BTreeMap::from(expected));
    assert_eq!(ended.status, Some(3), "{ended:?}");
}

/// Returns a hosts file with `count` addresses of one name.
fn many_hosts(count: usize) -> String {
    let lines = (0..count).map(|at| format!("127.2.{}.{} many.example\n", at / 250, at % 250));
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn addresses_beyond_the_limit_are_reported() {
    let hosts = &many_hosts(9_000);
    let arguments = "many.example:1 --all-addresses -o jsonl --forbid telnet --require-verdict";
    let Some(ended) = check_with_hosts(hosts, arguments) else { return };
    let rows = ended.rows();
    let expected = [(("closed", "refused"), 8_192), (("unchecked", "too-many-addresses"), 1)];
    assert_eq!(counted(&rows), BTreeMap::from(expected));
    assert_eq!(ended.status, Some(1), "{ended:?}");

    let Some(ended) = check_with_hosts(hosts, "many.example:1 -o jsonl") else { return };
    let rows = ended.rows();
    assert_eq!((rows.len(), rows[0].attempts), (1, 256));
    assert_eq!(rows[0].verdict(), ("closed", "refused-in-part"));

    let arguments = "127.0.0.1:1 --exclude many.example -o jsonl";
    let Some(ended) = check_with_hosts(hosts, arguments) else { return };
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("many.example: it has more than 8192 addresses"), "{ended:?}");
}

/// The account of a resumed run adds up as well, and no address is lost.
#[test]
fn each_excluded_address_is_counted_and_journaled() {
    let run = "\"$portmuster\" check many.example:1 127.0.0.1:1 --all-addresses \
        --exclude 127.2.0.0/24 -o jsonl=rows --journal journal";
    let Some(ended) = sh_with_hosts(&many_hosts(300), &format!("{run}; {run} --resume; cat rows"))
    else {
        return;
    };
    assert_eq!(ended.rows().len(), 51);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let first = ended.stderr.lines().next().expect("a summary");
    let account = "301 targets = 0 open + 51 closed + 0 filtered + 0 unresolved + 0 unchecked + \
        250 excluded + 0 left";
    assert!(first.contains(account), "{ended:?}");
    assert!(ended.stderr.contains("nothing is left to do"), "{ended:?}");
}

const TWO_ADDRESSES: &str = "127.0.0.2 db.example\n127.0.0.3 db.example\n";

#[test]
fn gate_fails_while_an_address_is_untried() {
    let gate = "db.example:1 --forbid telnet --require-verdict -o jsonl";
    for (more, status, reason) in [
        ("", Some(0), "refused"),
        ("--exclude 127.0.0.3", Some(1), "refused-in-part"),
        ("--exclude 127.0.0.3 --allow refused-in-part", Some(0), "refused-in-part"),
    ] {
        let Some(ended) = check_with_hosts(TWO_ADDRESSES, &format!("{gate} {more}")) else {
            return;
        };
        assert_eq!(ended.rows()[0].verdict(), ("closed", reason), "{more}");
        assert_eq!(ended.status, status, "{ended:?}");
    }
    let hosts = format!("{TWO_ADDRESSES}2001:db8::1 db.example\n");
    let Some(ended) = check_with_hosts(&hosts, gate) else { return };
    assert_eq!(ended.rows()[0].verdict(), ("closed", "refused-in-part"), "no route to IPv6");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("1 refused-in-part (db.example:1)"), "{ended:?}");
}
