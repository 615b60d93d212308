//! The named targets that a set omits, so that each of them is counted once.
//!
//! They are stored as they were named: a network takes one span, however many excludes overlap it.
//!
//! Invariant: every omitted target that was named is in one of these sets, and `skipped` counts it once:
//! as excluded, or as reserved until an item names it explicitly.

use super::{skipped::Skipped, unwanted::Unwanted};
use crate::targets::{
    host_lists::HostLists,
    host_name::normalized_name,
    members::Members,
    ports::Ports,
    range::AddressNumber,
    region::{FEW_SPANS, Span, Spans},
};

/// The named hosts and ports of which at least one is omitted.
#[derive(Debug, Clone, Default)]
pub(super) struct Omitted {
    /// Of the items with excluded targets.
    with_excluded: Members,
    /// The single IPv6 addresses of `with_excluded`.
    hosts: HostLists,
    /// The networks with reserved parts.
    with_reserved_v4: Spans<u32>,
    with_reserved_v6: Spans<u128>,
}

impl Omitted {
    /// Returns the spans of IPv4 near `near`, which the caller may add.
    pub(super) fn v4(&mut self, near: &[Span<u32>]) -> OmittedSpans<'_, u32> {
        let with_excluded = self.with_excluded.v4.spans_near(near);
        OmittedSpans { with_excluded, with_reserved: &mut self.with_reserved_v4 }
    }

    /// Returns the spans of IPv6 near `near`, which the caller may add.
    pub(super) fn v6(&mut self, near: &Span<u128>) -> OmittedSpans<'_, u128> {
        let with_excluded = self.with_excluded.v6.spans_near(near, &self.hosts);
        OmittedSpans { with_excluded, with_reserved: &mut self.with_reserved_v6 }
    }

    /// Returns the networks of IPv4 with reserved parts.
    pub(super) fn with_reserved_v4(&self) -> &Spans<u32> {
        &self.with_reserved_v4
    }

    /// Returns the networks of IPv6 with reserved parts.
    pub(super) fn with_reserved_v6(&self) -> &Spans<u128> {
        &self.with_reserved_v6
    }

    /// Adds a single IPv4 address, and counts its ports that are among `excluded`.
    pub(super) fn add_v4(
        &mut self,
        address: u32,
        ports: &Ports,
        excluded: &Ports,
        skipped: &mut Skipped,
    ) {
        let new = self.with_excluded.v4.insert(address, ports);
        count_excluded(ports, new.as_ref(), excluded, skipped);
    }

    /// Adds a single IPv6 address, and counts its ports that are among `excluded`.
    pub(super) fn add_v6(
        &mut self,
        address: u128,
        ports: &Ports,
        excluded: &Ports,
        skipped: &mut Skipped,
    ) {
        let new = self.with_excluded.v6.insert(address, ports, &mut self.hosts);
        count_excluded(ports, new.as_ref().map(|(new, _)| new), excluded, skipped);
    }

    /// Adds a name, and counts its ports that are among `excluded`.
    pub(super) fn add_name(
        &mut self,
        name: &str,
        ports: &Ports,
        excluded: &Ports,
        skipped: &mut Skipped,
    ) {
        let new = self.with_excluded.names.insert(normalized_name(name), ports);
        count_excluded(ports, new.as_ref(), excluded, skipped);
    }
}

/// The named spans of one address family of which a part is omitted.
#[derive(Debug)]
pub(super) struct OmittedSpans<'a, N> {
    with_excluded: &'a mut Spans<N>,
    with_reserved: &'a mut Spans<N>,
}

impl<N: AddressNumber> OmittedSpans<'_, N> {
    /// Returns the number of spans.
    pub(super) fn len(&self) -> usize {
        self.with_excluded.len() + self.with_reserved.len()
    }

    /// Adds spans, and counts their omitted parts: those named before as duplicates. `members` are the
    /// targets of the set.
    pub(super) fn add(
        &mut self,
        spans: &[Span<N>],
        unwanted: Unwanted<'_, N>,
        members: &Spans<N>,
        skipped: &mut Skipped,
    ) {
        let Unwanted { excludes, reserved } = unwanted;
        let with_excluded: Vec<_> =
            spans.iter().filter(|span| excludes.overlaps(span)).cloned().collect();
        if !with_excluded.is_empty() {
            let new = insert(self.with_excluded, &with_excluded);
            let excluded = |spans: &[Span<N>]| sum(spans.iter().map(|it| excludes.covered(it)));
            let (named, new) = (excluded(&with_excluded), excluded(&new));
            skipped.excluded = skipped.count_new(skipped.excluded, named, new);
        }
        for span in spans.iter().filter(|span| unwanted.has_reserved_part(span)) {
            let new = self.with_reserved.insert(span);
            let allowed =
                |part: &Span<N>| part.target_count().saturating_sub(excludes.covered(part));
            let named = sum(reserved_parts(span, reserved).map(|part| allowed(&part)));
            let new = new.iter().flat_map(|span| reserved_parts(span, reserved));
            // An item has named these members explicitly.
            let new = new.map(|part| allowed(&part).saturating_sub(members.covered(&part)));
            let new = sum(new);
            skipped.reserved = skipped.count_new(skipped.reserved, named, new);
        }
    }
}

/// Counts the new members that were counted as reserved before an item named them explicitly: from now
/// on they are repeated targets.
pub(super) fn take_back_reserved<'a, N: AddressNumber + 'a>(
    new: impl IntoIterator<Item = &'a Span<N>>,
    with_reserved: &Spans<N>,
    reserved: &Spans<N>,
    skipped: &mut Skipped,
) {
    if with_reserved.is_empty() {
        return;
    }
    let parts = new.into_iter().flat_map(|span| reserved_parts(span, reserved));
    let named_before = sum(parts.map(|part| with_reserved.covered(&part)));
    // A count that has saturated is a lower bound.
    if skipped.reserved < u128::MAX {
        skipped.reserved = skipped.reserved.saturating_sub(named_before);
    }
    skipped.duplicates = skipped.duplicates.saturating_add(named_before);
}

/// Counts the excluded ones among the ports of a host, of which `new` were not named before.
fn count_excluded(ports: &Ports, new: Option<&Ports>, excluded: &Ports, skipped: &mut Skipped) {
    let count = |ports: &Ports| ports.len() - ports.without(excluded).map_or(0, |it| it.len());
    let (named, new) = (count(ports) as u128, new.map_or(0, count) as u128);
    skipped.excluded = skipped.count_new(skipped.excluded, named, new);
}

/// Adds spans to a set, and returns the parts that were new.
fn insert<N: AddressNumber>(set: &mut Spans<N>, spans: &[Span<N>]) -> Vec<Span<N>> {
    if spans.len() > FEW_SPANS {
        return set.insert_all(spans);
    }
    spans.iter().flat_map(|span| set.insert(span)).collect()
}

/// Returns the parts of a span that are reserved, which they are with all ports.
fn reserved_parts<N: AddressNumber>(
    span: &Span<N>,
    reserved: &Spans<N>,
) -> impl Iterator<Item = Span<N>> {
    reserved.intersection(span).map(|part| Span { ports: span.ports.clone(), ..part })
}

fn sum(counts: impl Iterator<Item = u128>) -> u128 {
    counts.fold(0, u128::saturating_add)
}
