//! A server process that takes its port as an argument: starts it, waits until it is ready, and
//! ends it.
//!
//! - Invariant: a server is ready only after it has written its pid file (which it does once it
//!   listens) and has sent its greeting, so another server on the same port is not mistaken for it.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    error::RealServerError,
    process_tree, program,
    readiness::{self, READY_LIMIT},
};

/// How often to poll a server that is starting, since it sends no notification when it is ready.
const READY_INTERVAL: Duration = Duration::from_millis(10);

/// How many ports to try. Another process may take a free port before the server binds it.
const PORT_ATTEMPTS: usize = 8;

/// How to start a server and recognise it.
pub(super) struct DaemonSpec<'a> {
    pub(super) program: &'static str,
    /// Builds the command line of a server that stays in the foreground and listens on this
    /// endpoint.
    pub(super) command: &'a dyn Fn(SocketAddr) -> Command,
    /// The first bytes of its greeting.
    pub(super) greeting: &'static [u8],
}

/// A running server process. Dropping it kills the server and removes its folder.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    endpoint: SocketAddr,
    _folder: TempDir,
}

impl Daemon {
    /// Starts a server that writes its pid to [`pid_file`] of its folder, and waits until it is
    /// ready. Tries another port if the first is taken.
    pub(super) fn start(spec: &DaemonSpec<'_>, folder: TempDir) -> Result<Self, RealServerError> {
        let mut attempts = 1;
        loop {
            let endpoint = free_endpoint()?;
            let mut child = spawn(spec, endpoint, folder.path())?;
            match wait_until_ready(spec, endpoint, &mut child, folder.path()) {
                Ok(()) => {
                    return Ok(Self { child, endpoint, _folder: folder });
                }
                Err(error) => {
                    process_tree::kill(&mut child);
                    if attempts == PORT_ATTEMPTS || !is_port_conflict(&error) {
                        return Err(error);
                    }
                    attempts += 1;
                }
            }
        }
    }

    pub(super) fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        process_tree::kill(&mut self.child);
    }
}

/// The file in a server's folder to which the server must write its pid.
pub(super) fn pid_file(folder: &Path) -> PathBuf {
    folder.join("pid")
}

fn free_endpoint() -> Result<SocketAddr, RealServerError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(any)
        .and_then(|listener| listener.local_addr())
        .map_err(|source| RealServerError::Listen { address: any, source })
}

fn spawn(
    spec: &DaemonSpec<'_>,
    endpoint: SocketAddr,
    folder: &Path,
) -> Result<Child, RealServerError> {
    let program = spec.program;
    let path = readiness::stderr_file(folder);
    let stderr = File::create(&path).map_err(|error| program::prepare_error(&path, error))?;
    (spec.command)(endpoint)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(|error| RealServerError::Program { program, reason: error.to_string() })
}

#[expect(clippy::disallowed_methods, reason = "a process that is starting reports no event")]
fn wait_until_ready(
    spec: &DaemonSpec<'_>,
    endpoint: SocketAddr,
    child: &mut Child,
    folder: &Path,
) -> Result<(), RealServerError> {
    let fail = |reason| Err(readiness::not_ready(spec.program, endpoint, reason, folder));
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if !matches!(child.try_wait(), Ok(None)) {
            return fail("it has ended");
        }
        if pid_file(folder).exists() {
            return match readiness::greets_with(endpoint, spec.greeting) {
                Ok(true) => Ok(()),
                Ok(false) => fail("its greeting is not the expected one"),
                Err(_) => fail("it listens but does not greet"),
            };
        }
        if Instant::now() >= deadline {
            return fail("it does not listen");
        }
        thread::sleep(READY_INTERVAL);
    }
}

fn is_port_conflict(error: &RealServerError) -> bool {
    matches!(error, RealServerError::NotReady { stderr, .. } if stderr.contains("already in use"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Starts a program that writes `text` to its standard error and exits. Returns how often it
    /// was started, and the final error.
    fn start_failing_program(text: &str) -> (usize, RealServerError) {
        let starts = Cell::new(0);
        let spec = DaemonSpec {
            program: "sh",
            command: &|_| {
                starts.set(starts.get() + 1);
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "echo \"$0\" >&2", text]);
                command
            },
            greeting: b"SSH-",
        };
        let error = Daemon::start(&spec, program::create_folder().unwrap()).unwrap_err();
        (starts.get(), error)
    }

    #[test]
    fn port_conflict_is_retried_on_another_port() {
        let (starts, _) = start_failing_program("bind: Address already in use");
        assert_eq!(starts, PORT_ATTEMPTS);
    }

    #[test]
    fn other_failures_are_reported_without_retry() {
        let (starts, error) = start_failing_program("no host key");
        assert_eq!(starts, 1);
        assert!(error.to_string().ends_with("it has ended; it wrote: \"no host key\""), "{error}");
    }
}
