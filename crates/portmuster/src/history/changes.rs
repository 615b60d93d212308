//! Compares the results of two runs.

use std::{iter::FusedIterator, sync::Arc, vec};

use super::{
    change::{Change, ChangeSide},
    change_counts::ChangeCounts,
    diff,
    run_results::{ResultEntry, RunResults},
    target_result::TargetResult,
};

/// Iterator over the changes between two runs, ordered by address or name, and port.
#[derive(Debug)]
pub struct Changes {
    old: Sorted,
    new: Sorted,
    counts: ChangeCounts,
    /// Changes of the targets that were compared last.
    ready: vec::IntoIter<Change>,
}

impl Changes {
    /// Compares two runs.
    #[must_use]
    pub fn between(old: RunResults, new: RunResults) -> Self {
        let (old, new) = (Sorted::new(old), Sorted::new(new));
        let counts = ChangeCounts {
            old: old.entries.len() as u64,
            new: new.entries.len() as u64,
            ..ChangeCounts::default()
        };
        Self { old, new, counts, ready: Vec::new().into_iter() }
    }

    /// Returns the counts of the changes so far.
    #[must_use]
    pub fn counts(&self) -> ChangeCounts {
        self.counts
    }

    /// Compares the next host and port, with all their addresses; `None` at the end.
    fn compare_next(&mut self) -> Option<Vec<Change>> {
        let (old, new) = match (self.old.first(), self.new.first()) {
            (None, None) => return None,
            (Some(old), Some(new)) if old.key.is_same_target(&new.key) => (true, true),
            (Some(old), Some(new)) => (old.key < new.key, new.key < old.key),
            (old, new) => (old.is_some(), new.is_some()),
        };
        let old_entries = self.old.take_target(old);
        let new_entries = self.new.take_target(new);
        let mut changes = Vec::new();
        for (old, new) in pairs(&old_entries, &new_entries) {
            if self.old.may_lack(old) || self.new.may_lack(new) {
                self.counts.unreached += 1;
                continue;
            }
            let key = &old.or(new).expect("a pair has at least one").key;
            let old = old.map(|entry| self.old.side(entry));
            let new = new.map(|entry| self.new.side(entry));
            changes.extend(diff::change(key.target(), old, new, &mut self.counts));
        }
        Some(changes)
    }
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.ready.next() {
                self.counts.changed += 1;
                for kind in &change.kinds {
                    self.counts.kinds[*kind as usize] += 1;
                }
                return Some(change);
            }
            self.ready = self.compare_next()?.into_iter();
        }
    }
}

impl FusedIterator for Changes {}

/// The latest result of each target of a run, ordered by key.
#[derive(Debug)]
struct Sorted {
    entries: std::iter::Peekable<vec::IntoIter<ResultEntry>>,
    results: Vec<Arc<TargetResult>>,
    is_partial: bool,
}

impl Sorted {
    fn new(run: RunResults) -> Self {
        let is_partial = run.is_partial();
        let (entries, results) = run.into_sorted();
        Self { entries: entries.into_iter().peekable(), results, is_partial }
    }

    /// Returns whether the entry may be missing only because the run was stopped before.
    fn may_lack(&self, entry: Option<&ResultEntry>) -> bool {
        self.is_partial && entry.is_none()
    }

    fn first(&mut self) -> Option<&ResultEntry> {
        self.entries.peek()
    }

    /// Takes the entries of the next host and port; none if the other run comes first.
    fn take_target(&mut self, is_next: bool) -> Vec<ResultEntry> {
        let mut taken: Vec<ResultEntry> = Vec::new();
        if !is_next {
            return taken;
        }
        while let Some(entry) = self
            .entries
            .next_if(|entry| taken.first().is_none_or(|first| first.key.is_same_target(&entry.key)))
        {
            taken.push(entry);
        }
        taken
    }

    fn side(&self, entry: &ResultEntry) -> ChangeSide {
        let result = Arc::clone(&self.results[entry.result as usize]);
        ChangeSide { address: entry.key.address(), result }
    }
}

/// Pairs the entries of one host and port for comparison. If each run has one entry, these form a
/// pair, because a name may have another address today. Otherwise entries with the same address form
/// a pair; an entry without an address is compared with all entries of the other run.
fn pairs<'a>(
    old: &'a [ResultEntry],
    new: &'a [ResultEntry],
) -> Vec<(Option<&'a ResultEntry>, Option<&'a ResultEntry>)> {
    let stands_for_all = |entries: &[ResultEntry], others: &[ResultEntry]| match entries {
        [only] => others.len() == 1 || (!others.is_empty() && only.key.address().is_none()),
        _ => false,
    };
    if stands_for_all(old, new) {
        return new.iter().map(|new| (old.first(), Some(new))).collect();
    }
    if stands_for_all(new, old) {
        return old.iter().map(|old| (Some(old), new.first())).collect();
    }
    let mut pairs = Vec::new();
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        pairs.push(match (olds.peek(), news.peek()) {
            (None, None) => return pairs,
            (Some(old), Some(new)) if old.key == new.key => (olds.next(), news.next()),
            (Some(old), Some(new)) if new.key < old.key => (None, news.next()),
            (Some(_), _) => (olds.next(), None),
            (None, Some(_)) => (None, news.next()),
        });
    }
}
