//! The telnetd of GNU inetutils.

use std::{net::SocketAddr, path::Path, process::Command};

use super::{error::RealServerError, inetd::Inetd, login, program};

/// The name that `cargo xtask setup` gives the program: the package itself can't be installed beside
/// telnetd-ssl.
const PROGRAM: &str = "inetutils-telnetd";
const PACKAGE: &str = "inetutils-telnetd";

/// A running telnetd of GNU inetutils.
///
/// It first names seven options, and asks for a login name once the client has answered all its commands.
#[derive(Debug)]
pub struct Inetutils {
    inetd: Inetd,
}

impl Inetutils {
    /// Starts telnetd on 127.0.0.1, with one process per connection.
    ///
    /// # Errors
    ///
    /// [`RealServerError::MissingProgram`] without the program; otherwise the reason why it did not
    /// start.
    pub fn start() -> Result<Self, RealServerError> {
        let telnetd = program::find(PROGRAM, PACKAGE)?;
        let folder = program::create_folder()?;
        let login = login::create(folder.path())?;
        let session = Box::new(move || command(&telnetd, &login));
        Ok(Self { inetd: Inetd::start(PROGRAM, session, folder)? })
    }

    /// The endpoint on which it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.inetd.endpoint()
    }
}

/// The command line: no host information before the login.
fn command(telnetd: &Path, login: &Path) -> Command {
    let mut command = Command::new(telnetd);
    command.args(["-h", "-E"]).arg(login);
    command
}
