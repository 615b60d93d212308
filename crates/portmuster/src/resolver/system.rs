//! Looks up one name with the operating system's resolver.
//!
//! `getaddrinfo` for both families hides what became of one of them: glibc answers "no such name" when
//! the name server failed for one family and has nothing for the other, and it answers with the
//! addresses of one family when the other failed. So a family without addresses is looked up again by
//! itself. For one family, too, glibc reports failures as "no such name", so every such answer that
//! decides something is [confirmed](negative::confirm).
//!
//! Invariant: [`LookupError::NoSuchName`] takes a confirmed negative answer for each family.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType};

use super::{
    dns_client::Unconfirmed,
    hosts_file,
    negative::{self, Doubt},
    nsswitch::NameSources,
};
use crate::{
    clock::{Clock, Instant},
    descriptors,
    outcome::Fault,
    schedule::{Found, Lookup, LookupError, Missing, Scope},
    targets::Family,
};

/// The time after which a lookup counts as one without an answer. The resolver's own limits add up to
/// 30 s for a question to three servers, and a lookup may take several questions.
pub(super) const LOOKUP_MAX: Duration = Duration::from_mins(3);

/// The address is of another family than the one asked for (`netdb.h` of glibc).
const EAI_ADDRFAMILY: i32 = -9;

/// The result of one call of `getaddrinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SystemAnswer {
    /// At least one.
    Addresses(Vec<SocketAddr>),
    /// The resolver says that there is none.
    Negative,
    /// There is none, and no server was asked: the name is an address of the other family, or not a
    /// name at all.
    NotApplicable,
    /// Nothing is known.
    Failed,
    /// This machine was short of something: nothing is known.
    Short(Fault),
}

/// Looks up the name and waits for the answers.
pub(super) fn look_up(name: &str, scope: Scope) -> Lookup {
    // One family is known to have addresses: asking for both would take as long as the slower answer.
    let first = (scope == Scope::BothFamilies).then_some(Family::V4);
    let found = match ask(name, first) {
        SystemAnswer::Short(fault) => return Err(LookupError::Short(fault)),
        // The schedule can't tell which family an IPv4-mapped address was found with, so the other one
        // is looked up at once.
        SystemAnswer::Addresses(addresses)
            if scope == Scope::OneFamily && !addresses.iter().any(is_mapped) =>
        {
            let missing = absent(&addresses).map(Missing::NotAsked);
            Found { missing, ..addresses.into() }
        }
        SystemAnswer::Addresses(addresses) => complete(name, addresses)?,
        // No server is asked for an address with a zone: the system has no such interface.
        SystemAnswer::Negative | SystemAnswer::NotApplicable
            if first.is_none() && has_zone(name) =>
        {
            return Err(LookupError::NoSuchInterface);
        }
        answer => by_family(name, first.is_none() && answer == SystemAnswer::Failed)?,
    };
    let found = if scope == Scope::Each { each_once(&found) } else { found };
    Ok(found.bounded(scope.addresses_max()))
}

/// Returns whether the name is an IPv6 address with a zone (RFC 4007 §11).
fn has_zone(name: &str) -> bool {
    name.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
}

/// Returns whether the address is an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2).
fn is_mapped(address: &SocketAddr) -> bool {
    address.is_ipv6() && address.ip().to_canonical().is_ipv4()
}

/// Completes the addresses of a name with those of the other family, if all are of one.
fn complete(name: &str, mut addresses: Vec<SocketAddr>) -> Lookup {
    let Some(absent) = absent(&addresses) else { return Ok(addresses.into()) };
    if is_of_hosts_file(name, &addresses)? {
        return Ok(addresses.into());
    }
    let doubtful = match ask(name, Some(absent)) {
        SystemAnswer::Addresses(more) => {
            addresses.extend(more);
            // They may be those of a later name of the search list.
            doubtful(name, &[], absent)?
        }
        SystemAnswer::NotApplicable => None,
        SystemAnswer::Negative => doubtful(name, &[absent], absent)?,
        SystemAnswer::Failed => Some(absent),
        SystemAnswer::Short(fault) => return Err(LookupError::Short(fault)),
    };
    let missing = doubtful.map(Missing::Family);
    Ok(Found { missing, ..addresses.into() })
}

/// Returns whether the addresses come from the hosts file. The resolver then asks no server for further
/// ones.
fn is_of_hosts_file(name: &str, addresses: &[SocketAddr]) -> Result<bool, LookupError> {
    if !hosts_file::lists(name, addresses) {
        return Ok(false);
    }
    match NameSources::load().map_err(Unconfirmed::from) {
        Ok(sources) => Ok(sources.read_hosts_file_first()),
        Err(Unconfirmed::NoAnswer) => Ok(false),
        Err(Unconfirmed::Short(fault)) => Err(LookupError::Short(fault)),
    }
}

/// Returns the family of which there is no address; `None` if there are addresses of both.
fn absent(addresses: &[SocketAddr]) -> Option<Family> {
    match (addresses.iter().any(SocketAddr::is_ipv4), addresses.iter().any(SocketAddr::is_ipv6)) {
        (true, true) => None,
        (true, false) => Some(Family::V6),
        (false, _) => Some(Family::V4),
    }
}

/// Asks for each family by itself, after a question that found no addresses. `both_failed` says that the
/// question was for both families and had no answer.
fn by_family(name: &str, both_failed: bool) -> Lookup {
    let (mut addresses, mut negative, mut failed) = (Vec::new(), Vec::new(), None);
    let mut is_name = true;
    for family in [Family::V6, Family::V4] {
        match ask(name, Some(family)) {
            SystemAnswer::Addresses(more) => addresses.extend(more),
            SystemAnswer::Negative if both_failed => failed = Some(family),
            SystemAnswer::Negative => negative.push(family),
            SystemAnswer::NotApplicable => is_name = false,
            SystemAnswer::Failed => failed = Some(family),
            SystemAnswer::Short(fault) => return Err(LookupError::Short(fault)),
        }
    }
    if !addresses.is_empty() && is_of_hosts_file(name, &addresses)? {
        return Ok(addresses.into());
    }
    if is_name && failed.is_none() {
        failed = doubtful(name, &negative, Family::V4)?;
    }
    match failed {
        None if addresses.is_empty() => Err(LookupError::NoSuchName),
        Some(_) if addresses.is_empty() => Err(LookupError::NoAnswer),
        failed => Ok(Found { missing: failed.map(Missing::Family), ..addresses.into() }),
    }
}

/// [Confirms](negative::confirm) what the system found, which was nothing for the families in `absent`.
/// Returns the family whose addresses may be incomplete, if any: `default` if no question could be
/// asked.
fn doubtful(name: &str, absent: &[Family], default: Family) -> Result<Option<Family>, LookupError> {
    let deadline = Instant::START.after(LOOKUP_MAX);
    match negative::confirm(name, absent, Clock::start(), deadline) {
        Ok(()) => Ok(None),
        Err(Doubt::Family(family)) => Ok(Some(family)),
        Err(Doubt::Unconfirmed(Unconfirmed::NoAnswer)) => Ok(Some(default)),
        Err(Doubt::Unconfirmed(Unconfirmed::Short(fault))) => Err(LookupError::Short(fault)),
    }
}

/// Removes duplicates, after IPv4-mapped addresses are replaced by the IPv4 addresses that they reach.
fn each_once(found: &Found) -> Found {
    let mut seen = HashSet::new();
    let addresses = found.addresses.iter().map(|address| match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => *address,
    });
    let addresses = addresses.filter(|address| seen.insert(*address)).collect();
    Found { addresses, missing: found.missing }
}

/// Calls `getaddrinfo` for one family, or for both.
#[expect(clippy::disallowed_methods, reason = "names are resolved here")]
fn ask(name: &str, family: Option<Family>) -> SystemAnswer {
    let address = family.map_or(0, |family| match family {
        Family::V4 => AddrFamily::Inet.into(),
        Family::V6 => AddrFamily::Inet6.into(),
    });
    // AI_ADDRCONFIG would hide the addresses of a family that this machine has no address of.
    let hints =
        AddrInfoHints { socktype: SockType::Stream.into(), address, ..AddrInfoHints::default() };
    match dns_lookup::getaddrinfo(Some(name), None, Some(hints)) {
        Ok(found) => distinct(found.map(|address| address.map(|address| address.sockaddr))),
        // A resolver that can't open its files or sockets may say that there is no such name.
        Err(error) => match descriptors::shortage() {
            Some(fault) => SystemAnswer::Short(fault),
            None => meaning(error.kind(), error.error_num(), name),
        },
    }
}

/// Collects the addresses that this program can read, each once.
fn distinct(found: impl Iterator<Item = io::Result<SocketAddr>>) -> SystemAnswer {
    let (mut addresses, mut seen) = (Vec::new(), HashSet::new());
    let mut unreadable = false;
    for address in found {
        match address {
            Ok(address) if !seen.insert(address) => {}
            Ok(address) => addresses.push(address),
            Err(_) => unreadable = true,
        }
    }
    match addresses.is_empty() {
        false => SystemAnswer::Addresses(addresses),
        // The name has addresses, of a kind that this program does not know.
        true if unreadable => SystemAnswer::Failed,
        true => SystemAnswer::Negative,
    }
}

/// Maps the errors of `getaddrinfo` (RFC 3493 §6.1) to answers. No other place does.
fn meaning(kind: LookupErrorKind, number: i32, name: &str) -> SystemAnswer {
    match kind {
        LookupErrorKind::NoName | LookupErrorKind::NoData => SystemAnswer::Negative,
        LookupErrorKind::IO if number == EAI_ADDRFAMILY => SystemAnswer::NotApplicable,
        // The function was not called.
        LookupErrorKind::IO if name.contains('\0') => SystemAnswer::NotApplicable,
        LookupErrorKind::Memory => SystemAnswer::Short(Fault::Memory),
        _ => SystemAnswer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_getaddrinfo_have_their_meaning() {
        // The numbers of glibc's netdb.h.
        #[rustfmt::skip]
        let table = [
            ("BADFLAGS",   -1,  SystemAnswer::Failed),
            ("NONAME",     -2,  SystemAnswer::Negative),
            ("AGAIN",      -3,  SystemAnswer::Failed),
            ("FAIL",       -4,  SystemAnswer::Failed),
            ("NODATA",     -5,  SystemAnswer::Negative),
            ("FAMILY",     -6,  SystemAnswer::Failed),
            ("SOCKTYPE",   -7,  SystemAnswer::Failed),
            ("SERVICE",    -8,  SystemAnswer::Failed),
            ("ADDRFAMILY", -9,  SystemAnswer::NotApplicable),
            ("MEMORY",     -10, SystemAnswer::Short(Fault::Memory)),
            ("SYSTEM",     -11, SystemAnswer::Failed),
            ("unknown",    -77, SystemAnswer::Failed),
        ];
        for (what, number, expected) in table {
            let kind = LookupErrorKind::new(number);
            assert_eq!(meaning(kind, number, "db.example"), expected, "EAI_{what}");
        }
        assert_eq!(meaning(LookupErrorKind::IO, 0, "a\0b"), SystemAnswer::NotApplicable);
        assert_eq!(meaning(LookupErrorKind::IO, 0, "db.example"), SystemAnswer::Failed);
    }

    #[test]
    fn unreadable_addresses_are_no_negative_answer() {
        let one = SocketAddr::from(([192, 0, 2, 1], 0));
        let unreadable = || Err(io::Error::other("an unknown family"));
        let found = distinct([Ok(one), unreadable(), Ok(one)].into_iter());
        assert_eq!(found, SystemAnswer::Addresses(vec![one]));
        assert_eq!(distinct([unreadable()].into_iter()), SystemAnswer::Failed);
        assert_eq!(distinct([].into_iter()), SystemAnswer::Negative);
    }

    #[test]
    fn mapped_addresses_are_duplicates_of_ipv4_addresses() {
        let addresses = ["127.7.0.1:0", "[::ffff:127.7.0.1]:0", "[::1]:0", "[::ffff:127.7.0.2]:0"];
        let addresses = addresses.map(|address| address.parse().expect("an address"));
        let kept = each_once(&addresses.to_vec().into());
        let kept: Vec<_> = kept.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["127.7.0.1:0", "[::1]:0", "127.7.0.2:0"]);
    }

    /// `inet_aton(3)` parses these, and no server is asked.
    #[test]
    fn ipv4_addresses_in_other_notations_have_no_other_family() {
        for name in ["0x7f.1", "0x7f000001", "0177.0.0.0x1"] {
            let found = look_up(name, Scope::Each).expect(name);
            assert_eq!(*found.addresses, [SocketAddr::from(([127, 0, 0, 1], 0))], "{name}");
            assert_eq!(found.missing, None, "{name}");
        }
    }
}
