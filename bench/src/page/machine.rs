//! Facts about the machine and the installed programs.

use std::{
    fs,
    path::{self, Path},
    process::{Command, Stdio},
};

use crate::{arguments::cores, namespace, peer::Peer};

/// System-wide settings that bound the figures. The benchmark leaves them as they are.
const SETTINGS: [&str; 3] =
    ["net/ipv4/tcp_max_orphans", "net/ipv4/tcp_mem", "net/core/netdev_max_backlog"];

/// The name and the value of each fact.
pub(super) fn facts(portmuster: &Path) -> Vec<(&'static str, String)> {
    // `first_line` runs it in another folder.
    let portmuster = path::absolute(portmuster).unwrap_or_default();
    let version = portmuster.to_str().and_then(|portmuster| first_line(portmuster, &["--version"]));
    let source = first_line("git", &["describe", "--always", "--dirty=, with changes"]);
    let source = source.map_or(String::new(), |source| format!(" ({source})"));
    let facts = [
        ("when", first_line("date", &["-u", "+%Y-%m-%d"])),
        ("processor", processor()),
        ("memory", memory()),
        ("system", first_line("uname", &["-sr"])),
        ("load before", load()),
        ("settings", Some(SETTINGS.map(namespace::describe).join("; "))),
        ("portmuster", version.map(|version| version + &source)),
        ("rustc", first_line("rustc", &["--version"])),
    ];
    let facts = facts.map(|(name, fact)| (name, fact.unwrap_or_else(|| "unknown".into())));
    let peers = Peer::CONNECTING.into_iter().chain(Peer::RAW).filter(|&peer| peer != Peer::Tokio);
    let peers = peers.map(|peer| (peer.name(), peer.version().unwrap_or_else(|| "absent".into())));
    facts.into_iter().chain(peers).collect()
}

/// A line that says when and with which portmuster an answer was measured.
pub(super) fn measured(facts: &[(&'static str, String)]) -> String {
    let fact = |name| facts.iter().find(|(known, _)| *known == name).map_or("", |(_, fact)| fact);
    format!("Measured on {} with {}.", fact("when"), fact("portmuster"))
}

/// The first line that a program prints.
fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    output.status.success().then_some(text)
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| text.lines().find(|line| line.starts_with(name))?.split_once(": ");
    let is_virtual = field("flags").is_some_and(|(_, flags)| flags.contains("hypervisor"));
    let suffix = if is_virtual { ", in a virtual machine" } else { "" };
    Some(format!("{} × {}{suffix}", cores(), field("model name")?.1.trim()))
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.strip_suffix("kB"))?;
    Some(format!("{} MiB", kib.trim().parse::<u64>().ok()? / 1024))
}

fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let averages: Vec<_> = text.split(' ').take(3).collect();
    Some(format!("{} (1, 5, 15 minutes)", averages.join(", ")))
}
