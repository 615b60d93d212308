//! Databases that other programs have prepared, changed or damaged.

use std::fs;

use super::super::{
    DatabaseErrorKind, DatabaseErrorRepr, Sqlite,
    connection::{open_immutable, open_read_only, open_to_write},
    schema,
    statements::count,
};
use super::scratch::{ScratchDatabase, begin, ending, refused, write};
use super::{ROWS, database_with_run, read};
use crate::sink::{ResumableSink, ResumePoint, Sink};

#[test]
fn triggers_and_unique_indexes_are_refused_by_writers() {
    for (change, message) in [
        (
            "CREATE TRIGGER t BEFORE INSERT ON outcomes BEGIN SELECT RAISE(IGNORE); END",
            "the table outcomes has the trigger t, which may reject rows (DROP TRIGGER t removes it)",
        ),
        (
            "CREATE TRIGGER \"\u{1b}[2J\" AFTER UPDATE ON RUNS BEGIN DELETE FROM runs; END",
            r"the table runs has the trigger \x1b[2J,",
        ),
        (
            "CREATE UNIQUE INDEX u ON outcomes (port, run)",
            "the table outcomes has the unique index u, which may reject rows (DROP INDEX u ",
        ),
    ] {
        let database = database_with_run();
        database.execute(change);
        let before = database.content();
        let begun = begin(&database.file()).expect_err("rows would be lost");
        let resumed = Sqlite::resume(database.file(), 1, 1).expect_err("rows would be lost");
        for error in [begun, resumed] {
            assert!(error.to_string().contains(message), "{error}");
        }
        assert_eq!(database.content(), before);
        assert_eq!(read(&database.file()).expect("the rows exist").results.rows(), u64::from(ROWS));
    }
}

#[test]
fn trigger_created_during_a_run_does_not_fire() {
    let database = ScratchDatabase::new();
    let mut sink = begin(&database.file()).expect("the file is a database");
    database.execute("CREATE TRIGGER t BEFORE INSERT ON outcomes BEGIN SELECT RAISE(IGNORE); END");
    write(&mut sink, ROWS);
    sink.finish(&ending()).expect("there is room");
    drop(sink);
    assert_eq!(read(&database.file()).expect("the rows exist").results.rows(), u64::from(ROWS));
}

#[test]
fn deletion_of_outcomes_by_another_program_is_detected() {
    let message = |change: &str, write_again: bool| {
        let database = ScratchDatabase::new();
        let mut sink = begin(&database.file()).expect("the file is a database");
        write(&mut sink, 10);
        sink.checkpoint().expect("there is room");
        database.execute(change);
        let error = if write_again {
            write(&mut sink, 5);
            sink.flush().and_then(|()| sink.flush()).expect("there is room");
            database.execute(change);
            sink.checkpoint().expect_err("rows are missing").to_string()
        } else {
            sink.finish(&ending()).expect_err("rows are missing").to_string()
        };
        drop(sink);
        assert!(!read(&database.file()).is_ok_and(|stored| stored.has_ended));
        error
    };
    assert_eq!(
        message("DELETE FROM outcomes WHERE id < 4", false),
        "run 1 has 7 of the 10 outcomes that were written to it; another program that uses the \
         database has removed the others"
    );
    assert!(
        message("PRAGMA foreign_keys = OFF; UPDATE outcomes SET run = 2", false)
            .starts_with("run 1 has 0 of the 10")
    );
    assert!(
        message("DELETE FROM outcomes WHERE id > 12", true).starts_with("run 1 has 12 of the 15")
    );
    assert_eq!(
        message("PRAGMA foreign_keys = OFF; DELETE FROM runs", false),
        "the database has no run 1"
    );
}

/// `SQLite` chooses further ids at random.
#[test]
fn database_without_further_ids_is_refused_by_writers() {
    for table in ["runs", "outcomes"] {
        let database = database_with_run();
        let last = format!("id = (SELECT max(id) FROM {table})");
        database.execute(&format!(
            "PRAGMA foreign_keys = OFF; UPDATE {table} SET id = 9223372036854775807 WHERE {last}"
        ));
        let error = begin(&database.file()).expect_err("the order of ids would be lost");
        let reason = format!("the table {table} has the id 9223372036854775807, and no run ");
        assert!(error.to_string().contains(&reason), "{error}");
    }
}

/// A constraint of the table drops rows silently.
#[test]
fn row_that_the_table_rejects_is_detected() {
    let database = database_with_run();
    database.execute(
        "ALTER TABLE outcomes ADD COLUMN more TEXT DEFAULT 'x';
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'more TEXT DEFAULT ''x''',
            'more TEXT NOT NULL ON CONFLICT IGNORE') WHERE name = 'outcomes';",
    );
    let mut sink = begin(&database.file()).expect("the file is a database");
    sink.write(&refused(1)).expect("the row is buffered");
    let error = sink.checkpoint().expect_err("the row is rejected");
    assert!(error.to_string().starts_with("run 2 has 0 of the 1 outcomes"), "{error}");
}

#[test]
fn resumed_run_counts_its_earlier_rows() {
    let database = ScratchDatabase::new();
    let mut sink = begin(&database.file()).expect("the file is a database");
    write(&mut sink, 10);
    let ResumePoint::Run { run, last, .. } = sink.checkpoint().expect("there is room") else {
        panic!("the sink is a database")
    };
    write(&mut sink, 10);
    drop(sink);
    let mut sink = Sqlite::resume(database.file(), run, last).expect("the run exists");
    write(&mut sink, 10);
    sink.finish(&ending()).expect("nothing is missing");
    drop(sink);
    assert_eq!(read(&database.file()).expect("the rows exist").results.rows(), 20);
}

const ENDLESS: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)";

/// Returns statements that replace a table by something else.
fn replace_table(table: &str, statement: &str) -> String {
    format!("PRAGMA foreign_keys = OFF; ALTER TABLE {table} RENAME TO kept; {statement}")
}

#[test]
fn replacement_of_a_table_is_refused() {
    let endless_runs = format!(
        "CREATE VIEW runs AS {ENDLESS} SELECT x AS id, '' AS started, '' AS ended, '' AS version,
            '' AS arguments, 0 AS targets, 0 AS open, 0 AS closed, 0 AS filtered, 0 AS unresolved,
            0 AS unchecked, 0 AS excluded, 0 AS left FROM n"
    );
    for (change, message) in [
        (replace_table("runs", &endless_runs), "runs is not an ordinary table (view)"),
        (
            replace_table("outcomes", "CREATE VIEW Outcomes AS SELECT * FROM kept"),
            "outcomes is not an ordinary table (view)",
        ),
        (
            replace_table("outcomes", "CREATE VIRTUAL TABLE OUTCOMES USING fts5 (id, run)"),
            "outcomes is not an ordinary table (virtual)",
        ),
        (
            replace_table("runs", "CREATE TABLE x (y); CREATE INDEX runs ON x (y)"),
            "runs is not an ordinary table (index)",
        ),
        (
            "PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = replace(sql, 'banner TEXT',
                'banner TEXT AS (host || reason)') WHERE name = 'outcomes'"
                .into(),
            "the column banner of the table outcomes is a generated column",
        ),
        (
            "PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = 'CREATE TABLE runs (id INTEGER PRIMARY KEY DESC,'
                || substr(sql, instr(sql, 'started') - 1) WHERE name = 'runs'"
                .into(),
            "",
        ),
        (
            // A view whose schema entry claims to be a table.
            format!(
                "ALTER TABLE runs RENAME TO kept; {endless_runs}; PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET type = 'table', rootpage = 2 WHERE name = 'runs'"
            ),
            "malformed database schema (runs)",
        ),
        (
            // The schema entry of another table is renamed.
            format!(
                "ALTER TABLE runs RENAME TO kept; {endless_runs}; PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET name = 'x', tbl_name = 'x' WHERE name = 'runs';
                UPDATE sqlite_schema SET name = 'runs' WHERE name = 'kept'"
            ),
            "",
        ),
    ] {
        let database = database_with_run();
        database.execute(&change);
        let before = database.content();
        let read = read(&database.file()).map(|stored| stored.id).expect_err(&change).to_string();
        let begun = begin(&database.file()).map(drop).expect_err(&change).to_string();
        for error in [read, begun] {
            assert!(error.contains(message), "{change}: {error}");
        }
        assert_eq!(database.content(), before, "{change}");
    }
}

#[test]
fn other_tables_views_and_indexes_are_accepted() {
    let database = database_with_run();
    database.execute(&format!(
        "CREATE VIEW open_ports AS SELECT host, port FROM outcomes WHERE open;
        CREATE VIEW endless AS {ENDLESS} SELECT x FROM n;
        CREATE TABLE notes (host TEXT UNIQUE, note TEXT);
        CREATE VIRTUAL TABLE texts USING fts5 (text);
        CREATE TRIGGER t AFTER INSERT ON notes BEGIN DELETE FROM notes; END;
        CREATE INDEX by_port ON outcomes (port);
        ALTER TABLE outcomes ADD COLUMN note TEXT;"
    ));
    let mut sink = begin(&database.file()).expect("the file is a database");
    write(&mut sink, 2);
    sink.finish(&ending()).expect("there is room");
    drop(sink);
    assert_eq!(read(&database.file()).expect("the rows exist").results.rows(), 2);
}

#[test]
fn table_created_by_another_application_is_refused() {
    let database = ScratchDatabase::new();
    fs::write(database.file(), "").expect("there is room");
    let mut connection = open_to_write(&database.file()).expect("the file is empty");
    database.execute("CREATE TABLE x (y)");
    let error = schema::create(&mut connection).expect_err("another application owns it");
    assert!(matches!(error, DatabaseErrorRepr::Foreign), "{error}");
    database.execute("PRAGMA application_id = 7; PRAGMA user_version = 1");
    let error = schema::version(&connection).expect_err("another application owns it");
    assert!(matches!(error, DatabaseErrorRepr::Foreign), "{error}");
}

#[test]
fn endless_statement_is_interrupted() {
    let database = database_with_run();
    let query = format!("{ENDLESS} SELECT count(*) FROM n");
    for connection in [
        open_read_only(&database.file()).expect("the file is a database"),
        open_immutable(&database.file()).expect("the file is a database"),
        open_to_write(&database.file()).expect("the file is a database"),
    ] {
        let error = count(&connection, &query, &[]).expect_err("the statement is endless");
        let error = DatabaseErrorRepr::from(error).to_string();
        assert!(error.contains("takes more steps than a database of its size can need"), "{error}");
    }
}

/// Every cell of an inner page of a table refers to the same child page.
#[test]
fn read_of_a_cycle_of_pages_ends() {
    let database = database_with_run();
    database.execute(
        "INSERT INTO outcomes (run, position, host, port, open, state, reason, address, service,
            banner, attempts, time)
        SELECT 1, o.position, o.host, o.port + 300 * n.column1, o.open, o.state, o.reason, o.address,
            o.service, printf('%.400c', 'x'), o.attempts, o.time
        FROM outcomes o, (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS n;
        PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE",
    );
    let mut bytes = database.content();
    let number = |query: &str| database.query::<u32>(query)[0] as usize;
    let size = number("PRAGMA page_size");
    let root = number("SELECT rootpage FROM sqlite_schema WHERE name = 'outcomes'");
    let page = &mut bytes[(root - 1) * size..root * size];
    assert_eq!(page[0], 5, "an inner page");
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    assert!(cells > 10, "{cells}");
    let cell = |page: &[u8], cell: usize| {
        usize::from(u16::from_be_bytes([page[12 + 2 * cell], page[13 + 2 * cell]]))
    };
    let first = cell(page, 0);
    let child: [u8; 4] = page[first..first + 4].try_into().expect("a page number has four bytes");
    for number in 0..cells {
        let at = cell(page, number);
        page[at..at + 4].copy_from_slice(&child);
    }
    fs::write(database.file(), bytes).expect("there is room");
    let error = read(&database.file()).expect_err("the database is damaged");
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// Changes a row of run 1 while the index does not exist for `SQLite`.
fn without_index(change: &str) -> ScratchDatabase {
    let database = ScratchDatabase::new();
    database.add_run(300);
    database.add_run(5);
    let root = database
        .query::<u32>("SELECT rootpage FROM sqlite_schema WHERE name = 'outcomes_by_target'")[0];
    database.execute(
        "CREATE TABLE kept AS SELECT * FROM outcomes WHERE id = 7;
        PRAGMA writable_schema = ON;
        DELETE FROM sqlite_schema WHERE name = 'outcomes_by_target'",
    );
    database.execute(change);
    database.execute(&format!(
        "PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema VALUES ('index', 'outcomes_by_target', 'outcomes', {root},
            'CREATE INDEX outcomes_by_target ON outcomes (run, host, port)')"
    ));
    database
}

#[test]
fn index_that_differs_from_its_table_is_noticed_by_readers_and_writers() {
    for (change, found) in [
        (
            "DELETE FROM outcomes WHERE id = 7",
            "its index leads to 300 rows, and the database has 299",
        ),
        ("UPDATE outcomes SET port = 999 WHERE id = 7", ""),
        (
            "UPDATE outcomes SET run = 2 WHERE id = 7",
            "its index leads to 300 rows, and the database has 299",
        ),
    ] {
        let database = without_index(change);
        let before = database.content();
        for error in [
            begin(&database.file()).map(drop).expect_err(change),
            Sqlite::resume(database.file(), 1, 300).map(drop).expect_err(change),
        ] {
            assert_eq!(error.kind(), DatabaseErrorKind::Damaged, "{error}");
            assert!(error.to_string().contains("index outcomes_by_target"), "{error}");
        }
        assert_eq!(database.content(), before, "{change}");
        let run = crate::history::read_run(database.file(), crate::history::RunChoice::Id(1));
        match run {
            Ok(_) => assert_eq!(found, "", "{change}"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("run 1 is damaged: ") && text.contains(found), "{text}");
                let kind = crate::history::StoredRunErrorKind::Database(DatabaseErrorKind::Damaged);
                assert_eq!(error.kind(), kind);
            }
        }
        database.execute("REINDEX");
        let mut sink = begin(&database.file()).expect("the index is new");
        sink.finish(&ending()).expect("there is room");
    }
}

/// Flips random bytes. Each database is read or refused, without a panic or an endless loop.
#[test]
fn damaged_database_is_read_or_refused() {
    let database = database_with_run();
    database.execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
    let whole = database.content();
    let mut random = fastrand::Rng::with_seed(14);
    let (mut accepted, mut rejected) = (0, 0);
    for case in 0..1_000 {
        let damaged = ScratchDatabase::new();
        let mut bytes = whole.clone();
        let from = if random.bool() { 0..whole.len() } else { 16..8 * 1024 };
        for _ in 0..random.usize(1..=8) {
            bytes[random.usize(from.clone())] ^= random.u8(1..);
        }
        if random.u8(..) < 16 {
            bytes.truncate(random.usize(..whole.len()));
        }
        fs::write(damaged.file(), bytes).expect("there is room");
        match read(&damaged.file()) {
            Ok(_) => accepted += 1,
            Err(_) => rejected += 1,
        }
        // Writing syncs the disk, so only a tenth of the cases do.
        if case % 10 > 0 {
            continue;
        }
        for resume in [false, true] {
            let begun =
                if resume { Sqlite::resume(damaged.file(), 1, 7) } else { begin(&damaged.file()) };
            let Ok(mut sink) = begun else { continue };
            let _ = sink.write(&refused(1)).and_then(|()| sink.finish(&ending()));
        }
    }
    assert!(accepted > 50 && rejected > 50, "{accepted} {rejected}");
}
