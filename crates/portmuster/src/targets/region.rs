//! Sets of addresses with ports, as disjoint spans: what is already in a set, and what is to be
//! left out of it.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::Ports;

mod insertion;

/// An address as a number.
pub(crate) trait Number: Copy + Ord + fmt::Debug {
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
    /// How many numbers there are from this to `last`; saturates.
    fn count_to(self, last: Self) -> u128;
}

impl Number for u32 {
    fn count_to(self, last: Self) -> u128 {
        u128::from(last - self) + 1
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Number for u128 {
    fn count_to(self, last: Self) -> u128 {
        (last - self).saturating_add(1)
    }

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

/// Neighbouring addresses with the same ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span<N> {
    pub(crate) first: N,
    pub(crate) last: N,
    pub(crate) ports: Ports,
}

impl<N: Number> Span<N> {
    /// How many pairs of an address and a port there are; saturates.
    pub(crate) fn targets(&self) -> u128 {
        self.first.count_to(self.last).saturating_mul(self.ports.len() as u128)
    }
}

/// Spans of one address family.
///
/// Invariant: spans are disjoint. Neighbours with the same ports are one, unless they were
/// [added in place](Self::insert_all).
#[derive(Debug, Clone)]
pub(crate) struct Spans<N>(BTreeMap<N, (N, Ports)>);

impl<N> Default for Spans<N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<N: Number> Spans<N> {
    /// Whether the address is there with the port.
    pub(crate) fn contains(&self, address: N, port: u16) -> bool {
        let before = self.0.range(..=address).next_back();
        before.is_some_and(|(_, (last, ports))| address <= *last && ports.contains(port))
    }

    /// Whether some address of the span is here, with whatever ports.
    pub(crate) fn meets(&self, span: &Span<N>) -> bool {
        let before = self.0.range(..=span.last).next_back();
        before.is_some_and(|(_, (last, _))| *last >= span.first)
    }

    /// What of the span is not here, in ascending order.
    pub(crate) fn missing(&self, span: &Span<N>) -> Vec<Span<N>> {
        let mut missing = Vec::new();
        let mut at = Some(span.first);
        for here in self.overlaps(span) {
            let Some(first) = at else { break };
            if first < here.first
                && let Some(last) = here.first.previous()
            {
                missing.push(Span { first, last, ports: span.ports.clone() });
            }
            if let Some(ports) = span.ports.without(&here.ports) {
                missing.push(Span { first: here.first, last: here.last, ports });
            }
            at = here.last.next().filter(|&next| next <= span.last);
        }
        if let Some(first) = at {
            missing.push(Span { first, last: span.last, ports: span.ports.clone() });
        }
        missing
    }

    /// How many pairs of an address and a port of the span are here; saturates.
    pub(crate) fn covered(&self, span: &Span<N>) -> u128 {
        self.overlaps(span).fold(0, |sum, here| {
            let missing = span.ports.without(&here.ports).map_or(0, |ports| ports.len());
            let ports = (span.ports.len() - missing) as u128;
            sum.saturating_add(here.first.count_to(here.last).saturating_mul(ports))
        })
    }

    /// Adds a span that lies behind all that is here, or has the next ports of the last addresses;
    /// false when it does neither.
    pub(crate) fn append(&mut self, span: &Span<N>) -> bool {
        if let Some(mut entry) = self.0.last_entry() {
            let first = *entry.key();
            let (end, ports) = entry.get_mut();
            if (first, *end) == (span.first, span.last)
                && let Some(ports) = ports.followed_by(&span.ports)
            {
                entry.remove();
                self.join(Span { ports, ..*span });
                return true;
            }
            if span.first <= *end {
                return false;
            }
            if end.next() == Some(span.first) && *ports == span.ports {
                *end = span.last;
                return true;
            }
        }
        self.0.insert(span.first, (span.last, span.ports.clone()));
        true
    }

    /// Adds a span. What of it was not here, in ascending order.
    pub(crate) fn insert(&mut self, span: &Span<N>) -> Vec<Span<N>> {
        if self.is_crowded(span) {
            return self.insert_all(std::slice::from_ref(span));
        }
        let missing = self.missing(span);
        for mut new in missing.iter().cloned() {
            // Where only some ports were missing, the rest of them is here.
            if let Some((_, ports)) = self.carve(new.first, new.last) {
                new.ports = new.ports.with(&ports);
            }
            self.join(new);
        }
        missing
    }

    /// The parts of the spans here that lie within the span.
    fn overlaps(&self, span: &Span<N>) -> impl Iterator<Item = Span<N>> {
        let (first, last) = (span.first, span.last);
        let start = self.0.range(..first).next_back().map_or(first, |(start, _)| *start);
        self.0.range(start..=last).filter(move |(_, (end, _))| *end >= first).map(
            move |(start, (end, ports))| Span {
                first: (*start).max(first),
                last: (*end).min(last),
                ports: ports.clone(),
            },
        )
    }

    /// Takes out what is here from `first` to `last`, which lies within one span or in none.
    fn carve(&mut self, first: N, last: N) -> Option<(N, Ports)> {
        let (&start, &(end, _)) = self.0.range(..=first).next_back()?;
        if end < first {
            return None;
        }
        let (_, ports) = self.0.remove(&start)?;
        if start < first
            && let Some(before) = first.previous()
        {
            self.0.insert(start, (before, ports.clone()));
        }
        if last < end
            && let Some(after) = last.next()
        {
            self.0.insert(after, (end, ports.clone()));
        }
        Some((first, ports))
    }

    /// Puts a span where nothing is, together with neighbours of the same ports.
    fn join(&mut self, mut span: Span<N>) {
        if let Some((&start, (end, ports))) = self.0.range(..span.first).next_back()
            && end.next() == Some(span.first)
            && *ports == span.ports
        {
            span.first = start;
        }
        if let Some(after) = span.last.next()
            && let Some((end, ports)) = self.0.get(&after)
            && *ports == span.ports
        {
            span.last = *end;
            self.0.remove(&after);
        }
        self.0.insert(span.first, (span.last, span.ports));
    }
}

/// Spans of both families, and names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Region {
    pub(crate) v4: Spans<u32>,
    pub(crate) v6: Spans<u128>,
    names: HashMap<String, Ports>,
}

impl Region {
    pub(crate) fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty() && self.names.is_empty()
    }

    /// Adds ports of addresses.
    pub(crate) fn insert(&mut self, range: Range, ports: &Ports) {
        let ports = ports.clone();
        match range {
            Range::V4(first, last) => drop(self.v4.insert(&Span { first, last, ports })),
            Range::V6(first, last) => drop(self.v6.insert(&Span { first, last, ports })),
        }
    }

    /// The ports of a name.
    pub(crate) fn of_name(&self, name: &str) -> Option<&Ports> {
        if self.names.is_empty() { None } else { self.names.get(&key(name)) }
    }

    /// Adds ports of a name; those that were missing, if any.
    pub(crate) fn missing_of_name(&mut self, name: &str, ports: &Ports) -> Option<Ports> {
        match self.names.entry(key(name)) {
            Entry::Vacant(entry) => {
                entry.insert(ports.clone());
                Some(ports.clone())
            }
            Entry::Occupied(mut entry) => {
                let missing = ports.without(entry.get());
                *entry.get_mut() = entry.get().with(ports);
                missing
            }
        }
    }

    /// Whether all addresses of the family are there with the ports.
    pub(crate) fn contains_all(&self, family: Family, ports: &Ports) -> bool {
        let ports = ports.clone();
        match family {
            Family::V4 => self.v4.missing(&Span { first: 0, last: u32::MAX, ports }).is_empty(),
            Family::V6 => self.v6.missing(&Span { first: 0, last: u128::MAX, ports }).is_empty(),
        }
    }

    /// Whether the address is there with the port.
    pub(crate) fn contains(&self, address: IpAddr, port: u16) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.into(), port),
            IpAddr::V6(address) => self.v6.contains(address.into(), port),
        }
    }
}

/// The family of an address. IPv4 addresses written in IPv6 are what they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// The addresses from `first` to `last`, both of the same family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    V4(u32, u32),
    V6(u128, u128),
}

impl Range {
    /// From one address to another of the same family that is not lower. IPv4 addresses written
    /// in IPv6 (RFC 4291 §2.5.5.2) are what they stand for.
    pub(crate) fn between(first: IpAddr, last: IpAddr) -> Self {
        match (first.to_canonical(), last.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Self::V4(first.into(), last.into()),
            _ => Self::V6(bits(first), bits(last)),
        }
    }

    /// How many addresses there are; saturates at `u128::MAX`.
    pub(crate) fn len(self) -> u128 {
        match self {
            Self::V4(first, last) => first.count_to(last),
            Self::V6(first, last) => first.count_to(last),
        }
    }

    /// The address at this place, which is below the length.
    pub(crate) fn get(self, place: u128) -> Option<IpAddr> {
        match self {
            Self::V4(first, _) => {
                Some(Ipv4Addr::from(first.checked_add(u32::try_from(place).ok()?)?).into())
            }
            Self::V6(first, _) => Some(Ipv6Addr::from(first.checked_add(place)?).into()),
        }
    }
}

/// Whether two names are one: names that differ in case, or in the dot of the root, are.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).len();
    one[..bare(one)].eq_ignore_ascii_case(&other[..bare(other)])
}

/// The address that a connection to this one reaches, where that is another. Linux sends what is for
/// an unspecified address to loopback, and what is for an IPv4 address in an IPv6 address of the old
/// kind (RFC 4291 §2.5.5.1) through a tunnel to the former.
pub(crate) fn reached(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::LOCALHOST) | IpAddr::V4(_) => None,
        IpAddr::V6(address) => {
            let number = u32::try_from(u128::from(address)).ok()?;
            Some(Ipv4Addr::from(number).into())
        }
    }
}

/// Names that differ in case, or in the dot of the root, are one (RFC 1034 §3.1).
pub(crate) fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The address as an IPv6 number.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn span(first: u32, last: u32, ports: &str) -> Span<u32> {
        Span { first, last, ports: Ports::parse(ports).expect("ports") }
    }

    fn members(spans: &[Span<u32>]) -> BTreeSet<(u32, u16)> {
        let ports = |ports: &Ports| {
            (0..ports.len()).filter_map(|place| ports.get(place)).collect::<Vec<_>>()
        };
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
    fn what_an_address_reaches() {
        for (address, expected) in [
            ("0.0.0.0", Some("127.0.0.1")),
            ("::", Some("::1")),
            ("::ffff:0.0.0.0", Some("127.0.0.1")),
            ("::127.0.0.1", Some("127.0.0.1")),
            ("::2", Some("0.0.0.2")),
            ("::1", None),
            ("0.0.0.1", None),
            ("127.0.0.1", None),
            ("::ffff:127.0.0.1", None),
            ("64:ff9b::7f00:1", None),
            ("2001:db8::1", None),
        ] {
            let parse = |text: &str| text.parse::<IpAddr>().expect(text);
            assert_eq!(reached(parse(address)), expected.map(parse), "{address}");
        }
    }

    #[test]
    fn names_that_differ_in_case_or_the_last_dot_are_one() {
        assert!(same_name("DB.example", "db.Example.") && !same_name("db", "db.example"));
    }

    #[test]
    fn neighbours_become_one() {
        let mut spans = Spans::default();
        for address in [3, 1, 2, 5, 4, 0] {
            spans.insert(&span(address, address, "22-23"));
        }
        assert_eq!(spans.0.len(), 1);
        assert!(spans.missing(&span(0, 5, "22,23")).is_empty());
    }

    #[test]
    fn the_last_address_has_no_next() {
        let mut spans = Spans::default();
        spans.insert(&span(u32::MAX - 1, u32::MAX, "22"));
        spans.insert(&span(u32::MAX, u32::MAX, "23"));
        assert!(spans.contains(u32::MAX, 23) && !spans.contains(u32::MAX - 1, 23));
        assert_eq!(spans.missing(&span(0, u32::MAX, "22")), [span(0, u32::MAX - 2, "22")]);
    }

    proptest! {
        /// Against a set of pairs: what is missing is what was not there, and afterwards it is.
        #[test]
        fn spans_are_a_set(
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
                prop_assert_eq!(total, expected.len(), "nothing is named twice");
                prop_assert_eq!(members(&missing), expected);
                let highest = set.last().copied();
                let is_behind = highest.is_none_or(|(last, _)| last < first);
                let mut appended = spans.clone();
                are_joined &= !spans.is_crowded(&item);
                prop_assert_eq!(members(&spans.insert(&item)), members(&missing));
                let was_appended = appended.append(&item);
                prop_assert!(was_appended || !is_behind);
                if was_appended {
                    prop_assert_eq!(&appended.0, &spans.0);
                    prop_assert_eq!(members(&missing), all.clone(), "none of it was here");
                }
                set.extend(all);
                for address in 0..45 {
                    for port in 1..9 {
                        prop_assert_eq!(spans.contains(address, port), set.contains(&(address, port)));
                    }
                }
                let listed: Vec<_> = spans.0.iter().collect();
                for pair in listed.windows(2) {
                    let ((_, (end, ports)), (start, (_, next_ports))) = (pair[0], pair[1]);
                    prop_assert!(end < start);
                    let are_one = end + 1 < *start || ports != next_ports;
                    prop_assert!(are_one || !are_joined, "neighbours are one");
                }
            }
        }

        #[test]
        fn many_spans_at_once_are_a_set(
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
                prop_assert_eq!(total, expected.len(), "nothing is named twice");
                prop_assert_eq!(members(&missing), expected);
                prop_assert!(missing.windows(2).all(|pair| pair[0].last < pair[1].first));
                set.extend(all);
                let here: Vec<_> = spans.0.iter().map(|(&first, (last, ports))| {
                    Span { first, last: *last, ports: ports.clone() }
                }).collect();
                prop_assert!(here.windows(2).all(|pair| pair[0].last < pair[1].first));
                prop_assert_eq!(members(&here), set.clone());
            }
        }
    }
}
