//! Whether an output and a journal are those of the run that is to go on.

use std::{fs, io::Write, path::Path};

use twox_hash::XxHash3_128;

use crate::{
    database::{column, open},
    journal::Kept,
    outputs::{Folder, output},
    program::check,
    resume::{Cut, assert_each_once},
    row,
};

/// Writes in place: the file keeps its inode, as a new one may have got it.
fn write(file: &Path, content: &[u8]) {
    fs::write(file, content).expect("there is room");
}

#[test]
fn another_file_with_the_same_inode_is_refused() {
    let formats = ["jsonl", "csv", "table", "xml"];
    let cut = Cut::with_flags(&formats, &["--show=all"]);
    for format in formats {
        let file = cut.kept.file(format);
        let content = fs::read(&file).expect("it is there");
        let text = "a line of somebody else's file\n";
        let stranger = text.repeat(content.len() / text.len() + 10);
        let longer = [&content[..1], &content].concat();
        let mut edited = content.clone();
        edited[content.len() / 3] ^= 0x01;
        for other in [stranger.as_bytes(), &longer, &edited] {
            write(&file, other);
            cut.assert_resume_refused("bytes are not those that the run wrote, so it was changed");
        }
        write(&file, &content);
    }
    cut.assert_resumed();
}

/// Its mark is at the beginning, for no row was open: nothing stands before it that could be compared.
#[test]
fn file_of_another_that_has_nothing_of_the_run_is_not_emptied() {
    let cut = Cut::with_flags(&["jsonl", "table"], &["--show=open"]);
    for format in ["jsonl", "table"] {
        let file = cut.kept.file(format);
        assert_eq!(fs::read(&file).expect("it is there"), b"");
        write(&file, b"somebody else's\n");
        if format == "table" {
            // As of a new file that got the inode; where there is no such attribute there is none.
            if rustix::fs::removexattr(&file, "user.portmuster.run").is_err() {
                return say_skipped();
            }
        }
        cut.assert_resume_refused("opening the output");
        write(&file, b"");
    }
}

/// Whether the folder's file system keeps what tells the rows of runs apart.
fn has_attributes(folder: &Folder) -> bool {
    let file = folder.with("attributes", "");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&file, "user.portmuster.test", b"1", flags).is_ok()
}

#[expect(clippy::print_stderr, reason = "a test that can't run here says so")]
fn say_skipped() {
    eprintln!("skipped: this file system keeps no extended attributes");
}

#[test]
fn rows_that_another_run_has_appended_are_not_cut_off() {
    if !has_attributes(&Folder::new()) {
        return say_skipped();
    }
    for (flag, has_journal) in [("--append", true), ("--append", false), ("--show=all", true)] {
        let cut = Cut::with_flags(&["jsonl", "csv"], &[flag]);
        let other = Folder::new();
        let journal = other.file("journal").display().to_string();
        for format in ["jsonl", "csv"] {
            let file = cut.kept.file(format);
            let before = fs::read_to_string(&file).expect("it is there");
            let rows = output(format, &file);
            let arguments = ["127.0.0.1:7-9", "--append", "-o", &rows];
            let journal = ["--journal", &journal].into_iter().filter(|_| has_journal);
            let ended = check(arguments.into_iter().chain(journal));
            assert_eq!(ended.status, Some(0), "{ended:?}");
            if has_journal {
                fs::remove_file(other.file("journal")).expect("it is there");
            }
            let after = fs::read_to_string(&file).expect("it is there");
            let more = after.strip_prefix(&before).expect("what was there is there");
            assert_eq!(more.lines().count(), 3);
            cut.assert_resume_refused(
                "another run has written to it since this one was interrupted",
            );
            assert_eq!(fs::read_to_string(&file).expect("it is there"), after);
        }
    }
}

#[test]
fn two_resumable_runs_over_one_file_lose_no_row() {
    if !has_attributes(&Folder::new()) {
        return say_skipped();
    }
    let cut = Cut::with_flags(&["jsonl"], &["--append"]);
    let (jsonl, journal) = (cut.kept.file("jsonl"), cut.kept.file("journal"));
    // The second run is killed as well, with rows behind those of the first.
    let second = cut.kept.folder.path().join("second").display().to_string();
    let rows = output("jsonl", &jsonl);
    let arguments = ["127.9.0.0/24:1", "--append", "-o", &rows, "--journal", &second];
    let ended = check(arguments);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let before = fs::read(&jsonl).expect("it is there");
    cut.assert_resume_refused("another run has written to it since this one was interrupted");
    // The one that is complete has nothing to do, and finds all its rows.
    let ended = check(arguments.into_iter().chain(["--resume"]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("nothing is left to do"), "{ended:?}");
    assert_eq!(fs::read(&jsonl).expect("it is there"), before);
    assert!(journal.exists());
}

#[test]
fn lines_that_are_no_rows_are_not_cut_off() {
    for format in ["jsonl", "csv"] {
        let cut = Cut::new(&["jsonl", "csv"]);
        let file = cut.kept.file(format);
        let content = fs::read(&file).expect("it is there");
        write(&file, &[&content[..], b"a note\n"].concat());
        cut.assert_resume_refused("there is a line that is no row, and resuming would remove it");
        write(&file, &[&content[..], &content[content.len() - 40..]].concat());
        cut.assert_resume_refused("there is a line that is no row, and resuming would remove it");
        write(&file, &content);
        cut.assert_resumed();
    }
}

#[test]
fn trace_of_a_run_goes_with_its_end() {
    let kept = Kept::new(&["jsonl", "csv", "xml"], &["127.0.0.1:1-9"]);
    assert_eq!(check(kept.arguments(false)).status, Some(0));
    for format in ["jsonl", "csv", "xml"] {
        let mut list = [0; 256];
        let length = rustix::fs::listxattr(kept.file(format), &mut list[..]).unwrap_or(0);
        let names = String::from_utf8_lossy(&list[..length]);
        assert!(!names.contains("portmuster"), "{format}: {names}");
    }
}

#[test]
fn run_of_the_same_number_in_another_database_is_refused() {
    let cut = Cut::new(&["jsonl", "sqlite"]);
    let file = cut.kept.file("sqlite");
    let other = Folder::new();
    let audit = output("sqlite", &other.file("other"));
    let targets = cut.targets.iter().map(String::as_str);
    let targets = targets.filter(|target| target.starts_with("127.0.0.1"));
    let ended = check(targets.chain(["127.0.0.1:11-60", "-o", &audit]));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let own = fs::read(&file).expect("it is there");
    let log = fs::read(file.with_extension("-wal")).ok();
    let sidecars = ["-wal", "-shm"].map(|suffix| format!("{}{suffix}", file.display()));
    let kept_sidecars = sidecars.each_ref().map(|path| fs::read(path).ok());
    assert!(log.is_none());
    for path in &sidecars {
        let _ = fs::remove_file(path);
    }
    write(&file, &fs::read(other.file("other")).expect("it is there"));
    let ended = cut.kept.resume();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let told = ["its run 1 is not the one in the journal", "run 1 had outcomes"];
    assert!(told.iter().any(|told| ended.stderr.contains(told)), "{ended:?}");
    let rows = column::<u32>(&open(&file), "SELECT count(*) FROM outcomes");
    assert_eq!(rows, [54], "it has what it had");
    for path in &sidecars {
        let _ = fs::remove_file(path);
    }
    write(&file, &own);
    for (path, content) in sidecars.iter().zip(kept_sidecars) {
        if let Some(content) = content.filter(|_| path.ends_with("-wal")) {
            write(Path::new(path), &content);
        }
    }
    cut.assert_resumed();
}

/// Puts something else in the place of what the journal says, under a checksum that fits.
fn forge(journal: &Path, from: &str, to: &str) -> Vec<u8> {
    let good = fs::read(journal).expect("it is there");
    let text = String::from_utf8(good.clone()).expect("it is text");
    let (header, body) = text.split_once('\n').expect("it has a header");
    let body = body.replacen(from, to, 1);
    let words: Vec<_> = header.split(' ').collect();
    let checksum = XxHash3_128::oneshot(format!("{}\n{body}", words[3]).as_bytes());
    let [_, _, format, program, ..] = words[..] else { panic!("{header}") };
    let forged =
        format!("portmuster journal {format} {program} {checksum:032x} {}\n{body}", body.len());
    assert_ne!(forged, text, "it has no {from}");
    fs::write(journal, forged).expect("there is room");
    good
}

/// The first number behind this, as it stands in the text.
fn number<'a>(text: &'a str, behind: &str) -> &'a str {
    let at = text.find(behind).unwrap_or_else(|| panic!("{behind} is not in {text}"));
    let rest = &text[at..];
    let end = behind.len() + rest[behind.len()..].find([',', '}', ']']).expect("it ends");
    &rest[..end]
}

#[test]
fn forged_numbers_in_a_journal_are_errors() {
    let cut =
        Cut::with_flags(&["jsonl", "xml", "sqlite"], &["--forbid=telnet", "--require-verdict"]);
    let journal = cut.kept.file("journal");
    let text = fs::read_to_string(&journal).expect("it is there");
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
    for behind in numbers {
        // The id of the run comes before the number of one in a database.
        let from =
            if behind == "\"run\":" { text.find("{\"run\":{").expect("a mark") + 8 } else { 0 };
        let found = number(&text[from..], behind);
        for forged in [
            "18446744073709551615",
            "9223372036854775807",
            "-9223372036854775808",
            "-1",
            "4611686018427387904",
            "1e300",
        ] {
            let good = forge(&journal, found, &format!("{behind}{forged}"));
            let before = cut.files();
            let ended = cut.kept.resume();
            assert_eq!(ended.status, Some(2), "{behind}{forged}: {ended:?}");
            assert!(ended.stderr.starts_with("error: "), "{behind}{forged}: {ended:?}");
            assert!(before["jsonl"] == cut.files()["jsonl"], "{behind}{forged}: {ended:?}");
            fs::write(&journal, good).expect("there is room");
        }
    }
    cut.assert_resumed_with_gates();
}

#[test]
fn more_settled_targets_than_there_are_is_an_error() {
    let cut = Cut::new(&["jsonl"]);
    let journal = cut.kept.file("journal");
    for runs in ["[7]", "[1,1,9]", "[4,900000,1]"] {
        let text = fs::read_to_string(&journal).expect("it is there");
        let at = text.find("\"settled\":[").expect("it has them");
        let end = at + text[at..].find(']').expect("they end") + 1;
        let good = forge(&journal, &text[at..end], &format!("\"settled\":{runs}"));
        cut.assert_resume_refused("it is damaged: its numbers are inconsistent");
        fs::write(&journal, good).expect("there is room");
    }
    cut.assert_resumed();
}

#[test]
fn journal_of_another_walk_is_refused() {
    let cut = Cut::new(&["jsonl"]);
    let journal = cut.kept.file("journal");
    let good = forge(&journal, "\"walk\":1,", "\"walk\":7,");
    cut.assert_resume_refused("its target order is version 7, but portmuster ");
    fs::write(&journal, good).expect("there is room");
    cut.assert_resumed();
}

/// Gates that are forged away let nothing pass.
#[test]
fn journal_without_what_gates_have_found_is_refused() {
    let cut = Cut::with_flags(&["jsonl"], &["--forbid=telnet"]);
    let journal = cut.kept.file("journal");
    let text = fs::read_to_string(&journal).expect("it is there");
    let at = text.find("\"found\":{\"tallies\"").expect("it has them");
    let end = at + text[at..].find(",\"complete\"").expect("it ends");
    let good = forge(&journal, &text[at..end], "\"found\":null");
    cut.assert_resume_refused("the journal has no state of these gates");
    fs::write(&journal, good).expect("there is room");
    let targets = cut.targets.clone();
    let kept = cut.assert_resumed_with_gates();
    assert_each_once(&kept.file("jsonl"), &targets);
}

#[test]
fn output_is_appended_to_by_a_run_that_goes_on() {
    let folder = Folder::new();
    let old = "{\"schema\":1,\"old\":true}\n";
    let cut = Cut::with_flags(&["jsonl"], &["--append"]);
    drop(folder);
    let file = cut.kept.file("jsonl");
    let mut content = fs::read_to_string(&file).expect("it is there");
    assert_eq!(row::read(&content).len(), 5);
    // A row of its own behind the mark, as a kill leaves it, goes.
    content.push_str(old);
    fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(old.as_bytes()))
        .expect("there is room");
    cut.assert_resumed();
}
