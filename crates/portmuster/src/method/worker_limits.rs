//! How many threads and processes one run may have on this system.

use std::fs;

use rustix::process::{Resource, geteuid, getrlimit};

use super::{capacity, cgroup, context::StartError};
use crate::{
    config::{Config, Method, cores, defaults},
    descriptors,
};

/// The least memory of a worker process, in KiB: its stacks and heap, and as much again for the
/// frames in both directions. Memory shared with other processes is not counted. Measured: 1.6 MB
/// for each of 32 processes, without frames.
const PROCESS_KIB: u64 = 4 << 10;
/// Threads of a worker process with one thread for attempts; the other two read and write its socket.
/// The system counts threads like processes.
const PROCESS_THREADS: u64 = 3;
/// Memory of a thread, in KiB: the touched part of its stack, the kernel's part, its read buffer, and
/// twice as much for its conversation.
const THREAD_KIB: u64 = 144;

/// Memory that the allocator of a process with many threads keeps, in KiB: it has eight arenas per
/// processor.
const ARENAS_KIB: u64 = 4 << 10;
/// The largest result of an attempt that a worker process sends back, in KiB.
const OUTCOME_KIB: u64 = 40;

/// How many workers and threads a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Threads, loops or processes, by method.
    pub(crate) workers: usize,
    /// Threads in each worker process.
    pub(crate) threads: usize,
}

/// Returns how many workers and threads a run with these settings has. Raises this process's soft
/// limit of descriptors to its hard limit.
///
/// # Errors
/// The settings ask for more than this machine allows.
pub(crate) fn size(config: &Config) -> Result<Size, StartError> {
    let method = config.method();
    let usual = match method {
        Method::Threads => defaults::THREADS,
        Method::Processes => defaults::PROCESSES,
        Method::ProcessThreads | Method::EventLoop | Method::ProcessEventLoops => cores(),
        Method::Serial => 1,
    };
    let workers = workers(method, config.workers(), usual)?;
    let threads = match method {
        Method::ProcessThreads => threads(workers, config.threads(), defaults::PROCESS_THREADS)?,
        _ => 1,
    };
    Ok(Size { workers, threads })
}

/// A limit that this system sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ceiling {
    most: u64,
    /// The name of what sets it, for messages.
    by: &'static str,
}

/// Returns the number that was asked for, or else the usual number up to the lowest ceiling.
///
/// # Errors
/// More were asked for than a ceiling allows.
fn within(
    asked: Option<usize>,
    usual: usize,
    what: &'static str,
    ceilings: impl IntoIterator<Item = Ceiling>,
) -> Result<usize, StartError> {
    let Ceiling { most, by } =
        ceilings.into_iter().min_by_key(|ceiling| ceiling.most).unwrap_or(NO_CEILING);
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    match asked {
        Some(asked) if asked > most => Err(StartError::TooManyWorkers { asked, what, most, by }),
        _ => Ok(asked.unwrap_or(usual.min(most))),
    }
}

const NO_CEILING: Ceiling = Ceiling { most: u64::MAX, by: "nothing" };

/// Returns the number of workers of a run by this method.
fn workers(method: Method, asked: Option<usize>, usual: usize) -> Result<usize, StartError> {
    match method {
        Method::Serial => Ok(1),
        Method::Threads => within(asked, usual, "threads", this_process()),
        Method::EventLoop => within(asked, usual, "event loops", this_process()),
        Method::Processes | Method::ProcessEventLoops | Method::ProcessThreads => {
            let each =
                |ceiling: Ceiling| Ceiling { most: ceiling.most / PROCESS_THREADS, ..ceiling };
            let ceilings = system().map(each).chain([memory(PROCESS_KIB), descriptors()]);
            within(asked, usual, "worker processes", ceilings)
        }
    }
}

/// Returns the number of threads in each worker process.
fn threads(processes: usize, asked: Option<usize>, usual: usize) -> Result<usize, StartError> {
    let own = PROCESS_THREADS - 1;
    let share = |ceiling: Ceiling| Ceiling {
        most: (ceiling.most / processes as u64).saturating_sub(own),
        ..ceiling
    };
    let memory = share(memory_beside(processes, OUTCOME_KIB + THREAD_KIB));
    let ceilings = system().map(share).chain([memory, descriptors(), address_space()]);
    within(asked, usual, "threads in each process", ceilings)
}

/// Returns the ceilings for threads of this process that have a socket each.
fn this_process() -> impl Iterator<Item = Ceiling> {
    system().chain([descriptors(), address_space()])
}

/// Returns the ceilings for threads of all processes together. Half of each limit is left to other
/// programs.
fn system() -> impl Iterator<Item = Ceiling> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let of_user = (!geteuid().is_root()).then(|| getrlimit(Resource::Nproc).current).flatten();
    let ceilings = [
        (number("/proc/sys/kernel/threads-max"), "kernel.threads-max"),
        (number("/proc/sys/kernel/pid_max"), "kernel.pid_max"),
        (of_user, "processes of this user, ulimit -u"),
        (cgroup::tasks(), "pids.max of this control group"),
    ];
    let known = ceilings.into_iter().filter_map(|(most, by)| Some(Ceiling { most: most? / 2, by }));
    known.chain([memory(THREAD_KIB)])
}

fn descriptors() -> Ceiling {
    let most = descriptors::budget().attempts as u64;
    Ceiling { most, by: "descriptors, ulimit -n" }
}

fn address_space() -> Ceiling {
    let most = capacity::addressable_threads().unwrap_or(u64::MAX);
    Ceiling { most, by: "address space, ulimit -v" }
}

/// Returns how many times this much memory is free.
fn memory(kib: u64) -> Ceiling {
    memory_beside(0, kib)
}

/// Returns how many times this much memory is free, beside the memory of worker processes.
fn memory_beside(processes: usize, kib: u64) -> Ceiling {
    let taken = (PROCESS_KIB + ARENAS_KIB).saturating_mul(processes as u64);
    let free = capacity::free_memory().map(|bytes| (bytes >> 10).saturating_sub(taken));
    Ceiling { most: free.map_or(u64::MAX, |free| free / kib), by: "memory" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_is_an_error_that_names_the_ceiling() {
        let ceilings = [Ceiling { most: 50, by: "ulimit" }, Ceiling { most: 40, by: "memory" }];
        assert_eq!(within(Some(40), 1, "threads", ceilings).ok(), Some(40));
        assert_eq!(within(None, 100, "threads", ceilings).ok(), Some(40));
        let error = within(Some(100_000), 1, "threads", ceilings).expect_err("too many");
        assert_eq!(
            error.to_string(),
            "100000 threads are more than the 40 that one run may have here (memory)"
        );
    }

    #[test]
    fn methods_with_several_workers_refuse_more_than_any_machine_has() {
        for method in Method::ALL.into_iter().filter(|&method| method != Method::Serial) {
            let error = workers(method, Some(usize::MAX), 1).expect_err("no machine has so many");
            assert!(matches!(error, StartError::TooManyWorkers { .. }), "{error}");
        }
        assert!(threads(2, Some(usize::MAX), 1).is_err());
    }

    #[test]
    fn usual_sizes_are_those_of_the_method() {
        let size = |method, workers| {
            let config = Config::builder().method(method).workers(workers).build();
            size(&config.expect("the settings are valid")).expect("this machine has room")
        };
        assert_eq!(size(Method::Serial, None), Size { workers: 1, threads: 1 });
        assert_eq!(size(Method::Threads, None), Size { workers: 256, threads: 1 });
        assert_eq!(size(Method::Threads, Some(3)), Size { workers: 3, threads: 1 });
        assert_eq!(size(Method::Processes, None), Size { workers: 32, threads: 1 });
        assert!(size(Method::EventLoop, None).workers >= 1);
        assert_eq!(size(Method::ProcessThreads, Some(2)), Size { workers: 2, threads: 250 });
    }
}
