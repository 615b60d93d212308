//! Names that mean something else to the library, and databases that others have prepared.

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt, time::SystemTime};

use tempfile::TempDir;

use super::*;
use crate::{
    history::{StoredRun, StoredRunError, read_run},
    outcome::{Account, Outcome, PortState, Reason},
    sink::{Beginning, Ending, PreparedRun, ResumePoint, Sink, Sqlite, samples},
};

/// Rows of the run in a [`Folder`] that has one.
const ROWS: u32 = 300;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("there is room for a folder"))
    }

    /// A folder with a database of one run.
    fn with_run() -> Self {
        let folder = Self::new();
        let mut sink = begin(&folder.file()).expect("it is a database");
        write(&mut sink, ROWS);
        sink.finish(&ending()).expect("there is room");
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("audit.db")
    }

    /// What another program does to the database.
    fn change(&self, change: &str) {
        Connection::open(self.file())
            .and_then(|database| database.execute_batch(change))
            .expect("it can be changed");
    }

    fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.0.path()).expect("it is there");
        entries.map(|entry| entry.expect("it can be read").file_name()).collect()
    }
}

fn begin(file: &Path) -> Result<Sqlite, DatabaseError> {
    let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments: String::new() };
    PreparedRun::begin(file, &beginning).and_then(PreparedRun::commit)
}

fn ending() -> Ending {
    let time = SystemTime::UNIX_EPOCH;
    Ending { account: Account::default(), targets: u128::from(ROWS), time }
}

fn outcome(port: u16) -> Outcome {
    let mut outcome = samples::not_open(PortState::Closed, Reason::Refused);
    outcome.target = ("10.0.0.5", port).into();
    outcome
}

fn write(sink: &mut Sqlite, rows: u32) {
    for port in 1..=rows {
        let port = u16::try_from(port).expect("there are so many ports");
        sink.write(&outcome(port)).expect("there is room");
    }
}

fn read(file: &Path) -> Result<StoredRun, StoredRunError> {
    read_run(file, "last".parse().expect("it names a run"))
}

#[test]
fn a_name_is_that_of_a_file_whatever_sqlite_makes_of_it() {
    for name in [
        &b":memory:"[..],
        b"file::memory:",
        b"file:x?mode=memory",
        b"file:x?mode=memory&cache=shared",
        b"file:foreign.db",
        b"FILE:foreign.db",
        b"file:///etc/x.db",
        b"a?b.db",
        b"a?immutable=1",
        b"a%20b%.db",
        b"a#b.db",
        b" a b ",
        b"a'b\"c;.db",
        b"caf\xe9\xff.db",
        b"-",
        b"...",
        b"a\nb",
    ] {
        let folder = Folder::new();
        let name = OsString::from_vec(name.to_vec());
        // A part of a URI that looks like a folder has to be one.
        let file = folder.0.path().join(&name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("there is room");
        let mut sink = begin(&file).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        write(&mut sink, 3);
        sink.finish(&ending()).expect("there is room");
        drop(sink);
        assert!(fs::read(&file).expect("it is there").starts_with(b"SQLite format 3\0"));
        assert_eq!(read(&file).expect("it has a run").run.rows(), 3, "{name:?}");
        let immutable = open_immutable(&file).expect("it is a database");
        let rows = super::super::count(&immutable, "SELECT count(*) FROM outcomes", &[]);
        assert_eq!(rows, Ok(3), "{name:?}");
        if !name.as_encoded_bytes().contains(&b'/') {
            let is_ours = |other: &OsString| {
                let other = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
                matches!(other, Some(b"" | b"-wal" | b"-shm"))
            };
            assert!(folder.names().iter().all(is_ours), "{:?}", folder.names());
        }
    }
}

#[test]
fn a_name_that_stays_relative_is_no_other_one() {
    for name in [":memory:", "file:x?mode=memory", "file:/etc/passwd", "a.db"] {
        let path = unmistakable(Path::new(name)).expect("a file can have it");
        assert_eq!(path.to_str(), Some(&*format!("./{name}")));
    }
    let folder = Folder::with_run();
    let slashes = PathBuf::from(format!("/{}", folder.file().display()));
    assert_eq!(unmistakable(&slashes).expect("a file can have it"), slashes);
    assert!(open_immutable(&slashes).is_ok(), "it has no authority");
}

#[test]
fn what_no_file_can_be_called_is_refused() {
    let folder = Folder::new();
    for name in ["", ".", "..", "new.db/", "new.db/.", "/", "new.db//"] {
        let path = if name.is_empty() { PathBuf::new() } else { folder.0.path().join(name) };
        let _ = begin(&path).expect_err(name);
        let _ = read(&path).expect_err(name);
        assert_eq!(folder.names(), [""; 0], "{name}");
    }
    let error = open_to_write(Path::new("")).expect_err("it is empty");
    assert_eq!(error.to_string(), "the name of a file is wanted, such as audit.db");
    assert!(open_to_write(Path::new("a\0b")).is_err());
}

#[test]
fn a_database_with_a_second_name_is_refused_and_left_alone() {
    let folder = Folder::with_run();
    let (second, before) = (folder.0.path().join("second"), folder.names());
    fs::hard_link(folder.file(), &second).expect("there is room");
    for name in [folder.file(), second.clone()] {
        for refused in [begin(&name).map(drop), Sqlite::inspect(&name)] {
            assert!(matches!(refused, Err(DatabaseError::Linked(2))), "{refused:?}");
        }
    }
    fs::remove_file(second).expect("it is there");
    assert_eq!(folder.names(), before);
    begin(&folder.file()).expect("it has one name");
}

#[test]
fn the_log_is_where_a_link_leads() {
    let (folder, link) = (Folder::with_run(), Folder::new());
    std::os::unix::fs::symlink(folder.file(), link.file()).expect("there is room");
    assert!(!has_log(&link.file()));
    let _writer = begin(&folder.file()).expect("it is a database");
    assert!(has_log(&link.file()));
    assert_eq!(read(&link.file()).expect("it has a run").id, 2);
}

#[test]
fn what_would_change_rows_is_refused_by_writers_and_left_alone() {
    for (change, complaint) in [
        (
            "CREATE TRIGGER t BEFORE INSERT ON outcomes BEGIN SELECT RAISE(IGNORE); END",
            "its table outcomes has the trigger t, which may keep rows out (DROP TRIGGER t removes it)",
        ),
        (
            "CREATE TRIGGER \"\u{1b}[2J\" AFTER UPDATE ON RUNS BEGIN DELETE FROM runs; END",
            r"its table runs has the trigger \x1b[2J,",
        ),
        (
            "CREATE UNIQUE INDEX u ON outcomes (port, run)",
            "its table outcomes has the unique index u, which may keep rows out (DROP INDEX u ",
        ),
    ] {
        let folder = Folder::with_run();
        folder.change(change);
        let before = fs::read(folder.file()).expect("it is there");
        let begun = begin(&folder.file()).expect_err("rows would be lost");
        let resumed = Sqlite::resume(&folder.file(), 1, 1).expect_err("rows would be lost");
        for error in [begun, resumed] {
            assert!(error.to_string().contains(complaint), "{error}");
        }
        assert_eq!(fs::read(folder.file()).expect("it is there"), before);
        assert_eq!(read(&folder.file()).expect("its rows are there").run.rows(), u64::from(ROWS));
    }
}

#[test]
fn what_comes_while_a_run_goes_on_does_not_run() {
    let folder = Folder::new();
    let mut sink = begin(&folder.file()).expect("it is a database");
    folder.change("CREATE TRIGGER t BEFORE INSERT ON outcomes BEGIN SELECT RAISE(IGNORE); END");
    write(&mut sink, ROWS);
    sink.finish(&ending()).expect("there is room");
    drop(sink);
    assert_eq!(read(&folder.file()).expect("its rows are there").run.rows(), u64::from(ROWS));
}

#[test]
fn outcomes_that_something_else_deletes_are_missed() {
    let told = |change: &str, write_again: bool| {
        let folder = Folder::new();
        let mut sink = begin(&folder.file()).expect("it is a database");
        write(&mut sink, 10);
        sink.checkpoint().expect("there is room");
        folder.change(change);
        let failed = if write_again {
            write(&mut sink, 5);
            sink.flush().and_then(|()| sink.flush()).expect("there is room");
            folder.change(change);
            sink.checkpoint().expect_err("rows are missing").to_string()
        } else {
            sink.finish(&ending()).expect_err("rows are missing").to_string()
        };
        drop(sink);
        assert!(!read(&folder.file()).is_ok_and(|stored| stored.has_ended));
        failed
    };
    assert_eq!(
        told("DELETE FROM outcomes WHERE id < 4", false),
        "run 1 has 7 of the 10 outcomes that were written to it; something else that uses the \
         database has removed the others"
    );
    assert!(
        told("PRAGMA foreign_keys = OFF; UPDATE outcomes SET run = 2", false)
            .starts_with("run 1 has 0 of the 10")
    );
    assert!(told("DELETE FROM outcomes WHERE id > 12", true).starts_with("run 1 has 12 of the 15"));
    assert_eq!(told("PRAGMA foreign_keys = OFF; DELETE FROM runs", false), "run 1 is not in it");
}

/// A table of ours that drops rows by itself.
#[test]
fn a_row_that_the_table_does_not_take_is_missed() {
    let folder = Folder::with_run();
    folder.change(
        "ALTER TABLE outcomes ADD COLUMN more TEXT DEFAULT 'x';
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'more TEXT DEFAULT ''x''',
            'more TEXT NOT NULL ON CONFLICT IGNORE') WHERE name = 'outcomes';",
    );
    let mut sink = begin(&folder.file()).expect("it is a database");
    sink.write(&outcome(1)).expect("it is not written yet");
    let failed = sink.checkpoint().expect_err("it is not taken");
    assert!(failed.to_string().starts_with("run 2 has 0 of the 1 outcomes"), "{failed}");
}

#[test]
fn a_run_that_goes_on_counts_what_it_had() {
    let folder = Folder::new();
    let mut sink = begin(&folder.file()).expect("it is a database");
    write(&mut sink, 10);
    let ResumePoint::Run { run, last, .. } = sink.checkpoint().expect("there is room") else {
        panic!("it is a database")
    };
    write(&mut sink, 10);
    drop(sink);
    let mut sink = Sqlite::resume(&folder.file(), run, last).expect("the run is there");
    write(&mut sink, 10);
    sink.finish(&ending()).expect("nothing is missing");
    drop(sink);
    assert_eq!(read(&folder.file()).expect("its rows are there").run.rows(), 20);
}

const ENDLESS: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)";

/// Makes something else of a table, with the same columns.
fn instead(table: &str, made: &str) -> String {
    format!("PRAGMA foreign_keys = OFF; ALTER TABLE {table} RENAME TO kept; {made}")
}

#[test]
fn what_stands_in_the_place_of_a_table_is_refused() {
    let endless_runs = format!(
        "CREATE VIEW runs AS {ENDLESS} SELECT x AS id, '' AS started, '' AS ended, '' AS version,
            '' AS arguments, 0 AS targets, 0 AS open, 0 AS closed, 0 AS filtered, 0 AS unresolved,
            0 AS unchecked, 0 AS excluded, 0 AS left FROM n"
    );
    for (change, complaint) in [
        (instead("runs", &endless_runs), "its runs is no ordinary table (view)"),
        (
            instead("outcomes", "CREATE VIEW Outcomes AS SELECT * FROM kept"),
            "its outcomes is no ordinary table (view)",
        ),
        (
            instead("outcomes", "CREATE VIRTUAL TABLE OUTCOMES USING fts5 (id, run)"),
            "its outcomes is no ordinary table (virtual)",
        ),
        (
            instead("runs", "CREATE TABLE x (y); CREATE INDEX runs ON x (y)"),
            "its runs is no ordinary table (index)",
        ),
        (
            "PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = replace(sql, 'banner TEXT',
                'banner TEXT AS (host || reason)') WHERE name = 'outcomes'"
                .into(),
            "the column banner of its table outcomes is generated from others",
        ),
        (
            "PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = 'CREATE TABLE runs (id INTEGER PRIMARY KEY DESC,'
                || substr(sql, instr(sql, 'started') - 1) WHERE name = 'runs'"
                .into(),
            "",
        ),
        (
            // It says of itself that it is a table.
            format!(
                "ALTER TABLE runs RENAME TO kept; {endless_runs}; PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET type = 'table', rootpage = 2 WHERE name = 'runs'"
            ),
            "malformed database schema (runs)",
        ),
        (
            // Another one is that table.
            format!(
                "ALTER TABLE runs RENAME TO kept; {endless_runs}; PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET name = 'x', tbl_name = 'x' WHERE name = 'runs';
                UPDATE sqlite_schema SET name = 'runs' WHERE name = 'kept'"
            ),
            "",
        ),
    ] {
        let folder = Folder::with_run();
        folder.change(&change);
        let before = fs::read(folder.file()).expect("it is there");
        let read = read(&folder.file()).map(|stored| stored.id).expect_err(&change).to_string();
        let begun = begin(&folder.file()).map(drop).expect_err(&change).to_string();
        for error in [read, begun] {
            assert!(error.contains(complaint), "{change}: {error}");
        }
        assert_eq!(fs::read(folder.file()).expect("it is there"), before, "{change}");
    }
}

#[test]
fn what_others_keep_beside_our_tables_is_no_trouble() {
    let folder = Folder::with_run();
    folder.change(&format!(
        "CREATE VIEW open_ports AS SELECT host, port FROM outcomes WHERE open;
        CREATE VIEW endless AS {ENDLESS} SELECT x FROM n;
        CREATE TABLE notes (host TEXT UNIQUE, note TEXT);
        CREATE VIRTUAL TABLE texts USING fts5 (text);
        CREATE TRIGGER t AFTER INSERT ON notes BEGIN DELETE FROM notes; END;
        CREATE INDEX by_port ON outcomes (port);
        ALTER TABLE outcomes ADD COLUMN note TEXT;"
    ));
    let mut sink = begin(&folder.file()).expect("it is a database");
    write(&mut sink, 2);
    sink.finish(&ending()).expect("there is room");
    drop(sink);
    assert_eq!(read(&folder.file()).expect("its rows are there").run.rows(), 2);
}

#[test]
fn what_an_application_has_put_into_an_empty_file_is_left_alone() {
    let folder = Folder::new();
    fs::write(folder.file(), "").expect("there is room");
    let mut ours = open_to_write(&folder.file()).expect("it is empty");
    folder.change("CREATE TABLE x (y)");
    let error = super::super::schema::create(&mut ours).expect_err("it is another's");
    assert!(matches!(error, DatabaseError::Foreign), "{error}");
    folder.change("PRAGMA application_id = 7; PRAGMA user_version = 1");
    let error = super::super::schema::version(&ours).expect_err("it is another's");
    assert!(matches!(error, DatabaseError::Foreign), "{error}");
}

#[test]
fn a_statement_without_end_is_interrupted() {
    let folder = Folder::with_run();
    let query = format!("{ENDLESS} SELECT count(*) FROM n");
    for connection in [
        open_read_only(&folder.file()).expect("it is a database"),
        open_immutable(&folder.file()).expect("it is a database"),
        open_to_write(&folder.file()).expect("it is a database"),
    ] {
        let error = super::super::count(&connection, &query, &[]).expect_err("it has no end");
        let error = DatabaseError::from(error).to_string();
        assert!(error.contains("takes more steps than it has room for"), "{error}");
    }
}

/// The pages of a table, of which every inner one points at the same page again and again.
#[test]
fn pages_that_are_used_again_and_again_come_to_an_end() {
    let folder = Folder::with_run();
    folder.change(
        "INSERT INTO outcomes SELECT NULL, 1, o.position, o.host, o.port + 300 * n.column1, o.open, o.state,
            o.reason, o.address, o.service, printf('%.400c', 'x'), NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, o.attempts, o.time, NULL, NULL
        FROM outcomes o, (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS n;
        PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE",
    );
    let mut bytes = fs::read(folder.file()).expect("it is there");
    let database = Connection::open(folder.file()).expect("it is a database");
    let number = |query: &str| {
        let number: u32 = database.query_row(query, [], |row| row.get(0)).expect("it is there");
        number as usize
    };
    let size = number("PRAGMA page_size");
    let root = number("SELECT rootpage FROM sqlite_schema WHERE name = 'outcomes'");
    drop(database);
    let page = &mut bytes[(root - 1) * size..root * size];
    assert_eq!(page[0], 5, "an inner page");
    let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
    assert!(cells > 10, "{cells}");
    let cell = |page: &[u8], cell: usize| {
        usize::from(u16::from_be_bytes([page[12 + 2 * cell], page[13 + 2 * cell]]))
    };
    let first = cell(page, 0);
    let child: [u8; 4] = page[first..first + 4].try_into().expect("a page's number");
    for number in 0..cells {
        let at = cell(page, number);
        page[at..at + 4].copy_from_slice(&child);
    }
    fs::write(folder.file(), bytes).expect("there is room");
    let error = read(&folder.file()).expect_err("it is damaged");
    assert!(error.to_string().contains("damaged"), "{error}");
}

/// Bytes are flipped by a seed; whatever is read of it, or refused, nothing panics or goes on for
/// ever.
#[test]
fn a_damaged_database_is_read_or_refused() {
    let folder = Folder::with_run();
    folder.change("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
    let whole = fs::read(folder.file()).expect("it is there");
    let mut random = fastrand::Rng::with_seed(14);
    let (mut read_well, mut refused) = (0, 0);
    for case in 0..1_000 {
        let damaged = Folder::new();
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
            Ok(_) => read_well += 1,
            Err(_) => refused += 1,
        }
        // Each waits for the disk.
        if case % 10 > 0 {
            continue;
        }
        for resume in [false, true] {
            let begun =
                if resume { Sqlite::resume(&damaged.file(), 1, 7) } else { begin(&damaged.file()) };
            let Ok(mut sink) = begun else { continue };
            let _ = sink.write(&outcome(1)).and_then(|()| sink.finish(&ending()));
        }
    }
    assert!(read_well > 50 && refused > 50, "{read_well} {refused}");
}
