//! The program `portmuster`, as a contestant.

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
    contest::Contestant,
    list::{List, Read},
};

/// The terms of every comparison of speed: as fast as it goes, each target once.
const TERMS: [&str; 6] = ["--rate", "max", "--per-host", "max", "--retries", "0"];

/// Builds the program beside this one, so that what is measured is what is in the source.
///
/// # Errors
/// It can't be built.
pub(crate) fn build() -> Result<PathBuf> {
    let this = env::current_exe().context("asking where this program is")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--package", "portmuster-cli"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status();
    ensure!(
        status
            .context("starting cargo to build portmuster; --program names one that is built")?
            .success(),
        "building portmuster failed"
    );
    Ok(this.with_file_name("portmuster"))
}

/// The program, by this method.
pub(crate) fn contestant<'a>(program: &Path, list: &'a List, method: Method) -> Contestant<'a> {
    let mut command = check(program, list, method);
    command.args(["--no-probe", "--output", "jsonl"]);
    list.contestant(format!("portmuster, {method}"), command, read_closed)
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
    /// Reads rows that say that each target was found as it is.
    pub(crate) fn read(self) -> Read {
        match self {
            Self::Connect => read_closed,
            Self::Greeting => |line| {
                let row: Row<'_> = serde_json::from_str(line).ok()?;
                Some((row.target(), row.state == "open" && row.service == Some("ssh")))
            },
        }
    }
}

fn check(program: &Path, list: &List, method: Method) -> Command {
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

impl Row<'_> {
    fn target(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

fn read_closed(line: &str) -> Option<(SocketAddr, bool)> {
    let row: Row<'_> = serde_json::from_str(line).ok()?;
    Some((row.target(), row.state == "closed"))
}
