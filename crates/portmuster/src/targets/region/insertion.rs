//! Adding many spans at once, or one that meets many.
//!
//! Lists of octets with ranges repeat the same 65,536 spans line by line, each time with another
//! port. What gets more ports stays apart from its neighbours, also where it might be joined: a line
//! that splits what is there finds its own bounds again when it comes with the next port.

use super::{Number, Span, Spans};
use crate::targets::Ports;

/// Spans that lie between two that are added, and are passed over one by one before the next is
/// looked up.
const PASSED_MAX: usize = 8;
/// Spans that one meets, beyond which it is added in place.
const FEW: usize = 4;

/// What comes of adding ports to ports, of the latest: neighbours tend to have the same.
#[derive(Debug, Default)]
struct Additions {
    latest: Vec<Addition>,
    next: usize,
}

#[derive(Debug)]
struct Addition {
    before: Ports,
    added: Ports,
    missing: Option<Ports>,
    after: Ports,
}

impl Additions {
    const MAX: usize = 4;

    /// Adds ports to those of a span; those that it did not have, if any.
    fn add(&mut self, added: &Ports, ports: &mut Ports) -> Option<Ports> {
        let is_known = |known: &Addition| known.before == *ports && known.added == *added;
        let place = self.latest.iter().position(is_known).unwrap_or_else(|| {
            let missing = added.without(ports);
            let after = if missing.is_some() { ports.with(added) } else { ports.clone() };
            let addition = Addition { before: ports.clone(), added: added.clone(), missing, after };
            self.keep(addition)
        });
        let addition = &self.latest[place];
        if addition.missing.is_some() {
            *ports = addition.after.clone();
        }
        addition.missing.clone()
    }

    /// Keeps it in the place of the oldest.
    fn keep(&mut self, addition: Addition) -> usize {
        if self.latest.len() < Self::MAX {
            self.latest.push(addition);
            return self.latest.len() - 1;
        }
        let place = self.next;
        self.latest[place] = addition;
        self.next = (place + 1) % Self::MAX;
        place
    }
}

/// An insertion that is going on.
#[derive(Debug)]
struct Insertion<N> {
    additions: Additions,
    /// What was not here, in ascending order; neighbours with the same ports are one.
    missing: Vec<Span<N>>,
    /// Where nothing was.
    gaps: Vec<Span<N>>,
}

impl<N: Number> Insertion<N> {
    fn miss(&mut self, span: Span<N>) {
        match self.missing.last_mut() {
            Some(last) if last.last.next() == Some(span.first) && last.ports == span.ports => {
                last.last = span.last;
            }
            _ => self.missing.push(span),
        }
    }

    /// Adds ports to a span that is here.
    fn add(&mut self, first: N, last: N, added: &Ports, ports: &mut Ports) {
        if let Some(ports) = self.additions.add(added, ports) {
            self.miss(Span { first, last, ports });
        }
    }

    fn fill(&mut self, first: N, last: N, ports: &Ports) {
        let span = Span { first, last, ports: ports.clone() };
        self.miss(span.clone());
        self.gaps.push(span);
    }
}

impl<N: Number> Spans<N> {
    /// Whether the span meets so many that each had better stay where it is.
    pub(super) fn is_crowded(&self, span: &Span<N>) -> bool {
        self.0.range(span.first..=span.last).nth(FEW).is_some()
    }

    /// How many spans there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds spans that are ascending and disjoint. What of them was not here, in ascending order.
    pub(crate) fn insert_all(&mut self, spans: &[Span<N>]) -> Vec<Span<N>> {
        let mut insertion =
            Insertion { additions: Additions::default(), missing: Vec::new(), gaps: Vec::new() };
        let mut rest = spans;
        while !rest.is_empty() {
            let (done, at) = self.insert_equal(rest, &mut insertion);
            rest = &rest[done..];
            if let Some((span, behind)) = rest.split_first() {
                self.insert_one(span, at.unwrap_or(span.first), &mut insertion);
                rest = behind;
            }
        }
        insertion.gaps.into_iter().for_each(|gap| self.join(gap));
        insertion.missing
    }

    /// Adds as many of the spans as are here whole, side by side. How many they were, and what of
    /// the next was not added, if some of it was.
    fn insert_equal(
        &mut self,
        spans: &[Span<N>],
        insertion: &mut Insertion<N>,
    ) -> (usize, Option<N>) {
        let mut here = self.0.range_mut(spans[0].first..);
        for (done, span) in spans.iter().enumerate() {
            let mut at = span.first;
            for passed in 0.. {
                let Some((&first, (last, ports))) = here.next() else {
                    return (done, (at > span.first).then_some(at));
                };
                if first < at && passed < PASSED_MAX {
                    continue;
                }
                if first != at || *last > span.last {
                    return (done, (at > span.first).then_some(at));
                }
                insertion.add(first, *last, &span.ports, ports);
                match last.next() {
                    Some(next) if *last < span.last => at = next,
                    _ => break,
                }
            }
        }
        (spans.len(), None)
    }

    /// Adds what of the span begins at an address.
    fn insert_one(&mut self, span: &Span<N>, at: N, insertion: &mut Insertion<N>) {
        self.split(at, &span.ports);
        if let Some(behind) = span.last.next() {
            self.split(behind, &span.ports);
        }
        // What begins before and goes on here has all the ports, or it would have been split.
        let over = self.0.range(..at).next_back().map(|(_, &(last, _))| last);
        let mut at = match over {
            Some(last) if last >= at => last.next().filter(|&next| next <= span.last),
            _ => Some(at),
        };
        let Some(start) = at else { return };
        for (&first, (last, ports)) in self.0.range_mut(start..=span.last) {
            if let Some(gap) = at.filter(|&gap| gap < first)
                && let Some(end) = first.previous()
            {
                insertion.fill(gap, end, &span.ports);
            }
            // So has what goes on behind the span.
            let end = (*last).min(span.last);
            insertion.add(first, end, &span.ports, ports);
            at = end.next().filter(|&next| next <= span.last);
        }
        if let Some(first) = at {
            insertion.fill(first, span.last, &span.ports);
        }
    }

    /// Splits the span that goes on over this address there, unless it has all the ports.
    fn split(&mut self, at: N, ports: &Ports) {
        let Some((_, (last, here))) = self.0.range_mut(..at).next_back() else { return };
        if *last < at || ports.without(here).is_none() {
            return;
        }
        let (end, here) = (*last, here.clone());
        let Some(before) = at.previous() else { return };
        *last = before;
        self.0.insert(at, (end, here));
    }
}
