//! Counts the system calls of a program with strace.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// Whether strace is installed.
pub(crate) fn is_strace_installed() -> bool {
    let output = Command::new("strace").arg("--version").stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// Counts the system calls of a program, in all its threads, from start to end.
pub(crate) fn count(command: &Command) -> Result<u32> {
    let summary = tempfile::NamedTempFile::new().context("making a file for a summary")?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls", "-o"]).arg(summary.path()).arg("--");
    strace.arg(command.get_program()).args(command.get_args());
    let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.context("starting strace")?;
    let program = command.get_program().display();
    ensure!(status.success(), "{program} under strace ended with {status}");
    let summary = fs::read_to_string(summary).context("reading strace's summary")?;
    let total = summary.lines().find_map(|line| line.strip_suffix(" total"));
    let total = total.context("strace's summary has no total")?;
    total.trim().parse().context("reading the total of strace's summary")
}
