//! The handle of a worker pool: it sends work to the [supervisor](super::supervisor)'s thread.

use std::{fmt, thread::JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    frames::{self, FrameKind, VERSION},
    leases::Leases,
    process::{Program, WorkersError},
    status::PoolStatus,
    supervisor::{Deliver, Supervisor, SupervisorContext},
};
use crate::{clock::Clock, config::defaults, threads, waker::Waker};

/// Configuration of a pool of worker processes.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    pub(crate) program: Program,
    pub(crate) processes: usize,
    /// The maximum number of tasks that a worker runs concurrently.
    pub(crate) concurrency: usize,
    /// The maximum number of tasks that a worker holds beyond its concurrency.
    pub(crate) prefetch: usize,
    /// The most batches of work that wait for the supervisor.
    pub(crate) batches: usize,
}

impl PoolConfig {
    /// Returns the most work that one worker holds.
    pub(crate) fn worker_capacity(&self) -> usize {
        self.concurrency.saturating_add(self.prefetch)
    }
}

/// A pool of worker processes. Dropping it ends them.
pub(crate) struct WorkerPool<W> {
    /// `None` when the pool is being dropped.
    work: Option<Sender<Vec<W>>>,
    waker: Waker,
    /// Closed when the start barrier has opened.
    pub(crate) barrier: Receiver<()>,
    pub(crate) status: PoolStatus,
    supervisor: Option<JoinHandle<()>>,
}

impl<W: Serialize + Send + 'static> WorkerPool<W> {
    /// Starts the supervisor and its workers. The first frame to each worker contains `settings`.
    ///
    /// # Errors
    /// The first worker or the supervisor's thread can't be started.
    pub(crate) fn start<R: DeserializeOwned + Send + 'static>(
        config: PoolConfig,
        settings: &impl Serialize,
        clock: Clock,
        deliver: Deliver<W, R>,
    ) -> Result<Self, WorkersError> {
        let waker = Waker::new().map_err(|errno| WorkersError::OutOfResources(errno.into()))?;
        let (work, incoming) = bounded(config.batches);
        let (opener, barrier) = bounded(0);
        let status = PoolStatus::default();
        let context = SupervisorContext {
            clock,
            program: config.program.clone(),
            concurrency: config.concurrency,
            hello_frame: hello_frame(config.worker_capacity(), settings),
            work: incoming,
            waker: waker.clone(),
            deliver,
            barrier: Some(opener),
            status: status.clone(),
        };
        let until = clock.now().after(defaults::WORKERS_START);
        let leases = Leases::new(config.processes, config.prefetch, until);
        let (started, start) = bounded(1);
        // Workers end with the thread that starts them, so the supervisor's thread starts them.
        let supervise = move || match Supervisor::<_, R>::start(leases, config.processes, context) {
            Ok(supervisor) => {
                let _ = started.send(Ok(()));
                supervisor.run();
            }
            Err(error) => drop(started.send(Err(error))),
        };
        let thread = threads::named("portmuster-workers");
        let supervisor = thread.spawn(supervise).map_err(WorkersError::Thread)?;
        let pool = Self { work: Some(work), waker, barrier, status, supervisor: Some(supervisor) };
        match start.recv() {
            Ok(Err(error)) => Err(WorkersError::Program { program: config.program, error }),
            // The panic hook reports a panic. Afterwards the pool drops all work.
            Ok(Ok(())) | Err(_) => Ok(pool),
        }
    }

    /// Sends a batch of work to the supervisor. Blocks while [`PoolConfig::batches`] wait.
    pub(crate) fn send(&self, batch: Vec<W>) {
        if let Some(work) = &self.work
            && !batch.is_empty()
        {
            // Fails only when the supervisor has panicked, which also closes the channel of
            // completions.
            let _ = work.send(batch);
            self.waker.wake();
        }
    }
}

/// Encodes the first frame to a worker: version, the most work it will hold, settings.
fn hello_frame(capacity: usize, settings: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
    let written = frames::write(&mut bytes, FrameKind::Hello, &(VERSION, capacity, settings));
    written.expect("settings are plain values");
    bytes
}

impl<W> Drop for WorkerPool<W> {
    fn drop(&mut self) {
        self.work = None;
        self.waker.wake();
        if let Some(supervisor) = self.supervisor.take() {
            // The panic hook has already reported a panic.
            let _ = supervisor.join();
        }
    }
}

impl<W> fmt::Debug for WorkerPool<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WorkerPool").finish_non_exhaustive()
    }
}
