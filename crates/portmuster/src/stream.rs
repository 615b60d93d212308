//! The outcomes of a run as an asynchronous stream, for any executor of futures.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::{FusedStream, Stream};

use crate::{checker::Outcomes, outcome::Outcome};

/// Outcomes that are returned without a pause. Then the task yields once, so that an executor with one
/// thread can also handle timers, signals and other tasks while outcomes come faster than they are
/// consumed. Executors allow their own types as many.
const BURST_MAX: u32 = 128;

impl Outcomes {
    /// Converts to a stream of the same outcomes, for `async` code.
    ///
    /// ```
    /// use portmuster::{Checker, Config};
    /// use tokio_stream::StreamExt;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let checker = Checker::new(Config::default());
    /// let mut outcomes = checker.check([("127.0.0.1", 1), ("localhost", 1)])?.into_stream();
    /// while let Some(outcome) = outcomes.next().await {
    ///     println!("{}: {}", outcome.target, outcome.verdict.state);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> OutcomesStream {
        OutcomesStream { outcomes: self, burst: 0 }
    }
}

/// A stream of the outcomes of a run, as they become known: [`Outcomes`] for `async` code.
///
/// [`Outcomes::into_stream`] creates it. It works with every executor of futures: the run has its own
/// threads, and wakes the task when outcomes arrive or the run ends. A task that stops polling stops
/// the run, because queues are bounded.
///
/// Dropping it ends the run, as dropping [`Outcomes`] does: the drop blocks until all connections are
/// closed and the threads have ended. That takes milliseconds; up to a tenth of a second if the
/// targets' iterator is blocked, and longer with tens of thousands of connections or many worker
/// processes. Where that is too long for the executor, drop it in a thread for blocking calls.
///
/// If [`check_ports`](crate::check_ports) could not start its run, polling calls the targets' iterator.
///
/// # Panics
/// [`Stream::poll_next`] panics if the targets' iterator has panicked.
// A type of its own, because `next`, `map` and `filter` are methods of iterators and of streams: on a
// type that is both, each call would be ambiguous.
#[derive(Debug)]
#[must_use = "dropping the stream ends the run"]
pub struct OutcomesStream {
    outcomes: Outcomes,
    /// Outcomes returned since the task last yielded.
    burst: u32,
}

impl OutcomesStream {
    /// Returns the outcomes, with the account, the settled positions and the
    /// [stopper](Outcomes::stopper) of the run.
    pub fn get_ref(&self) -> &Outcomes {
        &self.outcomes
    }

    /// Converts back to the iterator, which blocks its thread while it waits. No outcome is lost.
    pub fn into_inner(self) -> Outcomes {
        self.outcomes
    }
}

impl Stream for OutcomesStream {
    type Item = Outcome;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.burst == BURST_MAX {
            self.burst = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let outcome = self.outcomes.poll_outcome(context.waker());
        self.burst = if outcome.is_pending() { 0 } else { self.burst + 1 };
        outcome
    }
}

impl FusedStream for OutcomesStream {
    fn is_terminated(&self) -> bool {
        self.outcomes.has_ended()
    }
}
