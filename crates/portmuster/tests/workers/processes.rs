//! Observes and signals processes from outside.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal},
};

use crate::{jobs::pause, limit::LIMIT};

/// A process that may end at any time.
#[derive(Debug)]
pub(crate) struct Process {
    id: u32,
    descriptor: OwnedFd,
}

impl Process {
    pub(crate) fn kill(&self) {
        // Fails only if the process has ended.
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
    }

    pub(crate) fn stop(&self) {
        pidfd_send_signal(&self.descriptor, Signal::STOP).expect("it runs");
    }

    /// Returns whether the process has ended, or ends within this time.
    pub(crate) fn has_ended_within(&self, time: Duration) -> bool {
        let time = Timespec::try_from(time).expect("a short time");
        let mut ended = [PollFd::new(&self.descriptor, PollFlags::IN)];
        poll(&mut ended, Some(&time)).expect("poll succeeds") > 0
    }

    /// Waits until a socket of the process is connecting to the endpoint: state 2, SYN-SENT, in
    /// `/proc/net/tcp`.
    pub(crate) fn wait_until_connecting(&self, endpoint: SocketAddr) {
        let port = format!(":{:04X} 02 ", endpoint.port());
        wait_for(|| {
            let sockets = fs::read_to_string("/proc/net/tcp").expect("procfs is mounted");
            let connecting = sockets.lines().filter(|line| line.contains(&port));
            connecting.filter_map(inode).any(|inode| self.has_open(&format!("socket:[{inode}]")))
        });
    }

    fn has_open(&self, file: &str) -> bool {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.id));
        descriptors.into_iter().flatten().flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|link| link.as_os_str() == file)
        })
    }
}

/// Returns the inode in a line of `/proc/net/tcp`.
fn inode(line: &str) -> Option<&str> {
    line.split_whitespace().nth(9)
}

/// Polls until the condition is true. Panics after [`LIMIT`].
#[expect(clippy::disallowed_methods, reason = "no event reports the condition")]
fn wait_for(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}");
        pause(Duration::from_millis(2));
    }
}

/// Returns the current children of this process.
fn own() -> Vec<Process> {
    children(u32::try_from(getpid().as_raw_pid()).expect("it is positive"))
}

/// Returns the children of this process once there is one.
pub(crate) fn wait_for_any_own() -> Vec<Process> {
    let mut found = Vec::new();
    wait_for(|| {
        found = own();
        !found.is_empty()
    });
    found
}

/// Returns the children of this process once there are this many.
pub(crate) fn wait_for_own(count: usize) -> Vec<Process> {
    wait_for_children(u32::try_from(getpid().as_raw_pid()).expect("it is positive"), count)
}

/// Returns the children of a process once there are this many.
pub(crate) fn wait_for_children(process: u32, count: usize) -> Vec<Process> {
    let mut found = Vec::new();
    wait_for(|| {
        found = children(process);
        found.len() == count
    });
    found
}

fn children(process: u32) -> Vec<Process> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids: Vec<u32> = children
        .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect();
    ids.into_iter()
        .filter_map(|id| {
            let pid = Pid::from_raw(i32::try_from(id).ok()?)?;
            let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            Some(Process { id, descriptor })
        })
        .collect()
}

/// Starts this program with these arguments.
pub(crate) fn this<const N: usize>(arguments: [&str; N]) -> Child {
    let this = std::env::current_exe().expect("it runs");
    let mut command = Command::new(this);
    command.args(arguments).stdin(Stdio::null()).spawn().expect("it can be started")
}

/// Returns the anonymous memory of this process in KiB.
pub(crate) fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs is mounted");
    let line =
        status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the line exists");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Returns a listener that never accepts, with a full backlog of connections, so that further
/// connections wait.
pub(crate) fn full_backlog() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    rustix::net::listen(&listener, 0).expect("a listener may listen again");
    let endpoint: SocketAddr = listener.local_addr().expect("it is bound");
    let mut waiting = Vec::new();
    // Linux accepts one connection more than the backlog size.
    for _ in 0..8 {
        #[expect(clippy::disallowed_methods, reason = "this fills the backlog")]
        match TcpStream::connect_timeout(&endpoint, Duration::from_millis(200)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => return (listener, waiting),
        }
    }
    panic!("the backlog never fills");
}
