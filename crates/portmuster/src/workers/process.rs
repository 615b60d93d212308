//! One worker process and the socket that connects it with the supervisor.

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

/// A program with arguments that make it run as a worker.
///
/// Started in this way it calls [`worker_main`](crate::worker_main) or [`serve`](super::serve). Its
/// stdin is the socket to the supervisor, its stdout is `/dev/null`, and it inherits stderr. It has
/// a process group of its own, so that Ctrl-C reaches only the process that started it. It exits as
/// soon as the supervisor closes the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Names a program by its path, or by a name that is searched for in `PATH`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new() }
    }

    /// Names the program of this process.
    ///
    /// # Errors
    /// The system does not report its path.
    pub fn this() -> io::Result<Self> {
        std::env::current_exe().map(Self::new)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    /// The socket pair or the process can't be created.
    pub(super) fn start(&self) -> io::Result<Process> {
        let (socket, remote) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(OwnedFd::from(remote))
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Process { child: Some(child), socket })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(formatter)
    }
}

/// A running worker process. Dropping it kills it and waits for it.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` after [`Self::kill`].
    child: Option<Child>,
    pub(super) socket: UnixStream,
}

impl Process {
    /// Kills the process if it is still running. [`KilledProcess::poll`] returns how it ended.
    pub(super) fn kill(mut self) -> KilledProcess {
        KilledProcess(self.child.take().map(kill))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            let _ = kill(child).wait();
        }
    }
}

fn kill(mut child: Child) -> Child {
    // Fails only when the process has already exited.
    let _ = child.kill();
    child
}

/// A worker process that was killed, or had already exited, and must be waited for.
#[derive(Debug)]
pub(super) struct KilledProcess(Option<Child>);

impl KilledProcess {
    /// Returns how the process ended; `None` while the system is still ending it. Never blocks.
    pub(super) fn poll(&mut self) -> Option<WorkerExit> {
        match self.0.as_mut().map(Child::try_wait) {
            Some(Ok(status)) => status.map(WorkerExit::from),
            Some(Err(_)) | None => Some(WorkerExit::Unknown),
        }
    }

    /// Waits until the process has ended. Returns how it ended.
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

/// Why no worker could be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// The program can't be started.
    #[error("starting {program} as a worker failed")]
    Program {
        /// The program of the worker.
        program: Program,
        /// The error of the system.
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
