//! The development tasks of this repository, as one program: `cargo xtask --help`.
//!
//! Continuous integration runs `cargo xtask ci` and nothing else. A change that passes on a
//! developer's machine passes there too.

#![expect(
    clippy::print_stderr,
    reason = "headlines and summaries are for the user who watches; results alone go to stdout"
)]

mod bench;
mod book;
mod command;
mod deb;
mod examples;
mod fuzz;
mod layers;
mod links;
mod mutate;
mod package;
mod python;
mod release;
mod sequence;
mod setup;
mod step;
mod steps;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

const HELP: &str = "\
The development tasks of this repository.

usage: cargo xtask COMMAND

  ci               run every check: setup, format, layers, lints, docs, book, tests, doc tests,
                   Python, examples, packages, oldest Rust, public API, dependencies, advisories
  book             check the links of all pages, and build docs/ as a book in target/book
  layers           check imports between files, lengths of files and functions, names of types
  test             run setup and every test: of Rust, of its documentation, of Python, of the examples
  python           build and install the Python package in target/python, and test it
  examples         run the examples of the library and check their output
  package          package the crates; test the packages and a program that depends on them
  simulate SEED    repeat a simulator run by the seed that a failed test printed
  mutate [NAME]    put each known mistake into a copy of the code; its test must catch it
  fuzz [SECONDS]   run each fuzz target for SECONDS [default: 60], on the nightly toolchain
  bench [--quick]  compare with other programs and write bench/RESULTS.md (an hour)
  deb              build the Debian package in target/debian; installs cargo-deb in target/tools
  setup            install the programs that the other commands need, or print how to
";

/// The exit status for an unknown or missing command.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["ci"] => sequence::run(steps::CI),
        ["test"] => sequence::run(steps::TEST),
        ["book"] => sequence::run(steps::BOOK_ONLY),
        ["layers"] => sequence::run(steps::LAYERS_ONLY),
        ["setup"] => sequence::run(steps::SETUP),
        ["python"] => sequence::run(steps::PYTHON_ONLY),
        ["examples"] => sequence::run(steps::EXAMPLES_ONLY),
        ["package"] => sequence::run(steps::PACKAGES_ONLY),
        ["deb"] => report(deb::run()),
        ["fuzz"] => report(fuzz::run(fuzz::SECONDS)),
        ["fuzz", seconds] if seconds.parse::<u32>().is_ok() => report(fuzz::run(seconds)),
        ["simulate", seed] if seed.parse::<u64>().is_ok() => simulate(seed),
        ["bench", arguments @ ..] => report(bench::run(arguments)),
        ["mutate"] => report(mutate::run(None)),
        ["mutate", name] => report(mutate::run(Some(name))),
        ["help" | "--help" | "-h"] => help(),
        unknown => usage(unknown),
    }
}

/// Runs the simulator's tests over one seed.
fn simulate(seed: &str) -> ExitCode {
    let tests = "cargo test --locked --package portmuster --test simulation -- --nocapture";
    report(command::run(&[("PORTMUSTER_SEED", seed)], tests))
}

/// Prints the error, if there is one, and returns the exit status.
fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> ExitCode {
    // A reader that closes the pipe early, as in `cargo xtask --help | head -1`, has seen enough.
    let _ = io::stdout().write_all(HELP.as_bytes());
    ExitCode::SUCCESS
}

fn usage(arguments: &[&str]) -> ExitCode {
    if arguments.is_empty() {
        eprintln!("xtask: no command given\n\n{HELP}");
    } else {
        eprintln!("xtask: unknown command: {}\n\n{HELP}", arguments.join(" "));
    }
    ExitCode::from(USAGE)
}
