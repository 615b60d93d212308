//! How many sockets this process may hold.

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

/// Descriptors kept for everything that is no attempt: files, pipes, pollers, and the resolver's
/// sockets.
const RESERVE: u64 = 64;

/// Descriptors that one name lookup may hold: a file or two, and a socket for each server.
const LOOKUP: u64 = 2;

/// How the descriptors of this process are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Attempts that may be open at the same time: at least one.
    pub(crate) attempts: usize,
    /// Names that may be looked up at the same time: at least one.
    pub(crate) lookups: usize,
}

/// Raises this process's soft limit of descriptors to its hard limit and shares them out.
pub(crate) fn budget() -> Budget {
    share(raise(), open_now().unwrap_or(RESERVE))
}

fn share(limit: u64, taken: u64) -> Budget {
    let reserve = RESERVE.min(limit / 4);
    let attempts = limit.saturating_sub(taken).saturating_sub(reserve).max(1);
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Budget { attempts: count(attempts), lookups: count((reserve / LOOKUP).max(1)) }
}

/// Gives this thread a descriptor table of its own, in which only these are: nobody else's opening
/// and closing is waited for any more, and the limit on descriptors holds for it alone. False where
/// the system forbids it; then nothing has changed.
///
/// Unsharing copies the table. A copy would hold open what others close, so all that was not handed
/// over is closed here; stderr stays, for the words of a panic. From here on a descriptor that is
/// made in another thread means nothing in this one, and the other way round: nothing that owns one
/// may cross.
pub(crate) fn own_table(kept: &OwnedFd) -> bool {
    if nix::sched::unshare(CloneFlags::CLONE_FILES).is_err() {
        return false;
    }
    let Ok(entries) = fs::read_dir("/proc/thread-self/fd") else { return true };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Whole, before anything is closed: the list is read through a descriptor, too.
    let open: Vec<RawFd> = names.collect();
    for descriptor in open {
        if descriptor != kept.as_raw_fd() && descriptor != io::stderr().as_raw_fd() {
            // The one that the list was read through is gone by now.
            let _ = nix::unistd::close(descriptor);
        }
    }
    true
}

/// The fault when this process can't open one more descriptor just now.
pub(crate) fn shortage() -> Option<Fault> {
    match rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC) {
        Err(Errno::MFILE) => Some(Fault::ProcessDescriptors),
        Err(Errno::NFILE) => Some(Fault::SystemDescriptors),
        Err(Errno::NOMEM) => Some(Fault::Memory),
        _ => None,
    }
}

/// The limit in force after raising it; without end when the system sets none.
fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    limit.current.unwrap_or(u64::MAX)
}

/// Descriptors that are open now; `None` where the system does not say.
fn open_now() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    u64::try_from(entries.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_and_one_is_always_left() {
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
