//! How many sockets this process may hold.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for everything that is no attempt: files, pipes, pollers, and the resolver's
/// sockets.
const RESERVE: u64 = 64;

/// Raises this process's soft limit of descriptors to its hard limit and says how many attempts
/// may be open at the same time: at least one, whatever the limit is.
pub(crate) fn budget() -> usize {
    let limit = raise();
    let taken = open_now().unwrap_or(RESERVE);
    usize::try_from(left(limit, taken)).unwrap_or(usize::MAX)
}

fn left(limit: u64, taken: u64) -> u64 {
    let reserve = RESERVE.min(limit / 4);
    limit.saturating_sub(taken).saturating_sub(reserve).max(1)
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
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    u64::try_from(entries.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_and_one_is_always_left() {
        assert_eq!(left(1024, 10), 950);
        assert_eq!(left(256, 10), 182);
        assert_eq!(left(20, 10), 5);
        assert_eq!(left(8, 10), 1);
        assert_eq!(left(u64::MAX, 10), u64::MAX - 74);
    }
}
