//! The program `portmuster`, as a candidate.

use std::{
    env,
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use portmuster::Method;
use serde::Deserialize;

use crate::{
    answers::{Coverage, Heard, Parser, by_line},
    contest::Candidate,
    list::List,
    span::{Span, State},
};

/// What event loops are usually written like; see `src/bin`.
const PLAIN_TOKIO: &str = "plain_tokio";

/// The terms of every comparison of speed: as fast as it goes, each target once.
pub(crate) const TERMS: [&str; 6] = ["--rate", "max", "--per-host", "max", "--retries", "0"];

/// Builds the program beside this one, so that what is measured is what is in the source.
///
/// # Errors
/// It can't be built.
pub(crate) fn build() -> Result<PathBuf> {
    cargo_build(&["--package", "portmuster-cli"])?;
    beside("portmuster")
}

/// Builds the plain tokio program beside this one.
///
/// # Errors
/// It can't be built.
pub(crate) fn build_plain_tokio() -> Result<PathBuf> {
    cargo_build(&["--package", "portmuster-bench", "--bin", PLAIN_TOKIO])?;
    plain_tokio()
}

/// Where the plain tokio program is when it was built.
pub(crate) fn plain_tokio() -> Result<PathBuf> {
    beside(PLAIN_TOKIO)
}

/// Where a program is that was built with this one.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let this = env::current_exe().context("asking where this program is")?;
    Ok(this.with_file_name(name))
}

fn cargo_build(what: &[&str]) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked"]).args(what);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    ensure!(
        status
            .context("starting cargo to build portmuster; --program names one that is built")?
            .success(),
        "building portmuster failed: cargo build {}",
        what.join(" ")
    );
    Ok(())
}

/// The program, by this method.
pub(crate) fn candidate<'a>(program: &Path, list: &'a List, method: Method) -> Candidate<'a> {
    let mut command = check(program, list, method);
    command.args(["--no-probe", "--output", "jsonl"]);
    list.candidate(format!("portmuster, {method}"), command, Coverage::All, parse)
}

/// What a check goes on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Whether it connects.
    Connect,
    /// The identification of an ssh server.
    Greeting,
}

/// The program by so many event loops, writing to the list's file of answers.
pub(crate) fn loops(program: &Path, list: &List, loops: usize, depth: Depth) -> Command {
    let mut command = check(program, list, Method::EventLoop);
    command.arg(match depth {
        Depth::Connect => "--no-probe",
        Depth::Greeting => "--no-kex",
    });
    let mut output = OsString::from("jsonl=");
    output.push(list.answers());
    command.arg("--workers").arg(loops.to_string()).arg("--force").arg("--output").arg(output);
    command
}

impl Depth {
    /// Reads rows, of which those of open targets must say what was found.
    pub(crate) fn parser(self) -> Parser {
        match self {
            Self::Connect => parse,
            Self::Greeting => |text, _| {
                by_line(text, |line| {
                    let row = Row::read(line)?;
                    let is_whole = row.state != "open" || row.service == Some("ssh");
                    is_whole.then(|| row.said())?
                })
            },
        }
    }
}

/// The program, on the terms of every comparison; how deep and where to is still to be said.
pub(crate) fn check(program: &Path, list: &List, method: Method) -> Command {
    let mut command = Command::new(program);
    command.arg("check").args(["--method", method.name()]).args(TERMS);
    command.args(["--progress", "never", "--quiet", "--input"]).arg(list.path());
    command
}

/// What is asked of a row.
#[derive(Deserialize)]
struct Row<'a> {
    host: IpAddr,
    port: u16,
    state: &'a str,
    service: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn read(line: &'a str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    fn said(&self) -> Option<(SocketAddr, State)> {
        let state = match self.state {
            "open" => State::Open,
            "closed" => State::Refused,
            "filtered" => State::Silent,
            _ => return None,
        };
        Some((SocketAddr::new(self.host, self.port), state))
    }
}

/// Reads rows.
pub(crate) fn parse(text: &str, _: Span) -> Result<Heard> {
    by_line(text, |line| Row::read(line)?.said())
}
