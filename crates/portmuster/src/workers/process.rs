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
        Ok(Process { child, socket: here })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(formatter)
    }
}

/// A worker process that was started and not waited for.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) socket: UnixStream,
}

impl Process {
    /// Ends it, if it has not ended; [`Ended::poll`] tells how.
    pub(super) fn kill(self) -> Ended {
        let Self { mut child, socket } = self;
        drop(socket);
        // Fails only when it has ended.
        let _ = child.kill();
        Ended(child)
    }
}

/// A worker process that was killed, or has ended by itself.
#[derive(Debug)]
pub(super) struct Ended(Child);

impl Ended {
    /// How it ended; `None` while the system has not finished ending it.
    pub(super) fn poll(&mut self) -> Option<Ending> {
        match self.0.try_wait() {
            Ok(status) => status.map(Ending::from),
            Err(_) => Some(Ending::Unknown),
        }
    }

    /// Waits until it is gone.
    pub(super) fn wait(mut self) -> Ending {
        self.0.wait().map_or(Ending::Unknown, Ending::from)
    }
}

/// How a worker process ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Ending {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed: it had not shown itself for 5 s.
    Silent,
    /// It was killed: what it sent was not to be understood.
    Garbage,
    /// It was killed: it was not ready in time.
    NotReady,
    /// It could not be started.
    NotStarted,
    /// The system does not say.
    Unknown,
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(formatter, "ended with status {code}"),
            Self::Signal(signal) => write!(formatter, "ended by signal {signal}"),
            Self::Silent => formatter.write_str("did not show itself and was killed"),
            Self::Garbage => formatter.write_str("sent garbage and was killed"),
            Self::NotReady => formatter.write_str("was not ready in time and was killed"),
            Self::NotStarted => formatter.write_str("could not be started"),
            Self::Unknown => formatter.write_str("ended"),
        }
    }
}
