//! Kills a child process together with the processes that it started.
//!
//! Servers run each connection in a process with a session of its own, so killing the server's
//! process group would leave those processes behind.
//!
//! - Invariant: when [`kill`] returns, the child has been waited for.

use std::{fs, process::Child};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Kills a child process and its descendants, and waits for the child.
pub(super) fn kill(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let pid = Pid::from_child(child);
        // A stopped process neither starts nor reaps children: the list of children below is
        // complete, and no pid in it has been reused by an unrelated process.
        let _ = kill_process(pid, Signal::STOP);
        let stopped_or_dead =
            WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = waitid(WaitId::Pid(pid), stopped_or_dead);
        kill_tree(pid);
    }
    let _ = child.wait();
}

/// Kills a process and its descendants. Only a parent can wait for a stop, so below the first level
/// the stop signal is sent without waiting.
fn kill_tree(pid: Pid) {
    let _ = kill_process(pid, Signal::STOP);
    children(pid).into_iter().for_each(kill_tree);
    let _ = kill_process(pid, Signal::KILL);
}

/// The children of a process. Empty on systems without `/proc/PID/task/TID/children`; there,
/// descendants end when their clients disconnect.
fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}
