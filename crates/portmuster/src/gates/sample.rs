//! The number of targets of one kind, and the names of some.

use serde::{Deserialize, Serialize};

use crate::{outcome::Outcome, sink::escape_line, targets::Host};

/// Maximum number of targets that a sample names.
pub(super) const NAMED_MAX: usize = 5;

/// The number of targets, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TargetSample {
    /// The number of targets.
    pub count: u64,
    /// The first targets, at most five, as [escaped](escape_line) text. A name is followed by ` at `
    /// and the address that was checked.
    pub first: Vec<String>,
}

impl TargetSample {
    /// Counts the target of an outcome.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(escape_line(name(outcome).as_bytes()));
        }
    }

    /// Returns whether no more targets are named than counted, and at most as many as there may be.
    pub(super) fn is_sound(&self) -> bool {
        let named = self.first.len();
        named <= NAMED_MAX && named as u64 <= self.count
    }
}

/// Returns the target, and the address if its host is a name: each address may be a target.
fn name(outcome: &Outcome) -> String {
    let target = &outcome.target;
    match outcome.endpoint {
        Some(endpoint) if matches!(target.host, Host::Name(_)) => {
            format!("{target} at {}", endpoint.ip())
        }
        _ => target.to_string(),
    }
}
