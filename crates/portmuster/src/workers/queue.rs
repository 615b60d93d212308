//! The contract between those who hand work out and those who do it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clock::Instant;

/// A worker's place among the workers of a run. Who takes the place of a worker that has ended
/// has the same.
pub(crate) type WorkerId = usize;

/// Names work that is not settled. No two that are open at the same time have the same ticket,
/// and one that comes late or twice is known for what it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Ticket(pub(crate) u32);

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ticket({:#x})", self.0)
    }
}

/// What became of work.
pub(crate) type Completion<W, R> = (W, Result<R, TaskError>);

/// Why work has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Three workers ended while it was all they had.
    #[error("it ends the workers that do it")]
    KillsWorkers,
    /// No worker can be started any more.
    #[error("there are no workers any more")]
    NoWorkers,
    /// It, or its result, can't be written as bytes, or only as more than 16 MiB.
    #[error("it can't be sent to a worker, or its result can't be sent back")]
    Unsendable,
}

/// Work, and who has it. Pure: it is told what happened and when, and sends nothing.
///
/// The way between the two sides is whoever's who owns the queue: a socket pair for each worker
/// here, a broker elsewhere.
///
/// Invariant: work that was added is settled once, or comes back once from [`Self::leave`] or
/// [`Self::abandon`]; it is never forgotten and never given twice.
pub(crate) trait WorkQueue {
    /// What is to be done.
    type Work;

    /// How many workers are there, once work may be leased: when every worker has joined, or the
    /// time for that has passed.
    fn opened(&mut self, now: Instant) -> Option<usize>;

    /// When it is worth asking again although nothing has happened.
    fn wake_at(&self) -> Option<Instant>;

    /// Takes work in.
    fn add(&mut self, work: Self::Work);

    /// A worker is there, which does this many at once.
    fn join(&mut self, worker: WorkerId, concurrency: usize, now: Instant);

    /// Backend the worker what it is to have beside what it has: nothing when it has its share.
    fn lease(&mut self, worker: WorkerId, now: Instant) -> Vec<Ticket>;

    /// What a ticket stands for.
    fn work(&self, ticket: Ticket) -> &Self::Work;

    /// The worker has done it: the work, or `None` when it is not this worker's (any more).
    fn settle(&mut self, worker: WorkerId, ticket: Ticket) -> Option<Self::Work>;

    /// Who is to give back how much of what it has not begun, so that somebody idle can do it.
    fn recall(&mut self, now: Instant) -> Option<(WorkerId, usize)>;

    /// The worker gives this back, as it was asked; with it the recall has ended.
    fn returned(&mut self, worker: WorkerId, tickets: &[Ticket]);

    /// The worker has shown that it is alive: it may keep what it has.
    fn extend(&mut self, worker: WorkerId, now: Instant);

    /// A worker that has not shown itself for too long.
    fn overdue(&self, now: Instant) -> Option<WorkerId>;

    /// This thread was held up for so long: that counts against nobody.
    fn held_up(&mut self, gap: Duration, now: Instant);

    /// Work that may be open just now, so that none of it has to wait for a worker.
    fn room(&self) -> usize;

    /// A worker that has left will not come back.
    fn dismiss(&mut self, worker: WorkerId);

    /// How much the worker has.
    fn held(&self, worker: WorkerId) -> usize;

    /// A worker has ended. What it had goes to others; what has ended too many workers comes
    /// back.
    fn leave(&mut self, worker: WorkerId) -> Vec<Self::Work>;

    /// There are no workers any more: everything comes back.
    fn abandon(&mut self) -> Vec<Self::Work>;

    /// The most that was ever begun and not settled.
    fn peak(&self) -> usize;
}
