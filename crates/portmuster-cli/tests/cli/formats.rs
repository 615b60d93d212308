//! Rows of the fixtures in each format, and the escaping of remote text.

use std::fs;

use portmuster_lab::{Behaviour, Lab, fixtures};

use crate::{
    folder::Folder,
    program::{Ended, check},
    row::{self, Row},
    servers::{by_fixture, start, start_lab, target, targets_except},
};

/// Limits for the slow fixtures, the same as in the demo.
const SHORT: [&str; 3] = ["--first-byte=6s", "--deadline=7s", "--per-host=max"];

/// Checks all fixtures. The table goes to stdout, and the JSON rows are read from a file.
fn check_fixtures(lab: &Lab) -> (Ended, Vec<Row>) {
    let folder = Folder::new();
    let file = folder.file("rows.jsonl");
    let jsonl = format!("jsonl={}", file.display());
    let targets = targets_except(lab, &[]);
    let mut arguments: Vec<_> = targets.iter().map(String::as_str).collect();
    arguments.extend(SHORT);
    arguments.extend(["--show=all", "-o=table", "-o", &jsonl]);
    let ended = check(arguments);
    let lines = fs::read_to_string(file).expect("it is a file of text");
    (ended, row::read(&lines))
}

/// Sorts the rows of a table and replaces ports and times by `#`.
fn redacted(table: &str) -> String {
    let mut lines = table.lines();
    let header = lines.next().expect("there is a header");
    let mut rows: Vec<_> = lines.map(redacted_row).collect();
    rows.sort();
    [&[header.to_owned()], &rows[..]].concat().join("\n")
}

fn redacted_row(row: &str) -> String {
    let (target, rest) = row.split_at(27);
    let (verdict, rest) = rest.split_at(25);
    let (time, details) = rest.split_at(9);
    assert!(target.starts_with("127.0.0.1:"), "{row}");
    assert!(time.trim_start().parse::<f64>().is_ok(), "{row}");
    // How much of the drip server's greeting has arrived depends on the time.
    let details = if details.starts_with("  welc") { "  welc…" } else { details };
    format!("127.0.0.1:#####            {verdict}      #.#{details}")
}

/// Returns whether a terminal would interpret the character instead of showing it.
fn is_control_or_bidi(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn assert_escaped(text: &str) {
    for line in text.lines() {
        assert!(!line.contains(is_control_or_bidi), "{line:?}");
    }
}

#[test]
fn fixtures_have_expected_table_and_json_rows() {
    let lab = start_lab();
    let (ended, rows) = check_fixtures(&lab);
    assert_eq!(ended.status, Some(0), "{ended:?}");

    insta::assert_snapshot!("fixtures_table", redacted(&ended.stdout));
    assert_escaped(&ended.stdout);

    assert_eq!(row::targets(&rows).len(), fixtures().len());
    for (name, row) in by_fixture(&lab, &rows) {
        let fixture =
            fixtures().iter().find(|fixture| fixture.name == name).expect("it is one of them");
        assert_eq!(row.state, fixture.state, "{name}");
        assert_eq!(row.service.as_deref(), fixture.service, "{name}");
    }

    let summary = ended.summary();
    assert_eq!(summary.targets, fixtures().len() as u64);
    let open = fixtures().iter().filter(|fixture| fixture.state == "open").count() as u64;
    assert_eq!((summary.of("open"), summary.of("closed")), (open, fixtures().len() as u64 - open));
    assert!(ended.stderr.contains(&services()), "{}", ended.stderr);
}

/// Returns the summary line that counts the services.
fn services() -> String {
    let count = |service: &str| {
        let fixtures = fixtures().iter().filter(|fixture| fixture.service == Some(service));
        format!("{} {service}", fixtures.count())
    };
    let services =
        ["ssh", "telnet", "telnet-likely", "tarpit", "silent", "closed-early", "other"].map(count);
    format!("open: {}", services.join(", "))
}

#[test]
fn json_lines_keep_remote_bytes_and_escape_them() {
    let (bytes, unicode) = (start(Behaviour::EscapeGreeting), start(Behaviour::UnicodeGreeting));
    let targets = [target(&bytes), target(&unicode)];
    let ended = check([&targets[0], &targets[1], "-o=jsonl", "--color=never"]);
    assert_escaped(&ended.stdout);
    let rows = ended.rows();
    let row = |port| rows.iter().find(|row| row.port == port).expect("it has a row");

    let unicode = row(unicode.endpoint().port());
    let greeting = "SSH-2.0-evil\u{1b}[31m\u{9b}2J\u{202e}gnp.exe\u{200b}";
    assert_eq!(unicode.banner.as_deref(), Some(greeting));

    let bytes = row(bytes.endpoint().port());
    assert_eq!(bytes.banner, None);
    let greeting = "U1NILTIuMC1ldmlsG10wO293bmVkBxtbMkobWzMxbQCbMzFt4oCuZ25wLmV4ZQ==";
    assert_eq!(bytes.banner_base64.as_deref(), Some(greeting));
}

#[test]
fn json_row_has_documented_fields() {
    let ended = check(["127.0.0.1:1", "-o=jsonl"]);
    let row = ended.stdout;
    let (before, rest) = row.split_once("\"total_ms\":").expect("a connection was tried");
    let (_, rest) = rest.split_once(',').expect("more fields follow");
    let (attempts, _) = rest.split_once(",\"time\":\"").expect("it has a time");
    assert_eq!(
        (before, attempts),
        (
            r#"{"schema":1,"host":"127.0.0.1","port":1,"open":false,"state":"closed","reason":"refused","address":"127.0.0.1","#,
            r#""attempts":1"#
        )
    );
}

#[test]
fn table_defaults_to_open_ports_and_json_lines_to_all() {
    let (ssh, refused) = (start(Behaviour::Ssh), start(Behaviour::Refused));
    let targets = [target(&ssh), target(&refused)];
    for (arguments, has_refused) in [
        (&["-o=table"][..], false),
        (&["-o=table", "--show=open"], false),
        (&["-o=table", "--show=all"], true),
        (&["-o=jsonl"], true),
        (&["-o=jsonl", "--show=all"], true),
        (&["-o=jsonl", "--show=open"], false),
    ] {
        let ended = check([&[targets[0].as_str(), &targets[1]], arguments].concat());
        let port = |server: &portmuster_lab::Server| server.endpoint().port().to_string();
        assert!(ended.stdout.contains(&port(&ssh)), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout.contains(&port(&refused)), has_refused, "{arguments:?}: {ended:?}");
    }
}

#[test]
fn table_without_rows_is_empty() {
    let ended = check(["127.0.0.1:1"]);
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.summary().of("closed"), 1);
}

#[test]
fn no_probe_reads_no_bytes() {
    let server = start(Behaviour::Silent);
    let ended = check([&target(&server), "--no-probe", "-o=jsonl"]);
    let rows = ended.rows();
    assert_eq!(rows[0].service.as_deref(), Some("not-probed"));
    assert_eq!((&rows[0].banner, rows[0].first_byte_ms), (&None, None));
}
