//! What the operating system's resolver says of one name.
//!
//! `getaddrinfo` for both families hides what became of one of them: glibc answers "no such name" when
//! the name server failed for one family and has nothing for the other, and it answers with the
//! addresses of one family when the other failed. So whatever is no address is asked again, a family
//! at a time.
//!
//! Invariant: [`LookupError::NoSuchName`] takes a negative answer for each family, and for each name
//! that the search list makes of it.

use std::{
    collections::HashSet,
    io,
    net::{Ipv6Addr, SocketAddr},
};

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType};

use super::local;
use crate::{
    descriptors,
    outcome::Fault,
    schedule::{Found, Lookup, LookupError, Missing, Scope},
    targets::Family,
};

/// The address is of another family than the one asked for (`netdb.h` of glibc).
const EAI_ADDRFAMILY: i32 = -9;

/// What one call of `getaddrinfo` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// At least one.
    Addresses(Vec<SocketAddr>),
    /// There is none.
    Negative,
    /// Nothing is known.
    Failed,
    /// This machine was short of something: nothing is known.
    Short(Fault),
}

/// Asks the system, and waits for its answers.
pub(super) fn look_up(name: &str, scope: Scope) -> Lookup {
    // Both at once take as long as the slower one, and one is known to have addresses.
    let first = (scope == Scope::BothFamilies).then_some(Family::V4);
    let found = match ask(name, first) {
        Answer::Short(fault) => return Err(LookupError::Short(fault)),
        Answer::Addresses(addresses) if scope == Scope::OneFamily => {
            let missing = absent(&addresses).map(Missing::NotAsked);
            Found { missing, ..addresses.into() }
        }
        Answer::Addresses(addresses) => complete(name, addresses)?,
        Answer::Negative | Answer::Failed if first.is_some() => by_family(name, None)?,
        // No server is asked for an address with a zone: the system has no such interface.
        Answer::Negative if has_zone(name) => return Err(LookupError::NoSuchInterface),
        both @ (Answer::Negative | Answer::Failed) => by_family(name, Some(both))?,
    };
    Ok(found.bounded(scope.addresses_max()))
}

/// Whether it is an IPv6 address with a zone (RFC 4007 §11).
fn has_zone(name: &str) -> bool {
    name.split_once('%').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
}

/// Adds what a family has of which there is no address yet.
fn complete(name: &str, mut addresses: Vec<SocketAddr>) -> Lookup {
    let Some(absent) = absent(&addresses) else { return Ok(addresses.into()) };
    // The resolver takes a name from the hosts file and asks no server for the rest of it.
    if local::is_of_hosts_file(name, &addresses) {
        return Ok(addresses.into());
    }
    let answer = match ask(name, Some(absent)) {
        Answer::Negative if absent == Family::V4 => ask_searched(name, &[Some(Family::V4)]),
        answer => answer,
    };
    let missing = match answer {
        Answer::Addresses(more) => {
            addresses.extend(more);
            None
        }
        Answer::Negative => None,
        Answer::Failed => Some(Missing::Family(absent)),
        Answer::Short(fault) => return Err(LookupError::Short(fault)),
    };
    Ok(Found { missing, ..addresses.into() })
}

/// The family of which there is no address.
fn absent(addresses: &[SocketAddr]) -> Option<Family> {
    let has = |family| addresses.iter().any(|address| Family::of(address.ip()) == family);
    Family::ALL.into_iter().find(|&family| !has(family))
}

/// Asks for each family by itself; `both`: what asking for both at once came to, if it was asked.
fn by_family(name: &str, both: Option<Answer>) -> Lookup {
    let (mut addresses, mut failed) = (Vec::new(), None);
    for family in [Family::V6, Family::V4] {
        match ask(name, Some(family)) {
            Answer::Addresses(more) => addresses.extend(more),
            Answer::Negative => {}
            Answer::Failed => failed = Some(family),
            Answer::Short(fault) => return Err(LookupError::Short(fault)),
        }
    }
    let has_v4 = addresses.iter().any(SocketAddr::is_ipv4);
    if failed.is_none() && !has_v4 {
        match confirm_no_v4(name, both, !addresses.is_empty()) {
            Answer::Negative => {}
            Answer::Short(fault) => return Err(LookupError::Short(fault)),
            Answer::Failed | Answer::Addresses(_) => failed = Some(Family::V4),
        }
    }
    match failed {
        None if addresses.is_empty() => Err(missing_everywhere(name)),
        Some(_) if addresses.is_empty() => Err(LookupError::NoAnswer),
        failed => Ok(Found { missing: failed.map(Missing::Family), ..addresses.into() }),
    }
}

/// Confirms a negative answer for IPv4; anything but [`Answer::Negative`] leaves it in doubt.
///
/// Asked for IPv4 alone, glibc reports "no such name" where a server hangs up on a question whose answer
/// is too long for a datagram, and where a later name of the search list does not exist after an
/// earlier one failed.
fn confirm_no_v4(name: &str, both: Option<Answer>, has_v6: bool) -> Answer {
    match both.unwrap_or_else(|| ask(name, None)) {
        Answer::Negative | Answer::Addresses(_) if has_v6 => {
            ask_searched(name, &[Some(Family::V4)])
        }
        // Both at once had addresses, and each family by itself has none.
        Answer::Addresses(_) => Answer::Failed,
        answer => answer,
    }
}

/// Tells a name that does not exist from one that failed below a domain of the search list.
fn missing_everywhere(name: &str) -> LookupError {
    match ask_searched(name, &[None, Some(Family::V4), Some(Family::V6)]) {
        Answer::Negative => LookupError::NoSuchName,
        Answer::Short(fault) => LookupError::Short(fault),
        Answer::Failed | Answer::Addresses(_) => LookupError::NoAnswer,
    }
}

/// Asks for each name that the search list makes of this one: the first answer that is not negative,
/// or [`Answer::Negative`]. The resolver itself reports one of the answers, and the others may be
/// failures.
fn ask_searched(name: &str, families: &[Option<Family>]) -> Answer {
    for name in local::searched(name) {
        for &family in families {
            match ask(&name, family) {
                Answer::Negative => {}
                // It was negative a moment ago.
                Answer::Addresses(_) => return Answer::Failed,
                answer => return answer,
            }
        }
    }
    Answer::Negative
}

/// Asks for the addresses of one family, or of both.
#[expect(clippy::disallowed_methods, reason = "this is where names are resolved")]
fn ask(name: &str, family: Option<Family>) -> Answer {
    let address = family.map_or(0, |family| match family {
        Family::V4 => AddrFamily::Inet.into(),
        Family::V6 => AddrFamily::Inet6.into(),
    });
    // Without AI_ADDRCONFIG: what this machine has no address for is no less an address.
    let hints =
        AddrInfoHints { socktype: SockType::Stream.into(), address, ..AddrInfoHints::default() };
    match dns_lookup::getaddrinfo(Some(name), None, Some(hints)) {
        Ok(found) => distinct(found.map(|address| address.map(|address| address.sockaddr))),
        // A resolver that can't open its files or sockets may say that there is no such name.
        Err(error) => match descriptors::shortage() {
            Some(fault) => Answer::Short(fault),
            None => meaning(error.kind(), error.error_num(), name),
        },
    }
}

/// The addresses, each once, if there are any that this program can read.
fn distinct(found: impl Iterator<Item = io::Result<SocketAddr>>) -> Answer {
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
        false => Answer::Addresses(addresses),
        // The name has an address, so it is not that which is missing.
        true if unreadable => Answer::Failed,
        true => Answer::Negative,
    }
}

/// The one place that gives the errors of `getaddrinfo` their meaning (RFC 3493 §6.1).
fn meaning(kind: LookupErrorKind, number: i32, name: &str) -> Answer {
    match kind {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Answer::Negative,
        LookupErrorKind::IO if number == EAI_ADDRFAMILY => Answer::Negative,
        // It never came to a call.
        LookupErrorKind::IO if name.contains('\0') => Answer::Negative,
        LookupErrorKind::Memory => Answer::Short(Fault::Memory),
        _ => Answer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        // The numbers of glibc's netdb.h.
        #[rustfmt::skip]
        let table = [
            ("BADFLAGS",   -1,  Answer::Failed),
            ("NONAME",     -2,  Answer::Negative),
            ("AGAIN",      -3,  Answer::Failed),
            ("FAIL",       -4,  Answer::Failed),
            ("NODATA",     -5,  Answer::Negative),
            ("FAMILY",     -6,  Answer::Failed),
            ("SOCKTYPE",   -7,  Answer::Failed),
            ("SERVICE",    -8,  Answer::Failed),
            ("ADDRFAMILY", -9,  Answer::Negative),
            ("MEMORY",     -10, Answer::Short(Fault::Memory)),
            ("SYSTEM",     -11, Answer::Failed),
            ("unknown",    -77, Answer::Failed),
        ];
        for (what, number, expected) in table {
            let kind = LookupErrorKind::new(number);
            assert_eq!(meaning(kind, number, "db.example"), expected, "EAI_{what}");
        }
        assert_eq!(meaning(LookupErrorKind::IO, 0, "a\0b"), Answer::Negative);
        assert_eq!(meaning(LookupErrorKind::IO, 0, "db.example"), Answer::Failed);
    }

    #[test]
    fn addresses_that_cannot_be_read_are_no_proof_that_there_is_no_name() {
        let one = SocketAddr::from(([192, 0, 2, 1], 0));
        let unreadable = || Err(io::Error::other("an unknown family"));
        let found = distinct([Ok(one), unreadable(), Ok(one)].into_iter());
        assert_eq!(found, Answer::Addresses(vec![one]));
        assert_eq!(distinct([unreadable()].into_iter()), Answer::Failed);
        assert_eq!(distinct([].into_iter()), Answer::Negative);
    }

    /// `inet_aton(3)` reads these, and no server is asked.
    #[test]
    fn numbers_that_are_addresses_have_no_other_family() {
        for name in ["0x7f.1", "0x7f000001", "0177.0.0.0x1"] {
            let found = look_up(name, Scope::Each).expect(name);
            assert_eq!(*found.addresses, [SocketAddr::from(([127, 0, 0, 1], 0))], "{name}");
            assert_eq!(found.missing, None, "{name}");
        }
    }
}
