//! Insertion of one or many spans into a set.
//!
//! Lists of items with ranges in several octets repeat the same 65,536 spans on every line, each
//! time with another port. Spans that gain ports are therefore changed in place and not joined with
//! their neighbours: the next line, which adds the next port, finds spans with its own bounds.

use super::{span::Span, spans::Spans};
use crate::targets::{ports::Ports, range::AddressNumber};

/// The maximum number of spans between two inserted ones that are skipped one by one. Beyond it,
/// the next span is looked up.
const SKIPPED_MAX: usize = 8;
/// The maximum number of spans that an inserted one may overlap before it is inserted in place.
const OVERLAPS_MAX: usize = 4;

/// A cache of the latest unions of port lists. Adjacent spans tend to have equal ports.
#[derive(Debug, Default)]
struct UnionCache {
    entries: Vec<PortUnion>,
    /// The index of the oldest entry, once the cache is full.
    oldest: usize,
}

/// The union of two port lists.
#[derive(Debug)]
struct PortUnion {
    before: Ports,
    added: Ports,
    /// The added ports that `before` does not contain.
    missing: Option<Ports>,
    after: Ports,
}

impl UnionCache {
    /// The maximum number of entries.
    const MAX: usize = 4;

    /// Adds ports to `ports`. Returns those that were new, or `None` if none was.
    fn add(&mut self, added: &Ports, ports: &mut Ports) -> Option<Ports> {
        let matches = |union: &PortUnion| union.before == *ports && union.added == *added;
        let index = self.entries.iter().position(matches).unwrap_or_else(|| {
            let missing = added.without(ports);
            let after = if missing.is_some() { ports.with(added) } else { ports.clone() };
            self.store(PortUnion { before: ports.clone(), added: added.clone(), missing, after })
        });
        let union = &self.entries[index];
        if union.missing.is_some() {
            *ports = union.after.clone();
        }
        union.missing.clone()
    }

    /// Stores an entry, in place of the oldest if the cache is full. Returns its index.
    fn store(&mut self, union: PortUnion) -> usize {
        if self.entries.len() < Self::MAX {
            self.entries.push(union);
            return self.entries.len() - 1;
        }
        let index = self.oldest;
        self.entries[index] = union;
        self.oldest = (index + 1) % Self::MAX;
        index
    }
}

/// The state of one call of [`Spans::insert_all`].
#[derive(Debug)]
struct Insertion<N> {
    unions: UnionCache,
    /// The parts that were new, in ascending order; adjacent ones with the same ports are joined.
    missing: Vec<Span<N>>,
    /// The parts to add whose addresses the set did not contain.
    gaps: Vec<Span<N>>,
}

impl<N: AddressNumber> Insertion<N> {
    /// Records a part that was new.
    fn push_missing(&mut self, span: Span<N>) {
        match self.missing.last_mut() {
            Some(last) if last.last.next() == Some(span.first) && last.ports == span.ports => {
                last.last = span.last;
            }
            _ => self.missing.push(span),
        }
    }

    /// Adds ports to a span of the set.
    fn add_ports(&mut self, first: N, last: N, added: &Ports, ports: &mut Ports) {
        if let Some(ports) = self.unions.add(added, ports) {
            self.push_missing(Span { first, last, ports });
        }
    }

    /// Records addresses that the set does not contain.
    fn push_gap(&mut self, first: N, last: N, ports: &Ports) {
        let span = Span { first, last, ports: ports.clone() };
        self.push_missing(span.clone());
        self.gaps.push(span);
    }
}

impl<N: AddressNumber> Spans<N> {
    /// Adds a span. Returns the parts that were new, in ascending order.
    pub(crate) fn insert(&mut self, span: &Span<N>) -> Vec<Span<N>> {
        if self.overlaps_many(span) {
            return self.insert_all(std::slice::from_ref(span));
        }
        let missing = self.missing(span);
        for mut new in missing.iter().cloned() {
            // Where only some ports were missing, the set already contains the others.
            if let Some((_, ports)) = self.remove_range(new.first, new.last) {
                new.ports = new.ports.with(&ports);
            }
            self.join(new);
        }
        missing
    }

    /// Adds pairs that the set does not contain, as if each address of the span were inserted by
    /// itself, in ascending order.
    pub(crate) fn insert_addresses(&mut self, span: &Span<N>) {
        if self.append(span) {
            return;
        }
        if !self.overlaps(span) {
            return self.join(span.clone());
        }
        let mut next = Some(span.first);
        while let Some(address) = next.filter(|&address| address <= span.last) {
            self.insert(&Span { first: address, last: address, ports: span.ports.clone() });
            next = address.next();
        }
    }

    /// Returns whether the span overlaps so many spans of the set that it is inserted in place.
    pub(super) fn overlaps_many(&self, span: &Span<N>) -> bool {
        self.by_first.range(span.first..=span.last).nth(OVERLAPS_MAX).is_some()
    }

    /// Adds ascending, disjoint spans in place. Returns the parts that were new, in ascending
    /// order.
    pub(crate) fn insert_all(&mut self, spans: &[Span<N>]) -> Vec<Span<N>> {
        let mut insertion =
            Insertion { unions: UnionCache::default(), missing: Vec::new(), gaps: Vec::new() };
        let mut rest = spans;
        while !rest.is_empty() {
            let (done, start) = self.insert_covered(rest, &mut insertion);
            rest = &rest[done..];
            if let Some((span, remaining)) = rest.split_first() {
                self.insert_one(span, start.unwrap_or(span.first), &mut insertion);
                rest = remaining;
            }
        }
        insertion.gaps.into_iter().for_each(|gap| self.join(gap));
        insertion.missing
    }

    /// Adds leading spans as long as spans of the set cover each of them exactly.
    ///
    /// Returns how many were added whole and, if a part of the next one was added, the first
    /// address of the rest.
    fn insert_covered(
        &mut self,
        spans: &[Span<N>],
        insertion: &mut Insertion<N>,
    ) -> (usize, Option<N>) {
        let mut present = self.by_first.range_mut(spans[0].first..);
        for (done, span) in spans.iter().enumerate() {
            let mut start = span.first;
            for skipped in 0.. {
                let Some((&first, (last, ports))) = present.next() else {
                    return (done, (start > span.first).then_some(start));
                };
                if first < start && skipped < SKIPPED_MAX {
                    continue;
                }
                if first != start || *last > span.last {
                    return (done, (start > span.first).then_some(start));
                }
                insertion.add_ports(first, *last, &span.ports, ports);
                match last.next() {
                    Some(next) if *last < span.last => start = next,
                    _ => break,
                }
            }
        }
        (spans.len(), None)
    }

    /// Adds the part of the span from `start` on.
    fn insert_one(&mut self, span: &Span<N>, start: N, insertion: &mut Insertion<N>) {
        self.split(start, &span.ports);
        if let Some(after) = span.last.next() {
            self.split(after, &span.ports);
        }
        // A span that still extends across `start` has all the ports, or it would have been split.
        let previous_last = self.by_first.range(..start).next_back().map(|(_, &(last, _))| last);
        let mut next = match previous_last {
            Some(last) if last >= start => last.next().filter(|&next| next <= span.last),
            _ => Some(start),
        };
        let Some(start) = next else { return };
        for (&first, (last, ports)) in self.by_first.range_mut(start..=span.last) {
            if let Some(gap) = next.filter(|&gap| gap < first)
                && let Some(end) = first.previous()
            {
                insertion.push_gap(gap, end, &span.ports);
            }
            // The same is true of a span that extends across the end of `span`.
            let end = (*last).min(span.last);
            insertion.add_ports(first, end, &span.ports, ports);
            next = end.next().filter(|&next| next <= span.last);
        }
        if let Some(first) = next {
            insertion.push_gap(first, span.last, &span.ports);
        }
    }

    /// Splits the span that extends across `start` there, unless it has all the ports.
    fn split(&mut self, start: N, ports: &Ports) {
        let Some((_, (last, present))) = self.by_first.range_mut(..start).next_back() else {
            return;
        };
        if *last < start || ports.without(present).is_none() {
            return;
        }
        let (end, present) = (*last, present.clone());
        let Some(before) = start.previous() else { return };
        *last = before;
        self.by_first.insert(start, (end, present));
    }
}
