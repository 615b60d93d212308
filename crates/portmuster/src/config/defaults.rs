//! The default numbers, each with its reason.

use std::time::Duration;

/// The fewest attempts open at the same time that a run plans for, whatever the rate. Enough to keep two
/// cores busy when one target in five is silent, and below the descriptor limit of most servers.
pub const IN_FLIGHT_MIN: usize = 16_384;
/// The most attempts open at the same time that a run plans for without being asked to. They take 1.5 GiB
/// of the kernel's memory, and allow 80,000 connections per second while nothing answers for 3.2 s.
pub const IN_FLIGHT_MAX: usize = 1 << 18;
/// Attempts open at the same time through a proxy. A proxy has a connection, and often a thread or a
/// process, for each, and goes on with one that was given up until its own timeout.
pub const IN_FLIGHT_PROXY: usize = 64;
/// New connections per second. Small routers and firewalls with connection tracking can handle it.
pub const RATE: u32 = 10_000;
/// Attempts open towards one host. sshd's `MaxStartups` begins to refuse at 10.
pub const PER_HOST: u32 = 4;
/// Retries of a filtered target. At 2 % loss one retry leaves 0.2 % of the answers unseen.
pub const RETRIES: u32 = 1;
/// Timeout of a connection attempt. The kernel repeats a SYN after 1, 2, 3 and 4 s, so it sends five.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The least time that an attempt with [adaptive patience](crate::config::Patience::Adaptive) waits
/// for an answer. The kernel sends SYNs after 0, 1, 2 and 3 s, and in most networks the answer to the last
/// takes less than 0.2 s.
pub const PATIENCE: Duration = Duration::from_millis(3200);
/// Time for the first byte. Tarpits, and sshd with a slow reverse lookup, send it after 10 s.
pub const FIRST_BYTE: Duration = Duration::from_secs(12);
/// Silence before the empty line. Servers that greet unasked have done so by then.
pub const ACTIVE_STEP: Duration = Duration::from_secs(3);
/// Silence that ends a greeting which a rule recognises. It exceeds a round trip of half a second and a
/// retransmission.
pub const QUIET: Duration = Duration::from_secs(2);
/// Time for the whole conversation, from the accept: the most that a tarpit can take.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// Threads of the method `threads`.
pub const THREADS: usize = 256;
/// Workers of the method `processes`.
pub const PROCESSES: usize = 32;
/// Threads in each worker of the method `process-threads`.
pub const PROCESS_THREADS: usize = 250;
/// Attempts that a worker process holds beyond its concurrency. Enough that the cost of frames is small
/// per attempt, and few enough to be recalled quickly.
pub const PREFETCH: usize = 256;
/// Time in which worker processes must become ready.
pub(crate) const WORKERS_START: Duration = Duration::from_secs(10);
/// How long a worker process may be silent. It sends a heartbeat twice per second.
pub(crate) const WORKER_SILENCE: Duration = Duration::from_secs(5);
