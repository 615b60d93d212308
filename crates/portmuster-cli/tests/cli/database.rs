//! The database schema, declared independently of the program, and writing to existing databases.

use std::{fs, path::Path};

use rusqlite::{Connection, OpenFlags, types::FromSql};

use crate::{
    csv_rows::CsvRow,
    folder::{Folder, output},
    program::{Ended, Running, check, program, run, wait_until},
    shell::sh_in_namespaces,
};

/// Name, type, and whether the column is NOT NULL.
type Column<'a> = (&'a str, &'a str, bool);

const RUNS: [Column<'_>; 34] = [
    ("id", "INTEGER", false),
    ("started", "TEXT", true),
    ("ended", "TEXT", false),
    ("version", "TEXT", true),
    ("arguments", "TEXT", true),
    ("targets", "INTEGER", false),
    ("open", "INTEGER", false),
    ("closed", "INTEGER", false),
    ("filtered", "INTEGER", false),
    ("unresolved", "INTEGER", false),
    ("unchecked", "INTEGER", false),
    ("excluded", "INTEGER", false),
    ("left", "INTEGER", false),
    ("elapsed_ms", "REAL", false),
    ("found_on_retry", "INTEGER", false),
    ("slowed", "INTEGER", false),
    ("faults", "INTEGER", false),
    ("syns", "INTEGER", false),
    ("syns_lost", "INTEGER", false),
    ("silent", "INTEGER", false),
    ("asked_again", "INTEGER", false),
    ("failed", "INTEGER", false),
    ("answered", "INTEGER", false),
    ("bound", "REAL", false),
    ("bound_count", "INTEGER", false),
    ("confidence", "REAL", false),
    ("blocked", "INTEGER", false),
    ("controls", "INTEGER", false),
    ("silent_controls", "INTEGER", false),
    ("icmp_refused", "INTEGER", false),
    ("icmp_refused_asked_again", "INTEGER", false),
    ("icmp_refused_failed", "INTEGER", false),
    ("icmp_refused_answered", "INTEGER", false),
    ("icmp_refused_bound_count", "INTEGER", false),
];

const OUTCOMES: [Column<'_>; 47] = [
    ("id", "INTEGER", false),
    ("run", "INTEGER", true),
    ("position", "INTEGER", true),
    ("host", "TEXT", true),
    ("port", "INTEGER", true),
    ("open", "INTEGER", true),
    ("state", "TEXT", true),
    ("reason", "TEXT", true),
    ("address", "TEXT", false),
    ("service", "TEXT", false),
    ("banner", "TEXT", false),
    ("banner_base64", "TEXT", false),
    ("ssh_protocol", "TEXT", false),
    ("ssh_software", "TEXT", false),
    ("ssh_comment", "TEXT", false),
    ("kex_algorithms", "TEXT", false),
    ("host_key_algorithms", "TEXT", false),
    ("ciphers_client_to_server", "TEXT", false),
    ("ciphers_server_to_client", "TEXT", false),
    ("macs_client_to_server", "TEXT", false),
    ("macs_server_to_client", "TEXT", false),
    ("compression_client_to_server", "TEXT", false),
    ("compression_server_to_client", "TEXT", false),
    ("kex_missing", "TEXT", false),
    ("telnet_options", "TEXT", false),
    ("protocol", "TEXT", false),
    ("findings", "TEXT", false),
    ("connect_ms", "REAL", false),
    ("first_byte_ms", "REAL", false),
    ("total_ms", "REAL", false),
    ("label", "TEXT", false),
    ("attempts", "INTEGER", true),
    ("time", "TEXT", true),
    ("evidence", "TEXT", false),
    ("rule", "TEXT", false),
    ("vendor", "TEXT", false),
    ("product", "TEXT", false),
    ("version", "TEXT", false),
    ("os", "TEXT", false),
    ("device", "TEXT", false),
    ("cpe", "TEXT", false),
    ("fingerprint", "TEXT", false),
    ("telnet_daemon", "TEXT", false),
    ("telnet_daemon_confidence_percent", "INTEGER", false),
    ("telnet_encryption", "TEXT", false),
    ("host_keys", "TEXT", false),
    ("host_key_missing", "TEXT", false),
];

/// Opens the database read-only, as another program would.
pub(crate) fn open(file: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Connection::open_with_flags(file, flags).expect("it is a database")
}

/// Returns the first column of a query's result.
pub(crate) fn column<T: FromSql>(database: &Connection, query: &str) -> Vec<T> {
    let mut query = database.prepare(query).expect("it has the columns");
    let rows = query.query_map([], |row| row.get(0)).expect("it can be read");
    rows.map(|row| row.expect("it is of this type")).collect()
}

/// Returns the outcomes of the latest run.
pub(crate) fn outcomes(database: &Connection) -> Vec<CsvRow> {
    let query = "SELECT * FROM outcomes WHERE run = (SELECT max(id) FROM runs)";
    let mut query = database.prepare(query).expect("it has the columns");
    let rows = query.query_map([], outcome).expect("it can be read");
    rows.map(|row| row.expect("it is of the declared types")).collect()
}

fn outcome(row: &rusqlite::Row<'_>) -> rusqlite::Result<CsvRow> {
    Ok(CsvRow {
        schema: 1,
        host: row.get("host")?,
        port: row.get("port")?,
        open: row.get("open")?,
        state: row.get("state")?,
        reason: row.get("reason")?,
        address: row.get("address")?,
        service: row.get("service")?,
        banner: row.get("banner")?,
        banner_base64: row.get("banner_base64")?,
        ssh_protocol: row.get("ssh_protocol")?,
        ssh_software: row.get("ssh_software")?,
        ssh_comment: row.get("ssh_comment")?,
        kex_algorithms: row.get("kex_algorithms")?,
        host_key_algorithms: row.get("host_key_algorithms")?,
        ciphers_client_to_server: row.get("ciphers_client_to_server")?,
        ciphers_server_to_client: row.get("ciphers_server_to_client")?,
        macs_client_to_server: row.get("macs_client_to_server")?,
        macs_server_to_client: row.get("macs_server_to_client")?,
        compression_client_to_server: row.get("compression_client_to_server")?,
        compression_server_to_client: row.get("compression_server_to_client")?,
        kex_missing: row.get("kex_missing")?,
        telnet_options: row.get("telnet_options")?,
        protocol: row.get("protocol")?,
        findings: row.get("findings")?,
        connect_ms: row.get("connect_ms")?,
        first_byte_ms: row.get("first_byte_ms")?,
        total_ms: row.get("total_ms")?,
        label: row.get("label")?,
        attempts: row.get("attempts")?,
        time: row.get("time")?,
        evidence: row.get("evidence")?,
        rule: row.get("rule")?,
        vendor: row.get("vendor")?,
        product: row.get("product")?,
        version: row.get("version")?,
        os: row.get("os")?,
        device: row.get("device")?,
        cpe: row.get("cpe")?,
        fingerprint: row.get("fingerprint")?,
        telnet_daemon: row.get("telnet_daemon")?,
        telnet_daemon_confidence_percent: row.get("telnet_daemon_confidence_percent")?,
        telnet_encryption: row.get("telnet_encryption")?,
        host_keys: row.get("host_keys")?,
        host_key_missing: row.get("host_key_missing")?,
    })
}

/// Asserts that the database passes the integrity check of `SQLite` and has exactly the declared schema.
pub(crate) fn assert_intact(database: &Connection) {
    assert_eq!(column::<String>(database, "PRAGMA integrity_check"), ["ok"]);
    assert_eq!(column::<u32>(database, "PRAGMA user_version"), [5]);
    let application = u32::from_be_bytes(*b"port");
    assert_eq!(column::<u32>(database, "PRAGMA application_id"), [application]);
    let names = column::<String>(database, "SELECT name FROM sqlite_schema ORDER BY name");
    assert_eq!(names, ["outcomes", "outcomes_by_target", "runs"]);
    let index = "SELECT name FROM pragma_index_info('outcomes_by_target')";
    assert_eq!(column::<String>(database, index), ["run", "host", "port"]);
    for (table, expected) in [("runs", &RUNS[..]), ("outcomes", &OUTCOMES)] {
        let query = format!("SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')");
        let mut query = database.prepare(&query).expect("it has the columns");
        let columns = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let columns: Vec<(String, String, bool)> = columns
            .expect("it can be read")
            .map(|column| column.expect("it is a column"))
            .collect();
        let columns: Vec<Column<'_>> =
            columns.iter().map(|(name, kind, never)| (&**name, &**kind, *never)).collect();
        assert_eq!(columns, expected);
    }
}

fn check_into(file: &Path, arguments: &[&str]) -> Ended {
    let output = output("sqlite", file);
    check([&["127.0.0.1:1,2", "-o", output.as_str()], arguments].concat())
}

#[test]
fn runs_accumulate_with_any_overwrite_flag() {
    let folder = Folder::new();
    let file = folder.file("audit.db");
    for arguments in [&[][..], &[], &["--append"], &["--force"]] {
        let ended = check_into(&file, arguments);
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    let database = open(&file);
    assert_intact(&database);
    assert_eq!(column::<i64>(&database, "SELECT count(*) FROM outcomes GROUP BY run"), [2; 4]);
    let account = "SELECT targets || closed || open || filtered || unresolved || unchecked
        || excluded || left FROM runs WHERE ended >= started";
    assert_eq!(column::<String>(&database, account), ["22000000"; 4]);
    let arguments = column::<String>(&database, "SELECT arguments FROM runs WHERE id = 3");
    assert!(arguments[0].starts_with("portmuster check 127.0.0.1:1,2 -o sqlite="), "{arguments:?}");
    assert!(arguments[0].ends_with(" --append"), "{arguments:?}");
}

/// Breaks each of two databases in turn. The run must not start, and outputs created for it must be
/// removed.
#[test]
fn refusal_by_one_database_leaves_other_outputs_unchanged() {
    let folder = Folder::new();
    let files = ["a.db", "b.db"].map(|name| folder.file(name));
    for file in &files {
        assert_eq!(check_into(file, &[]).status, Some(0));
    }
    let (new, rows) = (folder.file("new.db"), folder.file("rows.csv"));
    let outputs: Vec<_> = [&files[0], &files[1], &new]
        .map(|file| output("sqlite", file))
        .into_iter()
        .chain([output("csv", &rows)])
        .flat_map(|output| ["-o".to_owned(), output])
        .chain(["127.0.0.1:1".to_owned()])
        .collect();
    for (broken, other) in [(&files[0], &files[1]), (&files[1], &files[0])] {
        let rename = |from: &str, to: &str| {
            let database = Connection::open(broken).expect("it is a database");
            let rename = format!("ALTER TABLE {from} RENAME TO {to}");
            database.execute_batch(&rename).expect("it is unlocked");
        };
        rename("runs", "gone");
        let ended = check(&outputs);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let message = format!(
            "opening the output {}: not as portmuster creates a database",
            broken.display()
        );
        assert!(ended.stderr.contains(&message), "{}", ended.stderr);
        let other = Connection::open(other).expect("it is a database");
        assert_eq!(column::<u32>(&other, "SELECT count(*) FROM runs"), [1]);
        drop(other);
        rename("gone", "runs");
        assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 2);
    }
}

#[test]
fn output_that_cannot_start_leaves_database_unchanged() {
    let (folder, mount) = (Folder::new(), Folder::new());
    let file = folder.file("audit.db");
    assert_eq!(check_into(&file, &[]).status, Some(0));
    let script = "mount -t tmpfs -o size=4k none \"$1\"
        head -c 4096 /dev/zero >\"$1/full\"
        status=0
        \"$portmuster\" check 127.0.0.1:1 -o sqlite=FILE -o \"xml=$1/rows\" || status=$?
        ls \"$1\"
        exit $status";
    let script = script.replace("FILE", &file.display().to_string());
    let Some(ended) = sh_in_namespaces(&["--mount"], &script, mount.path()) else { return };
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("/rows: No space left on device"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "full\n", "what is new is gone again");
    assert_eq!(column::<u32>(&open(&file), "SELECT count(*) FROM runs"), [1]);
}

#[test]
fn finished_run_leaves_one_database_file() {
    let folder = Folder::new();
    assert_eq!(check_into(&folder.file("audit.db"), &[]).status, Some(0));
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 1);
}

#[test]
fn foreign_file_is_refused_and_unchanged() {
    let folder = Folder::new();
    let foreign = folder.file("foreign.db");
    let database = Connection::open(&foreign).expect("it is writable");
    database.execute_batch("CREATE TABLE x (y); PRAGMA user_version = 1").expect("it is SQL");
    drop(database);
    let newer = folder.file("newer.db");
    assert_eq!(check_into(&newer, &[]).status, Some(0));
    let database = Connection::open(&newer).expect("it is a database");
    database
        .execute_batch("PRAGMA user_version = 6; UPDATE runs SET version = '7.3.0'")
        .expect("it is SQL");
    drop(database);
    for (file, complaint) in [
        (foreign, "not a portmuster database; choose another file"),
        (folder.write("rows.jsonl", "{}\n"), "not a portmuster database"),
        (newer, "its schema version is 6, written by portmuster 7.3.0; this program ("),
    ] {
        let before = fs::read(&file).expect("it exists");
        let ended = check_into(&file, &["--force"]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
        assert_eq!(fs::read(&file).expect("it exists"), before);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("it exists").count(), 3);
}

/// Returns SQL that creates a database as version 0.1.0 did, with two outcomes.
fn schema_1() -> String {
    let columns = |columns: &[Column<'_>]| {
        let columns = columns.iter().take_while(|(name, ..)| *name != "rule");
        let columns = columns.map(|(name, kind, never_null)| match (*name, never_null) {
            ("id", _) => format!("id {kind} PRIMARY KEY"),
            (name, true) => format!("{name} {kind} NOT NULL"),
            (name, false) => format!("{name} {kind}"),
        });
        columns.collect::<Vec<_>>().join(", ")
    };
    format!(
        "CREATE TABLE runs ({});
        CREATE TABLE outcomes ({});
        CREATE INDEX outcomes_by_target ON outcomes (run, host, port);
        PRAGMA application_id = {}; PRAGMA user_version = 1;
        INSERT INTO runs (started, ended, version, arguments, left) VALUES ('', '', '0.1.0', '', 0);
        INSERT INTO outcomes (run, position, host, port, open, state, reason, attempts, time)
            VALUES (1, 0, '127.0.0.1', 1, 1, 'open', 'accepted', 1, ''),
                (1, 1, '127.0.0.1', 2, 0, 'closed', 'refused', 1, '')",
        columns(&RUNS[..13]),
        columns(&OUTCOMES),
        u32::from_be_bytes(*b"port"),
    )
}

#[test]
fn older_schema_is_compared_and_migrated() {
    let folder = Folder::new();
    let file = folder.file("audit.db");
    let database = Connection::open(&file).expect("it is writable");
    database.execute_batch(&schema_1()).expect("it is SQL");
    drop(database);
    let before = fs::read(&file).expect("it exists");
    let path = file.display().to_string();
    let ended = run(program().args(["diff", &path, &path]));
    assert_eq!((ended.status, fs::read(&file).expect("it exists")), (Some(0), before));

    assert_eq!(check_into(&file, &[]).status, Some(0));
    let database = open(&file);
    assert_intact(&database);
    let rules = "SELECT count(*) || ' ' || count(rule) FROM outcomes GROUP BY run";
    assert_eq!(column::<String>(&database, rules), ["2 0", "2 0"]);
    drop(database);
    let ended = run(program().args(["diff", &format!("{path}#1"), &format!("{path}#2")]));
    assert!(ended.stdout.contains("127.0.0.1:1"), "it was open and is closed: {ended:?}");
    assert_eq!(ended.stdout.matches("127.0.0.1").count(), 1, "{ended:?}");
}

#[test]
fn sqlite_output_requires_a_file() {
    for output in ["sqlite", "sqlite=-"] {
        let ended = check(["127.0.0.1:1", "-o", output]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("use sqlite=FILE"), "{}", ended.stderr);
    }
    for (output, complaint) in [
        ("sqlite=/dev/full", "opening the output /dev/full: it is not a file"),
        ("sqlite=/no/such/audit.db", "opening the output /no/such/audit.db: No such file"),
    ] {
        let ended = check(["127.0.0.1:1", "-o", output]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(complaint), "{}", ended.stderr);
    }
}

#[test]
fn database_is_readable_during_a_run() {
    let folder = Folder::new();
    let file = folder.file("audit.db");
    let mut running = Running::check(["-i", "-", "-o", "jsonl", "-o", &output("sqlite", &file)]);
    for rows in 1..=3 {
        running.feed("127.0.0.1:1\n");
        running.row();
        // The run commits a row in the pause after it.
        let count = || column::<u32>(&open(&file), "SELECT count(*) FROM outcomes")[0];
        wait_until("rows in the database", || !running.is_alive() || count() >= rows);
        assert_eq!(count(), rows);
    }
    assert_eq!(column::<Option<String>>(&open(&file), "SELECT ended FROM runs"), [None]);
    assert_eq!(running.end().status, Some(0));
    assert_eq!(outcomes(&open(&file)).len(), 3);
}

#[test]
fn full_disk_keeps_committed_rows() {
    let (folder, mount) = (Folder::new(), Folder::new());
    let script = "mount -t tmpfs -o size=3m none \"$1\"
        status=0
        yes 127.0.0.1:1 | head -n 60000 | \"$portmuster\" check -i - --rate max --per-host max \
            -o \"sqlite=$1/a.db\" || status=$?
        cp \"$1\"/a.db* FOLDER
        exit $status";
    let script = script.replace("FOLDER", folder.path());
    let Some(ended) = sh_in_namespaces(&["--mount"], &script, mount.path()) else { return };
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let message = "a.db; all rows before are complete: the database or the disk is full";
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
    let database = Connection::open(folder.file("a.db")).expect("it is a database");
    assert_intact(&database);
    assert!(outcomes(&database).len() < 60_000);
    assert_eq!(column::<Option<String>>(&database, "SELECT ended FROM runs"), [None]);
}
