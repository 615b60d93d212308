//! A network of this program's own, in which packets can be dropped and addresses invented.
//!
//! The program starts itself once more in new namespaces for network, processes and mounts. All of
//! them end with its first process, and that ends when the one who started it does, however it
//! ends: nothing is left behind, and nothing has a name that another run could meet.
//!
//! Invariant: nothing is sent outside; the namespace has no device but its own.

use std::{
    env,
    ffi::OsString,
    fs,
    io::Read,
    process::{self, Command, ExitCode, Stdio},
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

/// The flag that tells this program that it is inside.
pub(crate) const INSIDE: &str = "--inside";

/// Where temporary files go: inside to memory that ends with the namespace, because whoever is
/// killed leaves them.
const FILES: &str = "TMPDIR";

/// Settings of the network that hold inside alone, each with what it is for.
const SETTINGS: [(&str, &str); 3] = [
    // More connections to one endpoint than the usual 28,000; above the ports of greeters, as the
    // ports of connections are above those of servers.
    ("net/ipv4/ip_local_port_range", "30000 65535"),
    // Who listens lets as many wait as come at once.
    ("net/core/somaxconn", "65535"),
    ("net/ipv4/tcp_max_syn_backlog", "65535"),
];

/// What a machine needs for it.
const NEEDED: &str = "this part needs a network namespace: run it as root, or as a user who may make user namespaces, with unshare (Debian: util-linux), ip (iproute2) and nft (nftables) installed";

/// Starts this program with the same arguments once more, inside.
///
/// # Errors
/// This machine has no namespaces for us; the message says what is needed.
pub(crate) fn again() -> Result<ExitCode> {
    let program = env::current_exe().context("asking where this program is")?;
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let apart = || {
        let mut unshare = Command::new("unshare");
        if !geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
        unshare
    };
    let tried = apart().arg("true").stdin(Stdio::null()).output();
    let tried = tried.context(NEEDED)?;
    let complaint = String::from_utf8_lossy(&tried.stderr);
    ensure!(tried.status.success(), "{NEEDED} ({})", complaint.trim());
    let files = tempfile::tempdir().context("making a folder for files")?;
    let mut inside = apart();
    inside.arg(program).arg(INSIDE).args(arguments).env(FILES, files.path());
    // Its stdin is a pipe that nobody writes to: it ends when this process does.
    let inside = inside.stdin(Stdio::piped()).spawn();
    let mut inside = inside.context("starting this program in namespaces")?;
    // Taken, because waiting would close it.
    let _held = inside.stdin.take();
    let status = inside.wait().context("waiting for this program in namespaces")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A network that has been made ready.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// What is in force in it.
    pub(crate) settings: Vec<String>,
}

impl Namespace {
    /// Makes the namespace ready in which this process runs.
    ///
    /// # Errors
    /// Something can't be set.
    pub(crate) fn prepare() -> Result<Self> {
        let files = env::var(FILES).context("asking where files go")?;
        sh(&format!("mount -t tmpfs portmuster-bench '{files}'"))?;
        thread::Builder::new()
            .name("end".into())
            .spawn(move || {
                // Nothing comes: it ends with the one who started this.
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
                let _ = sh(&format!("umount --lazy '{files}' && rmdir '{files}'"));
                // This is the first process: with it all others end.
                process::exit(130);
            })
            .context("starting a thread")?;
        sh("ip link set lo up")?;
        let mut settings = Vec::new();
        for (name, value) in SETTINGS {
            let path = format!("/proc/sys/{name}");
            fs::write(&path, value).with_context(|| format!("setting {name} to {value}"))?;
            settings.push(told(name));
        }
        Ok(Self { settings })
    }

    /// Has what comes for this port dropped without an answer.
    ///
    /// # Errors
    /// nft can't do it.
    pub(crate) fn silence(&mut self, port: u16) -> Result<()> {
        nft(&format!(
            "table inet silent {{
                chain input {{
                    type filter hook input priority 0
                    tcp dport {port} drop
                }}
            }}"
        ))?;
        self.settings.push(format!("nft: tcp dport {port} drop"));
        Ok(())
    }

    /// Lowers the limit of descriptors of this process and all that it starts from now on.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn limit_descriptors(&mut self, most: u64) -> Result<()> {
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })
            .context("lowering the limit of descriptors")?;
        self.settings.push(format!("ulimit -n {most} (hard)"));
        Ok(())
    }
}

/// How a setting stands.
pub(crate) fn told(name: &str) -> String {
    let value = fs::read_to_string(format!("/proc/sys/{name}"));
    let value = value.map_or_else(
        |_| "unknown".into(),
        |value| value.split_whitespace().collect::<Vec<_>>().join(" "),
    );
    format!("{} = {value}", name.replace('/', "."))
}

/// Runs a line of shell.
///
/// # Errors
/// It fails; the message has what it complained about.
pub(crate) fn sh(script: &str) -> Result<()> {
    let output = Command::new("sh").args(["-euc", script]).stdin(Stdio::null()).output();
    let output = output.context("starting sh")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}: {}; {NEEDED}", complaint.trim());
    Ok(())
}

/// Applies rules for packets.
fn nft(rules: &str) -> Result<()> {
    sh(&format!("nft -f - <<'END'\n{rules}\nEND"))
}
