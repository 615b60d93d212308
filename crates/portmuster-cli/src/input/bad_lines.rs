//! Input lines that could not be read, counted while the run goes on.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use portmuster::targets::LineError;

use super::errors::describe_line;
use crate::terminal;

/// Maximum number of bad entries that are reported one by one; the others are only counted.
pub(super) const REPORTED_MAX: u64 = 20;

/// The count of bad lines, and the error that ended the input. Clones share one state.
#[derive(Debug, Clone)]
pub(crate) struct BadLines {
    skip: bool,
    skipped: Arc<AtomicU64>,
    /// Number of records whose targets can't be read from them, such as hashed names.
    lost: Arc<AtomicU64>,
    /// The error that ended the input.
    fatal: Arc<Mutex<Option<String>>>,
}

impl BadLines {
    /// Creates an empty count; with `skip`, bad lines are skipped.
    pub(super) fn new(skip: bool) -> Self {
        Self { skip, skipped: Arc::default(), lost: Arc::default(), fatal: Arc::default() }
    }

    /// Takes the error that ended a stream early, with its position; `None`: none did.
    pub(crate) fn take_fatal(&self) -> Option<anyhow::Error> {
        let message = self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take();
        message.map(anyhow::Error::msg)
    }

    /// Returns how many lines were reported and skipped.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Returns how many lines and records may contain targets that are not checked.
    pub(crate) fn unread(&self) -> u64 {
        self.skipped().saturating_add(self.lost.load(Ordering::Relaxed))
    }

    pub(super) fn set_fatal(&self, message: String) {
        *self.fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }

    pub(super) fn add_lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Reports and counts the line if it may be skipped; returns whether it may.
    pub(super) fn try_skip(&self, name: &str, error: &LineError) -> bool {
        if !self.skip || error.kind().is_final() {
            return false;
        }
        if self.skipped.fetch_add(1, Ordering::Relaxed) < REPORTED_MAX {
            terminal::note(format!("skipped {name}, {}", describe_line(error)));
        }
        true
    }
}
