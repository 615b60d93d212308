//! Resuming runs, and refusing to resume without changing any file.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

use portmuster_lab::{Behaviour, Server};
use rusqlite::Connection;
use rustix::process::Signal;

use crate::{
    database::{column, open},
    folder::{Folder, output, wait_for_growth},
    journal::{COMPLETE, FileEvent, JournaledRun},
    program::{LIMIT, Running, check},
    row,
    servers::{start, start_on, target},
    shell::sh,
    summary::with_commas,
};

/// A run that was killed with one target left. The server of that target stays silent while
/// `silent` lives.
pub(crate) struct KilledRun {
    pub(crate) run: JournaledRun,
    silent: Server,
    pub(crate) targets: Vec<String>,
}

impl KilledRun {
    pub(crate) fn new(formats: &[&str]) -> Self {
        Self::with_flags(formats, &[])
    }

    /// As `new`, with additional arguments.
    pub(crate) fn with_flags(formats: &[&str], flags: &[&str]) -> Self {
        let (refused, silent) = (start(Behaviour::Refused), start(Behaviour::Silent));
        let mut targets = vec![target(&refused), target(&silent)];
        targets.extend((1..=4).map(|port| format!("127.0.0.1:{port}")));
        let mut arguments: Vec<_> = targets.iter().map(String::as_str).collect();
        arguments.extend(["--first-byte=1h", "--deadline=1h"]);
        arguments.extend(flags);
        let run = JournaledRun::new(formats, &arguments);
        run.kill_with(5);
        Self { run, silent, targets }
    }

    /// Returns the inode and content of every file in the folder.
    pub(crate) fn files(&self) -> BTreeMap<String, (u64, Vec<u8>)> {
        let entries = fs::read_dir(self.run.folder.path()).expect("it exists");
        let files = entries.map(|entry| entry.expect("it can be read"));
        files
            .map(|entry| {
                let inode = entry.metadata().expect("it exists").ino();
                let content = fs::read(entry.path()).expect("it can be read");
                (entry.file_name().to_string_lossy().into_owned(), (inode, content))
            })
            .collect()
    }

    /// Asserts that the arguments are refused for this reason and that no file has changed.
    pub(crate) fn assert_refused(&self, arguments: impl IntoIterator<Item = String>, reason: &str) {
        let before = self.files();
        let ended = check(arguments);
        assert_eq!(ended.status, Some(2), "{reason}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{reason} is not in {}", ended.stderr);
        assert!(before == self.files(), "it was refused ({reason}), but a file has changed");
    }

    pub(crate) fn assert_resume_refused(&self, reason: &str) {
        self.assert_refused(self.run.arguments(true), reason);
    }

    /// Returns the arguments of a resume with additional ones.
    fn with(&self, more: &[&str]) -> Vec<String> {
        let mut arguments = self.run.arguments(true);
        arguments.extend(more.iter().map(ToString::to_string));
        arguments
    }

    /// Resumes a run with gates, which the silent server may fail, and asserts that each target has
    /// one row.
    pub(crate) fn assert_resumed_with_gates(self) -> JournaledRun {
        drop(self.silent);
        let ended = self.run.resume();
        assert!(matches!(ended.status, Some(0 | 1)), "{ended:?}");
        assert_each_once(&self.run.file("jsonl"), &self.targets);
        self.run
    }

    /// Resumes the run and asserts that each target has one row.
    pub(crate) fn assert_resumed(self) -> JournaledRun {
        drop(self.silent);
        let ended = self.run.resume();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let note = format!("portmuster: resuming with 1 of {} targets left\n", self.targets.len());
        assert!(ended.stderr.starts_with(&note), "{}", ended.stderr);
        assert_eq!(ended.summary().of("closed"), self.targets.len() as u64);
        assert_each_once(&self.run.file("jsonl"), &self.targets);
        self.run
    }
}

/// Three thousand targets that refuse connections, because nothing listens on these addresses.
const REFUSED: &str = "127.9.0.0-127.9.11.183:1";

fn refused() -> Vec<String> {
    let hosts = (0..=11).flat_map(|high| (0..=255).map(move |low| (high, low)));
    hosts.take(3000).map(|(high, low)| format!("127.9.{high}.{low}:1")).collect()
}

pub(crate) fn assert_each_once(jsonl: &Path, targets: &[String]) {
    let rows = row::read(&fs::read_to_string(jsonl).expect("it exists"));
    let mut seen: Vec<_> = rows.iter().map(|row| format!("{}:{}", row.host, row.port)).collect();
    let mut targets = targets.to_vec();
    seen.sort();
    targets.sort();
    assert_eq!(seen, targets);
}

#[test]
fn outputs_may_be_named_in_another_order_when_a_run_resumes() {
    let killed = KilledRun::new(&["jsonl", "csv", "sqlite", "jsonl.second"]);
    let mut arguments = killed.run.arguments(true);
    let outputs: Vec<_> = (0..arguments.len()).filter(|&at| arguments[at] == "-o").collect();
    for (one, other) in [(0, 2), (1, 3)] {
        arguments.swap(outputs[one] + 1, outputs[other] + 1);
    }
    drop(killed.silent);
    for note in ["portmuster: resuming with 1 of 6 targets left\n", COMPLETE] {
        let ended = check(&arguments);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.starts_with(note), "{ended:?}");
    }
    for name in ["jsonl", "jsonl.second"] {
        assert_each_once(&killed.run.file(name), &killed.targets);
    }
    let lines = fs::read_to_string(killed.run.file("csv")).expect("it exists");
    assert_eq!(lines.lines().count(), killed.targets.len() + 1);
}

#[test]
fn resume_with_other_settings_is_refused_with_the_difference() {
    let killed = KilledRun::new(&["jsonl"]);
    for (more, differs) in [
        (&["127.0.0.1:5"][..], "targets was 6 ("),
        (&["--exclude=10.0.0.1"], "excludes was "),
        (&["-4"], "family was any, is ipv4"),
        (&["--seed=5"], "seed was "),
        (&["--order=given"], ", is none"),
        (&["--shard=1/2"], "shard was 1/1, is 1/2"),
        (&["--all-addresses"], "all-addresses was no, is yes"),
        (&["--source=127.0.0.1"], "source was any, is 127.0.0.1"),
        (&["--timeout=3s"], "timeout was 10s, is 3s"),
        (&["--retries=0"], "retries was 1, is 0"),
        (&["--no-kex"], "probe was key-exchange, is greeting"),
        (&["--evidence"], "evidence was no, is yes"),
        (&["--show=open"], "show was by-format, is open"),
        (&["--forbid=telnet"], "forbid was nothing, is telnet"),
        (&["--require-verdict"], "require-verdict was no, is yes"),
        (&["-p=22"], "ports was 22-23, is 22"),
        (&["-o=table"], "rows on stdout can't be truncated"),
        (&["-i=/dev/zero"], "a run that reads a stream can't be resumed"),
    ] {
        killed.assert_refused(killed.with(more), differs);
    }
    let elsewhere = format!("-o=csv={}", killed.run.file("more").display());
    killed.assert_refused(killed.with(&[&elsewhere]), "outputs were jsonl=");
    let other_method = ["--rate=max", "--per-host=max", "--in-flight=7", "--method=threads", "-v"];
    drop(killed.silent);
    let ended =
        check([killed.run.arguments(true), other_method.map(str::to_owned).to_vec()].concat());
    assert_eq!(ended.status, Some(0), "only rate and method differ: {ended:?}");
    assert_each_once(&killed.run.file("jsonl"), &killed.targets);
}

#[test]
fn existing_journal_is_refused_and_unchanged() {
    let killed = KilledRun::new(&["jsonl"]);
    let again = "it exists: --resume continues its run, --force overwrites it";
    killed.assert_refused(killed.run.arguments(false), again);
    killed.assert_resumed();
}

#[test]
fn invalid_journal_is_refused() {
    let killed = KilledRun::new(&["jsonl"]);
    let journal = killed.run.file("journal");
    let good = fs::read(&journal).expect("it exists");
    let write = |bytes: &[u8]| fs::write(&journal, bytes).expect("it is writable");
    write(b"");
    killed.assert_resume_refused("it exists, and there is no journal to resume its run from");
    let end = good.iter().position(|&byte| byte == b'\n').expect("it has a header");
    write(&[b"portmuster journal 1 00ff00ff00ff00ff 3", &good[end..]].concat());
    let named = "it was written by portmuster 0.1.0, but this is ";
    killed.assert_resume_refused(named);
    write(&[b"portmuster journal 5 7.3.0 x y z", &good[end..]].concat());
    killed.assert_resume_refused("it was written by portmuster 7.3.0, but this is ");
    write(b"{}\n");
    killed.assert_resume_refused("it is not a portmuster journal");
    write(&[&good[..], b" "].concat());
    killed.assert_resume_refused("it is damaged");
    for offset in (0..good.len()).step_by(good.len() / 12) {
        let mut damaged = good.clone();
        damaged[offset] ^= 0x20;
        write(&damaged);
        killed.assert_resume_refused("resuming from the journal");
        if offset > 0 {
            write(&good[..offset]);
            killed.assert_resume_refused("resuming from the journal");
        }
    }
    write(&good);
    killed.assert_resumed();
}

#[test]
fn replaced_or_truncated_output_is_refused() {
    let killed = KilledRun::new(&["jsonl", "csv"]);
    let (csv, aside) = (killed.run.file("csv"), killed.run.file("aside"));
    fs::rename(&csv, &aside).expect("it exists");
    killed.assert_resume_refused("opening the output");
    fs::copy(&aside, &csv).expect("it is writable");
    killed.assert_resume_refused("it is not the file that the run wrote");
    fs::rename(&aside, &csv).expect("it exists");
    let content = fs::read(&csv).expect("it exists");
    fs::write(&csv, &content[..content.len() - 1]).expect("it is writable");
    killed.assert_resume_refused(" that the run wrote");
    fs::write(&csv, &content).expect("it is writable");
    killed.assert_resumed();
}

/// Returns the runs and outcomes of a database, independent of its page layout.
fn contents(database: &Connection) -> Vec<String> {
    let runs = "SELECT id || ' ' || coalesce(ended, 'not ended') FROM runs ORDER BY id";
    let outcomes =
        "SELECT id || ' ' || run || ' ' || host || ' ' || port FROM outcomes ORDER BY id";
    [column(database, runs), column::<String>(database, outcomes)].concat()
}

/// One of the two databases has lost the run. The other must not be truncated either.
#[test]
fn database_without_the_run_is_refused() {
    let names = ["sqlite", "sqlite.second"];
    let killed = KilledRun::new(&["jsonl", names[0], names[1]]);
    let databases =
        || names.map(|name| Connection::open(killed.run.file(name)).expect("it is a database"));
    // Changes that a resume would undo: the end of the run, and an outcome after the checkpoint.
    let more = "UPDATE runs SET ended = started;
        INSERT INTO outcomes (run, position, host, port, open, state, reason, attempts, time)
        VALUES (1, 9, 'later', 1, 0, 'closed', 'refused', 1, '')";
    for database in databases() {
        database.execute_batch(more).expect("it is unlocked");
    }
    for lost in 0..names.len() {
        let shift = |by: &str| {
            let shift = format!("PRAGMA foreign_keys = OFF; UPDATE outcomes SET run = run {by}");
            databases()[lost].execute_batch(&shift).expect("it is unlocked");
        };
        shift("+ 1");
        let (files, before) = (killed.files(), databases().each_ref().map(contents));
        let ended = killed.run.resume();
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let reason = "run 1 lacks outcomes that were written to it";
        assert!(ended.stderr.contains(reason), "{ended:?}");
        assert_eq!(databases().each_ref().map(contents), before);
        assert_eq!(killed.files()["jsonl"], files["jsonl"]);
        shift("- 1");
    }
    let targets = killed.targets.len();
    let run = killed.assert_resumed();
    for name in names {
        let hosts = "SELECT host FROM outcomes WHERE host != 'later'";
        assert_eq!(column::<String>(&open(&run.file(name)), hosts).len(), targets);
        let later = "SELECT host FROM outcomes WHERE host = 'later'";
        assert!(column::<String>(&open(&run.file(name)), later).is_empty());
    }
}

#[test]
fn concurrent_resume_is_refused() {
    let killed = KilledRun::new(&["jsonl"]);
    let running = Running::check(killed.run.arguments(true));
    let counts = killed.silent.wait_for(LIMIT, |counts| counts.open == 1);
    assert_eq!(counts.open, 1);
    let ended = killed.run.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("another run is writing it: wait until that run ends"),
        "{ended:?}"
    );
    drop(running);
    killed.assert_resumed();
}

#[test]
fn resume_of_complete_run_does_nothing() {
    let run = JournaledRun::new(&["jsonl"], &["127.0.0.1:1-9"]);
    assert_eq!(check(run.arguments(false)).status, Some(0));
    let before = fs::read(run.file("jsonl")).expect("it exists");
    let ended = run.resume();
    assert_eq!(ended.status, Some(0));
    assert_eq!(ended.stderr, COMPLETE);
    assert_eq!(fs::read(run.file("jsonl")).expect("it exists"), before);
    fs::write(run.file("jsonl"), &before[1..]).expect("it is writable");
    let ended = run.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains(" bytes that the run wrote"), "{ended:?}");
}

#[test]
fn resume_of_complete_run_keeps_its_exit_status() {
    // The system refuses TCP to the broadcast address before anything is sent.
    let run = JournaledRun::new(&["jsonl"], &["255.255.255.255:9", "127.0.0.1:1"]);
    for resume in [false, true] {
        let ended = check(run.arguments(resume));
        assert_eq!(ended.status, Some(3), "one could not be checked: {ended:?}");
    }
}

/// With this many targets a checkpoint is due at the last one, before the outputs are finished.
#[test]
fn journal_is_complete_only_after_outputs_are_finished() {
    let run = JournaledRun::new(&["xml"], &["127.9.0.0/16:1", "--rate=max"]);
    run.kill_when(|event| {
        let journal = fs::read_to_string(run.file("journal")).unwrap_or_default();
        event == FileEvent::Journal && journal.contains("\"complete\":true")
    });
    let xml = fs::read_to_string(run.file("xml")).expect("it exists");
    assert!(xml.contains("exit=\"success\""), "the journal says that it is complete");
}

/// The run invalidates the journal before the outputs, so that no journal names rows that are gone.
#[test]
fn force_invalidates_journal_before_outputs() {
    let run = JournaledRun::new(&["jsonl"], &["127.0.0.1:1-9"]);
    assert_eq!(check(run.arguments(false)).status, Some(0));
    // The replacing run writes nothing, because its first checkpoint fails.
    let limited = format!(
        "ulimit -f 0; exec \"$portmuster\" check --force {}",
        run.arguments(false).join(" ")
    );
    assert_ne!(sh(&limited, "").status, Some(0));
    let ended = run.resume();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.starts_with(STARTS_ANEW), "{ended:?}");
    let targets: Vec<_> = (1..=9).map(|port| format!("127.0.0.1:{port}")).collect();
    assert_each_once(&run.file("jsonl"), &targets);
}

const STARTS_ANEW: &str = "portmuster: there is no journal to resume from: starting the run\n";

#[test]
fn same_command_starts_resumes_and_finds_run_complete() {
    let silent = start(Behaviour::Silent);
    let target = target(&silent);
    let formats = ["jsonl", "csv", "xml", "sqlite"];
    let arguments = [&*target, "127.0.0.1:1-4", "--first-byte=1h", "--deadline=1h", "--resume"];
    let run = JournaledRun::new(&formats, &arguments);
    run.kill_with(4);
    drop(silent);
    let ended = check(run.arguments(false));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stderr.starts_with("portmuster: resuming with 1 of 5 targets left\n"),
        "{ended:?}"
    );
    let ports = (1..=4).map(|port| format!("127.0.0.1:{port}"));
    let targets: Vec<_> = [target].into_iter().chain(ports).collect();
    assert_each_once(&run.file("jsonl"), &targets);
    let database = open(&run.file("sqlite"));
    assert_eq!(column::<u32>(&database, "SELECT count(*) FROM outcomes GROUP BY run"), [5]);
    drop(database);
    let before = fs::read(run.file("jsonl")).expect("it exists");
    let ended = check(run.arguments(false));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("this run is complete: nothing is left to do"), "{ended:?}");
    assert_eq!(fs::read(run.file("jsonl")).expect("it exists"), before);
}

/// A run that is killed before its first checkpoint leaves files without rows.
#[test]
fn resume_without_journal_accepts_empty_files_and_refuses_files_with_rows() {
    let run = JournaledRun::new(&["jsonl"], &["127.0.0.1:1", "--resume"]);
    let (jsonl, journal) = (run.file("jsonl"), run.file("journal"));
    let (arguments, targets) = (run.arguments(false), ["127.0.0.1:1".to_owned()]);
    for is_there in [true, false] {
        fs::write(&jsonl, "{}\n").expect("it is writable");
        if is_there {
            fs::write(&journal, "").expect("it is writable");
        }
        let ended = check(&arguments);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let message = "it exists, and there is no journal to resume its run from: --append appends to \
            it, --force overwrites it";
        assert!(ended.stderr.contains(message), "{ended:?}");
        assert_eq!(fs::read(&jsonl).expect("it exists"), b"{}\n");
        assert_eq!(journal.exists(), is_there, "it is as it was");

        let ended = check(arguments.iter().map(String::as_str).chain(["--force"]));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_each_once(&jsonl, &targets);
        fs::write(&jsonl, "").expect("it is writable");
        fs::remove_file(&journal).expect("it exists");
        let ended = check(&arguments);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.starts_with(STARTS_ANEW), "{ended:?}");
        assert_each_once(&jsonl, &targets);
        fs::remove_file(&journal).expect("it exists");
    }
    let (csv, only_header) = (run.file("csv"), format!("-ocsv={}", run.file("csv").display()));
    let header = check(["127.0.0.1:1", "-ocsv", "--show=open"]).stdout;
    fs::write(&csv, &header).expect("it is writable");
    fs::write(&jsonl, "").expect("it is writable");
    let ended = check(arguments.iter().map(String::as_str).chain([only_header.as_str()]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(fs::read_to_string(&csv).expect("it exists").lines().count(), 2);
    fs::remove_file(&journal).expect("it exists");
    let ended = check(arguments.iter().map(String::as_str).chain(["--append", "--quiet"]));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "no message");
    let rows = row::read(&fs::read_to_string(&jsonl).expect("it exists"));
    assert_eq!(rows.len(), 2, "one row was there before");
}

#[test]
fn resume_restarts_document_without_rows() {
    for flag in ["--append", "--force"] {
        let run = JournaledRun::new(&["xml"], &["127.0.0.1:1", "--resume", flag]);
        let document = run.file("xml");
        let started = Running::check(["-i", "-", "-o", &output("xml", &document)]);
        wait_for_growth(&document, 0);
        drop(started);
        fs::write(run.file("journal"), "").expect("it is writable");
        let ended = check(run.arguments(false));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let document = fs::read_to_string(run.file("xml")).expect("it exists");
        assert_eq!(document.matches("<host ").count(), 1, "{document}");
    }
}

#[test]
fn resume_accepts_append_and_force() {
    for flag in ["--append", "--force"] {
        let killed = KilledRun::new(&["jsonl"]);
        drop(killed.silent);
        let ended = check(killed.run.arguments(true).into_iter().chain([flag.to_owned()]));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_each_once(&killed.run.file("jsonl"), &killed.targets);
    }
}

#[test]
fn run_that_could_not_be_resumed_is_refused_at_start() {
    let folder = Folder::new();
    let journal = folder.file("journal").display().to_string();
    for (arguments, reason) in [
        (&["127.0.0.1:1"][..], "rows on stdout can't be truncated: to use --journal, write"),
        (
            &["-i", "/dev/zero", "-o", "jsonl=/dev/null"],
            "a run that reads a stream can't be resumed",
        ),
        (
            &["127.0.0.1:1", "-o", "jsonl=/dev/full"],
            "it can't be truncated, so it can't be an output",
        ),
        (&["127.0.0.1:1", "-o", "jsonl=/nowhere/at/all"], "opening the output"),
    ] {
        let ended = check(arguments.iter().copied().chain(["--journal", &journal]));
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(reason), "{reason} is not in {}", ended.stderr);
        assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 0, "{reason}");
    }
    let ended = check(["127.0.0.1:1", "--resume"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("--journal FILE --resume"), "{ended:?}");
}

#[test]
fn journal_that_is_also_an_output_is_refused() {
    let run = JournaledRun::new(&["journal"], &["127.0.0.1:1"]);
    let arguments = run.arguments(false).join(" ").replace("journal=", "jsonl=");
    let ended = check(arguments.split(' '));
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("is the journal as well: give each its own file"), "{ended:?}");
    assert!(!run.file("journal").exists());
}

#[test]
fn resume_after_ctrl_c_writes_each_target_once() {
    let arguments = [REFUSED];
    let run = JournaledRun::new(&["jsonl", "csv", "xml", "sqlite"], &arguments);
    let slow = ["--rate=100", "-v"].map(str::to_owned);
    let mut running = Running::check(run.arguments(false).into_iter().chain(slow));
    // The first line reports that the rate holds the run back, so the run has started. Root gets a
    // note before it.
    let mut lines = (0..2).map(|_| running.stderr_line());
    assert!(lines.any(|line| line.contains("speed limited by")), "it is held back");
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.status, Some(130), "{ended:?}");
    let left = ended.summary().of("left");
    assert!(left > 0, "{ended:?}");
    let ended = check([run.arguments(true), vec!["--rate=max".into()]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let note = format!("portmuster: resuming with {} of 3,000 targets left\n", with_commas(left));
    assert!(ended.stderr.starts_with(&note), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!((summary.targets, summary.of("closed")), (3000, 3000), "of the whole run");
    assert_each_once(&run.file("jsonl"), &refused());
    let xml = fs::read_to_string(run.file("xml")).expect("it exists");
    assert_eq!(xml.matches("<host ").count() + xml.matches("<host>").count(), 3000);
    assert!(xml.contains("exit=\"success\""));
}

#[test]
fn resume_after_file_size_limit_writes_each_target_once() {
    let run = JournaledRun::new(&["jsonl"], &[REFUSED, "--rate=max"]);
    let limited =
        format!("ulimit -f 64; exec \"$portmuster\" check {}", run.arguments(false).join(" "));
    let ended = sh(&limited, "");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("; all rows before are complete"), "{ended:?}");
    let ended = run.resume();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_each_once(&run.file("jsonl"), &refused());
}

/// The folder is removed while the run waits for a silent server, so a later checkpoint fails.
#[test]
fn unwritable_journal_ends_the_run() {
    let silent = start(Behaviour::Silent);
    let folder = Folder::new();
    let inner = folder.file("inner");
    fs::create_dir(&inner).expect("it is writable");
    let jsonl = format!("jsonl={}", folder.file("jsonl").display());
    let journal = inner.join("journal").display().to_string();
    let target = target(&silent);
    let arguments = [
        target.as_str(),
        "127.9.0.0/26:1",
        "--first-byte=1h",
        "--deadline=1h",
        "--rate=20",
        "-o",
        &jsonl,
        "--journal",
        &journal,
    ];
    let running = Running::check(arguments);
    assert_eq!(silent.wait_for(LIMIT, |counts| counts.open == 1).open, 1);
    fs::remove_dir_all(&inner).expect("it exists");
    // If all other targets were settled before, the next checkpoint is the last one.
    drop(silent);
    let ended = running.end();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("error: writing the journal "), "{ended:?}");
    let rows = fs::read_to_string(folder.file("jsonl")).expect("it exists");
    row::read(&rows);
}

/// The name has two addresses, one of which has its outcome long before the other.
#[test]
fn resume_writes_each_address_of_a_name_once() {
    let silent = start_on(Behaviour::Silent, std::net::Ipv4Addr::LOCALHOST);
    let name = format!("localhost:{}", silent.endpoint().port());
    let arguments = [&name, "127.0.0.1:1", "--all-addresses", "--first-byte=1h", "--deadline=1h"];
    let run = JournaledRun::new(&["jsonl"], &arguments);
    run.kill_with(1);
    let rows = || row::read(&fs::read_to_string(run.file("jsonl")).expect("it exists"));
    assert_eq!(rows().len(), 1, "the name is not settled");
    drop(silent);
    let ended = run.resume();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let mut addresses: Vec<_> = rows().iter().map(|row| (row.port, row.address)).collect();
    let summary = ended.summary();
    assert_eq!((summary.targets, summary.of("left")), (addresses.len() as u64, 0));
    addresses.sort();
    addresses.dedup();
    assert_eq!(summary.targets, addresses.len() as u64, "{addresses:?}");
}
