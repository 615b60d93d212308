//! All output formats at once: they have the same rows, and a kill leaves all files valid.

use rustix::process::Signal;

use crate::{
    csv_rows, database,
    folder::{Folder, output, read},
    nmap_xml,
    program::{Running, check},
    row::{self, Row},
    servers::start_lab,
    shell::sh_in_namespaces,
};

/// Formats written to files. The table goes to stdout.
const FORMATS: [&str; 4] = ["jsonl", "csv", "xml", "sqlite"];

fn outputs(folder: &Folder) -> Vec<String> {
    let outputs = FORMATS.map(|format| output(format, &folder.file(format)));
    outputs.into_iter().flat_map(|output| ["-o".to_owned(), output]).collect()
}

/// Returns the file's content up to its last complete line.
fn whole_lines(folder: &Folder, format: &str) -> String {
    let text = read(&folder.file(format));
    let end = text.rfind('\n').map_or(0, |last| last + 1);
    text[..end].to_owned()
}

/// Asserts that every file is valid, and returns the JSON rows.
fn valid_rows(folder: &Folder) -> Vec<Row> {
    csv_rows::read_rows(&whole_lines(folder, "csv"));
    nmap_xml::assert_valid(&folder.file("xml"));
    database::assert_intact(&database::open(&folder.file("sqlite")));
    row::read(&whole_lines(folder, "jsonl"))
}

#[test]
fn every_format_has_the_same_rows() {
    let (folder, lab) = (Folder::new(), start_lab());
    let list = folder.write("list", "[fe80::1%no-such-zone]:22 =label;-1\n");
    let fixtures = [
        "ssh-eager",
        "ssh-weak",
        "kex-names",
        "telnet",
        "resets",
        "refused",
        "escapes",
        "unicode",
        "garbage",
    ];
    let servers = lab.fixtures().filter(|(fixture, _)| fixtures.contains(&fixture.name));
    let mut arguments: Vec<_> = servers.map(|(_, endpoint)| endpoint.to_string()).collect();
    let how = ["--first-byte=6s", "--deadline=7s", "--per-host=max", "--evidence", "-o=table"];
    arguments.extend(how.map(str::to_owned));
    arguments.extend(["-i".to_owned(), list.display().to_string()]);
    arguments.extend(outputs(&folder));
    let ended = check(arguments);
    assert_eq!(ended.status, Some(3), "one could not be checked: {ended:?}");

    let rows = valid_rows(&folder);
    assert_eq!(rows.len(), fixtures.len() + 1);
    // One header line, and no row for the closed port and the unchecked target.
    assert_eq!(ended.stdout.lines().count(), fixtures.len());
    let mut csv = csv_rows::read_rows(&read(&folder.file("csv")));
    for label in csv.iter_mut().filter_map(|row| row.label.as_mut()) {
        // Quoting for spreadsheets, which the other formats do not have.
        assert_eq!(std::mem::replace(label, "=label;-1".into()), "'=label;'-1");
    }
    csv_rows::assert_same(csv, &rows);
    let database = database::open(&folder.file("sqlite"));
    csv_rows::assert_same(database::outcomes(&database), &rows);
    nmap_xml::assert_same(&folder.file("xml"), &rows);
}

#[test]
fn sigkill_leaves_every_file_valid() {
    for lines in [1, 2, 1000, 5000, 15_000] {
        let folder = Folder::new();
        let mut arguments = outputs(&folder);
        let run = ["-o=table", "--show=all", "127.0.0.0/16", "-p1", "--rate=max"];
        arguments.extend(run.map(str::to_owned));
        let mut running = Running::check(arguments);
        for _ in 0..lines {
            assert_ne!(running.line(), "");
        }
        running.signal(Signal::KILL);
        assert_eq!(running.end().status, None);
        let rows = valid_rows(&folder);
        row::targets(&rows);
        assert!(rows.len() < 1 << 16);
        let database = database::open(&folder.file("sqlite"));
        assert!(database::outcomes(&database).len() < 1 << 16);
        let ended = database::column::<Option<String>>(&database, "SELECT ended FROM runs");
        assert_eq!(ended, [None]);
    }
}

#[test]
fn full_disk_leaves_every_file_valid() {
    for format in ["csv", "xml"] {
        let folder = Folder::new();
        let script = "mount -t tmpfs -o size=512k none \"$1\"
            status=0
            \"$portmuster\" check 127.0.0.0/18 -p 1 --rate max -o FORMAT=\"$1/rows\" || status=$?
            cat \"$1/rows\"
            exit $status";
        let script = script.replace("FORMAT", format);
        let Some(ended) = sh_in_namespaces(&["--mount"], &script, folder.path()) else { return };
        assert_eq!(ended.status, Some(3), "{ended:?}");
        let message = "/rows; all rows before are complete: No space left on device";
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
        assert!(ended.stdout.contains("127.0."), "{}", ended.stdout);
        match format {
            "csv" => assert!(csv_rows::read_rows(&ended.stdout).len() > 1000),
            _ => nmap_xml::assert_valid(&folder.write("rows", &ended.stdout)),
        }
    }
}

#[test]
fn full_device_exits_3() {
    for format in ["csv", "xml"] {
        let ended = check(["127.0.0.1:1", "-o", &format!("{format}=/dev/full")]);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        let message = "error: writing /dev/full; all rows before are complete: No space";
        assert!(ended.stderr.starts_with(message), "{}", ended.stderr);
    }
}
