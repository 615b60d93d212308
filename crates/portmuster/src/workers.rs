//! Work done side by side in other processes: leased, settled, recalled, and never lost.
//!
//! Checks in worker processes are one use of it; another is any job whose work and results serde
//! can write. A [`Program`] is started several times, and each [serves](serve) the job over a
//! socket pair. A worker that crashes takes down nothing but itself: what it had goes to others,
//! and only work that ends every worker which has nothing else to do comes back as a [`TaskError`].
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
//! - Invariant: feeding and harvesting never wait for each other. Work is taken from its iterator,
//!   in a thread of its own, only while fewer results than the workers may hold are open or
//!   untaken; so a consumer that stops stops the run, and memory is bounded by workers × lease.

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

pub use process::{Ending, Program, WorkersError};
pub use queue::TaskError;

use self::{
    pool::{PoolConfig, WorkerPool},
    queue::{Completion, WorkerId},
    worker_process::JobThreads,
};

/// Work that is handed out and not done, in all.
const OPEN_MAX: usize = 1 << 20;
/// Work that is taken before it is wanted, where the workers may hold less than that.
const AHEAD: usize = 1024;
/// Batches of work that wait for the thread that keeps the workers. It never waits for whoever
/// brings them, so that one may wait for a place here.
const BATCHES_MAX: usize = 64;
/// Known results below which more work is handed out, so that a consumer that takes its time keeps
/// the workers at work.
const KNOWN_FEW: usize = 64;

/// Does `job` for whoever started this process, until that is gone or wants no more: the inside
/// of a worker. `main` returns at once what this returns.
///
/// A job that panics ends the process; the work goes to another worker. A result that can't be
/// written, or only as more than 16 MiB, is a [`TaskError::Unsendable`].
pub fn serve<W, R>(job: impl Fn(W) -> R + Send + Sync + 'static) -> ExitCode
where
    W: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
{
    worker_process::serve(|threads: u32, room| JobThreads::start(threads as usize, room, job))
}

/// How many workers do a job, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// The program that is started for each: it calls [`serve`].
    pub program: Program,
    /// Worker processes: at least one.
    pub processes: usize,
    /// Threads in each: at least one.
    pub threads: usize,
    /// Work that a worker may hold beside what it does: the more, the less each costs, and the
    /// more has to be recalled from a worker that is slow. In all at most 2^20 are out.
    pub prefetch: usize,
}

impl Workers {
    /// A process per core with one thread.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self { program, processes: cores(), threads: 1, prefetch: defaults::PREFETCH }
    }

    /// Starts the workers and hands out the work as they want it; the results come as they become
    /// known, in any order.
    ///
    /// # Errors
    /// No worker can be started.
    pub fn run<W, R>(
        &self,
        work: impl IntoIterator<Item = W, IntoIter: Send + 'static>,
    ) -> Result<Results<W, R>, WorkersError>
    where
        W: Serialize + Send + 'static,
        R: DeserializeOwned + Send + 'static,
    {
        let (processes, threads) = (self.processes.max(1), self.threads.max(1));
        let terms = PoolConfig {
            program: self.program.clone(),
            processes,
            concurrency: threads.min(OPEN_MAX),
            prefetch: self.prefetch.min(OPEN_MAX),
            batches: BATCHES_MAX,
        };
        let all = terms.room().saturating_mul(processes).min(OPEN_MAX);
        let (delivered, done) = bounded(all);
        let deliver = Box::new(move |worker, batch: Vec<_>| {
            if !batch.is_empty() {
                // Refused only when the consumer has gone.
                let _ = delivered.send((worker, batch));
            }
        });
        let setting = u32::try_from(threads).unwrap_or(u32::MAX);
        let pool = WorkerPool::start(terms, &setting, Clock::start(), deliver)?;
        // With less than the workers may hold, each of them would be leased little at a time.
        let (input, source) = InputThread::start(all.max(AHEAD)).map_err(WorkersError::Thread)?;
        // Refused only when the thread has panicked, which the first `next` tells.
        let _ = source.send(Box::new(work.into_iter()));
        Ok(Results {
            input,
            done,
            shares: vec![0; processes],
            room: all,
            open: 0,
            known: VecDeque::new(),
            pool,
        })
    }
}

/// The results of a run, as they become known: each piece of work with what became of it.
///
/// Dropping it ends the workers, whatever they are doing.
pub struct Results<W, R> {
    input: InputThread<W>,
    done: Receiver<(WorkerId, Vec<Completion<W, R>>)>,
    /// What each worker has done.
    shares: Vec<u64>,
    /// Work that may be handed out and not be done.
    room: usize,
    open: usize,
    known: VecDeque<Completion<W, R>>,
    pool: WorkerPool<W>,
}

impl<W: Serialize + Send + 'static, R> Results<W, R> {
    /// What each worker has done so far.
    #[must_use]
    pub fn shares(&self) -> &[u64] {
        &self.shares
    }

    /// How many workers ended before their time, by how they ended, as far as the system has
    /// finished ending them.
    #[must_use]
    pub fn losses(&self) -> BTreeMap<Ending, u64> {
        self.pool.status.with(|stats| stats.losses.clone())
    }

    fn harvest(&mut self) {
        loop {
            match self.done.try_recv() {
                Ok((worker, done)) => {
                    let results = done.iter().filter(|(_, result)| result.is_ok());
                    self.shares[worker] += results.count() as u64;
                    self.open -= done.len();
                    self.known.extend(done);
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    panic!("the thread that keeps the workers of portmuster panicked")
                }
            }
        }
    }

    /// Backend out what has come, as far as there is room.
    fn feed(&mut self) {
        let mut batch = Vec::new();
        while self.open < self.room
            && let NextInput::Item(work) = self.input.try_next()
        {
            self.open += 1;
            batch.push(work);
        }
        self.pool.bring(batch);
    }

    /// Waits until something is done, or can be handed out.
    fn wait(&self) {
        let mut select = Select::new();
        select.recv(&self.done);
        if self.open < self.room {
            self.input.watch(&mut select);
        }
        select.ready();
    }
}

impl<W: Serialize + Send + 'static, R> Iterator for Results<W, R> {
    type Item = (W, Result<R, TaskError>);

    /// # Panics
    /// The iterator of the work has.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.known.len() <= KNOWN_FEW {
                self.harvest();
                self.feed();
            }
            if let Some(known) = self.known.pop_front() {
                return Some(known);
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
