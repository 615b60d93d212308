//! Dropbear, the small ssh server of routers and appliances.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    daemon::{self, Daemon, Recipe},
    program,
};
use crate::LabError;

const PROGRAM: &str = "dropbear";
const PACKAGE: &str = "dropbear-bin";

/// A running dropbear.
///
/// As it is usually built, it closes at once on more than 5 connections from one address that
/// have not logged in.
#[derive(Debug)]
pub struct Dropbear {
    daemon: Daemon,
}

impl Dropbear {
    /// Starts dropbear on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingProgram`] without the package `dropbear-bin`; otherwise what kept it
    /// from starting.
    pub fn start() -> Result<Self, LabError> {
        let dropbear = program::find(PROGRAM, PACKAGE)?;
        let folder = program::folder()?;
        let key = make_host_key(folder.path())?;
        let pid_file = daemon::pid_file(folder.path());
        let recipe = Recipe {
            program: PROGRAM,
            command: &|endpoint| command(&dropbear, &key, &pid_file, endpoint),
            greeting: b"SSH-2.0-dropbear",
        };
        let daemon = Daemon::start(&recipe, folder)?;
        Ok(Self { daemon })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.daemon.endpoint()
    }
}

/// In the foreground, to standard error, without passwords or forwarding.
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

fn make_host_key(folder: &Path) -> Result<PathBuf, LabError> {
    let key = folder.join("host_key");
    let keygen = program::find("dropbearkey", PACKAGE)?;
    program::run("dropbearkey", Command::new(keygen).args(["-t", "ed25519", "-f"]).arg(&key))?;
    Ok(key)
}
