//! One item of a list: an address, a network, a range, a name or a URL, with or without ports.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::{IpNet, PrefixLenError};

use super::{LINE_MAX, Ports, PortsError, is_zoned, region::Range};

mod error;
mod name;
mod octets;
mod url;

pub use error::{ItemError, ItemErrorKind};

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

/// Reads one item.
pub(super) fn parse(text: &str) -> Result<Item, ItemError> {
    if let Some(item) = url::parse(text) {
        return item;
    }
    let (host, host_column, own) = split(text)?;
    let hosts = hosts(host, own.is_some())
        .map_err(|(at, kind)| ItemError { column: host_column + at, kind })?;
    Ok(Item { hosts, ports: ports(own)? })
}

/// Whether the text is one address or one name, without ports.
pub(super) fn is_one_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_zoned(text) || name::parse(text).is_ok()
}

fn ports(own: Option<Part<'_>>) -> Result<Option<Ports>, ItemError> {
    let Some((list, column)) = own else { return Ok(None) };
    let error =
        |(at, error): (usize, PortsError)| ItemError { column: column + at, kind: error.into() };
    Ports::parse(list).map(Some).map_err(error)
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
        if !host.contains(':') {
            return error(2, ItemErrorKind::Bracketed(excerpt(host)));
        }
        let behind = host.chars().count() + 3;
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((host, 2, Some((ports, behind + 1)))),
            None if rest.is_empty() => Ok((host, 2, None)),
            None => error(behind, ItemErrorKind::BehindBracket),
        };
    }
    match text.split_once(':') {
        None => Ok((text, 1, None)),
        Some((host, rest)) if rest.contains(':') => match of_colons(text, host, rest) {
            Some(kind) => error(1, kind),
            None => Ok((text, 1, None)),
        },
        Some((host, ports)) => {
            let column = host.chars().count() + 2;
            if let Some(kind) = several(text) {
                return error(1, kind);
            }
            if ports.is_empty() && name::parse(host).is_ok() && address(host) == Ok(None) {
                return error(column, ItemErrorKind::YamlKey(excerpt(text)));
            }
            if let Some(list) = ports.strip_suffix(',').filter(|list| !list.is_empty()) {
                return error(column + list.chars().count(), ItemErrorKind::Separator(','));
            }
            Ok((host, 1, Some((ports, column))))
        }
    }
}

/// What is wrong with a text that has several colons and can't be meant as an IPv6 address.
fn of_colons(text: &str, host: &str, rest: &str) -> Option<ItemErrorKind> {
    let (bare, _) = text.split_once('%').unwrap_or((text, ""));
    let is_of_v6 = |byte: u8| byte.is_ascii_hexdigit() || b":./-".contains(&byte);
    if bare.bytes().all(is_of_v6) && (!host.contains('.') || host.contains('-')) {
        return None;
    }
    if let Some(several) = several(text) {
        return Some(several);
    }
    if text.contains([',', ';']) {
        return Some(ItemErrorKind::Separator(if text.contains(',') { ',' } else { ';' }));
    }
    let meant = excerpt(&format!("{host}:{}", rest.replace(':', ",")));
    Some(ItemErrorKind::TwoColons { text: excerpt(text), meant })
}

/// What is wrong with a text that is several targets, each of them readable, at least two of them
/// with a host of its own.
fn several(text: &str) -> Option<ItemErrorKind> {
    if text.len() > LINE_MAX {
        return None;
    }
    let pieces: Vec<_> = text.split([',', ';', '|']).map(str::trim).collect();
    let has_host = |piece: &&&str| piece.contains(['.', ':']);
    if pieces.iter().filter(has_host).count() < 2 || pieces.iter().any(|piece| piece.is_empty()) {
        return None;
    }
    // None of them has a separator left.
    if !pieces.iter().all(|piece| parse(piece).is_ok()) {
        return None;
    }
    let meant = excerpt(&pieces.join(" "));
    Some(ItemErrorKind::Several { text: excerpt(text), meant })
}

/// Reads a host; an error comes with its place in characters from 0.
fn hosts(text: &str, has_ports: bool) -> Result<Hosts, (usize, ItemErrorKind)> {
    if text.is_empty() {
        return Err((0, ItemErrorKind::NoHost));
    }
    if text.bytes().all(|byte| byte == b'-') {
        return Err((0, ItemErrorKind::YamlDash));
    }
    if let Some(rest) = text.strip_suffix([',', ';']) {
        let at = rest.chars().count();
        return Err((
            at,
            ItemErrorKind::Separator(text[rest.len()..].chars().next().unwrap_or(',')),
        ));
    }
    if let Some((user, host)) = text.rsplit_once('@') {
        let at = user.chars().count();
        return Err((at, ItemErrorKind::User(excerpt(host))));
    }
    if let Some(kind) = several(text) {
        return Err((0, kind));
    }
    if let Some((address, prefix)) = text.split_once('/') {
        return network(address, prefix);
    }
    if let Some(ranges) = ranges(text, has_ports).map_err(|kind| (0, kind))? {
        return Ok(Hosts::Ranges(ranges));
    }
    if let Some(error) = range_sign(text) {
        return Err(error);
    }
    if let Some(address) = address(text)? {
        return Ok(Hosts::Range(Range::between(address, address)));
    }
    if is_zoned(text) {
        return Ok(Hosts::Name(text.into()));
    }
    name::parse(text).map(Hosts::Name)
}

/// What was meant by a range with a dash of typography, or with dots.
fn range_sign(text: &str) -> Option<(usize, ItemErrorKind)> {
    if text.is_ascii() && !text.contains("..") {
        return None;
    }
    let signs = ["\u{2013}", "\u{2014}", "\u{2212}", "\u{2010}", "\u{2011}", "..", "\u{2026}"];
    let sign = signs.into_iter().find(|sign| text.contains(sign))?;
    let (first, last) = text.split_once(sign)?;
    let meant = format!("{}-{}", first, last.trim_start_matches('.'));
    matches!(ranges(&meant, false), Ok(Some(_)))
        .then(|| (first.chars().count(), ItemErrorKind::RangeSign(excerpt(&meant))))
}

/// Reads `10.0.0.1-10.0.3.9`, `10.0.0-3.1-254`, `10.0.0.1,3,5` and `10.0.0.*`; `None` when it can
/// be none of them.
fn ranges(text: &str, has_ports: bool) -> Result<Option<Vec<Range>>, ItemErrorKind> {
    if let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>())
    {
        if first.is_ipv4() != last.is_ipv4() {
            return Err(ItemErrorKind::Range(excerpt(text)));
        }
        if first > last {
            return Err(ItemErrorKind::Backwards(excerpt(text)));
        }
        return Ok(Some(vec![Range::between(first, last)]));
    }
    if !octets::looks_like(text) {
        return Ok(None);
    }
    if !has_ports && let Some(kind) = octet_or_port(text) {
        return Err(kind);
    }
    octets::parse(text).map(Some)
}

/// Why an address, one comma and a lone number can't be read: it may be an octet or a port.
fn octet_or_port(text: &str) -> Option<ItemErrorKind> {
    let (address, number) = text.split_once(',')?;
    let start = address.parse::<Ipv4Addr>().ok()?;
    if !octets::is_number(number) {
        return None;
    }
    let (address, number) = (address.to_owned(), excerpt(number));
    let Ok(last) = number.parse() else {
        return Some(ItemErrorKind::CommaPort { address, number });
    };
    let [a, b, c, _] = start.octets();
    let other = Ipv4Addr::from([a, b, c, last]).to_string();
    Some(ItemErrorKind::OctetOrPort { address, number, other })
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

/// A message that may quote an input, bounded.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Enough of a text to tell which it is.
pub(in crate::targets) fn excerpt(text: &str) -> String {
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
    fn octets_are_read_as_nmap_reads_them() {
        let shown = |text: &str| match parse(text).expect(text).hosts {
            Hosts::Ranges(ranges) => ranges,
            other => panic!("{text}: {other:?}"),
        };
        let of = |first: [u8; 4], last: [u8; 4]| Range::between(first.into(), last.into());
        let one = |address: [u8; 4]| of(address, address);
        assert_eq!(
            shown("10.0.0.1,3,5"),
            [one([10, 0, 0, 1]), one([10, 0, 0, 3]), one([10, 0, 0, 5])]
        );
        assert_eq!(shown("10.0.0.5,1-3,2"), [of([10, 0, 0, 1], [10, 0, 0, 3]), one([10, 0, 0, 5])]);
        assert_eq!(shown("10.0.0.*"), [of([10, 0, 0, 0], [10, 0, 0, 255])]);
        assert_eq!(
            shown("10.1,3.*.*"),
            [of([10, 1, 0, 0], [10, 1, 255, 255]), of([10, 3, 0, 0], [10, 3, 255, 255])]
        );
        assert_eq!(shown("127.0.9,10.1"), [one([127, 0, 9, 1]), one([127, 0, 10, 1])]);
        assert_eq!(shown("*.*.*.*"), [Range::V4(0, u32::MAX)]);
        assert_eq!(shown("10.0.0.1,22:2222"), [one([10, 0, 0, 1]), one([10, 0, 0, 22])]);
        let item = parse("127.0.9.20-22:22,2222").expect("a range with ports");
        assert_eq!(item.ports, Some(Ports::parse("22,2222").expect("ports")));
    }

    #[test]
    fn urls_of_ssh_and_telnet_have_their_ports() {
        for (text, meant) in [
            ("ssh://a.example", "a.example:22"),
            ("telnet://10.0.0.1", "10.0.0.1:23"),
            ("SSH://10.0.0.1:2222/", "10.0.0.1:2222"),
            ("ssh://root@[2001:db8::1]:2222", "[2001:db8::1]:2222"),
            ("ssh://user:word@a.example/", "a.example:22"),
        ] {
            assert_eq!(parse(text), parse(meant), "{text}");
        }
    }

    #[test]
    fn international_names_get_their_ascii_form() {
        assert_eq!(host("bücher.example"), Hosts::Name("xn--bcher-kva.example".into()));
        assert_eq!(host("BÜCHER.example"), Hosts::Name("xn--bcher-kva.example".into()));
        assert_eq!(host("例え。テスト"), Hosts::Name("xn--r8jz45g.xn--zckzah".into()));
        for text in ["１０.０.０.１", "\u{301}a.example", "a→b"] {
            assert!(parse(text).is_err(), "{text}");
        }
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
            ("10.0.0.1,22", 1, "may be the addresses 10.0.0.1 and 10.0.0.22"),
            ("10.0.0.1,22", 1, "write 10.0.0.1:22), or a row of CSV (--input-format csv)"),
            ("10.0.0.1,2222", 1, "for a port write 10.0.0.1:2222, for CSV say --input-format"),
            ("10.0.0.1,22,core", 9, "CSV is read with --input-format csv"),
            ("a.example;22", 10, "CSV is read with --input-format csv"),
            ("10.0.0.1,3,500", 1, "not a range"),
            ("10.0.0.1,10.0.0.2", 1, "write each by itself: 10.0.0.1 10.0.0.2"),
            ("a:22,b:23", 1, "write each by itself: a:22 b:23"),
            ("10.0.0.1,a.example", 1, "write each by itself: 10.0.0.1 a.example"),
            ("10.0.0.1:22:23", 1, "10.0.0.1:22,23"),
            ("host:22:23", 1, "with commas between them: host:22,23"),
            ("10.0.0.1\u{2013}10.0.0.5", 9, "did you mean 10.0.0.1-10.0.0.5?"),
            ("10.0.0.1..5", 9, "did you mean 10.0.0.1-5?"),
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
            ("all:", 5, "a port is missing behind \"all:\"; for an ansible inventory in YAML"),
            ("10.0.0.5:22,", 12, "one target stands on a line"),
            ("a b", 2, "can't be part of a host name"),
            ("a..b", 1, "not a host name"),
            ("-", 1, "marks a list item in YAML"),
            ("---", 1, "marks a list item in YAML"),
            ("-p", 1, "begins or ends with '-'"),
            ("a-.example", 1, "begins or ends with '-'"),
            ("a\u{202e}b", 2, "can't be part of a host name"),
            ("[a.example]:22", 2, "brackets take nothing else"),
            ("[10.0.0.1]", 2, "brackets take nothing else"),
            ("[servers]", 2, "--input-format ansible"),
            ("root@a.example:22", 5, "a target has no user: write a.example"),
            (
                "http://a",
                1,
                "only ssh:// and telnet:// are read, not http://; for the host alone write a",
            ),
            ("https://a:8443/x", 1, "write a:8443"),
            ("ssh://a/x", 8, "write a"),
            ("ssh://", 7, "a host is missing"),
            ("ssh://a:0", 9, "port 0"),
            ("ssh://u@a b", 10, "can't be part of a host name"),
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
