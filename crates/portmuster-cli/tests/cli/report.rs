//! `portmuster report`: pages, Markdown and JSON of runs in files and databases.

use std::fs;

use portmuster_lab::Behaviour;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    folder::{Folder, output, read},
    journal::JournaledRun,
    program::{Ended, Running, check, program, run, wait_until},
    servers::{start, target},
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/report.md");

fn report(arguments: &[&str]) -> Ended {
    run(program().arg("report").args(arguments))
}

fn json(arguments: &[&str]) -> Value {
    let ended = report(&[arguments, &["--json"]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("it is JSON")
}

fn row(host: &str, more: &str) -> String {
    format!(r#"{{"schema":1,"host":"{host}","port":23,"attempts":1,{more}}}"#) + "\n"
}

const CLOSED: &str = r#""open":false,"state":"closed","reason":"refused""#;
const TELNET: &str = r#""open":true,"state":"open","reason":"accepted","service":"telnet""#;

#[test]
fn page_of_a_database_has_the_targets_and_how_they_were_checked() {
    let folder = Folder::new();
    let (database, page) = (folder.file("audit.db"), folder.file("report.html"));
    let telnet = start(Behaviour::Telnet);
    let ended =
        check([target(&telnet), "127.0.0.1:1".into(), "-o".into(), output("sqlite", &database)]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let (run, file) = (database.display().to_string(), page.display().to_string());
    let ended = report(&[&run, "-o", &file]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
    let notes = format!(
        "portmuster: Telnet was found on 1 of 2 targets.\nportmuster: written: {file} (html)\n"
    );
    assert_eq!(ended.stderr, notes);
    let html = read(&page);
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    let account = "2 targets = 1 open + 1 closed (refused) + 0 filtered (no answer)";
    for part in [
        &target(&telnet),
        "<span>portmuster</span> <span>check</span>",
        "default-src &#39;none&#39;",
        account,
    ] {
        assert!(html.contains(part) || html.contains(&part.replace("&#39;", "'")), "{part}");
    }
    assert_eq!(json(&[&run])["verdict"]["coverage"], "counted");
}

#[test]
fn summary_adds_the_account_and_the_gates_to_rows() {
    let folder = Folder::new();
    let (rows, summary) = (folder.file("rows.jsonl"), folder.file("summary.json"));
    let telnet = start(Behaviour::Telnet);
    let ended = check([
        target(&telnet),
        "--forbid=telnet".into(),
        "-o".into(),
        output("jsonl", &rows),
        "--summary".into(),
        output("json", &summary),
    ]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let (rows, summary) = (rows.display().to_string(), summary.display().to_string());
    let alone = json(&[&rows]);
    assert_eq!(
        (&alone["gates"], &alone["verdict"]["coverage"]),
        (&Value::Null, &"rows-only".into())
    );
    let report = json(&[&rows, "--summary", &summary]);
    assert_eq!(report["verdict"]["coverage"], "counted");
    assert_eq!(report["gates"]["violated"], true);
    assert_eq!(report["gates"]["items"][0]["found"], 1);
    assert_eq!(report["run"]["status"], 1);
}

#[test]
fn changes_since_an_earlier_run_are_in_every_format() {
    let folder = Folder::new();
    let first = format!("{CLOSED},\"time\":\"2026-11-22T10:00:00Z\"");
    let old = folder.write("old.jsonl", row("192.0.2.1", &first) + &row("192.0.2.2", TELNET));
    let new = folder.write("new.jsonl", row("192.0.2.1", TELNET) + &row("192.0.2.2", TELNET));
    let [old, new] = [old, new].map(|file| file.display().to_string());
    let changes = &json(&[&new, "--since", &old])["changes"];
    assert_eq!((&changes["changed"], &changes["new_telnet"]), (&1.into(), &1.into()));
    assert_eq!(changes["lines"][0]["target"], "192.0.2.1:23");
    assert!(
        changes["sentence"].as_str().is_some_and(|it| it.contains(" of 2026-11-22")),
        "{changes}"
    );
    let markdown = report(&[&new, "--since", &old, "--markdown"]);
    assert!(
        markdown.stdout.contains("| `192.0.2.1:23` | new telnet&#58; opened |"),
        "{markdown:?}"
    );
    let page = report(&[&new, "--since", &old, "-o", "-"]);
    assert!(page.stdout.contains("New: 1 telnet. Gone: none. 0 other changes."), "{}", page.stderr);
}

#[test]
fn existing_file_is_replaced_only_with_force_and_as_a_whole() {
    let folder = Folder::new();
    let run = folder.write("run.jsonl", row("192.0.2.1", CLOSED)).display().to_string();
    let page = folder.write("report.html", "precious");
    let file = page.display().to_string();
    let refused = report(&[&run, "-o", &file]);
    assert_eq!(refused.status, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("it exists: choose another file"), "{refused:?}");
    let broken = folder.write("broken.jsonl", "not a row\n").display().to_string();
    assert_eq!(report(&[&broken, "-o", &file, "--force"]).status, Some(2));
    assert_eq!(read(&page), "precious", "a report that fails changes nothing");
    assert_eq!(report(&[&run, "-o", &file, "--force"]).status, Some(0));
    assert!(read(&page).starts_with("<!doctype html>"));
    let entries = fs::read_dir(folder.path()).expect("it exists").count();
    assert_eq!(entries, 3, "no other file is left");
}

#[test]
fn report_never_replaces_the_run_that_it_reads() {
    let folder = Folder::new();
    let run = folder.write("run.jsonl", row("192.0.2.1", CLOSED)).display().to_string();
    let ended = report(&[&run, "-o", &run, "--force"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("it is the run that is read"), "{ended:?}");
}

#[test]
fn unreadable_runs_are_refused_with_the_line() {
    let folder = Folder::new();
    let row = row("192.0.2.1", CLOSED);
    let write = |content: String| folder.write("run.jsonl", content).display().to_string();
    let error = |content: String| {
        let ended = report(&[&write(content), "--json"]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
        ended.stderr
    };
    assert!(error(format!("{row}{{}}\n{row}")).contains("line 2: not a row"));
    let newer = row.replace("\"schema\":1", "\"schema\":2");
    assert!(error(newer).contains("line 1: schema 2 is not supported"));
    let two = report(&["-", "--since", "-", "--json"]);
    assert!(two.stderr.contains("can be read only once"), "{two:?}");
    let summary = folder.write("summary.json", "{}").display().to_string();
    let ended = report(&[&write(row.clone()), "--summary", &summary, "--json"]);
    assert!(ended.stderr.contains("not a summary as portmuster check --summary"), "{ended:?}");

    let cut = write(format!("{row}{}", &row[..20]));
    let ended = report(&[&cut, "--json"]);
    assert!(ended.stderr.contains("ends in the middle of a row"), "{ended:?}");
    assert!(ended.stdout.contains("\"coverage\": \"partial\""), "{ended:?}");
}

#[test]
fn check_writes_a_page_with_its_gates() {
    let folder = Folder::new();
    let page = folder.file("report.html");
    let telnet = start(Behaviour::Telnet);
    let html = output("html", &page);
    let ended = check([target(&telnet), "--forbid=telnet".into(), "-o".into(), html.clone()]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let text = read(&page);
    assert!(text.starts_with("<!doctype html>") && text.contains("Gates: violated"));
    assert!(text.contains(&target(&telnet)));
    let again = check(["127.0.0.1:1".into(), "-o".into(), html]);
    assert_eq!(again.status, Some(2), "{again:?}");
    assert_eq!(read(&page), text);
    let stdout = check(["127.0.0.1:1", "-o", "html"]);
    assert!(stdout.stderr.contains("a page needs a file: use html=FILE"), "{stdout:?}");
}

#[test]
fn rows_that_a_killed_run_left_become_a_page_of_an_incomplete_run() {
    let folder = Folder::new();
    let page = folder.file("report.html");
    let html = output("html", &page);
    let mut running = Running::check(["-i", "-", "-o", "jsonl", "-o", &html]);
    running.feed("127.0.0.1:1\n");
    running.row();
    wait_until("the page has a row", || read(&page).lines().count() == 2);
    running.signal(Signal::KILL);
    running.end();
    let report = json(&[&page.display().to_string()]);
    assert_eq!(
        (&report["verdict"]["coverage"], &report["run"]["rows"]),
        (&"partial".into(), &1.into())
    );
    let command = report["run"]["command"].as_str().expect("it is text");
    assert!(command.contains("check -i - -o jsonl"), "{command}");
}

#[test]
fn page_documents_every_option_and_field() {
    let page = fs::read_to_string(PAGE).expect("the page exists");
    let help = report(&["--help"]).stdout;
    let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
    let options = options.map(|word| word.trim_end_matches(|it: char| !it.is_ascii_lowercase()));
    for option in options.filter(|option| !["--help", "--color"].contains(option)) {
        assert!(
            page.contains(&format!("`{option}`")) || page.contains(&format!("{option} ")),
            "{option}"
        );
    }
    let folder = Folder::new();
    let run = folder.write("run.jsonl", row("192.0.2.1", CLOSED)).display().to_string();
    let report = json(&[&run]);
    let fields: Vec<_> = report.as_object().expect("an object").keys().collect();
    for field in &fields {
        assert!(page.contains(&format!("\n| `{field}` |")), "{field}");
    }
    let table = page.split("## The report in JSON").nth(1).expect("it has this part");
    let rows = table.split("\n## ").next().unwrap_or_default().matches("\n| `").count();
    assert_eq!(rows, fields.len());
}

#[test]
fn resumed_run_completes_its_page() {
    let (telnet, silent) = (start(Behaviour::Telnet), start(Behaviour::Silent));
    let arguments = [&target(&telnet), &target(&silent), "--first-byte=1h", "--deadline=1h"];
    let arguments = [&arguments[..], &["--speak-first=never"]].concat();
    let run = JournaledRun::new(&["jsonl", "html"], &arguments);
    run.kill_with(1);
    let file = run.file("html");
    assert!(read(&file).contains(&format!("\"port\":{}", telnet.endpoint().port())));
    drop(silent);
    for _ in 0..2 {
        let ended = run.resume();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let page = read(&file);
        assert!(page.starts_with("<!doctype html>") && page.contains(&target(&telnet)));
        assert!(page.contains("2 targets = "), "both targets are counted");
    }
}
