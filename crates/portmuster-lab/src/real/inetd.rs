//! A small inetd: runs a server program for each connection, with the connection as its standard
//! input and output.
//!
//! - Invariant: at most [`MAX_SESSIONS`] sessions run at a time; further clients wait in the
//!   backlog.
//! - Invariant: the process of every session is waited for.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tempfile::TempDir;

use super::{
    error::RealServerError,
    process_tree,
    readiness::{self, not_ready},
};

/// The most sessions at a time. Each uses a process and a pseudo-terminal.
const MAX_SESSIONS: usize = 64;

/// How long to stop accepting when all sessions are in use, or after a session failed to start.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The first byte of a telnet server: IAC, which starts a command (RFC 854).
const GREETING: &[u8] = b"\xff";

/// Builds the command line of one session.
pub(super) type SessionCommand = Box<dyn Fn() -> Command + Send>;

/// A running inetd with one telnet service. Dropping it ends all sessions.
#[derive(Debug)]
pub(super) struct Inetd {
    endpoint: SocketAddr,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Inetd {
    /// Starts an inetd on 127.0.0.1 and waits until the service sends its greeting.
    pub(super) fn start(
        program: &'static str,
        session: SessionCommand,
        folder: TempDir,
    ) -> Result<Self, RealServerError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (listener, endpoint) =
            listen(any).map_err(|source| RealServerError::Listen { address: any, source })?;
        let thread_error = |source| RealServerError::Thread { endpoint, source };
        let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
        let stderr = readiness::stderr_file(folder.path());
        let event_loop =
            InetdLoop { listener, stop: stopped, session, stderr, sessions: Vec::new() };
        let thread = thread::Builder::new()
            .name(format!("inetd-{}", endpoint.port()))
            .spawn(move || event_loop.run())
            .map_err(thread_error)?;
        let fail = |reason| Err(not_ready(program, endpoint, reason, folder.path()));
        let result = match readiness::greets_with(endpoint, GREETING) {
            Ok(true) => Ok(()),
            Ok(false) => fail("it does not begin with a telnet command"),
            Err(_) => fail("it does not greet"),
        };
        let inetd = Self { endpoint, stop, thread: Some(thread), _folder: folder };
        result.map(|()| inetd)
    }

    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        // Closing the stream would not do: a session being started may still hold a copy of it.
        let _ = self.stop.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The state of the thread that accepts connections and starts sessions.
struct InetdLoop {
    listener: TcpListener,
    stop: UnixStream,
    session: SessionCommand,
    stderr: PathBuf,
    sessions: Vec<Child>,
}

impl InetdLoop {
    fn run(mut self) {
        let mut accept_failed = false;
        while let Ok([stop, listener]) =
            self.wait(accept_failed || self.sessions.len() == MAX_SESSIONS)
        {
            if !stop.is_empty() {
                break;
            }
            self.sessions.retain_mut(|session| matches!(session.try_wait(), Ok(None)));
            accept_failed = !listener.is_empty() && self.accept().is_err();
        }
        self.sessions.iter_mut().for_each(process_tree::kill);
    }

    /// Waits for events on the stop channel and the listener. When `paused`, ignores the listener
    /// and waits at most [`ACCEPT_PAUSE`].
    fn wait(&self, paused: bool) -> Result<[PollFlags; 2], Errno> {
        let timeout = Timespec::try_from(ACCEPT_PAUSE).ok().filter(|_| paused);
        let interest = if paused { PollFlags::empty() } else { PollFlags::IN };
        let mut polled =
            [PollFd::new(&self.stop, PollFlags::IN), PollFd::new(&self.listener, interest)];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(polled.map(|polled| polled.revents())),
            Err(errno) => Err(errno),
        }
    }

    /// Accepts one connection and starts a session for it.
    fn accept(&mut self) -> io::Result<()> {
        let (stream, _) = self.listener.accept()?;
        let stderr = File::options().create(true).append(true).open(&self.stderr)?;
        let session = (self.session)()
            .stdin(OwnedFd::from(stream.try_clone()?))
            .stdout(OwnedFd::from(stream))
            .stderr(stderr)
            .spawn()?;
        self.sessions.push(session);
        Ok(())
    }
}

fn listen(bind: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(bind)?;
    listener.set_nonblocking(true)?;
    let endpoint = listener.local_addr()?;
    Ok((listener, endpoint))
}
