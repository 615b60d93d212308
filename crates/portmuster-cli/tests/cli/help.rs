//! Help texts and the version.

use crate::program::{Ended, program, run};

fn help(arguments: &[&str]) -> String {
    let Ended { status, stdout, stderr } = run(program().args(arguments));
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    stdout
}

#[test]
fn program_help_matches_snapshot() {
    insta::assert_snapshot!("help", help(&["--help"]));
    insta::assert_snapshot!("help_short", help(&["-h"]));
}

#[test]
fn check_help_matches_snapshot() {
    insta::assert_snapshot!("help_check", help(&["check", "--help"]));
    insta::assert_snapshot!("help_check_short", help(&["check", "-h"]));
    assert_eq!(help(&["help", "check"]), help(&["check", "--help"]));
}

/// Returns the longest line, in characters.
fn width(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

#[test]
fn short_help_of_check_fits_one_screen_and_ends_with_examples() {
    let short = help(&["check", "-h"]);
    assert!((24..=40).contains(&short.lines().count()), "{short}");
    let (_, examples) = short.split_once("\nExamples:\n").expect("it has examples");
    assert!(examples.lines().all(|line| line.starts_with("  portmuster check ")), "{short}");
}

#[test]
fn help_fits_80_columns() {
    for command in [
        "check",
        "explain",
        "compare",
        "diff",
        "keys",
        "demo",
        "list",
        "schema",
        "completions",
        "man",
    ] {
        for option in ["-h", "--help"] {
            let text = help(&[command, option]);
            assert!(width(&text) <= 80, "{text}");
        }
    }
}

#[test]
fn options_of_check_are_in_groups() {
    let long = help(&["check", "--help"]);
    let is_heading = |line: &&str| line.ends_with(':') && !line.starts_with([' ', '-']);
    let headings: Vec<_> = long.lines().filter(is_heading).collect();
    let expected = [
        "Targets:",
        "What to ask:",
        "Speed:",
        "Targets that do not answer:",
        "Outputs:",
        "Gates:",
        "Journal:",
        "General:",
        "Examples:",
        "Exit status:",
    ];
    assert_eq!(headings, expected, "{long}");
}

#[test]
fn compare_help_matches_snapshot() {
    insta::assert_snapshot!("help_compare", help(&["compare", "--help"]));
}

#[test]
fn explain_help_matches_snapshot() {
    insta::assert_snapshot!("help_explain", help(&["explain", "--help"]));
}

#[test]
fn diff_help_matches_snapshot() {
    insta::assert_snapshot!("help_diff", help(&["diff", "--help"]));
}

#[test]
fn report_help_matches_snapshot() {
    insta::assert_snapshot!("help_report", help(&["report", "--help"]));
}

#[test]
fn completions_and_man_help_match_snapshots() {
    insta::assert_snapshot!("help_completions", help(&["completions", "--help"]));
    insta::assert_snapshot!("help_man", help(&["man", "--help"]));
}

#[test]
fn list_help_matches_snapshot() {
    insta::assert_snapshot!("help_list", help(&["list", "--help"]));
}

#[test]
fn schema_help_matches_snapshot() {
    insta::assert_snapshot!("help_schema", help(&["schema", "--help"]));
}

#[test]
fn demo_help_matches_snapshot() {
    insta::assert_snapshot!("help_demo", help(&["demo", "--help"]));
}

#[test]
fn no_arguments_print_help_and_exit_2() {
    let ended = run(&mut program());
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, help(&["-h"]));
}

#[test]
fn version_is_the_package_version() {
    let version = concat!("portmuster ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(help(&["--version"]), version);
    assert_eq!(help(&["-V"]), version);
}
