//! What the program says of itself.

use crate::program::{Ended, program, run};

fn help(arguments: &[&str]) -> String {
    let Ended { status, stdout, stderr } = run(program().args(arguments));
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    stdout
}

#[test]
fn help_of_the_program() {
    insta::assert_snapshot!("help", help(&["--help"]));
    insta::assert_snapshot!("help_short", help(&["-h"]));
}

#[test]
fn help_of_check() {
    insta::assert_snapshot!("help_check", help(&["check", "--help"]));
    insta::assert_snapshot!("help_check_short", help(&["check", "-h"]));
    assert_eq!(help(&["help", "check"]), help(&["check", "--help"]));
}

#[test]
fn help_of_compare() {
    insta::assert_snapshot!("help_compare", help(&["compare", "--help"]));
}

#[test]
fn help_of_explain() {
    insta::assert_snapshot!("help_explain", help(&["explain", "--help"]));
}

#[test]
fn help_of_diff() {
    insta::assert_snapshot!("help_diff", help(&["diff", "--help"]));
}

#[test]
fn help_of_completions_and_man() {
    insta::assert_snapshot!("help_completions", help(&["completions", "--help"]));
    insta::assert_snapshot!("help_man", help(&["man", "--help"]));
}

#[test]
fn help_of_demo() {
    insta::assert_snapshot!("help_demo", help(&["demo", "--help"]));
}

#[test]
fn without_arguments_there_is_help_and_status_2() {
    let ended = run(&mut program());
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, help(&["-h"]));
}

#[test]
fn its_version_is_the_packages() {
    let version = concat!("portmuster ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(help(&["--version"]), version);
    assert_eq!(help(&["-V"]), version);
}
