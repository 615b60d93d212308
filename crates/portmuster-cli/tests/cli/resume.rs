//! What a run that goes on is like, and when it is refused: then nothing is touched.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

use portmuster_lab::{Behaviour, Server};
use rusqlite::Connection;
use rustix::process::Signal;

use crate::{
    database::{column, open},
    journal::{Change, Kept},
    outputs::output,
    program::{LIMIT, Running, check},
    row,
    servers::{start, start_on, target},
    shell::sh,
};

/// A run that was killed with one target left, whose server is silent for as long as it lives.
pub(crate) struct Cut {
    pub(crate) kept: Kept,
    silent: Server,
    pub(crate) targets: Vec<String>,
}

impl Cut {
    pub(crate) fn new(formats: &[&str]) -> Self {
        Self::with_flags(formats, &[])
    }

    /// With more arguments.
    pub(crate) fn with_flags(formats: &[&str], flags: &[&str]) -> Self {
        let (refused, silent) = (start(Behaviour::Refused), start(Behaviour::Silent));
        let mut targets = vec![target(&refused), target(&silent)];
        targets.extend((1..=4).map(|port| format!("127.0.0.1:{port}")));
        let mut arguments: Vec<_> = targets.iter().map(String::as_str).collect();
        arguments.extend(["--first-byte=1h", "--deadline=1h"]);
        arguments.extend(flags);
        let kept = Kept::new(formats, &arguments);
        kept.kill_with(5);
        Self { kept, silent, targets }
    }

    /// Every file in its folder, byte for byte.
    pub(crate) fn files(&self) -> BTreeMap<String, (u64, Vec<u8>)> {
        let entries = fs::read_dir(self.kept.folder.path()).expect("it is there");
        let files = entries.map(|entry| entry.expect("it can be read"));
        files
            .map(|entry| {
                let inode = entry.metadata().expect("it is there").ino();
                let content = fs::read(entry.path()).expect("it can be read");
                (entry.file_name().to_string_lossy().into_owned(), (inode, content))
            })
            .collect()
    }

    /// Sees that it is refused for this reason, and that nothing is touched.
    pub(crate) fn assert_refused(&self, arguments: impl IntoIterator<Item = String>, reason: &str) {
        let before = self.files();
        let ended = check(arguments);
        assert_eq!(ended.status, Some(2), "{reason}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{reason} is not in {}", ended.stderr);
        assert!(before == self.files(), "it was refused ({reason}), and something was touched");
    }

    pub(crate) fn assert_resume_refused(&self, reason: &str) {
        self.assert_refused(self.kept.arguments(true), reason);
    }

    /// With more arguments.
    fn with(&self, more: &[&str]) -> Vec<String> {
        let mut arguments = self.kept.arguments(true);
        arguments.extend(more.iter().map(ToString::to_string));
        arguments
    }

    /// Goes on with gates that the silent server shuts, and sees that each target is there once.
    pub(crate) fn assert_resumed_with_gates(self) -> Kept {
        drop(self.silent);
        let ended = self.kept.resume();
        assert!(matches!(ended.status, Some(0 | 1)), "{ended:?}");
        assert_each_once(&self.kept.file("jsonl"), &self.targets);
        self.kept
    }

    /// Goes on, and sees that each target is there once.
    pub(crate) fn assert_resumed(self) -> Kept {
        drop(self.silent);
        let ended = self.kept.resume();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let note = format!("portmuster: goes on with 1 of {} targets\n", self.targets.len());
        assert!(ended.stderr.starts_with(&note), "{}", ended.stderr);
        assert_eq!(ended.summary().of("closed"), self.targets.len() as u64);
        assert_each_once(&self.kept.file("jsonl"), &self.targets);
        self.kept
    }
}

/// Three thousand targets that are refused: nothing listens on these addresses.
const REFUSED: &str = "127.9.0.0-127.9.11.183:1";

fn refused() -> Vec<String> {
    let hosts = (0..=11).flat_map(|high| (0..=255).map(move |low| (high, low)));
    hosts.take(3000).map(|(high, low)| format!("127.9.{high}.{low}:1")).collect()
}

pub(crate) fn assert_each_once(jsonl: &Path, targets: &[String]) {
    let rows = row::read(&fs::read_to_string(jsonl).expect("it is there"));
    let mut seen: Vec<_> = rows.iter().map(|row| format!("{}:{}", row.host, row.port)).collect();
    let mut targets = targets.to_vec();
    seen.sort();
    targets.sort();
    assert_eq!(seen, targets);
}

#[test]
fn another_run_is_refused_with_what_differs() {
    let cut = Cut::new(&["jsonl"]);
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
        (&["-o=table"], "rows on stdout can't be taken back"),
        (&["-i=-"], "a run that reads a stream can't be resumed"),
    ] {
        cut.assert_refused(cut.with(more), differs);
    }
    let elsewhere = format!("-o=csv={}", cut.kept.file("more").display());
    cut.assert_refused(cut.with(&[&elsewhere]), "outputs were jsonl=");
    let cost = ["--rate=max", "--per-host=max", "--in-flight=7", "--method=threads", "-v"];
    drop(cut.silent);
    let ended = check([cut.kept.arguments(true), cost.map(str::to_owned).to_vec()].concat());
    assert_eq!(ended.status, Some(0), "only its pace and its method differ: {ended:?}");
    assert_each_once(&cut.kept.file("jsonl"), &cut.targets);
}

#[test]
fn a_journal_that_exists_is_left_as_it_is() {
    let cut = Cut::new(&["jsonl"]);
    let again = "it exists; --resume goes on with its run, --force replaces it";
    cut.assert_refused(cut.kept.arguments(false), again);
    cut.assert_resumed();
}

#[test]
fn what_is_no_journal_is_refused() {
    let cut = Cut::new(&["jsonl"]);
    let journal = cut.kept.file("journal");
    let good = fs::read(&journal).expect("it is there");
    let write = |bytes: &[u8]| fs::write(&journal, bytes).expect("there is room");
    write(b"");
    cut.assert_resume_refused("it exists, and there is no journal to resume its run from");
    let end = good.iter().position(|&byte| byte == b'\n').expect("it has a header");
    write(&[b"portmuster journal 1 00ff00ff00ff00ff 3", &good[end..]].concat());
    let named = "it was written by portmuster 0.1.0, and this is ";
    cut.assert_resume_refused(named);
    write(&[b"portmuster journal 4 7.3.0 x y z", &good[end..]].concat());
    cut.assert_resume_refused("it was written by portmuster 7.3.0, and this is ");
    write(b"{}\n");
    cut.assert_resume_refused("it is no journal of portmuster");
    write(&[&good[..], b" "].concat());
    cut.assert_resume_refused("it is damaged");
    for place in (0..good.len()).step_by(good.len() / 12) {
        let mut damaged = good.clone();
        damaged[place] ^= 0x20;
        write(&damaged);
        cut.assert_resume_refused("resuming from the journal");
        if place > 0 {
            write(&good[..place]);
            cut.assert_resume_refused("resuming from the journal");
        }
    }
    write(&good);
    cut.assert_resumed();
}

#[test]
fn an_output_that_is_not_the_one_that_was_written_is_refused() {
    let cut = Cut::new(&["jsonl", "csv"]);
    let (csv, aside) = (cut.kept.file("csv"), cut.kept.file("aside"));
    fs::rename(&csv, &aside).expect("it is there");
    cut.assert_resume_refused("opening the output");
    fs::copy(&aside, &csv).expect("there is room");
    cut.assert_resume_refused("it is another file than the run has written");
    fs::rename(&aside, &csv).expect("it is there");
    let content = fs::read(&csv).expect("it is there");
    fs::write(&csv, &content[..content.len() - 1]).expect("there is room");
    cut.assert_resume_refused(" that the run has written");
    fs::write(&csv, &content).expect("there is room");
    cut.assert_resumed();
}

/// What a database says, whatever its pages look like.
fn said(database: &Connection) -> Vec<String> {
    let runs = "SELECT id || ' ' || coalesce(ended, 'not ended') FROM runs ORDER BY id";
    let outcomes =
        "SELECT id || ' ' || run || ' ' || host || ' ' || port FROM outcomes ORDER BY id";
    [column(database, runs), column::<String>(database, outcomes)].concat()
}

/// Of two databases either has lost the run: the other is not cut back either.
#[test]
fn a_database_that_lost_the_run_is_refused() {
    let names = ["sqlite", "sqlite.second"];
    let cut = Cut::new(&["jsonl", names[0], names[1]]);
    let databases =
        || names.map(|name| Connection::open(cut.kept.file(name)).expect("it is a database"));
    // What going on would change: that it has ended, and what came behind its mark.
    let more = "UPDATE runs SET ended = started;
        INSERT INTO outcomes (run, position, host, port, open, state, reason, attempts, time)
        VALUES (1, 9, 'later', 1, 0, 'closed', 'refused', 1, '')";
    for database in databases() {
        database.execute_batch(more).expect("nobody holds it");
    }
    for lost in 0..names.len() {
        let shift = |by: &str| {
            let shift = format!("PRAGMA foreign_keys = OFF; UPDATE outcomes SET run = run {by}");
            databases()[lost].execute_batch(&shift).expect("nobody holds it");
        };
        shift("+ 1");
        let (files, before) = (cut.files(), databases().each_ref().map(said));
        let ended = cut.kept.resume();
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let reason = "run 1 lacks outcomes that were written to it";
        assert!(ended.stderr.contains(reason), "{ended:?}");
        assert_eq!(databases().each_ref().map(said), before);
        assert_eq!(cut.files()["jsonl"], files["jsonl"]);
        shift("- 1");
    }
    let targets = cut.targets.len();
    let kept = cut.assert_resumed();
    for name in names {
        let hosts = "SELECT host FROM outcomes WHERE host != 'later'";
        assert_eq!(column::<String>(&open(&kept.file(name)), hosts).len(), targets);
        let later = "SELECT host FROM outcomes WHERE host = 'later'";
        assert!(column::<String>(&open(&kept.file(name)), later).is_empty());
    }
}

#[test]
fn two_processes_cannot_go_on_with_one_run() {
    let cut = Cut::new(&["jsonl"]);
    let running = Running::check(cut.kept.arguments(true));
    let counts = cut.silent.wait_for(LIMIT, |counts| counts.open == 1);
    assert_eq!(counts.open, 1);
    let ended = cut.kept.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("another run is writing it; wait for its end"), "{ended:?}");
    drop(running);
    cut.assert_resumed();
}

#[test]
fn a_complete_run_has_nothing_left() {
    let kept = Kept::new(&["jsonl"], &["127.0.0.1:1-9"]);
    assert_eq!(check(kept.arguments(false)).status, Some(0));
    let before = fs::read(kept.file("jsonl")).expect("it is there");
    let ended = kept.resume();
    assert_eq!(ended.status, Some(0));
    let said = "portmuster: the journal says that this run is complete: nothing is left to do\n";
    assert_eq!(ended.stderr, said);
    assert_eq!(fs::read(kept.file("jsonl")).expect("it is there"), before);
    fs::write(kept.file("jsonl"), &before[1..]).expect("there is room");
    let ended = kept.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("bytes of the"), "{ended:?}");
}

#[test]
fn a_complete_run_is_as_incomplete_as_it_was() {
    // TCP to the broadcast address is refused by the system itself, before anything is sent.
    let kept = Kept::new(&["jsonl"], &["255.255.255.255:9", "127.0.0.1:1"]);
    for resume in [false, true] {
        let ended = check(kept.arguments(resume));
        assert_eq!(ended.status, Some(3), "one could not be checked: {ended:?}");
    }
}

/// A checkpoint is due with the last of so many targets, before the outputs are finished.
#[test]
fn no_journal_is_complete_before_its_outputs_are() {
    let kept = Kept::new(&["xml"], &["127.9.0.0/16:1", "--rate=max"]);
    kept.kill_when(|change| {
        let journal = fs::read_to_string(kept.file("journal")).unwrap_or_default();
        change == Change::Journal && journal.contains("\"complete\":true")
    });
    let xml = fs::read_to_string(kept.file("xml")).expect("it is there");
    assert!(xml.contains("exit=\"success\""), "the journal says that it is complete");
}

/// The journal is made void before the outputs are, so that none names what is no more.
#[test]
fn replacing_a_run_takes_its_journal_first() {
    let kept = Kept::new(&["jsonl"], &["127.0.0.1:1-9"]);
    assert_eq!(check(kept.arguments(false)).status, Some(0));
    // Of the run that takes its place nothing is written: its first checkpoint fails.
    let limited = format!(
        "ulimit -f 0; exec \"$portmuster\" check --force {}",
        kept.arguments(false).join(" ")
    );
    assert_ne!(sh(&limited, "").status, Some(0));
    let ended = kept.resume();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.starts_with(BEGINS), "{ended:?}");
    let targets: Vec<_> = (1..=9).map(|port| format!("127.0.0.1:{port}")).collect();
    assert_each_once(&kept.file("jsonl"), &targets);
}

const BEGINS: &str = "portmuster: there is no journal to resume from: the run begins\n";

#[test]
fn one_command_line_begins_the_run_resumes_it_and_finds_it_complete() {
    let silent = start(Behaviour::Silent);
    let target = target(&silent);
    let formats = ["jsonl", "csv", "xml", "sqlite"];
    let arguments = [&*target, "127.0.0.1:1-4", "--first-byte=1h", "--deadline=1h", "--resume"];
    let kept = Kept::new(&formats, &arguments);
    kept.kill_with(4);
    drop(silent);
    let ended = check(kept.arguments(false));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.starts_with("portmuster: goes on with 1 of 5 targets\n"), "{ended:?}");
    let ports = (1..=4).map(|port| format!("127.0.0.1:{port}"));
    let targets: Vec<_> = [target].into_iter().chain(ports).collect();
    assert_each_once(&kept.file("jsonl"), &targets);
    let database = open(&kept.file("sqlite"));
    assert_eq!(column::<u32>(&database, "SELECT count(*) FROM outcomes GROUP BY run"), [5]);
    drop(database);
    let before = fs::read(kept.file("jsonl")).expect("it is there");
    let ended = check(kept.arguments(false));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("this run is complete: nothing is left to do"), "{ended:?}");
    assert_eq!(fs::read(kept.file("jsonl")).expect("it is there"), before);
}

/// A run that is killed before its first checkpoint leaves files without rows.
#[test]
fn resume_without_a_journal_takes_empty_files_and_leaves_those_with_rows_alone() {
    let kept = Kept::new(&["jsonl"], &["127.0.0.1:1", "--resume"]);
    let (jsonl, journal) = (kept.file("jsonl"), kept.file("journal"));
    let (arguments, targets) = (kept.arguments(false), ["127.0.0.1:1".to_owned()]);
    for is_there in [true, false] {
        fs::write(&jsonl, "{}\n").expect("there is room");
        if is_there {
            fs::write(&journal, "").expect("there is room");
        }
        let ended = check(&arguments);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let said = "it exists, and there is no journal to resume its run from; --append adds to it, \
            --force replaces it";
        assert!(ended.stderr.contains(said), "{ended:?}");
        assert_eq!(fs::read(&jsonl).expect("it is there"), b"{}\n");
        assert_eq!(journal.exists(), is_there, "it is as it was");

        let ended = check(arguments.iter().map(String::as_str).chain(["--force"]));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_each_once(&jsonl, &targets);
        fs::write(&jsonl, "").expect("there is room");
        fs::remove_file(&journal).expect("it is there");
        let ended = check(&arguments);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.starts_with(BEGINS), "{ended:?}");
        assert_each_once(&jsonl, &targets);
        fs::remove_file(&journal).expect("it is there");
    }
    let (csv, only_header) = (kept.file("csv"), format!("-ocsv={}", kept.file("csv").display()));
    let header = check(["127.0.0.1:1", "-ocsv", "--show=open"]).stdout;
    fs::write(&csv, &header).expect("there is room");
    fs::write(&jsonl, "").expect("there is room");
    let ended = check(arguments.iter().map(String::as_str).chain([only_header.as_str()]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(fs::read_to_string(&csv).expect("it is there").lines().count(), 2);
    fs::remove_file(&journal).expect("it is there");
    let ended = check(arguments.iter().map(String::as_str).chain(["--append", "--quiet"]));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "nothing is said");
    let rows = row::read(&fs::read_to_string(&jsonl).expect("it is there"));
    assert_eq!(rows.len(), 2, "one was there");
}

#[test]
fn a_document_that_was_only_begun_is_begun_again_by_the_same_command() {
    for flag in ["--append", "--force"] {
        let kept = Kept::new(&["xml"], &["127.0.0.1:1", "--resume", flag]);
        let document = kept.file("xml");
        let begun = Running::check(["-i", "-", "-o", &output("xml", &document)]);
        while fs::metadata(&document).map_or(0, |found| found.len()) == 0 {}
        drop(begun);
        fs::write(kept.file("journal"), "").expect("there is room");
        let ended = check(kept.arguments(false));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let document = fs::read_to_string(kept.file("xml")).expect("it is there");
        assert_eq!(document.matches("<host ").count(), 1, "{document}");
    }
}

#[test]
fn a_command_is_repeated_with_resume_whatever_it_said_of_files_that_exist() {
    for flag in ["--append", "--force"] {
        let cut = Cut::new(&["jsonl"]);
        drop(cut.silent);
        let ended = check(cut.kept.arguments(true).into_iter().chain([flag.to_owned()]));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_each_once(&cut.kept.file("jsonl"), &cut.targets);
    }
}

#[test]
fn a_run_that_nothing_could_resume_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("there is room");
    let journal = folder.path().join("journal").display().to_string();
    for (arguments, reason) in [
        (&["127.0.0.1:1"][..], "rows on stdout can't be taken back, so with --journal they need"),
        (&["-i", "-", "-o", "jsonl=/dev/null"], "a run that reads a stream can't be resumed"),
        (&["127.0.0.1:1", "-o", "jsonl=/dev/full"], "it can't be cut back, so with --journal"),
        (&["127.0.0.1:1", "-o", "jsonl=/nowhere/at/all"], "opening the output"),
    ] {
        let ended = check(arguments.iter().copied().chain(["--journal", &journal]));
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(reason), "{reason} is not in {}", ended.stderr);
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 0, "{reason}");
    }
    let ended = check(["127.0.0.1:1", "--resume"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("--journal <FILE>"), "{ended:?}");
}

#[test]
fn a_journal_is_no_output_and_no_input() {
    let kept = Kept::new(&["journal"], &["127.0.0.1:1"]);
    let arguments = kept.arguments(false).join(" ").replace("journal=", "jsonl=");
    let ended = check(arguments.split(' '));
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("is the journal as well; give each its own file"), "{ended:?}");
    assert!(!kept.file("journal").exists());
}

#[test]
fn what_ctrl_c_has_ended_goes_on() {
    let arguments = [REFUSED];
    let kept = Kept::new(&["jsonl", "csv", "xml", "sqlite"], &arguments);
    let slowly = ["--rate=500", "-v"].map(str::to_owned);
    let mut running = Running::check(kept.arguments(false).into_iter().chain(slowly));
    // The first word of it is that the rate holds it back: it has begun. Root is told so before.
    let mut said = (0..2).map(|_| running.said());
    assert!(said.any(|line| line.contains("held back by")), "it is held back");
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.status, Some(130), "{ended:?}");
    let left = ended.summary().of("left");
    assert!(left > 0, "{ended:?}");
    let ended = check([kept.arguments(true), vec!["--rate=max".into()]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let note = format!("portmuster: goes on with {left} of 3000 targets\n");
    assert!(ended.stderr.starts_with(&note), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!((summary.targets, summary.of("closed")), (3000, 3000), "of the whole run");
    assert_each_once(&kept.file("jsonl"), &refused());
    let xml = fs::read_to_string(kept.file("xml")).expect("it is there");
    assert_eq!(xml.matches("<host ").count() + xml.matches("<host>").count(), 3000);
    assert!(xml.contains("exit=\"success\""));
}

#[test]
fn a_full_disk_ends_the_run_and_with_more_room_it_goes_on() {
    let kept = Kept::new(&["jsonl"], &[REFUSED, "--rate=max"]);
    let limited =
        format!("ulimit -f 64; exec \"$portmuster\" check {}", kept.arguments(false).join(" "));
    let ended = sh(&limited, "");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("; the rows before are whole"), "{ended:?}");
    let ended = kept.resume();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_each_once(&kept.file("jsonl"), &refused());
}

/// Its folder goes while the run waits for a silent server: the next checkpoint fails.
#[test]
fn a_journal_that_cannot_be_written_ends_the_run() {
    let silent = start(Behaviour::Silent);
    let folder = tempfile::tempdir().expect("there is room");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("there is room");
    let jsonl = format!("jsonl={}", folder.path().join("jsonl").display());
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
    fs::remove_dir_all(&inner).expect("it is there");
    let ended = running.end();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("error: writing the journal "), "{ended:?}");
    let rows = fs::read_to_string(folder.path().join("jsonl")).expect("it is there");
    row::read(&rows);
}

/// A name with two addresses, one of which has its outcome long before the other.
#[test]
fn of_a_name_with_several_addresses_all_outcomes_are_there_once() {
    let silent = start_on(Behaviour::Silent, std::net::Ipv4Addr::LOCALHOST);
    let name = format!("localhost:{}", silent.endpoint().port());
    let arguments = [&name, "127.0.0.1:1", "--all-addresses", "--first-byte=1h", "--deadline=1h"];
    let kept = Kept::new(&["jsonl"], &arguments);
    kept.kill_with(1);
    let rows = || row::read(&fs::read_to_string(kept.file("jsonl")).expect("it is there"));
    assert_eq!(rows().len(), 1, "of the name not all is known");
    drop(silent);
    let ended = kept.resume();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let mut addresses: Vec<_> = rows().iter().map(|row| (row.port, row.address)).collect();
    let summary = ended.summary();
    assert_eq!((summary.targets, summary.of("left")), (addresses.len() as u64, 0));
    addresses.sort();
    addresses.dedup();
    assert_eq!(summary.targets, addresses.len() as u64, "{addresses:?}");
}
