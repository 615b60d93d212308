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
    daemon::{self, Daemon, DaemonSpec},
    error::RealServerError,
    program,
};

const PROGRAM: &str = "sshd";
const PACKAGE: &str = "openssh-server";

/// A folder whose path is compiled into Debian's sshd. As root, sshd refuses to start without it,
/// and only the system's service manager creates it.
const PRIVILEGE_SEPARATION_FOLDER: &str = "/run/sshd";

/// The default limit of connections that have not logged in; more than any test opens.
const DEFAULT_MAX_STARTUPS: u32 = 1000;

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

/// Broken or deprecated algorithms: the setting of sshd, the name of the list for `ssh -Q`, and the
/// algorithms. The sshd of Debian 12 still supports all of them.
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

/// Settings of an sshd.
#[derive(Debug, Clone, Copy)]
pub struct OpenSshSettings {
    /// The most connections that have not logged in, 1 or more. sshd answers further ones with a
    /// line of text and closes them. The connection that tested whether sshd is ready may still
    /// count for a moment.
    pub max_startups: u32,
    /// Whether it offers weak algorithms only, as far as its version supports them: `ssh-dss`,
    /// `diffie-hellman-group1-sha1`, `3des-cbc`, `hmac-md5`.
    pub weak: bool,
    /// The text to send before a login. sshd sends it within the protocol, after the key exchange;
    /// it has no setting for lines before its identification.
    pub banner: Option<&'static str>,
}

impl Default for OpenSshSettings {
    /// The defaults of sshd, except that it allows 1000 connections that have not logged in.
    fn default() -> Self {
        Self { max_startups: DEFAULT_MAX_STARTUPS, weak: false, banner: None }
    }
}

/// A running sshd, without penalties for clients that leave before they log in.
#[derive(Debug)]
pub struct OpenSsh {
    daemon: Daemon,
}

impl OpenSsh {
    /// Starts sshd on 127.0.0.1 with the default settings.
    ///
    /// # Errors
    ///
    /// [`RealServerError::MissingProgram`] without the packages `openssh-server` and
    /// `openssh-client`; otherwise the reason why it did not start.
    pub fn start() -> Result<Self, RealServerError> {
        Self::start_with(OpenSshSettings::default())
    }

    /// Starts sshd on 127.0.0.1 with these settings.
    ///
    /// # Errors
    ///
    /// The errors of [`OpenSsh::start`].
    pub fn start_with(settings: OpenSshSettings) -> Result<Self, RealServerError> {
        let sshd = program::find(PROGRAM, PACKAGE)?;
        let folder = program::create_folder()?;
        create_privilege_separation_folder()?;
        let config = write_config(&sshd, settings, folder.path())?;
        let spec = DaemonSpec {
            program: PROGRAM,
            command: &|endpoint| command(&sshd, &config, endpoint),
            greeting: b"SSH-2.0-OpenSSH",
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

fn command(sshd: &Path, config: &Path, endpoint: SocketAddr) -> Command {
    let mut command = Command::new(sshd);
    command.args(["-D", "-e", "-p"]).arg(endpoint.port().to_string()).arg("-f").arg(config);
    command
}

fn create_host_key(kind: &str, folder: &Path) -> Result<PathBuf, RealServerError> {
    let path = folder.join(format!("host_key_{kind}"));
    let keygen = program::find("ssh-keygen", "openssh-client")?;
    let mut command = Command::new(keygen);
    command.args(["-q", "-t", kind, "-N", "", "-f"]).arg(&path);
    program::run("ssh-keygen", &mut command)?;
    Ok(path)
}

fn create_privilege_separation_folder() -> Result<(), RealServerError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let path = Path::new(PRIVILEGE_SEPARATION_FOLDER);
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(program::prepare_error(path, error))
        }
        _ => Ok(()),
    }
}

/// Writes the configuration file and returns its path. sshd before 9.8 refuses the setting for
/// penalties, so the file gets it only if a test run of sshd accepts it.
fn write_config(
    sshd: &Path,
    settings: OpenSshSettings,
    folder: &Path,
) -> Result<PathBuf, RealServerError> {
    let path = folder.join("sshd_config");
    let base = config_text(settings, folder)?;
    program::write(&path, &format!("{base}PerSourcePenalties no\n"))?;
    let mut test = Command::new(sshd);
    if program::run(PROGRAM, test.arg("-t").arg("-f").arg(&path)).is_err() {
        program::write(&path, &base)?;
    }
    Ok(path)
}

fn config_text(settings: OpenSshSettings, folder: &Path) -> Result<String, RealServerError> {
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
        let _ = writeln!(text, "HostKey \"{}\"", create_host_key(kind, folder)?.display());
    }
    Ok(text)
}

/// Returns settings for the weak algorithms that the installed version supports.
fn weak_algorithms() -> Result<String, RealServerError> {
    let ssh = program::find("ssh", "openssh-client")?;
    let mut text = String::new();
    for (setting, list, names) in WEAK {
        let known = program::output("ssh", Command::new(&ssh).args(["-Q", list]))?;
        let is_known = |name: &&&str| known.lines().any(|known| known == **name);
        let names: Vec<_> = names.iter().filter(is_known).copied().collect();
        if !names.is_empty() {
            let _ = writeln!(text, "{setting} {}", names.join(","));
        }
    }
    Ok(text)
}
