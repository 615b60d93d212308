//! Outputs that another program truncates, removes or replaces during a run.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
};

use crate::{
    folder::{Folder, output, wait_for_growth},
    program::Running,
    shell::sh,
};

/// Tampers with an output after its first row, and asserts that the run fails with this reason,
/// both with and without further rows.
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
        let message = format!("error: writing {}: {reason}", file.display());
        assert!(ended.stderr.contains(&message), "{format} {flags:?} {has_more}: {ended:?}");
    }
}

#[test]
fn removed_or_replaced_output_is_an_error() {
    let reason = "another program has removed, moved or replaced it during the run";
    for format in ["jsonl", "csv", "xml", "table", "sqlite"] {
        let flags: &[&[&str]] =
            if format == "xml" { &[&["--show=all"]] } else { &[&["--show=all"], &["--append"]] };
        for flags in flags {
            let remove = |file: &Path| fs::remove_file(file).expect("it exists");
            assert_noticed(format, flags, remove, reason);
            let rename =
                |file: &Path| fs::rename(file, file.with_extension("old")).expect("it exists");
            assert_noticed(format, flags, rename, reason);
        }
    }
    let replace = |file: &Path| {
        fs::rename(file, file.with_extension("old")).expect("it exists");
        fs::write(file, "").expect("it is writable");
    };
    assert_noticed("jsonl", &[], replace, reason);
}

#[test]
fn truncated_output_is_an_error() {
    let truncate = |file: &Path| {
        wait_for_growth(file, 1);
        fs::write(file, "\n").expect("it is writable");
    };
    for format in ["jsonl", "csv", "xml"] {
        assert_noticed(format, &[], truncate, "another program has truncated it to 1 of ");
    }
    assert_noticed("jsonl", &["--append"], truncate, "another program has truncated it to 1 of ");
}

/// The message does not say that the rows before are complete, because they may be gone.
#[test]
fn truncated_database_is_an_error() {
    let truncate = |file: &Path| {
        let file = File::options().write(true).open(file).expect("it exists");
        let length = file.metadata().expect("it is open").len();
        file.set_len(length - 4096).expect("it can be truncated");
    };
    assert_noticed("sqlite", &[], truncate, "another program has truncated the file from ");
    let truncate = |file: &Path| {
        let log = format!("{}-wal", file.display());
        wait_for_growth(Path::new(&log), 0);
        File::options().write(true).open(log).and_then(|it| it.set_len(0)).expect("it exists");
    };
    assert_noticed("sqlite", &[], truncate, "another program has truncated or removed the log ");
}

/// `SQLite` maps this file into memory, so that the next access raises SIGBUS.
#[test]
fn truncated_index_of_a_database_ends_the_run_with_an_error() {
    let folder = Folder::new();
    let (rows, index) = (folder.file("rows"), folder.file("rows-shm"));
    let mut running = Running::check(["-i", "-", "-o", "jsonl", "-o", &output("sqlite", &rows)]);
    running.feed("127.0.0.1:1\n");
    running.row();
    wait_for_growth(&folder.file("rows-wal"), 0);
    File::options().write(true).open(index).and_then(|file| file.set_len(0)).expect("it exists");
    running.feed("127.0.0.1:1\n");
    let ended = running.end();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let message = format!(
        "error: using a database: {}-shm, which SQLite has mapped into memory, can't be read \
         (SIGBUS), because another program has truncated it or the disk has failed; ",
        rows.display()
    );
    assert!(ended.stderr.starts_with(&message), "{ended:?}");
}

#[test]
fn foreign_lines_in_exclusive_output_are_an_error() {
    let extend = |file: &Path| {
        wait_for_growth(file, 1);
        let mut other = OpenOptions::new().append(true).open(file).expect("it exists");
        other.write_all(b"other\n").expect("it is writable");
    };
    for format in ["jsonl", "csv", "xml"] {
        assert_noticed(format, &[], extend, "another program has written to it: it has ");
    }
}

/// Tampers with redirected stdout while the run waits for more targets. Returns status and stderr.
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
fn truncated_or_removed_redirection_is_an_error() {
    for (tamper, reason) in [
        (": >\"$1/rows\"", "another program has truncated the file to 0 of "),
        ("rm \"$1/rows\"", "another program has removed the file during the run"),
    ] {
        let (status, stderr) = redirected(tamper);
        assert_eq!(status, Some(3), "{stderr}");
        let message = format!("error: writing standard output: {reason}");
        assert!(stderr.starts_with(&message), "{stderr}");
    }
    assert_eq!(redirected("echo more >>\"$1/rows\""), (Some(0), String::new()));
}
