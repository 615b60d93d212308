//! Databases with names that mean something else elsewhere, and such that others have prepared.

use rusqlite::Connection;

use crate::{
    outputs::{Folder, output},
    program::{Ended, check, program, run},
    shell::{sh, sh_apart},
};

/// Runs the program in the folder.
fn inside(folder: &Folder, arguments: &[&str]) -> Ended {
    run(program().current_dir(folder.path()).args(arguments))
}

#[test]
fn a_database_is_a_file_of_exactly_its_name() {
    for name in [
        ":memory:",
        "file:x?mode=memory",
        "file::memory:",
        "file:foreign.db",
        "a?mode=ro",
        "a%20b",
        "a#1",
        "a b",
    ] {
        let folder = Folder::new();
        let output = format!("sqlite={name}");
        for _ in 0..2 {
            let ended = inside(&folder, &["check", "127.0.0.1:1", "-o", &output]);
            assert_eq!(ended.status, Some(0), "{name}: {}", ended.stderr);
        }
        let runs = [format!("{name}#1"), format!("{name}#2")];
        let ended = inside(&folder, &["diff", &runs[0], &runs[1]]);
        assert_eq!(
            (ended.status, &*ended.stderr),
            (Some(0), "portmuster: 1 targets, then 1; 0 changed\n")
        );
        for entry in std::fs::read_dir(folder.path()).expect("it is there") {
            let found = entry.expect("it can be read").file_name();
            let found = found.to_str().expect("it is text");
            let beside = found.strip_prefix(name);
            assert!(matches!(beside, Some("" | "-wal" | "-shm")), "{name}: {found}");
        }
        assert!(folder.file(name).exists(), "{name}");
    }
}

#[test]
fn a_database_that_is_mounted_without_its_folder_is_refused() {
    let folder = Folder::new();
    let script = "cd \"$1\"
        : >rows.db
        mkdir elsewhere
        : >elsewhere/rows.db
        mount --bind rows.db elsewhere/rows.db
        \"$portmuster\" check 127.0.0.1:1 -o sqlite=elsewhere/rows.db";
    let Some(ended) = sh_apart(&["--mount"], script, folder.path()) else { return };
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("mount its folder instead"), "{ended:?}");
}

/// The database of another application, and a path that would be its URI.
#[test]
fn a_database_of_another_application_is_not_reached_by_a_uri() {
    let folder = Folder::new();
    let foreign = folder.file("foreign.db");
    let database = Connection::open(&foreign).expect("there is room");
    database.execute_batch("CREATE TABLE x (y)").expect("it is SQL");
    drop(database);
    let before = std::fs::read(&foreign).expect("it is there");
    let ended = inside(&folder, &["check", "127.0.0.1:1", "-o", "sqlite=file:foreign.db"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(std::fs::read(&foreign).expect("it is there"), before);
    assert!(folder.file("file:foreign.db").exists());
}

fn with_run(change: &str) -> (Folder, String) {
    let folder = Folder::new();
    let file = folder.file("audit.db");
    let output = output("sqlite", &file);
    assert_eq!(check(["127.0.0.1:1", "-o", &output]).status, Some(0));
    let database = Connection::open(file).expect("it is a database");
    database.execute_batch(change).expect("it is SQL");
    (folder, output)
}

#[test]
fn a_trigger_that_would_drop_every_row_is_refused() {
    let (_folder, output) =
        with_run("CREATE TRIGGER quiet BEFORE INSERT ON outcomes BEGIN SELECT RAISE(IGNORE); END");
    let ended = check(["127.0.0.1:1", "-o", &output]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.ends_with(
            "audit.db: not as portmuster creates a database: the table outcomes has the trigger \
             quiet, which may reject rows (DROP TRIGGER quiet removes it); choose another file\n"
        ),
        "{}",
        ended.stderr
    );
}

/// A table that drops by itself what this program writes.
#[test]
fn rows_that_a_database_does_not_take_are_a_failure_of_the_output() {
    let (_folder, output) = with_run(
        "ALTER TABLE outcomes ADD COLUMN more TEXT DEFAULT 'x';
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'more TEXT DEFAULT ''x''',
            'more TEXT NOT NULL ON CONFLICT IGNORE') WHERE name = 'outcomes'",
    );
    let ended = check(["127.0.0.1:1", "-o", &output]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("run 2 has 0 of the 1 outcomes"), "{}", ended.stderr);
}

#[test]
fn a_view_without_end_does_not_hang_diff() {
    let (folder, _) = with_run(
        "PRAGMA foreign_keys = OFF;
        ALTER TABLE runs RENAME TO kept;
        CREATE VIEW runs AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
            SELECT x AS id, NULL AS ended, 0 AS \"left\" FROM n",
    );
    let script = "timeout 20 \"$portmuster\" diff \"$1/audit.db\" \"$1/audit.db\"";
    let ended = sh(script, folder.path());
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("runs is not an ordinary table (view)"), "{}", ended.stderr);
}
