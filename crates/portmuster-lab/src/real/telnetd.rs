//! Debian's telnetd, of the netkit family.
//!
//! Its certificate is made for it, as the system's own can be read by root only.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{inetd::Inetd, login, program};
use crate::LabError;

const PROGRAM: &str = "in.telnetd";
const PACKAGE: &str = "telnetd-ssl";

/// A running telnetd.
///
/// It begins with one command, DO NEW-ENVIRON, and says nothing more until that is answered.
/// Once all its commands are answered it asks for a login name.
#[derive(Debug)]
pub struct Telnetd {
    inetd: Inetd,
}

impl Telnetd {
    /// Starts telnetd on 127.0.0.1, a process for each connection.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingProgram`] without the packages `telnetd-ssl` and `openssl`; otherwise
    /// what kept it from starting.
    pub fn start() -> Result<Self, LabError> {
        let telnetd = program::find(PROGRAM, PACKAGE)?;
        let folder = program::folder()?;
        let login = login::make(folder.path())?;
        let certificate = make_certificate(folder.path())?;
        let session = Box::new(move || command(&telnetd, &certificate, &login));
        Ok(Self { inetd: Inetd::start(PROGRAM, session, folder)? })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.inetd.endpoint()
    }
}

/// No reverse lookups, no words of the host, no TLS.
fn command(telnetd: &Path, certificate: &Path, login: &Path) -> Command {
    let mut command = Command::new(telnetd);
    command
        .args(["-N", "-h", "-z", "nossl", "-z"])
        .arg(format!("cert={}", certificate.display()))
        .arg("-L")
        .arg(login);
    command
}

/// RSA, as this telnetd reads no other; it wants the key and the certificate in one file.
fn make_certificate(folder: &Path) -> Result<PathBuf, LabError> {
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
