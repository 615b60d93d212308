//! Watches a program while it runs: open sockets, memory, and the lateness of an idle timer.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::event::{Timespec, poll};

use crate::{
    cost::{Cost, measure},
    lateness::Lateness,
};

/// Interval between two observations of a program.
const INTERVAL: Duration = Duration::from_millis(100);

/// Observations before a program is killed because it hangs: ten minutes.
const OBSERVATIONS_MAX: u32 = 6000;

/// Interval between two deadlines of the idle timer.
const TICK: Duration = Duration::from_millis(10);

/// The figures of a watched run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observation {
    pub(crate) cost: Cost,
    /// Peak of TCP sockets in the program's network namespace.
    pub(crate) sockets: u64,
    /// Peak of private memory (`RssAnon`, see proc(5)), in KiB.
    pub(crate) private_kib: u64,
    /// Peak of all memory (`VmHWM`), in KiB.
    pub(crate) memory_kib: u64,
    /// How much the kernel's memory for objects grew at the peak, in KiB, without caches that it could
    /// free (`SUnreclaim`, see proc(5)). That of all programs counts.
    pub(crate) kernel_kib: u64,
    /// Lateness of the idle timer.
    pub(crate) idle_timer: Lateness,
}

/// Runs a program and watches it. The lateness of the idle timer counts from `from` after the
/// start to the end, which is when the program's deadlines pass.
///
/// # Errors
/// The program fails, or ends earlier than `from` after its start.
pub(crate) fn run(command: &mut Command, from: Duration) -> Result<Observation> {
    let is_over = AtomicBool::new(false);
    let (observation, ticks) = thread::scope(|scope| {
        let timer = scope.spawn(|| tick(from, &is_over));
        let observation = watch(command);
        is_over.store(true, Ordering::Relaxed);
        (observation, timer.join().map_err(|_| anyhow!("the idle timer panicked")))
    });
    let (cost, [sockets, private_kib, memory_kib, kernel_kib]) = observation?;
    let idle_timer = Lateness::of(ticks??).context("the program ended before its deadlines")?;
    Ok(Observation { cost, sockets, private_kib, memory_kib, kernel_kib, idle_timer })
}

/// Runs a program. Returns its cost, and the peaks of sockets, of private and all memory, and of the
/// growth of the kernel's.
fn watch(command: &mut Command) -> Result<(Cost, [u64; 4])> {
    let program = command.get_program().display().to_string();
    let mut peaks = [0; 4];
    let kernel = || figure("/proc/meminfo", "SUnreclaim:").unwrap_or(0);
    let kernel_before = kernel();
    let (status, cost) = measure(|| {
        let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
        let status_file = format!("/proc/{}/status", child.id());
        let sockets_file = format!("/proc/{}/net/sockstat", child.id());
        for _ in 0..OBSERVATIONS_MAX {
            if let Some(status) = child.try_wait().context("asking for its status")? {
                return Ok(status);
            }
            let figures = [
                figure(&sockets_file, "TCP: inuse "),
                figure(&status_file, "RssAnon:"),
                figure(&status_file, "VmHWM:"),
                Some(kernel().saturating_sub(kernel_before)),
            ];
            for (peak, figure) in peaks.iter_mut().zip(figures) {
                *peak = figure.unwrap_or(0).max(*peak);
            }
            wait(INTERVAL)?;
        }
        child.kill().and_then(|()| child.wait()).context("killing it because it hangs")
    })?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok((cost, peaks))
}

/// The number behind `name` in a file of `/proc`.
pub(crate) fn figure(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn wait(duration: Duration) -> Result<()> {
    let timeout = Timespec::try_from(duration).context("the wait is short")?;
    poll(&mut [], Some(&timeout)).context("waiting")?;
    Ok(())
}

/// The idle timer: waits for one deadline after the other. Returns how late each was noticed, in
/// microseconds.
#[expect(clippy::disallowed_methods, reason = "no simulator owns the time that is measured")]
fn tick(from: Duration, is_over: &AtomicBool) -> Result<Vec<u32>> {
    let start = Instant::now();
    let (mut deadline, mut lateness) = (start, Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        deadline += TICK;
        wait(deadline.saturating_duration_since(Instant::now()))?;
        let now = Instant::now();
        if deadline >= start + from {
            let micros = now.saturating_duration_since(deadline).as_micros();
            lateness.push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        // The next deadline counts from now, so that one late wake-up is not counted twice.
        deadline = now;
    }
    Ok(lateness)
}
