//! What every worker of a run needs, and what it reports.

use std::{
    net::IpAddr,
    thread::{self, JoinHandle},
};

use crossbeam_channel::Sender;
use rustix::io::Errno;
use thiserror::Error;

use super::capacity::LimitingResource;
use crate::{
    attempt::Rules,
    clock::Clock,
    memory::{Held, Memory},
    resolver::ExcludeError,
    schedule::Report,
    workers::WorkersError,
};

/// This machine could not start a run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// No thread could be started.
    #[error("starting a thread failed; fewer workers may help")]
    Thread(#[source] std::io::Error),
    /// Connections can't begin at the source address.
    #[error("connecting from {source_address} is not possible: {error}")]
    Source {
        /// The address that was asked for.
        source_address: IpAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The method has worker processes, and nobody has said which program they are:
    /// [`Checker::with_workers`](crate::Checker::with_workers).
    #[error("no program was named that worker processes could be")]
    NoProgram,
    /// Worker processes could not be started.
    #[error(transparent)]
    Workers(#[from] WorkersError),
    /// Names are to be excluded, and their addresses are not known.
    #[error(transparent)]
    Excludes(#[from] ExcludeError),
    /// No descriptor could be opened that threads wait with.
    #[error("opening what threads wait with failed; {}", poller_advice(.0))]
    Poller(#[source] std::io::Error),
}

impl From<Errno> for StartError {
    fn from(errno: Errno) -> Self {
        Self::Poller(errno.into())
    }
}

impl StartError {
    /// What this system had not enough of when this kept it from starting one more.
    pub(super) fn limiting_resource(&self) -> LimitingResource {
        match self {
            Self::Poller(_) => LimitingResource::Descriptors,
            _ => LimitingResource::Threads,
        }
    }
}

fn poller_advice(error: &std::io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => "a higher limit of descriptors (ulimit -n) may help",
        Some(Errno::NFILE) => "a higher limit of the system's descriptors (fs.file-max) may help",
        Some(Errno::NOMEM) => "more memory may help",
        _ => "this system must allow eventfd",
    }
}

/// What a worker reports.
#[derive(Debug)]
pub(crate) struct Reports {
    /// Which of them it is.
    pub(crate) worker: usize,
    /// Attempts that it has begun since it reported last; counted by event loops only.
    pub(crate) begun: usize,
    /// Attempts that have ended.
    pub(crate) ended: Vec<Report>,
    /// Memory of their conversations, as long as these are on their way.
    #[expect(dead_code, reason = "it is given back when the reports are dropped")]
    pub(crate) held: Vec<Held>,
}

/// What every thread that makes attempts needs.
#[derive(Debug, Clone)]
pub(crate) struct WorkerContext {
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) source: Option<IpAddr>,
    pub(crate) memory: Memory,
    pub(crate) reports: Sender<Reports>,
    pub(crate) panics: Panics,
}

/// What becomes of a thread's panic.
#[derive(Debug, Clone)]
pub(crate) enum Panics {
    /// The coordinator is told.
    Told(Sender<()>),
    /// The process ends: whoever started it will notice.
    Abort,
}

/// Sees to it that the panic of a thread is noticed. The thread holds it.
pub(super) struct PanicGuard(pub(super) Panics);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        match &self.0 {
            _ if !thread::panicking() => {}
            Panics::Told(coordinator) => drop(coordinator.try_send(())),
            Panics::Abort => std::process::abort(),
        }
    }
}

/// Runs `work` in a thread whose panic is noticed.
pub(super) fn spawn(
    name: &str,
    setting: WorkerContext,
    work: impl FnOnce(WorkerContext) + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let work = move || {
        let _alarm = PanicGuard(setting.panics.clone());
        work(setting);
    };
    thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)
}
