//! The queue of outcomes from the coordinator to the consumer: a thread that blocks on the queue, or
//! a task that is woken.

#[cfg(feature = "stream")]
use std::{sync::Arc, task};

#[cfg(feature = "stream")]
use atomic_waker::AtomicWaker;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{
    method::WorkersReport,
    outcome::{Account, Certainty, NetworkLoss, Outcome},
    positions::OutcomeCount,
    schedule::SilentState,
};

/// The most batches of outcomes that wait for the consumer.
pub(super) const BATCHES_MAX: usize = 16;

/// Outcomes, and the account that includes them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) outcomes: Vec<Outcome>,
    /// The outcome counts of positions that do not have exactly one; to be applied before the outcomes.
    pub(crate) outcome_counts: Vec<OutcomeCount>,
    pub(crate) account: Account,
    /// What is known of the targets that did not answer; `None` if it is not estimated.
    pub(crate) certainty: Option<Certainty>,
    /// The state of targets that have not answered, before these outcomes; `None`: as before.
    pub(crate) silent: Option<Box<SilentState>>,
    /// What is known at the end of the run; in the last batch only.
    pub(crate) end: Option<RunEnd>,
}

/// What is known at the end of a run.
#[derive(Debug, Default)]
pub(crate) struct RunEnd {
    pub(crate) workers: WorkersReport,
    /// The loss on the way to each network.
    pub(crate) network_losses: Vec<NetworkLoss>,
}

/// Creates the queue. The [`ConsumerWaker`] belongs to the consumer.
pub(super) fn queue() -> (BatchSender, Receiver<Batch>, ConsumerWaker) {
    let (sender, receiver) = bounded(BATCHES_MAX);
    let waker = ConsumerWaker::default();
    (BatchSender { sender, wake_at_end: WakeAtEnd(waker.clone()) }, receiver, waker)
}

/// The coordinator's end of the queue.
pub(super) struct BatchSender {
    // Declared, and so dropped, before `wake_at_end`: a task that is woken finds the queue disconnected.
    sender: Sender<Batch>,
    wake_at_end: WakeAtEnd,
}

impl BatchSender {
    /// Appends a batch. Blocks while the queue is full. Returns false when the consumer has gone.
    pub(super) fn send(&self, batch: Batch) -> bool {
        let is_sent = self.sender.send(batch).is_ok();
        self.wake_at_end.0.wake();
        is_sent
    }

    /// Returns whether the consumer has taken all batches.
    pub(super) fn is_empty(&self) -> bool {
        self.sender.is_empty()
    }
}

/// Wakes the consumer's task when it is dropped, even by a panic.
struct WakeAtEnd(ConsumerWaker);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// Wakes the task that waits for the next batch. A thread that waits needs no waker, because it blocks
/// on the queue.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerWaker(#[cfg(feature = "stream")] Arc<AtomicWaker>);

impl ConsumerWaker {
    /// Registers the task to wake after the next change of the queue, in place of any earlier one.
    ///
    /// The caller must look at the queue once more afterwards: a change before this call wakes no task.
    #[cfg(feature = "stream")]
    pub(crate) fn register(&self, waker: &task::Waker) {
        self.0.register(waker);
    }

    #[cfg_attr(
        not(feature = "stream"),
        expect(clippy::unused_self, reason = "there is a task to wake only with the feature")
    )]
    fn wake(&self) {
        #[cfg(feature = "stream")]
        self.0.wake();
    }
}
