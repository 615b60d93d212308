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

/// Algorithms that are broken or about to be: the setting, what ssh calls such a list (`ssh -Q`),
/// and the names. Debian 12's sshd still takes all of them.
const WEAK: [(&str, &str, &[&str]); 4] = [
    (
        "KexAlgorithms",
        "kex",
        &[
            "diffie-hellman-group1-sha1",
            "diffie-hellman-group-exchange-sha1",
            "diffie-hellman-group14-sha1",
        ],
    ),
    ("HostKeyAlgorithms", "key-sig", &["ssh-dss", "ssh-rsa"]),
    ("Ciphers", "cipher", &["3des-cbc", "aes128-cbc"]),
    ("MACs", "mac", &["hmac-md5", "hmac-sha1-96"]),
];

/// How an sshd is set up.
#[derive(Debug, Clone, Copy)]
pub struct OpenSshSettings {
    /// Connections that have not logged in, 1 or more. It answers further ones with a line of
    /// text and closes. The connection that found it ready may still count for a moment.
    pub max_startups: u32,
    /// Whether it offers weak algorithms and no others, as far as its version has any:
    /// `ssh-dss`, `diffie-hellman-group1-sha1`, `3des-cbc`, `hmac-md5`.
    pub weak: bool,
    /// What it says before a login. That is within the protocol, after the key exchange: sshd has
    /// no setting for lines before its identification.
    pub banner: Option<&'static str>,
}

impl Default for OpenSshSettings {
    /// Its own defaults, except that it takes a thousand connections that have not logged in.
    fn default() -> Self {
        Self { max_startups: MANY, weak: false, banner: None }
    }
}

/// A running sshd. It penalises nobody.
#[derive(Debug)]
pub struct OpenSsh {
    daemon: Daemon,
}

impl OpenSsh {
    /// Starts sshd on 127.0.0.1 with the default settings.
    ///
    /// # Errors
    ///
    /// [`LabError::MissingProgram`] without the packages `openssh-server` and `openssh-client`;
    /// otherwise what kept it from starting.
    pub fn start() -> Result<Self, LabError> {
        Self::start_with(OpenSshSettings::default())
    }

    /// Starts sshd on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// As [`OpenSsh::start`].
    pub fn start_with(settings: OpenSshSettings) -> Result<Self, LabError> {
        let sshd = program::find(PROGRAM, PACKAGE)?;
        let folder = program::folder()?;
        make_privilege_separation_folder()?;
        let config = configure(&sshd, settings, folder.path())?;
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

fn make_host_key(kind: &str, folder: &Path) -> Result<PathBuf, LabError> {
    let path = folder.join(format!("host_key_{kind}"));
    let keygen = program::find("ssh-keygen", "openssh-client")?;
    let mut command = Command::new(keygen);
    command.args(["-q", "-t", kind, "-N", "", "-f"]).arg(&path);
    program::run("ssh-keygen", &mut command)?;
    Ok(path)
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
fn configure(sshd: &Path, settings: OpenSshSettings, folder: &Path) -> Result<PathBuf, LabError> {
    let path = folder.join("sshd_config");
    let base = config_text(settings, folder)?;
    program::write(&path, &format!("{base}PerSourcePenalties no\n"))?;
    let mut test = Command::new(sshd);
    if program::run(PROGRAM, test.arg("-t").arg("-f").arg(&path)).is_err() {
        program::write(&path, &base)?;
    }
    Ok(path)
}

fn config_text(settings: OpenSshSettings, folder: &Path) -> Result<String, LabError> {
    let mut text = SETTINGS.to_owned();
    let _ = writeln!(text, "MaxStartups {}", settings.max_startups);
    let _ = writeln!(text, "PidFile \"{}\"", daemon::pid_file(folder).display());
    if let Some(banner) = settings.banner {
        let path = folder.join("banner");
        program::write(&path, banner)?;
        let _ = writeln!(text, "Banner \"{}\"", path.display());
    }
    let mut kinds = vec!["ed25519"];
    if settings.weak {
        let algorithms = weak_algorithms()?;
        kinds = if algorithms.contains("ssh-dss") { vec!["rsa", "dsa"] } else { vec!["rsa"] };
        text.push_str(&algorithms);
    }
    for kind in kinds {
        let _ = writeln!(text, "HostKey \"{}\"", make_host_key(kind, folder)?.display());
    }
    Ok(text)
}

/// Settings for the weak algorithms that this version still has.
fn weak_algorithms() -> Result<String, LabError> {
    let ssh = program::find("ssh", "openssh-client")?;
    let mut text = String::new();
    for (setting, list, names) in WEAK {
        let known = program::ask("ssh", Command::new(&ssh).args(["-Q", list]))?;
        let is_known = |name: &&&str| known.lines().any(|known| known == **name);
        let names: Vec<_> = names.iter().filter(is_known).copied().collect();
        if !names.is_empty() {
            let _ = writeln!(text, "{setting} {}", names.join(","));
        }
    }
    Ok(text)
}
