//! Selects the spans that a set gains: those neither excluded nor reserved nor already in the set.

use super::{omitted::OmittedSpans, skipped::Skipped, unwanted::Unwanted};
use crate::targets::{
    range::AddressNumber,
    region::{FEW_SPANS, Span, Spans},
};

/// Returns the parts of the spans that are neither omitted nor in `members`, adds them to `members`, and
/// counts the other parts in `skipped`. The spans must be ascending and disjoint.
///
/// `omitted` is needed if spans [overlap](Unwanted::overlaps) unwanted addresses.
pub(super) fn insert_new<N: AddressNumber>(
    spans: &[Span<N>],
    unwanted: Unwanted<'_, N>,
    members: &mut Spans<N>,
    omitted: Option<OmittedSpans<'_, N>>,
    skipped: &mut Skipped,
) -> Vec<Span<N>> {
    let Some(mut omitted) = omitted else {
        return insert_missing(spans, members, &mut skipped.duplicates);
    };
    omitted.add(spans, unwanted, members, skipped);
    insert_missing(&unwanted.allowed(spans), members, &mut skipped.duplicates)
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

/// Counts the targets of a span that a set contains, if the count of the span's targets saturates.
/// `None` otherwise: then the difference of two exact counts is cheaper.
fn covered_if_saturated<N: AddressNumber>(set: &Spans<N>, span: &Span<N>) -> Option<u128> {
    (span.target_count() == u128::MAX).then(|| set.covered(span))
}

/// Returns the number of targets of all spans; saturates.
fn target_count<N: AddressNumber>(spans: &[Span<N>]) -> u128 {
    spans.iter().fold(0_u128, |sum, span| sum.saturating_add(span.target_count()))
}
