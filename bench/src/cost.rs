//! What something took: time on the wall, and of the processors.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
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

#[cfg(test)]
mod tests {
    use std::process::Command;

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
