//! A set of names with ports.

use std::collections::{HashMap, hash_map::Entry};

use crate::targets::{host_name::normalized_name, ports::Ports};

/// The ports of each name.
#[derive(Debug, Clone, Default)]
pub(crate) struct NamePorts(HashMap<String, Ports>);

impl NamePorts {
    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ports that the set contains for a name; `None` if it does not contain the name.
    pub(crate) fn ports(&self, name: &str) -> Option<&Ports> {
        if self.0.is_empty() { None } else { self.0.get(&normalized_name(name)) }
    }

    /// Adds a name with ports. Returns the ports that were new, or `None` if none was.
    pub(crate) fn insert(&mut self, name: &str, ports: &Ports) -> Option<Ports> {
        match self.0.entry(normalized_name(name)) {
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
