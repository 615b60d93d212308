//! The coordinator: the thread that owns the schedule of one run. It takes targets from the input,
//! starts attempts at the executor, asks for lookups, and hands outcomes to the consumer.
//!
//! Invariant: there is no cycle of blocking queues. The input has a thread of its own, so a blocked
//! input delays nothing else. Workers and resolver never block when they report, because their queues
//! have room for everything that was handed to them. Only the consumer can block the coordinator, and
//! it waits for nothing else.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use crossbeam_channel::{Receiver, Select, Sender, bounded, unbounded};

mod batches;

pub(crate) use batches::{Batch, ConsumerWaker};

use self::batches::{BATCHES_MAX, BatchSender, RunEnd};
use crate::{
    attempt::Rules,
    clock::{Clock, Instant},
    config::{Config, MaxMissed},
    descriptors,
    driver::tcp,
    input::{BoxedIterator, InputThread, NextInput},
    memory::Memory,
    method::{self, Executor, InFlight, Panics, Plan, Reports, Size, StartError, WorkerContext},
    outcome::Outcome,
    positions::Positions,
    preload,
    random::random,
    resolver::Resolver,
    run_loop::{Environment, RunLoop},
    schedule::{
        BlockPolicy, Lookup, Policy, Question, Report, Route, Schedule, SilentState, Start, Stopped,
    },
    targets::{Excludes, Target},
    threads,
    workers::Program,
};

/// Targets that are read ahead. As many as an event loop's backlog, because the input thread waits for
/// its time slice, too.
const READ_AHEAD: usize = 4096;
/// The interval of accounts for a consumer that gets no outcomes.
const BEAT: Duration = Duration::from_millis(500);
/// Divisor of the memory for conversations that gives the memory of one batch. All batches together take
/// half of that memory.
const BATCH_PART: u64 = 2 * BATCHES_MAX as u64;
/// The interval of states of the silent targets for a consumer that stores them.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// The most stop requests in the queue. One is enough; further ones are dropped when it is full.
const STOPS_MAX: usize = 4;

/// Which targets a run skips or leaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunScope {
    /// The addresses and names that are never connected to.
    pub(crate) excludes: Arc<Excludes>,
    /// The host keys that are known; `None`: those of servers are not compared.
    #[cfg(feature = "host-keys")]
    pub(crate) known_keys: Option<Arc<crate::outcome::KnownKeys>>,
    /// The positions that an earlier run has settled.
    pub(crate) settled: Positions,
    /// What an earlier run knew of targets that have not answered.
    pub(crate) silent: SilentState,
    /// How targets that wait for another attempt end when the run is stopped.
    pub(crate) stopped: Stopped,
}

impl RunScope {
    /// Applies what an earlier run has left, and what is known of host keys.
    fn applied_to(&self, schedule: Schedule) -> Schedule {
        #[cfg(feature = "host-keys")]
        let schedule = schedule.knowing_keys(self.known_keys.clone());
        let schedule = schedule.resuming(&self.settled);
        schedule.resuming_silent(self.silent.clone(), &self.settled)
    }
}

/// The consumer's handle of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Takes the iterator of targets, once.
    pub(crate) targets: Sender<BoxedIterator<Target>>,
    pub(crate) batches: Receiver<Batch>,
    /// Wakes a task after each batch, and when the queue of batches is disconnected.
    #[cfg_attr(not(feature = "stream"), expect(dead_code, reason = "only a stream has a task"))]
    pub(crate) waker: ConsumerWaker,
    /// Takes requests to end the run within this time.
    pub(crate) stops: Sender<Duration>,
    pub(crate) in_flight: InFlight,
    pub(crate) thread: JoinHandle<()>,
}

/// The threads and queues of a real run.
struct Threads {
    clock: Clock,
    executor: Executor,
    resolver: Resolver,
    reports: Receiver<Reports>,
    panics: Receiver<()>,
    input: InputThread<Target>,
    stops: Receiver<Duration>,
    /// The time by which the run must end; `None` if it was not asked to.
    end: Option<Instant>,
    /// When the consumer gets the next state of the silent targets; `None`: it needs none.
    save: Option<Instant>,
    /// When the consumer gets the next account of the run, even if no outcome has become known by then.
    beat: Instant,
    batches: BatchSender,
    /// The most bytes of outcomes per batch. A single outcome may exceed it.
    batch_bytes: usize,
}

/// Starts the threads of a run. They wait for the targets, so that the caller still has these if the
/// threads can't be started.
///
/// # Errors
/// This machine could not start them, or the source address can't be used.
pub(crate) fn start(
    config: &Config,
    size: Size,
    program: Option<&Program>,
    scope: &RunScope,
    positions: Option<u64>,
) -> Result<Run, StartError> {
    refuse_bypass(config, scope)?;
    if let Some(source_address) = config.source() {
        tcp::can_be_source(source_address)
            .map_err(|errno| StartError::Source { source_address, error: errno.into() })?;
    }
    let clock = Clock::start();
    let budget = descriptors::budget();
    let plan = Plan::new(config, size, program);
    #[expect(
        clippy::disallowed_methods,
        reason = "each attempt is reported twice at most, when it begins and when it ends, so the queue is \
                  bounded by those that were handed over; a bounded queue would take memory for all of them"
    )]
    let (reports_in, reports) = unbounded();
    let (panics_in, panics) = bounded(1);
    let proxy = method::admitted(config, clock)?;
    let rules = Rules { proxy, ..Rules::from(config) };
    let setting = WorkerContext {
        clock,
        rules,
        source: config.source(),
        memory: Memory::new(usize::try_from(plan.memory).unwrap_or(usize::MAX)),
        reports: reports_in,
        panics: Panics::Report(panics_in),
    };
    let executor = Executor::start(&plan, &setting)?;
    let in_flight = executor.in_flight(&plan);
    let policy = policy(config, executor.capacity(), scope, positions);
    let (batches_in, batches, waker) = batches::queue();
    let (stops_in, stops) = bounded(STOPS_MAX);
    let (input, targets_in) = InputThread::start(READ_AHEAD).map_err(StartError::Thread)?;
    let schedule = scope.applied_to(Schedule::new(policy, clock.wall_start()));
    let environment = Threads {
        clock,
        executor,
        resolver: Resolver::new(budget.lookups),
        reports,
        panics,
        input,
        stops,
        end: None,
        save: (scope.stopped == Stopped::Left).then_some(Instant::START),
        beat: Instant::START.after(BEAT),
        batches: batches_in,
        batch_bytes: usize::try_from(plan.memory / BATCH_PART).unwrap_or(usize::MAX),
    };
    let run_loop = RunLoop { schedule, environment };
    let thread = threads::named("portmuster-run");
    let thread = thread.spawn(move || run(run_loop)).map_err(StartError::Thread)?;
    Ok(Run { targets: targets_in, batches, waker, stops: stops_in, in_flight, thread })
}

/// Returns the policy of a run with so many attempts in flight and so many positions; `None`: their number
/// is unknown.
fn policy(config: &Config, in_flight: usize, scope: &RunScope, positions: Option<u64>) -> Policy {
    Policy {
        in_flight,
        rate: config.rate(),
        per_host: config.per_host(),
        host_timeout: config.host_timeout(),
        waiting: method::waiting_targets(),
        retries: config.retries(),
        patience: config.patience(),
        timeout: config.timeout(),
        blocks: BlockPolicy {
            positions,
            max_missed: config.max_missed().filter(|_| config.retries() > 0).map(MaxMissed::share),
            seed: config.seed().unwrap_or_else(random),
            stored_max: method::waiting_targets().min(BlockPolicy::STORED_MAX),
            targets_max: BlockPolicy::TARGETS_MAX,
        },
        speak_first: config.speak_first(),
        addresses: config.addresses(),
        excludes: Arc::clone(&scope.excludes),
        stopped: scope.stopped,
        route: match config.proxy() {
            None => Route::Direct,
            Some(proxy) if proxy.looks_up_names() => Route::ProxyWithNames,
            Some(_) => Route::Proxy,
        },
    }
}

/// Refuses a run that would bypass what its user relies on.
///
/// # Errors
/// A preloaded library intercepts connections, or the proxy may connect to what is excluded.
fn refuse_bypass(config: &Config, scope: &RunScope) -> Result<(), StartError> {
    match config.proxy() {
        None => refuse_preload(config),
        Some(proxy) if proxy.looks_up_names() && !scope.excludes.is_empty() => {
            Err(StartError::ExcludesAtProxy { proxy: proxy.clone() })
        }
        Some(_) => Ok(()),
    }
}

/// Refuses a run without a proxy in a process with a preloaded library that intercepts connections.
///
/// # Errors
/// There is such a library.
pub(crate) fn refuse_preload(config: &Config) -> Result<(), StartError> {
    if config.proxy().is_some() || config.bypass_preload() {
        return Ok(());
    }
    match preload::intercepting_library() {
        Some(library) => Err(StartError::Preloaded { library }),
        None => Ok(()),
    }
}

/// Returns how many of the outcomes fit in this many bytes; at least one.
fn fitting(outcomes: &[Outcome], bytes: usize) -> usize {
    let sizes = outcomes.iter().scan(0_usize, |all, outcome| {
        *all = all.saturating_add(outcome.size());
        Some(*all)
    });
    sizes.take_while(|&all| all <= bytes).count().max(1).min(outcomes.len())
}

fn run(mut run: RunLoop<Threads>) {
    wait_for_workers(&mut run);
    while !is_over(&run) && run.turn() {}
    let RunLoop { mut schedule, environment } = run;
    let Threads { executor, input, clock, batches, save, .. } = environment;
    let workers = executor.end(schedule.peak_in_flight());
    drop(input);
    let end = Some(RunEnd { workers, network_losses: schedule.network_losses() });
    let (account, certainty) = (schedule.account(clock.now()), schedule.certainty());
    let (outcomes, outcome_counts) = (Vec::new(), Vec::new());
    let silent = save.and_then(|_| schedule.save_silent(true)).map(Box::new);
    let _ = batches.send(Batch { outcomes, outcome_counts, account, certainty, silent, end });
}

/// Waits until every worker is ready, or the time for that has passed.
fn wait_for_workers(run: &mut RunLoop<Threads>) {
    while !is_over(run) {
        let Some(barrier) = run.environment.executor.barrier() else { return };
        let mut select = Select::new();
        let opened = select.recv(barrier);
        select.recv(&run.environment.stops);
        if select.ready() == opened {
            return;
        }
        run.take_stop(run.environment.now());
    }
}

fn is_over(run: &RunLoop<Threads>) -> bool {
    let Threads { end, clock, .. } = &run.environment;
    run.schedule.is_finished() || end.is_some_and(|end| end <= clock.now())
}

impl Environment for Threads {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn take_stop(&mut self, now: Instant) -> bool {
        let ends = self.stops.try_iter().map(|within| now.after(within)).min();
        self.end = self.end.into_iter().chain(ends).min();
        ends.is_some()
    }

    fn take_reports(&mut self) -> Option<Vec<Report>> {
        assert!(self.panics.is_empty(), "a worker thread of portmuster panicked");
        let reports = self.reports.try_recv().ok()?;
        self.executor.reported(&reports);
        Some(reports.ended)
    }

    fn take_lookup(&mut self, _now: Instant) -> Option<(Question, Lookup)> {
        self.resolver.end_overdue();
        let answer = self.resolver.answers().try_recv().ok()?;
        self.resolver.taken();
        Some(answer)
    }

    fn take_target(&mut self) -> NextInput<Target> {
        self.input.try_next()
    }

    fn capacity(&self) -> usize {
        self.executor.current_capacity()
    }

    fn queued(&self) -> usize {
        self.executor.queued()
    }

    fn backlog_room(&self) -> usize {
        self.executor.backlog_room()
    }

    fn begin(&mut self, start: Start) {
        self.executor.begin(start);
    }

    fn flush(&mut self) {
        self.executor.flush();
    }

    fn can_look_up(&self) -> bool {
        self.resolver.has_room()
    }

    fn look_up(&mut self, question: &Question, _now: Instant) {
        self.resolver.ask(question);
    }

    fn hand_out(&mut self, schedule: &mut Schedule) -> bool {
        let mut outcomes = schedule.take_outcomes();
        let mut outcome_counts = schedule.take_outcome_counts();
        let is_empty = outcomes.is_empty() && outcome_counts.is_empty();
        let now = self.clock.now();
        if is_empty && now < self.beat {
            return true;
        }
        self.beat = now.after(BEAT);
        if is_empty && !self.batches.is_empty() {
            // The consumer has batches to take, so it needs no account.
            return true;
        }
        let account = schedule.account(now);
        let is_due = self.save.is_some_and(|due| due <= now);
        let saved = self.save.and_then(|_| schedule.save_silent(is_due));
        if is_due {
            self.save = Some(now.after(SAVE_EVERY));
        }
        let mut silent = saved.map(Box::new);
        loop {
            let rest = outcomes.split_off(fitting(&outcomes, self.batch_bytes));
            let outcome_counts = std::mem::take(&mut outcome_counts);
            let certainty = schedule.certainty();
            let batch = Batch {
                outcomes,
                outcome_counts,
                account,
                certainty,
                silent: silent.take(),
                end: None,
            };
            if !self.batches.send(batch) {
                return false;
            }
            if rest.is_empty() {
                return true;
            }
            outcomes = rest;
        }
    }

    fn wait(&mut self, schedule: &Schedule) {
        let mut select = Select::new();
        select.recv(&self.reports);
        select.recv(self.resolver.answers());
        select.recv(&self.stops);
        select.recv(&self.panics);
        if schedule.has_room() {
            self.input.watch(&mut select);
        }
        let wake = schedule.next_timeout().into_iter().chain(self.end);
        let at = wake.fold(self.beat, std::cmp::min);
        let _ = select.ready_deadline(self.clock.std(at));
    }
}
