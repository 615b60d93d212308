//! Attempts in worker processes. Each worker process has the same [`ThreadPool`] as a run in this
//! process.

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
        worker_process::{self, Engine, ResultBatch, StartedEngine},
    },
};

/// The settings that a worker process gets in its first frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct WorkerSettings {
    threading: Threading,
    rules: Rules,
    source: Option<IpAddr>,
    /// Bytes that its long conversations may hold together.
    memory: u64,
}

/// How a worker process waits for the network.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Threading {
    /// This many blocking threads, each with one attempt at a time.
    Threads(u32),
    /// One event loop, with the maximum number of attempts that it may have open.
    EventLoop(u32),
}

/// Starts the worker processes. Returns the pool, and how many attempts it may hold.
///
/// # Errors
/// Not a single worker process could be started.
pub(super) fn start(
    plan: &Plan,
    context: &WorkerContext,
) -> Result<(WorkerPool<Start>, usize), StartError> {
    let program = plan.program.clone().ok_or(StartError::NoProgram)?;
    let (threading, concurrency, prefetch) = threading(plan);
    let workers = plan.size.workers.min(plan.in_flight);
    let all = concurrency.saturating_add(prefetch).saturating_mul(workers);
    let capacity = plan.in_flight.min(all);
    let config =
        PoolConfig { program, processes: workers, concurrency, prefetch, batches: capacity };
    let worker = WorkerSettings {
        threading,
        rules: context.rules.clone(),
        source: context.source,
        memory: capacity::share(plan.memory, workers),
    };
    let (reports, guard) = (context.reports.clone(), PanicGuard(context.panics.clone()));
    let deliver = move |worker, done: Vec<Completion<Start, Conclusion>>| {
        let _guard = &guard;
        if done.is_empty() {
            // Wakes the coordinator. A full queue does so, too.
            let _ = reports.try_send(reports_of(worker, Vec::new()));
        } else {
            // Fails only when the coordinator has panicked.
            let ended = done.into_iter().map(report).collect();
            let _ = reports.send(reports_of(worker, ended));
        }
    };
    let pool = WorkerPool::start(config, &worker, context.clock, Box::new(deliver))?;
    Ok((pool, capacity))
}

/// Returns how each worker process waits for the network, its concurrency and its prefetch.
fn threading(plan: &Plan) -> (Threading, usize, usize) {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    if plan.method == Method::ProcessEventLoops {
        let share = plan.in_flight.div_ceil(plan.size.workers).min(descriptors::budget().attempts);
        return (Threading::EventLoop(count(share)), share, 0);
    }
    // With a rate, an attempt must begin as soon as it is leased, so none may wait in a worker.
    let prefetch = if plan.has_rate {
        0
    } else {
        defaults::PREFETCH.min(capacity::prefetch(plan.memory, plan.size.workers))
    };
    (Threading::Threads(count(plan.size.threads)), plan.size.threads, prefetch)
}

fn reports_of(worker: usize, ended: Vec<Report>) -> Reports {
    Reports { worker, begun: 0, ended, held: Vec::new() }
}

fn report((start, result): Completion<Start, Conclusion>) -> Report {
    let reason = |error| match error {
        TaskError::KillsWorkers => Reason::KillsWorkers,
        TaskError::NoWorkers | TaskError::Unsendable => Reason::NoWorkers,
    };
    let conclusion = result.unwrap_or_else(|error| {
        let none = std::time::Duration::ZERO;
        Conclusion::Verdict(Verdict::unconnected(PortState::Unchecked, reason(error), none))
    });
    Report { id: start.id, conclusion }
}

/// Runs this process as a worker: it makes the attempts that it is leased over stdin, until the
/// process that started it closes the socket.
///
/// A program that is named in [`Checker::with_workers`](crate::Checker::with_workers) calls this from
/// `main` and returns its exit code.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use portmuster::{Checker, Config, Method, worker_main, workers::{Program}};
///
/// fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
///     if std::env::args().nth(1).as_deref() == Some("worker") {
///         return Ok(worker_main());
///     }
///     let config = Config::builder().method(Method::Processes).build()?;
///     let checker = Checker::new(config).with_workers(Program::this()?.arg("worker"));
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

fn engine(
    worker: WorkerSettings,
    room: usize,
) -> Result<StartedEngine<PoolEngine, Reports>, String> {
    let budget = descriptors::budget().attempts;
    // Each attempt is reported when it begins and when it ends.
    let (reports, done) = bounded(2 * room);
    let context = WorkerContext {
        clock: Clock::start(),
        rules: worker.rules,
        source: worker.source,
        memory: Memory::new(usize::try_from(worker.memory).unwrap_or(usize::MAX)),
        reports,
        panics: Panics::Abort,
    };
    let started = match worker.threading {
        Threading::Threads(threads) => {
            let threads = (threads as usize).min(budget);
            threads::start(threads, room, &context)
        }
        Threading::EventLoop(in_flight) => {
            loops_or_threads(1, (in_flight as usize).min(budget), &context)
        }
    };
    let Started { pool, capacity, .. } = started.map_err(|error| error.to_string())?;
    Ok((PoolEngine { pool, concurrency: capacity }, done))
}

/// The engine of a worker process: a thread pool that makes attempts.
struct PoolEngine {
    pool: ThreadPool,
    concurrency: usize,
}

impl Engine<Start> for PoolEngine {
    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn begin(&mut self, work: Vec<(Ticket, Start)>) {
        for (ticket, start) in work {
            // Inside the worker the ticket identifies the check.
            self.pool.begin(Start { id: CheckId(ticket.0 as usize), ..start });
        }
        self.pool.flush();
    }

    fn recall(&mut self, most: usize) -> Vec<Ticket> {
        self.pool.recall(most).into_iter().map(|start| ticket(start.id)).collect()
    }
}

impl ResultBatch<Conclusion> for Reports {
    fn results(self) -> impl Iterator<Item = (Ticket, Conclusion)> {
        self.ended.into_iter().map(|report| (ticket(report.id), report.conclusion))
    }
}

/// Returns the ticket that identifies a check inside this worker.
fn ticket(id: CheckId) -> Ticket {
    Ticket(u32::try_from(id.0).expect("it was made from a ticket"))
}
