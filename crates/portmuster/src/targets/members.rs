//! The members of a set of targets, to detect duplicates.
//!
//! Ranges and networks are spans of a [`Region`](super::region::Region). Single addresses would take
//! more than a hundred bytes each there, so they are kept apart in a compact form, and moved to the
//! spans only when a range comes close to them.
//!
//! Invariant: moving an address to the spans at any later time gives the same spans as inserting it
//! there at once. Inserting a single address joins it with its neighbours if their ports are equal,
//! so what the spans are at its two ends depends on the final ports only. Items with many ranges
//! change ports without joining: therefore the addresses next to a range are moved as well, before
//! the range is inserted.

use super::region::NamePorts;

mod directories;
mod pages;
#[cfg(test)]
mod tests;
mod v4;
mod v6;

use v4::V4Members;
use v6::V6Members;

/// The hosts and ports of a set.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    pub(super) v4: V4Members,
    pub(super) v6: V6Members,
    pub(super) names: NamePorts,
}
