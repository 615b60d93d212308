//! How many attempts this system can hold in flight, and which resource limits them.
//!
//! Everything here is counted before the first attempt, because a control group at its memory limit
//! does not refuse an allocation: it kills the process.

use std::{fmt, fs};

use rustix::process::{Resource, getrlimit};

use super::cgroup;

/// Memory of an attempt, in bytes: the kernel's part, measured at 5.1 KB for an attempt that nothing
/// answers, and ours.
const ATTEMPT_SIZE: u64 = 6 << 10;
/// Our own part of an attempt's memory, in bytes, times four for temporary peaks: a queue that grows
/// exists twice for a moment.
const ATTEMPT_OWN_SIZE: u64 = 1200;
/// Address space of a thread's stack and its guard pages, in bytes.
const THREAD_SPACE: u64 = (2 << 20) + (64 << 10);
/// Address space that is left for everything else, in bytes.
const RESERVED_SPACE: u64 = 32 << 20;
/// Memory of the program itself, in bytes: its code and its queues.
const PROGRAM_SIZE: u64 = 8 << 20;
/// Divisor of the free memory: this share is left to everything else.
const RESERVED_SHARE: u64 = 8;
/// Divisor of the free memory: at least this share is for long conversations.
const CONVERSATIONS_SHARE: u64 = 4;
/// Memory of a thread that blocks on one attempt, with its read buffer, in bytes; measured.
const THREAD_SIZE: u64 = 48 << 10;
/// Memory of a worker process, in bytes; measured.
const PROCESS_SIZE: u64 = 2 << 20;
/// The most memory of an outcome, in bytes. Almost all of it is a key exchange message (RFC 4253
/// §6.1: 35,000 bytes).
const OUTCOME_MAX: u64 = 40 << 10;
/// The least memory for the long conversations of a process, in bytes: two of the longest.
const CONVERSATIONS_MIN: u64 = 128 << 10;
/// Memory of a target that waits for its host or for another attempt, in bytes: an entry in a queue
/// that grows, and one in the set of unsettled positions.
const WAITING_SIZE: u64 = 200;
/// Divisor of the free memory: this share is for waiting targets.
const WAITING_SHARE: u64 = 16;
/// The fewest attempts in flight, however little memory is free.
const ATTEMPTS_MIN: u64 = 64;
/// Divisor of the system's free descriptors: this share is left to other programs.
const RESERVED_DESCRIPTORS: u64 = 8;
/// The kernel's limits of its TCP memory, in pages. An attempt takes one page.
const TCP_MEMORY: &str = "/proc/sys/net/ipv4/tcp_mem";

/// How many attempts a run may have in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// How many the settings need, up to the method's workers: the maximum that was set, or as many as
    /// the rate takes while nothing answers.
    pub asked: usize,
    /// The most that the run will have: fewer than asked where this system lacks a resource, and more
    /// if answers may come so late that the rate takes more.
    pub given: usize,
    /// The resource that this system lacks; `None` if it gives as many as asked.
    pub limited_by: Option<LimitingResource>,
    /// How many attempts this system's TCP memory is meant for, if fewer than given. More are
    /// possible, at the expense of other programs' connections.
    pub tcp_memory: Option<usize>,
}

/// Why a run has fewer attempts in flight than its settings need: mostly a resource of which this
/// system has too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitingResource {
    /// Descriptors per process.
    Descriptors,
    /// Descriptors per process, where threads may not have descriptor tables of their own.
    SharedDescriptors,
    /// Descriptors of the whole system.
    SystemDescriptors,
    /// Memory of this machine, or of this process's control group.
    Memory,
    /// Address space of this process.
    AddressSpace,
    /// Threads.
    Threads,
    /// Pollers (epoll): none can be created, so each attempt takes a thread.
    Pollers,
    /// TCP memory, of which a run takes at most half unless a number of attempts is set.
    TcpMemory,
    /// The most attempts that a run has unless a number is set:
    /// [`IN_FLIGHT_MAX`](crate::config::defaults::IN_FLIGHT_MAX).
    Default,
}

/// Says what to do for more.
impl fmt::Display for LimitingResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Descriptors => "for more, raise the limit of descriptors (ulimit -n)",
            Self::SharedDescriptors => {
                "this system does not let threads have descriptor tables of their own (unshare); \
                 for more, allow that, or raise the limit of descriptors (ulimit -n)"
            }
            Self::SystemDescriptors => {
                "for more, raise the limit of descriptors of the whole system (fs.file-max)"
            }
            Self::Memory => {
                "for more, provide more memory, 6 KiB for each, also in the control group \
                 (memory.max)"
            }
            Self::AddressSpace => "for more, raise the limit of address space (ulimit -v)",
            Self::Threads => {
                "this system starts no more threads; for more, raise ulimit -u, ulimit -v or \
                 the control group's pids.max"
            }
            Self::Pollers => {
                "epoll is not available, so each takes a thread; for more, allow epoll, and raise \
                 fs.epoll.max_user_watches"
            }
            Self::TcpMemory => {
                "that is half of what the TCP memory of this system is sized for; for more, raise \
                 net.ipv4.tcp_mem, or ask for the number"
            }
            Self::Default => "no run has more without being asked to; for more, ask for the number",
        })
    }
}

/// Returns how many attempts this system has memory and descriptors for, and what limits them.
pub(super) fn attempts_max() -> (usize, LimitingResource) {
    let ceilings = [
        (free_memory().map(|bytes| for_attempts(bytes) / ATTEMPT_SIZE), LimitingResource::Memory),
        (address_space().map(|bytes| bytes / ATTEMPT_OWN_SIZE), LimitingResource::AddressSpace),
        (system_descriptors(), LimitingResource::SystemDescriptors),
    ];
    let known = ceilings.into_iter().filter_map(|(most, limited_by)| Some((most?, limited_by)));
    let (most, limited_by) =
        known.min_by_key(|&(most, _)| most).unwrap_or((u64::MAX, LimitingResource::Memory));
    (usize::try_from(most.max(ATTEMPTS_MIN)).unwrap_or(usize::MAX), limited_by)
}

fn for_attempts(free: u64) -> u64 {
    free - free / RESERVED_SHARE - free / CONVERSATIONS_SHARE
}

/// Returns how many bytes long conversations may hold together, beside the memory of these
/// attempts, blocking threads and worker processes.
pub(super) fn conversations(in_flight: usize, threads: usize, processes: usize) -> u64 {
    let taken = [(in_flight, ATTEMPT_SIZE), (threads, THREAD_SIZE), (processes, PROCESS_SIZE)];
    let taken = taken.map(|(count, bytes)| (count as u64).saturating_mul(bytes));
    let taken = taken.into_iter().fold(0, u64::saturating_add);
    let memory = free_memory().map(|free| (free - free / RESERVED_SHARE).saturating_sub(taken));
    let addresses = address_space().map(|free| free / CONVERSATIONS_SHARE);
    memory.into_iter().chain(addresses).min().unwrap_or(u64::MAX).max(CONVERSATIONS_MIN)
}

/// Returns how many attempts each worker process may hold beyond its concurrency. The results of all
/// of them may arrive together, each of the longest kind, and wait here for a slow consumer.
pub(super) fn prefetch(memory: u64, workers: usize) -> usize {
    let all = memory / 2 / OUTCOME_MAX;
    usize::try_from(all / workers.max(1) as u64).unwrap_or(usize::MAX)
}

/// Returns each process's share of the memory for conversations.
pub(super) fn share(bytes: u64, processes: usize) -> u64 {
    (bytes / (processes as u64).max(1)).max(CONVERSATIONS_MIN)
}

/// Returns how many attempts this system's TCP memory is meant for; `None` if it does not say.
pub(super) fn tcp_attempts() -> Option<usize> {
    let pages = fs::read_to_string(TCP_MEMORY).ok()?;
    pages.split_whitespace().next_back()?.parse().ok()
}

/// Returns how many attempts this system's TCP memory is meant for, if fewer than `in_flight`.
pub(super) fn beyond_tcp_memory(in_flight: usize) -> Option<usize> {
    tcp_attempts().filter(|&most| most < in_flight)
}

/// Returns how many bytes this machine and this process's control groups have left for attempts;
/// `None` if neither says.
pub(super) fn free_memory() -> Option<u64> {
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    });
    let free = available.into_iter().chain(cgroup::memory()).min()?;
    Some(free.saturating_sub(PROGRAM_SIZE))
}

/// Returns how many waiting targets there is memory for.
pub(crate) fn waiting_targets() -> usize {
    let most = free_memory().map_or(u64::MAX, |bytes| bytes / WAITING_SHARE / WAITING_SIZE);
    usize::try_from(most.max(ATTEMPTS_MIN)).unwrap_or(usize::MAX)
}

/// Returns how many threads fit in this process's address space; `None` if it is not limited.
pub(super) fn addressable_threads() -> Option<u64> {
    Some(address_space()? / THREAD_SPACE)
}

/// Returns how many bytes this process may still map for attempts and their threads; `None` if its
/// address space is not limited.
fn address_space() -> Option<u64> {
    let limit = getrlimit(Resource::As).current?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let mapped = line.split_whitespace().next()?.parse::<u64>().ok()? << 10;
    Some(limit.saturating_sub(mapped).saturating_sub(RESERVED_SPACE))
}

/// Returns how many descriptors the whole system has left; `None` if it does not say. Privileged
/// processes may exceed the limit, but then no other process can open files.
fn system_descriptors() -> Option<u64> {
    let counts = fs::read_to_string("/proc/sys/fs/file-nr").ok()?;
    let mut counts = counts.split_whitespace().map(str::parse::<u64>);
    let (open, _, most) = (counts.next()?.ok()?, counts.next()?, counts.next()?.ok()?);
    let left = most.saturating_sub(open);
    Some(left - left / RESERVED_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_room_for_some_attempts() {
        assert!(attempts_max().0 >= 16);
        assert_eq!(beyond_tcp_memory(0), None);
    }
}
