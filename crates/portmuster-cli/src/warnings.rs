//! What is said before a run that looks like a mistake, or that this system can't give all that it
//! asks for.

use std::{
    fs,
    io::{self, IsTerminal},
    net::{IpAddr, Ipv6Addr},
};

use portmuster::{InFlight, defaults};
use rustix::process::geteuid;

use crate::{args::Check, input::Input, terminal};

/// Targets that take long, and that an interruption loses.
const LONG: u128 = 1 << 24;
/// Addresses of a network that is more than one's own few servers.
const WIDE: u128 = 256;

/// Says what looks like a mistake.
pub(crate) fn say(check: &Check, input: &Input) {
    // To a person; a script that has to run as root would be told each time.
    if (io::stderr().is_terminal() || check.verbose) && is_root() {
        terminal::note(
            "this runs as root and needs no privilege: what strangers send is read with all rights \
             of this machine; use another account (sudo -u USER portmuster check ...)",
        );
    }
    if check.rate.is_none()
        && let Some((first, last)) = input.set().ranges().find(|&range| is_wide_and_public(range))
    {
        terminal::note(format!(
            "{first} to {last} is a public network, and --rate is not set: at 10,000 connections \
             a second its owners may take this for an attack"
        ));
    }
    for item in &check.targets {
        if let Some((address, port)) = like_a_port(item, check) {
            terminal::note(format!(
                "{item} is an address by itself; port {port} of {address} is [{address}]:{port}"
            ));
        }
    }
    if input.indexed() > LONG && check.journaling.journal.is_none() {
        terminal::note(format!(
            "{} targets take long, and a run that is interrupted begins anew; --journal FILE lets \
             it go on",
            input.indexed()
        ));
    }
}

/// Says how many will be in flight when that is not what was asked for, why, and what to do about
/// it. `total` is how many targets there are; `None`: as many as come.
pub(crate) fn say_in_flight(check: &Check, in_flight: InFlight, total: Option<u128>) {
    let InFlight { asked, given, limited_by, tcp_memory, .. } = in_flight;
    let was_asked_for = check.in_flight.get() != defaults::IN_FLIGHT;
    let is_felt = total.is_none_or(|total| total > given as u128);
    if !(was_asked_for || is_felt || check.verbose) {
        return;
    }
    if let Some(limited_by) = limited_by {
        terminal::note(format!("in flight: {given} of {asked}; {limited_by}"));
    }
    if let Some(most) = tcp_memory {
        terminal::note(format!(
            "in flight: {given}, but this system's memory for TCP is meant for {most}: connections \
             of other programs may stall; for that many, raise net.ipv4.tcp_mem"
        ));
    }
}

/// Whether this process is root outside of user namespaces, where a root has few rights.
fn is_root() -> bool {
    let is_outside = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    geteuid().is_root() && fs::read_to_string("/proc/self/uid_map").is_ok_and(is_outside)
}

/// The parts of an IPv6 address that reads as if one of the run's ports stood at its end.
fn like_a_port<'a>(item: &'a str, check: &Check) -> Option<(&'a str, u16)> {
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

/// Whether the address is reached over the public internet, as far as its block tells (RFC 6890).
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
        // Global unicast, but for documentation.
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            first & 0xE000 == 0x2000 && (first, second) != (0x2001, 0x0DB8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(first: &str, last: &str) -> bool {
        is_wide_and_public((first.parse().expect("an address"), last.parse().expect("one")))
    }

    #[test]
    fn only_wide_public_networks_look_like_a_mistake() {
        assert!(warned("8.0.0.0", "8.255.255.255"));
        assert!(warned("2600::", "2600::ffff"));
        for (first, last) in [
            ("8.8.8.0", "8.8.8.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("2001:db8::", "2001:db8::ffff"),
            ("fd00::", "fd00::ffff"),
        ] {
            assert!(!warned(first, last), "{first}");
        }
    }
}
