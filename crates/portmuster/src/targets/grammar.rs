//! One item of a list: an address, a network, a range or a name, with or without ports.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::{IpNet, PrefixLenError};
use thiserror::Error;

use super::{Ports, PortsError, is_zoned, region::Range};

/// Separate ranges that one item may stand for: the first address of every /24 of a /8.
const RANGES_MAX: usize = 65_536;

/// The hosts of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    Range(Range),
    /// Disjoint ranges in ascending order.
    Ranges(Vec<Range>),
    Name(Arc<str>),
}

/// One item as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) hosts: Hosts,
    /// `None`: the run's ports.
    pub(super) ports: Option<Ports>,
}

/// What can't be read in an item, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct ItemError {
    /// The character at which it can't be read, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: ItemErrorKind,
}

/// Why an item can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ItemErrorKind {
    /// The item has no host.
    #[error("a host is missing")]
    NoHost,
    /// It ends in a number, so it is no name (RFC 1123 §2.1), but it is no IPv4 address either.
    #[error("{0:?} is not an IPv4 address: it wants four numbers from 0 to 255")]
    Ipv4(String),
    /// It has colons, but is no IPv6 address.
    #[error("{0:?} is not an IPv6 address; a port goes behind brackets: [2001:db8::1]:22")]
    Ipv6(String),
    /// A bracket is not closed.
    #[error("the bracket is not closed: an IPv6 address with a port is [2001:db8::1]:22")]
    Bracket,
    /// Something other than a port stands behind the brackets.
    #[error("behind the brackets comes nothing, or a colon and ports")]
    BehindBracket,
    /// The length of a network's prefix can't be.
    #[error("/{prefix} is not a prefix length: it goes from 0 to {most} for {family}")]
    Prefix {
        /// What was written.
        prefix: String,
        /// The longest prefix.
        most: u8,
        /// IPv4 or IPv6.
        family: &'static str,
    },
    /// A network behind something that is no address.
    #[error("{0:?} is not an address, so it can't have a prefix length")]
    PrefixOfName(String),
    /// A range of addresses that is none.
    #[error("{0:?} is not a range: 10.0.0.1-10.0.3.9, or 10.0.0-3.1-254 with parts from 0 to 255")]
    Range(String),
    /// A range that ends before it starts.
    #[error("the range {0:?} ends before it starts")]
    Backwards(String),
    /// Parts that make more separate ranges than an item may stand for.
    #[error("{0:?} makes more than 65,536 separate ranges; write it as several items")]
    TooManyRanges(String),
    /// A character that no host name has.
    #[error("{0:?} can't be part of a host name (letters, digits, '-', '_' and '.')")]
    Character(char),
    /// A letter beyond ASCII.
    #[error("{0:?} is not ASCII: write an international name in its xn-- form")]
    International(char),
    /// A name or a part of it is empty or too long (RFC 1035 §2.3.4).
    #[error("{0:?} is not a host name: its parts have 1 to 63 characters, in all at most 253")]
    Name(String),
    /// The ports can't be read.
    #[error(transparent)]
    Ports(#[from] PortsError),
}

/// Reads one item.
pub(super) fn parse(text: &str) -> Result<Item, ItemError> {
    let (host, host_column, ports) = split(text)?;
    let hosts = hosts(host).map_err(|(at, kind)| ItemError { column: host_column + at, kind })?;
    let ports = match ports {
        None => None,
        Some((list, column)) => Some(
            Ports::parse(list)
                .map_err(|(at, error)| ItemError { column: column + at, kind: error.into() })?,
        ),
    };
    Ok(Item { hosts, ports })
}

/// Reads what most lists have on every line, an IPv4 address with one port or none, in a tenth of
/// the time; `None` for all else, and for what can't be read.
pub(super) fn plain(text: &str) -> Option<(u32, Option<u16>)> {
    let mut rest = text.as_bytes();
    let mut address = decimal(&mut rest, 255)?;
    for _ in 0..3 {
        rest = rest.strip_prefix(b".")?;
        address = (address << 8) | decimal(&mut rest, 255)?;
    }
    if rest.is_empty() {
        return Some((address, None));
    }
    rest = rest.strip_prefix(b":")?;
    let port = u16::try_from(decimal(&mut rest, u16::MAX.into())?).ok()?;
    (rest.is_empty() && port > 0).then_some((address, Some(port)))
}

/// Takes the digits at the beginning: a number without leading zeros that is not above the most.
fn decimal(text: &mut &[u8], most: u32) -> Option<u32> {
    let (mut number, mut length) = (0, 0);
    for byte in *text {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            break;
        }
        number = 10 * number + digit;
        length += 1;
        if number > most {
            return None;
        }
    }
    let leads = length > 1 && text[0] == b'0';
    *text = &text[length..];
    (length > 0 && !leads).then_some(number)
}

/// A text and the column at which it starts.
type Part<'a> = (&'a str, usize);

/// Splits an item into its host, where this starts, and its ports.
fn split(text: &str) -> Result<(&str, usize, Option<Part<'_>>), ItemError> {
    let error = |column, kind| Err(ItemError { column, kind });
    if let Some(inner) = text.strip_prefix('[') {
        let Some((host, rest)) = inner.split_once(']') else {
            return error(1, ItemErrorKind::Bracket);
        };
        let behind = host.chars().count() + 3;
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((host, 2, Some((ports, behind + 1)))),
            None if rest.is_empty() => Ok((host, 2, None)),
            None => error(behind, ItemErrorKind::BehindBracket),
        };
    }
    match text.split_once(':') {
        None => Ok((text, 1, None)),
        Some((_, rest)) if rest.contains(':') => Ok((text, 1, None)),
        Some((host, ports)) => Ok((host, 1, Some((ports, host.chars().count() + 2)))),
    }
}

/// Reads a host; an error comes with its place in characters from 0.
fn hosts(text: &str) -> Result<Hosts, (usize, ItemErrorKind)> {
    if text.is_empty() {
        return Err((0, ItemErrorKind::NoHost));
    }
    if let Some((address, prefix)) = text.split_once('/') {
        return network(address, prefix);
    }
    if let Some(ranges) = ranges(text).map_err(|kind| (0, kind))? {
        return Ok(Hosts::Ranges(ranges));
    }
    if let Some(address) = address(text)? {
        return Ok(Hosts::Range(Range::between(address, address)));
    }
    if !is_zoned(text) {
        valid_name(text)?;
    }
    Ok(Hosts::Name(text.into()))
}

/// Reads `10.0.0.1-10.0.3.9` and `10.0.0-3.1-254`; `None` when it can be neither.
fn ranges(text: &str) -> Result<Option<Vec<Range>>, ItemErrorKind> {
    let Some((first, last)) = text.split_once('-') else { return Ok(None) };
    if let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>()) {
        if first.is_ipv4() != last.is_ipv4() {
            return Err(ItemErrorKind::Range(excerpt(text)));
        }
        if first > last {
            return Err(ItemErrorKind::Backwards(excerpt(text)));
        }
        return Ok(Some(vec![Range::between(first, last)]));
    }
    let numeric = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    if !text.contains('.') || !text.bytes().all(numeric) {
        return Ok(None);
    }
    octets(text).map(Some)
}

/// Reads an address of which every part may be a range.
fn octets(text: &str) -> Result<Vec<Range>, ItemErrorKind> {
    let error = || ItemErrorKind::Range(excerpt(text));
    let mut parts = Vec::new();
    for part in text.split('.') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let digits = is_number(first) && is_number(last);
        let bounds = (first.parse::<u8>(), last.parse::<u8>());
        let (true, (Ok(first), Ok(last))) = (digits, bounds) else { return Err(error()) };
        if first > last {
            return Err(ItemErrorKind::Backwards(part.to_owned()));
        }
        parts.push((u32::from(first), u32::from(last)));
    }
    let [a, b, c, d] = parts[..] else { return Err(error()) };
    joined([a, b, c, d]).ok_or_else(|| ItemErrorKind::TooManyRanges(excerpt(text)))
}

/// Digits without a leading zero, which some would take for octal.
fn is_number(text: &str) -> bool {
    let leads = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && !leads && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ranges that the parts make; whole parts at the end belong to one range. `None`: too many.
fn joined(parts: [(u32, u32); 4]) -> Option<Vec<Range>> {
    let whole = parts.iter().rev().take_while(|part| **part == (0, 255)).count();
    // The last part that is not whole still makes neighbours of all its numbers.
    let apart = &parts[..3_usize.saturating_sub(whole)];
    let count: usize = apart.iter().map(|(first, last)| (last - first + 1) as usize).product();
    if count > RANGES_MAX {
        return None;
    }
    let mut starts = vec![0_u32];
    for &(first, last) in apart {
        let next = |start: &u32| {
            let start = start << 8;
            (first..=last).map(move |part| start | part)
        };
        starts = starts.iter().flat_map(next).collect();
    }
    let below = &parts[apart.len()..];
    let value = |bound: fn(&(u32, u32)) -> u32| {
        below.iter().fold(0_u32, |value, part| (value << 8) | bound(part))
    };
    let (low, high) = (value(|part| part.0), value(|part| part.1));
    let shift = 8 * u32::try_from(below.len()).ok()?;
    let base = |start: u32| start.checked_shl(shift).unwrap_or(0);
    Some(starts.into_iter().map(|start| Range::V4(base(start) | low, base(start) | high)).collect())
}

/// Reads an address; `None` when it can only be a name.
fn address(text: &str) -> Result<Option<IpAddr>, (usize, ItemErrorKind)> {
    if text.contains(':') {
        return match text.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Some(address.into())),
            Err(_) if is_zoned(text) => Ok(None),
            Err(_) => Err((0, ItemErrorKind::Ipv6(excerpt(text)))),
        };
    }
    // The last part of a name is never a number (RFC 1123 §2.1): who writes one means an address.
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or(text);
    if last.is_empty() || !last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(Some(address.into())),
        Err(_) => Err((0, ItemErrorKind::Ipv4(excerpt(text)))),
    }
}

fn network(address: &str, prefix: &str) -> Result<Hosts, (usize, ItemErrorKind)> {
    let Some(base) = self::address(address)? else {
        return Err((0, ItemErrorKind::PrefixOfName(excerpt(address))));
    };
    let (most, family) = if base.is_ipv4() { (32, "IPv4") } else { (128, "IPv6") };
    let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let length: Option<u8> = if digits { prefix.parse().ok() } else { None };
    length
        .ok_or(PrefixLenError)
        .and_then(|length| IpNet::new(base, length))
        .map(|network| Hosts::Range(Range::between(network.network(), network.broadcast())))
        .map_err(|_| {
            let prefix = excerpt(prefix);
            (address.chars().count(), ItemErrorKind::Prefix { prefix, most, family })
        })
}

fn valid_name(name: &str) -> Result<(), (usize, ItemErrorKind)> {
    let known = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if let Some((at, letter)) = name.chars().enumerate().find(|&(_, letter)| !known(letter)) {
        let kind = if letter.is_alphabetic() {
            ItemErrorKind::International(letter)
        } else {
            ItemErrorKind::Character(letter)
        };
        return Err((at, kind));
    }
    let parts = name.strip_suffix('.').unwrap_or(name);
    if parts.len() > 253 || parts.split('.').any(|part| !(1..=63).contains(&part.len())) {
        return Err((0, ItemErrorKind::Name(excerpt(name))));
    }
    Ok(())
}

/// Enough of a text to tell which it is.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> (usize, String) {
        let error = parse(text).expect_err(text);
        (error.column, error.kind.to_string())
    }

    fn host(text: &str) -> Hosts {
        parse(text).expect(text).hosts
    }

    #[test]
    fn items_are_read_as_people_write_them() {
        let ten = 10 << 24;
        assert_eq!(host("10.0.0.5"), Hosts::Range(Range::V4(ten + 5, ten + 5)));
        assert_eq!(host("::1"), Hosts::Range(Range::V6(1, 1)));
        assert_eq!(host("[::1]"), host("::1"));
        assert_eq!(host("db-1.example."), Hosts::Name("db-1.example.".into()));
        assert_eq!(host("10-20"), Hosts::Name("10-20".into()));
        assert_eq!(host("fe80::1%lo"), Hosts::Name("fe80::1%lo".into()));
        assert_eq!(host("10.0.0.5/24"), Hosts::Range(Range::V4(ten, ten + 255)));
        assert_eq!(host("10.0.0.0/0"), Hosts::Range(Range::V4(0, u32::MAX)));
        assert_eq!(host("2001:db8::/120"), host("[2001:db8::/120]:22"));
        assert_eq!(parse("10.0.0.5").expect("an address").ports, None);
        for text in ["10.0.0.5:22,2222-2230", "a.example:22,2222-2230", "[::1]:22,2222-2230"] {
            let ports = parse(text).expect(text).ports.expect("ports");
            assert_eq!(ports.len(), 10, "{text}");
        }
    }

    #[test]
    fn ranges_are_read_and_joined() {
        let of = |first: [u8; 4], last: [u8; 4]| Range::between(first.into(), last.into());
        let ranges = |text| match host(text) {
            Hosts::Range(range) => vec![range],
            Hosts::Ranges(ranges) => ranges,
            Hosts::Name(name) => panic!("{name} is no name"),
        };
        assert_eq!(ranges("10.0.0.1-10.0.3.9"), [of([10, 0, 0, 1], [10, 0, 3, 9])]);
        assert_eq!(ranges("10.0.0.7-9"), [of([10, 0, 0, 7], [10, 0, 0, 9])]);
        assert_eq!(
            ranges("10.0.0-1.1-254"),
            [of([10, 0, 0, 1], [10, 0, 0, 254]), of([10, 0, 1, 1], [10, 0, 1, 254])]
        );
        assert_eq!(ranges("10.4-5.0-255.0-255"), [of([10, 4, 0, 0], [10, 5, 255, 255])]);
        assert_eq!(ranges("0-255.0-255.0-255.0-255"), [Range::V4(0, u32::MAX)]);
        assert_eq!(ranges("10.0-255.0-255.1").len(), 65_536);
        assert_eq!(
            ranges("2001:db8::1-2001:db8::ff"),
            [Range::V6(0x2001_0db8 << 96 | 1, 0x2001_0db8 << 96 | 255,)]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_column() {
        for (text, column, part) in [
            ("", 1, "a host is missing"),
            (":22", 1, "a host is missing"),
            ("10.0.0.300", 1, "not an IPv4 address"),
            ("10.0.0", 1, "not an IPv4 address"),
            ("1.2.3.4.5", 1, "not an IPv4 address"),
            ("010.0.0.1", 1, "not an IPv4 address"),
            ("10.0.0.9-10.0.0.1", 1, "ends before it starts"),
            ("10.0.0.9-1", 1, "ends before it starts"),
            ("10.0.0-256.1", 1, "not a range"),
            ("10.0.0.1-", 1, "not a range"),
            ("10.0.0.010-011", 1, "not a range"),
            ("10.0.0.1-::1", 1, "not a range"),
            ("10.0-3.1", 1, "not a range"),
            ("1-9.0-255.0-255.1", 1, "more than 65,536 separate ranges"),
            ("10.0.0.0/33", 9, "/33 is not a prefix length: it goes from 0 to 32 for IPv4"),
            ("10.0.0.0/", 9, "/ is not a prefix length"),
            ("10.0.0.0/+8", 9, "/+8 is not a prefix length"),
            ("2001:db8::/129", 11, "0 to 128 for IPv6"),
            ("name/24", 1, "not an address"),
            ("[::1", 1, "the bracket is not closed"),
            ("[::1]22", 6, "behind the brackets"),
            ("1::2::3", 1, "not an IPv6 address"),
            ("10.0.0.5:0", 10, "port 0 is not from 1 to 65535"),
            ("10.0.0.5:22,70000", 13, "port 70000"),
            ("10.0.0.5:", 10, "a port is missing"),
            ("a b", 2, "can't be part of a host name"),
            ("bücher.example", 2, "xn-- form"),
            ("a..b", 1, "not a host name"),
            ("http://a", 6, "neither a port number nor a service"),
            ("a\u{1b}b", 2, "can't be part of a host name"),
        ] {
            let (at, message) = error(text);
            assert!(message.contains(part), "{text:?}: {message}");
            assert!(!message.contains('\u{1b}'), "{text:?} reaches the terminal unescaped");
            assert_eq!(at, column, "{text:?}: {message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|[0-9a-f:./,\\[\\]%-]{0,40}") {
            if let Err(error) = parse(&text) {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column));
            }
        }

        #[test]
        fn what_is_plain_is_what_it_would_be_read_as(
            text in "[0-9.:]{0,22}|([0-9]{1,3}[.]){3}[0-9]{1,3}(:[0-9]{0,6})?",
        ) {
            if let Some((address, port)) = plain(&text) {
                let hosts = Hosts::Range(Range::V4(address, address));
                prop_assert_eq!(parse(&text), Ok(Item { hosts, ports: port.map(Ports::one) }));
            }
        }

        #[test]
        fn every_usual_line_is_plain(address: Ipv4Addr, port in 1..=u16::MAX) {
            prop_assert_eq!(plain(&address.to_string()), Some((address.into(), None)));
            let text = format!("{address}:{port}");
            prop_assert_eq!(plain(&text), Some((address.into(), Some(port))));
        }

        #[test]
        fn every_address_is_read_back(bits: u128, port in 1..=u16::MAX) {
            let v6 = Ipv6Addr::from(bits);
            let item = parse(&format!("[{v6}]:{port}")).expect("an address and a port");
            prop_assert_eq!(item.hosts, Hosts::Range(Range::V6(bits, bits)));
            prop_assert_eq!(item.ports.expect("a port").get(0), Some(port));
        }
    }
}
