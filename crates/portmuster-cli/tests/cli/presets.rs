//! Profiles and configuration files: which options apply, and what is recorded of them.

use rusqlite::Connection;

use crate::{
    folder::Folder,
    program::{Ended, PATH, command, run},
};

/// Runs `check` in the folder, with `PORTMUSTER_CONFIG` if it is not empty.
fn check_in(folder: &Folder, variable: &str, arguments: &str) -> Ended {
    let mut program = command(PATH);
    if !variable.is_empty() {
        program.env("PORTMUSTER_CONFIG", variable);
    }
    run(program.current_dir(folder.path()).arg("check").args(arguments.split(' ')))
}

fn count(folder: &Folder, variable: &str, arguments: &str) -> String {
    let ended = check_in(folder, variable, arguments);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{arguments}");
    ended.stdout.trim_end().to_owned()
}

#[test]
fn command_line_wins_over_the_file_and_nothing_is_loaded_unasked() {
    let folder = Folder::new();
    folder.write("ports.conf", "# ten ports\n--ports\n1-10\n--exclude=10.0.0.1\n");
    folder.write("other.conf", "--ports=1-3\n");
    for (variable, arguments, expected) in [
        ("", "10.0.0.5 --count", "2"),
        ("", "10.0.0.5 --count --config ports.conf", "10"),
        ("ports.conf", "10.0.0.5 --count", "10"),
        ("ports.conf", "10.0.0.5 --count --config=other.conf", "3"),
        ("ports.conf", "10.0.0.5 --count --config /dev/null", "2"),
        ("ports.conf", "10.0.0.5 --count -p 22", "1"),
        ("ports.conf", "10.0.0.0/30 --count -p 22 --exclude 10.0.0.2", "2"),
    ] {
        assert_eq!(count(&folder, variable, arguments), expected, "{variable} {arguments}");
    }
}

#[test]
fn errors_name_the_file_and_the_line() {
    let folder = Folder::new();
    folder.write("bad.conf", "# pace\n--rate=5\n--timeout=5\n");
    folder.write("target.conf", "10.0.0.1\n");
    for (variable, arguments, complaint) in [
        ("", "10.0.0.5 --config=bad.conf", "error: bad.conf, line 3: invalid value '5' for"),
        ("bad.conf", "10.0.0.5", "error: bad.conf, line 3: invalid value '5' for"),
        (
            "target.conf",
            "10.0.0.5",
            "error: target.conf, line 1: \"10.0.0.1\": each line is an option",
        ),
        ("none.conf", "10.0.0.5", "error: reading the configuration file none.conf: No such file"),
        ("", "127.0.0.1:1 --config=bad.conf --profile=no-such", "error: bad.conf, line 3"),
        ("", "127.0.0.1:1 --profile=no-such", "[possible values: gentle, normal, fast, thorough]"),
    ] {
        let ended = check_in(&folder, variable, arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(complaint), "{arguments}: {ended:?}");
    }
}

#[test]
fn run_does_not_write_to_its_configuration_file() {
    let folder = Folder::new();
    folder.write("run.conf", "--rate=5\n");
    let ended = check_in(&folder, "run.conf", "127.0.0.1:1 -o jsonl=run.conf --force");
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("the configuration file"), "{ended:?}");
}

#[test]
fn database_records_the_effective_arguments() {
    let folder = Folder::new();
    folder.write("run.conf", "--timeout=3s\n--profile=gentle\n");
    let ended = check_in(&folder, "run.conf", "127.0.0.1:1 --per-host 2 -o sqlite=runs.db");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let database = Connection::open(folder.file("runs.db")).expect("the run has created it");
    let arguments: String = database
        .query_row("SELECT arguments FROM runs", [], |row| row.get(0))
        .expect("there is one run");
    let expected =
        "portmuster check --rate=200 --timeout=3s 127.0.0.1:1 --per-host 2 -o sqlite=runs.db";
    assert_eq!(arguments, expected);
}

#[test]
fn resumed_run_must_have_the_same_effective_values() {
    let folder = Folder::new();
    folder.write("run.conf", "--timeout=3s\n");
    let run = "127.0.0.1:1 -o jsonl=rows.jsonl --journal run.journal --resume";
    assert_eq!(check_in(&folder, "run.conf", run).status, Some(0));
    let ended = check_in(&folder, "", run);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("timeout was 3s"), "{ended:?}");
    for repeated in [format!("{run} --timeout 3s"), format!("{run} --config run.conf")] {
        assert_eq!(check_in(&folder, "", &repeated).status, Some(0), "{repeated}");
    }
}

#[test]
fn page_has_a_row_for_each_profile() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tuning.md");
    let page = std::fs::read_to_string(page).expect("the page exists");
    let listed = run(command(PATH).args(["list", "profiles"])).stdout;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    for line in listed.lines() {
        let (name, rest) = line.split_once(' ').expect("it has a name");
        let (flags, about) = rest.trim().split_once(": ").expect("and flags");
        let about = about.trim_start_matches("for ");
        assert!(page.contains(&format!("| `{name}` | `{flags}` | {about} |")), "{line}");
    }
}
