//! The front door: [`check_a_port`], [`check_ports`], and [`Checker`] for everything else.

use std::{fmt, iter::FusedIterator, panic, sync::Arc, time::Duration, vec};

use crossbeam_channel::{RecvTimeoutError, Sender};

use crate::{
    clock::Clock,
    config::{Config, ConfigError, Probing},
    coordinator::{self, Batch, Run, RunScope},
    input::BoxedIterator,
    method::{InFlight, Method, Size, StartError, WorkersReport},
    outcome::{Account, Outcome, PortState, Reason, Verdict},
    positions::{Positions, SettledTracker, Unsettled},
    schedule::Stopped,
    targets::{Excludes, Host, Target},
    workers::Program,
};

/// Checks whether one port is open: the name's addresses in the resolver's order until one
/// accepts, 10 s each.
///
/// It only connects, once to each; [`Checker`] also reads what the server says. Raises this
/// process's soft limit of descriptors to its hard limit.
///
/// # Panics
/// Never: every target gets an outcome.
///
/// ```
/// let (host, port, open) = portmuster::check_a_port("127.0.0.1", 1).into();
/// # let _ = (host, port, open);
/// ```
pub fn check_a_port(host: impl Into<Host>, port: u16) -> Outcome {
    let host: Host = host.into();
    let config = Config { method: Method::Serial, ..connect_only() };
    let mut outcomes = check_or_refuse(config, std::iter::once((host, port)));
    outcomes.next().expect("every target gets an outcome")
}

/// Checks ports side by side; the outcomes come as they become known, in any order.
///
/// Targets are taken from the iterator, in a thread of its own, only as they are wanted, so it
/// may be endless. The settings are [`Config`]'s defaults, but it only connects, once to each
/// address; [`Checker`] also reads what the servers say. Raises this process's soft limit of
/// descriptors to its hard limit. On a machine that can start neither threads nor a poller every
/// outcome is [unchecked](PortState::Unchecked).
///
/// ```
/// for outcome in portmuster::check_ports([("127.0.0.1", 22), ("localhost", 23)]) {
///     let (host, port, open) = outcome.into();
///     println!("{host} {port} {open}");
/// }
/// ```
pub fn check_ports<I>(targets: I) -> Outcomes
where
    I: IntoIterator,
    I::Item: Into<Target>,
    I::IntoIter: Send + 'static,
{
    check_or_refuse(connect_only(), targets)
}

fn connect_only() -> Config {
    Config { probing: Probing::ConnectOnly, retries: 0, ..Config::default() }
}

fn check_or_refuse<I>(config: Config, targets: I) -> Outcomes
where
    I: IntoIterator,
    I::Item: Into<Target>,
    I::IntoIter: Send + 'static,
{
    let targets = boxed(targets);
    let checker = Checker::new(config).expect("the defaults are settings that a run can have");
    match checker.start() {
        Ok(run) => Outcomes::running(run, targets, Positions::new()),
        Err(_) => Source::Refused(targets, Clock::start()).into(),
    }
}

fn boxed<I>(targets: I) -> BoxedIterator<Target>
where
    I: IntoIterator,
    I::Item: Into<Target>,
    I::IntoIter: Send + 'static,
{
    Box::new(Wanted(targets.into_iter()))
}

/// What can be made a target; passing over some costs what it costs the iterator.
struct Wanted<I>(I);

impl<I: Iterator<Item: Into<Target>>> Iterator for Wanted<I> {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        self.0.next().map(Into::into)
    }

    fn nth(&mut self, place: usize) -> Option<Target> {
        self.0.nth(place).map(Into::into)
    }
}

/// Checks targets as its [`Config`] says.
///
/// ```
/// use portmuster::{Checker, Config, Method};
///
/// let checker = Checker::new(Config { method: Method::Threads, ..Config::default() })?;
/// for outcome in checker.check([("127.0.0.1", 1), ("localhost", 1)])? {
///     println!("{}: {}", outcome.target, outcome.verdict.state);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Checker {
    config: Config,
    size: Size,
    workers: Option<Program>,
    walk: RunScope,
}

impl Checker {
    /// A checker with these settings.
    ///
    /// # Errors
    /// A setting that no run could have.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let size = config.validated_size()?;
        Ok(Self { config, size, workers: None, walk: RunScope::default() })
    }

    /// The program that is started for each worker process, of a method that
    /// [has them](Method::has_processes): it calls [`worker_main`](crate::worker_main).
    #[must_use]
    pub fn with_workers(self, program: Program) -> Self {
        Self { workers: Some(program), ..self }
    }

    /// Never connects to these, by whatever name a target leads to them. A target of which
    /// nothing is left is [counted](Account::excluded) and has no outcome. Names among them that were
    /// not [looked up](Excludes::resolve) are, before a run starts.
    #[must_use]
    pub fn excluding(self, excludes: Excludes) -> Self {
        Self { walk: RunScope { excludes: Arc::new(excludes), ..self.walk }, ..self }
    }

    /// Goes on where another run was left: the targets at these positions, which it has
    /// [settled](Outcomes::settled), are passed over, and the rest have the positions that they had.
    /// The targets must come in the same order; those of a
    /// [set](crate::targets::TargetSet::into_targets) do, and passing over any number of them costs
    /// nothing.
    #[must_use]
    pub fn resuming(self, settled: Positions) -> Self {
        Self { walk: RunScope { settled, ..self.walk }, ..self }
    }

    /// When the run is [stopped](Stopper::stop), targets that wait for another attempt are
    /// [left](Account::left) to a run that [goes on](Self::resuming). Otherwise they end with the
    /// verdict that they have.
    #[must_use]
    pub fn resumable(self) -> Self {
        Self { walk: RunScope { stopped: Stopped::Left, ..self.walk }, ..self }
    }

    /// Starts a run over the targets. Every target gets exactly one outcome; they come as they
    /// become known, in any order, and nothing is started that is not soon to be taken: a
    /// consumer that stops taking stops the run.
    ///
    /// Raises this process's soft limit of descriptors to its hard limit.
    ///
    /// # Errors
    /// This machine could not start threads, a poller, or worker processes; nobody has said
    /// which program [those](Self::with_workers) are; or an [excluded](Self::excluding) name can't be
    /// looked up.
    pub fn check<I>(&self, targets: I) -> Result<Outcomes, StartError>
    where
        I: IntoIterator,
        I::Item: Into<Target>,
        I::IntoIter: Send + 'static,
    {
        let run = self.start()?;
        let targets = boxed(targets);
        let settled = self.walk.settled.clone();
        if settled.is_empty() {
            return Ok(Outcomes::running(run, targets, settled));
        }
        Ok(Outcomes::running(run, Box::new(Unsettled::new(targets, &settled)), settled))
    }

    fn start(&self) -> Result<Run, StartError> {
        let (config, workers) = (&self.config, self.workers.as_ref());
        if self.walk.excludes.unresolved().len() == 0 {
            return coordinator::start(config, self.size, workers, &self.walk);
        }
        let mut walk = self.walk.clone();
        Arc::make_mut(&mut walk.excludes).resolve()?;
        coordinator::start(config, self.size, workers, &walk)
    }
}

/// The outcomes of a run, as they become known.
///
/// Dropping it ends the run: every connection is closed and every thread has ended when the drop
/// returns, but for a name lookup or a call into the targets' iterator that is under way.
///
/// # Panics
/// [`Iterator::next`] panics when the targets' iterator has.
#[derive(Debug)]
pub struct Outcomes {
    source: Source,
    batch: vec::IntoIter<Outcome>,
    settling: SettledTracker,
    account: Account,
    workers: WorkersReport,
}

enum Source {
    Running(Run),
    /// This machine could not start the run.
    Refused(BoxedIterator<Target>, Clock),
    Over,
}

impl Outcomes {
    fn running(run: Run, targets: BoxedIterator<Target>, settled: Positions) -> Self {
        // Refused only when the run's threads have panicked, which the first `next` tells.
        let _ = run.targets.send(targets);
        let mut outcomes = Self::from(Source::Running(run));
        outcomes.settling = SettledTracker::new(settled);
        outcomes
    }

    /// The next outcome, if one comes within this time; the [account](Self::account) is kept up
    /// to date meanwhile.
    ///
    /// # Panics
    /// The targets' iterator has.
    pub fn next_timeout(&mut self, limit: Duration) -> Next {
        if let Source::Running(run) = &self.source
            && self.batch.len() == 0
        {
            match run.batches.recv_timeout(limit) {
                Ok(batch) => self.take(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.end(),
            }
            return match self.next_of_batch() {
                Some(outcome) => Next::Outcome(outcome),
                None if matches!(self.source, Source::Over) => Next::Ended,
                None => Next::TimedOut,
            };
        }
        self.next().map_or(Next::Ended, Next::Outcome)
    }

    fn next_of_batch(&mut self) -> Option<Outcome> {
        let outcome = self.batch.next()?;
        self.settling.record_outcome(outcome.position);
        Some(outcome)
    }

    fn take(&mut self, Batch { outcomes, odd, account, workers }: Batch) {
        self.batch = outcomes.into_iter();
        for odd in odd {
            self.settling.set_outcome_count(odd);
        }
        self.account = account;
        self.workers = workers.unwrap_or_default();
    }

    /// Whether the next outcome would have to be waited for: the moment to flush what was made of
    /// those before.
    #[must_use]
    pub fn would_wait(&self) -> bool {
        self.batch.len() == 0
            && match &self.source {
                Source::Running(run) => run.batches.is_empty(),
                Source::Refused(..) | Source::Over => false,
            }
    }

    /// Whether all that the [account](Self::account) counts was handed out.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.batch.len() == 0
    }

    /// The positions of all targets of which nothing more will come: those of which everything was
    /// handed out, and those that an [earlier run](Checker::resuming) had settled. A target that is
    /// excluded has its position here although it has no outcome.
    #[must_use]
    pub fn settled(&self) -> &Positions {
        self.settling.settled()
    }

    /// The sum so far; complete once the iterator has ended. It may count outcomes that are about
    /// to be handed out, unless it [is even](Self::is_drained).
    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }

    /// How the workers fared, and what each did; known once the iterator has ended.
    #[must_use]
    pub fn workers(&self) -> &WorkersReport {
        &self.workers
    }

    /// How many attempts the run may have in flight, and what this system has not enough of when
    /// these are fewer than its settings allow. `None`: the run has ended, or could not be started.
    #[must_use]
    pub fn in_flight(&self) -> Option<InFlight> {
        match &self.source {
            Source::Running(run) => Some(run.in_flight),
            Source::Refused(..) | Source::Over => None,
        }
    }

    /// What stops the run from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        match &self.source {
            Source::Running(run) => Stopper(Some(run.stops.clone())),
            Source::Refused(..) | Source::Over => Stopper(None),
        }
    }

    /// Waits for the threads; their panic becomes the consumer's.
    fn end(&mut self) {
        if let Source::Running(run) = std::mem::replace(&mut self.source, Source::Over)
            && let Err(payload) = run.thread.join()
        {
            panic::resume_unwind(payload);
        }
    }
}

impl From<Source> for Outcomes {
    fn from(source: Source) -> Self {
        Self {
            source,
            batch: Vec::new().into_iter(),
            settling: SettledTracker::default(),
            account: Account::default(),
            workers: WorkersReport::default(),
        }
    }
}

impl Iterator for Outcomes {
    type Item = Outcome;

    fn next(&mut self) -> Option<Outcome> {
        loop {
            if let Some(outcome) = self.next_of_batch() {
                return Some(outcome);
            }
            match &mut self.source {
                Source::Over => return None,
                Source::Refused(targets, clock) => {
                    let Some(target) = targets.next() else {
                        self.source = Source::Over;
                        return None;
                    };
                    let outcome = refused(target, self.account.targets, clock);
                    self.settling.record_outcome(outcome.position);
                    self.account.targets += 1;
                    self.account.add(&outcome.verdict);
                    return Some(outcome);
                }
                Source::Running(run) => match run.batches.recv() {
                    Ok(batch) => self.take(batch),
                    Err(_) => self.end(),
                },
            }
        }
    }
}

impl FusedIterator for Outcomes {}

impl Drop for Outcomes {
    fn drop(&mut self) {
        self.stopper().stop(Duration::ZERO);
        if let Source::Running(Run { batches, thread, .. }) =
            std::mem::replace(&mut self.source, Source::Over)
        {
            // First what the coordinator may be waiting for.
            drop(batches);
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Running(_) => "Running",
            Self::Refused(..) => "Refused",
            Self::Over => "Over",
        })
    }
}

/// What [`Outcomes::next_timeout`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is moved once; a box for each costs more")]
pub enum Next {
    /// The next outcome.
    Outcome(Outcome),
    /// None has become known.
    TimedOut,
    /// There are no more.
    Ended,
}

/// Stops a run, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Option<Sender<Duration>>);

impl Stopper {
    /// Starts nothing more, and ends the run as soon as all that is in flight has its outcome, at
    /// the latest after this time. Targets without an outcome are then
    /// [left](Account::left).
    pub fn stop(&self, within: Duration) {
        if let Some(stops) = &self.0 {
            // Full only when it has been asked to stop several times already.
            let _ = stops.try_send(within);
        }
    }
}

/// The outcome of a target in a run that this machine could not start.
fn refused(target: Target, position: u64, clock: &Clock) -> Outcome {
    Outcome {
        target,
        position,
        endpoint: None,
        verdict: Verdict::unconnected(PortState::Unchecked, Reason::NotStarted, Duration::ZERO),
        attempts: 0,
        time: clock.now().wall_time(clock.wall_start()),
    }
}
