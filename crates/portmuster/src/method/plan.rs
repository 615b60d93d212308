//! What a run is to have: its method, its workers and how many attempts are open at once.

use super::{
    capacity::{self, LimitingResource},
    worker_limits::Size,
};
use crate::{
    config::{Config, Method},
    workers::Program,
};

/// What a run is to have.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) method: Method,
    pub(crate) size: Size,
    /// Attempts open at the same time, in all.
    pub(crate) in_flight: usize,
    /// What this system has not enough of for as many as the settings allow.
    pub(super) limited_by: Option<LimitingResource>,
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
        let (most, limiting) = capacity::most();
        let mut plan = Self {
            method: config.method,
            size,
            in_flight: config.in_flight.min(most),
            limited_by: (most < config.in_flight).then_some(limiting),
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
    pub(super) fn wanted(&self) -> usize {
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
    pub(super) fn most_of(&self, in_flight: usize) -> usize {
        match self.method {
            Method::EventLoop | Method::ProcessEventLoops => in_flight,
            _ => in_flight.min(self.size.workers.saturating_mul(self.size.threads)),
        }
    }
}
