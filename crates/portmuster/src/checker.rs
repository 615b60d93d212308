//! The main API: [`check_a_port`], [`check_ports`], and [`Checker`] for everything else.

#[cfg(feature = "stream")]
use std::task::{Poll, Waker};
use std::{fmt, iter::FusedIterator, panic, sync::Arc, time::Duration, vec};

#[cfg(feature = "stream")]
use crossbeam_channel::TryRecvError;
use crossbeam_channel::{RecvTimeoutError, Sender};

use crate::{
    clock::Clock,
    config::{Config, ConfigBuilder, Method, Probing},
    coordinator::{self, Batch, Run, RunScope},
    input::{BoxedIterator, known_length},
    method::{self, InFlight, Size, StartError, WorkersReport},
    outcome::{Account, Certainty, NetworkLoss, Outcome, PortState, Reason, Verdict},
    positions::{Positions, SettledTracker, Unsettled},
    schedule::{SilentState, Stopped},
    software::{Fingerprints, Identifier},
    targets::{Excludes, Host, Target},
    workers::Program,
};

/// Checks whether one port is open.
///
/// Tries the host's addresses in the resolver's order until one accepts, once each, with a timeout of
/// 10 s. It only connects; a [`Checker`] also reads what the server sends. Raises this process's soft
/// limit of descriptors to its hard limit.
///
/// ```
/// let (host, port, open) = portmuster::check_a_port("127.0.0.1", 1).into();
/// # let _ = (host, port, open);
/// ```
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "every target gets an outcome")]
pub fn check_a_port(host: impl Into<Host>, port: u16) -> Outcome {
    let host: Host = host.into();
    let settings = connect_only().method(Method::Serial);
    let mut outcomes = check_or_refuse(settings, std::iter::once((host, port)));
    outcomes.next().expect("every target gets an outcome")
}

/// Checks ports concurrently. The outcomes come as they become known, in any order.
///
/// A thread takes targets from the iterator as they are needed, so the iterator may be endless. The
/// settings are [`Config`]'s defaults, except that it only connects, once per address; a [`Checker`]
/// also reads what the servers send. Raises this process's soft limit of descriptors to its hard
/// limit. If this machine can't start the run, every outcome is [unchecked](PortState::Unchecked).
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

fn connect_only() -> ConfigBuilder {
    Config::builder().probing(Probing::ConnectOnly).retries(0)
}

fn check_or_refuse<I>(settings: ConfigBuilder, targets: I) -> Outcomes
where
    I: IntoIterator,
    I::Item: Into<Target>,
    I::IntoIter: Send + 'static,
{
    let targets = boxed(targets);
    let config = settings.build().expect("the constants are valid");
    match Checker::new(config).start(known_length(&targets)) {
        Ok(run) => Outcomes::running(run, targets, Positions::new(), SilentState::default()),
        Err(_) => Source::Refused(targets, Clock::start()).into(),
    }
}

fn boxed<I>(targets: I) -> BoxedIterator<Target>
where
    I: IntoIterator,
    I::Item: Into<Target>,
    I::IntoIter: Send + 'static,
{
    Box::new(IntoTargets(targets.into_iter()))
}

/// Converts items to targets. `nth` skips items without converting them.
struct IntoTargets<I>(I);

impl<I: Iterator<Item: Into<Target>>> Iterator for IntoTargets<I> {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        self.0.next().map(Into::into)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    fn nth(&mut self, place: usize) -> Option<Target> {
        self.0.nth(place).map(Into::into)
    }
}

/// Runs checks with the settings of a [`Config`].
///
/// ```
/// use portmuster::{Checker, Config, Method};
///
/// let checker = Checker::new(Config::builder().method(Method::Threads).build()?);
/// for outcome in checker.check([("127.0.0.1", 1), ("localhost", 1)])? {
///     println!("{}: {}", outcome.target, outcome.verdict.state);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Checker {
    config: Config,
    /// `None`: determined when a run starts.
    size: Option<Size>,
    workers: Option<Program>,
    scope: RunScope,
    fingerprints: Fingerprints,
}

impl Checker {
    /// Creates a checker with these settings. Nothing of this machine is examined before a run
    /// starts.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (scope, fingerprints) = (RunScope::default(), Fingerprints::built_in());
        Self { config, size: None, workers: None, scope, fingerprints }
    }

    /// Determines how many workers this machine allows now, instead of when a run starts.
    ///
    /// A program that prepares outputs before it starts a run learns of an impossible number of
    /// workers first, while nothing is changed. Raises this process's soft limit of descriptors to
    /// its hard limit.
    ///
    /// # Errors
    /// [`StartError::TooManyWorkers`]: the settings ask for more workers, or for more threads in
    /// each, than this machine allows. [`StartError::Preloaded`]: the run would bypass a library that
    /// intercepts connections.
    ///
    /// ```
    /// use portmuster::{Checker, Config, Method, StartError};
    ///
    /// let config = Config::builder().method(Method::Threads).workers(usize::MAX).build()?;
    /// let error = Checker::new(config).preflight().unwrap_err();
    /// assert!(matches!(error, StartError::TooManyWorkers { .. }));
    /// # Ok::<(), portmuster::ConfigError>(())
    /// ```
    pub fn preflight(self) -> Result<Self, StartError> {
        coordinator::refuse_preload(&self.config)?;
        Ok(Self { size: Some(method::size(&self.config)?), ..self })
    }

    /// Sets the program of each worker process, for methods that
    /// [have them](Method::has_processes). It must call [`worker_main`](crate::worker_main).
    #[must_use]
    pub fn with_workers(self, program: Program) -> Self {
        Self { workers: Some(program), ..self }
    }

    /// Sets addresses and names that are never connected to, whatever name of a target leads to them.
    ///
    /// A target without any other address is [counted](Account::excluded) and has no outcome. Excluded
    /// names that were not [resolved](Excludes::resolve) are looked up before a run starts.
    ///
    /// ```
    /// use portmuster::{Checker, Config, targets::Excludes};
    ///
    /// let mut excludes = Excludes::new();
    /// excludes.add("127.0.0.0/8")?;
    /// let checker = Checker::new(Config::default()).excluding(excludes);
    /// let mut outcomes = checker.check([("127.0.0.1", 22)])?;
    /// assert!(outcomes.next().is_none());
    /// assert_eq!(outcomes.account().excluded, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn excluding(self, excludes: Excludes) -> Self {
        Self { scope: RunScope { excludes: Arc::new(excludes), ..self.scope }, ..self }
    }

    /// Returns the settings of its runs.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sets the fingerprints that name the software of servers. By default these are the
    /// [built-in](Fingerprints::built_in) ones.
    #[must_use]
    pub fn identifying(self, fingerprints: Fingerprints) -> Self {
        Self { fingerprints, ..self }
    }

    /// Sets the host keys that are known: those of ssh servers are compared with them, and what differs is
    /// a finding. It needs [host keys](crate::config::ConfigBuilder::host_keys). Feature `host-keys`.
    #[cfg(feature = "host-keys")]
    #[must_use]
    pub fn knowing_keys(self, known_keys: crate::outcome::KnownKeys) -> Self {
        Self { scope: RunScope { known_keys: Some(Arc::new(known_keys)), ..self.scope }, ..self }
    }

    /// Resumes another run: skips the targets at the positions that it has
    /// [settled](Outcomes::settled). The other targets keep their positions.
    ///
    /// The targets must come in the same order, as those of a
    /// [set](crate::targets::TargetSet::into_targets) do, which skips any number of targets at no
    /// cost.
    #[must_use]
    pub fn resuming(self, settled: Positions) -> Self {
        Self { scope: RunScope { settled, ..self.scope }, ..self }
    }

    /// Resumes what another run knew of targets that [have not answered](Outcomes::silent): retries and
    /// samples go on where they were. Together with [`resuming`](Self::resuming), of the same run.
    #[must_use]
    pub fn resuming_silent(self, silent: SilentState) -> Self {
        Self { scope: RunScope { silent, ..self.scope }, ..self }
    }

    /// When the run is [stopped](Stopper::stop), leaves targets that wait for another attempt to a
    /// [resumed](Self::resuming) run; they count as [left](Account::left). Otherwise they end with the
    /// verdict that they have.
    #[must_use]
    pub fn resumable(self) -> Self {
        Self { scope: RunScope { stopped: Stopped::Left, ..self.scope }, ..self }
    }

    /// Starts a run over the targets.
    ///
    /// Every target gets exactly one outcome. Outcomes come as they become known, in any order. A
    /// consumer that stops taking them stops the run, because queues are bounded. Raises this process's
    /// soft limit of descriptors to its hard limit.
    ///
    /// # Errors
    /// The settings ask for more workers than this machine allows; it could not start threads, a
    /// poller or worker processes, or does not have the source address; the method has worker
    /// processes and no [program](Self::with_workers) was set; an [excluded](Self::excluding) name
    /// can't be looked up; the [proxy](crate::config::ConfigBuilder::proxy) can't be used, or may connect
    /// to what is excluded; or the run would bypass a library that intercepts connections.
    pub fn check<I>(&self, targets: I) -> Result<Outcomes, StartError>
    where
        I: IntoIterator,
        I::Item: Into<Target>,
        I::IntoIter: Send + 'static,
    {
        let targets = boxed(targets);
        let run = self.start(known_length(&targets))?;
        let (settled, silent) = (self.scope.settled.clone(), self.scope.silent.clone());
        let is_new = settled.is_empty();
        let targets = if is_new { targets } else { Box::new(Unsettled::new(targets, &settled)) };
        let mut outcomes = Outcomes::running(run, targets, settled, silent);
        outcomes.identifier = Identifier::new(self.fingerprints.clone());
        Ok(outcomes)
    }

    /// Starts the threads of a run with so many positions; `None` if their number is unknown.
    fn start(&self, positions: Option<u64>) -> Result<Run, StartError> {
        let (config, workers) = (&self.config, self.workers.as_ref());
        let size = self.size.map_or_else(|| method::size(config), Ok)?;
        if self.scope.excludes.unresolved().len() == 0 {
            return coordinator::start(config, size, workers, &self.scope, positions);
        }
        let mut scope = self.scope.clone();
        Arc::make_mut(&mut scope.excludes).resolve()?;
        coordinator::start(config, size, workers, &scope, positions)
    }
}

/// An iterator over the outcomes of a run, as they become known.
///
/// With the feature `stream`, `into_stream` converts it to a stream for `async` code.
///
/// Dropping it ends the run. When the drop returns, all connections are closed and all threads have
/// ended, except for a name lookup or a call of the targets' iterator that has not returned.
///
/// # Panics
/// [`Iterator::next`] panics if the targets' iterator has panicked.
#[derive(Debug)]
#[must_use = "dropping the outcomes ends the run"]
pub struct Outcomes {
    source: Source,
    batch: vec::IntoIter<Outcome>,
    settled: SettledTracker,
    identifier: Identifier,
    account: Account,
    certainty: Option<Certainty>,
    silent: SilentState,
    /// How often the state of silent targets has changed.
    silent_revision: u64,
    workers: WorkersReport,
    network_losses: Vec<NetworkLoss>,
}

enum Source {
    Running(Run),
    /// This machine could not start the run.
    Refused(BoxedIterator<Target>, Clock),
    Ended,
}

impl Outcomes {
    /// Takes a run that continues where an earlier one has settled these positions.
    fn running(
        run: Run,
        targets: BoxedIterator<Target>,
        settled: Positions,
        silent: SilentState,
    ) -> Self {
        // Fails only when the run's threads have panicked, which the first `next` reports.
        let _ = run.targets.send(targets);
        let mut outcomes = Self::from(Source::Running(run));
        outcomes.settled = SettledTracker::new(settled);
        outcomes.silent = silent;
        outcomes
    }

    /// Waits for the next outcome up to this long, and updates the [account](Self::account) meanwhile.
    ///
    /// # Panics
    /// The targets' iterator has panicked.
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
                None if matches!(self.source, Source::Ended) => Next::Ended,
                None => Next::TimedOut,
            };
        }
        self.next().map_or(Next::Ended, Next::Outcome)
    }

    /// Returns the next outcome, or registers the task to wake when there is more to poll.
    #[cfg(feature = "stream")]
    pub(crate) fn poll_outcome(&mut self, waker: &Waker) -> Poll<Option<Outcome>> {
        let mut is_registered = false;
        loop {
            if let Some(outcome) = self.next_of_batch() {
                return Poll::Ready(Some(outcome));
            }
            let Source::Running(run) = &self.source else { return Poll::Ready(self.next()) };
            match run.batches.try_recv() {
                Ok(batch) => self.take(batch),
                Err(TryRecvError::Disconnected) => self.end(),
                Err(TryRecvError::Empty) if is_registered => return Poll::Pending,
                Err(TryRecvError::Empty) => {
                    run.waker.register(waker);
                    is_registered = true;
                }
            }
        }
    }

    /// Returns whether all outcomes were returned.
    #[cfg(feature = "stream")]
    pub(crate) fn has_ended(&self) -> bool {
        self.batch.len() == 0 && matches!(self.source, Source::Ended)
    }

    fn next_of_batch(&mut self) -> Option<Outcome> {
        let mut outcome = self.batch.next()?;
        self.settled.record_outcome(outcome.position);
        self.identifier.identify(&mut outcome);
        Some(outcome)
    }

    fn take(&mut self, batch: Batch) {
        let Batch { outcomes, outcome_counts, account, certainty, silent, end } = batch;
        self.batch = outcomes.into_iter();
        for count in outcome_counts {
            self.settled.set_outcome_count(count);
        }
        self.account = account;
        self.certainty = certainty;
        if let Some(silent) = silent {
            self.silent = *silent;
            self.silent_revision += 1;
        }
        if let Some(end) = end {
            (self.workers, self.network_losses) = (end.workers, end.network_losses);
        }
    }

    /// Returns whether [`Iterator::next`] would block. That is a good time to flush what was written of
    /// earlier outcomes.
    #[must_use]
    pub fn would_wait(&self) -> bool {
        self.batch.len() == 0
            && match &self.source {
                Source::Running(run) => run.batches.is_empty(),
                Source::Refused(..) | Source::Ended => false,
            }
    }

    /// Returns whether all outcomes that the [account](Self::account) counts were returned.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.batch.len() == 0
    }

    /// Returns the outcomes that the [account](Self::account) counts and that were not returned yet.
    pub(crate) fn buffered(&self) -> &[Outcome] {
        self.batch.as_slice()
    }

    /// Returns whether the position of an outcome that was returned has further outcomes.
    pub(crate) fn has_outstanding(&self, position: u64) -> bool {
        self.settled.has_outstanding(position)
    }

    /// Returns the positions of all targets that are settled: their outcomes were returned, they are
    /// excluded, or an [earlier run](Checker::resuming) had settled them.
    #[must_use]
    pub fn settled(&self) -> &Positions {
        self.settled.settled()
    }

    /// Returns the account so far; complete once the iterator has ended. It may count outcomes that were
    /// not returned yet, unless the iterator [is drained](Self::is_drained).
    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }

    /// Returns how certain it is that the silent targets would not answer; complete once the iterator has
    /// ended. `None` unless the run [estimates](crate::config::ConfigBuilder::max_missed) it.
    #[must_use]
    pub fn certainty(&self) -> Option<Certainty> {
        self.certainty
    }

    /// Returns what is known of targets that have not answered, for a run that
    /// [resumes](Checker::resuming_silent) this one. It is up to a second old, and empty unless the run
    /// is [resumable](Checker::resumable).
    #[must_use]
    pub fn silent(&self) -> &SilentState {
        &self.silent
    }

    /// Returns a number that changes with [`Self::silent`].
    pub(crate) fn silent_revision(&self) -> u64 {
        self.silent_revision
    }

    /// Returns the share of SYNs lost on the way to each network in which an endpoint has answered, the
    /// lossiest first; empty until the iterator has ended. At most 8,192 networks are counted.
    #[must_use]
    pub fn network_losses(&self) -> &[NetworkLoss] {
        &self.network_losses
    }

    /// Returns the workers' report; empty until the iterator has ended.
    #[must_use]
    pub fn workers(&self) -> &WorkersReport {
        &self.workers
    }

    /// Returns how many attempts the run may have in flight, and what limits them. `None` if the run has
    /// ended or could not be started.
    #[must_use]
    pub fn in_flight(&self) -> Option<InFlight> {
        match &self.source {
            Source::Running(run) => Some(run.in_flight),
            Source::Refused(..) | Source::Ended => None,
        }
    }

    /// Returns a handle that stops the run from any thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        match &self.source {
            Source::Running(run) => Stopper(Some(run.stops.clone())),
            Source::Refused(..) | Source::Ended => Stopper(None),
        }
    }

    /// Joins the threads and propagates their panic.
    fn end(&mut self) {
        if let Source::Running(run) = std::mem::replace(&mut self.source, Source::Ended)
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
            settled: SettledTracker::default(),
            identifier: Identifier::default(),
            account: Account::default(),
            certainty: None,
            silent: SilentState::default(),
            silent_revision: 0,
            workers: WorkersReport::default(),
            network_losses: Vec::new(),
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
                Source::Ended => return None,
                Source::Refused(targets, clock) => {
                    let Some(target) = targets.next() else {
                        self.source = Source::Ended;
                        return None;
                    };
                    let outcome = refused(target, self.account.targets, clock);
                    self.settled.record_outcome(outcome.position);
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
            std::mem::replace(&mut self.source, Source::Ended)
        {
            // First, because the coordinator may block on it.
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
            Self::Ended => "Ended",
        })
    }
}

/// The result of [`Outcomes::next_timeout`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it is moved once; a box for each costs more")]
pub enum Next {
    /// The next outcome.
    Outcome(Outcome),
    /// No outcome became known in this time.
    TimedOut,
    /// There are no more outcomes.
    Ended,
}

/// A handle that stops a run, from any thread.
///
/// ```
/// use std::time::Duration;
///
/// let endless = std::iter::repeat(("127.0.0.1", 1));
/// let mut outcomes = portmuster::check_ports(endless);
/// let stopper = outcomes.stopper();
/// std::thread::spawn(move || stopper.stop(Duration::from_millis(100)));
/// outcomes.by_ref().for_each(drop);
/// assert_eq!(outcomes.account().left() + outcomes.account().settled(), outcomes.account().targets);
/// ```
#[derive(Debug, Clone)]
pub struct Stopper(Option<Sender<Duration>>);

impl Stopper {
    /// Stops the run: no attempt starts any more, and the run ends when those in flight have ended, or
    /// after this time. Targets without an outcome count as [left](Account::left).
    pub fn stop(&self, within: Duration) {
        if let Some(stops) = &self.0 {
            // Full only when several stop requests are waiting.
            let _ = stops.try_send(within);
        }
    }
}

/// Returns the outcome of a target in a run that could not be started.
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
