//! Outputs that other programs cut, remove or replace while a run writes to them.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use crate::{
    outputs::{Folder, output},
    program::Running,
    shell::sh,
};

/// Lets something happen to the output of a run that has written one row, and sees that the run says
/// so at its end, also when it has more to write.
fn assert_noticed(format: &str, flags: &[&str], tamper: impl Fn(&Path), reason: &str) {
    for has_more in [false, true] {
        let folder = Folder::new();
        let file = folder.file("rows");
        let rows = output(format, &file);
        let mut running =
            Running::check([&["-i", "-", "-o", "jsonl", "-o", &rows], flags].concat());
        running.feed("127.0.0.1:1\n");
        running.row();
        tamper(&file);
        if has_more {
            running.feed("127.0.0.1:1\n");
        }
        let ended = running.end();
        assert_eq!(ended.status, Some(3), "{format} {flags:?} {has_more}: {ended:?}");
        let told = format!("error: writing {}: {reason}", file.display());
        assert!(ended.stderr.contains(&told), "{format} {flags:?} {has_more}: {ended:?}");
    }
}

/// Waits until the file has something: rows are flushed in the pause after they came.
fn wait_for(file: &Path) {
    while !fs::metadata(file).is_ok_and(|found| found.len() > 1) {}
}

#[test]
fn output_that_is_removed_or_replaced_is_an_error() {
    let gone = "another program has removed, moved or replaced it during the run";
    for format in ["jsonl", "csv", "xml", "table", "sqlite"] {
        let flags: &[&[&str]] =
            if format == "xml" { &[&["--show=all"]] } else { &[&["--show=all"], &["--append"]] };
        for flags in flags {
            let remove = |file: &Path| fs::remove_file(file).expect("it is there");
            assert_noticed(format, flags, remove, gone);
            let rename =
                |file: &Path| fs::rename(file, file.with_extension("old")).expect("it is there");
            assert_noticed(format, flags, rename, gone);
        }
    }
    let replace = |file: &Path| {
        fs::rename(file, file.with_extension("old")).expect("it is there");
        fs::write(file, "").expect("there is room");
    };
    assert_noticed("jsonl", &[], replace, gone);
}

#[test]
fn output_that_is_cut_is_an_error() {
    let cut = |file: &Path| {
        wait_for(file);
        fs::write(file, "\n").expect("there is room");
    };
    for format in ["jsonl", "csv", "xml"] {
        assert_noticed(format, &[], cut, "another program has truncated it to 1 of ");
    }
    assert_noticed("jsonl", &["--append"], cut, "another program has truncated it to 1 of ");
}

#[test]
fn output_that_is_not_appended_to_has_nothing_of_others() {
    let extend = |file: &Path| {
        wait_for(file);
        let mut other = OpenOptions::new().append(true).open(file).expect("it is there");
        other.write_all(b"other\n").expect("there is room");
    };
    for format in ["jsonl", "csv", "xml"] {
        assert_noticed(format, &[], extend, "another program has written to it: it has ");
    }
}

/// The run waits at a pipe for more targets until something has happened to its rows.
fn redirected(tamper: &str) -> (Option<i32>, String) {
    let folder = Folder::new();
    let script = "mkfifo \"$1/targets\"
        \"$portmuster\" check -q -i \"$1/targets\" -o jsonl >\"$1/rows\" &
        exec 3>\"$1/targets\"
        echo 127.0.0.1:1 >&3
        until [ -s \"$1/rows\" ]; do :; done
        TAMPER
        exec 3>&-
        wait $!";
    let ended = sh(&script.replace("TAMPER", tamper), folder.path());
    (ended.status, ended.stderr)
}

#[test]
fn redirection_that_is_cut_or_removed_is_an_error() {
    for (tamper, reason) in [
        (": >\"$1/rows\"", "another program has truncated the file to 0 of "),
        ("rm \"$1/rows\"", "another program has removed the file during the run"),
    ] {
        let (status, stderr) = redirected(tamper);
        assert_eq!(status, Some(3), "{stderr}");
        let told = format!("error: writing standard output: {reason}");
        assert!(stderr.starts_with(&told), "{stderr}");
    }
    assert_eq!(redirected("echo more >>\"$1/rows\""), (Some(0), String::new()));
}
