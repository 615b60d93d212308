//! OpenSSH's sshd.

use std::{
    fmt::Write,
    fs::DirBuilder,
    io::ErrorKind,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    daemon::{self, Daemon, Recipe},
    program,
};
use crate::LabError;

const PROGRAM: &str = "sshd";
const PACKAGE: &str = "openssh-server";

/// Compiled into Debian's sshd, which as root refuses to start without it; only the system's
/// own start of the service makes it.
const PRIVILEGE_SEPARATION_FOLDER: &str = "/run/sshd";

/// So many connections that have not logged in are more than any test opens.
const MANY: u32 = 1000;

const SETTINGS: &str = "\
ListenAddress 127.0.0.1
UsePAM no
UseDNS no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
LoginGraceTime 60
LogLevel ERROR
";

/// A running sshd.
#[derive(Debug)]
pub struct OpenSsh {
    daemon: Daemon,
}

impl OpenSsh {
    /// Starts sshd on 127.0.0.1. It takes a thousand connections that have not logged in, and
    /// penalises nobody.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingProgram`] without the packages `openssh-server` and `openssh-client`;
    /// otherwise what kept it from starting.
    pub fn start() -> Result<Self, LabError> {
        Self::start_with_max_startups(MANY)
    }

    /// Like [`OpenSsh::start`], for at most so many connections (1 or more) that have not logged
    /// in: it answers further ones with `Exceeded MaxStartups` and closes. The connection that
    /// found it ready may still count for a moment.
    ///
    /// # Errors
    ///
    /// As [`OpenSsh::start`].
    pub fn start_with_max_startups(limit: u32) -> Result<Self, LabError> {
        let sshd = program::find(PROGRAM, PACKAGE)?;
        let folder = program::folder()?;
        make_host_key(&folder.path().join("host_key"))?;
        make_privilege_separation_folder()?;
        let config = configure(&sshd, limit, folder.path())?;
        let recipe = Recipe {
            program: PROGRAM,
            command: &|endpoint| command(&sshd, &config, endpoint),
            greeting: b"SSH-2.0-OpenSSH",
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

fn command(sshd: &Path, config: &Path, endpoint: SocketAddr) -> Command {
    let mut command = Command::new(sshd);
    command.args(["-D", "-e", "-p"]).arg(endpoint.port().to_string()).arg("-f").arg(config);
    command
}

fn make_host_key(path: &Path) -> Result<(), LabError> {
    let keygen = program::find("ssh-keygen", "openssh-client")?;
    let mut command = Command::new(keygen);
    command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path);
    program::run("ssh-keygen", &mut command)
}

fn make_privilege_separation_folder() -> Result<(), LabError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let path = Path::new(PRIVILEGE_SEPARATION_FOLDER);
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(program::prepare(path, error))
        }
        _ => Ok(()),
    }
}

/// sshd refuses settings it does not know, and before 9.8 it does not know the penalties.
fn configure(sshd: &Path, max_startups: u32, folder: &Path) -> Result<PathBuf, LabError> {
    let path = folder.join("sshd_config");
    let base = config_text(max_startups, folder);
    program::write(&path, &format!("{base}PerSourcePenalties no\n"))?;
    let mut test = Command::new(sshd);
    if program::run(PROGRAM, test.arg("-t").arg("-f").arg(&path)).is_err() {
        program::write(&path, &base)?;
    }
    Ok(path)
}

fn config_text(max_startups: u32, folder: &Path) -> String {
    let mut text = SETTINGS.to_owned();
    let _ = writeln!(text, "MaxStartups {max_startups}");
    let _ = writeln!(text, "HostKey \"{}\"", folder.join("host_key").display());
    let _ = writeln!(text, "PidFile \"{}\"", daemon::pid_file(folder).display());
    text
}
