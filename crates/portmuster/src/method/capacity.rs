//! How many attempts may be in flight where this system gives less than was asked for, and why.
//!
//! What is counted here is counted before the first attempt: a control group whose memory is used
//! up does not refuse more, it ends the process.

use std::{fmt, fs};

use rustix::process::{Resource, getrlimit};

use super::cgroup;

/// Memory that an attempt takes, in bytes: the kernel's part, of which 5.1 KB were measured for
/// one that is not answered, and ours.
const ATTEMPT: u64 = 6 << 10;
/// Our own part of it, with three times as much for what comes and goes: queues that grow are for a
/// moment there twice.
const ATTEMPT_OWN: u64 = 1200;
/// Address space of a thread's stack and its guard, and what is left for all else.
const THREAD_SPACE: u64 = (2 << 20) + (64 << 10);
const SPARED_SPACE: u64 = 32 << 20;
/// Memory of the program itself, in bytes: its code and its queues.
const OWN: u64 = 8 << 20;
/// One part in so many of the memory that is there is left to everything else.
const SPARED: u64 = 8;
/// One part in so many of it is left to what conversations hold beyond what is usual, at least.
const CONVERSATIONS: u64 = 4;
/// Memory of a thread that waits for one attempt, and of what it reads into: measured.
const THREAD: u64 = 48 << 10;
/// Memory of a worker process: measured.
const PROCESS: u64 = 2 << 20;
/// Memory of an outcome at most, which is all but an offer (RFC 4253 §6.1: 35,000 bytes).
const OUTCOME_MOST: u64 = 40 << 10;
/// What the conversations of a process may hold in any case: two of the longest.
const LEAST_HELD: u64 = 128 << 10;
/// Memory that a target takes while it waits for its host or for another look, in bytes: its place in
/// a queue that grows, and that its position is not settled.
const WAITING: u64 = 200;
/// One part in so many of the memory that is there is for such targets.
const WAITING_SHARE: u64 = 16;
/// Attempts that are made in any case.
const LEAST: u64 = 64;
/// Descriptors of the whole system that are left to everybody else: one in so many.
const SPARED_DESCRIPTORS: u64 = 8;
/// What the kernel reckons its memory for TCP in. An attempt takes one of them.
const TCP_MEMORY: &str = "/proc/sys/net/ipv4/tcp_mem";

/// How many attempts a run may have in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// As many as the settings allow.
    pub asked: usize,
    /// As many as there will be at most: fewer where the method has fewer workers, or where this
    /// system has not enough of something.
    pub given: usize,
    /// What this system has not enough of; `None`: it does not have to give more.
    pub scarce: Option<LimitingResource>,
    /// As many as this system's memory for TCP is meant for, where that is fewer than given. More
    /// are possible, but connections of other programs get less of it.
    pub tcp_memory: Option<usize>,
}

/// What this system has not enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitingResource {
    /// Descriptors that a process may have.
    Descriptors,
    /// Descriptors that a process may have, of which no thread may have a table of its own.
    SharedDescriptors,
    /// Descriptors of the whole system.
    SystemDescriptors,
    /// Memory of this machine, or of this process's control group.
    Memory,
    /// Memory that this process may address.
    AddressSpace,
    /// Threads.
    Threads,
    /// Pollers: none can be had, so each attempt takes a thread.
    Pollers,
}

/// What to do about it.
impl fmt::Display for LimitingResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Descriptors => "for more, raise the limit of descriptors (ulimit -n)",
            Self::SharedDescriptors => {
                "this system forbids threads a descriptor table of their own (unshare); for more, \
                 allow it, or raise the limit of descriptors (ulimit -n)"
            }
            Self::SystemDescriptors => {
                "for more, raise the limit of descriptors of the whole system (fs.file-max)"
            }
            Self::Memory => {
                "for more, there must be more memory, 6 KiB for each, also in the control group \
                 (memory.max)"
            }
            Self::AddressSpace => "for more, raise the limit of address space (ulimit -v)",
            Self::Threads => {
                "this system starts no more threads; for more, raise ulimit -u, ulimit -v or \
                 the control group's pids.max"
            }
            Self::Pollers => {
                "this system gives no poller (epoll), so each takes a thread; for more, allow it, \
                 and raise fs.epoll.max_user_watches"
            }
        })
    }
}

/// As many attempts as this system has memory and descriptors for.
pub(super) fn most() -> (usize, LimitingResource) {
    let ceilings = [
        (free_memory().map(|bytes| for_attempts(bytes) / ATTEMPT), LimitingResource::Memory),
        (address_space().map(|bytes| bytes / ATTEMPT_OWN), LimitingResource::AddressSpace),
        (system_descriptors(), LimitingResource::SystemDescriptors),
    ];
    let known = ceilings.into_iter().filter_map(|(most, scarce)| Some((most?, scarce)));
    let (most, scarce) =
        known.min_by_key(|&(most, _)| most).unwrap_or((u64::MAX, LimitingResource::Memory));
    (usize::try_from(most.max(LEAST)).unwrap_or(usize::MAX), scarce)
}

fn for_attempts(free: u64) -> u64 {
    free - free / SPARED - free / CONVERSATIONS
}

/// Bytes that conversations may hold together beyond what is usual, beside so many attempts, threads
/// that wait for one each, and worker processes.
pub(super) fn conversations(in_flight: usize, threads: usize, processes: usize) -> u64 {
    let taken = [(in_flight, ATTEMPT), (threads, THREAD), (processes, PROCESS)];
    let taken = taken.map(|(count, bytes)| (count as u64).saturating_mul(bytes));
    let taken = taken.into_iter().fold(0, u64::saturating_add);
    let memory = free_memory().map(|free| (free - free / SPARED).saturating_sub(taken));
    let addresses = address_space().map(|free| free / CONVERSATIONS);
    memory.into_iter().chain(addresses).min().unwrap_or(u64::MAX).max(LEAST_HELD)
}

/// Work that each worker process may be given beside what it does at once: all of it may come back
/// together, as long as the longest are, and wait here for a slow consumer.
pub(super) fn prefetch(memory: u64, workers: usize) -> usize {
    let all = memory / 2 / OUTCOME_MOST;
    usize::try_from(all / workers.max(1) as u64).unwrap_or(usize::MAX)
}

/// What each of so many processes has of it.
pub(super) fn share(bytes: u64, processes: usize) -> u64 {
    (bytes / (processes as u64).max(1)).max(LEAST_HELD)
}

/// As many attempts as this system's memory for TCP is meant for, where that is fewer.
pub(super) fn beyond_tcp_memory(in_flight: usize) -> Option<usize> {
    let pages = fs::read_to_string(TCP_MEMORY).ok()?;
    let most = pages.split_whitespace().next_back()?.parse().ok()?;
    (most < in_flight).then_some(most)
}

/// Bytes that this machine and this process's control groups have left for attempts.
pub(super) fn free_memory() -> Option<u64> {
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    });
    let free = available.into_iter().chain(cgroup::memory()).min()?;
    Some(free.saturating_sub(OWN))
}

/// As many targets as there is memory for while they wait.
pub(crate) fn waiting_targets() -> usize {
    let most = free_memory().map_or(u64::MAX, |bytes| bytes / WAITING_SHARE / WAITING);
    usize::try_from(most.max(LEAST)).unwrap_or(usize::MAX)
}

/// Threads that this process may have where its address space is limited; `None`: any number.
pub(super) fn addressable_threads() -> Option<u64> {
    Some(address_space()? / THREAD_SPACE)
}

/// Bytes that this process may still map for attempts and their threads; `None`: any number.
fn address_space() -> Option<u64> {
    let limit = getrlimit(Resource::As).current?;
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let mapped = line.split_whitespace().next()?.parse::<u64>().ok()? << 10;
    Some(limit.saturating_sub(mapped).saturating_sub(SPARED_SPACE))
}

/// Descriptors that the whole system has left; `None`: it does not say. Privileged processes may
/// open more, but nobody else could.
fn system_descriptors() -> Option<u64> {
    let counts = fs::read_to_string("/proc/sys/fs/file-nr").ok()?;
    let mut counts = counts.split_whitespace().map(str::parse::<u64>);
    let (open, _, most) = (counts.next()?.ok()?, counts.next()?, counts.next()?.ok()?);
    let left = most.saturating_sub(open);
    Some(left - left / SPARED_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_room_for_some() {
        assert!(most().0 >= 16);
        assert_eq!(beyond_tcp_memory(0), None);
    }
}
