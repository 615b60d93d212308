//! What runs in a network of its own: small, and to its end.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

const BENCH: &str = env!("CARGO_BIN_EXE_portmuster-bench");

/// The program under test, as this profile has it: whoever tests all has built it.
fn portmuster() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(BENCH).with_file_name("portmuster");
        if !program.exists() {
            let cargo = env!("CARGO");
            let build = ["build", "--quiet", "--locked", "--package", "portmuster-cli"];
            let status = Command::new(cargo).args(build).status().expect("cargo starts");
            assert!(status.success(), "portmuster can't be built");
        }
        program
    })
}

/// Whether this machine has namespaces for us. One that has none says so, and is not tested.
fn has_namespaces() -> bool {
    let mut unshare = Command::new("unshare");
    let apart = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "true"];
    let has = unshare.args(apart).output().is_ok_and(|output| output.status.success());
    if !has {
        say_skipped(&apart);
    }
    has
}

#[expect(clippy::print_stderr, reason = "a test that can't run here says so")]
fn say_skipped(apart: &[&str]) {
    eprintln!("skipped: this machine allows no namespaces (unshare {})", apart.join(" "));
}

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(BENCH);
    command.args(arguments).arg("--program").arg(portmuster()).output().expect("it starts")
}

/// What a question prints when it is answered.
fn answered(arguments: &[&str]) -> Option<String> {
    if !has_namespaces() {
        return None;
    }
    let output = bench(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn targets_of_all_kinds_are_found_as_they_are() {
    let small = ["mixed", "--targets", "500", "--rounds", "2", "--timeout-ms", "500"];
    let Some(text) = answered(&[&small[..], &["--in-flight", "100"]].concat()) else { return };
    for name in ["the baseline, with deadlines", "portmuster --no-kex"] {
        let rounds = text.lines().filter(|line| line.contains("round ") && line.contains(name));
        assert_eq!(rounds.count(), 2, "{text}");
    }
    assert!(text.contains("found 10 of 10") && text.contains("at most 1.15"), "{text}");
}

#[test]
fn many_are_under_way_at_once_with_few_descriptors() {
    let small = ["million", "--in-flight", "600", "--timeout-ms", "1500", "--descriptors", "256"];
    let Some(text) = answered(&small) else { return };
    assert!(text.contains("attempts open at the peak: 600; at least 600: reached"), "{text}");
    assert!(text.contains("given up before their time: 0; at most 0: reached"), "{text}");
    assert!(text.contains("sockets of the baseline at the peak: 600"), "{text}");
}

#[test]
fn what_is_open_is_found_behind_a_wire() {
    let Some(text) = answered(&["found", "--targets", "40", "--loss", "0", "--peer", "tokio"])
    else {
        return;
    };
    let found = text.lines().filter(|line| line.contains("found 40 of 40"));
    assert_eq!(found.count(), 3, "two of portmuster's, and one peer's: {text}");
    assert!(!text.contains(" false") && !text.contains(" mistaken"), "{text}");
}

#[test]
fn peers_have_the_best_of_their_settings() {
    let report = tempfile::NamedTempFile::new().expect("a place for a file");
    let path = report.path().to_str().expect("it is plain");
    let small = ["peers", "--targets", "300", "--open", "20", "--rounds", "1", "--report", path];
    let who = ["--part", "refused", "--part", "open", "--peer", "tokio", "--peer", "python"];
    let Some(text) = answered(&[&small[..], &who].concat()) else { return };
    let settings = text.lines().filter(|line| line.trim_start().starts_with("setting "));
    assert_eq!(settings.count(), 18, "three of each, in each part: {text}");
    let wrong = "targets of which portmuster did not say what is true: 0; at most 0: reached";
    assert_eq!(text.matches(wrong).count(), 2, "{text}");
    let report = fs::read_to_string(path).expect("it was written");
    assert!(report.contains("plain_tokio targets 1000 10000"), "{report}");
}

#[test]
fn a_page_has_every_question_and_a_picture() {
    if !has_namespaces() {
        return;
    }
    let folder = tempfile::tempdir().expect("a place for files");
    let small = ["page", "--quick", "--only", "limit", "--folder"];
    let output = bench(&[&small[..], &[folder.path().to_str().expect("it is plain")]].concat());
    assert!(output.status.success(), "{output:?}");
    let read = |name| fs::read_to_string(folder.path().join(name)).expect("it was written");
    let page = read("RESULTS.md");
    assert!(page.contains("](results.svg)") && page.contains("How near does it come"), "{page}");
    assert!(read("results.svg").starts_with("<svg "), "it is a picture");
}

#[test]
fn who_has_no_namespaces_is_told_what_is_needed() {
    let empty = tempfile::tempdir().expect("a place for nothing");
    let mut command = Command::new(BENCH);
    command.args(["mixed", "--program", "portmuster"]).env("PATH", empty.path());
    let output = command.output().expect("it starts");
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("needs a network namespace") && text.contains("iproute2"), "{text}");
}

/// A namespace ends with who made it, however that ends.
#[test]
fn nothing_is_left_of_one_that_is_killed() {
    if !has_namespaces() {
        return;
    }
    let mut command = Command::new(BENCH);
    let long = ["million", "--in-flight", "10", "--timeout-ms", "15000"];
    command.args(long).arg("--program").arg(portmuster());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    // It has begun when it prints what it does, inside.
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is a pipe");
    let mut stdout = BufReader::new(stdout);
    stdout.read_line(&mut line).expect("it prints");
    assert!(line.contains("10 targets"), "{line}");
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    // All who could write to it are gone when it ends.
    stdout.read_to_string(&mut line).expect("it ends");
    assert!(!line.contains("attempts open at the peak"), "it went on to its end: {line}");
}
