//! The way from whoever has work to the [supervisor](super::supervisor) of the workers, and back.

use std::{
    fmt,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    frames::{self, Kind, VERSION},
    leases::Leases,
    process::{Program, WorkersError},
    status::PoolStatus,
    supervisor::{Deliver, Supervisor, SupervisorContext},
};
use crate::{clock::Clock, config::defaults, waker::Waker};

/// What workers are to be, and how much they hold.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    pub(crate) program: Program,
    pub(crate) processes: usize,
    /// What a worker does at once, at most.
    pub(crate) concurrency: usize,
    /// Work that a worker may hold beside that.
    pub(crate) prefetch: usize,
    /// Batches of work that may be brought before the first is taken.
    pub(crate) batches: usize,
}

impl PoolConfig {
    /// The most that one worker ever holds.
    pub(crate) fn room(&self) -> usize {
        self.concurrency.saturating_add(self.prefetch)
    }
}

/// Workers, as whoever has work for them sees them. Dropping it ends them.
pub(crate) struct WorkerPool<W> {
    /// `None` once all are to go.
    work: Option<Sender<Vec<W>>>,
    call: Waker,
    /// Closed when the barrier has opened.
    pub(crate) barrier: Receiver<()>,
    pub(crate) status: PoolStatus,
    supervisor: Option<JoinHandle<()>>,
}

impl<W: Serialize + Send + 'static> WorkerPool<W> {
    /// Starts the workers; each is sent the setting first.
    pub(crate) fn start<R: DeserializeOwned + Send + 'static>(
        terms: PoolConfig,
        setting: &impl Serialize,
        clock: Clock,
        deliver: Deliver<W, R>,
    ) -> Result<Self, WorkersError> {
        let call = Waker::new().map_err(|errno| WorkersError::OutOfResources(errno.into()))?;
        let (work, brought) = bounded(terms.batches);
        let (opens, barrier) = bounded(0);
        let status = PoolStatus::default();
        let ends = SupervisorContext {
            clock,
            program: terms.program.clone(),
            concurrency: terms.concurrency,
            hello: hello(terms.room(), setting),
            work: brought,
            call: call.clone(),
            deliver,
            barrier: Some(opens),
            status: status.clone(),
        };
        let until = clock.now().after(defaults::WORKERS_START);
        let leases = Leases::new(terms.processes, terms.prefetch, until);
        let (started, start) = bounded(1);
        // Workers end with the thread that starts them, so it is the one that keeps them.
        let keep = move || match Supervisor::<_, R>::start(leases, terms.processes, ends) {
            Ok(supervisor) => {
                let _ = started.send(Ok(()));
                supervisor.run();
            }
            Err(error) => drop(started.send(Err(error))),
        };
        let thread = thread::Builder::new().name("portmuster-workers".into());
        let supervisor = thread.spawn(keep).map_err(WorkersError::Thread)?;
        let link = Self { work: Some(work), call, barrier, status, supervisor: Some(supervisor) };
        match start.recv() {
            Ok(Err(error)) => Err(WorkersError::Program { program: terms.program, error }),
            // A panic is reported where it happens, and work is not taken any more.
            Ok(Ok(())) | Err(_) => Ok(link),
        }
    }

    /// Backend over work. There is room for as many batches as were agreed on.
    pub(crate) fn bring(&self, batch: Vec<W>) {
        if let Some(work) = &self.work
            && !batch.is_empty()
        {
            // Refused only when the supervisor has panicked, which its done channel tells.
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

impl<W> Drop for WorkerPool<W> {
    fn drop(&mut self) {
        self.work = None;
        self.call.wake();
        if let Some(supervisor) = self.supervisor.take() {
            // Its panic was reported when it happened.
            let _ = supervisor.join();
        }
    }
}

impl<W> fmt::Debug for WorkerPool<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WorkerPool").finish_non_exhaustive()
    }
}
