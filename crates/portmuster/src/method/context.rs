//! What each worker of a run gets, and what it reports.

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
    config::Proxy,
    memory::{Memory, Reservation},
    outcome::Reason,
    resolver::ExcludeError,
    schedule::Report,
    threads,
    workers::WorkersError,
};

/// Why a run could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// No thread could be started.
    #[error("starting a thread failed; fewer workers may help")]
    Thread(#[source] std::io::Error),
    /// The source address is not usable.
    #[error("connecting from {source_address} is not possible")]
    #[non_exhaustive]
    Source {
        /// The address of the [setting](crate::config::ConfigBuilder::source).
        source_address: IpAddr,
        /// The operating system's error.
        #[source]
        error: std::io::Error,
    },
    /// The proxy can't be used.
    #[error("the proxy {proxy} can't be used: {}", trouble_with_proxy(*.reason))]
    #[non_exhaustive]
    Proxy {
        /// The proxy of the [setting](crate::config::ConfigBuilder::proxy).
        proxy: Proxy,
        /// What became of the attempt to use it, at the last of its addresses.
        reason: Reason,
    },
    /// The proxy looks names up, so their addresses can't be excluded.
    #[error(
        "{proxy} looks names up, so it may connect to an excluded address: use socks5, so that names are \
         looked up here, or exclude nothing"
    )]
    #[non_exhaustive]
    ExcludesAtProxy {
        /// The proxy of the [setting](crate::config::ConfigBuilder::proxy).
        proxy: Proxy,
    },
    /// A preloaded library intercepts connect(2), which this run would bypass.
    #[error(
        "{library} is preloaded to intercept connections, and portmuster makes them by system calls, \
         which bypass it: set a proxy (socks5://HOST:PORT), or allow direct connections"
    )]
    #[non_exhaustive]
    Preloaded {
        /// The path of the library.
        library: String,
    },
    /// The settings ask for more workers, or for more threads in each, than this machine allows.
    #[error("{asked} {what} are more than the {most} that one run may have here ({by})")]
    #[non_exhaustive]
    TooManyWorkers {
        /// The number of the setting.
        asked: usize,
        /// What is counted, such as `threads`.
        what: &'static str,
        /// The largest number that this machine allows.
        most: usize,
        /// The limit of this machine that determines that number.
        by: &'static str,
    },
    /// The method has worker processes, and no program for them was named with
    /// [`Checker::with_workers`](crate::Checker::with_workers).
    #[error("this method needs a program for its worker processes: call `with_workers`")]
    NoProgram,
    /// Worker processes could not be started.
    #[error(transparent)]
    Workers(#[from] WorkersError),
    /// An excluded name could not be looked up.
    #[error(transparent)]
    Excludes(#[from] ExcludeError),
    /// No poller or eventfd could be created.
    #[error("creating a poller failed; {}", poller_advice(.0))]
    Poller(#[source] std::io::Error),
}

impl StartError {
    /// Returns the error of a system call that creates a poller or an eventfd.
    pub(super) fn poller(errno: Errno) -> Self {
        Self::Poller(errno.into())
    }

    /// Returns the resource that this system lacked.
    pub(super) fn limiting_resource(&self) -> LimitingResource {
        match self {
            Self::Poller(_) => LimitingResource::Descriptors,
            _ => LimitingResource::Threads,
        }
    }
}

fn trouble_with_proxy(reason: Reason) -> String {
    match reason {
        Reason::NoSuchName => "there is no such name, or it has no address".to_owned(),
        Reason::LookupFailed => "the resolver gave no answer".to_owned(),
        Reason::ProxyUnreachable => "it can't be connected to, or does not answer".to_owned(),
        Reason::ProxyLogin => "it requires another user name and password".to_owned(),
        Reason::ProxyFailed => "it does not speak SOCKS5, or hangs up".to_owned(),
        Reason::Fault(fault) => format!("this machine is short of {fault}"),
        reason => reason.to_string(),
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

/// A worker's report of attempts that have begun or ended.
#[derive(Debug)]
pub(crate) struct Reports {
    /// Index of the worker.
    pub(crate) worker: usize,
    /// How many attempts have begun since its last report; event loops only.
    pub(crate) begun: usize,
    /// The attempts that have ended.
    pub(crate) ended: Vec<Report>,
    /// Memory of their conversations while the report is in a queue.
    #[expect(dead_code, reason = "dropping it returns the memory to the pool")]
    pub(crate) held: Vec<Reservation>,
}

/// What each thread that makes attempts needs.
#[derive(Debug, Clone)]
pub(crate) struct WorkerContext {
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) source: Option<IpAddr>,
    pub(crate) memory: Memory,
    pub(crate) reports: Sender<Reports>,
    pub(crate) panics: Panics,
}

/// How a thread's panic is handled.
#[derive(Debug, Clone)]
pub(crate) enum Panics {
    /// A message is sent to the coordinator.
    Report(Sender<()>),
    /// The process aborts, which its supervisor notices.
    Abort,
}

/// Reports the panic of the thread that owns it.
pub(super) struct PanicGuard(pub(super) Panics);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        match &self.0 {
            _ if !thread::panicking() => {}
            Panics::Report(coordinator) => drop(coordinator.try_send(())),
            Panics::Abort => std::process::abort(),
        }
    }
}

/// Starts a thread that does `work` and whose panic is reported.
///
/// # Errors
/// The thread could not be started.
pub(super) fn spawn(
    name: &str,
    context: WorkerContext,
    work: impl FnOnce(WorkerContext) + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let work = move || {
        let _guard = PanicGuard(context.panics.clone());
        work(context);
    };
    threads::named(name).spawn(work).map_err(StartError::Thread)
}
