//! The contract between a supervisor, which hands out work, and the queue, which picks the worker.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::Instant;

/// Index of a worker's slot among the workers of a run. A replacement keeps the index of the worker
/// that it replaces.
pub(crate) type WorkerId = usize;

/// Identifies unsettled work.
///
/// Tickets that are open at the same time differ. A late or duplicate ticket does not match any
/// open work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Ticket(pub(crate) u32);

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ticket({:#x})", self.0)
    }
}

/// Settled work with its result, or with the reason why it has none.
pub(crate) type Completion<W, R> = (W, Result<R, TaskError>);

/// Why work has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Three workers ended while this was the only work they held.
    #[error("three workers ended while they did this work")]
    KillsWorkers,
    /// All workers have ended, and none can be started.
    #[error("no worker is left to do this work")]
    NoWorkers,
    /// The work or its result can't be serialized, or takes more than 16 MiB.
    #[error("this work or its result can't be serialized, or takes more than 16 MiB")]
    Unsendable,
}

/// Decides which worker holds which work.
///
/// An implementation is pure: the supervisor reports each event with its time, and sends what the
/// queue returns. The transport belongs to the supervisor: a socket pair per worker here, a message
/// broker elsewhere.
///
/// Invariant: each piece of work that was added is either settled once or returned once, by
/// [`Self::remove_worker`] or [`Self::drain`]. None is lost, and none is returned twice.
pub(crate) trait WorkQueue {
    /// A piece of work.
    type Work;

    /// Opens the start barrier if every worker has joined or the time for that is over. Returns how
    /// many workers have joined; `None` while the barrier is closed, when no work may be leased.
    fn open_barrier(&mut self, now: Instant) -> Option<usize>;

    /// Returns the next time at which the supervisor should query this queue even if no event
    /// arrives.
    fn next_timeout(&self) -> Option<Instant>;

    /// Adds a piece of work.
    fn add(&mut self, work: Self::Work);

    /// Adds a worker that runs `concurrency` tasks concurrently.
    fn join(&mut self, worker: WorkerId, concurrency: usize, now: Instant);

    /// Leases more work to a worker. Returns the new tickets; none if the worker has its share.
    fn lease(&mut self, worker: WorkerId, now: Instant) -> Vec<Ticket>;

    /// Returns the work that an open ticket identifies.
    fn work(&self, ticket: Ticket) -> &Self::Work;

    /// Settles work that a worker has done, and returns it. `None` if the worker does not hold it,
    /// or no longer does.
    fn settle(&mut self, worker: WorkerId, ticket: Ticket) -> Option<Self::Work>;

    /// Picks a worker to recall unstarted work from, so that an idle worker can do it. Returns the
    /// worker and how many pieces to recall.
    fn recall(&mut self, now: Instant) -> Option<(WorkerId, usize)>;

    /// Takes back the work that a worker returns after a recall. This completes the recall.
    fn take_back(&mut self, worker: WorkerId, tickets: &[Ticket]);

    /// Renews the leases of a worker after a heartbeat.
    fn renew(&mut self, worker: WorkerId, now: Instant);

    /// Returns a worker that has sent no heartbeat for too long.
    fn overdue(&self, now: Instant) -> Option<WorkerId>;

    /// Extends all timeouts, because the supervisor itself did not run for `gap`.
    fn delayed(&mut self, gap: Duration, now: Instant);

    /// Returns how much work may be open at the moment without waiting for a worker.
    fn capacity(&self) -> usize;

    /// Closes the slot of a removed worker: no other worker will join there.
    fn close_slot(&mut self, worker: WorkerId);

    /// Returns how much work a worker holds.
    fn held(&self, worker: WorkerId) -> usize;

    /// Removes a worker that has ended. Its work is leased again, except the work that has ended
    /// too many workers, which is returned.
    fn remove_worker(&mut self, worker: WorkerId) -> Vec<Self::Work>;

    /// Removes and returns all unsettled work, because no workers are left.
    fn drain(&mut self) -> Vec<Self::Work>;

    /// Returns the largest amount of work that was started and unsettled at one time.
    fn peak(&self) -> usize;
}
