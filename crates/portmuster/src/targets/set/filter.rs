//! Selects the spans that a set gains: those neither excluded nor reserved nor already in the set.

use std::sync::LazyLock;

use super::skipped::Skipped;
use crate::targets::{
    ports::Ports,
    range::{AddressNumber, AddressRange},
    region::{FEW_SPANS, Region, Span, Spans},
};

/// Networks that no host can have. They are removed from wider networks, but not from an item that
/// names one of them or a part of it.
///
/// They are the IPv4 blocks "this network", loopback, multicast and reserved (RFC 6890 §2.2), and
/// of IPv6 the unspecified and the loopback address, IPv4-mapped addresses, and multicast.
pub(super) static RESERVED: LazyLock<Region> = LazyLock::new(|| {
    let mut region = Region::default();
    for range in [
        AddressRange::V4(0, 0x00FF_FFFF),
        AddressRange::V4(0x7F00_0000, 0x7FFF_FFFF),
        AddressRange::V4(0xE000_0000, u32::MAX),
        AddressRange::V6(0, 1),
        AddressRange::V6(0xFFFF << 32, 0xFFFF_FFFF_FFFF),
        AddressRange::V6(0xFF << 120, u128::MAX),
    ] {
        region.insert(range, &Ports::all());
    }
    region
});

/// Returns the parts of the spans that are neither excluded nor reserved nor in `members`, adds
/// them to `members`, and counts the other parts in `skipped`. The spans must be ascending and
/// disjoint.
pub(super) fn insert_new<N: AddressNumber>(
    spans: &[Span<N>],
    excludes: &Spans<N>,
    reserved: &Spans<N>,
    members: &mut Spans<N>,
    skipped: &mut Skipped,
) -> Vec<Span<N>> {
    let is_allowed = |span: &Span<N>| {
        !excludes.overlaps(span) && (span.first == span.last || !reserved.overlaps(span))
    };
    if spans.iter().all(is_allowed) {
        return insert_missing(spans, members, &mut skipped.duplicates);
    }
    let mut all_allowed = Vec::with_capacity(spans.len());
    for span in spans {
        let mut allowed = vec![span.clone()];
        if excludes.overlaps(span) {
            allowed = remove(&allowed, excludes, &mut skipped.excluded);
        }
        // Single addresses, and networks within a reserved one, were named explicitly.
        let is_network = span.first != span.last;
        if is_network && reserved.overlaps(span) && !reserved.missing(span).is_empty() {
            allowed = remove(&allowed, reserved, &mut skipped.reserved);
        }
        all_allowed.append(&mut allowed);
    }
    insert_missing(&all_allowed, members, &mut skipped.duplicates)
}

/// Returns the ports of an address that are not excluded, and counts the others. `None` if all are
/// excluded.
pub(super) fn without_excluded<N: AddressNumber>(
    excludes: &Spans<N>,
    address: N,
    ports: &Ports,
    skipped: &mut Skipped,
) -> Option<Ports> {
    let Some(unwanted) = excludes.ports_at(address) else { return Some(ports.clone()) };
    let allowed = ports.without(unwanted);
    let excluded_count = ports.len() - allowed.as_ref().map_or(0, Ports::len);
    skipped.excluded = skipped.excluded.saturating_add(excluded_count as u128);
    allowed
}

/// Adds the spans to `members`. Returns the parts that were new, and counts the others.
fn insert_missing<N: AddressNumber>(
    spans: &[Span<N>],
    members: &mut Spans<N>,
    duplicates: &mut u128,
) -> Vec<Span<N>> {
    let sum = target_count(spans);
    if spans.len() > FEW_SPANS && sum < u128::MAX {
        let new = members.insert_all(spans);
        *duplicates = duplicates.saturating_add(sum - target_count(&new));
        return new;
    }
    let mut missing = Vec::new();
    for span in spans {
        let covered = covered_if_saturated(members, span);
        let new = members.insert(span);
        let covered = covered.unwrap_or_else(|| span.target_count() - target_count(&new));
        *duplicates = duplicates.saturating_add(covered);
        missing.extend(new);
    }
    missing
}

/// Returns the parts of the spans that `unwanted` does not contain, and counts the others.
fn remove<N: AddressNumber>(
    spans: &[Span<N>],
    unwanted: &Spans<N>,
    count: &mut u128,
) -> Vec<Span<N>> {
    let mut all_kept = Vec::new();
    for span in spans {
        let kept = unwanted.missing(span);
        let removed = covered_if_saturated(unwanted, span);
        let removed = removed.unwrap_or_else(|| span.target_count() - target_count(&kept));
        *count = count.saturating_add(removed);
        all_kept.extend(kept);
    }
    all_kept
}

/// Counts the targets of a span that a set contains, if the count of the span's targets saturates.
/// `None` otherwise: then the difference of two exact counts is cheaper.
fn covered_if_saturated<N: AddressNumber>(set: &Spans<N>, span: &Span<N>) -> Option<u128> {
    (span.target_count() == u128::MAX).then(|| set.covered(span))
}

/// Returns the number of targets of all spans; saturates.
fn target_count<N: AddressNumber>(spans: &[Span<N>]) -> u128 {
    spans.iter().fold(0_u128, |sum, span| sum.saturating_add(span.target_count()))
}
