//! Everything that is done to this repository, as one program: `cargo xtask --help`.
//!
//! Continuous integration runs `cargo xtask ci` and nothing else, so what passes on a developer's
//! machine passes there.

#![expect(
    clippy::print_stderr,
    reason = "headlines and summaries are for whoever watches; stdout is left to what was asked for"
)]

mod bench;
mod command;
mod deb;
mod fuzz;
mod layers;
mod mutate;
mod sequence;
mod setup;
mod step;
mod steps;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

const HELP: &str = "\
Everything that is done to this repository, as one program.

usage: cargo xtask COMMAND

  ci               all that must pass: setup, format, layers, lints, docs, tests, doc tests, dependencies
  layers           how the files of each crate import each other, their length, their names
  test             setup, tests, doc tests
  simulate SEED    one run of the simulator, as a failed test names it
  mutate [NAME]    each named slip, put into a copy of the code, must be caught by its test
  fuzz [SECONDS]   each fuzz target for so long (60), on the nightly toolchain
  bench [--quick]  all benchmarks, beside other programs; writes bench/RESULTS.md (20 minutes)
  deb              the Debian package, in target/debian; installs cargo-deb into target/tools
  setup            the programs that the other commands need; installs what it may
";

/// Exit status for a command that does not exist.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["ci"] => sequence::run(steps::CI),
        ["test"] => sequence::run(steps::TEST),
        ["layers"] => sequence::run(steps::LAYERS_ONLY),
        ["setup"] => sequence::run(steps::SETUP),
        ["deb"] => told(deb::run()),
        ["fuzz"] => told(fuzz::run(fuzz::SECONDS)),
        ["fuzz", seconds] if seconds.parse::<u32>().is_ok() => told(fuzz::run(seconds)),
        ["simulate", seed] if seed.parse::<u64>().is_ok() => simulate(seed),
        ["bench", arguments @ ..] => told(bench::run(arguments)),
        ["mutate"] => told(mutate::run(None)),
        ["mutate", name] => told(mutate::run(Some(name))),
        ["help" | "--help" | "-h"] => help(),
        unknown => usage(unknown),
    }
}

/// Runs the simulator's tests over one seed.
fn simulate(seed: &str) -> ExitCode {
    let tests = "cargo test --locked --package portmuster --test simulation -- --nocapture";
    told(command::run(&[("PORTMUSTER_SEED", seed)], tests))
}

/// Says what went wrong, if something did.
fn told(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> ExitCode {
    // A reader that has gone away, as in `cargo xtask --help | head -1`, has seen what it wanted.
    let _ = io::stdout().write_all(HELP.as_bytes());
    ExitCode::SUCCESS
}

fn usage(arguments: &[&str]) -> ExitCode {
    if arguments.is_empty() {
        eprintln!("xtask: no command given\n\n{HELP}");
    } else {
        eprintln!("xtask: no such command: {}\n\n{HELP}", arguments.join(" "));
    }
    ExitCode::from(USAGE)
}
