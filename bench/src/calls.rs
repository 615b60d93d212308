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
    strace.args(["-f", "-c", "-o"]).arg(summary.path()).arg("--");
    strace.arg(command.get_program()).args(command.get_args());
    let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.context("starting strace")?;
    let program = command.get_program().display();
    ensure!(status.success(), "{program} under strace ended with {status}");
    total(&fs::read_to_string(summary).context("reading strace's summary")?)
}

/// Sums the column `calls`. The columns are share, seconds, microseconds per call, calls, errors if
/// any, and name.
fn total(summary: &str) -> Result<u32> {
    let mut total = 0;
    for line in summary.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [share, _, _, calls, .., name] = words[..] else { continue };
        if share.parse::<f64>().is_ok() && name != "total" {
            total += calls.parse::<u32>().with_context(|| format!("reading {line:?}"))?;
        }
    }
    ensure!(total > 0, "strace counted no system calls: {summary}");
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_sums_calls_with_and_without_errors() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.00    0.100000           2     40000     40000 connect
  1.00    0.000000           0         8           mmap
------ ----------- ----------- --------- --------- ----------------
100.00    0.100000           2     40008     40000 total
";
        assert_eq!(total(summary).expect("a summary"), 40_008);
        assert!(total("").is_err());
    }
}
