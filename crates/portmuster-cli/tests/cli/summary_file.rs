//! The file of `--summary`: whose content is never lost, and what a killed run leaves in it.

use std::{fs, path::Path};

use portmuster_lab::Behaviour;
use rustix::process::Signal;

use crate::{
    certainty::RunSummary,
    database::{assert_intact, open},
    folder::{Folder, output, read},
    program::{LIMIT, Running, check},
    servers::{start, target},
    shell::sh,
};

const BUSY: &str = "another run is writing to it, or another program has locked it";
const EXISTS: &str = "it exists: --append appends to it, --force overwrites it";

/// Starts a run that has checked one target and waits for more.
fn start_run(summary: &Path, flags: &[&str]) -> Running {
    let summary = output("json", summary);
    let arguments = ["-i", "-", "-o", "jsonl", "--summary", &summary];
    let mut running = Running::check([&arguments[..], flags].concat());
    running.feed("127.0.0.1:1\n");
    running.row();
    running
}

#[test]
fn summary_file_is_locked_from_the_start_of_the_run() {
    let folder = Folder::new();
    let (file, journal) = (folder.file("summary.json"), folder.file("journal"));
    let running = start_run(&file, &[]);
    assert_eq!(read(&file), "");
    let [summary, rows, database] = ["json", "jsonl", "sqlite"].map(|format| output(format, &file));
    let journal = journal.display().to_string();
    let own = output("jsonl", &folder.file("rows"));
    for (arguments, reason) in [
        (&["--summary", &summary][..], EXISTS),
        (&["--summary", &summary, "--force"], BUSY),
        (&["--summary", &summary, "--append"], BUSY),
        (&["--summary", &summary, "-o", &own, "--journal", &journal, "--resume"], BUSY),
        (&["-o", &rows], EXISTS),
        (&["-o", &rows, "--force"], BUSY),
        (&["-o", &database], BUSY),
    ] {
        let ended = check([&["127.0.0.1:1"], arguments].concat());
        assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{arguments:?}: {ended:?}");
        assert_eq!(read(&file), "", "{arguments:?}");
    }
    assert_eq!(running.end().status, Some(0));
    assert_eq!(RunSummary::read(&read(&file)).status, 0);
}

#[test]
fn file_that_another_program_made_during_the_run_is_kept() {
    let folder = Folder::new();
    let replaced = folder.write("other", "precious\n");
    for name in ["written", "replaced", "removed", "database"] {
        let file = folder.file(name);
        let running = start_run(&file, &[]);
        let expected = match name {
            "written" => {
                fs::write(&file, "precious\n").expect("it is writable");
                "has written to it"
            }
            "removed" => {
                fs::remove_file(&file).expect("it exists");
                "has removed, moved or replaced it during the run, so the summary is missing there"
            }
            "replaced" => {
                fs::rename(&replaced, &file).expect("it exists");
                "has removed, moved or replaced it"
            }
            _ => {
                fs::remove_file(&file).expect("it exists");
                let ended = check(["127.0.0.1:1", "-o", &output("sqlite", &file)]);
                assert_eq!(ended.status, Some(0), "{ended:?}");
                "has removed, moved or replaced it"
            }
        };
        let ended = running.end();
        assert_eq!(ended.status, Some(3), "{name}: {ended:?}");
        let message = format!("writing the summary {}: another program {expected}", file.display());
        assert!(ended.stderr.contains(&message), "{name}: {ended:?}");
        match name {
            "removed" => assert!(!file.exists()),
            "database" => assert_intact(&open(&file)),
            _ => assert_eq!(read(&file), "precious\n", "{name}"),
        }
    }
}

#[test]
fn killed_run_leaves_no_summary_of_an_earlier_run() {
    let server = start(Behaviour::Silent);
    let folder = Folder::new();
    let (file, target) = (folder.file("summary.json"), target(&server));
    let (summary, rows) = (output("json", &file), output("jsonl", &folder.file("rows")));
    let journal = folder.file("journal").display().to_string();
    let run = |flags: &[&'static str]| {
        let arguments = [
            "127.0.0.1:1",
            &target,
            "--first-byte=1h",
            "--deadline=1h",
            "--speak-first=never",
            "--journal",
            &journal,
            "-o",
            &rows,
            "--summary",
            &summary,
        ];
        Running::check([&arguments[..], flags].concat())
    };
    for (flags, connections) in [(&["--force"][..], 2), (&["--resume"], 4)] {
        let running = run(&["--force"]);
        server.wait_for(LIMIT, |counts| counts.accepted == connections - 1);
        running.signal(Signal::INT);
        assert_eq!(running.end().status, Some(130));
        assert!(RunSummary::read(&read(&file)).interrupted);

        let running = run(flags);
        server.wait_for(LIMIT, |counts| counts.accepted == connections);
        running.signal(Signal::KILL);
        assert_eq!(running.end().status, None);
        assert_eq!(read(&file), "", "{flags:?}");
    }
}

#[test]
fn resumed_run_replaces_only_one_summary() {
    let folder = Folder::new();
    let at = |name: &str| folder.file(name).display().to_string();
    let (rows, journal) = (output("jsonl", &folder.file("rows")), at("journal"));
    let check_into = |name: &str, flags: &[&str]| {
        let summary = output("json", &folder.file(name));
        let arguments =
            ["127.0.0.1:1", "-o", &rows, "--journal", &journal, "--resume", "--summary", &summary];
        check([&arguments[..], flags].concat())
    };
    folder.write("other", "precious\n");
    let refuse_other = |when: &str| {
        let ended = check_into("other", &[]);
        assert_eq!(ended.status, Some(2), "{when}: {ended:?}");
        let reason = "it exists, and contains something other than the summary of a run: --append appends \
                      to it, --force overwrites it\n";
        assert!(ended.stderr.contains(reason), "{when}: {ended:?}");
        assert_eq!(read(&folder.file("other")), "precious\n", "{when}");
    };
    refuse_other("the run starts");
    assert!(!folder.file("rows").exists() && !folder.file("journal").exists());
    folder.write("empty", "");
    assert_eq!(check_into("empty", &[]).status, Some(0));
    refuse_other("the run is complete");

    let first = read(&folder.file("empty"));
    RunSummary::read(&first);
    assert_eq!(check_into("empty", &[]).status, Some(0), "the summary is replaced");
    RunSummary::read(&read(&folder.file("empty")));
    assert_eq!(check_into("empty", &["--append"]).status, Some(0));
    let both = read(&folder.file("empty"));
    assert_eq!(both.lines().count(), 2, "{both}");
    assert_eq!(check_into("empty", &[]).status, Some(2), "there are two");
    assert_eq!(read(&folder.file("empty")), both);
    assert_eq!(check_into("other", &["--force"]).status, Some(0));
    RunSummary::read(&read(&folder.file("other")));
}

#[test]
fn summary_is_not_appended_to_an_incomplete_line() {
    let folder = Folder::new();
    let file = folder.write("summary.json", "{\"half\":");
    let ended = check(["127.0.0.1:1", "--append", "--summary", &output("json", &file)]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("it ends in the middle of a line"), "{ended:?}");
    assert_eq!(read(&file), "{\"half\":");
}

#[test]
fn run_that_is_refused_leaves_no_new_summary_and_changes_no_old_one() {
    let folder = Folder::new();
    let (new, old) = (folder.file("new"), folder.write("old", "old\n"));
    for file in [&new, &old] {
        let rows = output("jsonl", &folder.file("nowhere/rows"));
        let arguments = ["127.0.0.1:1", "--force", "-o", &rows, "--summary", &output("json", file)];
        let ended = check(arguments);
        assert_eq!(ended.status, Some(2), "{ended:?}");
    }
    assert!(!new.exists());
    assert_eq!(read(&old), "old\n");
}

#[test]
fn summary_file_is_protected_as_outputs_are() {
    let folder = Folder::new();
    folder.write("list", "127.0.0.1:1\n");
    folder.write("old.json", "old\n");
    let refused = |arguments: &str, reason: &str| {
        let script = format!("cd \"$1\"; exec \"$portmuster\" check -i list {arguments}");
        let ended = sh(&script, folder.path());
        assert_eq!(ended.status, Some(2), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{arguments}: {ended:?}");
        assert_eq!(read(&folder.file("old.json")), "old\n", "{arguments}");
        assert_eq!(read(&folder.file("list")), "127.0.0.1:1\n", "{arguments}");
    };
    let into = |name: &str| format!("-o jsonl=rows --summary json={name}");
    refused(&into("old.json"), "it exists: --append appends to it, --force overwrites it");
    refused(&into("rows"), "rows is another output as well: give the summary its own file");
    refused(&into("./rows"), "is another output as well");
    refused(&format!("--force {}", into("list")), "the run reads it as an input");
    refused(&format!("{} --journal old.json --force", into("old.json")), "another output as well");
    refused(&into("nowhere/x.json"), "opening the summary nowhere/x.json: No such file");
    refused(&into("."), "Is a directory");
    refused("--summary json=x.json >>x.json", "is another output as well");
    refused("--summary json=-", "an output goes to stdout as well");
    refused("-o sqlite=a.db --summary json=a.db-wal", "is a file that SQLite uses");
    refused("--summary x.json", "did you mean: portmuster check -i list --summary json=x.json");
    refused("--summary json=x.json --list", "cannot be used with");
    assert!(!folder.file("rows").exists() && !folder.file("a.db").exists());
}

#[test]
fn summary_file_is_replaced_or_extended_and_a_failure_is_reported() {
    let folder = Folder::new();
    let file = folder.write("summary.json", "old\n");
    let summary = output("json", &file);
    let ended = check(["127.0.0.1:1", "--force", "--summary", &summary]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let first = read(&file);
    let status = RunSummary::read(&first).status;
    assert_eq!((status, fs::read_dir(folder.path()).expect("it exists").count()), (0, 1));
    let ended = check(["127.0.0.1:1", "--append", "--summary", &summary]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let both = read(&file);
    RunSummary::read(both.strip_prefix(&first).expect("the first line stays"));

    let ended = check(["127.0.0.1:1", "--summary", "json=/dev/full"]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("writing the summary /dev/full: No space left"), "{ended:?}");
}
