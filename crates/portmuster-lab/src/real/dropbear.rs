//! Dropbear, the small ssh server of routers and appliances.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    daemon::{self, Daemon, DaemonSpec},
    error::RealServerError,
    program,
};

const PROGRAM: &str = "dropbear";
const PACKAGE: &str = "dropbear-bin";

/// A running dropbear.
///
/// The usual build closes a new connection at once if 5 connections from the same address have not
/// logged in.
#[derive(Debug)]
pub struct Dropbear {
    daemon: Daemon,
}

impl Dropbear {
    /// Starts dropbear on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`RealServerError::MissingProgram`] without the package `dropbear-bin`; otherwise the
    /// reason why it did not start.
    pub fn start() -> Result<Self, RealServerError> {
        let dropbear = program::find(PROGRAM, PACKAGE)?;
        let folder = program::create_folder()?;
        let key = create_host_key(folder.path())?;
        let pid_file = daemon::pid_file(folder.path());
        let spec = DaemonSpec {
            program: PROGRAM,
            command: &|endpoint| command(&dropbear, &key, &pid_file, endpoint),
            greeting: b"SSH-2.0-dropbear",
        };
        let daemon = Daemon::start(&spec, folder)?;
        Ok(Self { daemon })
    }

    /// The endpoint on which it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.daemon.endpoint()
    }
}

/// The command line: foreground, log to standard error, no passwords, no forwarding.
fn command(dropbear: &Path, key: &Path, pid_file: &Path, endpoint: SocketAddr) -> Command {
    let mut command = Command::new(dropbear);
    command
        .args(["-F", "-E", "-s", "-j", "-k", "-p"])
        .arg(endpoint.to_string())
        .arg("-r")
        .arg(key)
        .arg("-P")
        .arg(pid_file);
    command
}

fn create_host_key(folder: &Path) -> Result<PathBuf, RealServerError> {
    let key = folder.join("host_key");
    let keygen = program::find("dropbearkey", PACKAGE)?;
    program::run("dropbearkey", Command::new(keygen).args(["-t", "ed25519", "-f"]).arg(&key))?;
    Ok(key)
}
