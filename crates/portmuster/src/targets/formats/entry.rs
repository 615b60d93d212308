//! Targets of an input, converted to the grammar of items.

use std::fmt;

/// A target that a reader found in a record, written as an item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InputEntry {
    pub(super) item: String,
    pub(super) label: Option<String>,
    /// The line of the item in the input, counted from 1.
    pub(super) line: u64,
    /// The column of the item, in characters from 1.
    pub(super) column: usize,
}

/// Returns the item for a host and its ports.
pub(super) fn with_ports(host: &str, ports: impl fmt::Display) -> String {
    if host.contains(':') && !host.starts_with('[') {
        return format!("[{host}]:{ports}");
    }
    format!("{host}:{ports}")
}
