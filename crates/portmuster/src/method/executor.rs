//! Who makes the attempts of one run, here or in worker processes.

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
    config::{Config, Method},
    schedule::Start,
    workers::{Ending, pool::WorkerPool},
};

/// Who makes the attempts of one run.
///
/// Invariant: at most [`Self::capacity`] attempts are given and not reported.
#[derive(Debug)]
pub(crate) struct Executor {
    backend: Backend,
    capacity: usize,
    /// What this system had not enough of when that is fewer than the plan has.
    scarce: LimitingResource,
    /// Attempts that each worker has ended.
    shares: Vec<u64>,
}

#[derive(Debug)]
pub(super) enum Backend {
    /// Threads of this process.
    Local(ThreadPool),
    /// Worker processes, and what is about to be brought to them.
    Remote(WorkerPool<Start>, Vec<Start>),
}

/// The workers of a run, and how they fared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkersReport {
    /// Attempts that each has ended: threads, loops or processes, as the method has it.
    pub shares: Vec<u64>,
    /// Worker processes that were ready when the run began; all the others came later, or never.
    pub ready: usize,
    /// Worker processes that ended before their time, by how they ended. Others took their place.
    pub lost: BTreeMap<Ending, u64>,
    /// The most attempts that were open at the same time.
    pub peak_in_flight: usize,
}

impl Executor {
    /// Starts the method's threads or processes.
    pub(crate) fn start(plan: &Plan, setting: &WorkerContext) -> Result<Self, StartError> {
        let (in_flight, workers) = (plan.in_flight, plan.size.workers.min(plan.in_flight));
        match plan.method {
            Method::Serial => threads::start(1, 1, setting).map(Self::here),
            Method::Threads => threads::start(workers, workers, setting).map(Self::here),
            Method::EventLoop => loops_or_threads(workers, in_flight, setting).map(Self::here),
            Method::Processes | Method::ProcessThreads | Method::ProcessEventLoops => {
                let (pool, capacity) = processes::start(plan, setting)?;
                let backend = Backend::Remote(pool, Vec::new());
                Ok(Self {
                    backend,
                    capacity,
                    scarce: LimitingResource::Descriptors,
                    shares: vec![0; workers],
                })
            }
        }
    }

    fn here(Started { lanes, capacity, scarce }: Started) -> Self {
        let shares = vec![0; lanes.threads.len()];
        Self { backend: Backend::Local(lanes), capacity, scarce, shares }
    }

    /// What this system had not enough of, if the plan has room for more.
    fn limiting_resource(&self, plan: &Plan) -> Option<LimitingResource> {
        (self.capacity < plan.wanted()).then_some(self.scarce)
    }

    /// Returns how many attempts a run with this plan may have in flight.
    pub(crate) fn in_flight(&self, plan: &Plan, config: &Config) -> InFlight {
        let asked = plan.most_of(config.in_flight);
        // Worker processes may hold more, which they have not begun.
        let given = self.capacity.min(asked);
        let limited = plan.limited_by.filter(|_| plan.in_flight < asked);
        InFlight {
            asked,
            given,
            scarce: self.limiting_resource(plan).or(limited),
            tcp_memory: capacity::beyond_tcp_memory(given),
        }
    }

    /// Attempts that may be given and not reported.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Attempts that may be given and not reported just now: fewer than there is capacity for
    /// while worker processes are being started again.
    pub(crate) fn room(&self) -> usize {
        match &self.backend {
            Backend::Local(_) => self.capacity,
            Backend::Remote(pool, _) => self.capacity.min(pool.window.room()),
        }
    }

    /// Attempts that may be given before those that were are begun: what waits for its turn at a
    /// loop holds memory that others need, and starts no sooner.
    pub(crate) fn backlog_room(&self) -> usize {
        match &self.backend {
            Backend::Local(lanes) => lanes.backlog_room(),
            Backend::Remote(..) => usize::MAX,
        }
    }

    /// Attempts that were given and that no loop has begun yet.
    pub(crate) fn queued(&self) -> usize {
        match &self.backend {
            Backend::Local(lanes) => lanes.queued,
            Backend::Remote(..) => 0,
        }
    }

    /// Closed when all stand at the line; `None`: they do.
    pub(crate) fn barrier(&self) -> Option<&Receiver<()>> {
        match &self.backend {
            Backend::Local(_) => None,
            Backend::Remote(pool, _) => Some(&pool.barrier),
        }
    }

    /// Gives an attempt to whoever has least to do. It begins with the next [`Self::flush`].
    pub(crate) fn begin(&mut self, start: Start) {
        match &mut self.backend {
            Backend::Local(lanes) => lanes.begin(start),
            Backend::Remote(_, batch) => batch.push(start),
        }
    }

    /// Sends what was given on its way.
    pub(crate) fn flush(&mut self) {
        match &mut self.backend {
            Backend::Local(lanes) => lanes.flush(),
            Backend::Remote(pool, batch) => pool.bring(std::mem::take(batch)),
        }
    }

    /// Attempts have been reported.
    pub(crate) fn reported(&mut self, reports: &Reports) {
        if let Backend::Local(lanes) = &mut self.backend {
            lanes.reported(reports);
        }
        let made = reports.ended.iter().filter(|report| !report.conclusion.is_without_worker());
        self.shares[reports.worker] += made.count() as u64;
    }

    /// Ends every attempt and waits until everybody has gone home. `peak` is the most that was
    /// given and not reported.
    pub(crate) fn end(self, peak: usize) -> WorkersReport {
        let shares = self.shares;
        match self.backend {
            Backend::Local(lanes) => {
                drop(lanes);
                WorkersReport {
                    ready: shares.len(),
                    shares,
                    peak_in_flight: peak,
                    ..Default::default()
                }
            }
            Backend::Remote(pool, _) => {
                let window = pool.window.clone();
                drop(pool);
                window.look(|seen| WorkersReport {
                    shares,
                    ready: seen.ready.unwrap_or_default(),
                    lost: std::mem::take(&mut seen.losses),
                    peak_in_flight: seen.peak,
                })
            }
        }
    }
}
