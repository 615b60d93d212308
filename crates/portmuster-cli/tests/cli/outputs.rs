//! Output files: existing, appended to, replaced, and full.

use std::{fs, os::unix::fs::symlink, path::Path};

use crate::{
    folder::{Folder, output, read},
    program::{Ended, Running, check, wait_until},
    row,
    shell::{sh, sh_in_namespaces},
};

const OLD: &str = "{\"old\":true}\n";

/// Checks one target with this output file.
fn check_into(file: &Path, arguments: &[&str]) -> Ended {
    let output = output("jsonl", file);
    check([&["127.0.0.1:1", "-o", output.as_str()], arguments].concat())
}

#[test]
fn existing_file_is_refused_and_unchanged() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", OLD);
    let ended = check_into(&file, &[]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(
        ended.stderr,
        format!(
            "error: opening the output {}: it exists: --append appends to it, --force overwrites it\n",
            file.display()
        )
    );
    assert_eq!(read(&file), OLD);
}

#[test]
fn append_adds_to_existing_file() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", OLD);
    let ended = check_into(&file, &["--append"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let content = read(&file);
    let new = content.strip_prefix(OLD).expect("the old content is kept");
    assert_eq!(row::read(new).len(), 1);
}

#[test]
fn append_refuses_file_with_partial_last_line() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", OLD.trim_end());
    let ended = check_into(&file, &["--append"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("it ends in the middle of a line"), "{}", ended.stderr);
    assert_eq!(read(&file), OLD.trim_end());
}

/// The document is rewritten in the middle, which a file opened for appending does not allow.
#[test]
fn append_starts_document_in_new_or_empty_file() {
    for is_new in [true, false] {
        let folder = Folder::new();
        let file = folder.file("scan.xml");
        if !is_new {
            folder.write("scan.xml", "");
        }
        let document = output("xml", &file);
        let mut running =
            Running::check(["-i", "-", "--append", "-o", "jsonl", "-o", document.as_str()]);
        for rows in 1..=3 {
            running.feed("127.0.0.1:1\n");
            running.row();
            let count = || read(&file).matches("<host ").count();
            wait_until("rows in the file", || !running.is_alive() || count() >= rows);
        }
        assert_eq!(running.end().status, Some(0));
        let document = read(&file);
        assert_eq!(document.matches("</nmaprun>").count(), 1, "{document}");
        assert_eq!(document.matches("<port ").count(), 1, "they are one target: {document}");
    }
}

#[test]
fn force_replaces_existing_file() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", OLD.repeat(100));
    assert_eq!(check_into(&file, &["--force"]).status, Some(0));
    assert_eq!(row::read(&read(&file)).len(), 1);
}

#[test]
fn new_file_is_created_with_any_overwrite_flag() {
    for arguments in [&[][..], &["--append"], &["--force"]] {
        let folder = Folder::new();
        let file = folder.file("rows.jsonl");
        assert_eq!(check_into(&file, arguments).status, Some(0));
        assert_eq!(row::read(&read(&file)).len(), 1);
    }
}

#[test]
fn append_and_force_conflict() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", OLD);
    let ended = check_into(&file, &["--append", "--force"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("'--append' cannot be used with '--force'"), "{}", ended.stderr);
    assert_eq!(read(&file), OLD);
}

#[test]
fn uncreatable_file_error_names_file() {
    let folder = Folder::new();
    for (file, complaint) in
        [(folder.file("missing/rows.jsonl"), "No such file"), (folder.file("."), "Is a directory")]
    {
        let ended = check_into(&file, &[]);
        assert_eq!(ended.status, Some(2));
        let opening = format!("error: opening the output {}: {complaint}", file.display());
        assert!(ended.stderr.starts_with(&opening), "{}", ended.stderr);
    }
}

#[test]
fn run_that_cannot_open_one_output_changes_none() {
    let folder = Folder::new();
    let (old, new) = (folder.write("old.jsonl", OLD), folder.file("new.jsonl"));
    let outputs = [&old, &new, &folder.file("missing/rows")].map(|file| output("jsonl", file));
    let [old_output, new_output, missing] = &outputs;
    let ended =
        check(["127.0.0.1:1", "--force", "-o", old_output, "-o", new_output, "-o", missing]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(read(&old), OLD);
    assert!(!new.exists());
}

#[test]
fn two_outputs_to_one_file_are_refused() {
    let folder = Folder::new();
    let (file, link) = (folder.write("rows", OLD), folder.file("link"));
    symlink(&file, &link).expect("the folder is writable");
    let outputs = [output("jsonl", &file), output("table", &link)];
    for existing in ["--force", "--append"] {
        let ended = check(["127.0.0.1:1", existing, "-o", &outputs[0], "-o", &outputs[1]]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("another output goes to the same file"), "{ended:?}");
        assert_eq!(read(&file), OLD);
    }
    fs::remove_file(&file).expect("it exists");
    let ended = check(["127.0.0.1:1", "-o", &outputs[0], "-o", &outputs[0]]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("another output goes to the same file"), "{ended:?}");
    assert!(!file.exists());
}

#[test]
fn several_outputs_get_the_same_rows() {
    let folder = Folder::new();
    let (jsonl, table) = (folder.file("rows.jsonl"), folder.file("rows.txt"));
    let outputs = [output("jsonl", &jsonl), output("table", &table)];
    let ended =
        check(["127.0.0.1:1,2", "--show=all", "-o=table", "-o", &outputs[0], "-o", &outputs[1]]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 3);
    assert_eq!(read(&table), ended.stdout);
    assert_eq!(row::read(&read(&jsonl)).len(), 2);
}

#[test]
fn dash_means_stdout() {
    let ended = check(["127.0.0.1:1", "-o", "jsonl=-"]);
    assert_eq!(ended.rows().len(), 1);
}

#[test]
fn full_device_exits_3() {
    let ended = check(["127.0.0.1:1", "-o", "jsonl=/dev/full"]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(
        ended
            .stderr
            .starts_with("error: writing /dev/full; all rows before are complete: No space"),
        "{}",
        ended.stderr
    );
}

#[test]
fn failing_output_leaves_others_intact() {
    let folder = Folder::new();
    let file = folder.file("rows.jsonl");
    let ended = check(["127.0.0.1:1", "-o", "jsonl=/dev/full", "-o", &output("jsonl", &file)]);
    assert_eq!(ended.status, Some(3));
    row::read(&read(&file));
}

#[test]
fn error_of_an_output_is_printed_once_and_names_its_cause() {
    for format in ["jsonl", "csv", "xml"] {
        // The file, which is flushed first, has no error of its own.
        let folder = Folder::new();
        let others = output("jsonl", &folder.file("rows.jsonl"));
        let ended = check(["127.0.0.1:1", "-o", &others, "-o", &format!("{format}=/dev/full")]);
        let errors: Vec<_> =
            ended.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        let [error] = errors[..] else { panic!("{format}: {}", ended.stderr) };
        assert!(error.contains("all rows before are complete: No space left"), "{error}");
        assert!(!error.contains("earlier"), "{error}");
    }
}

#[test]
fn full_stdout_exits_3() {
    let ended = sh("exec \"$portmuster\" check 127.0.0.1:1 --show all >/dev/full", "");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.starts_with("error: writing standard output;"), "{}", ended.stderr);
}

/// Asserts that a run with a full output has written some whole rows but not all.
fn assert_filled_up(ended: &Ended, error: &str, file: &str, rows: &str) {
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let complaint = format!("error: writing {file}; all rows before are complete: {error}");
    assert!(ended.stderr.starts_with(&complaint), "{}", ended.stderr);
    let rows = row::read(rows);
    assert!(!rows.is_empty() && rows.len() < 16_384, "{}", rows.len());
    row::targets(&rows);
    assert_eq!(ended.summary().targets, 16_384);
}

/// Every user can set this limit. A quota gives the same error.
#[test]
fn file_size_limit_keeps_whole_rows() {
    let folder = Folder::new();
    let script = "ulimit -f 400
        exec \"$portmuster\" check 127.0.0.0/18 -p 1 --rate max -o \"jsonl=$1\"";
    let file = folder.file("rows.jsonl");
    let name = file.to_str().expect("temporary paths are UTF-8");
    assert_filled_up(&sh(script, name), "File too large", name, &read(&file));
}

#[test]
fn full_disk_keeps_whole_rows() {
    let folder = Folder::new();
    let script = "mount -t tmpfs -o size=256k none \"$1\"
        status=0
        \"$portmuster\" check 127.0.0.0/18 -p 1 --rate max -o \"jsonl=$1/rows\" || status=$?
        cat \"$1/rows\"
        exit $status";
    let Some(ended) = sh_in_namespaces(&["--mount"], script, folder.path()) else { return };
    let file = format!("{}/rows", folder.path());
    assert_filled_up(&ended, "No space left on device", &file, &ended.stdout);
}
