use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use proptest::prelude::*;

use super::*;
use crate::targets::{
    target::Host,
    walk::{Order, Shard},
};

fn set_without(excludes: &[&str], items: &[&str]) -> TargetSet {
    let mut unwanted = Excludes::new();
    for item in excludes {
        unwanted.add(item).expect(item);
    }
    let mut set = TargetSet::new(&unwanted);
    for item in items {
        set.add(item, None, &Ports::ssh_and_telnet()).expect(item);
    }
    set
}

fn set(items: &[&str]) -> TargetSet {
    set_without(&[], items)
}

fn displayed(set: TargetSet) -> Vec<String> {
    let targets = set.into_targets(Order::Given, Shard::WHOLE);
    targets.map(|target| target.to_string()).collect()
}

#[test]
fn consecutive_ports_of_one_address_extend_its_block() {
    let mut set = TargetSet::default();
    let items: Vec<_> = (1..=3)
        .flat_map(|host| (1..=100).map(move |port| format!("10.0.0.{host}:{port}")))
        .collect();
    for item in &items {
        set.add(item, None, &Ports::ssh_and_telnet()).expect("a valid item");
    }
    let listed: Vec<_> =
        (0..set.len()).map(|index| set.get(index).expect("a target").to_string()).collect();
    assert_eq!(listed, items);
    assert_eq!((set.ranges().count(), set.skipped()), (3, Skipped::default()));
    set.add("10.0.0.2:50", None, &Ports::ssh_and_telnet()).expect("a valid item");
    assert_eq!((set.len(), set.skipped().duplicates), (300, 1));
}

#[test]
fn further_ports_of_a_range_come_after_all_its_addresses() {
    let items = ["10.0.0.1-10.0.0.2:22", "10.0.0.1-10.0.0.2:23"];
    assert_eq!(
        displayed(set(&items)),
        ["10.0.0.1:22", "10.0.0.2:22", "10.0.0.1:23", "10.0.0.2:23"]
    );
}

/// Expands items to their targets, each at its first occurrence, and counts the duplicates.
fn expanded(items: &[String], excludes: &[String]) -> (Vec<Target>, u128) {
    let mut unwanted = Excludes::new();
    let mut known: HashSet<Target> = HashSet::new();
    let mut targets = Vec::new();
    let mut duplicates = 0;
    for item in excludes {
        unwanted.add(item).expect(item);
    }
    for item in items {
        let ParsedItem { hosts, ports } = grammar::parse(item).expect(item);
        let ports = ports.unwrap_or_else(Ports::ssh_and_telnet);
        let ranges = match hosts {
            ItemHosts::Range(range) => vec![range],
            ItemHosts::Ranges(ranges) => ranges,
            ItemHosts::Name(_) => Vec::new(),
        };
        for range in ranges {
            for host in (0..range.len()).filter_map(|index| range.get(index)) {
                for port in (0..ports.len()).filter_map(|index| ports.get(index)) {
                    let target = Target { host: Host::Address(host), port, label: None };
                    if !known.insert(target.clone()) {
                        duplicates += 1;
                    } else if !unwanted.contains(host, port) {
                        targets.push(target);
                    }
                }
            }
        }
    }
    (targets, duplicates)
}

/// Items with ranges, lists or networks of IPv4 addresses.
fn octets() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        (0_u8..8).prop_map(|number| number.to_string()),
        (0_u8..4, 0_u8..8).prop_map(|(first, more)| format!("{first}-{}", first + more)),
        (0_u8..3, 4_u8..7).prop_map(|(one, other)| format!("{one},{other}")),
        (0_u8..3).prop_map(|first| format!("{first}-{},9-20", first + 3)),
    ];
    let last = prop_oneof![
        (0_u8..8).prop_map(|number| number.to_string()),
        (0_u8..4, 0_u8..8).prop_map(|(first, more)| format!("{first}-{}", first + more)),
        (0_u8..3, 4_u8..7).prop_map(|(one, other)| format!("{one},{other}")),
    ];
    let ports = prop_oneof![
        Just(String::new()),
        (1_u8..6).prop_map(|port| format!(":{port}")),
        (1_u8..4, 0_u8..4).prop_map(|(first, more)| format!(":{first}-{}", first + more)),
        Just(":1,3,5".to_owned()),
    ];
    let network = (0_u32..4096, 22_u8..=32, ports.clone()).prop_map(|(low, prefix, ports)| {
        let address = Ipv4Addr::from((10 << 24) | (low & (u32::MAX << (32 - prefix))));
        format!("{address}/{prefix}{ports}")
    });
    let octets = (part, last, ports).prop_map(|(third, last, ports)| {
        // An item with a single comma is ambiguous: the number after it may be a port.
        let ports = if ports.is_empty() { ":22,23" } else { &ports };
        format!("10.0.{third}.{last}{ports}")
    });
    prop_oneof![3 => octets, 1 => network]
}

#[test]
fn each_index_is_found_in_blocks_of_very_different_sizes() {
    let host = |network: u32, host: u32| Ipv4Addr::from(network + host);
    let (wide, middle, last) = (0x0A00_0000, 0xC000_0200, 0x0A01_0000);
    let singles: Vec<_> = (0..200_u16).map(|nth| (host(middle, nth.into()), 1000 + nth)).collect();
    let mut set = set(&["10.0.0.0/22:1"]);
    for (address, port) in &singles {
        set.add(&format!("{address}:{port}"), None, &Ports::ssh_and_telnet()).expect("an item");
    }
    set.add("10.1.0.0/24:1-9", None, &Ports::ssh_and_telnet()).expect("an item");
    let expected = (0..1024).map(|nth| (host(wide, nth), 1));
    let with_each_port = |nth| (1..=9).map(move |port| (host(last, nth), port));
    let expected = expected.chain(singles).chain((0..256).flat_map(with_each_port));
    let found = (0..set.len()).map(|index| set.get(index).expect("it is below the length"));
    assert!(found.eq(expected.map(Target::from)));
    assert_eq!(set.get(set.len()), None);
}

proptest! {
    #[test]
    fn items_with_octet_ranges_match_their_expansion(
        items in prop::collection::vec(octets(), 1..14),
        excludes in prop::collection::vec(octets(), 0..3),
    ) {
        let text: Vec<_> = items.iter().map(String::as_str).collect();
        let unwanted: Vec<_> = excludes.iter().map(String::as_str).collect();
        let set = set_without(&unwanted, &text);
        let (expected, duplicates) = expanded(&items, &excludes);
        prop_assert_eq!(set.len(), expected.len() as u128);
        prop_assert_eq!(set.skipped().duplicates, duplicates);
        let ranges: u128 = set.blocks.iter().flat_map(|block| {
            let ports = block.ports.len() as u128;
            block.ranges(&set.hosts).map(move |range| range.len() * ports)
        }).sum();
        prop_assert_eq!(ranges, set.len());
        let walked: Vec<_> = set.into_targets(Order::Given, Shard::WHOLE).collect();
        prop_assert_eq!(walked, expected);
    }
}

/// Returns the set of these items, its number of blocks and its number of spans.
fn sizes(items: impl IntoIterator<Item = String>) -> (TargetSet, usize, usize) {
    let mut set = TargetSet::default();
    for item in items {
        set.add(&item, None, &Ports::ssh_and_telnet()).expect("a valid item");
    }
    let (blocks, spans) = (set.blocks.len(), set.members.v4.span_count());
    (set, blocks, spans)
}

#[test]
fn each_line_with_another_port_of_the_same_octets_takes_one_block() {
    let lines =
        |hosts: &'static str| (1..=40).map(move |port| format!("10.0-99.0-255.{hosts}:{port}"));
    let (set, blocks, spans) = sizes(lines("1"));
    assert_eq!((set.len(), blocks, spans), (40 * 25_600, 40, 25_600));
    assert_eq!(set.get(25_600).map(|target| target.to_string()).as_deref(), Some("10.0.0.1:2"));
    // Alternate with wider ranges that overlap them.
    let (set, blocks, spans) =
        sizes(lines("1").zip(lines("1-3")).flat_map(|(one, two)| [one, two]));
    assert_eq!((set.len(), blocks, spans), (40 * 3 * 25_600, 80, 2 * 25_600));
    let wide = (1..=40).map(|port| format!("10.0.0.0/9:{port}"));
    let (set, blocks, spans) = sizes(lines("1").chain(wide));
    assert_eq!((set.len(), set.skipped().duplicates), (40 << 23, 40 * 25_600));
    assert!(blocks < 120 && spans < 60_000, "{blocks} {spans}");
}

#[test]
fn add_refuses_ranges_beyond_the_limit_but_not_single_hosts() {
    let mut set = TargetSet { separate_ranges: SET_RANGES_MAX + 1, ..TargetSet::default() };
    let mut add = |item: &str| set.add(item, None, &Ports::ssh_and_telnet());
    let failed = add("10.0-255.0-255.1:22").expect_err("the limit is exceeded");
    assert_eq!(
        failed.kind().to_string(),
        "adding \"10.0-255.0-255.1:22\" would split the targets into more than 4,194,304 separate \
         ranges; write the ports of the same addresses on one line (10.0-3.0.1:22,23), or check the \
         list in parts"
    );
    assert!(add("10.0.0.99:1").is_ok() && add("db.example").is_ok());
    assert!(add("10.9.0.0/16").is_err());
}

#[test]
fn targets_keep_the_order_and_the_ports_of_their_items() {
    assert_eq!(
        displayed(set(&["10.0.0.254/31", "db.example:2222", "[2001:db8::1]:22,23"])),
        [
            "10.0.0.254:22",
            "10.0.0.254:23",
            "10.0.0.255:22",
            "10.0.0.255:23",
            "db.example:2222",
            "[2001:db8::1]:22",
            "[2001:db8::1]:23",
        ]
    );
}

/// The resolver looks `db` up in its search domains, and `db.` not.
#[test]
fn names_with_and_without_a_trailing_dot_are_two_targets_and_both_are_excluded() {
    let both = set(&["db.:22", "db:22", "DB.:22"]);
    assert_eq!(both.skipped(), Skipped { duplicates: 1, ..Skipped::default() });
    assert_eq!(displayed(both), ["db.:22", "db:22"]);
    for excluded in ["db", "DB."] {
        let mut excludes = Excludes::new();
        excludes.add(excluded).expect("it is a name");
        let mut set = TargetSet::new(&excludes);
        for item in ["db:22", "db.:22"] {
            set.add(item, None, &Ports::ssh_and_telnet()).expect("it is a target");
        }
        assert_eq!((set.len(), set.skipped().excluded), (0, 2), "{excluded}");
    }
}

#[test]
fn a_target_named_twice_is_counted_as_a_duplicate() {
    let set = set(&["10.0.0.5:22", "10.0.0.4/31", "DB.example:22", "db.example", "10.0.0.5"]);
    assert_eq!(set.skipped(), Skipped { duplicates: 4, ..Skipped::default() });
    assert_eq!(
        displayed(set),
        [
            "10.0.0.5:22",
            "10.0.0.4:22",
            "10.0.0.4:23",
            "10.0.0.5:23",
            "DB.example:22",
            "db.example:23"
        ]
    );
}

#[test]
fn excluded_targets_are_skipped() {
    let set = set_without(
        &["10.0.0.2-3", "10.0.0.1:22", "Db.example:23", "2001:db8::/64"],
        &["10.0.0.0/30", "db.example.", "2001:db8::5"],
    );
    assert_eq!(set.skipped().excluded, 4 + 1 + 1 + 2);
    assert_eq!(displayed(set), ["10.0.0.0:22", "10.0.0.0:23", "10.0.0.1:23", "db.example.:22"]);
}

#[test]
fn excluded_targets_that_are_named_twice_are_counted_once() {
    let skipped = |items: &[&str]| {
        let excludes = ["10.0.0.0/8", "10.0.0.0/9", "2001:db8::/32", "db.example:22"];
        let set = set_without(&excludes, items);
        (set.skipped(), set.len())
    };
    for (items, excluded, duplicates, len) in [
        (&["10.0.0.1:1", "10.0.0.1:1"][..], 1, 1, 0),
        (&["10.0.0.0/8", "10.0.0.0/8"], 2 << 24, 2 << 24, 0),
        (&["10.0.0.5:1", "10.0.0.0/30:1", "10.0.0.4-10.0.0.6:1"], 7, 1, 0),
        (&["9.255.255.254-10.0.0.1:1", "10.0.0.0/31:1"], 2, 2, 2),
        (&["10.0-255.0-255.1:1", "10.0-255.0-255.1:1-2"], 2 << 16, 1 << 16, 0),
        (&["2001:db8::/64", "2001:db8::1", "[2001:db8::1]:22"], 2 << 64, 3, 0),
        (&["[2001:db8::1]:22", "2001:db8::1", "[2001:db8::/64]:22"], (1 << 64) + 1, 2, 0),
        (&["db.example", "DB.example:22", "db.example:23"], 1, 2, 1),
    ] {
        let expected = Skipped { duplicates, excluded, ..Skipped::default() };
        assert_eq!(skipped(items), (expected, len), "{items:?}");
    }
}

#[test]
fn omitted_networks_take_one_span_whatever_overlaps_them() {
    let excludes: Vec<_> = (0..500).map(|host| format!("10.0.{}.7", host % 250)).collect();
    let excludes: Vec<_> = excludes.iter().map(String::as_str).collect();
    let items = ["10.0.0.0/8", "10.0.0.0/16", "0.0.0.0/0:1", "10.0.0.0/8"];
    let mut set = set_without(&excludes, &items);
    let omitted = set.omitted.as_mut().expect("targets are omitted");
    assert!(omitted.v4(&[]).len() < 8, "{} spans", omitted.v4(&[]).len());
    assert_eq!(set.skipped().excluded, 250 * 3);
}

#[test]
fn reserved_targets_are_counted_once_and_not_if_they_are_named_too() {
    for (items, reserved, duplicates, len) in [
        (&["126.255.255.255-127.0.0.3:1", "126.255.255.254-127.0.0.5:1"][..], 6, 5, 2),
        (&["126.255.255.255-127.0.0.3:1", "127.0.0.1:1"], 3, 1, 2),
        (&["127.0.0.1:1", "126.255.255.255-127.0.0.3:1"], 3, 1, 2),
        (&["126.255.255.255-127.0.0.3:1", "127.0.0.0/30:1"], 0, 4, 5),
        (&["126.255.255.255-127.0.0.3:1-2", "127.0.0.0/31:1"], 6, 2, 4),
        (&["[::/126]:1", "[::1]:1"], 1, 1, 3),
    ] {
        let set = set(items);
        let expected = Skipped { duplicates, reserved, ..Skipped::default() };
        assert_eq!((set.skipped(), set.len()), (expected, len), "{items:?}");
    }
}

#[test]
fn reserved_networks_are_skipped_unless_named() {
    let all = set(&["0.0.0.0/0:1"]);
    assert_eq!(all.skipped().reserved, (1 << 24) * 2 + (1 << 29));
    assert_eq!(all.len() + all.skipped().reserved, 1 << 32);
    assert_eq!(set(&["127.0.0.0/8:1", "224.0.0.1:1", "[::1]:1"]).skipped(), Skipped::default());
    assert_eq!(set(&["127.0.0.0/8:1"]).len(), 1 << 24);
}

#[test]
fn ipv4_mapped_addresses_are_treated_as_ipv4() {
    let set = set_without(
        &["10.0.0.0/31"],
        &["[::ffff:10.0.0.1]:22", "::ffff:10.0.0.2", "10.0.0.2", "::ffff:0:0/111"],
    );
    let skipped = set.skipped();
    assert_eq!((skipped.excluded, skipped.duplicates), (1, 2));
    assert_eq!(set.get(0).map(|target| target.to_string()).as_deref(), Some("10.0.0.2:22"));
}

#[test]
fn a_network_takes_one_block() {
    assert_eq!(set(&["10.0.0.0/8"]).len(), 33_554_432);
    assert_eq!(set(&["10.0.0.0/8"]).blocks.len(), 1);
    let lines: Vec<_> = (0..=255).map(|last| format!("10.0.0.{last}")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    assert_eq!(set(&lines).blocks.len(), 1, "neighbours on separate lines share a block");
    let huge = set(&["::/0", "10.0.0.0", "10.0.0.1"]);
    assert!(!huge.can_be_indexed() && huge.len() > INDEXED_MAX);
    assert!(set(&["2001:db8::/16"]).can_be_indexed());
    assert_eq!(TargetSet::default().get(0), None);
}

#[test]
fn skipped_targets_are_counted_if_the_number_of_targets_saturates() {
    let reserved = 2 + (1 << 32) + (1 << 120);
    let one = set(&["[::/0]:1"]);
    assert_eq!(one.exact_len(), Some(u128::MAX - reserved + 1));
    assert_eq!(one.skipped(), Skipped { reserved, ..Skipped::default() });
    let two = set_without(&["2001:db8::/32"], &["fe80::/10", "::/0"]);
    assert_eq!((two.len(), two.exact_len()), (u128::MAX, None));
    let (duplicates, excluded) = (2 << 118, 2 << 96);
    let expected = Skipped { duplicates, excluded, reserved: 2 * reserved };
    assert_eq!(two.skipped(), expected);
    assert_eq!(set_without(&["::/0"], &["::/0"]).skipped().excluded, u128::MAX);
}

#[test]
fn targets_have_the_labels_of_their_items() {
    let mut set = TargetSet::default();
    set.add("10.0.0.5:22", Some("core-sw1"), &Ports::ssh_and_telnet()).expect("an item");
    set.add("10.0.0.6:22", None, &Ports::ssh_and_telnet()).expect("an item");
    let labels: Vec<_> = (0..2).map(|index| set.get(index).expect("a target").label).collect();
    assert_eq!(labels, [Some("core-sw1".into()), None]);
}

#[test]
fn the_fingerprint_is_the_same_on_every_machine() {
    let fingerprint = |items: &[&str]| set(items).fingerprint();
    assert_eq!(fingerprint(&["10.0.0.0/8", "db.example:22"]), 17_794_721_664_629_966_243);
    assert_ne!(fingerprint(&["10.0.0.0/9"]), fingerprint(&["10.0.0.0/8"]));
    assert_ne!(fingerprint(&["10.0.0.1:22"]), fingerprint(&["10.0.0.1:23"]));
    assert_eq!(fingerprint(&["10.0.0.0", "10.0.0.1"]), fingerprint(&["10.0.0.0/31"]));
}

#[test]
fn only_the_labelled_fingerprint_depends_on_labels() {
    let fingerprints = |labels: [Option<&str>; 2]| {
        let mut set = TargetSet::default();
        for (host, label) in ["10.0.0.5:22", "10.0.0.7:22"].into_iter().zip(labels) {
            set.add(host, label, &Ports::ssh_and_telnet()).expect("an item");
        }
        (set.fingerprint(), set.labelled_fingerprint())
    };
    let plain = fingerprints([None, None]);
    for labels in [[Some("a"), None], [None, Some("a")], [Some("a"), Some("a")]] {
        assert_eq!(fingerprints(labels).0, plain.0);
        assert_ne!(fingerprints(labels).1, plain.1);
    }
    assert_ne!(fingerprints([Some("a"), None]), fingerprints([None, Some("a")]));
}

proptest! {
    #[test]
    fn walking_and_indexing_agree(prefixes in prop::collection::vec(24_u8..=32, 0..6)) {
        let items: Vec<_> =
            prefixes.iter().map(|prefix| format!("10.1.2.3/{prefix}:1-3")).collect();
        let set = set(&items.iter().map(String::as_str).collect::<Vec<_>>());
        let len = set.len();
        let indexed: Vec<_> = (0..len).map(|index| set.get(index).expect("within")).collect();
        prop_assert_eq!(set.get(len), None);
        let walked: Vec<_> = set.into_targets(Order::Given, Shard::WHOLE).collect();
        prop_assert_eq!(indexed.iter().collect::<HashSet<_>>().len(), indexed.len());
        prop_assert_eq!(indexed, walked);
    }
}

#[test]
fn one_item_parses_as_a_set_unless_it_is_too_large_to_index() {
    let set: TargetSet = "10.0.0.0/24:22,2222".parse().expect("a network");
    assert_eq!(set.len(), 512);
    assert_eq!(TargetSet::try_from("10.0.0.0/24").expect("a network").len(), 512);
    assert_eq!("ssh://db.example".parse::<TargetSet>().expect("a URL").len(), 1);
    assert!("[2000::/3]:22".parse::<TargetSet>().is_ok_and(|set| set.len() == 1 << 125));
    for text in ["::/0", "4000::/2"] {
        let error = text.parse::<TargetSet>().expect_err("too many targets");
        assert!(matches!(error.kind(), ItemErrorKind::TooManyTargets(_)), "{error}");
    }
    assert!("10.0.0.1 10.0.0.2".parse::<TargetSet>().is_err());
}

/// An item with a single address, and its label.
type SingleItem = (IpAddr, Ports, Option<&'static str>);

/// Single addresses of both families in random order, some of which continue those before them.
fn single_items() -> impl Strategy<Value = Vec<SingleItem>> {
    let address = prop_oneof![
        3 => (0_u32..60).prop_map(|low| IpAddr::from(Ipv4Addr::from(0x0A00_FFE0 + low))),
        1 => (0_u128..20).prop_map(|low| IpAddr::from(Ipv6Addr::from((0x2001_0DB8 << 96) + low))),
    ];
    let ports = prop_oneof![
        6 => (21_u16..25).prop_map(Ports::one),
        3 => (21_u16..24, 1_u16..3).prop_map(|(first, more)| (first, first + more))
            .prop_map(|(first, last)| Ports::new(first..=last).expect("ports")),
        1 => Just(Ports::new([21, 23, 80]).expect("ports")),
        1 => Just(Ports::new(20..40).expect("ports")),
    ];
    let label = prop_oneof![4 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))];
    let group = (address, ports, label, 1_u8..4, any::<bool>()).prop_map(
        |(address, ports, label, count, is_next_port)| {
            let items = (0..count).map(|nth| match address {
                IpAddr::V4(_) if is_next_port => (address, Ports::one(30 + u16::from(nth)), label),
                IpAddr::V4(address) => {
                    let address = Ipv4Addr::from(u32::from(address) + u32::from(nth));
                    (address.into(), ports.clone(), label)
                }
                IpAddr::V6(_) => (address, ports.clone(), label),
            });
            items.collect::<Vec<_>>()
        },
    );
    prop::collection::vec(group, 1..60).prop_map(|groups| groups.concat())
}

/// A block as the fingerprint of [`WALK_VERSION`](crate::targets::WALK_VERSION) 1 defines it: the first
/// and the last address, the ports, and the label.
type DefinedBlock = (IpAddr, IpAddr, Ports, Option<&'static str>);

/// Adds an item to the blocks: an IPv4 address extends the last block if it continues it.
fn define_block(blocks: &mut Vec<DefinedBlock>, (address, ports, label): SingleItem) {
    if let (IpAddr::V4(address), Some((IpAddr::V4(first), IpAddr::V4(last), own_ports, own_label))) =
        (address, blocks.last_mut())
        && *own_label == label
    {
        if u32::from(*last) + 1 == u32::from(address) && *own_ports == ports {
            *last = address;
            return;
        }
        if let Some(joined) = own_ports.extended_by(&ports)
            && (*first, *last) == (address, address)
        {
            *own_ports = joined;
            return;
        }
    }
    blocks.push((address, address, ports, label));
}

fn defined_fingerprint(blocks: &[DefinedBlock], with_labels: bool) -> u64 {
    let mut fingerprint = Fingerprint::default();
    for (first, last, ports, label) in blocks {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                fingerprint.add(b"4").add(&first.octets()).add(&last.octets())
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                fingerprint.add(b"6").add(&first.octets()).add(&last.octets())
            }
            _ => unreachable!("both are of one family"),
        };
        for range in ports.ranges() {
            fingerprint.add(&range.start().to_be_bytes()).add(&range.end().to_be_bytes());
        }
        if with_labels {
            fingerprint.add(format!("\n{}\n", label.unwrap_or_default()).as_bytes());
        }
    }
    fingerprint.sum()
}

proptest! {
    #[test]
    fn lists_of_single_addresses_keep_their_order_and_fingerprints(items in single_items()) {
        let mut excludes = Excludes::new();
        excludes.add("10.0.255.240/30:22-23").expect("a network");
        let mut set = TargetSet::new(&excludes);
        let (mut blocks, mut targets, mut known) = (Vec::new(), Vec::new(), HashSet::new());
        let mut skipped = Skipped::default();
        for (address, ports, label) in items {
            let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
            set.add(&format!("{host}:{ports}"), label, &Ports::ssh_and_telnet()).expect("an item");
            let mut new = Vec::new();
            for port in ports.iter() {
                let is_new = known.insert((address, port));
                if is_new && excludes.contains(address, port) {
                    skipped.excluded += 1;
                } else if is_new {
                    new.push(port);
                    let target = Target::new(address, port);
                    targets.push(Target { label: label.map(Arc::from), ..target });
                } else {
                    skipped.duplicates += 1;
                }
            }
            if let Some(new) = Ports::new(new) {
                define_block(&mut blocks, (address, new, label));
            }
        }
        prop_assert_eq!(set.skipped(), skipped);
        prop_assert_eq!(set.len(), targets.len() as u128);
        prop_assert_eq!(set.fingerprint(), defined_fingerprint(&blocks, false));
        prop_assert_eq!(set.labelled_fingerprint(), defined_fingerprint(&blocks, true));
        let ranges: Vec<_> = blocks.iter().map(|&(first, last, ..)| (first, last)).collect();
        prop_assert_eq!(set.ranges().collect::<Vec<_>>(), ranges);
        let indexed: Vec<_> = (0..set.len()).filter_map(|index| set.get(index)).collect();
        prop_assert_eq!(&indexed, &targets);
        prop_assert_eq!(set.into_targets(Order::Given, Shard::WHOLE).collect::<Vec<_>>(), targets);
    }
}

#[test]
fn single_addresses_in_any_order_take_one_block() {
    let mut set = TargetSet::default();
    for host in (0..5_000_u32).rev() {
        let ports = Ports::one(22 + (host % 3) as u16);
        let items =
            [Ipv4Addr::from(0x0A00_0000 + 7 * host).to_string(), format!("2001:db8::{host:x}")];
        set.add(&items[usize::from(host % 100 == 99)], None, &ports).expect("an item");
    }
    assert_eq!((set.len(), set.members.v4.span_count()), (5_000, 0));
    assert!(set.blocks.len() < 200, "{} blocks", set.blocks.len());
}

/// An item as its text, its addresses and its ports.
type NamedRange = (String, Vec<u32>, Vec<u16>);

/// Ranges, networks, octet ranges and single addresses near the boundary of the reserved network
/// 127.0.0.0/8.
fn named_ranges() -> impl Strategy<Value = Vec<NamedRange>> {
    const START: u32 = 0x7EFF_FFF0;

    let ports = prop_oneof![Just(vec![1]), Just(vec![2]), Just(vec![1, 2]), Just(vec![2, 4])];
    let range = (0_u32..32, 0_u32..32).prop_map(|(one, other)| {
        let (first, last) = (START + one.min(other), START + one.max(other));
        (format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last)), (first..=last).collect())
    });
    let network = (0_u32..32, 27_u32..=32).prop_map(|(host, prefix)| {
        let size = 1 << (32 - prefix);
        let first = (START + host) / size * size;
        (format!("{}/{prefix}", Ipv4Addr::from(first)), (first..first + size).collect())
    });
    let octets = (0_u32..16, 0_u32..16).prop_map(|(one, other)| {
        let (first, last) = (one.min(other), one.max(other));
        let hosts = (first..=last).flat_map(|host| [0x7EFF_FFF0 + host, 0x7FFF_FFF0 + host]);
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort_unstable();
        (format!("126-127.255.255.{}-{}", 240 + first, 240 + last), hosts)
    });
    let single =
        (0_u32..32).prop_map(|host| (Ipv4Addr::from(START + host).to_string(), vec![START + host]));
    let hosts = prop_oneof![3 => range, 2 => network, 1 => octets, 4 => single];
    let item = (hosts, ports).prop_map(|((hosts, addresses), ports): ((_, Vec<u32>), Vec<u16>)| {
        let list: Vec<_> = ports.iter().map(u16::to_string).collect();
        (format!("{hosts}:{}", list.join(",")), addresses, ports)
    });
    prop::collection::vec(item, 1..12)
}

proptest! {
    #[test]
    fn every_named_target_is_counted_once(items in named_ranges(), unwanted in named_ranges()) {
        let mut excludes = Excludes::new();
        let pairs = |(_, addresses, ports): &NamedRange| {
            let pairs = addresses.iter().flat_map(|&it| ports.iter().map(move |&port| (it, port)));
            pairs.collect::<Vec<_>>()
        };
        for (text, ..) in &unwanted {
            excludes.add(text).expect(text);
        }
        let excluded: HashSet<_> = unwanted.iter().flat_map(pairs).collect();
        let mut set = TargetSet::new(&excludes);
        let (mut named, mut explicit, mut total) = (HashSet::new(), HashSet::new(), 0);
        for item in &items {
            set.add(&item.0, None, &Ports::ssh_and_telnet()).expect(&item.0);
            let pairs = pairs(item);
            total += pairs.len() as u128;
            // An item with one octet range has a range for each first octet.
            let is_octets = item.0.starts_with("126-127");
            let is_wide = !is_octets
                && item.1.first().is_some_and(|&first| first < 127 << 24)
                && item.1.last().is_some_and(|&last| last >= 127 << 24);
            let is_explicit = |&(address, _): &(u32, u16)| !is_wide || address < 127 << 24;
            explicit.extend(pairs.iter().copied().filter(is_explicit));
            named.extend(pairs);
        }
        let members = explicit.difference(&excluded).count() as u128;
        let skipped = set.skipped();
        prop_assert_eq!(set.len(), members);
        prop_assert_eq!(skipped.excluded, named.intersection(&excluded).count() as u128);
        let reserved = named.difference(&excluded).count() as u128 - members;
        prop_assert_eq!(skipped.reserved, reserved);
        prop_assert_eq!(skipped.duplicates, total - members - reserved - skipped.excluded);
    }
}
