//! The queue of targets from the thread that takes them from the user's iterable to the run.
//!
//! Both sides work in long turns, because each turn of the feeding thread needs the interpreter, which the
//! consumer of the results needs too: the run takes all that are there, and a feeder that has filled the
//! queue goes on when it is empty.
//!
//! - Invariant: a target is available to the run at most [`GATHER`] after it was pushed, even if the
//!   user's iterable blocks.
//! - Invariant: nobody holds the lock while waiting for the interpreter.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
    vec,
};

use portmuster::{Target, targets::Targets};
use pyo3::PyErr;

/// The most items in the queue. The run may hold as many again, and 4,096 in its own queue.
const ITEMS_MAX: usize = 4096;
/// How many items end the run's wait for them early.
const TURN: usize = 64;
/// How long the run waits for further items before it takes fewer than [`TURN`].
const GATHER: Duration = Duration::from_millis(1);

/// What one item of the user's iterable stands for.
#[derive(Debug)]
pub(crate) enum Fed {
    /// One target.
    One(Target),
    /// The targets of an expression, such as a network.
    Many(Box<Targets>),
}

/// The queue between the feeding thread and a run.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    state: Mutex<FeedState>,
    /// Wakes the run.
    filled: Condvar,
    /// Wakes the feeding thread.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct FeedState {
    items: Vec<Fed>,
    /// The number of items for which the run waits; 0 if it does not wait.
    wanted: usize,
    source: FeedSource,
    /// Why the user's iterable ended early.
    error: Option<PyErr>,
}

/// Whether more items may come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum FeedSource {
    #[default]
    Open,
    /// The iterable has ended or failed.
    Ended,
    /// The run needs no more.
    Closed,
}

impl Feed {
    /// Appends an item. Returns whether the queue is full, so that the caller must
    /// [wait](Self::wait_for_room); `None` if the run needs no more.
    pub(crate) fn push(&self, item: Fed) -> Option<bool> {
        let mut state = self.lock();
        if state.source == FeedSource::Closed {
            return None;
        }
        state.items.push(item);
        let count = state.items.len();
        if state.wanted != 0 && count >= state.wanted {
            state.wanted = 0;
            self.filled.notify_one();
        }
        Some(count >= ITEMS_MAX)
    }

    /// Waits until the queue is empty, or the run needs no more. The caller must be detached.
    pub(crate) fn wait_for_room(&self) {
        let state = self.lock();
        let is_full =
            |state: &mut FeedState| !state.items.is_empty() && state.source == FeedSource::Open;
        drop(self.emptied.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the input; `error`: because the iterable failed.
    pub(crate) fn end(&self, error: Option<PyErr>) {
        let mut state = self.lock();
        if state.source == FeedSource::Open {
            (state.source, state.error) = (FeedSource::Ended, error);
        }
        self.filled.notify_one();
    }

    /// Stops the input: the run needs no more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.source = FeedSource::Closed;
        let items = mem::take(&mut state.items);
        self.filled.notify_one();
        self.emptied.notify_all();
        drop(state);
        drop(items);
    }

    /// Returns why the iterable ended early, once.
    pub(crate) fn take_error(&self) -> Option<PyErr> {
        self.lock().error.take()
    }

    /// Waits for items and takes all of them; `None`: there are no more.
    fn take(&self) -> Option<Vec<Fed>> {
        let mut state = self.lock();
        let mut has_gathered = false;
        loop {
            let count = state.items.len();
            let is_over = state.source != FeedSource::Open;
            if is_over && count == 0 {
                return None;
            }
            if is_over || count >= TURN || (count > 0 && has_gathered) {
                state.wanted = 0;
                let items = mem::take(&mut state.items);
                self.emptied.notify_one();
                return Some(items);
            }
            state = if has_gathered {
                state.wanted = 1;
                self.filled.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                state.wanted = TURN;
                let waited = self.filled.wait_timeout(state, GATHER);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
            has_gathered = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The targets of a [`Feed`], for a run.
#[derive(Debug)]
pub(crate) struct FedTargets {
    feed: Arc<Feed>,
    items: vec::IntoIter<Fed>,
    /// The rest of an expression.
    many: Option<Box<Targets>>,
}

impl FedTargets {
    /// Creates the iterator. A feed has one.
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self { feed, items: Vec::new().into_iter(), many: None }
    }
}

impl Iterator for FedTargets {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        loop {
            if let Some(target) = self.many.as_mut().and_then(Iterator::next) {
                return Some(target);
            }
            self.many = None;
            match self.items.next() {
                Some(Fed::One(target)) => return Some(target),
                Some(Fed::Many(targets)) => self.many = Some(targets),
                None => self.items = self.feed.take()?.into_iter(),
            }
        }
    }
}
