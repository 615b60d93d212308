//! The devices, addresses and routes of the namespaces of a link.
//!
//! The far namespace reads the near side's packets from `outer`, and hands them to its own system
//! through `inner`. Frames never have the addresses of these two devices, so the system ignores what
//! the forwarder reads.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{ErrorKind, Write},
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::AsRawFd,
    path::Path,
    process::{self, Command, Stdio},
};

use super::{error::LinkError, frame::Mac, settings::LinkSettings};

/// The network of the near side, which no other network may contain.
pub(crate) const NEAR_IPV4_NETWORK: &str = "10.199.0.0/24";
pub(crate) const NEAR_IPV6_NETWORK: &str = "fd00:199::/64";

/// The router of the near side. The forwarder answers for it.
pub(crate) const GATEWAY_IPV4: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 1);
pub(crate) const GATEWAY_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x199, 0, 0, 0, 0, 0, 1);

const NEAR_IPV4: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 2);
const NEAR_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x199, 0, 0, 0, 0, 0, 2);

/// The device of the near side, and its addresses.
const WIRE: &str = "wire";
pub(crate) const NEAR_MAC: Mac = [2, 0, 0, 0, 0, 2];
pub(crate) const GATEWAY_MAC: Mac = [2, 0, 0, 0, 0, 1];

/// The device of the system behind the link, and its addresses.
const HOSTS: &str = "hosts";
pub(crate) const HOSTS_MAC: Mac = [2, 0, 0, 0, 1, 2];
pub(crate) const HOSTS_GATEWAY_MAC: Mac = [2, 0, 0, 0, 1, 1];

/// The other ends of the two devices, from which the forwarder reads.
pub(crate) const OUTER: &str = "outer";
pub(crate) const INNER: &str = "inner";

/// Settings of the far namespace: listeners can queue all connections that arrive at once.
const SETTINGS: [(&str, &str); 2] =
    [("core/somaxconn", "65535"), ("ipv4/tcp_max_syn_backlog", "65535")];

/// Makes the devices, from a thread of the far namespace.
pub(crate) fn prepare_far(settings: &LinkSettings, near: &File) -> Result<(), LinkError> {
    let near = format!("/proc/{}/fd/{}", process::id(), near.as_raw_fd());
    let (wire, hosts, gateway) = (mac(NEAR_MAC), mac(HOSTS_MAC), mac(HOSTS_GATEWAY_MAC));
    // Segments must fit into frames, because a raw frame cannot be split.
    let mut script = format!(
        "link add {OUTER} gso_max_segs 1 type veth \
            peer name {WIRE} address {wire} gso_max_segs 1 netns {near}
        link add {INNER} gso_max_segs 1 type veth peer name {HOSTS} address {hosts} gso_max_segs 1
        link set {OUTER} addrgenmode none
        link set {INNER} addrgenmode none
        link set lo up
        link set {OUTER} up
        link set {INNER} up
        link set {HOSTS} up
        route add {NEAR_IPV4_NETWORK} dev {HOSTS}
        neigh add {NEAR_IPV4} lladdr {gateway} dev {HOSTS} nud permanent\n"
    );
    if has_ipv6() {
        let _ = write!(
            script,
            "route add {NEAR_IPV6_NETWORK} dev {HOSTS}
            neigh add {NEAR_IPV6} lladdr {gateway} dev {HOSTS} nud permanent\n"
        );
    }
    for network in &settings.networks {
        let _ = writeln!(script, "route replace local {network} dev lo");
    }
    ip(&script)?;
    for (name, value) in SETTINGS {
        // With fewer, a busy listener ignores SYNs, and the system repeats them.
        let _ = fs::write(format!("/proc/sys/net/{name}"), value);
    }
    Ok(())
}

/// Sets up the device that [`prepare_far`] made, from a thread of the near namespace.
pub(crate) fn prepare_near(settings: &LinkSettings) -> Result<(), LinkError> {
    let gateway = mac(GATEWAY_MAC);
    let mut script = format!(
        "link set lo up
        link set {WIRE} up
        addr add {NEAR_IPV4}/24 dev {WIRE}
        neigh add {GATEWAY_IPV4} lladdr {gateway} dev {WIRE} nud permanent
        route add default via {GATEWAY_IPV4}\n"
    );
    if has_ipv6() {
        let _ = write!(
            script,
            "addr add {NEAR_IPV6}/64 dev {WIRE} nodad
            neigh add {GATEWAY_IPV6} lladdr {gateway} dev {WIRE} nud permanent
            route add ::/0 via {GATEWAY_IPV6}\n"
        );
    } else if settings.has_ipv6() {
        return Err(LinkError::Devices { message: "this system has no IPv6".into() });
    }
    ip(&script)
}

/// Returns how many packets of the near side the system dropped before the forwarder could read
/// them, from a thread of the near namespace.
pub(crate) fn near_drops() -> u64 {
    let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let wire = devices.lines().find_map(|line| line.trim().strip_prefix(WIRE)?.strip_prefix(':'));
    // The fourth of the columns for sent packets, which follow eight for received ones.
    let dropped = wire.and_then(|wire| wire.split_whitespace().nth(11)?.parse().ok());
    dropped.unwrap_or(0)
}

fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

/// Runs commands of the program `ip` in the namespace of this thread.
fn ip(script: &str) -> Result<(), LinkError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => LinkError::MissingTool { source: error },
        _ => LinkError::Devices { message: error.to_string() },
    };
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdin = ip.stdin.take();
    let written = stdin.expect("it is piped").write_all(script.as_bytes());
    let output = ip.wait_with_output().map_err(failed)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => written.map_err(failed),
        false => Err(LinkError::Devices { message: stderr.trim().to_owned() }),
    }
}

fn mac(address: Mac) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
