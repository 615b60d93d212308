//! A set of addresses with ports, stored as disjoint spans.

use std::collections::BTreeMap;

use super::span::Span;
use crate::targets::{ports::Ports, range::AddressNumber};

/// A set of pairs of an address and a port, for one address family.
///
/// Invariant: spans are disjoint. Adjacent spans with the same ports are joined, unless
/// [`insert_all`](Self::insert_all) made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spans<N> {
    /// The last address and the ports of each span, by its first address.
    pub(super) by_first: BTreeMap<N, (N, Ports)>,
}

impl<N> Default for Spans<N> {
    fn default() -> Self {
        Self { by_first: BTreeMap::new() }
    }
}

impl<N: AddressNumber> Spans<N> {
    /// Returns the number of spans.
    pub(crate) fn len(&self) -> usize {
        self.by_first.len()
    }

    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// Returns whether the set contains the pair of address and port.
    pub(crate) fn contains(&self, address: N, port: u16) -> bool {
        self.ports_at(address).is_some_and(|ports| ports.contains(port))
    }

    /// Returns the ports that the set contains for an address; `None` if it does not contain it.
    pub(crate) fn ports_at(&self, address: N) -> Option<&Ports> {
        let (_, (last, ports)) = self.by_first.range(..=address).next_back()?;
        (address <= *last).then_some(ports)
    }

    /// Returns whether the set contains an address of the span, with any port.
    pub(crate) fn overlaps(&self, span: &Span<N>) -> bool {
        let before = self.by_first.range(..=span.last).next_back();
        before.is_some_and(|(_, (last, _))| *last >= span.first)
    }

    /// Returns the parts of the span that the set does not contain, in ascending order.
    pub(crate) fn missing(&self, span: &Span<N>) -> Vec<Span<N>> {
        let mut missing = Vec::new();
        let mut next = Some(span.first);
        for present in self.intersection(span) {
            let Some(first) = next else { break };
            if first < present.first
                && let Some(last) = present.first.previous()
            {
                missing.push(Span { first, last, ports: span.ports.clone() });
            }
            if let Some(ports) = span.ports.without(&present.ports) {
                missing.push(Span { first: present.first, last: present.last, ports });
            }
            next = present.last.next().filter(|&next| next <= span.last);
        }
        if let Some(first) = next {
            missing.push(Span { first, last: span.last, ports: span.ports.clone() });
        }
        missing
    }

    /// Returns the number of pairs of the span that the set contains; saturates.
    pub(crate) fn covered(&self, span: &Span<N>) -> u128 {
        self.intersection(span).fold(0, |sum, present| {
            let missing = span.ports.without(&present.ports).map_or(0, |ports| ports.len());
            let ports = (span.ports.len() - missing) as u128;
            sum.saturating_add(present.first.count_to(present.last).saturating_mul(ports))
        })
    }

    /// Adds a span that extends the set at its end, which is faster than an insertion.
    ///
    /// Such a span begins after every address of the set, or has the addresses of the last span and
    /// the ports that follow those of that span. Returns false, and adds nothing, for any other
    /// span.
    pub(crate) fn append(&mut self, span: &Span<N>) -> bool {
        if let Some(mut entry) = self.by_first.last_entry() {
            let first = *entry.key();
            let (end, ports) = entry.get_mut();
            if (first, *end) == (span.first, span.last)
                && let Some(ports) = ports.extended_by(&span.ports)
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
        self.by_first.insert(span.first, (span.last, span.ports.clone()));
        true
    }

    /// Returns the parts of the set's spans that lie within the span.
    pub(crate) fn intersection(&self, span: &Span<N>) -> impl Iterator<Item = Span<N>> {
        let (first, last) = (span.first, span.last);
        let start = self.by_first.range(..first).next_back().map_or(first, |(start, _)| *start);
        self.by_first.range(start..=last).filter(move |(_, (end, _))| *end >= first).map(
            move |(start, (end, ports))| Span {
                first: (*start).max(first),
                last: (*end).min(last),
                ports: ports.clone(),
            },
        )
    }

    /// Removes the addresses from `first` to `last`, which must lie within one span or outside of
    /// all spans. Returns `first` and the ports they had, or `None` if the set has none of them.
    pub(super) fn remove_range(&mut self, first: N, last: N) -> Option<(N, Ports)> {
        let (&start, &(end, _)) = self.by_first.range(..=first).next_back()?;
        if end < first {
            return None;
        }
        let (_, ports) = self.by_first.remove(&start)?;
        if start < first
            && let Some(before) = first.previous()
        {
            self.by_first.insert(start, (before, ports.clone()));
        }
        if last < end
            && let Some(after) = last.next()
        {
            self.by_first.insert(after, (end, ports.clone()));
        }
        Some((first, ports))
    }

    /// Adds a span that overlaps none, and joins it with adjacent spans of the same ports.
    pub(super) fn join(&mut self, mut span: Span<N>) {
        if let Some((&start, (end, ports))) = self.by_first.range(..span.first).next_back()
            && end.next() == Some(span.first)
            && *ports == span.ports
        {
            span.first = start;
        }
        if let Some(after) = span.last.next()
            && let Some((end, ports)) = self.by_first.get(&after)
            && *ports == span.ports
        {
            span.last = *end;
            self.by_first.remove(&after);
        }
        self.by_first.insert(span.first, (span.last, span.ports));
    }
}
