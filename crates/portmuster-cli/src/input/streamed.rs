//! The targets of streams, read one line at a time while the run goes on.

use std::sync::{Arc, Mutex, PoisonError};

use portmuster::{
    Target,
    targets::{Excludes, Order, Ports, Shard, Skipped, TargetSet, Targets},
};

use super::{bad_lines::BadLines, list::List};

/// The entries of streams that are no targets, counted while the streams are read.
///
/// Clones share one count.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedSkipped(Arc<Mutex<Skipped>>);

impl SharedSkipped {
    /// Returns the count so far.
    pub(crate) fn sum(&self) -> Skipped {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, skipped: Skipped) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sum = sum.with(skipped);
    }
}

/// An iterator over the targets of several streams, one stream after another.
pub(super) struct Streamed {
    streams: std::vec::IntoIter<List>,
    current: Option<List>,
    /// The rest of the targets of the current item.
    item: Option<Targets>,
    ports: Ports,
    excludes: Excludes,
    bad_lines: BadLines,
    skipped: SharedSkipped,
}

impl Streamed {
    /// Iterates over the targets of `streams` in their order.
    pub(super) fn new(
        streams: Vec<List>,
        ports: Ports,
        excludes: Excludes,
        bad_lines: BadLines,
        skipped: SharedSkipped,
    ) -> Self {
        let streams = streams.into_iter();
        Self { streams, current: None, item: None, ports, excludes, bad_lines, skipped }
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
            let set = stream.next_item(&self.bad_lines, &mut |item, label| {
                let mut set = TargetSet::new(&self.excludes);
                set.add(item, label, &self.ports).map(|()| set)
            })?;
            if let Some(set) = set {
                self.skipped.add(set.skipped());
                return Ok(Some(set.into_targets(Order::Given, Shard::WHOLE)));
            }
            stream.finish(&self.bad_lines)?;
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
                    self.bad_lines.set_fatal(error.to_string());
                    self.streams = Vec::new().into_iter();
                    self.current = None;
                    return None;
                }
            }
        }
    }
}
