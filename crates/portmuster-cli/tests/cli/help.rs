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
