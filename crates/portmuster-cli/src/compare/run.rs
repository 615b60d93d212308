//! One run of one method, in a process of its own.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use portmuster::Method;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use super::{Compare, TERMS};
use crate::{measure::Measured, signals::Interrupted, status::Status};

/// Between two looks at the memory of a run.
const SAMPLE: Duration = Duration::from_millis(20);

/// What a run has cost.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) wall: Duration,
    /// The most that all its processes had together, in KiB.
    pub(super) peak_kib: u64,
    pub(super) measured: Measured,
}

/// Where the answers of the latest run are.
pub(super) fn answers(folder: &Path) -> PathBuf {
    folder.join("answers.jsonl")
}

/// Makes one run; `Err` with the status to end with when it did not come to its end.
pub(super) fn make(
    compare: &Compare,
    method: Method,
    folder: &Path,
    interrupted: &Interrupted,
) -> anyhow::Result<Result<Run, Status>> {
    let measure = folder.join("measured.json");
    let this = std::env::current_exe().context("where portmuster is can't be told")?;
    let started = now();
    let mut child = Command::new(this)
        .args(arguments(compare, method, folder, &measure))
        .stdin(Stdio::null())
        .spawn()
        .context("portmuster can't be started again")?;
    let peak_kib = watch(&child, interrupted)?;
    let status = child.wait().context("a run can't be waited for")?;
    let wall = started.elapsed();
    let ended = match status.code() {
        _ if interrupted.is_set() => Status::Interrupted,
        // Targets that can't be checked from here can't be by any method.
        Some(0 | 3) if measure.exists() => {
            return Ok(Ok(Run { wall, peak_kib, measured: Measured::read(&measure)? }));
        }
        Some(2) => Status::Usage,
        _ => anyhow::bail!("the run by {method} failed: {status}"),
    };
    Ok(Err(ended))
}

#[expect(clippy::disallowed_methods, reason = "the time of another process, seen from outside")]
fn now() -> Instant {
    Instant::now()
}

fn arguments(compare: &Compare, method: Method, folder: &Path, measure: &Path) -> Vec<OsString> {
    let joined = |name: &str, value: &Path| {
        let mut argument = OsString::from(name);
        argument.push(value);
        argument
    };
    let mut arguments: Vec<OsString> = vec!["check".into()];
    arguments.extend(TERMS.map(OsString::from));
    arguments.push("--force".into());
    arguments.push(joined("--output=jsonl=", &answers(folder)));
    arguments.push(joined("--measure=", measure));
    arguments.push(format!("--method={method}").into());
    arguments.extend(compare.reading.arguments().into_iter().map(OsString::from));
    if compare.reading.has_ports() {
        arguments.push(format!("--ports={}", compare.ports).into());
    }
    arguments.push(format!("--in-flight={}", compare.in_flight).into());
    arguments.push(format!("--timeout={}us", compare.timeout.as_micros()).into());
    arguments.extend(compare.inputs.iter().map(|file| joined("--input=", file)));
    arguments.extend(compare.exclude.iter().map(|item| joined("--exclude=", item.as_ref())));
    arguments.extend(compare.exclude_file.iter().map(|file| joined("--exclude-file=", file)));
    arguments.push("--".into());
    arguments.extend(compare.targets.iter().map(OsString::from));
    arguments
}

/// Waits for the end of a run and passes an interruption on to it; the most memory that it and
/// its workers had together.
fn watch(child: &Child, interrupted: &Interrupted) -> anyhow::Result<u64> {
    let pid = Pid::from_child(child);
    let ended = pidfd_open(pid, PidfdFlags::empty()).context("a run can't be watched")?;
    let interval = Timespec::try_from(SAMPLE).unwrap_or_default();
    let (mut peak, mut told) = (0, false);
    loop {
        let mut polled = [PollFd::new(&ended, PollFlags::IN)];
        // A signal cuts the wait short; then the end shows at the next one.
        if matches!(poll(&mut polled, Some(&interval)), Ok(1..)) {
            return Ok(peak);
        }
        if interrupted.is_set() && !told {
            told = true;
            // Fails only when it has ended.
            let _ = kill_process(pid, Signal::INT);
        }
        let processes = std::iter::once(child.id()).chain(children(child.id()));
        peak = peak.max(processes.filter_map(memory_kib).sum());
    }
}

fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids =
        |text: String| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>();
    children.flat_map(ids).collect()
}

/// The memory of a process, what it shares with others divided by their number, in KiB.
fn memory_kib(process: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}
