//! The state that the supervisor shares with the owner of its pool.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::process::WorkerExit;

/// Statistics about the workers of a pool.
#[derive(Debug, Default)]
pub(crate) struct PoolStats {
    /// How many workers ended during the run, by how they ended.
    pub(crate) losses: BTreeMap<WorkerExit, u64>,
    /// How many workers had joined when the start barrier opened; `None` while it is closed.
    pub(crate) ready: Option<usize>,
    /// The largest amount of work that was started and unsettled at one time. It is set when the
    /// supervisor ends.
    pub(crate) peak: usize,
}

/// Statistics and current capacity of a pool. Clones share one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct PoolStatus(Arc<SharedStatus>);

#[derive(Debug, Default)]
struct SharedStatus {
    stats: Mutex<PoolStats>,
    capacity: AtomicUsize,
}

impl PoolStatus {
    /// Calls `access` with the statistics, which are locked meanwhile.
    pub(crate) fn with<T>(&self, access: impl FnOnce(&mut PoolStats) -> T) -> T {
        access(&mut self.0.stats.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns how much work may be open at the moment without waiting for a worker.
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity.load(Ordering::Relaxed)
    }

    /// Sets the capacity. Returns the previous one.
    pub(super) fn set_capacity(&self, capacity: usize) -> usize {
        self.0.capacity.swap(capacity, Ordering::Relaxed)
    }
}
