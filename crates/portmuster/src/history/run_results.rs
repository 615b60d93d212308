//! The results of a run in a compact form.
//!
//! Invariant: a row takes 32 bytes, plus about 100 for a host name; equal results are stored once.
//! Reallocation takes half as much again for a moment.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::target_result::TargetResult;
use crate::{
    outcome::Outcome,
    targets::{self, Host, Target},
};

/// The results of the targets of a run, collected from its outcomes or read from its rows.
///
/// A target takes 32 bytes, plus about 100 if its host is a name; equal results are stored once.
#[derive(Debug, Default)]
pub struct RunResults {
    entries: Vec<ResultEntry>,
    results: Vec<Arc<TargetResult>>,
    /// The index of each result in `results`.
    indexes: HashMap<Arc<TargetResult>, u32>,
    is_partial: bool,
}

/// One row.
#[derive(Debug)]
pub(super) struct ResultEntry {
    pub(super) key: TargetKey,
    /// Index of the result in the results of the run.
    pub(super) result: u32,
    /// Position among the rows.
    row: u32,
}

/// Identifies a target in both runs. Changes are listed in the order of these keys.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TargetKey {
    V4(Ipv4Addr, u16),
    V6(Ipv6Addr, u16),
    // Boxed, because most targets are addresses.
    Name(Box<NameKey>),
}

/// The key of a target whose host is a name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NameKey {
    name: Box<str>,
    port: u16,
    address: Option<IpAddr>,
}

impl RunResults {
    /// Creates an empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the result of an outcome.
    ///
    /// If several results have the same host, port and address, the last one counts: a stream of targets
    /// may contain a target twice.
    ///
    /// # Panics
    /// After 4,294,967,295 results, which need 128 GiB.
    pub fn add(&mut self, outcome: &Outcome) {
        let Target { host, port, .. } = &outcome.target;
        let address = outcome.endpoint.map(|endpoint| endpoint.ip());
        self.add_result(&host.to_string(), *port, address, outcome.into());
    }

    /// Adds a row. `address` is the address that was checked; it matters only for names.
    pub(super) fn add_result(
        &mut self,
        host: &str,
        port: u16,
        address: Option<IpAddr>,
        result: TargetResult,
    ) {
        let row = u32::try_from(self.entries.len()).expect("the rows fit in memory");
        let key = TargetKey::new(host, port, address);
        let result = self.index_of(result);
        self.entries.push(ResultEntry { key, result, row });
    }

    /// Returns the number of results that were added.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Marks the run as incomplete: the absence of a target then proves nothing.
    pub fn set_partial(&mut self) {
        self.is_partial = true;
    }

    /// Returns whether the run is known to be incomplete.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Returns the index of the result, and stores it if it is new.
    fn index_of(&mut self, result: TargetResult) -> u32 {
        if let Some(index) = self.indexes.get(&result) {
            return *index;
        }
        let index = u32::try_from(self.results.len()).expect("there are fewer results than rows");
        let result = Arc::new(result);
        self.results.push(Arc::clone(&result));
        self.indexes.insert(result, index);
        index
    }

    /// Returns the last row of each key, ordered by key, and the results that they refer to.
    pub(super) fn into_sorted(self) -> (Vec<ResultEntry>, Vec<Arc<TargetResult>>) {
        let Self { mut entries, results, .. } = self;
        // Sort the last row of each key first, because `dedup_by` keeps the first.
        entries
            .sort_unstable_by(|one, other| one.key.cmp(&other.key).then(other.row.cmp(&one.row)));
        entries.dedup_by(|one, kept| one.key == kept.key);
        (entries, results)
    }
}

impl FromIterator<Outcome> for RunResults {
    fn from_iter<T: IntoIterator<Item = Outcome>>(outcomes: T) -> Self {
        let mut results = Self::new();
        outcomes.into_iter().for_each(|outcome| results.add(&outcome));
        results
    }
}

impl TargetKey {
    fn new(host: &str, port: u16, address: Option<IpAddr>) -> Self {
        match Host::from(host) {
            Host::Address(IpAddr::V4(host)) => Self::V4(host, port),
            Host::Address(IpAddr::V6(host)) => Self::V6(host, port),
            Host::Name(name) => Self::Name(Box::new(NameKey {
                name: targets::normalized_name(&name).into(),
                port,
                address,
            })),
        }
    }

    /// Returns whether host and port are equal.
    pub(super) fn is_same_target(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => {
                (&one.name, one.port) == (&other.name, other.port)
            }
            (one, other) => one == other,
        }
    }

    /// Returns the host and port.
    pub(super) fn target(&self) -> Target {
        match self {
            Self::V4(host, port) => (*host, *port).into(),
            Self::V6(host, port) => (*host, *port).into(),
            Self::Name(named) => (&*named.name, named.port).into(),
        }
    }

    /// Returns the address, if the host is a name.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::V4(..) | Self::V6(..) => None,
            Self::Name(named) => named.address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::read_jsonl,
        outcome::{Identification, ServiceDetails},
        sink::{Jsonl, Sink, samples},
    };

    #[test]
    fn outcomes_have_the_results_of_their_rows() {
        let mut identification = Identification::new("2.0", b"software\xff\\\x1b");
        identification.comment = Some("comment \u{1b}".into());
        let details = ServiceDetails { identification: Some(identification), ..Default::default() };
        let outcomes = [
            samples::everything(),
            samples::open(b"\xff\xfe", None),
            samples::open(b"SSH-2.0-\xff\r\n", Some(details)),
        ];
        let mut rows = Vec::new();
        let mut sink = Jsonl::new(&mut rows);
        for outcome in &outcomes {
            sink.write(outcome).expect("vectors accept any write");
        }
        let read = read_jsonl(rows.as_slice()).expect("rows");
        let collected: RunResults = outcomes.into_iter().collect();
        assert_eq!(collected.results, read.results);
        let keys = |run: &RunResults| format!("{:?}", run.entries);
        assert_eq!(keys(&collected), keys(&read));
    }

    /// Millions of entries are in memory at once.
    #[test]
    fn entry_fits_in_32_bytes() {
        assert!(size_of::<ResultEntry>() <= 32, "{}", size_of::<ResultEntry>());
    }
}
