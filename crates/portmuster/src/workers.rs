//! Distributes work to worker processes: leases it, collects the results, and recalls work from
//! slow workers.
//!
//! Checks in worker processes are one use. Another is any job whose work and results serde can
//! serialize. [`Workers`] starts a [`Program`] several times, and each process [serves](serve) the
//! job over a socket pair. When a worker crashes, other workers do the work that it held. Work that
//! ends three workers while they hold nothing else is returned as a [`TaskError`].
//!
//! ```no_run
//! use std::{net::IpAddr, process::ExitCode};
//!
//! use portmuster::workers::{Program, Workers, serve};
//!
//! fn reverse_lookup(address: IpAddr) -> Option<String> {
//!     dns_lookup::lookup_addr(&address).ok()
//! }
//!
//! fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
//!     if std::env::args().nth(1).as_deref() == Some("worker") {
//!         return Ok(serve(reverse_lookup));
//!     }
//!     let workers = Workers { threads: 16, ..Workers::new(Program::this()?.arg("worker")) };
//!     let addresses = (1..=254).map(|last| IpAddr::from([127, 0, 0, last]));
//!     for (address, name) in workers.run::<_, Option<String>>(addresses)? {
//!         println!("{address} {:?}", name?);
//!     }
//!     Ok(ExitCode::SUCCESS)
//! }
//! ```
//!
//! - Invariant: sending work and receiving results never wait for each other. A separate thread
//!   runs the iterator of the work. [`Results`] takes work from that thread only while less work is
//!   open or undelivered than all workers together may hold. So a consumer that stops also stops
//!   the run, and memory is bounded by the number of workers times the most work that each holds.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    iter::FusedIterator,
    process::ExitCode,
};

use crossbeam_channel::{Receiver, Select, TryRecvError, bounded};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock::Clock,
    config::{cores, defaults},
    input::{InputThread, NextInput},
};

mod frames;
mod leases;
pub(crate) mod pool;
mod process;
pub(crate) mod queue;
mod status;
mod supervisor;
pub(crate) mod worker_process;

pub use process::{Program, WorkerExit, WorkersError};
pub use queue::TaskError;

use self::{
    pool::{PoolConfig, WorkerPool},
    queue::{Completion, WorkerId},
    worker_process::JobThreads,
};

/// The maximum number of open tasks, over all workers.
const OPEN_MAX: usize = 1 << 20;
/// The minimum number of tasks that the input thread reads ahead.
const INPUT_PREFETCH_MIN: usize = 1024;
/// The most batches of work that wait for the supervisor. It never waits for the sender, so the
/// sender may wait for it.
const BATCHES_MAX: usize = 64;
/// Undelivered results at or below which more work is sent. It keeps the workers busy when the
/// consumer is slow.
const RESULTS_LOW: usize = 64;

/// Runs this process as a worker that does `job`, until the process that started it exits or needs
/// no more work. `main` must return the exit code at once.
///
/// A `job` that panics aborts the process, and another worker does the work. If a result can't be
/// serialized, or takes more than 16 MiB, the work fails with [`TaskError::Unsendable`].
pub fn serve<W, R>(job: impl Fn(W) -> R + Send + Sync + 'static) -> ExitCode
where
    W: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    worker_process::serve(|threads: u32, capacity| {
        JobThreads::start(threads as usize, capacity, job)
    })
}

/// Configuration of worker processes for one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// The program of each worker process. It calls [`serve`].
    pub program: Program,
    /// Number of worker processes. 0 counts as 1.
    pub processes: usize,
    /// Number of threads in each worker process. 0 counts as 1.
    pub threads: usize,
    /// Pieces of work that a worker may hold beyond those its threads do: 256 by default. A higher number
    /// lowers the cost per piece, but more work has to be recalled from a slow worker. At most 2^20
    /// pieces are open over all workers.
    pub prefetch: usize,
}

impl Workers {
    /// Configures one process per core, each with one thread and the default prefetch.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self { program, processes: cores(), threads: 1, prefetch: defaults::PREFETCH }
    }

    /// Starts the workers and distributes the work. Returns an iterator over the results, in the
    /// order in which they arrive.
    ///
    /// # Errors
    /// No worker process or thread can be started.
    pub fn run<W, R>(
        &self,
        work: impl IntoIterator<Item = W, IntoIter: Send + 'static>,
    ) -> Result<Results<W, R>, WorkersError>
    where
        W: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
    {
        let (processes, threads) = (self.processes.max(1), self.threads.max(1));
        let config = PoolConfig {
            program: self.program.clone(),
            processes,
            concurrency: threads.min(OPEN_MAX),
            prefetch: self.prefetch.min(OPEN_MAX),
            batches: BATCHES_MAX,
        };
        let capacity = config.worker_capacity().saturating_mul(processes).min(OPEN_MAX);
        let (sender, completions) = bounded(capacity);
        let deliver = Box::new(move |worker, batch: Vec<_>| {
            if !batch.is_empty() {
                // Fails only when the consumer has dropped the results.
                let _ = sender.send((worker, batch));
            }
        });
        let settings = u32::try_from(threads).unwrap_or(u32::MAX);
        let pool = WorkerPool::start(config, &settings, Clock::start(), deliver)?;
        // An input that takes less in advance would keep each lease small.
        let prefetch = capacity.max(INPUT_PREFETCH_MIN);
        let (input, source) = InputThread::start(prefetch).map_err(WorkersError::Thread)?;
        // Fails only when the input thread has panicked, which the first `next` reports.
        let _ = source.send(Box::new(work.into_iter()));
        Ok(Results {
            input,
            completions,
            shares: vec![0; processes],
            capacity,
            open: 0,
            received: VecDeque::new(),
            pool,
        })
    }
}

/// Iterates over the results of a run as they arrive: each piece of work with its result.
///
/// Dropping it kills the workers, even if they are busy.
#[must_use = "dropping the results ends the workers"]
pub struct Results<W, R> {
    input: InputThread<W>,
    completions: Receiver<(WorkerId, Vec<Completion<W, R>>)>,
    /// How much work each worker has done.
    shares: Vec<u64>,
    /// The maximum number of open tasks.
    capacity: usize,
    /// Work that was sent and whose completion was not received.
    open: usize,
    /// Completions that were received and not returned by the iterator.
    received: VecDeque<Completion<W, R>>,
    pool: WorkerPool<W>,
}

impl<W: Serialize + Send + 'static, R> Results<W, R> {
    /// Returns how many tasks each worker has completed so far.
    #[must_use]
    pub fn shares(&self) -> &[u64] {
        &self.shares
    }

    /// Returns how many workers have ended during the run, by how they ended. Workers that the
    /// system is still ending are not included yet.
    #[must_use]
    pub fn losses(&self) -> BTreeMap<WorkerExit, u64> {
        self.pool.status.with(|stats| stats.losses.clone())
    }

    /// Receives the completions that have arrived.
    fn receive(&mut self) {
        loop {
            match self.completions.try_recv() {
                Ok((worker, batch)) => {
                    let results = batch.iter().filter(|(_, result)| result.is_ok());
                    self.shares[worker] += results.count() as u64;
                    self.open -= batch.len();
                    self.received.extend(batch);
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    panic!("the supervisor thread of the workers panicked")
                }
            }
        }
    }

    /// Sends the work that the input has ready, as far as the capacity allows.
    fn send_work(&mut self) {
        let mut batch = Vec::new();
        while self.open < self.capacity
            && let NextInput::Item(work) = self.input.try_next()
        {
            self.open += 1;
            batch.push(work);
        }
        self.pool.send(batch);
    }

    /// Waits until completions arrive, or work that may be sent.
    fn wait(&self) {
        let mut select = Select::new();
        select.recv(&self.completions);
        if self.open < self.capacity {
            self.input.watch(&mut select);
        }
        select.ready();
    }
}

impl<W: Serialize + Send + 'static, R> Iterator for Results<W, R> {
    type Item = (W, Result<R, TaskError>);

    /// Returns the next piece of work with its result. Blocks until one is available.
    ///
    /// # Panics
    /// The iterator of the work has panicked.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.received.len() <= RESULTS_LOW {
                self.receive();
                self.send_work();
            }
            if let Some(completion) = self.received.pop_front() {
                return Some(completion);
            }
            if self.open == 0 && self.input.has_ended() {
                return None;
            }
            self.wait();
        }
    }
}

impl<W: Serialize + Send + 'static, R> FusedIterator for Results<W, R> {}

impl<W, R> fmt::Debug for Results<W, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Results").field("open", &self.open).finish_non_exhaustive()
    }
}
