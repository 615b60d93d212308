//! Counts the connections of a server, and waits for the counts to change.
//!
//! - Invariant: `open <= peak <= accepted`.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Numbers of connections of one server or one [`Crowd`](crate::Crowd).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted since the start.
    pub accepted: usize,
    /// Connections open now.
    pub open: usize,
    /// The most connections that were open at the same time.
    pub peak: usize,
}

/// The counts of a server, shared between its thread and its handle.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    counts: Mutex<Counts>,
    changed: Condvar,
}

impl Stats {
    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// Waits until `reached` returns true, or `limit` has passed. Returns the last counts.
    pub(crate) fn wait_for(&self, limit: Duration, reached: impl Fn(Counts) -> bool) -> Counts {
        let (counts, _) = self
            .changed
            .wait_timeout_while(self.lock(), limit, |counts| !reached(*counts))
            .unwrap_or_else(PoisonError::into_inner);
        *counts
    }

    /// Counts a connection that was accepted.
    pub(crate) fn opened(&self) {
        self.change(|counts| {
            counts.accepted += 1;
            counts.open += 1;
            counts.peak = counts.peak.max(counts.open);
        });
    }

    /// Counts connections that have ended.
    pub(crate) fn ended(&self, connections: usize) {
        if connections > 0 {
            self.change(|counts| counts.open -= connections);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
