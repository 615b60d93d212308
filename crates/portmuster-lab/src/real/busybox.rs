//! The telnetd of Busybox, which routers and cameras use.
//!
//! Debian's package `busybox` lacks telnetd, `busybox-static` contains it, and the two packages
//! exclude each other. So the module looks for the program under both names.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{error::RealServerError, inetd::Inetd, login, program};

const PROGRAM: &str = "busybox telnetd";
const PACKAGE: &str = "busybox-static";

/// Names under which a Busybox with telnetd may be installed: the name that `cargo xtask setup`
/// gives it, and the system's own.
const NAMES: [&str; 2] = ["busybox-static", "busybox"];

/// The text that telnetd sends before it runs the login program.
const NOTICE: &str = "lab\n";

/// A running Busybox telnetd.
///
/// It first sends DO ECHO, DO NAWS, WILL ECHO and WILL SUPPRESS-GO-AHEAD, then asks for a login
/// name without waiting for answers.
#[derive(Debug)]
pub struct Busybox {
    inetd: Inetd,
}

impl Busybox {
    /// Starts telnetd on 127.0.0.1, with one process per connection.
    ///
    /// # Errors
    ///
    /// [`RealServerError::MissingProgram`] if no installed Busybox contains telnetd; otherwise the
    /// reason why it did not start.
    pub fn start() -> Result<Self, RealServerError> {
        let busybox = find()?;
        let folder = program::create_folder()?;
        let login = login::create(folder.path())?;
        let notice = folder.path().join("notice");
        program::write(&notice, NOTICE)?;
        let session = Box::new(move || command(&busybox, &login, &notice));
        Ok(Self { inetd: Inetd::start(PROGRAM, session, folder)? })
    }

    /// The endpoint on which it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.inetd.endpoint()
    }
}

fn find() -> Result<PathBuf, RealServerError> {
    NAMES
        .into_iter()
        .filter_map(|name| program::find(name, PACKAGE).ok())
        .find(|path| has_telnetd(path))
        .ok_or(RealServerError::MissingProgram { program: PROGRAM, package: PACKAGE })
}

fn has_telnetd(busybox: &Path) -> bool {
    program::output(PROGRAM, Command::new(busybox).arg("--list"))
        .is_ok_and(|programs| programs.lines().any(|program| program == "telnetd"))
}

fn command(busybox: &Path, login: &Path, notice: &Path) -> Command {
    let mut command = Command::new(busybox);
    command.args(["telnetd", "-i", "-l"]).arg(login).arg("-f").arg(notice);
    command
}
