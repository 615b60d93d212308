//! A small inetd: a server program for each connection, with the connection as its standard input
//! and output.
//!
//! - Invariant: at most [`MAX_SESSIONS`] sessions at a time; further clients wait in the backlog.
//! - Invariant: every session's process is waited for.

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

use super::{daemon, family};
use crate::LabError;

/// Each takes a process and a pseudo-terminal.
const MAX_SESSIONS: usize = 64;

/// How long nothing is accepted when all sessions are taken, or the system has refused one.
const REST: Duration = Duration::from_millis(50);

/// What a telnet server begins with: a command.
const GREETING: &[u8] = b"\xff";

/// The command line for one session.
pub(super) type Session = Box<dyn Fn() -> Command + Send>;

/// A running inetd with one telnet service.
#[derive(Debug)]
pub(super) struct Inetd {
    endpoint: SocketAddr,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Inetd {
    /// Starts it on 127.0.0.1 and waits until the service greets.
    pub(super) fn start(
        program: &'static str,
        session: Session,
        folder: TempDir,
    ) -> Result<Self, LabError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (listener, endpoint) =
            listen(any).map_err(|source| LabError::Listen { address: any, source })?;
        let thread_error = |source| LabError::Thread { endpoint, source };
        let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
        let stderr = daemon::stderr_file(folder.path());
        let host = Host { listener, stop: stopped, session, stderr, sessions: Vec::new() };
        let thread = thread::Builder::new()
            .name(format!("inetd-{}", endpoint.port()))
            .spawn(move || host.run())
            .map_err(thread_error)?;
        let not_ready = |reason| daemon::not_ready(program, endpoint, reason, folder.path());
        let greets = match daemon::greets(endpoint, GREETING) {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_ready("it does not begin with a telnet command")),
            Err(_) => Err(not_ready("it does not greet")),
        };
        let inetd = Self { endpoint, stop, thread: Some(thread), _folder: folder };
        greets.map(|()| inetd)
    }

    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        // Not by closing it: a session being started may hold a copy for a moment.
        let _ = self.stop.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Host {
    listener: TcpListener,
    stop: UnixStream,
    session: Session,
    stderr: PathBuf,
    sessions: Vec<Child>,
}

impl Host {
    fn run(mut self) {
        let mut resting = false;
        while let Ok([stop, listener]) = self.wait(resting || self.sessions.len() == MAX_SESSIONS) {
            if !stop.is_empty() {
                break;
            }
            self.sessions.retain_mut(|session| matches!(session.try_wait(), Ok(None)));
            resting = !listener.is_empty() && self.accept().is_err();
        }
        self.sessions.iter_mut().for_each(family::end);
    }

    fn wait(&self, resting: bool) -> Result<[PollFlags; 2], Errno> {
        let rest = Timespec::try_from(REST).ok().filter(|_| resting);
        let wish = if resting { PollFlags::empty() } else { PollFlags::IN };
        let mut polled =
            [PollFd::new(&self.stop, PollFlags::IN), PollFd::new(&self.listener, wish)];
        match poll(&mut polled, rest.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(polled.map(|polled| polled.revents())),
            Err(errno) => Err(errno),
        }
    }

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
