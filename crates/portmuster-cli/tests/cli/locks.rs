//! Two runs with the same output: only one writes, and no row is mixed or lost.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    database::{assert_intact, column, open},
    folder::{Folder, output, read, wait_for_growth},
    program::{Ended, Running, check},
    row,
    shell::sh,
};

const BUSY: &str = "another run is writing to it, or another program has locked it: wait until that ends, or \
    choose another file";

/// Starts a run that has written one row to its output and waits for more targets.
fn start_writing(output: &str, flags: &[&str]) -> Running {
    let mut running = Running::check([&["-i", "-", "-o", "jsonl", "-o", output], flags].concat());
    feed_one(&mut running);
    running
}

/// Feeds one more target to the run.
fn feed_one(running: &mut Running) {
    running.feed("127.0.0.1:1\n");
    running.row();
}

fn assert_busy(ended: &Ended, file: &Path) {
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let message = format!("error: opening the output {}: {BUSY}\n", file.display());
    assert_eq!(ended.stderr, message);
}

#[test]
fn second_run_is_refused_while_first_writes_the_file() {
    for format in ["jsonl", "csv", "table", "xml"] {
        let folder = Folder::new();
        let file = folder.file("rows");
        let mut running = start_writing(&output(format, &file), &["--show=all"]);
        wait_for_growth(&file, 0);
        let link = folder.file("link");
        symlink("rows", &link).expect("it is writable");
        let hard = folder.file("hard");
        fs::hard_link(&file, &hard).expect("it is writable");
        for name in [&file, &link, &hard] {
            for flags in [&[][..], &["--append"], &["--force"]] {
                let second = output(format, name);
                assert_busy(&check([&["127.0.0.1:1", "-o", &second], flags].concat()), name);
            }
        }
        feed_one(&mut running);
        assert_eq!(running.end().status, Some(0));
        // Both rows are of one target, which XML has once.
        let (row, count) = if format == "xml" { ("<port ", 1) } else { ("127.0.0.1", 2) };
        let content = read(&file);
        assert_eq!(content.lines().filter(|line| line.contains(row)).count(), count, "{content}");
    }
}

#[test]
fn lock_is_released_when_run_ends_or_is_killed() {
    let folder = Folder::new();
    let file = folder.file("rows.jsonl");
    let rows = output("jsonl", &file);
    let running = start_writing(&rows, &[]);
    assert_eq!(running.end().status, Some(0));
    drop(start_writing(&rows, &["--append"]));
    let ended = check(["127.0.0.1:1", "--append", "-o", &rows]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(row::read(&read(&file)).len() >= 2);
}

/// All six runs start at the same time. Some may start after others have ended.
#[test]
fn concurrent_runs_do_not_mix_rows() {
    const ROWS: usize = 512;
    for (flag, is_new) in [(None, true), (Some("--append"), true), (Some("--append"), false)]
        .into_iter()
        .chain([(Some("--force"), true), (Some("--force"), false)])
    {
        let folder = Folder::new();
        let file = folder.file("rows.jsonl");
        if !is_new {
            fs::write(&file, "").expect("it is writable");
        }
        let rows = output("jsonl", &file);
        let arguments = ["127.9.0.0-127.9.1.255:1", "-o", &rows].into_iter().chain(flag);
        let running: Vec<_> = (0..6).map(|_| Running::check(arguments.clone())).collect();
        let ended: Vec<_> = running.into_iter().map(Running::end).collect();
        let whole = ended.iter().filter(|ended| ended.status == Some(0)).count();
        for refused in ended.iter().filter(|ended| ended.status != Some(0)) {
            assert_eq!(refused.status, Some(2), "{refused:?}");
            let is_refusal = refused.stderr.contains(BUSY) || refused.stderr.contains("it exists");
            assert!(is_refusal, "{refused:?}");
        }
        assert!(whole > 0, "{ended:?}");
        let expected = match flag {
            Some("--append") => whole * ROWS,
            _ => ROWS,
        };
        assert_eq!(row::read(&read(&file)).len(), expected, "{flag:?} {is_new}");
        if flag.is_none() {
            assert_eq!(whole, 1, "the others find a file that exists");
        }
    }
}

#[test]
fn lines_appended_by_others_are_kept() {
    for is_new in [true, false] {
        let folder = Folder::new();
        let file = folder.file("rows.jsonl");
        if !is_new {
            fs::write(&file, "{\"old\":true}\n").expect("it is writable");
        }
        let before = fs::metadata(&file).map_or(0, |found| found.len());
        let mut running = start_writing(&output("jsonl", &file), &["--append"]);
        wait_for_growth(&file, before);
        let mut other = OpenOptions::new().append(true).open(&file).expect("it exists");
        other.write_all(b"{\"other\":true}\n").expect("it is writable");
        feed_one(&mut running);
        let ended = running.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let content = read(&file);
        let lines: Vec<_> = content.lines().collect();
        let rows = lines.iter().filter(|line| line.contains("127.0.0.1")).count();
        assert_eq!((lines.len() - usize::from(!is_new), rows), (3, 2), "{content}");
        assert!(content.contains("\n{\"other\":true}\n"), "{content}");
    }
}

#[test]
fn concurrent_runs_share_one_database() {
    let folder = Folder::new();
    let file = folder.file("audit.db");
    let database = output("sqlite", &file);
    let mut first = start_writing(&database, &[]);
    let mut second = start_writing(&database, &[]);
    feed_one(&mut first);
    feed_one(&mut second);
    for running in [first, second] {
        let ended = running.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let database = open(&file);
    assert_intact(&database);
    let rows = column::<u32>(&database, "SELECT count(*) FROM outcomes GROUP BY run");
    assert_eq!(rows, [2, 2]);
}

#[test]
fn row_file_and_database_refuse_each_other() {
    let folder = Folder::new();
    let (rows, audit) = (folder.file("rows.jsonl"), folder.file("audit.db"));
    let mut running = start_writing(&output("jsonl", &rows), &[]);
    assert_busy(&check(["127.0.0.1:1", "-o", &output("sqlite", &rows)]), &rows);
    feed_one(&mut running);
    assert_eq!(running.end().status, Some(0));

    let mut running = start_writing(&output("sqlite", &audit), &[]);
    let ended = check(["127.0.0.1:1", "--force", "-o", &output("jsonl", &audit)]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let message = "another program has it open as a database: choose another file";
    assert!(ended.stderr.contains(message), "{ended:?}");
    feed_one(&mut running);
    assert_eq!(running.end().status, Some(0));
    assert_eq!(column::<u32>(&open(&audit), "SELECT count(*) FROM outcomes"), [2]);
}

/// The third output is locked. The outputs opened before it must be removed again.
#[test]
fn refused_run_leaves_no_files() {
    let folder = Folder::new();
    let (busy, new) = (folder.file("busy.jsonl"), folder.file("new.jsonl"));
    let running = start_writing(&output("jsonl", &busy), &[]);
    let link = folder.file("link.jsonl");
    symlink("linked.jsonl", &link).expect("it is writable");
    let outputs = [&new, &link, &busy].map(|file| output("jsonl", file));
    let [new_output, link_output, busy_output] = &outputs;
    let ended = check(["127.0.0.1:1", "-o", new_output, "-o", link_output, "-o", busy_output]);
    assert_busy(&ended, &busy);
    assert!(!new.exists() && !folder.file("linked.jsonl").exists());
    assert!(link.symlink_metadata().is_ok_and(|link| link.is_symlink()), "it was the user's");
    drop(running);
}

#[test]
fn dangling_symlinks_are_followed() {
    let folder = Folder::new();
    let inner = folder.file("inner");
    fs::create_dir(&inner).expect("it is writable");
    symlink("inner/rows", folder.file("link")).expect("it is writable");
    for (index, flag) in ["--show=all", "--append", "--force"].into_iter().enumerate() {
        let ended = check(["127.0.0.1:1", flag, "-o", &output("jsonl", &folder.file("link"))]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let rows = if index == 1 { 2 } else { 1 };
        assert_eq!(row::read(&read(&inner.join("rows"))).len(), rows);
    }
}

#[test]
fn pipes_and_devices_need_no_lock() {
    let folder = Folder::new();
    for script in [
        "\"$portmuster\" check 127.0.0.1:1 -o jsonl=/dev/stdout | cat",
        "\"$portmuster\" check 127.0.0.1:1 -o jsonl=/dev/stdout --append >\"$1/rows\"; cat \"$1/rows\"",
        "\"$portmuster\" check 127.0.0.1:1 -o jsonl >>\"$1/more\"; cat \"$1/more\"",
        "mkfifo \"$1/pipe\"; cat \"$1/pipe\" & \"$portmuster\" check 127.0.0.1:1 -o \"jsonl=$1/pipe\"; wait",
        "\"$portmuster\" check 127.0.0.1:1 -o jsonl -o csv=/dev/null -o xml=/dev/null",
        "{ \"$portmuster\" check 127.0.0.1:1 -o jsonl & wait; } >\"$1/shared\"; cat \"$1/shared\"",
    ] {
        let ended = sh(script, folder.path());
        assert_eq!(ended.status, Some(0), "{script}: {ended:?}");
        assert_eq!(ended.rows().len(), 1, "{script}");
    }
}

/// The shell opened the redirected file, so the program knows it only by its descriptor.
#[test]
fn stdout_and_output_to_the_same_file_are_refused() {
    let folder = Folder::new();
    let script =
        "\"$portmuster\" check 127.0.0.1:1 -o jsonl -o \"csv=$1/rows\" --append >>\"$1/rows\"";
    let ended = sh(script, folder.path());
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("another output goes to the same file"), "{ended:?}");
    assert_eq!(read(&PathBuf::from(folder.path()).join("rows")), "");
}

/// Runs `second` while another run writes to the redirection `first`.
fn beside_redirected(first: &str, second: &str) -> Ended {
    let folder = Folder::new();
    let script = "mkfifo \"$1/targets\"
        \"$portmuster\" check -q -i \"$1/targets\" -o jsonl FIRST\"$1/rows\" &
        exec 3>\"$1/targets\"
        echo 127.0.0.1:1 >&3
        until [ -s \"$1/rows\" ]; do :; done
        status=0
        \"$portmuster\" check -q 127.0.0.1:2 -o SECOND || status=$?
        exec 3>&-
        wait $!
        wc -l <\"$1/rows\"
        exit $status";
    sh(&script.replace("FIRST", first).replace("SECOND", second), folder.path())
}

#[test]
fn redirected_stdout_file_is_locked() {
    for (second, message) in [
        ("\"jsonl=$1/rows\" --append", "opening the output "),
        ("\"jsonl=$1/rows\" --force", "opening the output "),
        ("jsonl >>\"$1/rows\"", "writing standard output"),
    ] {
        let ended = beside_redirected(">", second);
        assert_eq!((ended.status, ended.stdout.trim()), (Some(2), "1"), "{ended:?}");
        assert!(ended.stderr.contains(message) && ended.stderr.contains(BUSY), "{ended:?}");
    }
    let ended = beside_redirected(">>", "jsonl >>\"$1/rows\"");
    assert_eq!((ended.status, ended.stdout.trim()), (Some(0), "2"), "{ended:?}");
}

#[test]
fn redirected_stdout_lock_is_released_at_exit() {
    let folder = Folder::new();
    let script = "exec 4>\"$1/rows\"
        \"$portmuster\" check -q 127.0.0.1:1 -o jsonl >&4
        \"$portmuster\" check -q 127.0.0.1:2 -o \"jsonl=$1/rows\" --append";
    let ended = sh(script, folder.path());
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(row::read(&read(&PathBuf::from(folder.path()).join("rows"))).len(), 2);
}
