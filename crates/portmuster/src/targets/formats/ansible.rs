//! Inventories of ansible: in INI, and the JSON of `ansible-inventory --list` and of scripts.
//!
//! A variable of a group may stand behind its hosts, so an inventory is read whole before the first
//! host is handed over.

use std::{io::BufRead, vec};

use super::{
    Entry, InputFormat, PassedOver,
    tracked::{Place, Tracked},
    with_ports,
};
use crate::targets::{LineError, LineErrorKind, grammar};

mod ini;
mod inventory;
mod json;

use self::inventory::{Host, Inventory, Value};

/// Bytes that an inventory may have.
const INVENTORY_MAX: usize = 256 << 20;

/// Reads the hosts of an inventory.
#[derive(Debug)]
pub(super) struct Ansible<R> {
    input: Option<R>,
    hosts: vec::IntoIter<Host>,
}

impl<R: BufRead> Ansible<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: Some(input), hosts: Vec::new().into_iter() }
    }

    /// An inventory has nothing that is passed over.
    #[expect(clippy::unused_self, reason = "as of every reader")]
    pub(super) fn passed_over(&self) -> &[PassedOver] {
        &[]
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, LineError> {
        if let Some(input) = self.input.take() {
            self.hosts = read(input)?.into_hosts()?.into_iter();
        }
        self.hosts.next().map(entry).transpose()
    }
}

fn read<R: BufRead>(input: R) -> Result<Inventory, LineError> {
    let mut input = Tracked::new(input, INVENTORY_MAX);
    loop {
        let place = input.place();
        let read = input.fill_buf().map_err(|error| document(place, error.to_string()))?;
        match read.first() {
            Some(b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf) => input.consume(1),
            Some(b'{') => return json::read(&mut input),
            _ => return ini::read(&mut input),
        }
    }
}

fn entry(host: Host) -> Result<Entry, LineError> {
    let Host { name, place, address, port } = host;
    let (text, Place { line, column }) = match &address {
        Some(Value { text, place }) => (&**text, *place),
        None => (name.as_str(), place),
    };
    if text.contains("{{") {
        let why = "this is a template, which only ansible can fill in; write the address";
        return Err(record(Place { line, column }, why.into()));
    }
    if !grammar::is_one_host(text) {
        let why = format!("{:?} is neither a name nor an address", grammar::excerpt(text));
        return Err(record(Place { line, column }, why));
    }
    let item = match &port {
        None => text.to_owned(),
        Some(Value { text: port, place }) => {
            let Ok(number @ 1_u16..) = port.trim().parse() else {
                let why = format!("{:?} is not a port from 1 to 65535", grammar::excerpt(port));
                return Err(record(*place, why));
            };
            with_ports(text, number)
        }
    };
    let label = (text != name).then_some(name);
    Ok(Entry { item, label, line, column })
}

fn record(place: Place, why: String) -> LineError {
    let Place { line, column } = place;
    LineError { line, column, kind: LineErrorKind::Record { format: InputFormat::Ansible, why } }
}

fn document(place: Place, why: String) -> LineError {
    let Place { line, column } = place;
    LineError { line, column, kind: LineErrorKind::Document { format: InputFormat::Ansible, why } }
}
