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

use crate::{contest::Contestant, list::List};

/// The terms of every comparison of speed: as fast as it goes, each target once.
const TERMS: [&str; 7] = ["--no-probe", "--rate", "max", "--per-host", "max", "--retries", "0"];

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
    let mut command = Command::new(program);
    command.arg("check").args(["--method", method.name()]).args(TERMS);
    command
        .args(["--output", "jsonl", "--progress", "never", "--quiet", "--input"])
        .arg(list.path());
    list.contestant(format!("portmuster, {method}"), command, read)
}

/// What is asked of a row.
#[derive(Deserialize)]
struct Row<'a> {
    host: IpAddr,
    port: u16,
    state: &'a str,
}

fn read(line: &str) -> Option<(SocketAddr, bool)> {
    let row: Row<'_> = serde_json::from_str(line).ok()?;
    Some((SocketAddr::new(row.host, row.port), row.state == "closed"))
}
