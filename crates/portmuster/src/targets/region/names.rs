//! A set of names with ports.

use std::collections::{HashMap, hash_map::Entry};

use crate::targets::ports::Ports;

/// The ports of each name, in the form that the user of the set compares names in.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamePorts(HashMap<String, Ports>);

impl NamePorts {
    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ports that the set contains for a name; `None` if it does not contain the name.
    pub(crate) fn ports(&self, name: &str) -> Option<&Ports> {
        self.0.get(name)
    }

    /// Adds a name with ports. Returns the ports that were new, or `None` if none was.
    pub(crate) fn insert(&mut self, name: String, ports: &Ports) -> Option<Ports> {
        match self.0.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(ports.clone());
                Some(ports.clone())
            }
            Entry::Occupied(mut entry) => {
                let missing = ports.without(entry.get());
                *entry.get_mut() = entry.get().with(ports);
                missing
            }
        }
    }
}
