//! What something took: time on the wall, time of the processors, and memory.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeValLike,
};

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of all processors, in this process and in those that it started and waited for, and that
    /// they did, in user and kernel mode.
    pub(crate) cpu: Duration,
}

/// Runs something, and says what it took. What it starts must have ended and been waited for when
/// it returns.
#[expect(clippy::disallowed_methods, reason = "no simulator owns the time that is measured")]
pub(crate) fn measure<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let (start, before) = (Instant::now(), cpu()?);
    let result = run()?;
    Ok((result, Cost { wall: start.elapsed(), cpu: cpu()?.saturating_sub(before) }))
}

/// What this process and those it has waited for have taken so far.
fn cpu() -> Result<Duration> {
    let usage = |who| getrusage(who).context("asking the system what was used");
    Ok(total(usage(UsageWho::RUSAGE_SELF)?) + total(usage(UsageWho::RUSAGE_CHILDREN)?))
}

fn total(usage: Usage) -> Duration {
    let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(microseconds.unsigned_abs())
}

/// What a run may take: it is ended when it hangs.
const PATIENCE: &str = "600";

/// The status of a run whose program does not exist (timeout(1)).
pub(crate) const NOT_FOUND: i32 = 127;

/// A run of which the peak of memory is to be known: that of the largest of its processes, which
/// the system tells the one who started them, and only of all that it ever started. So each run
/// has one who starts nothing else.
pub(crate) struct Peak {
    folder: tempfile::TempDir,
    command: Vec<OsString>,
}

impl Peak {
    /// # Errors
    /// There is no place for a file.
    pub(crate) fn of(command: &Command) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for a figure")?;
        let program = [command.get_program()].into_iter();
        let command = program.chain(command.get_args()).map(OsString::from).collect();
        Ok(Self { folder, command })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("kib")
    }

    /// What starts it.
    pub(crate) fn command(&self) -> Command {
        let this = std::env::current_exe().unwrap_or_else(|_| "portmuster-bench".into());
        let mut command = Command::new(this);
        command.arg("peak").arg(self.file()).arg("--").args(&self.command);
        command
    }

    /// The peak in KiB, after it has ended.
    ///
    /// # Errors
    /// It has not run.
    pub(crate) fn kib(&self) -> Result<u64> {
        let text = fs::read_to_string(self.file()).context("asking for the peak of memory")?;
        text.trim().parse().context("reading the peak of memory")
    }
}

/// The inside of the process that starts one run.
#[derive(Debug, Args)]
pub(crate) struct PeakOptions {
    /// Where the peak is written to, in KiB
    file: PathBuf,
    /// What runs
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs it, writes the peak, and ends as it did.
///
/// # Errors
/// It can't be started.
pub(crate) fn run(options: &PeakOptions) -> Result<ExitCode> {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--signal=KILL", PATIENCE]).args(&options.command);
    let status = command.status().context("starting timeout (Debian: coreutils)")?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking what was used")?;
    fs::write(&options.file, usage.max_rss().to_string()).context("writing the peak of memory")?;
    let signalled = status.signal().map(|_| 1);
    let code = status.code().or(signalled).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_takes_is_seen_when_it_was_waited_for() {
        let mut child = Command::new("sh");
        child.args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"]);
        let (status, cost) = measure(|| Ok(child.status()?)).expect("there is a shell");
        assert!(status.success());
        assert!(cost.cpu >= Duration::from_millis(10), "{cost:?}");
        assert!(cost.wall >= Duration::from_millis(10), "{cost:?}");
    }
}
