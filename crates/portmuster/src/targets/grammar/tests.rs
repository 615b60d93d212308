use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn error(text: &str) -> (usize, String) {
    let error = parse(text).expect_err(text);
    (error.column, error.kind.to_string())
}

fn host(text: &str) -> ItemHosts {
    parse(text).expect(text).hosts
}

#[test]
fn parse_reads_addresses_networks_and_names() {
    let ten = 10 << 24;
    assert_eq!(host("10.0.0.5"), ItemHosts::Range(AddressRange::V4(ten + 5, ten + 5)));
    assert_eq!(host("::1"), ItemHosts::Range(AddressRange::V6(1, 1)));
    assert_eq!(host("[::1]"), host("::1"));
    assert_eq!(host("[::1:22]"), ItemHosts::Range(AddressRange::V6(0x1_0022, 0x1_0022)));
    // The text before the last colon is no address, so these are no addresses with ports.
    for text in ["::22", "2001:db8:0:0:0:0:1:22", "2001:db8::1:5", "2001:db8::1:2a"] {
        assert!(matches!(host(text), ItemHosts::Range(AddressRange::V6(..))), "{text}");
    }
    assert_eq!(host("db-1.example."), ItemHosts::Name("db-1.example.".into()));
    assert_eq!(host("10-20"), ItemHosts::Name("10-20".into()));
    assert_eq!(host("fe80::1%lo"), ItemHosts::Name("fe80::1%lo".into()));
    assert_eq!(host("10.0.0.5/24"), ItemHosts::Range(AddressRange::V4(ten, ten + 255)));
    assert_eq!(host("10.0.0.0/0"), ItemHosts::Range(AddressRange::V4(0, u32::MAX)));
    assert_eq!(host("2001:db8::/120"), host("[2001:db8::/120]:22"));
    assert_eq!(parse("10.0.0.5").expect("an address").ports, None);
    for text in ["10.0.0.5:22,2222-2230", "a.example:22,2222-2230", "[::1]:22,2222-2230"] {
        let ports = parse(text).expect(text).ports.expect("ports");
        assert_eq!(ports.len(), 10, "{text}");
    }
}

#[test]
fn adjacent_ranges_of_octets_are_joined() {
    let of = |first: [u8; 4], last: [u8; 4]| AddressRange::between(first.into(), last.into());
    let ranges = |text| match host(text) {
        ItemHosts::Range(range) => vec![range],
        ItemHosts::Ranges(ranges) => ranges,
        ItemHosts::Name(name) => panic!("{name} is a range"),
    };
    assert_eq!(ranges("10.0.0.1-10.0.3.9"), [of([10, 0, 0, 1], [10, 0, 3, 9])]);
    assert_eq!(ranges("10.0.0.7-9"), [of([10, 0, 0, 7], [10, 0, 0, 9])]);
    assert_eq!(
        ranges("10.0.0-1.1-254"),
        [of([10, 0, 0, 1], [10, 0, 0, 254]), of([10, 0, 1, 1], [10, 0, 1, 254])]
    );
    assert_eq!(ranges("10.4-5.0-255.0-255"), [of([10, 4, 0, 0], [10, 5, 255, 255])]);
    assert_eq!(ranges("0-255.0-255.0-255.0-255"), [AddressRange::V4(0, u32::MAX)]);
    assert_eq!(ranges("10.0-255.0-255.1").len(), 65_536);
    assert_eq!(
        ranges("2001:db8::1-2001:db8::ff"),
        [AddressRange::V6(0x2001_0db8 << 96 | 1, 0x2001_0db8 << 96 | 255,)]
    );
}

#[test]
fn octet_lists_are_read_like_those_of_nmap() {
    let displayed = |text: &str| match parse(text).expect(text).hosts {
        ItemHosts::Ranges(ranges) => ranges,
        other => panic!("{text}: {other:?}"),
    };
    let of = |first: [u8; 4], last: [u8; 4]| AddressRange::between(first.into(), last.into());
    let one = |address: [u8; 4]| of(address, address);
    assert_eq!(
        displayed("10.0.0.1,3,5"),
        [one([10, 0, 0, 1]), one([10, 0, 0, 3]), one([10, 0, 0, 5])]
    );
    assert_eq!(displayed("10.0.0.5,1-3,2"), [of([10, 0, 0, 1], [10, 0, 0, 3]), one([10, 0, 0, 5])]);
    assert_eq!(displayed("10.0.0.*"), [of([10, 0, 0, 0], [10, 0, 0, 255])]);
    assert_eq!(
        displayed("10.1,3.*.*"),
        [of([10, 1, 0, 0], [10, 1, 255, 255]), of([10, 3, 0, 0], [10, 3, 255, 255])]
    );
    assert_eq!(displayed("127.0.9,10.1"), [one([127, 0, 9, 1]), one([127, 0, 10, 1])]);
    assert_eq!(displayed("*.*.*.*"), [AddressRange::V4(0, u32::MAX)]);
    assert_eq!(displayed("10.0.0.1,22:2222"), [one([10, 0, 0, 1]), one([10, 0, 0, 22])]);
    let item = parse("127.0.9.20-22:22,2222").expect("a range with ports");
    assert_eq!(item.ports, Some("22,2222".parse::<Ports>().expect("ports")));
}

#[test]
fn urls_have_the_default_port_of_their_scheme() {
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
fn international_names_are_converted_to_ascii() {
    assert_eq!(host("bücher.example"), ItemHosts::Name("xn--bcher-kva.example".into()));
    assert_eq!(host("BÜCHER.example"), ItemHosts::Name("xn--bcher-kva.example".into()));
    assert_eq!(host("例え。テスト"), ItemHosts::Name("xn--r8jz45g.xn--zckzah".into()));
    for text in ["１０.０.０.１", "\u{301}a.example", "a→b"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

/// Items with an error: the text, the column, and a part of the message.
const ERRORS: &[(&str, usize, &str)] = &[
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
    ("10.0.0.1,22", 1, "for the addresses, write 10.0.0.1 and 10.0.0.22"),
    ("10.0.0.1,22", 1, "for a port, 10.0.0.1:22"),
    ("10.0.0.1,2222", 1, "for a port, write 10.0.0.1:2222"),
    ("10.0.0.1,22,core", 9, "commas separate ports"),
    ("a.example;22", 10, "is not allowed here: write one target per line"),
    ("10.0.0.1,3,500", 1, "not a range"),
    ("10.0.0.1,10.0.0.2", 1, "separate them with spaces, as in 10.0.0.1 10.0.0.2"),
    ("a:22,b:23", 1, "as in a:22 b:23"),
    ("10.0.0.1,a.example", 1, "as in 10.0.0.1 a.example"),
    ("10.0.0.1:22 10.0.0.2:22", 1, "as in 10.0.0.1:22 10.0.0.2:22"),
    ("127.0.0.1, ::1", 1, "as in 127.0.0.1 ::1"),
    ("127.0.0.1:22 ::1:22:x", 13, "is not allowed in a host name"),
    ("user@::1", 5, "a target has no user name: write ::1"),
    ("user@[::1]:22", 5, "a target has no user name: write [::1]:22"),
    ("::1:22", 1, "for port 22 of ::1, write [::1]:22; for the address, [::1:22]"),
    ("2001:db8::1:2222", 1, "is ambiguous"),
    ("10.0.0.0/255.255.255.0", 9, "/24 instead of /255.255.255.0"),
    ("10.0.0.0/255.0.255.0", 9, "/255.0.255.0 is not a prefix length"),
    ("10.0.0.1:22:23", 1, "10.0.0.1:22,23"),
    ("host:22:23", 1, "separate ports with commas: host:22,23"),
    ("10.0.0.1\u{2013}10.0.0.5", 9, "did you mean 10.0.0.1-10.0.0.5?"),
    ("10.0.0.1..5", 9, "did you mean 10.0.0.1-5?"),
    ("10.0-3.1", 1, "not a range"),
    ("1-9.0-255.0-255.1", 1, "more than 65,536 separate ranges"),
    ("10.0.0.0/33", 9, "/33 is not a prefix length: IPv4 allows 0 to 32"),
    ("10.0.0.0/", 9, "/ is not a prefix length"),
    ("10.0.0.0/+8", 9, "/+8 is not a prefix length"),
    ("2001:db8::/129", 11, "IPv6 allows 0 to 128"),
    ("name/24", 1, "not an address"),
    ("[::1", 1, "the bracket is not closed"),
    ("[::1]22", 6, "after the closing bracket"),
    ("1::2::3", 1, "not an IPv6 address"),
    ("10.0.0.5:0", 10, "port 0 is not from 1 to 65535"),
    ("10.0.0.5:22,70000", 13, "port 70000"),
    ("10.0.0.5:", 10, "a port is missing"),
    ("all:", 5, "a port is missing after \"all:\"; for an Ansible inventory in YAML"),
    ("10.0.0.5:22,", 12, "write one target per line"),
    ("a b", 2, "is not allowed in a host name"),
    ("a..b", 1, "not a host name"),
    ("-", 1, "marks a list item of YAML"),
    ("---", 1, "marks a list item of YAML"),
    ("-p", 1, "begins or ends with '-'"),
    ("a-.example", 1, "begins or ends with '-'"),
    ("a\u{202e}b", 2, "is not allowed in a host name"),
    ("[a.example]:22", 2, "only an IPv6 address may be in brackets"),
    ("[10.0.0.1]", 2, "only an IPv6 address may be in brackets"),
    ("[servers]", 2, "only an IPv6 address may be in brackets"),
    ("root@a.example:22", 5, "a target has no user name: write a.example:22"),
    (
        "http://a",
        1,
        "only ssh:// and telnet:// URLs are supported, not http://; for the host alone, write a",
    ),
    ("https://a:8443/x", 1, "write a:8443"),
    ("ssh://a/x", 8, "write a"),
    ("ssh://", 7, "a host is missing"),
    ("ssh://a:0", 9, "port 0"),
    ("ssh://u@a b", 10, "is not allowed in a host name"),
    ("a\u{1b}b", 2, "is not allowed in a host name"),
];

#[test]
fn errors_name_the_problem_and_its_column() {
    for &(text, expected_column, part) in ERRORS {
        let (column, message) = error(text);
        assert!(message.contains(part), "{text:?}: {message}");
        assert!(!message.contains('\u{1b}'), "{text:?} reaches the terminal unescaped");
        assert_eq!(column, expected_column, "{text:?}: {message}");
    }
}

proptest! {
    #[test]
    fn parse_never_panics(text in "\\PC{0,40}|[0-9a-f:./,\\[\\]%-]{0,40}") {
        if let Err(error) = parse(&text) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column));
        }
    }

    #[test]
    fn parse_plain_agrees_with_parse(
        text in "[0-9.:]{0,22}|([0-9]{1,3}[.]){3}[0-9]{1,3}(:[0-9]{0,6})?",
    ) {
        if let Some((address, port)) = parse_plain(&text) {
            let hosts = ItemHosts::Range(AddressRange::V4(address, address));
            prop_assert_eq!(parse(&text), Ok(ParsedItem { hosts, ports: port.map(Ports::one) }));
        }
    }

    #[test]
    fn every_ipv4_address_with_or_without_port_is_plain(address: Ipv4Addr, port in 1..=u16::MAX) {
        prop_assert_eq!(parse_plain(&address.to_string()), Some((address.into(), None)));
        let text = format!("{address}:{port}");
        prop_assert_eq!(parse_plain(&text), Some((address.into(), Some(port))));
    }

    #[test]
    fn parse_plain_v6_agrees_with_parse(
        text in "[\\[]?([0-9a-f]{0,4}:){1,7}[0-9a-f:]{0,5}([0-9.]{0,9})(\\](:[0-9]{0,6})?)?",
        mapped: Ipv4Addr,
    ) {
        for text in [text, format!("[::ffff:{mapped}]"), format!("::ffff:{mapped}")] {
            if let Some((address, port)) = parse_plain_v6(&text) {
                let hosts = ItemHosts::Range(AddressRange::between(address.into(), address.into()));
                prop_assert_eq!(parse(&text), Ok(ParsedItem { hosts, ports: port.map(Ports::one) }));
            }
        }
    }

    #[test]
    fn every_ipv6_address_is_read_back(bits: u128, port in 1..=u16::MAX) {
        let v6 = Ipv6Addr::from(bits);
        prop_assert_eq!(parse_plain_v6(&v6.to_string()), Some((v6, None)));
        prop_assert_eq!(parse_plain_v6(&format!("[{v6}]:{port}")), Some((v6, Some(port))));
        let item = parse(&format!("[{v6}]:{port}")).expect("an address and a port");
        prop_assert_eq!(item.hosts, ItemHosts::Range(AddressRange::V6(bits, bits)));
        prop_assert_eq!(item.ports.expect("a port").get(0), Some(port));
    }
}
