//! Lookups of names, and which of their addresses are checked, against a name server in a network
//! namespace of the test.

use std::collections::BTreeMap;

use crate::{
    folder::Folder,
    program::{Ended, concurrently},
    row::Row,
    shell::{DNS_ONLY, sh_with_etc, sh_with_hosts},
};

/// Runs `portmuster check` beside `name_server.py`, after the shell commands `before`. `search` is a line
/// of resolv.conf.
fn check_with_names(search: &str, before: &str, arguments: &str) -> Option<Ended> {
    // Seconds after which the resolver gives up, which a busy name server must not exceed.
    let timeout = if arguments.contains("silence") { 2 } else { 30 };
    let resolv_conf =
        format!("nameserver 127.0.0.1\noptions timeout:{timeout} attempts:1\n{search}\n");
    let script = format!(
        "ip link set lo up
        {before}
        python3 \"$name_server\" \"$portmuster\" check {arguments}"
    );
    let etc = [("resolv.conf", &*resolv_conf), DNS_ONLY];
    sh_with_etc(&Folder::new(), &etc, &["--net"], &script)
}

fn check_with_hosts(hosts: &str, arguments: &str) -> Option<Ended> {
    sh_with_hosts(hosts, &format!("exec \"$portmuster\" check {arguments}"))
}

/// Counts the rows by state and reason.
fn counted(rows: &[Row]) -> BTreeMap<(&str, &str), usize> {
    rows.iter().fold(BTreeMap::new(), |mut counted, row| {
        *counted.entry(row.verdict()).or_default() += 1;
        counted
    })
}

const ANSWERS: [&str; 7] =
    ["address", "nodata", "nxdomain", "servfail", "refused", "silence", "cutoff"];

/// A name is unresolved only if both answers are negative. A refusal by one family is proof only if the
/// other family has no address.
#[test]
fn each_pair_of_answers_for_ipv4_and_ipv6_has_its_verdict() {
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
fn name_server_that_recovers_is_asked_again() {
    let Some(ended) = check_with_names("", "", "late-late.example:1 -o jsonl") else { return };
    let rows = ended.rows();
    assert_eq!(rows[0].verdict(), ("closed", "refused"), "{ended:?}");
}

/// Answers for which glibc reports the same error as for a name without addresses, or goes on to the
/// next name of the search list.
const UNUSABLE: [&str; 12] = [
    "formerr",
    "notimp",
    "yxdomain",
    "notauth",
    "cutoff",
    "longservfail",
    "longrefused",
    "truncated",
    "counted",
    "cutrecord",
    "threebytes",
    "referral",
];

#[test]
fn unusable_answer_for_one_family_leaves_the_name_in_doubt() {
    let pairs = |other| UNUSABLE.map(|word| [format!("{word}-{other}"), format!("{other}-{word}")]);
    let names = [pairs("address"), pairs("nodata")].concat().concat();
    let names: Vec<_> = names.iter().map(|name| format!("{name}.example:1")).collect();
    let arguments = format!("{} -o jsonl", names.join(" "));
    let runs: [(_, fn(&Ended)); 2] =
        [("", assert_doubt_in_each_row), (" --all-addresses", assert_doubt_in_a_row_of_its_own)];
    concurrently(runs, |(flag, assert)| {
        let Some(ended) = check_with_names("", "", &format!("{arguments}{flag}")) else { return };
        assert(&ended);
    });
}

fn assert_doubt_in_each_row(ended: &Ended) {
    let rows = ended.rows();
    for row in &rows {
        let expected = if row.host.contains("address") {
            ("closed", "refused-in-part")
        } else {
            ("unchecked", "lookup-failed")
        };
        assert_eq!(row.verdict(), expected, "{}", row.host);
    }
    assert_eq!(rows.len(), 4 * UNUSABLE.len());
}

fn assert_doubt_in_a_row_of_its_own(ended: &Ended) {
    let count = 2 * UNUSABLE.len();
    let expected = [(("closed", "refused"), count), (("unchecked", "lookup-failed"), 2 * count)];
    assert_eq!(counted(&ended.rows()), BTreeMap::from(expected), "{ended:?}");
}

/// A short name is tried below each domain of the search list. Below one, a family has no answer; the
/// names before and after it do not exist, which says nothing about it.
#[test]
fn family_without_an_answer_is_not_absent_because_the_next_name_of_the_search_list_is() {
    let words = ["silence", "servfail", "refused", "notimp", "cutoff", "longservfail", "counted"];
    let names = words.map(|word| format!("address-{word}:1 {word}-address:1"));
    let arguments = format!("{} -o jsonl", names.join(" "));
    let search = "search other.example example";
    let Some(ended) = check_with_names(search, "", &arguments) else { return };
    let expected = [(("closed", "refused-in-part"), 2 * words.len())];
    assert_eq!(counted(&ended.rows()), BTreeMap::from(expected), "{ended:?}");
}

/// The first two words are the answers below `example`, the others those below `other.example`.
#[test]
fn name_with_addresses_does_not_hide_an_earlier_one_without_an_answer() {
    let table = [
        ("nxdomain-servfail-nodata-address", ("closed", "refused-in-part")),
        ("nodata-refused-address-nodata", ("closed", "refused-in-part")),
        ("address-servfail-nodata-address", ("closed", "refused-in-part")),
        ("servfail-nxdomain-nodata-address", ("closed", "refused-in-part")),
        ("nodata-cutoff-nodata-nodata", ("unchecked", "lookup-failed")),
        ("nxdomain-nxdomain-address-nodata", ("closed", "refused")),
        ("address-nodata-servfail-servfail", ("closed", "refused")),
        ("nodata-nxdomain-nodata-nodata", ("unresolved", "no-such-name")),
    ];
    let names = table.map(|(name, _)| format!("{name}:1")).join(" ");
    let search = "search example other.example";
    let Some(ended) = check_with_names(search, "", &format!("{names} -o jsonl")) else { return };
    let rows = ended.rows();
    for (name, expected) in table {
        let row = rows.iter().find(|row| row.host == name).expect(name);
        assert_eq!(row.verdict(), expected, "{name}");
    }
}

#[test]
fn negative_answers_in_every_form_are_negative() {
    let words = ["nodata", "nxdomain", "alias", "longnodata"];
    let pairs = words.map(|word| format!("address-{word}.example:1 {word}-address.example:1"));
    let nothing = words.map(|word| format!("{word}-nodata.example:1"));
    let names = format!("{} {} -o jsonl", pairs.join(" "), nothing.join(" "));
    for search in ["", "search other.example"] {
        let Some(ended) = check_with_names(search, "", &names) else { return };
        let expected = [(("closed", "refused"), 8), (("unresolved", "no-such-name"), 4)];
        assert_eq!(counted(&ended.rows()), BTreeMap::from(expected), "{ended:?}");
    }
}

#[test]
fn name_with_addresses_of_both_families_takes_no_further_question() {
    let script = "export QUESTIONS=questions";
    for (name, questions) in [("address-address", 2), ("address-nodata", 5)] {
        let arguments = format!("{name}.example:1 -o jsonl && cat questions");
        let Some(ended) = check_with_names("", script, &arguments) else { return };
        let asked = ended.stdout.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(asked, questions, "{ended:?}");
    }
}

/// The name server would not answer for the other family.
#[test]
fn name_of_the_hosts_file_needs_no_server() {
    let hosts = "echo 127.0.0.1 address-silence.example >hosts
        echo ::1 silence-address.example >>hosts
        mount --bind hosts /etc/hosts
        echo hosts: files dns >nsswitch.conf";
    for arguments in ["", "--all-addresses"] {
        let arguments = format!(
            "address-silence.example:1 silence-address.example:1 --require-verdict -o jsonl \
            {arguments}"
        );
        let Some(ended) = check_with_names("", hosts, &arguments) else { return };
        let expected = [(("closed", "refused"), 2)];
        assert_eq!(counted(&ended.rows()), BTreeMap::from(expected), "{ended:?}");
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
}

#[test]
fn address_in_an_a_and_an_aaaa_record_is_checked_once() {
    for (name, addresses) in [("address-mapped", 1), ("nodata-mapped", 1), ("many2-mapped", 3)] {
        let arguments = format!("{name}.example:1 --all-addresses --require-verdict -o jsonl");
        let Some(ended) = check_with_names("", "", &arguments) else { return };
        let expected = [(("closed", "refused"), addresses)];
        assert_eq!(counted(&ended.rows()), BTreeMap::from(expected), "{ended:?}");
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.summary().targets, addresses as u64, "{ended:?}");
    }
}

/// glibc reports the negative answer for the name itself, and hides the failure for a name that the
/// search list makes of it.
#[test]
fn failure_below_a_domain_of_the_search_list_is_no_proof() {
    let names = "nxdomain-nxdomain.example:1 nowhere:1 -o jsonl";
    let table = [
        ("search other.example broken.example", ("unchecked", "lookup-failed")),
        ("search other.example", ("unresolved", "no-such-name")),
    ];
    concurrently(table, |(search, expected)| {
        let Some(ended) = check_with_names(search, "", names) else { return };
        let rows = ended.rows();
        assert_eq!(counted(&rows), BTreeMap::from([(expected, 2)]), "{search}");
    });
}

/// Asked for IPv4 alone, glibc goes on through the search list after a failure, and reports that the
/// last name does not exist.
#[test]
fn failure_for_ipv4_is_reported_with_a_search_list() {
    let table = [
        ("servfail-address.example:1 -o jsonl --require-verdict", 1, "no verdict on 1 of 1"),
        (
            "servfail-address.example:1 -o jsonl --require-verdict --all-addresses",
            1,
            "no verdict on 1 of 2",
        ),
        (
            "127.0.0.2:1 --exclude servfail-address.example",
            2,
            "the resolver gave no answer for IPv4",
        ),
    ];
    concurrently(table, |(arguments, status, message)| {
        let Some(ended) = check_with_names("search other.example", "", arguments) else { return };
        assert_eq!(ended.status, Some(status), "{ended:?}");
        assert!(ended.stderr.contains(message), "{ended:?}");
    });
}

#[test]
fn excluded_name_of_which_one_family_has_no_answer_is_an_error() {
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
    let errors = expected.map(|(name, error)| format!("--exclude: {name}.example: {error}; "));
    let message = format!("error: {}a name must be resolved to be excluded", errors.concat());
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

/// One DNS message holds at most 4,095 IPv4 addresses.
#[test]
fn thousands_of_addresses_are_checked_each() {
    let arguments = "many4000-many2000.example:1 --all-addresses -o jsonl";
    let Some(ended) = check_with_names("", "", arguments) else { return };
    let rows = ended.rows();
    let expected = [(("closed", "refused"), 4_000), (("unchecked", "no-route"), 2_000)];
    assert_eq!(counted(&rows), BTreeMap::from(expected));
    assert_eq!(ended.summary().targets, 6_000);
}

#[test]
fn family_without_an_answer_is_a_row_with_all_addresses() {
    let arguments = "many3-servfail.example:1 --all-addresses -o jsonl";
    let Some(ended) = check_with_names("", "", arguments) else { return };
    let rows = ended.rows();
    let expected = [(("closed", "refused"), 3), (("unchecked", "lookup-failed"), 1)];
    assert_eq!(counted(&rows), BTreeMap::from(expected));
    assert_eq!(ended.status, Some(3), "{ended:?}");
}

/// Returns a hosts file with `count` addresses of `many.example`.
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

/// The account of the resumed run adds up, too, and no address is lost.
#[test]
fn resumed_run_counts_each_excluded_address_of_a_name() {
    let run = "\"$portmuster\" check many.example:1 127.0.0.1:1 --all-addresses \
        --exclude 127.2.0.0/24 -o jsonl=rows --journal journal";
    let Some(ended) = sh_with_hosts(&many_hosts(300), &format!("{run}; {run} --resume; cat rows"))
    else {
        return;
    };
    assert_eq!(ended.rows().len(), 51);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let first = ended.stderr.lines().next().expect("a summary");
    assert!(first.contains("301 targets = 51 closed + 250 excluded, in "), "{ended:?}");
    assert!(ended.stderr.contains("nothing is left to do"), "{ended:?}");
}

const TWO_ADDRESSES: &str = "127.0.0.2 db.example\n127.0.0.3 db.example\n";

#[test]
fn refusal_is_no_proof_while_an_address_was_not_tried() {
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
    assert!(ended.stderr.contains("1 refused-in-part (db.example:1 at 127.0.0.2)"), "{ended:?}");
}
