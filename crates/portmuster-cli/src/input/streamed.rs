//! The targets of streams, read one line at a time while the run goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portmuster::{
    Target,
    targets::{Excludes, Order, Ports, Shard, Skipped, TargetSet, Targets},
};

use super::{bad_lines::BadLines, list::List};

/// What the items of streams have named, counted while the streams are read.
///
/// Clones share one count.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamCounts(Arc<Mutex<Counts>>);

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// The entries that are no targets.
    skipped: Skipped,
    has_targets: bool,
}

impl StreamCounts {
    /// Returns the entries that are no targets so far. A target is counted for each item that names it.
    pub(super) fn skipped(&self) -> Skipped {
        self.counts().skipped
    }

    /// Returns whether any item has named a target that is not excluded.
    pub(super) fn has_targets(&self) -> bool {
        self.counts().has_targets
    }

    fn add(&self, item: &TargetSet) {
        let mut counts = self.counts();
        counts.skipped = counts.skipped.with(item.skipped());
        counts.has_targets |= !item.is_empty();
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every item of a stream needs to become targets.
#[derive(Debug, Clone)]
pub(super) struct StreamRules {
    pub(super) ports: Ports,
    pub(super) excludes: Excludes,
    pub(super) bad_lines: BadLines,
    pub(super) counts: StreamCounts,
}

/// A list that is read while the run goes on.
pub(super) struct Stream {
    list: List,
    /// The targets of the first item, if it was read already.
    first: Option<TargetSet>,
}

impl Stream {
    pub(super) fn new(list: List) -> Self {
        Self { list, first: None }
    }

    /// Reads the first item now.
    ///
    /// # Errors
    /// A line can't be read and must not be skipped, or the list contains no target.
    pub(super) fn read_first(&mut self, rules: &StreamRules) -> anyhow::Result<()> {
        self.first = self.next_item(rules)?;
        Ok(())
    }

    /// Returns the targets of the next item; `None`: the list has ended.
    ///
    /// # Errors
    /// A line can't be read and must not be skipped, or the list contains no target.
    fn next_item(&mut self, rules: &StreamRules) -> anyhow::Result<Option<TargetSet>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let item = self.list.next_item(&rules.bad_lines, &mut |item, label| {
            let mut set = TargetSet::new(&rules.excludes);
            set.add(item, label, &rules.ports).map(|()| set)
        })?;
        match &item {
            Some(set) => rules.counts.add(set),
            None => self.list.finish(&rules.bad_lines)?,
        }
        Ok(item)
    }
}

/// An iterator over the targets of several streams, one stream after another.
pub(super) struct Streamed {
    streams: std::vec::IntoIter<Stream>,
    current: Option<Stream>,
    /// The rest of the targets of the current item.
    item: Option<Targets>,
    rules: StreamRules,
}

impl Streamed {
    /// Iterates over the targets of `streams` in their order.
    pub(super) fn new(streams: Vec<Stream>, rules: StreamRules) -> Self {
        Self { streams: streams.into_iter(), current: None, item: None, rules }
    }

    /// Starts the next item that has targets; `None`: all streams have ended.
    ///
    /// # Errors
    /// A line can't be read and must not be skipped, or a stream contains no target.
    fn next_item(&mut self) -> anyhow::Result<Option<Targets>> {
        loop {
            if self.current.is_none() {
                self.current = self.streams.next();
            }
            let Some(stream) = &mut self.current else { return Ok(None) };
            if let Some(set) = stream.next_item(&self.rules)? {
                return Ok(Some(set.into_targets(Order::Given, Shard::WHOLE)));
            }
            self.current = None;
        }
    }
}

impl Iterator for Streamed {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        loop {
            if let Some(target) = self.item.as_mut().and_then(Iterator::next) {
                return Some(target);
            }
            match self.next_item() {
                Ok(item) => self.item = Some(item?),
                Err(error) => {
                    self.rules.bad_lines.set_fatal(error.to_string());
                    self.streams = Vec::new().into_iter();
                    self.current = None;
                    return None;
                }
            }
        }
    }
}
