//! Counts by name in one line.

use crate::numbers::with_commas;

/// The most names that are listed with their counts.
const TOP: usize = 5;

/// Lists the first names with their counts, and the sum of the other counts and `more`, which are of
/// `others`; `None`: there are no names.
pub(super) fn top(
    mut counts: impl Iterator<Item = (String, u64)>,
    more: u64,
    others: &str,
) -> Option<String> {
    let mut parts: Vec<_> = counts
        .by_ref()
        .take(TOP)
        .map(|(name, count)| format!("{} {name}", with_commas(count)))
        .collect();
    let rest = more + counts.map(|(_, count)| count).sum::<u64>();
    if rest > 0 {
        parts.push(format!("and {} {others}", with_commas(rest)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
