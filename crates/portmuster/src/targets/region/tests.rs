use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Span, Spans};
use crate::targets::ports::Ports;

fn span(first: u32, last: u32, ports: &str) -> Span<u32> {
    Span { first, last, ports: ports.parse().expect("ports") }
}

/// Lists every pair of address and port of the spans.
fn members(spans: &[Span<u32>]) -> BTreeSet<(u32, u16)> {
    let ports =
        |ports: &Ports| (0..ports.len()).filter_map(|index| ports.get(index)).collect::<Vec<_>>();
    spans
        .iter()
        .flat_map(|span| {
            let listed = ports(&span.ports);
            (span.first..=span.last).flat_map(move |address| {
                listed.clone().into_iter().map(move |port| (address, port))
            })
        })
        .collect()
}

#[test]
fn adjacent_spans_with_the_same_ports_are_joined() {
    let mut spans = Spans::default();
    for address in [3, 1, 2, 5, 4, 0] {
        spans.insert(&span(address, address, "22-23"));
    }
    assert_eq!(spans.by_first.len(), 1);
    assert!(spans.missing(&span(0, 5, "22,23")).is_empty());
}

#[test]
fn the_highest_address_can_be_inserted_and_split_off() {
    let mut spans = Spans::default();
    spans.insert(&span(u32::MAX - 1, u32::MAX, "22"));
    spans.insert(&span(u32::MAX, u32::MAX, "23"));
    assert!(spans.contains(u32::MAX, 23) && !spans.contains(u32::MAX - 1, 23));
    assert_eq!(spans.missing(&span(0, u32::MAX, "22")), [span(0, u32::MAX - 2, "22")]);
}

proptest! {
    /// Compares every operation with a `BTreeSet` of pairs.
    #[test]
    fn operations_match_those_of_a_set_of_pairs(
        items in prop::collection::vec((0_u32..30, 0_u32..10, 1_u16..6, 0_u16..3), 1..40),
    ) {
        let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
        let mut are_joined = true;
        for (first, more, port, further) in items {
            let item = span(first, first + more, &format!("{port}-{}", port + further));
            let all = members(std::slice::from_ref(&item));
            let missing = spans.missing(&item);
            let total: usize = missing.iter().map(|span| members(std::slice::from_ref(span)).len()).sum();
            prop_assert_eq!(spans.covered(&item), (all.len() - total) as u128);
            let expected: BTreeSet<_> = all.difference(&set).copied().collect();
            prop_assert_eq!(total, expected.len(), "no pair is returned twice");
            prop_assert_eq!(members(&missing), expected);
            let highest = set.last().copied();
            let is_after_all = highest.is_none_or(|(last, _)| last < first);
            let mut appended = spans.clone();
            are_joined &= !spans.overlaps_many(&item);
            prop_assert_eq!(members(&spans.insert(&item)), members(&missing));
            let was_appended = appended.append(&item);
            prop_assert!(was_appended || !is_after_all);
            if was_appended {
                prop_assert_eq!(&appended.by_first, &spans.by_first);
                prop_assert_eq!(members(&missing), all.clone(), "an appended span is new");
            }
            set.extend(all);
            for address in 0..45 {
                for port in 1..9 {
                    prop_assert_eq!(spans.contains(address, port), set.contains(&(address, port)));
                }
            }
            let listed: Vec<_> = spans.by_first.iter().collect();
            for pair in listed.windows(2) {
                let ((_, (end, ports)), (start, (_, next_ports))) = (pair[0], pair[1]);
                prop_assert!(end < start);
                let is_separate = end + 1 < *start || ports != next_ports;
                prop_assert!(is_separate || !are_joined, "adjacent spans are joined");
            }
        }
    }

    #[test]
    fn insert_all_matches_a_set_of_pairs(
        lists in prop::collection::vec(
            (prop::collection::vec((0_u32..12, 0_u32..7, 1_u16..6, 0_u16..3), 1..9), 0_u32..6),
            1..12,
        ),
    ) {
        let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
        for (gaps, start) in lists {
            let mut at = start;
            let items: Vec<_> = gaps.into_iter().map(|(gap, more, port, further)| {
                let first = at + gap;
                at = first + more + 1;
                span(first, first + more, &format!("{port}-{}", port + further))
            }).collect();
            let all = members(&items);
            let missing = spans.insert_all(&items);
            let total: usize = missing.iter().map(|span| members(std::slice::from_ref(span)).len()).sum();
            let expected: BTreeSet<_> = all.difference(&set).copied().collect();
            prop_assert_eq!(total, expected.len(), "no pair is returned twice");
            prop_assert_eq!(members(&missing), expected);
            prop_assert!(missing.windows(2).all(|pair| pair[0].last < pair[1].first));
            set.extend(all);
            let present: Vec<_> = spans.by_first.iter().map(|(&first, (last, ports))| {
                Span { first, last: *last, ports: ports.clone() }
            }).collect();
            prop_assert!(present.windows(2).all(|pair| pair[0].last < pair[1].first));
            prop_assert_eq!(members(&present), set.clone());
        }
    }
}
