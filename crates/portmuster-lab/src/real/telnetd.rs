//! Debian's telnetd behind a small inetd of our own.
//!
//! telnetd speaks on its standard input, as inetd gives it. Its login program is a script that
//! asks for a name and a password and believes neither; its certificate is made for it, as the
//! system's own can be read by root only.
//!
//! - Invariant: at most [`MAX_SESSIONS`] sessions at a time; further clients wait in the backlog.
//! - Invariant: every session's process is waited for.

use std::{
    fs::{File, Permissions, set_permissions},
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tempfile::TempDir;

use super::{daemon, family, program};
use crate::LabError;

const PROGRAM: &str = "in.telnetd";
const PACKAGE: &str = "telnetd-ssl";

/// Each takes a process and a pseudo-terminal.
const MAX_SESSIONS: usize = 64;

/// How long nothing is accepted when all sessions are taken, or the system has refused one.
const REST: Duration = Duration::from_millis(50);

const LOGIN: &str = "#!/bin/sh
printf 'lab login: '
read -r name || exit 1
printf 'Password: '
read -r password || exit 1
printf '\\nLogin incorrect\\n'
";

/// A running telnetd.
///
/// It begins with one command, DO NEW-ENVIRON, and says nothing more until that is answered.
/// Once all its commands are answered it asks for a login name.
#[derive(Debug)]
pub struct Telnetd {
    endpoint: SocketAddr,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl Telnetd {
    /// Starts telnetd on 127.0.0.1, a process for each connection.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingProgram`] without the packages `telnetd-ssl` and `openssl`; otherwise
    /// what kept it from starting.
    pub fn start() -> Result<Self, LabError> {
        let program = program::find(PROGRAM, PACKAGE)?;
        let folder = program::folder()?;
        make_login(folder.path())?;
        make_certificate(folder.path())?;
        let telnetd = Self::serve(program, folder)?;
        match daemon::greets(telnetd.endpoint, b"\xff") {
            Ok(true) => Ok(telnetd),
            Ok(false) => Err(telnetd.not_ready("it does not begin with a telnet command")),
            Err(_) => Err(telnetd.not_ready("it does not greet")),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    fn serve(program: PathBuf, folder: TempDir) -> Result<Self, LabError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (listener, endpoint) =
            listen(any).map_err(|source| LabError::Listen { address: any, source })?;
        let thread_error = |source| LabError::Thread { endpoint, source };
        let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
        let inetd = Inetd {
            listener,
            stop: stopped,
            program,
            folder: folder.path().to_owned(),
            sessions: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name(format!("inetd-{}", endpoint.port()))
            .spawn(move || inetd.run())
            .map_err(thread_error)?;
        Ok(Self { endpoint, stop, thread: Some(thread), folder })
    }

    fn not_ready(&self, reason: &'static str) -> LabError {
        daemon::not_ready(PROGRAM, self.endpoint, reason, self.folder.path())
    }
}

impl Drop for Telnetd {
    fn drop(&mut self) {
        // Not by closing it: a session being started may hold a copy for a moment.
        let _ = self.stop.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Inetd {
    listener: TcpListener,
    stop: UnixStream,
    program: PathBuf,
    folder: PathBuf,
    sessions: Vec<Child>,
}

impl Inetd {
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
        let session = self.command(stream)?.spawn()?;
        self.sessions.push(session);
        Ok(())
    }

    /// No reverse lookups, no words of the host, no TLS.
    fn command(&self, stream: TcpStream) -> io::Result<Command> {
        let certificate = certificate(&self.folder);
        let stderr =
            File::options().create(true).append(true).open(daemon::stderr_file(&self.folder))?;
        let mut command = Command::new(&self.program);
        command
            .args(["-N", "-h", "-z", "nossl", "-z"])
            .arg(format!("cert={}", certificate.display()))
            .arg("-L")
            .arg(login(&self.folder))
            .stdin(OwnedFd::from(stream.try_clone()?))
            .stdout(OwnedFd::from(stream))
            .stderr(stderr);
        Ok(command)
    }
}

fn listen(bind: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(bind)?;
    listener.set_nonblocking(true)?;
    let endpoint = listener.local_addr()?;
    Ok((listener, endpoint))
}

fn login(folder: &Path) -> PathBuf {
    folder.join("login")
}

fn certificate(folder: &Path) -> PathBuf {
    folder.join("certificate")
}

fn make_login(folder: &Path) -> Result<(), LabError> {
    let path = login(folder);
    program::write(&path, LOGIN)?;
    set_permissions(&path, Permissions::from_mode(0o700))
        .map_err(|error| program::prepare(&path, error))
}

/// RSA, as this telnetd reads no other; it wants the key and the certificate in one file.
fn make_certificate(folder: &Path) -> Result<(), LabError> {
    let path = certificate(folder);
    let openssl = program::find("openssl", "openssl")?;
    let mut command = Command::new(openssl);
    command
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(&path)
        .arg("-out")
        .arg(&path);
    program::run("openssl", &mut command)
}
