//! The rows of a run, kept small.
//!
//! Invariant: a row costs 32 bytes, and that of a name about 100 more; what several rows say alike
//! is kept once. Growing takes half as much again for a moment.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::Known;
use crate::targets::{self, Host, Target};

/// What a run knows of each of its targets.
#[derive(Debug, Default)]
pub struct Run {
    entries: Vec<Entry>,
    known: Vec<Arc<Known>>,
    places: HashMap<Arc<Known>, u32>,
    is_partial: bool,
}

/// One row.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// Where in the run's list it is written what is known.
    pub(super) known: u32,
    /// Where among the rows it stood.
    row: u32,
}

/// What tells a row from others: the order is that of changes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    V4(Ipv4Addr, u16),
    V6(Ipv6Addr, u16),
    // Boxed, because most targets are addresses.
    Name(Box<Named>),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    name: Box<str>,
    port: u16,
    address: Option<IpAddr>,
}

impl Run {
    /// A run without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a row. `address` is the one that was checked; it matters for names only.
    ///
    /// Of rows for the same host, port and address the last one counts: a stream may have named
    /// its target twice.
    ///
    /// # Panics
    /// Not before 4,294,967,295 rows, which need 128 GiB.
    pub fn add(&mut self, host: &str, port: u16, address: Option<IpAddr>, known: Known) {
        let row = u32::try_from(self.entries.len()).expect("so many rows fit in no memory");
        let key = Key::new(host, port, address);
        let known = self.place(known);
        self.entries.push(Entry { key, known, row });
    }

    /// How many rows there were.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Says that it did not come to its end: a target that it does not have proves nothing.
    pub fn set_partial(&mut self) {
        self.is_partial = true;
    }

    /// Whether it is known that it did not come to its end.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    fn place(&mut self, known: Known) -> u32 {
        if let Some(place) = self.places.get(&known) {
            return *place;
        }
        let place = u32::try_from(self.known.len()).expect("there are no more than rows");
        let known = Arc::new(known);
        self.known.push(Arc::clone(&known));
        self.places.insert(known, place);
        place
    }

    /// The last row of each key in the keys' order, and what they point to.
    pub(super) fn into_sorted(self) -> (Vec<Entry>, Vec<Arc<Known>>) {
        let Self { mut entries, known, .. } = self;
        // The last comes first, and is the one that stays.
        entries
            .sort_unstable_by(|one, other| one.key.cmp(&other.key).then(other.row.cmp(&one.row)));
        entries.dedup_by(|one, kept| one.key == kept.key);
        (entries, known)
    }
}

impl Key {
    fn new(host: &str, port: u16, address: Option<IpAddr>) -> Self {
        match Host::from(host) {
            Host::Address(IpAddr::V4(host)) => Self::V4(host, port),
            Host::Address(IpAddr::V6(host)) => Self::V6(host, port),
            Host::Name(name) => Self::Name(Box::new(Named {
                name: targets::normalized_name(&name).into(),
                port,
                address,
            })),
        }
    }

    pub(super) fn is_same_target(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => {
                (&one.name, one.port) == (&other.name, other.port)
            }
            (one, other) => one == other,
        }
    }

    pub(super) fn target(&self) -> Target {
        match self {
            Self::V4(host, port) => (*host, *port).into(),
            Self::V6(host, port) => (*host, *port).into(),
            Self::Name(named) => (&*named.name, named.port).into(),
        }
    }

    /// The address of a name.
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

    /// Millions of them are kept at the same time.
    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Entry>() <= 32, "{}", size_of::<Entry>());
    }
}
