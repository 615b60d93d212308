//! A resume verifies that the outputs and the journal belong to the run.

use std::{fs, io::Write, path::Path};

use twox_hash::XxHash3_128;

use crate::{
    database::{column, open},
    folder::{Folder, output},
    journal::JournaledRun,
    program::check,
    resume::{KilledRun, assert_each_once},
    row,
};

/// Overwrites the file in place. The inode stays the same, as if a new file had received it.
fn write(file: &Path, content: &[u8]) {
    fs::write(file, content).expect("it is writable");
}

#[test]
fn changed_content_with_same_inode_is_refused() {
    let formats = ["jsonl", "csv", "table", "xml"];
    let killed = KilledRun::with_flags(&formats, &["--show=all"]);
    for format in formats {
        let file = killed.run.file(format);
        let content = fs::read(&file).expect("it exists");
        let text = "a line of another program's file\n";
        let foreign = text.repeat(content.len() / text.len() + 10);
        let longer = [&content[..1], &content].concat();
        let mut edited = content.clone();
        edited[content.len() / 3] ^= 0x01;
        for other in [foreign.as_bytes(), &longer, &edited] {
            write(&file, other);
            killed
                .assert_resume_refused("bytes are not those that the run wrote, so it was changed");
        }
        write(&file, &content);
    }
    killed.assert_resumed();
}

/// No port was open, so the checkpoint is at offset 0 and there is no content to compare.
#[test]
fn foreign_file_in_place_of_empty_output_is_refused() {
    let killed = KilledRun::with_flags(&["jsonl", "table"], &["--show=open"]);
    for format in ["jsonl", "table"] {
        let file = killed.run.file(format);
        assert_eq!(fs::read(&file).expect("it exists"), b"");
        write(&file, b"another program's\n");
        if format == "table" {
            // A new file that received the inode would lack the attribute. The test is skipped on
            // file systems without attributes.
            if rustix::fs::removexattr(&file, "user.portmuster.run").is_err() {
                return print_skipped();
            }
        }
        killed.assert_resume_refused("opening the output");
        write(&file, b"");
    }
}

/// Returns whether the file system supports the extended attributes that identify the run of a
/// file.
fn has_attributes(folder: &Folder) -> bool {
    let file = folder.write("attributes", "");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&file, "user.portmuster.test", b"1", flags).is_ok()
}

#[expect(clippy::print_stderr, reason = "a skipped test prints the reason")]
fn print_skipped() {
    eprintln!("skipped: this file system keeps no extended attributes");
}

#[test]
fn rows_appended_by_another_run_are_not_truncated() {
    if !has_attributes(&Folder::new()) {
        return print_skipped();
    }
    for (flag, has_journal) in [("--append", true), ("--append", false), ("--show=all", true)] {
        let killed = KilledRun::with_flags(&["jsonl", "csv"], &[flag]);
        let other = Folder::new();
        let journal = other.file("journal").display().to_string();
        for format in ["jsonl", "csv"] {
            let file = killed.run.file(format);
            let before = fs::read_to_string(&file).expect("it exists");
            let rows = output(format, &file);
            let arguments = ["127.0.0.1:7-9", "--append", "-o", &rows];
            let journal = ["--journal", &journal].into_iter().filter(|_| has_journal);
            let ended = check(arguments.into_iter().chain(journal));
            assert_eq!(ended.status, Some(0), "{ended:?}");
            if has_journal {
                fs::remove_file(other.file("journal")).expect("it exists");
            }
            let after = fs::read_to_string(&file).expect("it exists");
            let more = after.strip_prefix(&before).expect("the old content is kept");
            assert_eq!(more.lines().count(), 3);
            killed.assert_resume_refused(
                "another run has written to it since this one was interrupted",
            );
            assert_eq!(fs::read_to_string(&file).expect("it exists"), after);
        }
    }
}

#[test]
fn two_journaled_runs_on_one_file_lose_no_row() {
    if !has_attributes(&Folder::new()) {
        return print_skipped();
    }
    let killed = KilledRun::with_flags(&["jsonl"], &["--append"]);
    let (jsonl, journal) = (killed.run.file("jsonl"), killed.run.file("journal"));
    // The second run appends its rows after those of the killed run.
    let second = killed.run.folder.file("second").display().to_string();
    let rows = output("jsonl", &jsonl);
    let arguments = ["127.9.0.0/24:1", "--append", "-o", &rows, "--journal", &second];
    let ended = check(arguments);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let before = fs::read(&jsonl).expect("it exists");
    killed.assert_resume_refused("another run has written to it since this one was interrupted");
    // The complete run has nothing left to do and finds all its rows.
    let ended = check(arguments.into_iter().chain(["--resume"]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("nothing is left to do"), "{ended:?}");
    assert_eq!(fs::read(&jsonl).expect("it exists"), before);
    assert!(journal.exists());
}

#[test]
fn lines_that_are_not_rows_are_not_truncated() {
    for format in ["jsonl", "csv"] {
        let killed = KilledRun::new(&["jsonl", "csv"]);
        let file = killed.run.file(format);
        let content = fs::read(&file).expect("it exists");
        write(&file, &[&content[..], b"a note\n"].concat());
        killed
            .assert_resume_refused("there is a line that is no row, and resuming would remove it");
        write(&file, &[&content[..], &content[content.len() - 40..]].concat());
        killed
            .assert_resume_refused("there is a line that is no row, and resuming would remove it");
        write(&file, &content);
        killed.assert_resumed();
    }
}

#[test]
fn finished_run_leaves_no_extended_attributes() {
    let run = JournaledRun::new(&["jsonl", "csv", "xml"], &["127.0.0.1:1-9"]);
    assert_eq!(check(run.arguments(false)).status, Some(0));
    for format in ["jsonl", "csv", "xml"] {
        let mut list = [0; 256];
        let length = rustix::fs::listxattr(run.file(format), &mut list[..]).unwrap_or(0);
        let names = String::from_utf8_lossy(&list[..length]);
        assert!(!names.contains("portmuster"), "{format}: {names}");
    }
}

#[test]
fn same_run_number_in_another_database_is_refused() {
    let killed = KilledRun::new(&["jsonl", "sqlite"]);
    let file = killed.run.file("sqlite");
    let other = Folder::new();
    let audit = output("sqlite", &other.file("other"));
    let targets = killed.targets.iter().map(String::as_str);
    let targets = targets.filter(|target| target.starts_with("127.0.0.1"));
    let ended = check(targets.chain(["127.0.0.1:11-60", "-o", &audit]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let own = fs::read(&file).expect("it exists");
    let log = fs::read(file.with_extension("-wal")).ok();
    let sidecars = ["-wal", "-shm"].map(|suffix| format!("{}{suffix}", file.display()));
    let old_sidecars = sidecars.each_ref().map(|path| fs::read(path).ok());
    assert!(log.is_none());
    for path in &sidecars {
        let _ = fs::remove_file(path);
    }
    write(&file, &fs::read(other.file("other")).expect("it exists"));
    let ended = killed.run.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let messages = ["its run 1 is not the one in the journal", "run 1 had outcomes"];
    assert!(messages.iter().any(|it| ended.stderr.contains(it)), "{ended:?}");
    let rows = column::<u32>(&open(&file), "SELECT count(*) FROM outcomes");
    assert_eq!(rows, [54], "the database is unchanged");
    for path in &sidecars {
        let _ = fs::remove_file(path);
    }
    write(&file, &own);
    for (path, content) in sidecars.iter().zip(old_sidecars) {
        if let Some(content) = content.filter(|_| path.ends_with("-wal")) {
            write(Path::new(path), &content);
        }
    }
    killed.assert_resumed();
}

/// Executes statements as another program does.
fn execute(database: &Path, statements: &str) {
    let connection = rusqlite::Connection::open(database).expect("it is a database");
    connection.execute_batch(statements).expect("the statements are valid");
}

#[test]
fn database_from_which_rows_were_deleted_is_refused() {
    let delete = "DELETE FROM outcomes WHERE id = (SELECT min(id) FROM outcomes)";
    let killed = KilledRun::new(&["jsonl", "sqlite"]);
    let file = killed.run.file("sqlite");
    execute(&file, delete);
    let ended = killed.run.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("its run 1 is not the one in the journal"), "{ended:?}");
}

#[test]
fn complete_run_whose_database_lacks_rows_is_refused() {
    let run = JournaledRun::new(&["sqlite"], &["127.0.0.1:1-5"]);
    assert_eq!(check(run.arguments(false)).status, Some(0));
    let ended = check(run.arguments(true));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for damage in ["DELETE FROM outcomes WHERE id = 2", "DELETE FROM outcomes", "DELETE FROM runs"]
    {
        execute(&run.file("sqlite"), damage);
        let ended = check(run.arguments(true));
        assert_eq!(ended.status, Some(2), "{damage}: {ended:?}");
        assert!(ended.stderr.contains("its run 1 is not the one in the journal"), "{ended:?}");
    }
}

/// Replaces text in the journal and updates the checksum. Returns the original content.
fn forge(journal: &Path, from: &str, to: &str) -> Vec<u8> {
    let good = fs::read(journal).expect("it exists");
    let text = String::from_utf8(good.clone()).expect("it is text");
    let (header, body) = text.split_once('\n').expect("it has a header");
    let body = body.replacen(from, to, 1);
    let words: Vec<_> = header.split(' ').collect();
    let checksum = XxHash3_128::oneshot(format!("{}\n{body}", words[3]).as_bytes());
    let [_, _, format, program, ..] = words[..] else { panic!("{header}") };
    let forged =
        format!("portmuster journal {format} {program} {checksum:032x} {}\n{body}", body.len());
    assert_ne!(forged, text, "{from} is not in the journal");
    fs::write(journal, forged).expect("it is writable");
    good
}

/// Returns the first number after this key, including the key.
fn number<'a>(text: &'a str, key: &str) -> &'a str {
    let at = text.find(key).unwrap_or_else(|| panic!("{key} is not in {text}"));
    let rest = &text[at..];
    let end = key.len() + rest[key.len()..].find([',', '}', ']']).expect("it is closed");
    &rest[..end]
}

#[test]
fn forged_numbers_in_a_journal_are_errors() {
    let killed = KilledRun::with_flags(
        &["jsonl", "xml", "sqlite"],
        &["--forbid=telnet", "--require-verdict"],
    );
    let journal = killed.run.file("journal");
    let text = fs::read_to_string(&journal).expect("it exists");
    let numbers = [
        "\"secs\":",
        "\"nanos\":",
        "\"targets\":",
        "\"states\":[",
        "\"services\":[",
        "\"excluded\":",
        "\"more_addresses\":",
        "\"found_on_retry\":",
        "\"slowed\":",
        "\"faults\":",
        "\"settled\":[",
        "\"inode\":",
        "\"length\":",
        "\"started\":",
        "\"up\":",
        "\"hosts\":",
        "\"run\":",
        "\"last\":",
        "\"fingerprint\":",
        "\"walk\":",
        "\"count\":",
        "\"absent\":",
        "\"unknown\":[",
        "\"seen\":",
    ];
    for key in numbers {
        // The id of the run comes before the number of a run in a database.
        let from = if key == "\"run\":" {
            text.find("{\"run\":{").expect("a checkpoint exists") + 8
        } else {
            0
        };
        let found = number(&text[from..], key);
        for forged in [
            "18446744073709551615",
            "9223372036854775807",
            "-9223372036854775808",
            "-1",
            "4611686018427387904",
            "1e300",
        ] {
            let good = forge(&journal, found, &format!("{key}{forged}"));
            let before = killed.files();
            let ended = killed.run.resume();
            assert_eq!(ended.status, Some(2), "{key}{forged}: {ended:?}");
            assert!(ended.stderr.starts_with("error: "), "{key}{forged}: {ended:?}");
            assert!(before["jsonl"] == killed.files()["jsonl"], "{key}{forged}: {ended:?}");
            fs::write(&journal, good).expect("it is writable");
        }
    }
    killed.assert_resumed_with_gates();
}

#[test]
fn more_settled_targets_than_targets_is_an_error() {
    let killed = KilledRun::new(&["jsonl"]);
    let journal = killed.run.file("journal");
    for runs in ["[7]", "[1,1,9]", "[4,900000,1]"] {
        let text = fs::read_to_string(&journal).expect("it exists");
        let at = text.find("\"settled\":[").expect("the field exists");
        let end = at + text[at..].find(']').expect("they are closed") + 1;
        let good = forge(&journal, &text[at..end], &format!("\"settled\":{runs}"));
        killed.assert_resume_refused("it is damaged: its numbers are inconsistent");
        fs::write(&journal, good).expect("it is writable");
    }
    killed.assert_resumed();
}

#[test]
fn journal_of_another_target_order_is_refused() {
    let killed = KilledRun::new(&["jsonl"]);
    let journal = killed.run.file("journal");
    let good = forge(&journal, "\"walk\":1,", "\"walk\":7,");
    killed.assert_resume_refused("its target order is version 7, but portmuster ");
    fs::write(&journal, good).expect("it is writable");
    killed.assert_resumed();
}

/// A resume must not pass gates whose findings were removed from the journal.
#[test]
fn journal_without_gate_findings_is_refused() {
    let killed = KilledRun::with_flags(&["jsonl"], &["--forbid=telnet"]);
    let journal = killed.run.file("journal");
    let text = fs::read_to_string(&journal).expect("it exists");
    let at = text.find("\"found\":{\"tallies\"").expect("the field exists");
    let end = at + text[at..].find(",\"complete\"").expect("it is closed");
    let good = forge(&journal, &text[at..end], "\"found\":null");
    killed.assert_resume_refused("the journal has no state of these gates");
    fs::write(&journal, good).expect("it is writable");
    let targets = killed.targets.clone();
    let run = killed.assert_resumed_with_gates();
    assert_each_once(&run.file("jsonl"), &targets);
}

#[test]
fn resume_keeps_appending_to_output() {
    let folder = Folder::new();
    let old = "{\"schema\":1,\"old\":true}\n";
    let killed = KilledRun::with_flags(&["jsonl"], &["--append"]);
    drop(folder);
    let file = killed.run.file("jsonl");
    let mut content = fs::read_to_string(&file).expect("it exists");
    assert_eq!(row::read(&content).len(), 5);
    // A row of the run itself after the checkpoint, as a kill leaves it, is removed.
    content.push_str(old);
    fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(old.as_bytes()))
        .expect("it is writable");
    killed.assert_resumed();
}
