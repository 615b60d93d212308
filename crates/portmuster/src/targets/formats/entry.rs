//! Targets of an input, converted to the grammar of items.

use std::{fmt, net::Ipv6Addr};

use crate::targets::grammar;

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

/// Returns the item for a host without ports. If the last group of an IPv6 address could be meant as a
/// port, brackets show that it is not.
pub(super) fn without_ports(host: &str) -> String {
    if host.parse::<Ipv6Addr>().is_ok() && grammar::parse(host).is_err() {
        return format!("[{host}]");
    }
    host.to_owned()
}

/// Returns the item for a host and its ports.
pub(super) fn with_ports(host: &str, ports: impl fmt::Display) -> String {
    if host.contains(':') && !host.starts_with('[') {
        return format!("[{host}]:{ports}");
    }
    format!("{host}:{ports}")
}
