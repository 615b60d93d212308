//! What a run takes from an iterator, in a thread of its own, as it is wanted: an iterator that
//! blocks holds up nobody.

use std::{
    panic,
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, TryRecvError, bounded};

/// The most that is taken from the iterator before it is wanted.
const AHEAD_MAX: usize = 8192;
/// How long the end of a run waits for the iterator to answer.
const GRACE: Duration = Duration::from_millis(100);

/// An iterator that somebody else may run.
pub(crate) type Boxed<T> = Box<dyn Iterator<Item = T> + Send>;

/// The near end of an iterator.
#[derive(Debug)]
pub(crate) struct Input<T> {
    /// `None` once it has ended.
    open: Option<Open<T>>,
}

#[derive(Debug)]
struct Open<T> {
    queue: Receiver<T>,
    /// Closed when the thread is about to end.
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

/// What [`Input::take`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// The next.
    Item(T),
    /// None has come.
    NotYet,
    /// There are no more.
    Ended,
}

impl<T: Send + 'static> Input<T> {
    /// Starts the thread; it waits for the iterator, so that what can't be started leaves the
    /// iterator where it is. Up to `ahead` are taken before they are wanted, or [`AHEAD_MAX`].
    ///
    /// # Errors
    /// The thread can't be started.
    pub(crate) fn start(ahead: usize) -> std::io::Result<(Self, Sender<Boxed<T>>)> {
        let (given, source) = bounded::<Boxed<T>>(1);
        let (into, queue) = bounded(ahead.min(AHEAD_MAX));
        let (ending, ended) = bounded(0);
        let work = move || {
            let _ending: Sender<()> = ending;
            for item in source.iter().take(1).flatten() {
                if into.send(item).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("portmuster-input".into()).spawn(work)?;
        Ok((Self { open: Some(Open { queue, ended, thread }) }, given))
    }
}

impl<T> Input<T> {
    /// The next, if it has come.
    ///
    /// # Panics
    /// The iterator has: it has not ended, and whoever wants what it gives is to know.
    pub(crate) fn take(&mut self) -> Taken<T> {
        let Some(open) = &self.open else { return Taken::Ended };
        match open.queue.try_recv() {
            Ok(item) => return Taken::Item(item),
            Err(TryRecvError::Empty) => return Taken::NotYet,
            Err(TryRecvError::Disconnected) => {}
        }
        if let Some(Err(payload)) = self.open.take().map(|open| open.thread.join()) {
            panic::resume_unwind(payload);
        }
        Taken::Ended
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.open.is_none()
    }

    /// Lets a wait end when the next has come.
    pub(crate) fn watch<'a>(&'a self, select: &mut Select<'a>) {
        if let Some(open) = &self.open {
            select.recv(&open.queue);
        }
    }
}

/// Wants no more. While the thread waits for the iterator nothing can end it; then it is left
/// alone, and ends as soon as the iterator answers.
impl<T> Drop for Input<T> {
    fn drop(&mut self) {
        let Some(Open { queue, ended, thread }) = self.open.take() else { return };
        drop(queue);
        if ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Disconnected) {
            // Its panic would have been the iterator's, in what nobody wants.
            let _ = thread.join();
        }
    }
}
