//! How many system calls a program makes for each target, counted by strace.

use std::{
    fs,
    io::ErrorKind,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// Whether strace is there.
pub(super) fn can_be_counted() -> Result<bool> {
    let mut strace = Command::new("strace");
    strace.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    match strace.status() {
        Ok(status) => Ok(status.success()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context("starting strace"),
    }
}

/// System calls of a program from its start to its end, in all its threads.
///
/// # Errors
/// It can't be counted here, or the program fails.
pub(super) fn count(program: &Command) -> Result<u32> {
    let folder = tempfile::tempdir().context("making a folder for a summary")?;
    let summary = folder.path().join("summary");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o"]).arg(&summary).arg("--");
    strace.arg(program.get_program()).args(program.get_args());
    let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.context("starting strace")?;
    ensure!(
        status.success(),
        "{} under strace ended with {status}",
        program.get_program().display()
    );
    total(&fs::read_to_string(summary).context("reading strace's summary")?)
}

/// The sum of the column `calls`: share, seconds, microseconds each, calls, errors if any, name.
fn total(summary: &str) -> Result<u32> {
    let mut total = 0;
    for line in summary.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [share, _, _, calls, .., name] = words[..] else { continue };
        if share.parse::<f64>().is_ok() && name != "total" {
            total += calls.parse::<u32>().with_context(|| format!("reading {line:?}"))?;
        }
    }
    if total == 0 {
        bail!("strace has counted nothing: {summary}");
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_added_up() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.00    0.100000           2     40000     40000 connect
  1.00    0.000000           0         8           mmap
------ ----------- ----------- --------- --------- ----------------
100.00    0.100000           2     40008     40000 total
";
        assert_eq!(total(summary).expect("it is a summary"), 40_008);
        assert!(total("").is_err());
    }
}
