//! Measures wall-clock time, CPU time and peak memory.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// The time that one run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// User and kernel time of this process, of the children it waited for, and of theirs.
    pub(crate) cpu: Duration,
}

/// Runs `run` and measures its cost. Processes that it starts count if it waits for them.
#[expect(clippy::disallowed_methods, reason = "no simulator owns the time that is measured")]
pub(crate) fn measure<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let (start, before) = (Instant::now(), cpu()?);
    let result = run()?;
    Ok((result, Cost { wall: start.elapsed(), cpu: cpu()?.saturating_sub(before) }))
}

/// CPU time of this process and of the children it has waited for.
fn cpu() -> Result<Duration> {
    let mut total = Duration::ZERO;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who).context("asking the system for CPU time")?;
        let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
        total += Duration::from_micros(microseconds.unsigned_abs());
    }
    Ok(total)
}

/// Seconds until a run is killed because it hangs. nmap takes ten minutes for a network of which most
/// is silent.
const RUN_MAX: &str = "3000";

/// Exit status of a run whose program does not exist (timeout(1)).
pub(crate) const NOT_FOUND: i32 = 127;

/// Runs a command to its end. Returns its status, and the peak memory of its largest process in
/// KiB.
///
/// The system reports the peak of all children that a process ever had, so each run has a parent
/// of its own: this program's hidden subcommand `peak`.
pub(crate) fn run_with_peak(
    command: &Command,
    stdout: File,
    stderr: File,
) -> Result<(ExitStatus, u64)> {
    let peak = tempfile::NamedTempFile::new().context("making a file for the peak of memory")?;
    let this = env::current_exe().context("finding this program")?;
    let mut parent = Command::new(this);
    parent.arg("peak").arg(peak.path()).arg("--");
    parent.arg(command.get_program()).args(command.get_args());
    let status = parent.stdin(Stdio::null()).stdout(stdout).stderr(stderr).status();
    let status = status.context("starting a program to measure")?;
    let kib = fs::read_to_string(peak.path()).context("reading the peak of memory")?;
    // The file stays empty when `peak` fails, which its status shows.
    Ok((status, kib.parse().unwrap_or(0)))
}

/// Options of the hidden subcommand `peak`.
#[derive(Debug, Args)]
pub(crate) struct PeakOptions {
    /// The file that receives the peak, in KiB
    file: PathBuf,
    /// The command to run
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the command, writes the peak of memory, and exits with the command's status.
pub(crate) fn run(options: &PeakOptions) -> Result<ExitCode> {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--signal=KILL", RUN_MAX]).args(&options.command);
    let status = command.status().context("starting timeout (Debian: coreutils)")?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for the peak of memory")?;
    fs::write(&options.file, usage.max_rss().to_string()).context("writing the peak of memory")?;
    let code = status.code().or(status.signal().map(|_| 1)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
