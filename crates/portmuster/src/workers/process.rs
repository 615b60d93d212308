//! One worker process and the socket that leads to it.

use std::{
    ffi::OsString,
    fmt, io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt, process::ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use thiserror::Error;

/// A program that works when it is started with these arguments: what it then does is
/// [`worker_main`](crate::worker_main) or [`serve`](super::serve).
///
/// Its stdin is the socket on which it gets its work, its stdout leads nowhere, its stderr is
/// this program's. It is in a process group of its own, so that Ctrl-C reaches only who started
/// it, and it ends as soon as the socket is closed from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// The program at this path, or of this name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new() }
    }

    /// The program that is running.
    ///
    /// # Errors
    /// The system does not say where it is.
    pub fn this() -> io::Result<Self> {
        std::env::current_exe().map(Self::new)
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts it.
    pub(super) fn start(&self) -> io::Result<Process> {
        let (here, there) = UnixStream::pair()?;
        here.set_nonblocking(true)?;
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(OwnedFd::from(there))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Process { child: Some(child), socket: here })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(formatter)
    }
}

/// A worker process that was started and not waited for. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` once it was killed.
    child: Option<Child>,
    pub(super) socket: UnixStream,
}

impl Process {
    /// Ends it, if it has not ended; [`Ended::poll`] tells how.
    pub(super) fn kill(mut self) -> Ended {
        Ended(self.child.take().map(killed))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let _ = killed(child).wait();
        }
    }
}

fn killed(mut child: Child) -> Child {
    // Fails only when it has ended.
    let _ = child.kill();
    child
}

/// A worker process that was killed, or has ended by itself.
#[derive(Debug)]
pub(super) struct Ended(Option<Child>);

impl Ended {
    /// How it ended; `None` while the system has not finished ending it.
    pub(super) fn poll(&mut self) -> Option<WorkerExit> {
        match self.0.as_mut().map(Child::try_wait) {
            Some(Ok(status)) => status.map(WorkerExit::from),
            Some(Err(_)) | None => Some(WorkerExit::Unknown),
        }
    }

    /// Waits until it is gone.
    pub(super) fn wait(self) -> WorkerExit {
        let status = self.0.map(|mut child| child.wait());
        status.and_then(Result::ok).map_or(WorkerExit::Unknown, WorkerExit::from)
    }
}

/// How a worker process ended during a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WorkerExit {
    /// It exited with this status.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
    /// The supervisor killed it because it sent no valid heartbeat for 5 s.
    Silent,
    /// The supervisor killed it because it sent bytes that are no valid frames.
    Garbage,
    /// The supervisor killed it because it was not ready within 10 s.
    NotReady,
    /// It could not be started.
    NotStarted,
    /// The system did not report how it ended.
    Unknown,
}

impl From<ExitStatus> for WorkerExit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for WorkerExit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(formatter, "with status {code}"),
            Self::Signal(signal) => write!(formatter, "by signal {signal}"),
            Self::Silent => formatter.write_str("killed for missing heartbeats"),
            Self::Garbage => formatter.write_str("killed for sending invalid frames"),
            Self::NotReady => formatter.write_str("killed for not being ready in time"),
            Self::NotStarted => formatter.write_str("could not be started"),
            Self::Unknown => formatter.write_str("in an unknown way"),
        }
    }
}

/// Workers can't be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// The program can't be started.
    #[error("starting {program} as a worker failed")]
    Program {
        /// What was to be started.
        program: Program,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// A thread can't be started.
    #[error("starting a thread failed")]
    Thread(#[source] io::Error),
    /// The machine is short of descriptors or memory.
    #[error("this machine is short of descriptors or memory")]
    OutOfResources(#[source] io::Error),
}
