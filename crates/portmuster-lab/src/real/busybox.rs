//! Busybox's telnetd, the one of routers and cameras.
//!
//! Debian's package `busybox` has none, its `busybox-static` does, and the two exclude each other.
//! So it is looked for under both names.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{inetd::Inetd, login, program};
use crate::LabError;

const PROGRAM: &str = "busybox telnetd";
const PACKAGE: &str = "busybox-static";

/// Where a Busybox with telnetd may be: under the name that this project's setup gives it, or as
/// the system's own.
const NAMES: [&str; 2] = ["busybox-static", "busybox"];

/// What comes before the login program's words.
const NOTICE: &str = "lab\n";

/// A running Busybox telnetd.
///
/// It begins with DO ECHO, DO NAWS, WILL ECHO and WILL SUPPRESS-GO-AHEAD, and asks for a login
/// name without waiting for answers.
#[derive(Debug)]
pub struct Busybox {
    inetd: Inetd,
}

impl Busybox {
    /// Starts telnetd on 127.0.0.1, a process for each connection.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingProgram`] where no Busybox has a telnetd; otherwise what kept it from
    /// starting.
    pub fn start() -> Result<Self, LabError> {
        let busybox = find()?;
        let folder = program::folder()?;
        let login = login::make(folder.path())?;
        let notice = folder.path().join("notice");
        program::write(&notice, NOTICE)?;
        let session = Box::new(move || command(&busybox, &login, &notice));
        Ok(Self { inetd: Inetd::start(PROGRAM, session, folder)? })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.inetd.endpoint()
    }
}

fn find() -> Result<PathBuf, LabError> {
    NAMES
        .into_iter()
        .filter_map(|name| program::find(name, PACKAGE).ok())
        .find(|path| has_telnetd(path))
        .ok_or(LabError::MissingProgram { program: PROGRAM, package: PACKAGE })
}

fn has_telnetd(busybox: &Path) -> bool {
    program::ask(PROGRAM, Command::new(busybox).arg("--list"))
        .is_ok_and(|programs| programs.lines().any(|program| program == "telnetd"))
}

fn command(busybox: &Path, login: &Path, notice: &Path) -> Command {
    let mut command = Command::new(busybox);
    command.args(["telnetd", "-i", "-l"]).arg(login).arg("-f").arg(notice);
    command
}
