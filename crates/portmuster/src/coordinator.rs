//! The thread in which one run's schedule lives: it takes targets in, tells workers what to
//! start, asks for names, and hands outcomes out.
//!
//! Invariant: nothing here waits in a circle. The input has a thread of its own, so an input that
//! blocks holds up nobody. Workers and the resolver never block on what they say: their queues
//! have room for all that they were asked. Only the consumer may hold the coordinator up, and it
//! waits for nothing else.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Select, Sender, bounded};

use crate::{
    attempt::Rules,
    clock::{Clock, Instant},
    config::Config,
    driver::{descriptors, tcp},
    input::{BoxedIterator, InputThread, NextInput},
    memory::Memory,
    method::{
        self, Executor, InFlight, Panics, Plan, Reports, Size, StartError, WorkerContext,
        WorkersReport,
    },
    outcome::{Account, Outcome},
    positions::{OutcomeCount, Positions},
    resolver::Resolver,
    schedule::{Policy, Schedule, Stopped},
    targets::{Excludes, Target},
    workers::Program,
};

/// Targets that are taken before they are wanted: as many as a loop is given ahead, because the
/// thread that takes them waits for its turn as well.
const AHEAD: usize = 4096;
/// Between two accounts that the consumer gets although there is no outcome.
const BEAT: Duration = Duration::from_millis(500);
/// Batches of outcomes that wait for the consumer.
const BATCHES_MAX: usize = 16;
/// The outcomes of a batch take this part of the memory that conversations may have, so that those
/// of all batches together take half of it.
const BATCH_PART: u64 = 2 * BATCHES_MAX as u64;
/// Requests to stop that may wait; one is enough, and none is worth waiting for.
const STOPS_MAX: usize = 4;

/// What of the targets is passed over or left.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunScope {
    /// What is never connected to.
    pub(crate) excludes: Arc<Excludes>,
    /// Positions that an earlier run has settled.
    pub(crate) settled: Positions,
    /// What becomes of targets that wait for another attempt when the run is stopped.
    pub(crate) stopped: Stopped,
}

/// Outcomes that became known together, and the account up to them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) outcomes: Vec<Outcome>,
    /// Positions that have another number of outcomes than one; they count before the outcomes.
    pub(crate) odd: Vec<OutcomeCount>,
    pub(crate) account: Account,
    /// How the workers fared; told at the end.
    pub(crate) workers: Option<WorkersReport>,
}

/// A run, as its consumer sees it.
#[derive(Debug)]
pub(crate) struct Run {
    /// Wants the targets, once.
    pub(crate) targets: Sender<BoxedIterator<Target>>,
    pub(crate) batches: Receiver<Batch>,
    /// Asks the run to end within this time.
    pub(crate) stops: Sender<Duration>,
    pub(crate) in_flight: InFlight,
    pub(crate) thread: JoinHandle<()>,
}

struct Coordinator {
    clock: Clock,
    schedule: Schedule,
    executor: Executor,
    resolver: Resolver,
    reports: Receiver<Reports>,
    panics: Receiver<()>,
    input: InputThread<Target>,
    stops: Receiver<Duration>,
    /// Set when the run was asked to end.
    end: Option<Instant>,
    /// When the consumer is told the account although there is no outcome.
    beat: Instant,
    batches: Sender<Batch>,
    /// Bytes of outcomes in one batch, unless it is a single one.
    batch_bytes: usize,
}

/// Starts the threads of a run. They wait for the targets, so that a machine which can't start
/// them leaves the targets where they are.
pub(crate) fn start(
    config: &Config,
    size: Size,
    program: Option<&Program>,
    walk: &RunScope,
) -> Result<Run, StartError> {
    if let Some(source_address) = config.source {
        tcp::can_be_source(source_address)
            .map_err(|errno| StartError::Source { source_address, error: errno.into() })?;
    }
    let clock = Clock::start();
    let budget = descriptors::budget();
    let plan = Plan::new(config, size, program);
    // Each is reported when it begins and when it ends.
    let (reports_in, reports) = bounded(2 * plan.unreported());
    let (panics_in, panics) = bounded(1);
    let rules = Rules::from(config);
    let setting = WorkerContext {
        clock,
        rules,
        source: config.source,
        memory: Memory::new(usize::try_from(plan.memory).unwrap_or(usize::MAX)),
        reports: reports_in,
        panics: Panics::Told(panics_in),
    };
    let executor = Executor::start(&plan, &setting)?;
    debug_assert!(executor.capacity() <= plan.unreported(), "there is room for every report");
    let in_flight = plan.given(config, &executor);
    let policy = Policy {
        in_flight: executor.capacity(),
        rate: config.rate,
        per_host: config.per_host,
        host_timeout: config.host_timeout,
        waiting: method::waiting_targets(),
        retries: config.retries,
        speak_first: config.speak_first,
        addresses: config.addresses,
        excludes: Arc::clone(&walk.excludes),
        stopped: walk.stopped,
    };
    let (batches_in, batches) = bounded(BATCHES_MAX);
    let (stops_in, stops) = bounded(STOPS_MAX);
    let (input, targets_in) = InputThread::start(AHEAD).map_err(StartError::Thread)?;
    let coordinator = Coordinator {
        clock,
        schedule: Schedule::new(policy, clock.wall_start()).resuming(&walk.settled),
        executor,
        resolver: Resolver::new(budget.lookups),
        reports,
        panics,
        input,
        stops,
        end: None,
        beat: Instant::START.after(BEAT),
        batches: batches_in,
        batch_bytes: usize::try_from(plan.memory / BATCH_PART).unwrap_or(usize::MAX),
    };
    let thread = thread::Builder::new().name("portmuster-run".into());
    let thread = thread.spawn(move || coordinator.run()).map_err(StartError::Thread)?;
    Ok(Run { targets: targets_in, batches, stops: stops_in, in_flight, thread })
}

/// How many of these outcomes take no more than so many bytes; one at least.
fn fitting(outcomes: &[Outcome], bytes: usize) -> usize {
    let sizes = outcomes.iter().scan(0_usize, |all, outcome| {
        *all = all.saturating_add(outcome.size());
        Some(*all)
    });
    sizes.take_while(|&all| all <= bytes).count().max(1).min(outcomes.len())
}

impl Coordinator {
    fn run(mut self) {
        self.wait_for_workers();
        while !self.is_over() && self.turn() {}
        let Self { executor, input, schedule, clock, batches, .. } = self;
        let workers = Some(executor.end(schedule.peak_in_flight()));
        drop(input);
        let account = schedule.account(clock.now());
        let _ = batches.send(Batch { outcomes: Vec::new(), odd: Vec::new(), account, workers });
    }

    /// Starts nothing before every worker stands at the line, or the time for that has passed.
    fn wait_for_workers(&mut self) {
        while !self.is_over() {
            let Some(barrier) = self.executor.barrier() else { return };
            let mut select = Select::new();
            let opened = select.recv(barrier);
            select.recv(&self.stops);
            if select.ready() == opened {
                return;
            }
            self.take_stops(self.clock.now());
        }
    }

    /// Deals with all that has come, and waits for more; false when nobody wants the outcomes.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        self.take_stops(now);
        self.take_reports(now);
        self.take_names(now);
        self.take_targets(now);
        self.schedule.set_room(self.executor.room());
        self.begin(now);
        self.begin_lookups(now);
        let wanted = self.hand_out();
        if wanted && !self.schedule.is_finished() {
            self.wait();
        }
        wanted
    }

    fn begin(&mut self, now: Instant) {
        while self.executor.backlog_room() > 0
            && let Some(start) = self.schedule.next_start(now)
        {
            self.executor.begin(start);
        }
        self.executor.flush();
        self.schedule.set_backlogged(self.executor.backlog_room() == 0);
    }

    fn is_over(&self) -> bool {
        self.schedule.is_finished() || self.end.is_some_and(|end| end <= self.clock.now())
    }

    fn take_stops(&mut self, now: Instant) {
        for within in self.stops.try_iter() {
            let end = now.after(within);
            self.end = Some(self.end.map_or(end, |earlier| earlier.min(end)));
            self.schedule.stop(now);
        }
    }

    fn take_reports(&mut self, now: Instant) {
        for reports in self.reports.try_iter() {
            self.executor.reported(&reports);
            self.schedule.set_queued(self.executor.queued());
            for report in reports.ended {
                self.schedule.settle(report, now);
            }
        }
        assert!(self.panics.is_empty(), "a worker thread of portmuster panicked");
    }

    fn take_names(&mut self, now: Instant) {
        self.resolver.end_overdue();
        while let Ok((question, lookup)) = self.resolver.answers().try_recv() {
            self.resolver.taken();
            self.schedule.lookup_ended(&question, lookup, now);
        }
    }

    fn take_targets(&mut self, now: Instant) {
        while self.schedule.has_room() {
            match self.input.try_next() {
                NextInput::Item(target) => self.schedule.add(target, now),
                NextInput::Pending => break,
                NextInput::Ended => self.schedule.input_ended(),
            }
        }
    }

    fn begin_lookups(&mut self, now: Instant) {
        while self.resolver.has_room()
            && let Some(question) = self.schedule.wanted_lookup(now)
        {
            self.resolver.ask(question);
            self.schedule.lookup_began();
        }
    }

    /// Backend out what became known; false when nobody wants it.
    fn hand_out(&mut self) -> bool {
        let mut outcomes = self.schedule.take_outcomes();
        let mut odd = self.schedule.take_odd();
        let is_empty = outcomes.is_empty() && odd.is_empty();
        let now = self.clock.now();
        if is_empty && now < self.beat {
            return true;
        }
        self.beat = now.after(BEAT);
        if is_empty && !self.batches.is_empty() {
            // Whoever has batches waiting needs no beat.
            return true;
        }
        let account = self.schedule.account(now);
        loop {
            let rest = outcomes.split_off(fitting(&outcomes, self.batch_bytes));
            let odd = std::mem::take(&mut odd);
            if self.batches.send(Batch { outcomes, odd, account, workers: None }).is_err() {
                return false;
            }
            if rest.is_empty() {
                return true;
            }
            outcomes = rest;
        }
    }

    /// Waits until something has come or the schedule wants to be asked again.
    fn wait(&self) {
        let mut select = Select::new();
        select.recv(&self.reports);
        select.recv(self.resolver.answers());
        select.recv(&self.stops);
        select.recv(&self.panics);
        if self.schedule.has_room() {
            self.input.watch(&mut select);
        }
        let wake = self.schedule.wake_at().into_iter().chain(self.end);
        let at = wake.fold(self.beat, std::cmp::min);
        let _ = select.ready_deadline(self.clock.std(at));
    }
}
