//! The hosts and groups of an inventory, and the variables that hosts inherit from groups.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::error::document_error;
use crate::targets::{formats::tracked::TextPosition, line_error::LineError};

/// The maximum number of hosts of an inventory.
const HOSTS_MAX: usize = 262_144;
/// The maximum number of groups of an inventory plus memberships of hosts and groups in groups.
const MEMBERS_MAX: usize = 4 * HOSTS_MAX;

/// The maximum number of bytes of a value that are kept, more than any host has.
const VALUE_MAX: usize = 512;

/// The value of a variable, and its position in the input. Many hosts may share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VariableValue {
    pub(super) text: Arc<str>,
    pub(super) position: TextPosition,
}

impl VariableValue {
    /// Creates a value, cut to [`VALUE_MAX`] bytes.
    pub(super) fn new(text: &str, position: TextPosition) -> Self {
        let end = text.floor_char_boundary(VALUE_MAX);
        Self { text: text[..end].into(), position }
    }
}

/// A host, and the address and port to which Ansible would connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InventoryHost {
    pub(super) name: String,
    pub(super) position: TextPosition,
    /// The value of `ansible_host`; `None` if the name is the address.
    pub(super) address: Option<VariableValue>,
    /// The value of `ansible_port`; `None` if it is not set.
    pub(super) port: Option<VariableValue>,
    /// Whether a line that can't be read may determine the address or the port.
    pub(super) is_distrusted: bool,
}

/// The variables of a host or a group that determine where Ansible connects.
#[derive(Debug, Clone, Default)]
struct ConnectionVariables {
    address: Option<VariableValue>,
    port: Option<VariableValue>,
}

/// A group of hosts.
#[derive(Debug, Default)]
struct InventoryGroup {
    name: Arc<str>,
    variables: ConnectionVariables,
    /// The indexes of the groups that contain this one.
    parents: Vec<usize>,
    /// Whether a line that can't be read may set its variables or contain it.
    is_distrusted: bool,
}

/// The hosts and groups of an inventory.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Each host with the indexes of its groups.
    hosts: Vec<(InventoryHost, Vec<usize>)>,
    hosts_by_name: HashMap<String, usize>,
    groups: Vec<InventoryGroup>,
    groups_by_name: HashMap<String, usize>,
    /// The number of groups and memberships.
    members: usize,
    /// The names of hosts and groups that a line that can't be read may contain.
    distrusted: HashSet<String>,
}

impl ConnectionVariables {
    /// Sets a variable, unless its value is empty or the variable is of no interest.
    fn set(&mut self, key: &str, value: VariableValue) {
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

/// The variables that determine where Ansible connects.
pub(super) const CONNECTION_VARIABLES: [&str; 4] =
    ["ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port"];

/// Returns whether a variable determines where Ansible connects.
pub(super) fn is_connection_variable(key: &str) -> bool {
    CONNECTION_VARIABLES.contains(&key)
}

impl Inventory {
    /// Returns the index of the host with this name, which is added if it is new.
    pub(super) fn host(&mut self, name: &str, position: TextPosition) -> Result<usize, LineError> {
        if let Some(&host) = self.hosts_by_name.get(name) {
            return Ok(host);
        }
        if self.hosts.len() >= HOSTS_MAX {
            let why =
                format!("the inventory has more than {HOSTS_MAX} hosts; split it into several");
            return Err(document_error(position, why));
        }
        let host = InventoryHost {
            name: name.to_owned(),
            position,
            address: None,
            port: None,
            is_distrusted: false,
        };
        self.hosts.push((host, Vec::new()));
        self.hosts_by_name.insert(name.to_owned(), self.hosts.len() - 1);
        Ok(self.hosts.len() - 1)
    }

    /// Returns the index of the group with this name, which is added if it is new.
    pub(super) fn group(&mut self, name: &str, position: TextPosition) -> Result<usize, LineError> {
        if let Some(&group) = self.groups_by_name.get(name) {
            return Ok(group);
        }
        self.count_member(position)?;
        self.groups.push(InventoryGroup { name: name.into(), ..InventoryGroup::default() });
        self.groups_by_name.insert(name.to_owned(), self.groups.len() - 1);
        Ok(self.groups.len() - 1)
    }

    /// Sets a variable of a host.
    pub(super) fn set_host_variable(&mut self, host: usize, key: &str, value: VariableValue) {
        let mut variables = ConnectionVariables::default();
        variables.set(key, value);
        let (host, _) = &mut self.hosts[host];
        host.address = variables.address.or(host.address.take());
        host.port = variables.port.or(host.port.take());
    }

    /// Sets a variable of a group.
    pub(super) fn set_group_variable(&mut self, group: usize, key: &str, value: VariableValue) {
        self.groups[group].variables.set(key, value);
    }

    /// Adds a host to a group.
    pub(super) fn add_host(
        &mut self,
        host: usize,
        group: usize,
        position: TextPosition,
    ) -> Result<(), LineError> {
        self.count_member(position)?;
        self.hosts[host].1.push(group);
        Ok(())
    }

    /// Adds a group to another one.
    pub(super) fn add_child(
        &mut self,
        child: usize,
        parent: usize,
        position: TextPosition,
    ) -> Result<(), LineError> {
        self.count_member(position)?;
        self.groups[child].parents.push(parent);
        Ok(())
    }

    /// Marks the group: a line that can't be read may set its variables.
    pub(super) fn distrust_group(&mut self, group: usize) {
        self.groups[group].is_distrusted = true;
    }

    /// Marks the host and the group with this name, in whichever lines they are: a line that can't be
    /// read may contain it.
    pub(super) fn distrust(
        &mut self,
        name: String,
        position: TextPosition,
    ) -> Result<(), LineError> {
        self.distrusted.insert(name);
        if self.distrusted.len() <= HOSTS_MAX {
            return Ok(());
        }
        let why = format!("the lines that can't be read have more than {HOSTS_MAX} names");
        Err(document_error(position, why))
    }

    /// Marks the hosts and groups with distrusted names.
    fn apply_distrust(&mut self) {
        for name in &self.distrusted {
            if let Some(&group) = self.groups_by_name.get(name) {
                self.groups[group].is_distrusted = true;
            }
            if let Some(&host) = self.hosts_by_name.get(name) {
                self.hosts[host].0.is_distrusted = true;
            }
        }
    }

    /// Counts a group or a membership.
    fn count_member(&mut self, position: TextPosition) -> Result<(), LineError> {
        self.members += 1;
        if self.members <= MEMBERS_MAX {
            return Ok(());
        }
        Err(document_error(position, format!("the groups have more than {MEMBERS_MAX} members")))
    }

    /// Returns the hosts in their order, with the variables of their groups.
    ///
    /// A group at a greater depth overrides groups at a lesser one. The depth is the length of the
    /// longest path from `all`, which contains every host. Of groups at the same depth, the
    /// alphabetically last one overrides the others.
    pub(super) fn into_hosts(mut self) -> Result<Vec<InventoryHost>, LineError> {
        let start = TextPosition { line: 1, column: 1 };
        let all = self.group("all", start)?;
        self.apply_distrust();
        let inherited = self.inherited_variables(all)?;
        let hosts = std::mem::take(&mut self.hosts);
        let with_groups = |(host, mut groups): (InventoryHost, Vec<usize>)| {
            groups.push(all);
            let inherit =
                |pick: fn(&InheritedVariables) -> &Option<(GroupPrecedence, VariableValue)>| {
                    let values =
                        groups.iter().filter_map(|&group| pick(&inherited[group]).as_ref());
                    values.max_by(|one, other| one.0.cmp(&other.0)).map(|(_, value)| value.clone())
                };
            let address = host.address.clone().or_else(|| inherit(|group| &group.address));
            let port = host.port.clone().or_else(|| inherit(|group| &group.port));
            let is_complete = host.address.is_some() && host.port.is_some();
            let is_distrusted = host.is_distrusted
                || !is_complete && groups.iter().any(|&group| inherited[group].is_distrusted);
            InventoryHost { address, port, is_distrusted, ..host }
        };
        Ok(hosts.into_iter().map(with_groups).collect())
    }

    /// Computes the variables that the members of each group inherit.
    fn inherited_variables(&self, all: usize) -> Result<Vec<InheritedVariables>, LineError> {
        let mut inherited = vec![InheritedVariables::default(); self.groups.len()];
        // Parents are processed before their children: a group is due once all its parents are
        // done.
        let mut children = vec![Vec::new(); self.groups.len()];
        let mut missing: Vec<_> = self.groups.iter().map(|group| group.parents.len()).collect();
        for (child, group) in self.groups.iter().enumerate() {
            group.parents.iter().for_each(|&parent| children[parent].push(child));
        }
        let mut due: Vec<_> = (0..self.groups.len()).filter(|&group| missing[group] == 0).collect();
        let mut done = 0;
        while let Some(group) = due.pop() {
            done += 1;
            // `all` contains every group, so its depth is the least.
            let depth = if group == all { 0 } else { inherited[group].depth.max(1) };
            let precedence = GroupPrecedence { depth, name: Arc::clone(&self.groups[group].name) };
            let ConnectionVariables { address, port } = self.groups[group].variables.clone();
            inherited[group].is_distrusted |= self.groups[group].is_distrusted;
            inherited[group].merge(
                address.map(|value| (precedence.clone(), value)),
                port.map(|value| (precedence, value)),
            );
            for &child in &children[group] {
                let InheritedVariables { address, port, is_distrusted, .. } =
                    inherited[group].clone();
                inherited[child].merge(address, port);
                inherited[child].is_distrusted |= is_distrusted;
                inherited[child].depth = inherited[child].depth.max(depth + 1);
                missing[child] -= 1;
                if missing[child] == 0 {
                    due.push(child);
                }
            }
        }
        if done < self.groups.len() {
            let start = TextPosition { line: 1, column: 1 };
            return Err(document_error(
                start,
                "a group contains itself through its children".into(),
            ));
        }
        Ok(inherited)
    }
}

/// The precedence of a group's variables: the greater one overrides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct GroupPrecedence {
    depth: usize,
    name: Arc<str>,
}

/// The variables that the members of a group inherit, each with the precedence of its group.
#[derive(Debug, Clone, Default)]
struct InheritedVariables {
    depth: usize,
    address: Option<(GroupPrecedence, VariableValue)>,
    port: Option<(GroupPrecedence, VariableValue)>,
    is_distrusted: bool,
}

impl InheritedVariables {
    /// Replaces the variables whose new value has a greater precedence.
    fn merge(
        &mut self,
        address: Option<(GroupPrecedence, VariableValue)>,
        port: Option<(GroupPrecedence, VariableValue)>,
    ) {
        let overrides =
            |new: &Option<(GroupPrecedence, VariableValue)>,
             old: &Option<(GroupPrecedence, VariableValue)>| match (new, old) {
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
