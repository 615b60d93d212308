//! The devices, addresses and routes of the namespaces of a link.
//!
//! Each namespace has one device, which the forwarder reads and writes, and a router behind it, which
//! the forwarder pretends to be.

use std::{
    fmt::Write as _,
    fs,
    io::{ErrorKind, Write},
    path::Path,
    process::{Command, Stdio},
};

use super::{
    addresses::{
        GATEWAY_IPV4, GATEWAY_IPV6, GATEWAY_MAC, HOSTS_GATEWAY_MAC, HOSTS_MAC, Mac, NEAR_IPV4,
        NEAR_IPV4_NETWORK, NEAR_IPV6, NEAR_IPV6_NETWORK, NEAR_MAC,
    },
    error::LinkError,
    settings::LinkSettings,
    tap::Tap,
};

/// The device of the near side.
const WIRE: &str = "wire";

/// The device of the system behind the link.
const HOSTS: &str = "hosts";

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
    if !output.status.success() {
        return Err(LinkError::Devices { message: stderr.trim().to_owned() });
    }
    written.map_err(failed)
}

fn mac(address: Mac) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
