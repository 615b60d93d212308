//! Output files: left alone, added to, replaced, full.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    program::{Ended, Running, check},
    row,
    shell::{sh, sh_apart},
};

const OLD: &str = "{\"old\":true}\n";

pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("there is room for a folder"))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path().to_str().expect("temporary folders have plain names")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file of an earlier run.
    pub(crate) fn with(&self, name: &str, content: &str) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, content).expect("there is room for a file");
        file
    }
}

pub(crate) fn output(format: &str, file: &Path) -> String {
    format!("{format}={}", file.display())
}

pub(crate) fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("it is a file of text")
}

/// Checks one target into a file.
fn check_into(file: &Path, arguments: &[&str]) -> Ended {
    let output = output("jsonl", file);
    check([&["127.0.0.1:1", "-o", output.as_str()], arguments].concat())
}

#[test]
fn a_file_that_exists_is_left_as_it_is() {
    let folder = Folder::new();
    let file = folder.with("rows.jsonl", OLD);
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
fn a_file_that_exists_is_added_to_when_told_so() {
    let folder = Folder::new();
    let file = folder.with("rows.jsonl", OLD);
    let ended = check_into(&file, &["--append"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let content = read(&file);
    let new = content.strip_prefix(OLD).expect("what was there is still there");
    assert_eq!(row::read(new).len(), 1);
}

#[test]
fn a_file_that_ends_amid_a_line_is_not_added_to() {
    let folder = Folder::new();
    let file = folder.with("rows.jsonl", OLD.trim_end());
    let ended = check_into(&file, &["--append"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("it ends in the middle of a line"), "{}", ended.stderr);
    assert_eq!(read(&file), OLD.trim_end());
}

/// It is rewritten in its midst, which no file that is open for appending lets anybody do.
#[test]
fn a_document_is_begun_in_an_empty_file_that_is_added_to() {
    for is_new in [true, false] {
        let folder = Folder::new();
        let file = folder.file("scan.xml");
        if !is_new {
            folder.with("scan.xml", "");
        }
        let document = output("xml", &file);
        let mut running =
            Running::check(["-i", "-", "--append", "-o", "jsonl", "-o", document.as_str()]);
        for rows in 1..=3 {
            running.feed("127.0.0.1:1\n");
            running.row();
            while running.is_alive() && read(&file).matches("<host ").count() < rows {}
        }
        assert_eq!(running.end().status, Some(0));
        let document = read(&file);
        assert_eq!(document.matches("</nmaprun>").count(), 1, "{document}");
        assert_eq!(document.matches("<host ").count(), 3, "{document}");
    }
}

#[test]
fn a_file_that_exists_is_replaced_when_told_so() {
    let folder = Folder::new();
    let file = folder.with("rows.jsonl", &OLD.repeat(100));
    assert_eq!(check_into(&file, &["--force"]).status, Some(0));
    assert_eq!(row::read(&read(&file)).len(), 1);
}

#[test]
fn a_file_that_does_not_exist_needs_no_telling() {
    for arguments in [&[][..], &["--append"], &["--force"]] {
        let folder = Folder::new();
        let file = folder.file("rows.jsonl");
        assert_eq!(check_into(&file, arguments).status, Some(0));
        assert_eq!(row::read(&read(&file)).len(), 1);
    }
}

#[test]
fn adding_and_replacing_exclude_each_other() {
    let folder = Folder::new();
    let file = folder.with("rows.jsonl", OLD);
    let ended = check_into(&file, &["--append", "--force"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("'--append' cannot be used with '--force'"), "{}", ended.stderr);
    assert_eq!(read(&file), OLD);
}

#[test]
fn a_file_that_cannot_be_made_is_named_before_anything_is_sent() {
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
fn a_run_that_cannot_open_all_its_outputs_touches_none() {
    let folder = Folder::new();
    let (old, new) = (folder.with("old.jsonl", OLD), folder.file("new.jsonl"));
    let outputs = [&old, &new, &folder.file("missing/rows")].map(|file| output("jsonl", file));
    let [old_output, new_output, missing] = &outputs;
    let ended =
        check(["127.0.0.1:1", "--force", "-o", old_output, "-o", new_output, "-o", missing]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(read(&old), OLD);
    assert!(!new.exists());
}

#[test]
fn two_outputs_do_not_share_a_file() {
    let folder = Folder::new();
    let (file, link) = (folder.with("rows", OLD), folder.file("link"));
    symlink(&file, &link).expect("there is room for a link");
    let outputs = [output("jsonl", &file), output("table", &link)];
    for existing in ["--force", "--append"] {
        let ended = check(["127.0.0.1:1", existing, "-o", &outputs[0], "-o", &outputs[1]]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("another output goes to the same file"), "{ended:?}");
        assert_eq!(read(&file), OLD);
    }
    fs::remove_file(&file).expect("it is there");
    let ended = check(["127.0.0.1:1", "-o", &outputs[0], "-o", &outputs[0]]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("another output goes to the same file"), "{ended:?}");
    assert!(!file.exists());
}

#[test]
fn several_outputs_get_the_same_run() {
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
fn a_dash_is_stdout() {
    let ended = check(["127.0.0.1:1", "-o", "jsonl=-"]);
    assert_eq!(ended.rows().len(), 1);
}

#[test]
fn a_device_that_is_full_makes_the_run_incomplete() {
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
fn an_output_that_fails_leaves_the_others_whole() {
    let folder = Folder::new();
    let file = folder.file("rows.jsonl");
    let ended = check(["127.0.0.1:1", "-o", "jsonl=/dev/full", "-o", &output("jsonl", &file)]);
    assert_eq!(ended.status, Some(3));
    row::read(&read(&file));
}

#[test]
fn a_full_stdout_makes_the_run_incomplete() {
    let ended = sh("exec \"$portmuster\" check 127.0.0.1:1 --show all >/dev/full", "");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.starts_with("error: writing standard output;"), "{}", ended.stderr);
}

/// What a run whose output filled up leaves: whole rows, some but not all.
fn assert_filled_up(ended: &Ended, error: &str, file: &str, rows: &str) {
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let complaint = format!("error: writing {file}; all rows before are complete: {error}");
    assert!(ended.stderr.starts_with(&complaint), "{}", ended.stderr);
    let rows = row::read(rows);
    assert!(!rows.is_empty() && rows.len() < 16_384, "{}", rows.len());
    row::targets(&rows);
    assert_eq!(ended.summary().targets, 16_384);
}

/// The same error as a quota's; every user can set this limit.
#[test]
fn a_file_that_may_not_grow_keeps_whole_rows() {
    let folder = Folder::new();
    let script = "ulimit -f 400
        exec \"$portmuster\" check 127.0.0.0/18 -p 1 --rate max -o \"jsonl=$1\"";
    let file = folder.file("rows.jsonl");
    let name = file.to_str().expect("temporary folders have plain names");
    assert_filled_up(&sh(script, name), "File too large", name, &read(&file));
}

#[test]
fn a_full_disk_keeps_whole_rows() {
    let folder = Folder::new();
    let script = "mount -t tmpfs -o size=256k none \"$1\"
        status=0
        \"$portmuster\" check 127.0.0.0/18 -p 1 --rate max -o \"jsonl=$1/rows\" || status=$?
        cat \"$1/rows\"
        exit $status";
    let Some(ended) = sh_apart(&["--mount"], script, folder.path()) else { return };
    let file = format!("{}/rows", folder.path());
    assert_filled_up(&ended, "No space left on device", &file, &ended.stdout);
}
