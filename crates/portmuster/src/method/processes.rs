//! Attempts in worker processes, which are other programs' inside of the same [lanes](ThreadPool).

use std::{net::IpAddr, process::ExitCode};

use crossbeam_channel::bounded;
use serde::{Deserialize, Serialize};

use super::{
    capacity,
    context::{PanicGuard, Panics, Reports, StartError, WorkerContext},
    local::loops_or_threads,
    plan::Plan,
    thread_pool::{Started, ThreadPool},
    threads,
};
use crate::{
    attempt::Rules,
    clock::Clock,
    config::{Method, defaults},
    descriptors,
    memory::Memory,
    outcome::{Conclusion, PortState, Reason, Verdict},
    schedule::{CheckId, Report, Start},
    workers::{
        pool::{PoolConfig, WorkerPool},
        queue::{Completion, TaskError, Ticket},
        worker_process::{self, Batch, Engine, Running},
    },
};

/// What a worker is told before anything else.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct WorkerSetting {
    inside: Inside,
    rules: Rules,
    source: Option<IpAddr>,
    /// Bytes that its conversations may hold together.
    memory: u64,
}

/// What waits for the network inside a worker.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Inside {
    /// So many threads, each with one attempt.
    Threads(u32),
    /// One event loop with so many attempts.
    EventLoop(u32),
}

/// Starts the workers; with the way to them comes how many attempts they may be given.
pub(super) fn start(
    plan: &Plan,
    setting: &WorkerContext,
) -> Result<(WorkerPool<Start>, usize), StartError> {
    let program = plan.program.clone().ok_or(StartError::NoProgram)?;
    let (inside, concurrency, ahead) = inside(plan);
    let workers = plan.size.workers.min(plan.in_flight);
    let all = concurrency.saturating_add(ahead).saturating_mul(workers);
    let capacity = plan.in_flight.min(all);
    let terms = PoolConfig { program, processes: workers, concurrency, ahead, batches: capacity };
    let worker = WorkerSetting {
        inside,
        rules: setting.rules,
        source: setting.source,
        memory: capacity::share(plan.memory, workers),
    };
    let (reports, alarm) = (setting.reports.clone(), PanicGuard(setting.panics.clone()));
    let deliver = move |worker, done: Vec<Completion<Start, Conclusion>>| {
        let _held = &alarm;
        if done.is_empty() {
            // Calls the coordinator, unless it is called anyway.
            let _ = reports.try_send(reports_of(worker, Vec::new()));
        } else {
            // Refused only when the coordinator has panicked.
            let ended = done.into_iter().map(report).collect();
            let _ = reports.send(reports_of(worker, ended));
        }
    };
    let pool = WorkerPool::start(terms, &worker, setting.clock, Box::new(deliver))?;
    Ok((pool, capacity))
}

/// What is inside each worker, how many attempts it has at once, and how many it may be given
/// beside them.
fn inside(plan: &Plan) -> (Inside, usize, usize) {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    if plan.method == Method::ProcessEventLoops {
        let share = plan.in_flight.div_ceil(plan.size.workers).min(descriptors::budget().attempts);
        return (Inside::EventLoop(count(share)), share, 0);
    }
    // To start at a rate is to start when one is told to: what waits in a worker would not.
    let ahead = if plan.paced {
        0
    } else {
        defaults::LEASE_AHEAD.min(capacity::prefetch(plan.memory, plan.size.workers))
    };
    (Inside::Threads(count(plan.size.threads)), plan.size.threads, ahead)
}

fn reports_of(worker: usize, ended: Vec<Report>) -> Reports {
    Reports { worker, begun: 0, ended, held: Vec::new() }
}

fn report((start, result): Completion<Start, Conclusion>) -> Report {
    let lost = |lost| match lost {
        TaskError::KillsWorkers => Reason::KillsWorkers,
        TaskError::NoWorkers | TaskError::Unsendable => Reason::NoWorkers,
    };
    let conclusion = result.unwrap_or_else(|why| {
        let none = std::time::Duration::ZERO;
        Conclusion::Verdict(Verdict::unconnected(PortState::Unchecked, lost(why), none))
    });
    Report { id: start.id, conclusion }
}

/// The inside of a worker process: makes the attempts that it is leased over stdin, until whoever
/// started it has gone. A program that is named in a [`Checker`](crate::Checker)'s
/// [`with_workers`](crate::Checker::with_workers) calls this, and ends at once with what it
/// returns.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use portmuster::{Checker, Config, Method, worker_main, workers::Program};
///
/// fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
///     if std::env::args().nth(1).as_deref() == Some("worker") {
///         return Ok(worker_main());
///     }
///     let config = Config { method: Method::Processes, ..Config::default() };
///     let checker = Checker::new(config)?.with_workers(Program::this()?.arg("worker"));
///     for outcome in checker.check([("127.0.0.1", 22), ("localhost", 23)])? {
///         println!("{}: {}", outcome.target, outcome.verdict.state);
///     }
///     Ok(ExitCode::SUCCESS)
/// }
/// ```
#[must_use]
pub fn worker_main() -> ExitCode {
    worker_process::serve(engine)
}

fn engine(worker: WorkerSetting, room: usize) -> Result<Running<Inner, Reports>, String> {
    let budget = descriptors::budget().attempts;
    // Each is reported when it begins and when it ends.
    let (reports, done) = bounded(2 * room);
    let setting = WorkerContext {
        clock: Clock::start(),
        rules: worker.rules,
        source: worker.source,
        memory: Memory::new(usize::try_from(worker.memory).unwrap_or(usize::MAX)),
        reports,
        panics: Panics::Abort,
    };
    let started = match worker.inside {
        Inside::Threads(threads) => {
            let threads = (threads as usize).min(budget);
            threads::start(threads, room, &setting)
        }
        Inside::EventLoop(in_flight) => {
            loops_or_threads(1, (in_flight as usize).min(budget), &setting)
        }
    };
    let Started { lanes, capacity, .. } = started.map_err(|error| error.to_string())?;
    Ok((Inner { lanes, concurrency: capacity }, done))
}

/// The lanes of a worker.
struct Inner {
    lanes: ThreadPool,
    concurrency: usize,
}

impl Engine<Start> for Inner {
    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn begin(&mut self, work: Vec<(Ticket, Start)>) {
        for (ticket, start) in work {
            // What the coordinator calls it stays there.
            self.lanes.begin(Start { id: CheckId(ticket.0 as usize), ..start });
        }
        self.lanes.flush();
    }

    fn recall(&mut self, most: usize) -> Vec<Ticket> {
        self.lanes.recall(most).into_iter().map(|start| ticket(start.id)).collect()
    }
}

impl Batch<Conclusion> for Reports {
    fn results(self) -> impl Iterator<Item = (Ticket, Conclusion)> {
        self.ended.into_iter().map(|report| (ticket(report.id), report.conclusion))
    }
}

/// The ticket that was made a check's name inside this worker.
fn ticket(id: CheckId) -> Ticket {
    Ticket(u32::try_from(id.0).expect("it was made from a ticket"))
}
