//! The end of a child process together with the processes that it started.
//!
//! Servers give each connection a process in a session of its own, so killing the server's
//! process group would leave those behind.
//!
//! - Invariant: when [`end`] returns, the child has been waited for.

use std::{fs, process::Child};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Kills a child process and its descendants, and waits for the child.
pub(super) fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let pid = Pid::from_child(child);
        // While it is stopped it neither starts children nor reaps them, so none is missed and
        // no number below means a stranger.
        let _ = kill_process(pid, Signal::STOP);
        let stopped_or_dead =
            WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = waitid(WaitId::Pid(pid), stopped_or_dead);
        kill(pid);
    }
    let _ = child.wait();
}

/// Deeper down the stop is sent but not waited for, as only a parent can.
fn kill(pid: Pid) {
    let _ = kill_process(pid, Signal::STOP);
    children(pid).into_iter().for_each(kill);
    let _ = kill_process(pid, Signal::KILL);
}

/// None where the system does not tell; such processes end when their client leaves.
fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}
