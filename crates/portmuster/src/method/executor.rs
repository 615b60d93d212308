//! The executor: makes the attempts of one run, in threads of this process or in worker processes.

use std::collections::BTreeMap;

use crossbeam_channel::Receiver;

use super::{
    capacity::{self, InFlight, LimitingResource},
    context::{Reports, StartError, WorkerContext},
    local::loops_or_threads,
    plan::Plan,
    processes,
    thread_pool::{Started, ThreadPool},
    threads,
};
use crate::{
    config::Method,
    schedule::Start,
    workers::{WorkerExit, pool::WorkerPool},
};

/// Makes the attempts of one run.
///
/// Invariant: at most [`Self::capacity`] attempts are handed over and not reported.
#[derive(Debug)]
pub(crate) struct Executor {
    backend: Backend,
    capacity: usize,
    /// The resource that limits the capacity if it is less than planned.
    limited_by: LimitingResource,
    /// How many attempts each worker has completed.
    shares: Vec<u64>,
}

#[derive(Debug)]
pub(super) enum Backend {
    /// Threads of this process.
    Local(ThreadPool),
    /// Worker processes, and the starts to send to them at the next flush.
    Remote(WorkerPool<Start>, Vec<Start>),
}

/// How the workers of a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkersReport {
    /// How many attempts each worker (thread, loop or process, by method) has completed.
    pub shares: Vec<u64>,
    /// How many workers were ready when the run began. Other worker processes started later or never.
    pub ready: usize,
    /// How many worker processes ended too early, by how they ended. They were replaced.
    pub lost: BTreeMap<WorkerExit, u64>,
    /// The largest number of attempts that were open at the same time.
    pub peak_in_flight: usize,
}

impl Executor {
    /// Starts the method's threads or processes.
    ///
    /// # Errors
    /// Not a single worker could be started.
    pub(crate) fn start(plan: &Plan, context: &WorkerContext) -> Result<Self, StartError> {
        let (in_flight, workers) = (plan.in_flight, plan.size.workers.min(plan.in_flight));
        match plan.method {
            Method::Serial => threads::start(1, 1, context).map(Self::local),
            Method::Threads => threads::start(workers, workers, context).map(Self::local),
            Method::EventLoop => loops_or_threads(workers, in_flight, context).map(Self::local),
            Method::Processes | Method::ProcessThreads | Method::ProcessEventLoops => {
                let (pool, capacity) = processes::start(plan, context)?;
                let backend = Backend::Remote(pool, Vec::new());
                Ok(Self {
                    backend,
                    capacity,
                    limited_by: LimitingResource::Descriptors,
                    shares: vec![0; workers],
                })
            }
        }
    }

    fn local(Started { pool, capacity, limited_by }: Started) -> Self {
        let shares = vec![0; pool.threads.len()];
        Self { backend: Backend::Local(pool), capacity, limited_by, shares }
    }

    /// Returns the resource that this system lacked, if the capacity is less than planned.
    fn limiting_resource(&self, plan: &Plan) -> Option<LimitingResource> {
        (self.capacity < plan.wanted()).then_some(self.limited_by)
    }

    /// Returns how many attempts a run with this plan may have in flight.
    pub(crate) fn in_flight(&self, plan: &Plan) -> InFlight {
        let asked = plan.asked;
        // Worker processes may hold more that they have not begun.
        let given = self.capacity.min(plan.wanted());
        let is_short = given < asked;
        InFlight {
            asked,
            given,
            limited_by: self.limiting_resource(plan).or(plan.limited_by).filter(|_| is_short),
            tcp_memory: capacity::beyond_tcp_memory(given),
        }
    }

    /// Returns the most attempts that may be handed over and not reported.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns how many attempts may be handed over and not reported at the moment: fewer than
    /// [`Self::capacity`] while worker processes are being restarted.
    pub(crate) fn current_capacity(&self) -> usize {
        match &self.backend {
            Backend::Local(_) => self.capacity,
            Backend::Remote(pool, _) => self.capacity.min(pool.status.capacity()),
        }
    }

    /// Returns how many more attempts may be queued. An attempt that waits in a loop's queue takes
    /// memory and starts no sooner.
    pub(crate) fn backlog_room(&self) -> usize {
        match &self.backend {
            Backend::Local(pool) => pool.backlog_room(),
            Backend::Remote(..) => usize::MAX,
        }
    }

    /// Returns how many attempts are queued at loops and not begun.
    pub(crate) fn queued(&self) -> usize {
        match &self.backend {
            Backend::Local(pool) => pool.queued,
            Backend::Remote(..) => 0,
        }
    }

    /// Returns the channel that is closed when all workers are ready; `None` if they are.
    pub(crate) fn barrier(&self) -> Option<&Receiver<()>> {
        match &self.backend {
            Backend::Local(_) => None,
            Backend::Remote(pool, _) => Some(&pool.barrier),
        }
    }

    /// Queues an attempt for the least loaded worker. It begins with the next [`Self::flush`].
    pub(crate) fn begin(&mut self, start: Start) {
        match &mut self.backend {
            Backend::Local(pool) => pool.begin(start),
            Backend::Remote(_, batch) => batch.push(start),
        }
    }

    /// Sends the attempts that were handed over to the workers.
    pub(crate) fn flush(&mut self) {
        match &mut self.backend {
            Backend::Local(pool) => pool.flush(),
            Backend::Remote(pool, batch) => pool.send(std::mem::take(batch)),
        }
    }

    /// Records a report: the worker's load drops, and its share grows.
    pub(crate) fn reported(&mut self, reports: &Reports) {
        if let Backend::Local(pool) = &mut self.backend {
            pool.reported(reports);
        }
        let made = reports.ended.iter().filter(|report| !report.conclusion.is_without_worker());
        self.shares[reports.worker] += made.count() as u64;
    }

    /// Ends every attempt and joins the workers. `peak` is the largest number of attempts that were
    /// handed over and not reported.
    pub(crate) fn end(self, peak: usize) -> WorkersReport {
        let shares = self.shares;
        match self.backend {
            Backend::Local(pool) => {
                drop(pool);
                WorkersReport {
                    ready: shares.len(),
                    shares,
                    peak_in_flight: peak,
                    ..Default::default()
                }
            }
            Backend::Remote(pool, _) => {
                let status = pool.status.clone();
                drop(pool);
                status.with(|stats| WorkersReport {
                    shares,
                    ready: stats.ready.unwrap_or_default(),
                    lost: std::mem::take(&mut stats.losses),
                    peak_in_flight: stats.peak,
                })
            }
        }
    }
}
