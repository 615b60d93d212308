//! Files that a run reads, and files that its journal and databases use internally, are never
//! overwritten.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, symlink},
};

use crate::{
    database::{column, open},
    folder::{Folder, output, read},
    program::{Running, check},
    shell::sh,
};

/// Returns the inode and content of every file in the folder. Pipes have no content.
fn files(folder: &Folder) -> BTreeMap<String, (u64, Vec<u8>)> {
    let entries = fs::read_dir(folder.path()).expect("it exists").flatten();
    let files = entries.map(|entry| {
        let found = entry.metadata().expect("it exists");
        let content = if found.is_file() { fs::read(entry.path()) } else { Ok(Vec::new()) };
        let content = content.expect("it can be read");
        (entry.file_name().to_string_lossy().into_owned(), (found.ino(), content))
    });
    files.collect()
}

/// Runs the arguments, in which `$1` is the folder. Asserts that they are refused for this reason
/// and that no file has changed.
fn assert_refused(folder: &Folder, arguments: &str, reason: &str) {
    let before = files(folder);
    let ended = sh(&format!("exec \"$portmuster\" {arguments}"), folder.path());
    assert_eq!(ended.status, Some(2), "{arguments}: {ended:?}");
    assert!(ended.stderr.contains(reason), "{arguments}: {}", ended.stderr);
    assert!(before == files(folder), "{arguments}: a file has changed");
}

#[test]
fn outputs_onto_input_and_exclude_files_are_refused() {
    let folder = Folder::new();
    folder.write("list", "127.0.0.1:1\n");
    folder.write("exclude", "127.0.0.9\n");
    fs::hard_link(folder.file("list"), folder.file("hard")).expect("it is writable");
    symlink("exclude", folder.file("link")).expect("it is writable");
    let check = "check -i \"$1/list\" --exclude-file \"$1/exclude\"";
    let (input, exclude) = ("the run reads it as an input", "the run reads it as an exclude file");
    for flag in ["", "--append", "--force"] {
        for format in ["jsonl", "csv", "table", "xml", "sqlite"] {
            let into = |name: &str| format!("{check} {flag} -o \"{format}=$1/{name}\"");
            assert_refused(&folder, &into("list"), input);
            assert_refused(&folder, &into("hard"), input);
            assert_refused(&folder, &into("exclude"), exclude);
            assert_refused(&folder, &into("link"), exclude);
        }
    }
    let journal = "-o \"jsonl=$1/rows\" --force --journal";
    for name in ["list", "hard", "exclude", "link"] {
        let arguments = format!("{check} {journal} \"$1/{name}\"");
        assert_refused(&folder, &arguments, "is the journal as well: give each its own file");
        let arguments = format!("{check} --measure \"$1/{name}\"");
        assert_refused(&folder, &arguments, ": choose another file");
    }
    let stdin = "check -i - -o \"jsonl=$1/list\" --append <\"$1/list\"";
    assert_refused(&folder, stdin, input);
}

#[test]
fn stdout_redirected_to_a_file_being_read_is_refused() {
    let folder = Folder::new();
    folder.write("list", "127.0.0.1:1\n");
    folder.write("old", "");
    for (arguments, what) in [
        ("check -i \"$1/list\" >>\"$1/list\"", "an input"),
        ("check -i \"$1/list\" --list >>\"$1/list\"", "an input"),
        ("check -i - --count <\"$1/list\" >>\"$1/list\"", "an input"),
        ("check 127.0.0.2:1 --exclude-file \"$1/list\" >>\"$1/list\"", "an exclude file"),
        ("compare -i \"$1/list\" --rounds 1 --methods serial >>\"$1/list\"", "an input"),
        ("diff \"$1/old\" \"$1/list\" >>\"$1/list\"", "a run"),
        ("diff \"$1/old\" - <\"$1/list\" >>\"$1/list\"", "a run"),
    ] {
        let reason = format!("which is read as {what}: choose another file");
        assert_refused(&folder, arguments, &reason);
    }
    let ended = sh(
        "\"$portmuster\" check -i \"$1/list\" -o \"jsonl=$1/rows\" >>\"$1/list\"",
        folder.path(),
    );
    assert_eq!(ended.status, Some(0), "nothing is written to it: {ended:?}");
}

#[test]
fn names_of_sidecar_files_are_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.file("inner")).expect("it is writable");
    symlink(folder.file("inner"), folder.file("alias")).expect("it is writable");
    symlink("inner/linked.db", folder.file("linked")).expect("it is writable");
    let database = "is a file that SQLite uses for the database";
    for suffix in ["-wal", "-shm", "-journal"] {
        for (first, second) in [
            ("sqlite=$1/a.db", format!("jsonl=$1/a.db{suffix}")),
            ("sqlite=$1/inner/a.db", format!("csv=$1/alias/a.db{suffix}")),
            ("sqlite=$1/a.db", format!("sqlite=$1/./a.db{suffix}")),
            ("sqlite=$1/linked", format!("table=$1/inner/linked.db{suffix}")),
        ] {
            let outputs = [first, second.as_str()].map(|output| format!("-o \"{output}\""));
            let [first, second] = outputs;
            assert_refused(&folder, &format!("check 127.0.0.1:1 {first} {second}"), database);
            assert_refused(&folder, &format!("check 127.0.0.1:1 {second} {first}"), database);
        }
        let journal = format!("-o \"sqlite=$1/a.db\" --journal \"$1/a.db{suffix}\"");
        assert_refused(&folder, &format!("check 127.0.0.1:1 {journal}"), database);
        folder.write(&format!("a.db{suffix}"), "127.0.0.1:1\n");
        let input = format!("check -i \"$1/a.db{suffix}\" -o \"sqlite=$1/a.db\"");
        assert_refused(&folder, &input, database);
        assert_refused(
            &folder,
            "check 127.0.0.1:1 -o \"sqlite=$1/a.db\"",
            "when it creates the database",
        );
        fs::remove_file(folder.file(&format!("a.db{suffix}"))).expect("it exists");
    }
    for name in [".run.next", ".run.x.next"] {
        let outputs = format!("-o \"jsonl=$1/{name}\" --journal \"$1/run\"");
        let reason = "is a name that the journal ";
        assert_refused(&folder, &format!("check 127.0.0.1:1 {outputs}"), reason);
    }
}

/// The sidecar files belong to an existing database, which another run may be using.
#[test]
fn sidecar_names_of_existing_database_are_refused() {
    let folder = Folder::new();
    let file = folder.file("a.db");
    let audit = output("sqlite", &file);
    let mut running = Running::check(["-i", "-", "-o", "jsonl", "-o", &audit]);
    running.feed("127.0.0.1:1\n");
    running.row();
    for suffix in ["-wal", "-shm", "-journal"] {
        for flag in ["", "--append", "--force"] {
            let name = output("jsonl", &folder.file(&format!("a.db{suffix}")));
            let ended = check(
                ["127.0.0.1:1", "-o", &name]
                    .into_iter()
                    .chain(Some(flag).filter(|it| !it.is_empty())),
            );
            assert_eq!(ended.status, Some(2), "{ended:?}");
            let message = "is a file that SQLite uses for the database";
            assert!(ended.stderr.contains(message), "{ended:?}");
        }
    }
    assert_eq!(running.end().status, Some(0));
    assert_eq!(column::<u32>(&open(&file), "SELECT count(*) FROM outcomes"), [1]);
    let journal = format!("{}-journal", file.display());
    let ended = check(["127.0.0.1:1", "-o", &format!("jsonl={journal}")]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    // Next to a file that is not a database, these names are ordinary.
    folder.write("rows", "");
    let ended = check(["127.0.0.1:1", "-o", &output("jsonl", &folder.file("rows-wal"))]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn journal_keeps_user_files() {
    let folder = Folder::new();
    let users =
        [".run.next", ".run.notes.next", ".run"].map(|name| folder.write(name, "of the user\n"));
    let (rows, journal) = (output("jsonl", &folder.file("rows")), folder.file("run"));
    let journal = journal.to_str().expect("the path is UTF-8");
    let ended = check(["127.0.0.1:1-9", "-o", &rows, "--journal", journal]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for file in &users {
        assert_eq!(read(file), "of the user\n");
    }
    assert_eq!(files(&folder).len(), users.len() + 2);
}

/// Opening a pipe for writing would block until it has a reader.
#[test]
fn pipe_with_journal_is_refused_immediately() {
    let folder = Folder::new();
    assert_eq!(sh("mkfifo \"$1/pipe\"", folder.path()).status, Some(0));
    let reason = "it can't be truncated, so it can't be an output with --journal: choose a file";
    for flag in ["", "--append", "--force", "--resume"] {
        let arguments =
            format!("check 127.0.0.1:1 -o \"jsonl=$1/pipe\" --journal \"$1/run\" {flag}");
        assert_refused(&folder, &arguments, reason);
    }
    let journal = "check 127.0.0.1:1 -o \"jsonl=$1/rows\" --force --journal \"$1/pipe\"";
    assert_refused(&folder, journal, "it is not a regular file");
}
