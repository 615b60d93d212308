use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{pages::EndpointPages, v4::V4Members, v6::V6Members};
use crate::targets::{
    host_lists::HostLists,
    limits::APART_PORTS_MAX,
    ports::Ports,
    region::{FEW_SPANS, Span},
};

/// Returns numbers that a small generator (xorshift) makes of a seed.
fn numbers(seed: u64) -> impl Iterator<Item = u32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    })
}

/// Returns one of all ports.
fn numbered_port(number: u32) -> u16 {
    u16::try_from(number % 0xFFFF + 1).expect("at most 65,535")
}

#[test]
fn pages_contain_what_was_inserted_in_one_network_and_in_many() {
    for mask in [0x0000_00FF, 0x0003_FFFF, 0xFFFF_FFFF] {
        let mut known = BTreeSet::new();
        let mut pages = EndpointPages::default();
        let mut random = numbers(88_172_645_463_325_252);
        for _ in 0..60_000 {
            let (Some(address), Some(port)) = (random.next(), random.next()) else { break };
            let (address, port) = (address & mask, numbered_port(port));
            assert_eq!(pages.contains(address, port), !known.insert((address, port)));
            if !pages.contains(address, port) {
                assert!(
                    pages.insert(address, port),
                    "hashes of random pairs are evenly distributed"
                );
            }
        }
        assert!(known.iter().all(|&(address, port)| pages.contains(address, port)));
        let networks: BTreeSet<_> = known.iter().map(|(address, _)| address >> 16).collect();
        let taken: Vec<_> = networks.iter().flat_map(|&network| pages.take(network)).collect();
        assert!(taken.iter().eq(&known));
        assert!(pages.is_empty() && !known.iter().any(|&(one, port)| pages.contains(one, port)));
    }
}

#[test]
fn pages_that_are_emptied_are_used_again() {
    let mut pages = EndpointPages::default();
    let mut page_count = 0;
    for round in 1..=5_u32 {
        for pair in 0..5_000_u32 {
            assert!(pages.insert((round << 16) | (pair % 50), numbered_port(pair / 50)));
        }
        assert_eq!(pages.take(round).len(), 5_000);
        assert!(round == 1 || pages.page_count() == page_count);
        page_count = pages.page_count();
    }
}

/// Pairs whose hashes share their first 26 bits, which no list has by accident.
#[test]
fn pairs_with_almost_equal_hashes_are_kept_in_spans() {
    let pairs: Vec<_> =
        (0..40).map(|low| EndpointPages::pair_with_hash(0x1234_5680 | low)).collect();
    let mut pages = EndpointPages::default();
    let inserted = pairs.iter().filter(|&&(address, port)| pages.insert(address, port)).count();
    assert!(inserted < pairs.len());
    assert!(pairs[..inserted].iter().all(|&(address, port)| pages.contains(address, port)));
    let mut members = V4Members::default();
    for round in 0..2 {
        for &(address, port) in &pairs {
            let new = members.insert(address, &Ports::one(port));
            assert_eq!(new.is_some(), round == 0);
        }
    }
    assert!(members.span_count() > 0);
}

/// An item of a list: the first address of each of its spans, how many addresses follow, and ports.
#[derive(Debug, Clone)]
struct Item {
    starts: Vec<u32>,
    more: u32,
    ports: Ports,
}

impl Item {
    fn spans(&self) -> Vec<Span<u32>> {
        let span = |&first: &u32| {
            let last = first.saturating_add(self.more);
            Span { first, last, ports: self.ports.clone() }
        };
        self.starts.iter().map(span).collect()
    }
}

/// Addresses at both sides of the border of two networks with a prefix of 16 bits, and at both ends.
fn address() -> impl Strategy<Value = u32> {
    prop_oneof![
        20 => 0x0A00_FFD8_u32..0x0A01_0028,
        1 => 0_u32..4,
        1 => u32::MAX - 3..=u32::MAX,
    ]
}

fn ports() -> impl Strategy<Value = Ports> {
    let more_than_apart = u16::try_from(APART_PORTS_MAX).expect("a small number") + 3;
    prop_oneof![
        8 => (21_u16..25).prop_map(Ports::one),
        2 => (21_u16..24, 1_u16..3).prop_map(|(first, more)| numbered(first..=first + more)),
        1 => Just(numbered([21, 23, 80])),
        1 => (20_u16..24).prop_map(move |first| numbered(first..=first + more_than_apart)),
    ]
}

fn numbered(ports: impl IntoIterator<Item = u16>) -> Ports {
    Ports::new(ports).expect("ports")
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let single = (address(), ports())
        .prop_map(|(first, ports)| vec![Item { starts: vec![first], more: 0, ports }]);
    let range = (address(), 1_u32..20, ports())
        .prop_map(|(first, more, ports)| vec![Item { starts: vec![first], more, ports }]);
    // More spans than are inserted one by one.
    let many =
        (0x0A00_FFC0_u32..0x0A00_FFE0, 0_u32..2, ports()).prop_map(|(first, more, ports)| {
            let starts = (first..).step_by(3).take(FEW_SPANS + 1).collect();
            vec![Item { starts, more, ports }]
        });
    // Lines that continue each other.
    let run = (address(), 1_u32..9, ports()).prop_map(|(first, count, ports)| {
        let item =
            |nth| Item { starts: vec![first.saturating_add(nth)], more: 0, ports: ports.clone() };
        (0..count).map(item).collect()
    });
    let ascending_ports = (address(), 1_u16..12).prop_map(|(first, count)| {
        let item = |nth| Item { starts: vec![first], more: 0, ports: Ports::one(21 + nth) };
        (0..count).map(item).collect()
    });
    let lines = prop_oneof![20 => single, 2 => range, 1 => many, 2 => run, 1 => ascending_ports];
    prop::collection::vec(lines, 1..60).prop_map(|lines| lines.concat())
}

/// Adds an item and returns what was new.
fn insert(members: &mut V4Members, item: &Item) -> Vec<Span<u32>> {
    let spans = item.spans();
    if let [Span { first, last, ports }] = &spans[..]
        && first == last
    {
        let (first, last) = (*first, *last);
        let new = members.insert(first, ports);
        return new.into_iter().map(|ports| Span { first, last, ports }).collect();
    }
    let present = members.spans_near(&spans);
    if spans.len() > FEW_SPANS {
        return present.insert_all(&spans);
    }
    spans.iter().flat_map(|span| present.insert(span)).collect()
}

/// Moves the addresses of the networks that [`address`] returns.
fn move_all_to_spans(members: &mut V4Members) {
    for (first, last) in [(0, 99), (0x0A00_0000, 0x0A01_FFFF), (u32::MAX - 99, u32::MAX)] {
        members.move_to_spans(first, last);
    }
}

proptest! {
    /// Compares members with others whose addresses are all in the spans at any time.
    #[test]
    fn addresses_outside_of_the_spans_do_not_change_what_is_new(items in items()) {
        let (mut apart, mut together) = (V4Members::default(), V4Members::default());
        for item in &items {
            let expected = insert(&mut together, item);
            move_all_to_spans(&mut together);
            prop_assert_eq!(insert(&mut apart, item), expected);
        }
        move_all_to_spans(&mut apart);
        prop_assert_eq!(apart.spans(), together.spans());
    }

    /// Compares members with a set of pairs, and with others whose addresses are all in the spans at any
    /// time.
    #[test]
    fn ipv6_members_match_a_set_of_pairs(
        items in prop::collection::vec((0_u128..40, 0_u128..40, ports()), 1..120),
    ) {
        let (mut members, mut hosts) = (V6Members::default(), HostLists::default());
        let (mut together, mut other_hosts) = (V6Members::default(), HostLists::default());
        let mut known = BTreeSet::new();
        for (first, more, ports) in items {
            // Most items are single addresses.
            let span = Span { first, last: first + more.saturating_sub(30), ports };
            let new = insert_v6(&mut members, &span, &mut hosts);
            let expected = insert_v6(&mut together, &span, &mut other_hosts);
            together.move_all_to_spans(&other_hosts);
            prop_assert_eq!(&new, &expected);
            let expected: BTreeSet<_> =
                pairs(&span).into_iter().filter(|pair| !known.contains(pair)).collect();
            let new: BTreeSet<_> = new.iter().flat_map(pairs).collect();
            prop_assert_eq!(&new, &expected);
            known.extend(expected);
        }
    }
}

/// Adds a span and returns what was new.
fn insert_v6(members: &mut V6Members, span: &Span<u128>, hosts: &mut HostLists) -> Vec<Span<u128>> {
    if span.first < span.last {
        return members.spans_near(span, hosts).insert(span);
    }
    let Some((ports, position)) = members.insert(span.first, &span.ports, hosts) else {
        return Vec::new();
    };
    let position = position.expect("there are few lists of ports");
    assert_eq!(hosts.v6(position), Some((span.first, ports.clone())));
    vec![Span { ports, ..*span }]
}

fn pairs(span: &Span<u128>) -> Vec<(u128, u16)> {
    let addresses = span.first..=span.last;
    addresses.flat_map(|address| span.ports.iter().map(move |port| (address, port))).collect()
}
