//! Debian's telnetd, which is derived from netkit.
//!
//! The module creates a certificate for it, because only root can read the system's own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{error::RealServerError, inetd::Inetd, login, program};

const PROGRAM: &str = "in.telnetd";
const PACKAGE: &str = "telnetd-ssl";

/// A running telnetd.
///
/// It first sends one command, DO NEW-ENVIRON, and then stays silent until the client answers. It
/// asks for a login name once the client has answered all its commands.
#[derive(Debug)]
pub struct Telnetd {
    inetd: Inetd,
}

impl Telnetd {
    /// Starts telnetd on 127.0.0.1, with one process per connection.
    ///
    /// # Errors
    ///
    /// [`RealServerError::MissingProgram`] without the packages `telnetd-ssl` and `openssl`;
    /// otherwise the reason why it did not start.
    pub fn start() -> Result<Self, RealServerError> {
        let telnetd = program::find(PROGRAM, PACKAGE)?;
        let folder = program::create_folder()?;
        let login = login::create(folder.path())?;
        let certificate = create_certificate(folder.path())?;
        let session = Box::new(move || command(&telnetd, &certificate, &login));
        Ok(Self { inetd: Inetd::start(PROGRAM, session, folder)? })
    }

    /// The endpoint on which it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.inetd.endpoint()
    }
}

/// The command line: no reverse lookups, no host information before the login, no TLS.
fn command(telnetd: &Path, certificate: &Path, login: &Path) -> Command {
    let mut command = Command::new(telnetd);
    command
        .args(["-N", "-h", "-z", "nossl", "-z"])
        .arg(format!("cert={}", certificate.display()))
        .arg("-L")
        .arg(login);
    command
}

/// Creates a certificate. This telnetd reads only RSA, and expects the key and the certificate in
/// one file.
fn create_certificate(folder: &Path) -> Result<PathBuf, RealServerError> {
    let path = folder.join("certificate");
    let openssl = program::find("openssl", "openssl")?;
    let mut command = Command::new(openssl);
    command
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout"])
        .arg(&path)
        .arg("-out")
        .arg(&path);
    program::run("openssl", &mut command)?;
    Ok(path)
}
