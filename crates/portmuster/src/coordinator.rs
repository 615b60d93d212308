//! The thread in which one run's schedule lives: it takes targets in, tells workers what to
//! start, asks for names, and hands outcomes out.
//!
//! Invariant: nothing here waits in a circle. The input has a thread of its own, so an input that
//! blocks holds up nobody. Workers and the resolver never block on what they say: their queues
//! have room for all that they were asked. Only the consumer may hold the coordinator up, and it
//! waits for nothing else.

use std::{
    panic,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, TryRecvError, bounded};

use crate::{
    check::Rules,
    clock::{Clock, Instant},
    config::Config,
    driver::{descriptors, tcp},
    method::{Crew, Reports, Setting, StartError},
    outcome::{Account, Outcome},
    resolver::Resolver,
    schedule::{Policy, Schedule},
    targets::{Excludes, Target},
};

/// Targets that are taken from the input before the schedule wants them.
const INPUT_MAX: usize = 1024;
/// How long the end of a run waits for the targets' iterator to answer.
const INPUT_GRACE: Duration = Duration::from_millis(100);
/// Between two accounts that the consumer gets although there is no outcome.
const BEAT: Duration = Duration::from_millis(500);
/// Batches of outcomes that wait for the consumer.
const BATCHES_MAX: usize = 16;
/// Requests to stop that may wait; one is enough, and none is worth waiting for.
const STOPS_MAX: usize = 4;

/// Outcomes that became known together, and the account up to them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) account: Account,
}

/// The targets of a run.
pub(crate) type BoxedTargets = Box<dyn Iterator<Item = Target> + Send>;

/// A run, as its consumer sees it.
#[derive(Debug)]
pub(crate) struct Run {
    /// Wants the targets, once.
    pub(crate) targets: Sender<BoxedTargets>,
    pub(crate) batches: Receiver<Batch>,
    /// Asks the run to end within this time.
    pub(crate) stops: Sender<Duration>,
    pub(crate) thread: JoinHandle<()>,
}

struct Coordinator {
    clock: Clock,
    schedule: Schedule,
    crew: Crew,
    resolver: Resolver,
    reports: Receiver<Reports>,
    panics: Receiver<()>,
    /// `None` once the input has ended.
    input: Option<Input>,
    stops: Receiver<Duration>,
    /// Set when the run was asked to end.
    end: Option<Instant>,
    /// When the consumer is told the account although there is no outcome.
    beat: Instant,
    batches: Sender<Batch>,
}

struct Input {
    targets: Receiver<Target>,
    /// Closed when the thread is about to end.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// Starts the threads of a run. They wait for the targets, so that a machine which can't start
/// them leaves the targets where they are.
pub(crate) fn start(
    config: &Config,
    workers: usize,
    excludes: &Arc<Excludes>,
) -> Result<Run, StartError> {
    if let Some(source_address) = config.source {
        tcp::can_be_source(source_address)
            .map_err(|errno| StartError::Source { source_address, error: errno.into() })?;
    }
    let clock = Clock::start();
    let budget = descriptors::budget();
    let in_flight = config.in_flight.min(budget.attempts);
    let (reports_in, reports) = bounded(in_flight);
    let (panics_in, panics) = bounded(1);
    let rules = Rules::from(config);
    let source = config.source;
    let setting = Setting { clock, rules, source, reports: reports_in, panics: panics_in };
    let crew = Crew::start(config.method, workers, in_flight, &setting)?;
    let policy = Policy {
        in_flight: crew.capacity(),
        rate: config.rate,
        per_host: config.per_host,
        retries: config.retries,
        addresses: config.addresses,
        excludes: Arc::clone(excludes),
    };
    let (batches_in, batches) = bounded(BATCHES_MAX);
    let (stops_in, stops) = bounded(STOPS_MAX);
    let (targets_in, targets) = bounded(1);
    let coordinator = Coordinator {
        clock,
        schedule: Schedule::new(policy, clock.wall_start()),
        crew,
        resolver: Resolver::new(budget.lookups),
        reports,
        panics,
        input: Some(feed(targets)?),
        stops,
        end: None,
        beat: Instant::START.after(BEAT),
        batches: batches_in,
    };
    let thread = spawn("portmuster-run", move || coordinator.run())?;
    Ok(Run { targets: targets_in, batches, stops: stops_in, thread })
}

/// Takes the targets from their iterator in a thread of its own, as they are wanted.
fn feed(source: Receiver<BoxedTargets>) -> Result<Input, StartError> {
    let (queue, targets) = bounded(INPUT_MAX);
    let (ending, ended) = bounded(0);
    let thread = spawn("portmuster-input", move || {
        let _ending: Sender<()> = ending;
        for target in source.iter().take(1).flatten() {
            if queue.send(target).is_err() {
                return;
            }
        }
    })?;
    Ok(Input { targets, ended, thread })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)
}

impl Input {
    /// Wants no more targets. While the thread waits for the targets' iterator nothing can end
    /// it; then it is left alone, and ends as soon as the iterator answers.
    fn leave(self) {
        drop(self.targets);
        if self.ended.recv_timeout(INPUT_GRACE) == Err(RecvTimeoutError::Disconnected) {
            // Its panic would have been the iterator's, in targets that nobody wants.
            let _ = self.thread.join();
        }
    }
}

impl Coordinator {
    fn run(mut self) {
        while !self.is_over() && self.turn() {}
        let Self { crew, input, schedule, clock, batches, .. } = self;
        drop(crew);
        if let Some(input) = input {
            input.leave();
        }
        let account = schedule.account(clock.now());
        let _ = batches.send(Batch { outcomes: Vec::new(), account });
    }

    /// Deals with all that has come, and waits for more; false when nobody wants the outcomes.
    fn turn(&mut self) -> bool {
        let now = self.clock.now();
        self.take_stops(now);
        self.take_reports(now);
        self.take_names(now);
        self.take_targets(now);
        while let Some(start) = self.schedule.next_start(now) {
            self.crew.begin(start);
        }
        self.crew.flush();
        self.begin_lookups();
        let wanted = self.hand_out();
        if wanted && !self.schedule.is_finished() {
            self.wait();
        }
        wanted
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
        for (lane, reports) in self.reports.try_iter() {
            self.crew.reported(lane, reports.len());
            for report in reports {
                self.schedule.settle(report, now);
            }
        }
        assert!(self.panics.is_empty(), "a worker thread of portmuster panicked");
    }

    fn take_names(&mut self, now: Instant) {
        while let Ok((name, lookup)) = self.resolver.answers().try_recv() {
            self.resolver.taken();
            self.schedule.lookup_ended(&name, &lookup, now);
        }
    }

    fn take_targets(&mut self, now: Instant) {
        while self.schedule.has_room()
            && let Some(input) = &self.input
        {
            match input.targets.try_recv() {
                Ok(target) => self.schedule.add(target, now),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.schedule.input_ended();
                    // An input that panicked has not ended: its consumer is to know.
                    if let Some(Err(payload)) = self.input.take().map(|input| input.thread.join()) {
                        panic::resume_unwind(payload);
                    }
                }
            }
        }
    }

    fn begin_lookups(&mut self) {
        while self.resolver.has_room()
            && let Some(name) = self.schedule.wanted_lookup()
        {
            self.resolver.ask(name);
            self.schedule.lookup_began();
        }
    }

    /// Hands out what became known; false when nobody wants it.
    fn hand_out(&mut self) -> bool {
        let outcomes: Vec<_> = std::iter::from_fn(|| self.schedule.next_outcome()).collect();
        let now = self.clock.now();
        if outcomes.is_empty() && now < self.beat {
            return true;
        }
        self.beat = now.after(BEAT);
        if outcomes.is_empty() && !self.batches.is_empty() {
            // Whoever has batches waiting needs no beat.
            return true;
        }
        let account = self.schedule.account(now);
        self.batches.send(Batch { outcomes, account }).is_ok()
    }

    /// Waits until something has come or the schedule wants to be asked again.
    fn wait(&self) {
        let mut select = Select::new();
        select.recv(&self.reports);
        select.recv(self.resolver.answers());
        select.recv(&self.stops);
        select.recv(&self.panics);
        if self.schedule.has_room()
            && let Some(input) = &self.input
        {
            select.recv(&input.targets);
        }
        let wake = self.schedule.wake_at().into_iter().chain(self.end);
        let at = wake.fold(self.beat, std::cmp::min);
        let _ = select.ready_deadline(self.clock.std(at));
    }
}
