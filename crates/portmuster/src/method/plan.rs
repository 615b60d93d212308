//! The plan of a run: its method, its workers, and how many attempts are open at the same time.

use super::{
    capacity::{self, LimitingResource},
    worker_limits::Size,
};
use crate::{
    config::{Config, Method},
    descriptors,
    workers::Program,
};

/// The plan of a run, made from its settings and what this machine can bear.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) method: Method,
    pub(crate) size: Size,
    /// How many attempts at the same time the settings and the method's workers allow.
    pub(super) asked: usize,
    /// The most attempts open at the same time, in all.
    pub(crate) in_flight: usize,
    /// The resource because of which that is fewer than the settings allow.
    pub(super) limited_by: Option<LimitingResource>,
    /// Whether the run has a rate, so that an attempt must begin as soon as it is handed over.
    pub(crate) has_rate: bool,
    /// The program of each worker process.
    pub(crate) program: Option<Program>,
    /// Bytes that long conversations may hold together.
    pub(crate) memory: u64,
}

impl Plan {
    /// Plans a run that has no more attempts in flight than this system can bear.
    pub(crate) fn new(config: &Config, size: Size, program: Option<&Program>) -> Self {
        let (most, limiting) = capacity::attempts_max();
        // What was opened since the size was determined, such as outputs, is counted now.
        let workers = match config.method() {
            Method::EventLoop => size.workers,
            _ => size.workers.min(descriptors::budget().attempts),
        };
        let is_short = workers < size.workers;
        let mut plan = Self {
            method: config.method(),
            size,
            asked: 0,
            in_flight: config.in_flight().min(most),
            limited_by: if most < config.in_flight() {
                Some(limiting)
            } else {
                is_short.then_some(LimitingResource::Descriptors)
            },
            has_rate: config.rate().is_some(),
            program: program.cloned(),
            memory: 0,
        };
        plan.asked = plan.with_workers_for(config.in_flight());
        plan.size.workers = workers;
        let processes = if config.method().has_processes() { workers } else { 0 };
        plan.memory = capacity::conversations(plan.wanted(), plan.blocking_threads(), processes);
        plan
    }

    /// Returns the number of threads that each block on one attempt, in all processes.
    fn blocking_threads(&self) -> usize {
        match self.method {
            Method::EventLoop | Method::ProcessEventLoops => 0,
            _ => self.wanted(),
        }
    }

    /// Returns how many attempts are open at the same time if every worker can be started.
    pub(super) fn wanted(&self) -> usize {
        self.with_workers_for(self.in_flight)
    }

    /// Returns the most attempts that are handed over and not reported. Worker processes hold some
    /// that they have not begun.
    pub(crate) fn unreported(&self) -> usize {
        match self.method {
            Method::Serial | Method::Threads => self.wanted(),
            _ => self.in_flight,
        }
    }

    /// Returns how many of these attempts the method has workers for.
    fn with_workers_for(&self, in_flight: usize) -> usize {
        match self.method {
            Method::EventLoop | Method::ProcessEventLoops => in_flight,
            _ => in_flight.min(self.size.workers.saturating_mul(self.size.threads)),
        }
    }
}
