//! Descriptors: how many sockets this process may open.

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use nix::sched::CloneFlags;
use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::outcome::Fault;

/// Descriptors that are reserved for everything other than attempts: files, pipes, pollers, and the
/// resolver's sockets.
const RESERVE: u64 = 64;

/// Descriptors that one name lookup may use: files, and a socket for each name server.
const LOOKUP: u64 = 2;

/// How the descriptors of this process are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// The most attempts open at the same time: at least one.
    pub(crate) attempts: usize,
    /// The most name lookups at the same time: at least one.
    pub(crate) lookups: usize,
}

/// Raises this process's soft limit of descriptors to its hard limit, and divides them.
pub(crate) fn budget() -> Budget {
    share(raise(), open_now().unwrap_or(RESERVE))
}

fn share(limit: u64, taken: u64) -> Budget {
    let reserve = RESERVE.min(limit / 4);
    let attempts = limit.saturating_sub(taken).saturating_sub(reserve).max(1);
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Budget { attempts: count(attempts), lookups: count((reserve / LOOKUP).max(1)) }
}

/// Gives this thread a descriptor table of its own that contains only `kept` and stderr. Returns false
/// if the system does not permit it; then nothing has changed.
///
/// The thread no longer contends with others for the table, and has the limit of descriptors to
/// itself. Unsharing copies the table, and a copy would keep open what other threads close, so all
/// other descriptors are closed here; stderr stays for panic messages. Afterwards a descriptor of
/// another thread is invalid in this one and vice versa, so no value that owns a descriptor may be
/// sent between them.
pub(crate) fn own_table(kept: &OwnedFd) -> bool {
    if nix::sched::unshare(CloneFlags::CLONE_FILES).is_err() {
        return false;
    }
    let Ok(entries) = fs::read_dir("/proc/thread-self/fd") else { return true };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Collected before any is closed, because the list itself is read through a descriptor.
    let open: Vec<RawFd> = names.collect();
    for descriptor in open {
        if descriptor != kept.as_raw_fd() && descriptor != io::stderr().as_raw_fd() {
            // The descriptor of the list is closed by now.
            let _ = nix::unistd::close(descriptor);
        }
    }
    true
}

/// Returns the fault if this process can't open one more descriptor at the moment.
pub(crate) fn shortage() -> Option<Fault> {
    match rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC) {
        Err(Errno::MFILE) => Some(Fault::ProcessDescriptors),
        Err(Errno::NFILE) => Some(Fault::SystemDescriptors),
        Err(Errno::NOMEM) => Some(Fault::Memory),
        _ => None,
    }
}

/// Raises the soft limit. Returns the limit in force, `u64::MAX` if there is none.
fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    limit.current.unwrap_or(u64::MAX)
}

/// Returns how many descriptors are open; `None` if the system does not say.
fn open_now() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    u64::try_from(entries.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserve_is_kept_and_one_attempt_is_always_possible() {
        let shares = |limit| {
            let Budget { attempts, lookups } = share(limit, 10);
            (attempts, lookups)
        };
        assert_eq!(shares(1024), (950, 32));
        assert_eq!(shares(256), (182, 32));
        assert_eq!(shares(20), (5, 2));
        assert_eq!(shares(8), (1, 1));
        assert_eq!(shares(u64::MAX), (usize::MAX - 74, 32));
    }
}
