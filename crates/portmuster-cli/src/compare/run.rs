//! One run of one method in a separate process.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::Context;
use portmuster::Method;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

use crate::{
    args::Compare, clock, effective, measure::Measured, signals::Interrupted, status::Status,
    workers,
};

/// The options of every run. The first four exclude all differences but that of the method.
pub(super) const TERMS: [&str; 6] =
    ["--no-probe", "--rate=max", "--per-host=max", "--retries=0", "--quiet", "--progress=never"];

/// Time between two samples of the memory of a run.
const SAMPLE: Duration = Duration::from_millis(20);

/// The cost of a run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) wall: Duration,
    /// Peak memory of all its processes together, in KiB.
    pub(super) peak_kib: u64,
    pub(super) measured: Measured,
}

/// Returns the file with the rows of the last run.
pub(super) fn answers(folder: &Path) -> PathBuf {
    folder.join("answers.jsonl")
}

/// Runs one method on all targets. The inner `Err` is the status to end with if the run did not
/// finish.
///
/// # Errors
/// The process can't be started or watched, or the run failed.
pub(super) fn make(
    compare: &Compare,
    method: Method,
    folder: &Path,
    interrupted: &Interrupted,
) -> anyhow::Result<Result<Run, Status>> {
    let measure = folder.join("measured.json");
    let started = clock::monotonic();
    let mut child = workers::this_program()?
        .command()
        .args(arguments(compare, method, folder, &measure))
        .env_remove(effective::VARIABLE)
        .stdin(Stdio::null())
        .spawn()
        .context("starting portmuster")?;
    let peak_kib = watch(&child, interrupted)?;
    let status = child.wait().context("waiting for a run")?;
    let wall = started.elapsed();
    let ended = match status.code() {
        _ if interrupted.is_set() => Status::Interrupted,
        // Status 3: targets that can't be checked from this machine can't be checked by any method.
        Some(0 | 3) if measure.exists() => {
            return Ok(Ok(Run { wall, peak_kib, measured: Measured::read(&measure)? }));
        }
        Some(2) => Status::Usage,
        _ => anyhow::bail!("the run by {method} failed: {status}"),
    };
    Ok(Err(ended))
}

/// Returns the arguments of the process.
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
    arguments.extend(compare.input_format.arguments().into_iter().map(OsString::from));
    if compare.input_format.has_ports() {
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

/// Waits until a run ends, and interrupts it if this process is interrupted.
///
/// Returns the peak memory of the process and its workers together, in KiB.
fn watch(child: &Child, interrupted: &Interrupted) -> anyhow::Result<u64> {
    let pid = Pid::from_child(child);
    let ended = pidfd_open(pid, PidfdFlags::empty()).context("watching a run")?;
    let interval = Timespec::try_from(SAMPLE).unwrap_or_default();
    let (mut peak, mut is_interrupted) = (0, false);
    loop {
        let mut polled = [PollFd::new(&ended, PollFlags::IN)];
        // A signal interrupts the wait; then the next one detects the end.
        if matches!(poll(&mut polled, Some(&interval)), Ok(1..)) {
            return Ok(peak);
        }
        if interrupted.is_set() && !is_interrupted {
            is_interrupted = true;
            // This fails only if the process has ended.
            let _ = kill_process(pid, Signal::INT);
        }
        let processes = std::iter::once(child.id()).chain(children(child.id()));
        peak = peak.max(processes.filter_map(memory_kib).sum());
    }
}

/// Returns the child processes of a process.
fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids =
        |text: String| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>();
    children.flat_map(ids).collect()
}

/// Returns the proportional set size of a process in KiB; `None`: it has ended.
fn memory_kib(process: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}
