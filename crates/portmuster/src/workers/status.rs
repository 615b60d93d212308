//! What the supervisor of the workers shares with the thread that has work for them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::process::WorkerExit;

/// What can be seen of the workers from outside.
#[derive(Debug, Default)]
pub(crate) struct PoolStats {
    /// Workers that ended before their time, by how they ended.
    pub(crate) losses: BTreeMap<WorkerExit, u64>,
    /// Workers that were there when the barrier opened; `None` while it is closed.
    pub(crate) ready: Option<usize>,
    /// The most that was ever begun and not settled; known once the supervisor has ended.
    pub(crate) peak: usize,
}

/// What the supervisor shares with whoever has work.
#[derive(Debug, Clone, Default)]
pub(crate) struct PoolStatus(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stats: Mutex<PoolStats>,
    capacity: AtomicUsize,
}

impl PoolStatus {
    pub(crate) fn with<T>(&self, with: impl FnOnce(&mut PoolStats) -> T) -> T {
        with(&mut self.0.stats.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Work that may be open just now, so that none of it has to wait for a worker.
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity.load(Ordering::Relaxed)
    }

    /// Says how much that is; what it was before.
    pub(super) fn set_capacity(&self, capacity: usize) -> usize {
        self.0.capacity.swap(capacity, Ordering::Relaxed)
    }
}
