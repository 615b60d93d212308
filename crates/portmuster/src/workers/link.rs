//! The way from whoever has work to the [keeper](super::keeper) of the workers, and back.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{
    WorkersError,
    frames::{self, Kind, VERSION},
    keeper::Keeper,
    leases::Leases,
    process::{Ending, Program},
    queue::WorkerId,
};
use crate::{clock::Clock, config::defaults, driver::waker::Waker};

/// What became of work.
pub(crate) type Done<W, R> = (W, Result<R, Lost>);

/// Takes what is done, by the worker that did it; nothing, when there is only more room than
/// before. It never blocks.
pub(crate) type Deliver<W, R> = Box<dyn FnMut(WorkerId, Vec<Done<W, R>>) + Send>;

/// Why work has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Lost {
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

/// What workers are to be, and how much they hold.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) program: Program,
    pub(crate) processes: usize,
    /// What a worker does at once, at most.
    pub(crate) at_once: usize,
    /// Work that a worker may hold beside that.
    pub(crate) ahead: usize,
    /// Batches of work that may be brought before the first is taken.
    pub(crate) batches: usize,
}

impl Terms {
    /// The most that one worker ever holds.
    pub(crate) fn room(&self) -> usize {
        self.at_once.saturating_add(self.ahead)
    }
}

/// What the keeper's thread needs.
pub(super) struct Ends<W, R> {
    pub(super) clock: Clock,
    pub(super) program: Program,
    /// What a worker does at once, at most.
    pub(super) at_once: usize,
    /// The first frame for each worker.
    pub(super) hello: Vec<u8>,
    /// Brings work; closed when all is to end.
    pub(super) work: Receiver<Vec<W>>,
    /// Called when `work` has something, or is closed.
    pub(super) call: Waker,
    pub(super) deliver: Deliver<W, R>,
    /// Closed when the barrier opens.
    pub(super) barrier: Option<Sender<()>>,
    pub(super) window: Window,
}

/// What can be seen of the workers from outside.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Workers that ended before their time, by how they ended.
    pub(crate) losses: BTreeMap<Ending, u64>,
    /// Workers that were there when the barrier opened; `None` while it is closed.
    pub(crate) ready: Option<usize>,
    /// The most that was ever begun and not settled; known once the keeper has ended.
    pub(crate) peak: usize,
}

/// What the keeper shares with whoever has work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    room: AtomicUsize,
}

impl Window {
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Work that may be open just now, so that none of it has to wait for a worker.
    pub(crate) fn room(&self) -> usize {
        self.0.room.load(Ordering::Relaxed)
    }

    /// Says how much that is; what it was before.
    pub(super) fn set_room(&self, room: usize) -> usize {
        self.0.room.swap(room, Ordering::Relaxed)
    }
}

/// Workers, as whoever has work for them sees them. Dropping it ends them.
pub(crate) struct Link<W> {
    /// `None` once all are to go.
    work: Option<Sender<Vec<W>>>,
    call: Waker,
    /// Closed when the barrier has opened.
    pub(crate) barrier: Receiver<()>,
    pub(crate) window: Window,
    keeper: Option<JoinHandle<()>>,
}

impl<W: Serialize + Send + 'static> Link<W> {
    /// Starts the workers; each is sent the setting first.
    pub(crate) fn start<R: DeserializeOwned + Send + 'static>(
        terms: Terms,
        setting: &impl Serialize,
        clock: Clock,
        deliver: Deliver<W, R>,
    ) -> Result<Self, WorkersError> {
        let call = Waker::new().map_err(|errno| WorkersError::Short(errno.into()))?;
        let (work, brought) = bounded(terms.batches);
        let (opens, barrier) = bounded(0);
        let window = Window::default();
        let ends = Ends {
            clock,
            program: terms.program.clone(),
            at_once: terms.at_once,
            hello: hello(terms.room(), setting),
            work: brought,
            call: call.clone(),
            deliver,
            barrier: Some(opens),
            window: window.clone(),
        };
        let until = clock.now().after(defaults::WORKERS_START);
        let leases = Leases::new(terms.processes, terms.ahead, until);
        let (started, start) = bounded(1);
        // Workers end with the thread that starts them, so it is the one that keeps them.
        let keep = move || match Keeper::<_, R>::start(leases, terms.processes, ends) {
            Ok(keeper) => {
                let _ = started.send(Ok(()));
                keeper.run();
            }
            Err(error) => drop(started.send(Err(error))),
        };
        let thread = thread::Builder::new().name("portmuster-workers".into());
        let keeper = thread.spawn(keep).map_err(WorkersError::Thread)?;
        let link = Self { work: Some(work), call, barrier, window, keeper: Some(keeper) };
        match start.recv() {
            Ok(Err(error)) => Err(WorkersError::Program { program: terms.program, error }),
            // A panic is reported where it happens, and work is not taken any more.
            Ok(Ok(())) | Err(_) => Ok(link),
        }
    }

    /// Hands over work. There is room for as many batches as were agreed on.
    pub(crate) fn bring(&self, batch: Vec<W>) {
        if let Some(work) = &self.work
            && !batch.is_empty()
        {
            // Refused only when the keeper has panicked, which its done channel tells.
            let _ = work.send(batch);
            self.call.wake();
        }
    }
}

/// The first frame: version, room, setting.
fn hello(room: usize, setting: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let written = frames::write(&mut bytes, Kind::Hello, &(VERSION, room, setting));
    written.expect("settings are plain values");
    bytes
}

impl<W> Drop for Link<W> {
    fn drop(&mut self) {
        self.work = None;
        self.call.wake();
        if let Some(keeper) = self.keeper.take() {
            // Its panic was reported when it happened.
            let _ = keeper.join();
        }
    }
}

impl<W> fmt::Debug for Link<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Link").finish_non_exhaustive()
    }
}
