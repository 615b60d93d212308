//! Runs an iterator in a thread of its own, so that one that blocks does not block the run.

use std::{panic, thread::JoinHandle, time::Duration};

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, TryRecvError, bounded};

use crate::threads;

/// Returns how many items an iterator will return; `None` if it does not know.
pub(crate) fn known_length(items: &impl Iterator) -> Option<u64> {
    match items.size_hint() {
        (least, Some(most)) if least == most => u64::try_from(least).ok(),
        _ => None,
    }
}

/// The maximum number of items that are prefetched from the iterator.
const PREFETCH_MAX: usize = 8192;
/// How long dropping an [`InputThread`] waits for its thread to end.
const GRACE: Duration = Duration::from_millis(100);

/// An iterator that another thread can run.
pub(crate) type BoxedIterator<T> = Box<dyn Iterator<Item = T> + Send>;

/// A thread that runs an iterator, and the queue of items prefetched from it.
#[derive(Debug)]
pub(crate) struct InputThread<T> {
    /// `None` once the iterator has ended.
    running: Option<RunningInput<T>>,
}

#[derive(Debug)]
struct RunningInput<T> {
    queue: Receiver<T>,
    /// Disconnected when the thread is about to end.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// The result of [`InputThread::try_next`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextInput<T> {
    /// The next item.
    Item(T),
    /// The iterator has not returned its next item yet.
    Pending,
    /// The iterator has ended.
    Ended,
}

impl<T: Send + 'static> InputThread<T> {
    /// Starts the thread and returns a channel on which to send it the iterator.
    ///
    /// The thread prefetches up to `prefetch` items, at most [`PREFETCH_MAX`].
    ///
    /// # Errors
    /// The thread can't be started. The caller then still has the iterator.
    pub(crate) fn start(prefetch: usize) -> std::io::Result<(Self, Sender<BoxedIterator<T>>)> {
        let (iterator_sender, iterator) = bounded::<BoxedIterator<T>>(1);
        let (items, queue) = bounded(prefetch.min(PREFETCH_MAX));
        let (ending, ended) = bounded(0);
        let work = move || {
            let _ending: Sender<()> = ending;
            for item in iterator.iter().take(1).flatten() {
                if items.send(item).is_err() {
                    return;
                }
            }
        };
        let thread = threads::named("portmuster-input").spawn(work)?;
        Ok((Self { running: Some(RunningInput { queue, ended, thread }) }, iterator_sender))
    }
}

impl<T> InputThread<T> {
    /// Takes the next item if it has been prefetched.
    ///
    /// # Panics
    /// Resumes the panic of the iterator if it panicked.
    pub(crate) fn try_next(&mut self) -> NextInput<T> {
        let Some(running) = &self.running else { return NextInput::Ended };
        match running.queue.try_recv() {
            Ok(item) => return NextInput::Item(item),
            Err(TryRecvError::Empty) => return NextInput::Pending,
            Err(TryRecvError::Disconnected) => {}
        }
        if let Some(Err(payload)) = self.running.take().map(|running| running.thread.join()) {
            panic::resume_unwind(payload);
        }
        NextInput::Ended
    }

    /// Returns whether the iterator has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.running.is_none()
    }

    /// Adds the queue to `select`, so that its wait ends when the next item arrives.
    pub(crate) fn watch<'a>(&'a self, select: &mut Select<'a>) {
        if let Some(running) = &self.running {
            select.recv(&running.queue);
        }
    }
}

/// Stops the thread. A thread that is still waiting for the iterator after [`GRACE`] is detached;
/// it ends when the iterator returns.
impl<T> Drop for InputThread<T> {
    fn drop(&mut self) {
        let Some(RunningInput { queue, ended, thread }) = self.running.take() else { return };
        drop(queue);
        if ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Disconnected) {
            // A panic of the iterator is ignored, because its items are no longer needed.
            let _ = thread.join();
        }
    }
}
