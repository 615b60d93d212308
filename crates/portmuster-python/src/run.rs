//! A run, shared by the objects of Python that read its results.
//!
//! - Invariant: in a forked child nothing of a run is used or dropped, because its threads do not exist
//!   there and its locks may be held forever.

use std::{
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_core::Stream;
use portmuster::{Account, Next, Outcome, Outcomes, Stopper, outcome::Certainty};
use pyo3::{intern, prelude::*};

use crate::{feed::Feed, fork::Home, wake::WakeDescriptor};

/// How long a thread waits before it looks for signals. A Ctrl-C is noticed within this time.
pub(crate) const SIGNALS_EVERY: Duration = Duration::from_millis(50);
/// How long closing a run waits for the thread that takes the items of the user's iterable, in seconds.
/// One that is blocked in the iterable ends when that returns.
const FEEDER_GRACE: f64 = 0.1;

/// What waiting for an outcome has led to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is moved once; a box for each costs more")]
pub(crate) enum Step {
    /// The next outcome.
    Outcome(Outcome),
    /// None is known yet.
    Pending,
    /// There are no more.
    Ended,
}

/// What an outcome becomes in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultKind {
    /// A named tuple: the host, the port, and whether it is open.
    PortStatus,
    /// An object with all fields of a row.
    Outcome,
}

/// What is known of a run as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RunSums {
    pub(crate) account: Account,
    /// `None`: it is not estimated.
    pub(crate) certainty: Option<Certainty>,
}

/// A run that was started.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) home: Home,
    /// `None` when the run has ended or was closed.
    outcomes: Mutex<Option<Outcomes>>,
    stopper: Stopper,
    is_closed: AtomicBool,
    sums: Mutex<RunSums>,
    /// The queue of targets; `None` if they do not come from an iterable.
    feed: Option<Arc<Feed>>,
    /// The thread that fills the queue.
    feeder: Mutex<Option<Py<PyAny>>>,
    wake: Mutex<Option<Arc<WakeDescriptor>>>,
}

/// The runs that may have to be closed when the interpreter exits.
static RUNS: Mutex<Vec<Weak<Run>>> = Mutex::new(Vec::new());

impl Run {
    /// Takes a run that was started, with the queue of its targets.
    pub(crate) fn new(outcomes: Outcomes, feed: Option<Arc<Feed>>) -> Arc<Self> {
        let run = Arc::new(Self {
            home: Home::here(),
            stopper: outcomes.stopper(),
            outcomes: Mutex::new(Some(outcomes)),
            is_closed: AtomicBool::new(false),
            sums: Mutex::default(),
            feed,
            feeder: Mutex::default(),
            wake: Mutex::default(),
        });
        let mut runs = lock(&RUNS);
        runs.retain(|run| run.strong_count() > 0);
        runs.push(Arc::downgrade(&run));
        run
    }

    /// Sets the thread to join when the run is closed.
    pub(crate) fn set_feeder(&self, thread: Bound<'_, PyAny>) {
        *lock(&self.feeder) = Some(thread.unbind());
    }

    /// Returns what can be had without waiting; pending also while another thread is waiting.
    pub(crate) fn ready(&self) -> Step {
        match self.outcomes.try_lock() {
            Ok(mut outcomes) => self.take(&mut outcomes, None),
            Err(TryLockError::Poisoned(poisoned)) => self.take(&mut poisoned.into_inner(), None),
            Err(TryLockError::WouldBlock) => Step::Pending,
        }
    }

    /// Waits for an outcome up to [`SIGNALS_EVERY`]. The caller must be detached.
    pub(crate) fn wait(&self) -> Step {
        self.take(&mut lock(&self.outcomes), Some(SIGNALS_EVERY))
    }

    /// Passes outcomes to `write` until it returns false. Waits for the next one up to
    /// [`SIGNALS_EVERY`]. The caller must be detached.
    pub(crate) fn drain(&self, mut write: impl FnMut(&Outcome) -> bool) -> Step {
        let mut outcomes = lock(&self.outcomes);
        loop {
            match self.take(&mut outcomes, Some(SIGNALS_EVERY)) {
                Step::Outcome(outcome) if write(&outcome) => {}
                step => return step,
            }
        }
    }

    /// Returns the next outcome without waiting for it. If none is known, the descriptor of
    /// [`wake_descriptor`](Self::wake_descriptor), which must exist, becomes readable when there is more to
    /// poll. The caller must be detached.
    pub(crate) fn poll(&self) -> Step {
        let mut outcomes = lock(&self.outcomes);
        let wake = lock(&self.wake).clone();
        let is_drained = outcomes.as_ref().is_some_and(Outcomes::is_drained);
        let Some(wake) = wake.filter(|_| is_drained && !self.is_closed.load(Ordering::Relaxed))
        else {
            return self.take(&mut outcomes, None);
        };
        wake.reset();
        let Some(running) = outcomes.take() else { return Step::Ended };
        let mut stream = running.into_stream();
        let waker = Waker::from(wake);
        let polled = Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker));
        let running = outcomes.insert(stream.into_inner());
        *lock(&self.sums) = sums(running);
        match polled {
            Poll::Ready(Some(outcome)) => Step::Outcome(outcome),
            Poll::Pending => Step::Pending,
            Poll::Ready(None) => self.end(&mut outcomes),
        }
    }

    /// Returns the number of the descriptor that becomes readable when there is more to poll.
    ///
    /// # Errors
    /// This process is short of descriptors.
    pub(crate) fn wake_descriptor(&self) -> std::io::Result<i32> {
        let mut wake = lock(&self.wake);
        if let Some(wake) = &*wake {
            return Ok(wake.number());
        }
        let new = Arc::new(WakeDescriptor::new()?);
        Ok(wake.insert(new).number())
    }

    /// Takes the next outcome, waiting up to `limit` if there is one.
    fn take(&self, outcomes: &mut Option<Outcomes>, limit: Option<Duration>) -> Step {
        let Some(running) = outcomes else { return Step::Ended };
        if self.is_closed.load(Ordering::Relaxed) {
            return Step::Ended;
        }
        if !running.is_drained()
            && let Some(outcome) = running.next()
        {
            return Step::Outcome(outcome);
        }
        if limit.is_none() && running.would_wait() {
            return Step::Pending;
        }
        let next = running.next_timeout(limit.unwrap_or_default());
        *lock(&self.sums) = sums(running);
        match next {
            Next::Outcome(outcome) => Step::Outcome(outcome),
            Next::TimedOut => Step::Pending,
            Next::Ended => self.end(outcomes),
        }
    }

    fn end(&self, outcomes: &mut Option<Outcomes>) -> Step {
        *outcomes = None;
        if let Some(feed) = &self.feed {
            feed.close();
        }
        Step::Ended
    }

    /// Returns the sums over the outcomes so far.
    pub(crate) fn sums(&self) -> RunSums {
        *lock(&self.sums)
    }

    /// Returns why the user's iterable ended early, once.
    pub(crate) fn take_input_error(&self) -> Option<PyErr> {
        self.feed.as_ref()?.take_error()
    }

    /// Stops the run, waits until its connections are closed and its threads have ended, and discards
    /// the outcomes that were not taken.
    pub(crate) fn close(&self, py: Python<'_>) {
        if !self.home.is_here() {
            return;
        }
        py.detach(|| self.stop());
        let feeder = lock(&self.feeder).take();
        if let Some(feeder) = feeder {
            // Fails in that thread itself, which is about to end.
            let _ = feeder.call_method1(py, intern!(py, "join"), (FEEDER_GRACE,));
        }
    }

    fn stop(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        if let Some(feed) = &self.feed {
            feed.close();
        }
        self.stopper.stop(Duration::ZERO);
        let ended = lock(&self.outcomes).take();
        if let Some(outcomes) = &ended {
            *lock(&self.sums) = sums(outcomes);
        }
        drop(ended);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.home.is_here() {
            mem::forget(self.outcomes.get_mut().map(Option::take));
            return;
        }
        let closed = Python::try_attach(|py| {
            // An object may be dropped while an exception is raised.
            let raised = PyErr::take(py);
            self.close(py);
            if let Some(raised) = raised {
                raised.restore(py);
            }
        });
        // The interpreter is about to exit: then no thread of it is left.
        if closed.is_none() {
            self.stop();
        }
    }
}

fn sums(outcomes: &Outcomes) -> RunSums {
    RunSums { account: outcomes.account(), certainty: outcomes.certainty() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Close all runs. The package has it called when the interpreter exits.
#[pyfunction]
pub(crate) fn close_all(py: Python<'_>) {
    let runs = mem::take(&mut *lock(&RUNS));
    for run in runs.iter().filter_map(Weak::upgrade) {
        run.close(py);
    }
}
