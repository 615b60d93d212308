//! Schemas of older, newer and altered databases.

use std::{fs, path::Path};

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::{DatabaseErrorKind, PreparedRun, Sqlite, schema, settings::SCHEMA_VERSION};
use super::read;
use super::scratch::{ScratchDatabase, ending, prepare};
use crate::{
    outcome::{Certainty, Look},
    sink::{ResumableSink, Sink, columns::COLUMNS, samples},
};

/// The database of version 0.1.0 with an unfinished run.
const SCHEMA_1: &str = "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        started TEXT NOT NULL, ended TEXT,
        version TEXT NOT NULL, arguments TEXT NOT NULL,
        targets INTEGER, open INTEGER, closed INTEGER, filtered INTEGER, unresolved INTEGER,
        unchecked INTEGER, excluded INTEGER, left INTEGER
    );
    CREATE TABLE outcomes (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        host TEXT NOT NULL, port INTEGER NOT NULL, open INTEGER NOT NULL, state TEXT NOT NULL,
        reason TEXT NOT NULL, address TEXT, service TEXT, banner TEXT, banner_base64 TEXT,
        ssh_protocol TEXT, ssh_software TEXT, ssh_comment TEXT, kex_algorithms TEXT,
        host_key_algorithms TEXT, ciphers_client_to_server TEXT, ciphers_server_to_client TEXT,
        macs_client_to_server TEXT, macs_server_to_client TEXT,
        compression_client_to_server TEXT, compression_server_to_client TEXT, kex_missing TEXT,
        telnet_options TEXT, protocol TEXT, findings TEXT, connect_ms REAL, first_byte_ms REAL,
        total_ms REAL, label TEXT, attempts INTEGER NOT NULL, time TEXT NOT NULL, evidence TEXT
    );
    CREATE INDEX outcomes_by_target ON outcomes (run, host, port);
    PRAGMA application_id = 1886351988;
    PRAGMA user_version = 1;
    PRAGMA journal_mode = WAL;
    INSERT INTO runs (started, version, arguments) VALUES ('2026-11-22T10:00:00.123Z', '0.1.0', '');
    INSERT INTO outcomes (run, position, host, port, open, state, reason, attempts, time)
        VALUES (1, 0, '10.0.0.5', 22, 1, 'open', 'accepted', 1, '2026-11-22T10:00:00.123Z'),
            (1, 1, '10.0.0.6', 22, 0, 'closed', 'refused', 1, '2026-11-22T10:00:00.123Z');";

/// Returns a database as version 0.1.0 left it.
fn old_database() -> ScratchDatabase {
    let database = ScratchDatabase::new();
    database.execute(SCHEMA_1);
    database
}

/// Returns the schema version, the number of columns of `outcomes`, and the rule of each row.
fn read_schema(file: &Path) -> (u32, usize, Vec<Option<String>>) {
    let database = Connection::open(file).expect("it can be opened");
    let version = schema::version(&database).expect("the version is supported");
    let columns =
        schema::existing_columns(&database, "outcomes").expect("the table can be read").len();
    let column = if version == 1 { "NULL" } else { "rule" };
    let query = format!("SELECT {column} FROM outcomes ORDER BY id");
    let mut query = database.prepare(&query).expect("the statement is valid");
    let rows = query.query_map([], |row| row.get(0)).expect("the table can be read");
    (version, columns, rows.map(|rule| rule.expect("rules are text")).collect())
}

const OLD_COLUMNS: usize = 34;
/// The fields of a row without `schema`, and three columns more.
const COLUMNS_NOW: usize = COLUMNS.len() - 1 + 3;

#[test]
fn begin_upgrades_an_older_schema() {
    let old = old_database();
    assert_eq!(read_schema(&old.file()), (1, OLD_COLUMNS, vec![None, None]));
    let mut sink =
        prepare(&old.file()).and_then(PreparedRun::commit).expect("the file is a database");
    sink.write(&samples::everything()).expect("there is room");
    sink.checkpoint().expect("there is room");
    drop(sink);
    let rule = Some("identification".to_owned());
    assert_eq!(read_schema(&old.file()), (SCHEMA_VERSION, COLUMNS_NOW, vec![None, None, rule]));
}

/// Version 2 has every column of outcomes, and the columns of runs up to `left`.
#[test]
fn end_of_a_run_is_stored_in_a_database_of_version_2() {
    let old = old_database();
    old.execute("ALTER TABLE outcomes ADD COLUMN rule TEXT; PRAGMA user_version = 2");
    assert!(read(&old.file()).is_ok());
    assert_eq!(old.query::<u32>("PRAGMA user_version"), [2]);
    let mut sink = prepare(&old.file()).and_then(PreparedRun::commit).expect("it is a database");
    let mut ending = ending();
    ending.account.found_on_retry = 7;
    let mut certainty = Certainty::default();
    let look = Look { population: 1000, asked: 400, hits: 0, failed: 0, found: 0 };
    certainty.silent.add_block(1000, &[look]);
    ending.certainty = Some(certainty);
    sink.finish(&ending).expect("there is room");
    assert_eq!(old.query::<u32>("PRAGMA user_version"), [SCHEMA_VERSION]);
    let columns =
        "found_on_retry || ' ' || silent || ' ' || asked_again || ' ' || answered || ' ' ||
        bound_count || ' ' || blocked || ' ' || confidence || ' ' || icmp_refused_bound_count";
    let stored = old.query::<Option<String>>(&format!("SELECT {columns} FROM runs ORDER BY id"));
    let bound = certainty.missed_max().expect("it was measured");
    assert!(bound > 0);
    assert_eq!(stored, [None, Some(format!("7 1000 400 0 {bound} 0 0.95 0"))]);
    let share = old.query::<Option<f64>>("SELECT bound FROM runs ORDER BY id");
    assert_eq!(share, [None, certainty.missed_share()]);

    let mut sink = Sqlite::resume(old.file(), 2, 0).expect("the run exists");
    ending.certainty = None;
    sink.finish(&ending).expect("there is room");
    assert_eq!(old.query::<Option<i64>>("SELECT silent FROM runs WHERE id = 2"), [None]);
}

#[test]
fn begin_adds_the_columns_of_outcomes_that_versions_3_and_4_lack() {
    for (version, last) in [(3, "rule"), (4, "telnet_encryption")] {
        let old = ScratchDatabase::new();
        old.add_run(1);
        let position = COLUMNS.iter().position(|column| *column == last).expect("it is a column");
        let newer = &COLUMNS[position + 1..];
        for column in newer {
            old.execute(&format!("ALTER TABLE outcomes DROP COLUMN {column}"));
        }
        old.execute(&format!("PRAGMA user_version = {version}"));
        let stored = read_schema(&old.file());
        assert_eq!((stored.0, stored.1), (version, COLUMNS_NOW - newer.len()));
        assert!(read(&old.file()).is_ok());
        let mut sink = old.begin();
        sink.write(&samples::everything()).expect("there is room");
        sink.checkpoint().expect("there is room");
        drop(sink);
        let upgraded = read_schema(&old.file());
        assert_eq!((upgraded.0, upgraded.1), (SCHEMA_VERSION, COLUMNS_NOW));
        let stored = old.query::<bool>("SELECT host_keys IS NOT NULL FROM outcomes ORDER BY id");
        assert_eq!(stored, [false, true]);
    }
}

#[test]
fn resume_upgrades_an_older_schema() {
    let old = old_database();
    let mut sink = Sqlite::resume(old.file(), 1, 1).expect("the run exists");
    sink.write(&samples::everything()).expect("there is room");
    sink.checkpoint().expect("there is room");
    drop(sink);
    let rule = Some("identification".to_owned());
    assert_eq!(read_schema(&old.file()), (SCHEMA_VERSION, COLUMNS_NOW, vec![None, rule]));
    let database = old.connect();
    assert_eq!(schema::writer(&database).as_deref(), Some(env!("CARGO_PKG_VERSION")));
}

/// A kill leaves the files as they are at that moment, so copies show what it leaves.
#[test]
fn kill_leaves_the_old_or_the_new_schema() {
    let old = old_database();
    let copy = || {
        let copied = TempDir::new().expect("a temporary folder can be created");
        for name in ["audit.db", "audit.db-wal"] {
            let from = old.folder().join(name);
            if from.exists() {
                fs::copy(from, copied.path().join(name)).expect("there is room");
            }
        }
        read_schema(&copied.path().join("audit.db"))
    };
    let before = (1, OLD_COLUMNS, vec![None, None]);
    let prepared = prepare(&old.file()).expect("the file is a database");
    assert_eq!(copy(), before);
    drop(prepared);
    assert_eq!(copy(), before);
    let prepared = prepare(&old.file()).expect("the file is a database");
    let committed = prepared.commit().expect("there is room");
    assert_eq!(copy(), (SCHEMA_VERSION, COLUMNS_NOW, vec![None, None]));
    drop(committed);
}

#[test]
fn read_of_an_older_schema_changes_nothing() {
    let old = old_database();
    let before = old.content();
    let stored = read(&old.file()).expect("the run exists");
    assert_eq!((stored.results.rows(), stored.has_ended), (2, false));
    assert_eq!(old.content(), before);
}

#[test]
fn newer_schema_is_refused_with_the_version_to_use() {
    let message = |change: &str| {
        let newer = old_database();
        newer.execute(change);
        let before = newer.content();
        let read = read(&newer.file()).expect_err("the schema is newer");
        let begun = prepare(&newer.file()).expect_err("the schema is newer");
        assert_eq!(begun.to_string(), read.to_string());
        assert_eq!(newer.content(), before);
        assert_eq!(newer.file_names().len(), 1);
        begun.to_string()
    };
    let this = env!("CARGO_PKG_VERSION");
    let newer = "PRAGMA user_version = 6; UPDATE runs SET version = ";
    assert_eq!(
        message(&format!("{newer}'7.3.0-rc.1'")),
        format!(
            "its schema version is 6, written by portmuster 7.3.0-rc.1; this program ({this}) \
             supports up to 5: use that version or newer, or choose another file"
        )
    );
    let unknown = format!(
        "its schema version is 6, written by a newer portmuster; this program ({this}) supports \
         up to 5: use a newer version, or choose another file"
    );
    for version in ["'\u{1b}[2J'", "''", "x'ff'", "printf('%.99c', '1')"] {
        assert_eq!(message(&format!("{newer}{version}")), unknown, "{version}");
    }
    assert_eq!(message("PRAGMA user_version = 6; DROP TABLE runs"), unknown);
}

/// The header still has the old version while the change is in the log.
#[test]
fn newer_schema_in_the_log_is_refused() {
    let newer = old_database();
    let writer = newer.connect();
    writer.execute_batch("PRAGMA user_version = 6").expect("the statement is valid");
    assert!(schema::inspect(&newer.file()).is_ok());
    let read = read(&newer.file()).expect_err("the schema is newer");
    for error in
        [read.to_string(), prepare(&newer.file()).expect_err("the schema is newer").to_string()]
    {
        assert!(
            error.starts_with("its schema version is 6, written by portmuster 0.1.0;"),
            "{error}"
        );
    }
    drop(writer);
}

#[test]
fn altered_schema_is_refused_unchanged() {
    let schema = SCHEMA_1.split("INSERT INTO").next().expect("the schema precedes it");
    let runs = schema.split_inclusive(");").next().expect("it creates runs");
    let marked =
        |sql: &str| format!("{sql}; PRAGMA application_id = 1886351988; PRAGMA user_version = 1;");
    for (statements, message) in [
        (marked("CREATE TABLE x (y)"), "the table runs is missing"),
        (marked(runs), "the table outcomes is missing"),
        (marked("CREATE VIEW runs AS SELECT 1 AS id"), "runs is not an ordinary table (view)"),
        (
            schema.replace("evidence TEXT\n    )", "evidence TEXT) WITHOUT ROWID"),
            "the rows of the table outcomes have no row id",
        ),
        (
            schema.replace("banner TEXT,", "banner BLOB,"),
            "the column banner of the table outcomes has BLOB instead of TEXT",
        ),
        (
            schema.replace("banner TEXT,", "banner,"),
            "the column banner of the table outcomes has no type instead of TEXT",
        ),
        (
            schema.replacen("id INTEGER PRIMARY KEY", "id INTEGER", 1),
            "the column id of the table runs is not the primary key",
        ),
        (schema.replace("version TEXT NOT NULL, ", ""), "the table runs has no column version"),
    ] {
        let database = ScratchDatabase::new();
        database.execute(&statements);
        let before = database.content();
        let read = read(&database.file()).expect_err("the schema is altered");
        let resumed = Sqlite::resume(database.file(), 1, 0).expect_err("the schema is altered");
        let begun = prepare(&database.file()).expect_err("the schema is altered");
        for error in [read.to_string(), resumed.to_string(), begun.to_string()] {
            let expected =
                format!("not as portmuster creates a database: {message}; choose another file");
            assert_eq!(error, expected);
        }
        assert_eq!(database.content(), before);
    }
}

/// Readers need the column, although it may be NULL.
#[test]
fn missing_column_that_is_read_is_reported() {
    let database = old_database();
    database.execute("ALTER TABLE outcomes DROP COLUMN banner");
    let read = read(&database.file()).expect_err("the column is missing");
    assert!(read.to_string().contains("the table outcomes has no column banner"), "{read}");
}

#[test]
fn application_id_without_schema_version_is_foreign() {
    let database = old_database();
    database.execute("PRAGMA user_version = 0");
    let refused = prepare(&database.file()).expect_err("the file has no schema version");
    assert_eq!(refused.kind(), DatabaseErrorKind::Foreign);
}
