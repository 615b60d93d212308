//! Databases with special file names, and databases manipulated by another program.

use rusqlite::Connection;

use crate::{
    folder::{Folder, output},
    program::{Ended, check, program, run},
    shell::{sh, sh_in_namespaces},
};

/// Runs the program with the folder as its working directory.
fn inside(folder: &Folder, arguments: &[&str]) -> Ended {
    run(program().current_dir(folder.path()).args(arguments))
}

#[test]
fn special_names_create_files_of_that_name() {
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
            (Some(0), "portmuster: 1 target before, 1 now; 0 changed\n")
        );
        for entry in std::fs::read_dir(folder.path()).expect("it exists") {
            let found = entry.expect("it can be read").file_name();
            let found = found.to_str().expect("it is text");
            let beside = found.strip_prefix(name);
            assert!(matches!(beside, Some("" | "-wal" | "-shm")), "{name}: {found}");
        }
        assert!(folder.file(name).exists(), "{name}");
    }
}

#[test]
fn bind_mounted_database_file_is_refused() {
    let folder = Folder::new();
    let script = "cd \"$1\"
        : >rows.db
        mkdir elsewhere
        : >elsewhere/rows.db
        mount --bind rows.db elsewhere/rows.db
        \"$portmuster\" check 127.0.0.1:1 -o sqlite=elsewhere/rows.db";
    let Some(ended) = sh_in_namespaces(&["--mount"], script, folder.path()) else { return };
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("mount its directory instead"), "{ended:?}");
}

/// The output path would be a URI of the foreign database if URIs were enabled.
#[test]
fn file_uri_does_not_open_foreign_database() {
    let folder = Folder::new();
    let foreign = folder.file("foreign.db");
    let database = Connection::open(&foreign).expect("it is writable");
    database.execute_batch("CREATE TABLE x (y)").expect("it is SQL");
    drop(database);
    let before = std::fs::read(&foreign).expect("it exists");
    let ended = inside(&folder, &["check", "127.0.0.1:1", "-o", "sqlite=file:foreign.db"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(std::fs::read(&foreign).expect("it exists"), before);
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
fn trigger_that_drops_rows_is_refused() {
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

/// The manipulated table silently ignores the rows that the program inserts.
#[test]
fn silently_dropped_rows_fail_the_output() {
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
fn endless_view_does_not_hang_diff() {
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
