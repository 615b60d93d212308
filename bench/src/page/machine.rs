//! What the machine is, and what is installed on it.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use crate::{namespace, peer::Peer};

/// Settings of the whole machine that bound what is measured; the benchmark changes none.
const SETTINGS: [&str; 3] =
    ["net/ipv4/tcp_max_orphans", "net/ipv4/tcp_mem", "net/core/netdev_max_backlog"];

/// A fact and its name.
pub(super) type Fact = (&'static str, String);

/// All of them.
pub(super) fn facts(portmuster: &Path) -> Vec<Fact> {
    let unknown = |fact: Option<String>| fact.unwrap_or_else(|| "unknown".into());
    let mut facts = vec![
        ("when", unknown(line("date", &["-u", "+%Y-%m-%d"]))),
        ("processor", unknown(processor())),
        ("memory", unknown(memory())),
        ("system", unknown(line("uname", &["-sr"]))),
        ("load before", unknown(load())),
        ("settings", SETTINGS.map(namespace::told).join("; ")),
        ("portmuster", unknown(version(portmuster))),
        ("rustc", unknown(line("rustc", &["--version"]))),
    ];
    for peer in Peer::CONNECTING.into_iter().chain(Peer::RAW) {
        if peer != Peer::Tokio {
            facts.push((peer.name(), peer.version().unwrap_or_else(|| "absent".into())));
        }
    }
    facts
}

/// The first line that a program prints.
fn line(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    output.status.success().then_some(text)
}

/// The version, and of which source.
fn version(portmuster: &Path) -> Option<String> {
    let version = line(portmuster.to_str()?, &["--version"])?;
    let source = line("git", &["describe", "--always", "--dirty=, with changes"]);
    Some(source.map_or_else(|| version.clone(), |source| format!("{version} ({source})")))
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let is_virtual = field("flags").is_some_and(|flags| flags.contains("hypervisor"));
    let virtually = if is_virtual { ", in a virtual machine" } else { "" };
    Some(format!("{cores} × {}{virtually}", field("model name")?))
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(format!("{} MiB", kib / 1024))
}

fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let averages: Vec<_> = text.split(' ').take(3).collect();
    Some(format!("{} (1, 5, 15 minutes)", averages.join(", ")))
}
