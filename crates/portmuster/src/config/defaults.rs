//! Every default number, with its reason.

use std::time::Duration;

/// Attempts open at the same time: enough to keep two cores busy when one target in five is
/// silent, and below the descriptor limit of most servers.
pub const IN_FLIGHT: usize = 16_384;
/// New connections a second: what small routers and firewalls with connection tracking bear.
pub const RATE: u32 = 10_000;
/// Attempts open towards one host: sshd's `MaxStartups` begins to refuse at 10.
pub const PER_HOST: u32 = 4;
/// More attempts for a filtered target: at 2 % loss one more leaves 0.2 % unheard.
pub const RETRIES: u32 = 1;
/// One connection attempt. The kernel repeats a SYN after 1, 2, 3 and 4 s, so this sends five.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after the accept: tarpits, and sshd behind a slow reverse lookup, speak after 10 s.
pub const FIRST_BYTE: Duration = Duration::from_secs(12);
/// Silence after which an empty line is sent: servers that greet unasked have done so by then.
pub const ACTIVE_STEP: Duration = Duration::from_secs(3);
/// Silence that ends a greeting which a rule recognises: half a second of round trip and a
/// packet that is lost once are well within.
pub const QUIET: Duration = Duration::from_secs(2);
/// The conversation, counted from the accept: what a tarpit may cost at most.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// Threads of the method `threads`.
pub const THREADS: usize = 256;
/// Workers of the method `processes`.
pub const PROCESSES: usize = 32;
/// Threads in each worker of the method `process-threads`.
pub const PROCESS_THREADS: usize = 250;
/// Work that a worker process holds beside what it does: enough that a frame each way costs
/// little for each, few enough to be recalled soon.
pub const PREFETCH: usize = 256;
/// Until when every worker process must be ready.
pub const WORKERS_START: Duration = Duration::from_secs(10);
/// How long a worker process may be silent; it shows itself twice a second.
pub const WORKER_SILENCE: Duration = Duration::from_secs(5);
