//! A server that must be told its port: started, waited for until it greets, and ended.
//!
//! - Invariant: a server is ready only after it has written its pid file (which it does once it
//!   listens) and has greeted, so another server on the same port is not mistaken for it.

use std::{
    fs::{self, File},
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{family, program};
use crate::LabError;

/// Longer than a loaded machine takes to start a server.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// How often a server that is starting is looked at; it tells nobody when it is ready.
const READY_INTERVAL: Duration = Duration::from_millis(10);

/// A port that was free may be taken before the server has it; so many others are tried.
const PORT_CHOICES: usize = 8;

/// How to start a server in its folder.
pub(super) struct Recipe<'a> {
    pub(super) program: &'static str,
    /// The command line for a server that stays in the foreground at this endpoint.
    pub(super) command: &'a dyn Fn(SocketAddr) -> Command,
    /// What its greeting starts with.
    pub(super) greeting: &'static [u8],
}

#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    endpoint: SocketAddr,
    _folder: TempDir,
}

impl Daemon {
    /// Starts a server whose pid file is [`pid_file`] of its folder.
    pub(super) fn start(recipe: &Recipe<'_>, folder: TempDir) -> Result<Self, LabError> {
        let mut choices = 1;
        loop {
            let endpoint = free_endpoint()?;
            let mut child = spawn(recipe, endpoint, folder.path())?;
            match wait_until_ready(recipe, endpoint, &mut child, folder.path()) {
                Ok(()) => {
                    return Ok(Self { child, endpoint, _folder: folder });
                }
                Err(error) => {
                    family::end(&mut child);
                    if choices == PORT_CHOICES || !lost_its_port(&error) {
                        return Err(error);
                    }
                    choices += 1;
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
        family::end(&mut self.child);
    }
}

pub(super) fn pid_file(folder: &Path) -> PathBuf {
    folder.join("pid")
}

pub(super) fn stderr_file(folder: &Path) -> PathBuf {
    folder.join("stderr")
}

/// An error that tells what the program wrote.
pub(super) fn not_ready(
    program: &'static str,
    endpoint: SocketAddr,
    reason: &'static str,
    folder: &Path,
) -> LabError {
    let stderr = fs::read(stderr_file(folder)).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
    LabError::NotReady { program, endpoint, reason, stderr }
}

/// Whether the server there says what is expected of it, within the limit for starting.
#[expect(clippy::disallowed_methods, reason = "a plain client for a server being started")]
pub(super) fn greets(endpoint: SocketAddr, greeting: &[u8]) -> io::Result<bool> {
    let mut stream = TcpStream::connect(endpoint)?;
    stream.set_read_timeout(Some(READY_LIMIT))?;
    let mut start = vec![0; greeting.len()];
    stream.read_exact(&mut start)?;
    Ok(start == greeting)
}

fn free_endpoint() -> Result<SocketAddr, LabError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(any)
        .and_then(|listener| listener.local_addr())
        .map_err(|source| LabError::Listen { address: any, source })
}

fn spawn(recipe: &Recipe<'_>, endpoint: SocketAddr, folder: &Path) -> Result<Child, LabError> {
    let path = stderr_file(folder);
    let stderr = File::create(&path).map_err(|error| program::prepare(&path, error))?;
    (recipe.command)(endpoint)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(|error| LabError::Program { program: recipe.program, reason: error.to_string() })
}

#[expect(clippy::disallowed_methods, reason = "a process that is starting reports no event")]
fn wait_until_ready(
    recipe: &Recipe<'_>,
    endpoint: SocketAddr,
    child: &mut Child,
    folder: &Path,
) -> Result<(), LabError> {
    let fail = |reason| Err(not_ready(recipe.program, endpoint, reason, folder));
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if !matches!(child.try_wait(), Ok(None)) {
            return fail("it has ended");
        }
        if pid_file(folder).exists() {
            return match greets(endpoint, recipe.greeting) {
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

fn lost_its_port(error: &LabError) -> bool {
    matches!(error, LabError::NotReady { stderr, .. } if stderr.contains("already in use"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often a server that writes this and ends is started, and the error in the end.
    fn starts_of_one_that_writes(text: &str) -> (usize, LabError) {
        let starts = Cell::new(0);
        let recipe = Recipe {
            program: "sh",
            command: &|_| {
                starts.set(starts.get() + 1);
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "echo \"$0\" >&2", text]);
                command
            },
            greeting: b"SSH-",
        };
        let error = Daemon::start(&recipe, program::folder().unwrap()).unwrap_err();
        (starts.get(), error)
    }

    #[test]
    fn a_lost_port_is_replaced_by_another() {
        let (starts, _) = starts_of_one_that_writes("bind: Address already in use");
        assert_eq!(starts, PORT_CHOICES);
    }

    #[test]
    fn any_other_failure_is_told_at_once() {
        let (starts, error) = starts_of_one_that_writes("no host key");
        assert_eq!(starts, 1);
        assert!(error.to_string().ends_with("it has ended; it wrote: \"no host key\""), "{error}");
    }
}
