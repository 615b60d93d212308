//! How many checks run side by side, and where.
//!
//! Every method runs the same [attempts](crate::check) under the same
//! [schedule](crate::schedule), so they answer alike; they differ in what waits for the network.

use std::{fmt, net::IpAddr, str::FromStr, thread, thread::JoinHandle};

use crossbeam_channel::Sender;
use rustix::io::Errno;
use thiserror::Error;

use crate::{
    attempt::Rules,
    clock::Clock,
    config::{Config, ConfigError, cores, defaults},
    driver::descriptors,
    memory::{Memory, Reservation},
    resolver::ExcludeError,
    schedule::Report,
    workers::{Program, WorkersError},
};

mod capacity;
mod cgroup;
pub(crate) mod event_loop;
mod executor;
mod processes;
mod thread_pool;
mod threads;
mod worker_limits;

pub(crate) use capacity::waiting_targets;
pub use capacity::{InFlight, LimitingResource};
pub(crate) use executor::Executor;
pub use executor::WorkersReport;
pub use processes::worker_main;

use self::thread_pool::Started;

/// How checks run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Method {
    /// One after the other.
    Serial,
    /// Blocking threads, each with one check at a time.
    Threads,
    /// Worker processes, each with one check at a time.
    Processes,
    /// Worker processes, a few, each with many blocking threads.
    ProcessThreads,
    /// One event loop per core, each with many checks at a time.
    #[default]
    EventLoop,
    /// Worker processes, one per core, each with an event loop.
    ProcessEventLoops,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 6] = [
        Self::Serial,
        Self::Threads,
        Self::Processes,
        Self::ProcessThreads,
        Self::EventLoop,
        Self::ProcessEventLoops,
    ];

    /// The method's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::ProcessThreads => "process-threads",
            Self::EventLoop => "event-loop",
            Self::ProcessEventLoops => "process-event-loops",
        }
    }

    /// Whether it has worker processes, so that a [`Program`] for them must be named.
    #[must_use]
    pub fn has_processes(self) -> bool {
        match self {
            Self::Serial | Self::Threads | Self::EventLoop => false,
            Self::Processes | Self::ProcessThreads | Self::ProcessEventLoops => true,
        }
    }

    /// What a run by this method consists of, when it is told how many workers and how many
    /// threads in each.
    pub(crate) fn size(
        self,
        workers: Option<usize>,
        threads: Option<usize>,
    ) -> Result<Size, ConfigError> {
        let usual = match self {
            Self::Serial => 1,
            Self::Threads => defaults::THREADS,
            Self::Processes => defaults::PROCESSES,
            Self::ProcessThreads | Self::EventLoop | Self::ProcessEventLoops => cores(),
        };
        let workers = worker_limits::workers(self, at_least_one("workers", workers)?, usual)?;
        let threads = match (self, at_least_one("threads", threads)?) {
            (Self::ProcessThreads, asked) => {
                worker_limits::threads(workers, asked, defaults::PROCESS_THREADS)?
            }
            (_, None) => 1,
            (_, Some(_)) => {
                return Err(ConfigError::Unused { setting: "threads", method: self });
            }
        };
        Ok(Size { workers, threads })
    }
}

fn at_least_one(setting: &'static str, asked: Option<usize>) -> Result<Option<usize>, ConfigError> {
    if asked == Some(0) { Err(ConfigError::Zero { setting }) } else { Ok(asked) }
}

/// How many work side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Threads, loops or processes.
    pub(crate) workers: usize,
    /// Threads in each process.
    pub(crate) threads: usize,
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// There is no method of this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no method {0:?}")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| UnknownMethod(name.to_owned()))
    }
}

/// This machine could not start a run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// No thread could be started.
    #[error("starting a thread failed; fewer workers may help")]
    Thread(#[source] std::io::Error),
    /// Connections can't begin at the source address.
    #[error("connecting from {source_address} is not possible: {error}")]
    Source {
        /// The address that was asked for.
        source_address: IpAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The method has worker processes, and nobody has said which program they are:
    /// [`Checker::with_workers`](crate::Checker::with_workers).
    #[error("no program was named that worker processes could be")]
    NoProgram,
    /// Worker processes could not be started.
    #[error(transparent)]
    Workers(#[from] WorkersError),
    /// Names are to be excluded, and their addresses are not known.
    #[error(transparent)]
    Excludes(#[from] ExcludeError),
    /// No descriptor could be opened that threads wait with.
    #[error("opening what threads wait with failed; {}", poller_advice(.0))]
    Poller(#[source] std::io::Error),
}

impl From<Errno> for StartError {
    fn from(errno: Errno) -> Self {
        Self::Poller(errno.into())
    }
}

impl StartError {
    /// What this system had not enough of when this kept it from starting one more.
    fn scarce(&self) -> LimitingResource {
        match self {
            Self::Poller(_) => LimitingResource::Descriptors,
            _ => LimitingResource::Threads,
        }
    }
}

fn poller_advice(error: &std::io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "a higher limit of descriptors (ulimit -n) may help",
        Some(Errno::NFILE) => "a higher limit of the system's descriptors (fs.file-max) may help",
        Some(Errno::NOMEM) => "more memory may help",
        _ => "this system must allow eventfd",
    }
}

/// What a run is to have.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) method: Method,
    pub(crate) size: Size,
    /// Attempts open at the same time, in all.
    pub(crate) in_flight: usize,
    /// What this system has not enough of for as many as the settings allow.
    scarce: Option<LimitingResource>,
    /// A rate is to be held: attempts begin when they are told to.
    pub(crate) paced: bool,
    /// What is started for each worker process.
    pub(crate) program: Option<Program>,
    /// Bytes that conversations may hold together beyond what is usual.
    pub(crate) memory: u64,
}

impl Plan {
    /// The plan of a run, which has no more attempts in flight than this system can bear.
    pub(crate) fn new(config: &Config, size: Size, program: Option<&Program>) -> Self {
        let (most, scarce) = capacity::most();
        let mut plan = Self {
            method: config.method,
            size,
            in_flight: config.in_flight.min(most),
            scarce: (most < config.in_flight).then_some(scarce),
            paced: config.rate.is_some(),
            program: program.cloned(),
            memory: 0,
        };
        let processes = if config.method.has_processes() { size.workers } else { 0 };
        plan.memory = capacity::conversations(plan.wanted(), plan.threads(), processes);
        plan
    }

    /// Threads that each wait for one attempt, in all processes.
    fn threads(&self) -> usize {
        match self.method {
            Method::EventLoop | Method::ProcessEventLoops => 0,
            _ => self.wanted(),
        }
    }

    /// Attempts open at the same time, if the system gives all that it is asked for.
    fn wanted(&self) -> usize {
        self.most_of(self.in_flight)
    }

    /// Attempts that may be given and not reported at most: worker processes hold some that they
    /// have not begun.
    pub(crate) fn unreported(&self) -> usize {
        match self.method {
            Method::Serial | Method::Threads => self.wanted(),
            _ => self.in_flight,
        }
    }

    /// As many of these attempts as the method has workers for.
    fn most_of(&self, in_flight: usize) -> usize {
        match self.method {
            Method::EventLoop | Method::ProcessEventLoops => in_flight,
            _ => in_flight.min(self.size.workers.saturating_mul(self.size.threads)),
        }
    }

    /// What the run is given, by an executor that has room for so many.
    pub(crate) fn given(&self, config: &Config, executor: &Executor) -> InFlight {
        let asked = self.most_of(config.in_flight);
        // Worker processes may hold more, which they have not begun.
        let given = executor.capacity().min(asked);
        let limited = self.scarce.filter(|_| self.in_flight < asked);
        InFlight {
            asked,
            given,
            scarce: executor.scarce(self).or(limited),
            tcp_memory: capacity::beyond_tcp_memory(given),
        }
    }
}

/// Starts event loops, or, on a system that gives no poller, threads that each wait for one
/// socket.
fn loops_or_threads(
    loops: usize,
    in_flight: usize,
    setting: &WorkerContext,
) -> Result<Started, StartError> {
    match event_loop::start(loops, in_flight, setting) {
        Err(StartError::Poller(_)) => {
            let threads = in_flight.min(defaults::THREADS).min(descriptors::budget().attempts);
            let started = threads::start(threads, threads, setting)?;
            Ok(Started { scarce: LimitingResource::Pollers, ..started })
        }
        started => started,
    }
}

/// What a worker reports.
#[derive(Debug)]
pub(crate) struct Reports {
    /// Which of them it is.
    pub(crate) worker: usize,
    /// Attempts that it has begun since it reported last; counted by event loops only.
    pub(crate) begun: usize,
    /// Attempts that have ended.
    pub(crate) ended: Vec<Report>,
    /// Memory of their conversations, as long as these are on their way.
    #[expect(dead_code, reason = "it is given back when the reports are dropped")]
    pub(crate) held: Vec<Reservation>,
}

/// What every thread that makes attempts needs.
#[derive(Debug, Clone)]
pub(crate) struct WorkerContext {
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) source: Option<IpAddr>,
    pub(crate) memory: Memory,
    pub(crate) reports: Sender<Reports>,
    pub(crate) panics: Panics,
}

/// What becomes of a thread's panic.
#[derive(Debug, Clone)]
pub(crate) enum Panics {
    /// The coordinator is told.
    Told(Sender<()>),
    /// The process ends: whoever started it will notice.
    Abort,
}

/// Sees to it that the panic of a thread is noticed. The thread holds it.
struct PanicGuard(Panics);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        match &self.0 {
            _ if !thread::panicking() => {}
            Panics::Told(coordinator) => drop(coordinator.try_send(())),
            Panics::Abort => std::process::abort(),
        }
    }
}

/// Runs `work` in a thread whose panic is noticed.
fn spawn(
    name: &str,
    setting: WorkerContext,
    work: impl FnOnce(WorkerContext) + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let work = move || {
        let _alarm = PanicGuard(setting.panics.clone());
        work(setting);
    };
    thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
        }
        assert!("fibers".parse::<Method>().is_err());
    }

    #[test]
    fn sizes_have_a_floor_and_a_ceiling() {
        let workers = |method: Method, asked| method.size(asked, None).map(|size| size.workers);
        assert_eq!(workers(Method::Threads, None), Ok(256));
        assert_eq!(workers(Method::Threads, Some(3)), Ok(3));
        assert_eq!(workers(Method::Processes, None), Ok(32));
        assert!(workers(Method::EventLoop, None).is_ok_and(|loops| loops >= 1));
        let zero = Err(ConfigError::Zero { setting: "workers" });
        assert_eq!(workers(Method::EventLoop, Some(0)), zero);
        assert!(matches!(workers(Method::Serial, Some(2)), Err(ConfigError::TooMany { .. })));
        let of_no_use = ConfigError::Unused { setting: "threads", method: Method::Threads };
        assert_eq!(Method::Threads.size(None, Some(7)), Err(of_no_use));
        let usual = Method::ProcessThreads.size(Some(2), None).expect("a size that a run can have");
        assert_eq!(usual, Size { workers: 2, threads: 250 });
    }
}
