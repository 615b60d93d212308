//! What a server has seen so far, and a way to wait for it.
//!
//! - Invariant: `open <= peak <= accepted`.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Connections of one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted since the start.
    pub accepted: usize,
    /// Connections open now.
    pub open: usize,
    /// Most connections that were open at the same time.
    pub peak: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Stats {
    counts: Mutex<Counts>,
    changed: Condvar,
}

impl Stats {
    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    pub(crate) fn wait_for(&self, limit: Duration, reached: impl Fn(Counts) -> bool) -> Counts {
        let (counts, _) = self
            .changed
            .wait_timeout_while(self.lock(), limit, |counts| !reached(*counts))
            .unwrap_or_else(PoisonError::into_inner);
        *counts
    }

    pub(crate) fn opened(&self) {
        self.change(|counts| {
            counts.accepted += 1;
            counts.open += 1;
            counts.peak = counts.peak.max(counts.open);
        });
    }

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
