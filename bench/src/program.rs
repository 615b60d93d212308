//! Builds and runs the programs of this repository: portmuster and `plain_tokio`.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    answers::{Coverage, Parser},
    candidate::Candidate,
    list::{Expected, List},
    parsers,
};

/// Arguments of every comparison of speed: no limit of the rate, and one attempt per target.
pub(crate) const FASTEST: [&str; 6] = ["--rate", "max", "--per-host", "max", "--retries", "0"];

/// Builds portmuster beside this program, so that the measured program matches the source.
pub(crate) fn build() -> Result<PathBuf> {
    cargo_build(&["--package", "portmuster-cli"])?;
    beside("portmuster")
}

/// Builds `plain_tokio` beside this program.
pub(crate) fn build_plain_tokio() -> Result<()> {
    cargo_build(&["--package", "portmuster-bench", "--bin", "plain_tokio"])
}

/// The path of a program that was built with this one.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    Ok(env::current_exe().context("finding this program")?.with_file_name(name))
}

fn cargo_build(arguments: &[&str]) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--profile", &profile()?]).args(arguments);
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().context(
        "starting cargo to build portmuster; name a built one with --program to do without",
    )?;
    ensure!(status.success(), "building failed: cargo build {}", arguments.join(" "));
    Ok(())
}

/// The profile that this program was built with, after which cargo names its folder.
fn profile() -> Result<String> {
    let program = env::current_exe().context("finding this program")?;
    let folder = program.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    let folder = folder.context("finding the folder of this program")?;
    Ok(if folder == "debug" { "dev".into() } else { folder.into() })
}

/// A check of the list with these arguments, whose output is still to be chosen.
fn check(program: &Path, list: &List, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["check", "--progress", "never", "--quiet"]).args(arguments);
    command.arg("--input").arg(list.path());
    command
}

/// A candidate that checks the list with these arguments, and prints its rows.
pub(crate) fn candidate<'a>(
    program: &Path,
    list: &'a List,
    name: &str,
    arguments: &[&str],
) -> Candidate<'a> {
    let mut command = check(program, list, arguments);
    command.args(["--output", "jsonl"]);
    list.candidate(name, command, Depth::Connect.expected())
}

/// How much a check by event loops finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// It connects only.
    Connect,
    /// It reads the identification of an ssh server.
    Greeting,
}

impl Depth {
    /// The flag of this depth.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Connect => "--no-probe",
            Self::Greeting => "--no-kex",
        }
    }

    /// The output of a check of this depth.
    pub(crate) fn expected(self) -> Expected {
        let parser: Parser = match self {
            Self::Connect => parsers::portmuster,
            Self::Greeting => parsers::portmuster_ssh,
        };
        Expected::Answers(parser, Coverage::EveryTarget)
    }

    /// A check with `loops` event loops, as fast as possible, that writes its rows to the list's
    /// file of answers itself.
    pub(crate) fn command(self, program: &Path, list: &List, loops: usize) -> Command {
        let method = ["--method", "event-loop", self.flag()];
        let mut command = check(program, list, &[&method, &FASTEST[..]].concat());
        command.arg("--workers").arg(loops.to_string());
        let output = format!("jsonl={}", list.answers().display());
        command.args(["--force", "--output", &output]);
        command
    }
}
