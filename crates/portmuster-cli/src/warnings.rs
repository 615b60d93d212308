//! Warnings before a run: likely mistakes, and limits of this system.

use std::{
    env, fs,
    io::{self, IsTerminal},
    net::{IpAddr, Ipv6Addr},
};

use portmuster::method::{InFlight, LimitingResource};
use rustix::process::geteuid;

use crate::{
    args::Check,
    input::Input,
    numbers::{count, with_commas},
    terminal,
};

/// Number of targets from which on a run should have a journal.
const MANY: u128 = 1 << 24;
/// Number of addresses from which on a public network looks like a mistake.
const WIDE: u128 = 256;

/// Environment variables by which other programs choose a proxy.
const SHARED_VARIABLES: [&str; 2] = ["ALL_PROXY", "all_proxy"];

/// Prints warnings about likely mistakes.
pub(crate) fn print(check: &Check, input: &Input) {
    // Only on a terminal: a script that must run as root would repeat the warning each time.
    if (io::stderr().is_terminal() || check.verbose) && is_root() {
        terminal::note(
            "running as root is unnecessary, and risky because the program parses untrusted data: \
             use another account (sudo -u USER portmuster check ...)",
        );
    }
    if check.proxy.is_missing()
        && let Some(variable) = SHARED_VARIABLES.into_iter().find(|name| names_socks_proxy(name))
    {
        terminal::note(format!("{variable} is not used: --proxy connects through a proxy"));
    }
    if check.speed.rate.is_none()
        && let Some((first, last)) = input.set().ranges().find(|&range| is_wide_and_public(range))
    {
        terminal::note(format!(
            "{first} to {last} is a public network and --rate is not set: its operators may take \
             10,000 connections per second for an attack"
        ));
    }
    for item in &check.targets {
        if let Some((address, port)) = ends_like_port(item, check) {
            terminal::note(format!(
                "{item} is an address without a port; for port {port} of {address} write [{address}]:{port}"
            ));
        }
    }
    if input.indexed_len() > MANY && check.journal.journal.is_none() {
        terminal::note(format!(
            "{} take long, and an interrupted run has to start again; use --journal FILE \
             to be able to resume it",
            count(input.indexed_len(), "target")
        ));
    }
}

/// Prints a warning if fewer connections than requested can be open, with the reason and the
/// remedy.
///
/// `total` is the number of targets; `None`: some come from a stream.
pub(crate) fn print_in_flight(check: &Check, in_flight: InFlight, total: Option<u128>) {
    let InFlight { asked, given, limited_by, tcp_memory, .. } = in_flight;
    let is_requested = check.speed.in_flight.is_some();
    let is_noticeable = total.is_none_or(|total| total > given as u128);
    if !(is_requested || is_noticeable || check.verbose) {
        return;
    }
    if let Some(limited_by) = limited_by {
        let option = match limited_by {
            LimitingResource::TcpMemory | LimitingResource::Default => " (--in-flight)",
            _ => "",
        };
        let (given, asked) = (with_commas(given as u64), with_commas(asked as u64));
        terminal::note(format!("in flight: {given} of {asked}; {limited_by}{option}"));
    }
    if let Some(most) = tcp_memory {
        let (given, most) = (with_commas(given as u64), with_commas(most as u64));
        terminal::note(format!(
            "in flight: {given}, but the TCP memory of this system is sized for {most}: connections \
             of other programs may stall; raise net.ipv4.tcp_mem for this many"
        ));
    }
}

/// Returns whether an environment variable names a SOCKS proxy.
fn names_socks_proxy(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|url| url.to_string_lossy().starts_with("socks"))
}

/// Returns whether this process is root outside user namespaces, where root has few rights.
fn is_root() -> bool {
    let is_outside = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    geteuid().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(is_outside)
}

/// Splits an IPv6 address whose end looks like one of the ports of the run; `None`: it does not.
fn ends_like_port<'a>(item: &'a str, check: &Check) -> Option<(&'a str, u16)> {
    item.parse::<Ipv6Addr>().ok()?;
    let (address, port) = item.rsplit_once(':')?;
    address.parse::<Ipv6Addr>().ok()?;
    let port = port.parse().ok()?;
    check.ports.contains(port).then_some((address, port))
}

fn is_wide_and_public((first, last): (IpAddr, IpAddr)) -> bool {
    let width = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => u128::from(u32::from(last) - u32::from(first)),
        (IpAddr::V6(first), IpAddr::V6(last)) => u128::from(last) - u128::from(first),
        _ => 0,
    };
    width >= WIDE && (is_public(first) || is_public(last))
}

/// Returns whether the address is on the public internet, according to its block (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let shared = address.octets()[0] == 100 && address.octets()[1] & 0xC0 == 64;
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || shared)
        }
        // Global unicast without the documentation prefix.
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xE000 == 0x2000 && (first, second) != (0x2001, 0x0DB8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_suspicious(first: &str, last: &str) -> bool {
        is_wide_and_public((
            first.parse().expect("a valid address"),
            last.parse().expect("a valid address"),
        ))
    }

    #[test]
    fn only_wide_public_networks_are_suspicious() {
        assert!(is_suspicious("8.0.0.0", "8.255.255.255"));
        assert!(is_suspicious("2600::", "2600::ffff"));
        for (first, last) in [
            ("8.8.8.0", "8.8.8.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("2001:db8::", "2001:db8::ffff"),
            ("fd00::", "fd00::ffff"),
        ] {
            assert!(!is_suspicious(first, last), "{first}");
        }
    }
}
