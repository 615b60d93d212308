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
    /// The types of its host keys, as `ssh-keygen -t` names them, with the size behind a hyphen:
    /// `ed25519`, `ecdsa-384`, `rsa-2048`. A type that the installed version can't make is left out.
    /// Only without `weak`.
    pub host_keys: &'static [&'static str],
    /// Whether each host key has a certificate too, for `lab.example`.
    pub certified: bool,
    /// Further lines of its configuration, each with a line end.
    pub configuration: &'static str,
    /// The text to send before a login. sshd sends it within the protocol, after the key exchange;
    /// it has no setting for lines before its identification.
    pub banner: Option<&'static str>,
}

impl Default for OpenSshSettings {
    /// The defaults of sshd, except that it allows 1000 connections that have not logged in.
    fn default() -> Self {
        Self {
            max_startups: DEFAULT_MAX_STARTUPS,
            weak: false,
            host_keys: &["ed25519"],
            certified: false,
            configuration: "",
            banner: None,
        }
    }
}

/// A running sshd, without penalties for clients that leave before they log in.
#[derive(Debug)]
pub struct OpenSsh {
    daemon: Daemon,
    public_keys: Vec<PathBuf>,
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
        let keys = create_host_keys(settings, folder.path())?;
        let config = write_config(&sshd, settings, &keys, folder.path())?;
        let spec = DaemonSpec {
            program: PROGRAM,
            command: &|endpoint| command(&sshd, &config, endpoint),
            greeting: b"SSH-2.0-OpenSSH",
        };
        let daemon = Daemon::start(&spec, folder)?;
        let public_keys = keys.iter().map(|key| key.with_extension("pub")).collect();
        Ok(Self { daemon, public_keys })
    }

    /// The endpoint on which it listens.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        self.daemon.endpoint()
    }

    /// The files with its public host keys, in the order of the settings.
    #[must_use]
    pub fn public_keys(&self) -> &[PathBuf] {
        &self.public_keys
    }
}

fn command(sshd: &Path, config: &Path, endpoint: SocketAddr) -> Command {
    let mut command = Command::new(sshd);
    command.args(["-D", "-e", "-p"]).arg(endpoint.port().to_string()).arg("-f").arg(config);
    command
}

/// Creates the host keys that the settings ask for and the installed version can make.
fn create_host_keys(
    settings: OpenSshSettings,
    folder: &Path,
) -> Result<Vec<PathBuf>, RealServerError> {
    let kinds = if settings.weak { &["rsa", "dsa"][..] } else { settings.host_keys };
    let keygen = program::find("ssh-keygen", "openssh-client")?;
    let keys: Vec<_> =
        kinds.iter().filter_map(|kind| create_host_key(&keygen, kind, folder).ok()).collect();
    if settings.certified {
        certify(&keygen, &keys, folder)?;
    }
    Ok(keys)
}

fn create_host_key(keygen: &Path, kind: &str, folder: &Path) -> Result<PathBuf, RealServerError> {
    let path = folder.join(format!("host_key_{kind}"));
    let mut command = Command::new(keygen);
    let (name, bits) = kind.split_once('-').unwrap_or((kind, ""));
    command.args(["-q", "-t", name, "-N", "", "-f"]).arg(&path);
    if !bits.is_empty() {
        command.args(["-b", bits]);
    }
    program::run("ssh-keygen", &mut command)?;
    Ok(path)
}

/// Signs the public keys with an authority of their own.
fn certify(keygen: &Path, keys: &[PathBuf], folder: &Path) -> Result<(), RealServerError> {
    let authority = folder.join("authority");
    let mut command = Command::new(keygen);
    program::run(
        "ssh-keygen",
        command.args(["-q", "-t", "ecdsa", "-N", "", "-f"]).arg(&authority),
    )?;
    let mut command = Command::new(keygen);
    command.args(["-q", "-h", "-I", "lab", "-n", "lab.example,lab2.example"]);
    command.args(["-V", "20200101Z:20400101Z", "-s"]).arg(authority);
    command.args(keys.iter().map(|key| key.with_extension("pub")));
    program::run("ssh-keygen", &mut command)
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
    keys: &[PathBuf],
    folder: &Path,
) -> Result<PathBuf, RealServerError> {
    let path = folder.join("sshd_config");
    let base = config_text(settings, keys, folder)?;
    program::write(&path, &format!("{base}PerSourcePenalties no\n"))?;
    let mut test = Command::new(sshd);
    if program::run(PROGRAM, test.arg("-t").arg("-f").arg(&path)).is_err() {
        program::write(&path, &base)?;
    }
    Ok(path)
}

fn config_text(
    settings: OpenSshSettings,
    keys: &[PathBuf],
    folder: &Path,
) -> Result<String, RealServerError> {
    let mut text = SETTINGS.to_owned();
    let _ = writeln!(text, "MaxStartups {}", settings.max_startups);
    let _ = writeln!(text, "PidFile \"{}\"", daemon::pid_file(folder).display());
    if let Some(banner) = settings.banner {
        let path = folder.join("banner");
        program::write(&path, banner)?;
        let _ = writeln!(text, "Banner \"{}\"", path.display());
    }
    if settings.weak {
        text.push_str(&weak_algorithms()?);
    }
    for key in keys {
        let _ = writeln!(text, "HostKey \"{}\"", key.display());
        if settings.certified {
            let _ = writeln!(text, "HostCertificate \"{}-cert.pub\"", key.display());
        }
    }
    text.push_str(settings.configuration);
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
