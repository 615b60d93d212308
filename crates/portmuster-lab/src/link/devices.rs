//! The devices, addresses and routes of the namespaces of a link.
//!
//! Each namespace has one device, which the forwarder reads and writes, and a router behind it, which
//! the forwarder pretends to be.

use std::{
    fmt::Write as _,
    fs,
    io::{ErrorKind, Write},
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    process::{Command, Stdio},
};

use super::{error::LinkError, frame::Mac, settings::LinkSettings, tap::Tap};

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

/// Settings of the far namespace: listeners can queue all connections that arrive at once.
const SETTINGS: [(&str, &str); 2] =
    [("core/somaxconn", "65535"), ("ipv4/tcp_max_syn_backlog", "65535")];

/// Frames that may wait until the forwarder reads them: a second of 150,000 SYNs.
const QUEUE: u32 = 150_000;

/// Makes the device of the hosts, from a thread of the far namespace.
pub(crate) fn prepare_far(settings: &LinkSettings) -> Result<Tap, LinkError> {
    let device = create(HOSTS)?;
    let (hosts, gateway) = (mac(HOSTS_MAC), mac(HOSTS_GATEWAY_MAC));
    let mut script = format!(
        "link set lo up
        link set {HOSTS} address {hosts} txqueuelen {QUEUE} up
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
    Ok(device)
}

/// Makes the device of the near side, from a thread of the near namespace.
pub(crate) fn prepare_near(settings: &LinkSettings) -> Result<Tap, LinkError> {
    let device = create(WIRE)?;
    let address = mac(NEAR_MAC);
    let gateway = mac(GATEWAY_MAC);
    let mut script = format!(
        "link set lo up
        link set {WIRE} address {address} txqueuelen {QUEUE} up
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
    ip(&script)?;
    Ok(device)
}

/// Returns how many packets the system dropped before the forwarder could read them, from a thread
/// of either namespace.
pub(crate) fn dropped() -> u64 {
    let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    // The fourth of the columns for sent packets, which follow eight for received ones.
    let dropped = |columns: &str| columns.split_whitespace().nth(11)?.parse::<u64>().ok();
    let dropped = devices.lines().filter_map(|line| {
        let (name, columns) = line.split_once(':')?;
        [WIRE, HOSTS].contains(&name.trim()).then(|| dropped(columns))?
    });
    dropped.sum()
}

fn create(name: &str) -> Result<Tap, LinkError> {
    Tap::create(name).map_err(|source| LinkError::Tap { source })
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
