//! Hosts and groups, and which variables a host has of them.

use std::{collections::HashMap, sync::Arc};

use super::{LineError, Place, document};

/// Hosts that an inventory may have.
const HOSTS_MAX: usize = 262_144;
/// Groups that an inventory may have, and memberships of hosts and groups in groups.
const MEMBERS_MAX: usize = 4 * HOSTS_MAX;

/// Bytes of a value that are kept: longer than any host is.
const VALUE_MAX: usize = 512;

/// The value of a variable, and where it stands. Many hosts may share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: Arc<str>,
    pub(super) place: Place,
}

impl Value {
    pub(super) fn new(text: &str, place: Place) -> Self {
        let end = text.floor_char_boundary(VALUE_MAX);
        Self { text: text[..end].into(), place }
    }
}

/// A host, and where ansible would connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) place: Place,
    /// `None`: its name is.
    pub(super) address: Option<Value>,
    /// `None`: it is not said.
    pub(super) port: Option<Value>,
}

/// What is looked for of the variables of a host or a group.
#[derive(Debug, Clone, Default)]
struct Variables {
    address: Option<Value>,
    port: Option<Value>,
}

#[derive(Debug, Default)]
struct Group {
    name: Arc<str>,
    variables: Variables,
    /// The groups that it is in.
    parents: Vec<usize>,
}

/// An inventory that is being read.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    hosts: Vec<(Host, Vec<usize>)>,
    hosts_by_name: HashMap<String, usize>,
    groups: Vec<Group>,
    groups_by_name: HashMap<String, usize>,
    members: usize,
}

impl Variables {
    fn set(&mut self, key: &str, value: Value) {
        match key {
            "ansible_host" | "ansible_ssh_host" if !value.text.is_empty() => {
                self.address = Some(value);
            }
            "ansible_port" | "ansible_ssh_port" if !value.text.is_empty() => {
                self.port = Some(value);
            }
            _ => {}
        }
    }
}

/// Whether a variable says where a host is.
pub(super) fn is_wanted(key: &str) -> bool {
    matches!(key, "ansible_host" | "ansible_ssh_host" | "ansible_port" | "ansible_ssh_port")
}

impl Inventory {
    /// The host of this name; it is added when it is new.
    pub(super) fn host(&mut self, name: &str, place: Place) -> Result<usize, LineError> {
        if let Some(&host) = self.hosts_by_name.get(name) {
            return Ok(host);
        }
        if self.hosts.len() >= HOSTS_MAX {
            let why = format!("it has more than {HOSTS_MAX} hosts; write it as several");
            return Err(document(place, why));
        }
        let host = Host { name: name.to_owned(), place, address: None, port: None };
        self.hosts.push((host, Vec::new()));
        self.hosts_by_name.insert(name.to_owned(), self.hosts.len() - 1);
        Ok(self.hosts.len() - 1)
    }

    /// The group of this name; it is added when it is new.
    pub(super) fn group(&mut self, name: &str, place: Place) -> Result<usize, LineError> {
        if let Some(&group) = self.groups_by_name.get(name) {
            return Ok(group);
        }
        self.count_member(place)?;
        self.groups.push(Group { name: name.into(), ..Group::default() });
        self.groups_by_name.insert(name.to_owned(), self.groups.len() - 1);
        Ok(self.groups.len() - 1)
    }

    pub(super) fn set_host(&mut self, host: usize, key: &str, value: Value) {
        let mut variables = Variables::default();
        variables.set(key, value);
        let (host, _) = &mut self.hosts[host];
        host.address = variables.address.or(host.address.take());
        host.port = variables.port.or(host.port.take());
    }

    pub(super) fn set_group(&mut self, group: usize, key: &str, value: Value) {
        self.groups[group].variables.set(key, value);
    }

    /// Puts a host into a group.
    pub(super) fn join(
        &mut self,
        host: usize,
        group: usize,
        place: Place,
    ) -> Result<(), LineError> {
        self.count_member(place)?;
        self.hosts[host].1.push(group);
        Ok(())
    }

    /// Puts a group into another.
    pub(super) fn join_group(
        &mut self,
        child: usize,
        parent: usize,
        place: Place,
    ) -> Result<(), LineError> {
        self.count_member(place)?;
        self.groups[child].parents.push(parent);
        Ok(())
    }

    fn count_member(&mut self, place: Place) -> Result<(), LineError> {
        self.members += 1;
        if self.members <= MEMBERS_MAX {
            return Ok(());
        }
        Err(document(place, format!("its groups have more than {MEMBERS_MAX} members")))
    }

    /// The hosts in their order, with the variables of their groups.
    ///
    /// A group overrides the groups that it is in, whatever the way to them; of those as deep the
    /// one whose name is last in the alphabet overrides the others. All hosts are in `all`.
    pub(super) fn into_hosts(mut self) -> Result<Vec<Host>, LineError> {
        let start = Place { line: 1, column: 1 };
        let all = self.group("all", start)?;
        let resolved = self.resolved(all)?;
        let hosts = std::mem::take(&mut self.hosts);
        let with_groups = |(host, mut groups): (Host, Vec<usize>)| {
            groups.push(all);
            let of = |pick: fn(&Ranked) -> &Option<(Rank, Value)>| {
                let values = groups.iter().filter_map(|&group| pick(&resolved[group]).as_ref());
                values.max_by(|one, other| one.0.cmp(&other.0)).map(|(_, value)| value.clone())
            };
            let address = host.address.clone().or_else(|| of(|ranked| &ranked.address));
            let port = host.port.clone().or_else(|| of(|ranked| &ranked.port));
            Host { address, port, ..host }
        };
        Ok(hosts.into_iter().map(with_groups).collect())
    }

    /// What the members of each group have of it, and of those that it is in.
    fn resolved(&self, all: usize) -> Result<Vec<Ranked>, LineError> {
        let mut ranked = vec![Ranked::default(); self.groups.len()];
        // Parents come before their children: a group is due when all its parents were.
        let mut children = vec![Vec::new(); self.groups.len()];
        let mut missing: Vec<_> = self.groups.iter().map(|group| group.parents.len()).collect();
        for (child, group) in self.groups.iter().enumerate() {
            group.parents.iter().for_each(|&parent| children[parent].push(child));
        }
        let mut due: Vec<_> = (0..self.groups.len()).filter(|&group| missing[group] == 0).collect();
        let mut done = 0;
        while let Some(group) = due.pop() {
            done += 1;
            // All groups are in `all`, so its depth is the least.
            let depth = if group == all { 0 } else { ranked[group].depth.max(1) };
            let rank = Rank { depth, name: Arc::clone(&self.groups[group].name) };
            let Variables { address, port } = self.groups[group].variables.clone();
            ranked[group]
                .take(address.map(|value| (rank.clone(), value)), port.map(|value| (rank, value)));
            for &child in &children[group] {
                let Ranked { address, port, .. } = ranked[group].clone();
                ranked[child].take(address, port);
                ranked[child].depth = ranked[child].depth.max(depth + 1);
                missing[child] -= 1;
                if missing[child] == 0 {
                    due.push(child);
                }
            }
        }
        if done < self.groups.len() {
            let start = Place { line: 1, column: 1 };
            return Err(document(start, "a group is in itself, by way of its children".into()));
        }
        Ok(ranked)
    }
}

/// How far a group's variable goes over that of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    depth: usize,
    name: Arc<str>,
}

/// What a group gives its members, and of which group that is.
#[derive(Debug, Clone, Default)]
struct Ranked {
    depth: usize,
    address: Option<(Rank, Value)>,
    port: Option<(Rank, Value)>,
}

impl Ranked {
    /// Takes what overrides what is there.
    fn take(&mut self, address: Option<(Rank, Value)>, port: Option<(Rank, Value)>) {
        let overrides = |new: &Option<(Rank, Value)>, old: &Option<(Rank, Value)>| match (new, old)
        {
            (Some(new), Some(old)) => new.0 > old.0,
            (new, _) => new.is_some(),
        };
        if overrides(&address, &self.address) {
            self.address = address;
        }
        if overrides(&port, &self.port) {
            self.port = port;
        }
    }
}
