//! A network namespace of this program's own, where packets can be dropped and addresses added.
//!
//! The program starts itself again in new namespaces for network, processes and mounts. They end
//! with their first process, which ends when its parent does, however the parent ends.
//!
//! Invariant: no packet leaves the machine; the namespace has no device but its own.

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

/// The flag that marks the process inside the namespaces.
pub(crate) const INSIDE: &str = "--inside";

/// The variable with the folder of temporary files. Inside, the folder is a file system in memory
/// that ends with the namespace, because a killed process leaves its files.
const TEMPORARY: &str = "TMPDIR";

/// Settings of the namespace.
const SETTINGS: [(&str, &str); 3] = [
    // More connections to one endpoint than the usual 28,000. Ports of greeters are below.
    ("net/ipv4/ip_local_port_range", "30000 65535"),
    // A listener can queue all connections that arrive at once.
    ("net/core/somaxconn", "65535"),
    ("net/ipv4/tcp_max_syn_backlog", "65535"),
];

/// The requirements on the machine.
const NEEDED: &str = "this part needs a network namespace: run it as root, or as a user who may make user namespaces, with unshare (Debian: util-linux), ip (iproute2) and nft (nftables) installed";

/// Starts this program with the same arguments again, in new namespaces, and waits for its end.
///
/// # Errors
/// The machine permits no namespaces; the message names the requirements.
pub(crate) fn run_inside() -> Result<ExitCode> {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        if !geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
        unshare
    };
    let attempt = unshare().arg("true").stdin(Stdio::null()).output().context(NEEDED)?;
    let error = String::from_utf8_lossy(&attempt.stderr);
    ensure!(attempt.status.success(), "{NEEDED} ({})", error.trim());
    let temporary = tempfile::tempdir().context("making a folder for files")?;
    let program = env::current_exe().context("finding this program")?;
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let mut inside = unshare();
    inside.arg(program).arg(INSIDE).args(arguments).env(TEMPORARY, temporary.path());
    // Its stdin is a pipe that stays empty and is closed when this process ends.
    let mut inside = inside.stdin(Stdio::piped()).spawn().context("starting in namespaces")?;
    // `wait` would close the pipe if `inside` still owned it.
    let _stdin = inside.stdin.take();
    let status = inside.wait().context("waiting for this program in namespaces")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A network namespace that is ready for use.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// Its settings, for the report.
    pub(crate) settings: Vec<String>,
}

impl Namespace {
    /// Prepares the namespace of this process.
    pub(crate) fn prepare() -> Result<Self> {
        let folder = env::var(TEMPORARY).context("finding the folder of temporary files")?;
        sh(&format!("mount -t tmpfs portmuster-bench '{folder}'"))?;
        let end_with_parent = move || {
            // Stdin ends when the parent does.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = sh(&format!("umount --lazy '{folder}' && rmdir '{folder}'"));
            // This is the first process of the namespace: all others end with it.
            process::exit(130);
        };
        thread::Builder::new().name("end".into()).spawn(end_with_parent)?;
        sh("ip link set lo up")?;
        let mut settings = Vec::new();
        for (name, value) in SETTINGS {
            let path = format!("/proc/sys/{name}");
            fs::write(&path, value).with_context(|| format!("setting {name} to {value}"))?;
            settings.push(describe(name));
        }
        Ok(Self { settings })
    }

    /// Drops all packets to `port`.
    pub(crate) fn silence(&mut self, port: u16) -> Result<()> {
        sh(&nft(&format!(
            "table inet silent {{
                chain input {{
                    type filter hook input priority 0
                    tcp dport {port} drop
                }}
            }}"
        )))?;
        self.settings.push(format!("nft: tcp dport {port} drop"));
        Ok(())
    }

    /// Lowers the limit of descriptors of this process and its future children.
    pub(crate) fn limit_descriptors(&mut self, most: u64) -> Result<()> {
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })
            .context("lowering the limit of descriptors")?;
        self.settings.push(format!("ulimit -n {most} (hard)"));
        Ok(())
    }
}

/// A setting in `/proc/sys`, with its value.
pub(crate) fn describe(name: &str) -> String {
    let value = fs::read_to_string(format!("/proc/sys/{name}"));
    let value = value.unwrap_or_else(|_| "unknown".into());
    let words: Vec<_> = value.split_whitespace().collect();
    format!("{} = {}", name.replace('/', "."), words.join(" "))
}

/// Runs a shell script.
///
/// # Errors
/// It fails; the message contains its stderr.
pub(crate) fn sh(script: &str) -> Result<()> {
    let output = Command::new("sh").args(["-euc", script]).stdin(Stdio::null()).output();
    let output = output.context("starting sh")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}: {}; {NEEDED}", error.trim());
    Ok(())
}

/// A shell script that applies packet rules.
pub(crate) fn nft(rules: &str) -> String {
    format!("nft -f - <<'END'\n{rules}\nEND")
}
