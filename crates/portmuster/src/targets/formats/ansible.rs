//! Reads Ansible inventories: INI, and the JSON of `ansible-inventory --list` and of scripts.
//!
//! A group's variables may follow its hosts, so the whole inventory is read before the first host
//! is returned.

use std::{io::BufRead, vec};

use super::{
    entry::{InputEntry, with_ports, without_ports},
    tracked::{TextPosition, TrackedReader},
};
use crate::targets::{grammar, line_error::LineError};

mod error;
mod ini;
mod inventory;
mod json;

use self::{
    error::{document_error, record_error},
    inventory::{Inventory, InventoryHost, VariableValue},
};

/// The maximum number of bytes of an inventory.
const INVENTORY_MAX: usize = 256 << 20;

/// Reads the hosts of an inventory.
#[derive(Debug)]
pub(super) struct AnsibleReader<R> {
    /// `None` once the inventory was read.
    input: Option<R>,
    /// The errors that are not returned yet; they are returned before the hosts.
    errors: vec::IntoIter<LineError>,
    /// The hosts that are not returned yet.
    hosts: vec::IntoIter<InventoryHost>,
}

impl<R: BufRead> AnsibleReader<R> {
    /// Creates a reader.
    pub(super) fn new(input: R) -> Self {
        Self { input: Some(input), errors: Vec::new().into_iter(), hosts: Vec::new().into_iter() }
    }

    /// Reads the next target; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<InputEntry>, LineError> {
        if let Some(input) = self.input.take() {
            let mut errors = Vec::new();
            match read(input, &mut errors).and_then(Inventory::into_hosts) {
                Ok(hosts) => self.hosts = hosts.into_iter(),
                Err(error) => errors.push(error),
            }
            self.errors = errors.into_iter();
        }
        match self.errors.next() {
            Some(error) => Err(error),
            None => self.hosts.next().map(entry).transpose(),
        }
    }
}

/// Reads an inventory. It is JSON if its first character is `{`, and INI otherwise. Errors of lines
/// that can be skipped are appended to `errors`.
fn read<R: BufRead>(input: R, errors: &mut Vec<LineError>) -> Result<Inventory, LineError> {
    let mut input = TrackedReader::new(input, INVENTORY_MAX);
    loop {
        let position = input.position();
        let read = input.fill_buf().map_err(|error| document_error(position, error.to_string()))?;
        match read.first() {
            Some(b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf) => input.consume(1),
            Some(b'{') => return json::read(&mut input),
            _ => return Ok(ini::read(&mut input, errors)),
        }
    }
}

/// Returns the target of a host.
fn entry(host: InventoryHost) -> Result<InputEntry, LineError> {
    let InventoryHost { name, position, address, port, is_distrusted } = host;
    if is_distrusted {
        let name = grammar::excerpt(&name);
        let why = format!(
            "the address and port of {name:?} are not certain, because another line about it or its \
             groups can't be read"
        );
        return Err(record_error(position, why));
    }
    let (text, position) = match &address {
        Some(VariableValue { text, position }) => (&**text, *position),
        None => (name.as_str(), position),
    };
    if text.contains("{{") {
        let why = "this is a template, which only Ansible can fill in; write the address";
        return Err(record_error(position, why.into()));
    }
    if !grammar::is_single_host(text) {
        let why = format!("{:?} is neither a name nor an address", grammar::excerpt(text));
        return Err(record_error(position, why));
    }
    let item = match &port {
        None => without_ports(text),
        Some(VariableValue { text: port, position }) => {
            let Ok(number @ 1_u16..) = port.trim().parse() else {
                let why = format!("{:?} is not a port from 1 to 65535", grammar::excerpt(port));
                return Err(record_error(*position, why));
            };
            with_ports(text, number)
        }
    };
    let label = (text != name).then_some(name);
    let TextPosition { line, column } = position;
    Ok(InputEntry { item, label, line, column })
}
