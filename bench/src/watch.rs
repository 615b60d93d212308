//! What a program does while it runs: sockets open in this network, memory of its own, and how late
//! a timer is that has nothing else to do.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::event::{Timespec, poll};

use crate::{
    cost::{Cost, measure},
    limit::baseline::Late,
};

/// Between two looks at a program.
const LOOK: Duration = Duration::from_millis(100);

/// Looks at a program before it is taken to hang: ten minutes.
const LOOKS_MAX: u32 = 6000;

/// Between two deadlines of the idle timer.
const TICK: Duration = Duration::from_millis(10);

/// What was seen of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) cost: Cost,
    /// TCP sockets in this network at the peak.
    pub(crate) sockets: u64,
    /// Memory of its own at the peak (`RssAnon`, see proc(5)), in KiB.
    pub(crate) own_kib: u64,
    /// All memory at the peak (`VmHWM`), in KiB.
    pub(crate) memory_kib: u64,
    /// How late the idle timer was, from this long after the start on.
    pub(crate) idle_timer: Late,
}

/// Runs a program. The lateness of the idle timer is taken from `from` after the start until the
/// end: while the deadlines of the program pass.
///
/// # Errors
/// It fails, or ends before the time from which on the timer counts.
pub(crate) fn run(command: &mut Command, from: Duration) -> Result<Seen> {
    let program = command.get_program().display().to_string();
    let (mut sockets, mut own_kib, mut memory_kib) = (0, 0, 0);
    let timer = IdleTimer::start(from)?;
    let (status, cost) = measure(|| {
        let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
        for _ in 0..LOOKS_MAX {
            if let Some(status) = child.try_wait().context("asking whether it has ended")? {
                return Ok(status);
            }
            sockets = sockets.max(open_sockets().unwrap_or(0));
            own_kib = own_kib.max(of_process(child.id(), "RssAnon:").unwrap_or(0));
            memory_kib = memory_kib.max(of_process(child.id(), "VmHWM:").unwrap_or(0));
            wait(LOOK)?;
        }
        child.kill().and_then(|()| child.wait()).context("ending it, because it hangs")
    })?;
    let idle_timer = timer.stop()?;
    ensure!(status.success(), "{program} ended with {status}");
    let idle_timer = Late::of(idle_timer).context("it ended before its first deadline")?;
    Ok(Seen { cost, sockets, own_kib, memory_kib, idle_timer })
}

/// TCP sockets in this network that are connected or connecting.
fn open_sockets() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/sockstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("TCP: inuse "))?.split(' ').next()?.parse().ok()
}

/// A figure of a process.
fn of_process(id: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn wait(how_long: Duration) -> Result<()> {
    let timeout = Timespec::try_from(how_long).context("it is short")?;
    poll(&mut [], Some(&timeout)).context("waiting")?;
    Ok(())
}

/// A thread that waits for one deadline after the other and does nothing else.
struct IdleTimer {
    is_over: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<Vec<u32>>>,
}

impl IdleTimer {
    fn start(from: Duration) -> Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let timer = thread::Builder::new().name("idle-timer".into());
        let thread = timer.spawn(move || tick(from, &ends)).context("starting a timer")?;
        Ok(Self { is_over, thread })
    }

    /// How late it was each time, in microseconds.
    fn stop(self) -> Result<Vec<u32>> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the timer has panicked"))?
    }
}

#[expect(clippy::disallowed_methods, reason = "no simulator owns the time that is measured")]
fn tick(from: Duration, is_over: &AtomicBool) -> Result<Vec<u32>> {
    let start = Instant::now();
    let (mut deadline, mut late) = (start, Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        deadline += TICK;
        wait(deadline.saturating_duration_since(Instant::now()))?;
        let now = Instant::now();
        if deadline >= start + from {
            let micros = now.saturating_duration_since(deadline).as_micros();
            late.push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        // One that is late does not make up for it: each deadline is set by somebody who is awake.
        deadline = now;
    }
    Ok(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_watched_to_its_end() {
        let mut program = Command::new("sleep");
        let seen = run(program.arg("0.3"), Duration::ZERO).expect("it runs");
        assert!(seen.memory_kib > 0, "{seen:?}");
        assert!(seen.cost.wall >= Duration::from_millis(300), "{seen:?}");
        assert!(run(&mut Command::new("false"), Duration::ZERO).is_err());
    }
}
