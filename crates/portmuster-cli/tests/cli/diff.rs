//! `portmuster diff`: changes between two runs, and inputs that are not runs.

use std::{fs, net::IpAddr, path::Path};

use portmuster_lab::{Behaviour, Server};
use rusqlite::Connection;
use rustix::process::Signal;
use serde::Deserialize;

use crate::{
    folder::Folder,
    program::{Ended, Running, check, program, run},
    servers::{start, target},
    shell::sh,
};

/// Schema 1 of a change as the documentation specifies it, declared independently of the program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    schema: u32,
    host: String,
    port: u16,
    changes: Vec<String>,
    #[serde(default)]
    new_findings: Vec<String>,
    #[serde(default)]
    gone_findings: Vec<String>,
    old: Option<ChangeSide>,
    new: Option<ChangeSide>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "deny_unknown_fields checks them")]
struct ChangeSide {
    state: String,
    reason: String,
    address: Option<IpAddr>,
    service: Option<String>,
    banner: Option<String>,
    banner_base64: Option<String>,
    ssh_protocol: Option<String>,
    ssh_software: Option<String>,
    ssh_comment: Option<String>,
    protocol: Option<String>,
    #[serde(default)]
    findings: Vec<String>,
}

fn changes(ended: &Ended) -> Vec<Change> {
    let lines = ended.stdout.lines();
    lines.map(|line| serde_json::from_str(line).expect("it fits the schema")).collect()
}

fn diff(arguments: &[&str]) -> Ended {
    run(program().arg("diff").args(arguments))
}

/// A temporary folder of run files.
struct Runs(Folder);

impl Runs {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0.path())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        self.0.write(name, content);
        self.path(name)
    }

    /// Checks the servers and writes their rows to a file. Returns its path.
    fn check(&self, name: &str, servers: &[&Server]) -> String {
        let path = self.path(name);
        let output = format!("jsonl={path}");
        let targets = servers.iter().map(|server| target(server));
        let ended = check(targets.chain(["-o".to_owned(), output]));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        path
    }
}

fn row(host: &str, port: u16, more: &str) -> String {
    format!(
        r#"{{"schema":1,"host":"{host}","port":{port},"open":true,"attempts":1,"time":"x",{more}}}"#
    ) + "\n"
}

const CLOSED: &str = r#""state":"closed","reason":"refused""#;
const FILTERED: &str = r#""state":"filtered","reason":"no-answer""#;
const TELNET: &str =
    r#""state":"open","reason":"accepted","service":"telnet","banner":"a\u001b[2J login:""#;
const OLD_SSH: &str = r#""state":"open","reason":"accepted","service":"ssh","ssh_protocol":"2.0","ssh_software":"OpenSSH_7.4","kex_algorithms":[],"findings":["cbc"]"#;
const NEW_SSH: &str = r#""state":"open","reason":"accepted","service":"ssh","ssh_protocol":"2.0","ssh_software":"OpenSSH_9.9","kex_algorithms":[],"findings":["terrapin"],"of_a_later_version":{"x":1}"#;

/// Writes two runs that contain one change of each kind.
fn two_runs(runs: &Runs) -> [String; 2] {
    let old = [
        row("192.0.2.1", 22, OLD_SSH),
        row("192.0.2.1", 23, CLOSED),
        row("192.0.2.2", 23, TELNET),
        row("192.0.2.3", 23, TELNET),
        row("192.0.2.4", 23, FILTERED),
        row("192.0.2.5", 23, CLOSED),
        row("db.example", 22, OLD_SSH),
    ];
    let new = [
        row("192.0.2.4", 23, TELNET),
        row("192.0.2.3", 23, FILTERED),
        row("192.0.2.2", 23, CLOSED),
        row("192.0.2.1", 23, TELNET),
        row("192.0.2.1", 22, NEW_SSH),
        row("2001:db8::1", 23, CLOSED),
        row("db.example", 22, OLD_SSH),
    ];
    [runs.write("old.jsonl", old.concat()), runs.write("new.jsonl", new.concat())]
}

#[test]
fn table_shows_each_kind_of_change() {
    let runs = Runs::new();
    let [old, new] = two_runs(&runs);
    let ended = diff(&[&old, &new]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    insta::assert_snapshot!("diff_table", ended.stdout);
    insta::assert_snapshot!("diff_summary", ended.stderr);

    let all = diff(&[&old, &new, "--show=all", "--quiet"]);
    assert_eq!((all.status, all.stderr.as_str()), (Some(1), ""));
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&all.stdout), lines(&ended.stdout) + 2, "{}", all.stdout);

    let coloured = diff(&[&old, &new, "--color=always"]);
    assert!(coloured.stdout.contains("\u{1b}[31m192.0.2.1:23 "), "{:?}", coloured.stdout);
    assert!(!ended.stdout.contains('\u{1b}'));
}

#[test]
fn json_lines_match_change_schema() {
    let runs = Runs::new();
    let [old, new] = two_runs(&runs);
    let ended = diff(&[&old, &new, "-o", "jsonl"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let changes = changes(&ended);
    let actual: Vec<_> = changes
        .iter()
        .map(|change| (change.host.as_str(), change.port, change.changes.join(" ")))
        .collect();
    assert_eq!(
        actual,
        [
            ("192.0.2.1", 22, "version new-findings gone-findings".to_owned()),
            ("192.0.2.1", 23, "opened".to_owned()),
            ("192.0.2.2", 23, "closed".to_owned()),
            ("192.0.2.3", 23, "no-answer".to_owned()),
            ("192.0.2.4", 23, "answers".to_owned()),
            ("192.0.2.5", 23, "went".to_owned()),
            ("2001:db8::1", 23, "came".to_owned()),
        ]
    );
    assert!(changes.iter().all(|change| change.schema == 1));
    assert_eq!(changes[0].new_findings, ["terrapin"]);
    assert_eq!(changes[0].gone_findings, ["cbc"]);
    let sides = |change: &Change| (change.old.is_some(), change.new.is_some());
    assert_eq!(
        [0, 5, 6].map(|it| sides(&changes[it])),
        [(true, true), (true, false), (false, true)]
    );
    assert!(!ended.stdout.contains('\u{1b}'), "{}", ended.stdout);
}

#[test]
fn changed_servers_are_reported() {
    let runs = Runs::new();
    let (stays, goes) = (start(Behaviour::SshWeak), start(Behaviour::Telnet));
    let old = runs.check("old.jsonl", &[&stays, &goes]);
    let came = start(Behaviour::Telnet);
    let gone = target(&goes);
    drop(goes);
    let again = runs.check("again.jsonl", &[&stays]);
    let rows = fs::read_to_string(&again).expect("it is text");
    let (host, port) = gone.split_once(':').expect("an IPv4 endpoint");
    let refused = row(host, port.parse().expect("a port"), CLOSED);
    let new = runs.check("new.jsonl", &[&came]);
    let new = fs::read_to_string(new).expect("it is text") + &rows + &refused;
    let new = runs.write("both.jsonl", new);

    let ended = diff(&[&old, &new, "-o=jsonl"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let mut actual: Vec<_> = changes(&ended)
        .iter()
        .map(|change| (format!("{}:{}", change.host, change.port), change.changes.join(" ")))
        .collect();
    let mut expected = vec![(gone, "closed".to_owned()), (target(&came), "came".to_owned())];
    actual.sort();
    expected.sort();
    assert_eq!(actual, expected);

    let same = diff(&[&old, &old]);
    assert_eq!((same.status, same.stdout.as_str()), (Some(0), ""), "{same:?}");
    let expected = format!(
        "portmuster: {old} is compared with itself\nportmuster: 2 targets before, 2 now; 0 changed\n"
    );
    assert_eq!(same.stderr, expected);
}

/// End of the summary when one target may not have been reached by an incomplete run.
const NOT_REACHED: &str = " 0 changed\n\
    portmuster: 1 target was not reached by an incomplete run, and is not compared\n";

#[test]
fn truncated_run_is_reported() {
    let runs = Runs::new();
    let [old, _] = two_runs(&runs);
    let content = fs::read_to_string(&old).expect("it is text");
    let cut = runs.write("cut.jsonl", &content[..content.len() - 10]);
    for arguments in [[&old, &cut], [&cut, &old]] {
        let ended = diff(&arguments.map(String::as_str));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.stderr.contains("cut.jsonl ends in the middle of a row"), "{ended:?}");
        assert!(ended.stderr.ends_with(NOT_REACHED), "{ended:?}");
    }
    // A last line without a line end is still a whole row.
    let whole = runs.write("whole.jsonl", content.trim_end());
    let ended = diff(&[&old, &whole]);
    assert_eq!(ended.stderr, "portmuster: 7 targets before, 7 now; 0 changed\n");

    let empty = runs.write("empty.jsonl", "");
    let ended = diff(&[&empty, &empty]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.stderr.contains("empty.jsonl has no rows"), "{}", ended.stderr);
}

#[test]
fn invalid_run_error_names_line() {
    let runs = Runs::new();
    let [old, _] = two_runs(&runs);
    let good = row("192.0.2.1", 23, CLOSED);
    let folder = runs.0.path().to_owned();
    for (content, complaint) in [
        (r#"{"ip":"192.0.2.1","ports":[{"port":22}]}"#.to_owned(), "line 1: not a row as"),
        (format!("{good}{}{good}", "{\"schema\":2}\n"), "line 2: schema 2 is not supported"),
        (format!("{good}{}\n{good}", &good[..30]), "line 2: not a row as"),
        (good.replace("closed", "\\u001b]0;x"), "line 1: not a row as"),
        ("TARGET STATE\n".to_owned(), "line 1: not a row as"),
    ] {
        let bad = runs.write("bad.jsonl", content);
        for arguments in [[&old, &bad], [&bad, &old]] {
            let ended = diff(&arguments.map(String::as_str));
            assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
            let start = format!("error: reading the run {bad:?}: {complaint}");
            assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
            assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);
        }
    }
    for (bad, complaint) in
        [(folder.as_str(), "Is a directory"), (&runs.path("none.jsonl"), "No such file")]
    {
        let ended = diff(&[&old, bad]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(bad) && ended.stderr.contains(complaint), "{ended:?}");
    }
    let ended = diff(&["-", "-"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("only one run can be read"), "{ended:?}");
}

#[test]
fn stdin_run_is_compared_and_closed_stdout_is_no_error() {
    let runs = Runs::new();
    let [_, new] = two_runs(&runs);
    let folder = Path::new(&new).parent().and_then(Path::to_str).expect("the path is UTF-8");
    let ended =
        sh("cat \"$1/old.jsonl\" | \"$portmuster\" diff - \"$1/new.jsonl\" | wc -l", folder);
    assert_eq!(ended.stdout.trim(), "6", "{ended:?}");
    // These rows exceed the capacity of a pipe.
    runs.write(
        "many.jsonl",
        (1..=9_999).map(|port| row("192.0.2.9", port, TELNET)).collect::<String>(),
    );
    let script = "{ \"$portmuster\" diff \"$1/old.jsonl\" \"$1/many.jsonl\"; echo $? >&2; } | :";
    assert_eq!(sh(script, folder).stderr, "0\n");
    let script = "\"$portmuster\" diff -q \"$1/old.jsonl\" \"$1/new.jsonl\" >/dev/full";
    let ended = sh(script, folder);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.starts_with("error: writing standard output: "), "{ended:?}");
}

/// Checks the targets and adds the run to the database.
fn audit(database: &str, arguments: &[&str]) -> Ended {
    let output = format!("sqlite={database}");
    check([&["-o", output.as_str(), "-q"], arguments].concat())
}

#[test]
fn audit_database_reports_new_telnet_server() {
    let runs = Runs::new();
    let (database, inventory) = (runs.path("audit #1.db"), runs.path("inventory.txt"));
    let (ssh, telnet) = (start(Behaviour::Ssh), start(Behaviour::Telnet));
    let lists = [
        format!("{}\n", target(&ssh)),
        format!("{} core-sw1\n{}\n", target(&ssh), target(&telnet)),
    ];
    for list in lists {
        fs::write(&inventory, list).expect("the folder is writable");
        assert_eq!(audit(&database, &["-i", &inventory]).status, Some(0));
    }
    let named = |run: &str| format!("{database}{run}");
    let ended = diff(&[&named("#-2"), &named("#last"), "-o", "jsonl"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let changes = changes(&ended);
    assert_eq!(changes.len(), 1, "{ended:?}");
    let telnet_came = (telnet.endpoint().port(), "came".to_owned());
    assert_eq!((changes[0].port, changes[0].changes.join(" ")), telnet_came);
    for (old, new, status) in [("#1", "#2", 1), ("#2", "", 0), ("", "#-1", 0), ("#2", "#1", 1)] {
        let ended = diff(&[&named(old), &named(new)]);
        assert_eq!(ended.status, Some(status), "{old} {new}: {ended:?}");
    }
    // A run in JSON lines equals the same run in a database.
    let rows = runs.check("rows.jsonl", &[&ssh, &telnet]);
    assert_eq!(diff(&[&rows, &named("")]).status, Some(0));
}

#[test]
fn unknown_database_run_is_refused() {
    let runs = Runs::new();
    let (database, [rows, _]) = (runs.path("audit.db"), two_runs(&runs));
    assert_eq!(audit(&database, &["127.0.0.1:1"]).status, Some(0));
    let empty = runs.write("empty", "");
    for (run, complaint) in [
        (format!("{database}#7"), "no run 7: the database has one run, 1"),
        (format!("{database}#-2"), "no run #-2: the database has one run, 1"),
        (format!("{database}#first"), "a run is last, -1 (the last), -2 (the one before)"),
        (format!("{database}#"), "a run is last, -1 (the last), -2 (the one before)"),
        (format!("{rows}#1"), "only databases contain several runs"),
        (format!("{empty}#1"), "only databases contain several runs"),
        (runs.path("none.db#1"), "No such file"),
    ] {
        let ended = diff(&[&run, &database]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(&run) && ended.stderr.contains(complaint), "{ended:?}");
    }
    let script =
        "cp \"$1\" \"$1.foreign\" && printf 'SQLite format 3\\0 and no more' >\"$1.foreign\"
        \"$portmuster\" diff \"$1.foreign\" \"$1\"";
    let ended = sh(script, &database);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("not a portmuster database"), "{ended:?}");
}

#[test]
fn run_whose_rows_were_deleted_is_refused() {
    let runs = Runs::new();
    let database = runs.path("audit.db");
    let output = format!("sqlite={database}");
    assert_eq!(check(["127.0.0.0/29:1", "-o", &output]).status, Some(0));
    assert_eq!(check(["127.0.0.0/29:1", "-o", &output, "--show", "open"]).status, Some(0));
    let ended = diff(&[&database, &database]);
    assert_eq!(ended.status, Some(0), "only open targets have rows: {ended:?}");
    let delete = "DELETE FROM outcomes WHERE id = 3";
    Connection::open(&database).and_then(|file| file.execute(delete, ())).expect("it is writable");
    let changed = format!("{database}#1");
    for arguments in [[&changed, &database], [&database, &changed]] {
        let ended = diff(&arguments.map(String::as_str));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let reason = "run 1 is damaged: of its 8 rows of closed targets the database has 7; ";
        assert!(ended.stderr.contains(reason), "{ended:?}");
    }
}

#[test]
fn targets_left_by_stopped_run_are_not_changes() {
    let runs = Runs::new();
    let database = runs.path("audit.db");
    let output = format!("sqlite={database}");
    let (refused, silent) = (start(Behaviour::Refused), start(Behaviour::Silent));
    let targets = [target(&refused), target(&silent), "--order=given".to_owned()];
    let short = ["--first-byte=100ms", "--deadline=2s", "-o"].map(str::to_owned);
    let whole = check(targets.iter().chain(&short).chain([&output]));
    assert_eq!(whole.status, Some(0), "{whole:?}");

    let long = ["--first-byte=1h", "--deadline=1h", "-o=jsonl", "-o"].map(str::to_owned);
    let mut running = Running::check(targets.iter().chain(&long).chain([&output]));
    assert_eq!(running.row().state, "closed");
    running.signal(Signal::INT);
    assert_eq!(running.end().status, Some(130));

    let whole = format!("{database}#1");
    for arguments in [[&whole, &database], [&database, &whole]] {
        let ended = diff(&arguments.map(String::as_str));
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
        assert!(
            ended.stderr.contains("audit.db (run 2) was stopped with 1 target left"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("nothing is known about its missing targets"), "{ended:?}");
        assert!(ended.stderr.ends_with(NOT_REACHED), "{ended:?}");
    }
}
