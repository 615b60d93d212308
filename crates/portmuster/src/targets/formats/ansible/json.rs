//! Reads inventories in JSON, as `ansible-inventory --list` and inventory scripts write them.

use std::{
    cell::RefCell,
    fmt,
    io::{self, BufRead, Read},
};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    error::document_error,
    inventory::{Inventory, VariableValue, is_connection_variable},
};
use crate::targets::{
    formats::tracked::{TextPosition, TrackedReader},
    grammar,
    line_error::LineError,
};

/// The state that all visitors of the document share.
struct JsonState<'a, R> {
    input: &'a RefCell<&'a mut TrackedReader<R>>,
    inventory: RefCell<Inventory>,
    /// An error of the inventory, as opposed to one of the JSON.
    error: RefCell<Option<LineError>>,
}

/// A reader that shares the input with the visitors, which need its position.
struct SharedReader<'a, R>(&'a RefCell<&'a mut TrackedReader<R>>);

impl<R: BufRead> Read for SharedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

/// Reads an inventory.
pub(super) fn read<R: BufRead>(input: &mut TrackedReader<R>) -> Result<Inventory, LineError> {
    let input = RefCell::new(input);
    let state =
        JsonState { input: &input, inventory: RefCell::default(), error: RefCell::default() };
    let mut json = serde_json::Deserializer::from_reader(SharedReader(&input));
    let result = json.deserialize_map(DocumentVisitor(&state)).and_then(|()| json.end());
    if let Some(error) = state.error.take() {
        return Err(error);
    }
    if let Err(error) = result {
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or(&text);
        return Err(document_error(state.position(), grammar::shortened(text)));
    }
    Ok(state.inventory.take())
}

impl<R: BufRead> JsonState<'_, R> {
    /// Returns the position after the last byte that was read.
    fn position(&self) -> TextPosition {
        self.input.borrow().position()
    }

    /// Calls a function with the inventory and the position. An error of it ends the document.
    fn update<T, E: serde::de::Error>(
        &self,
        update: impl FnOnce(&mut Inventory, TextPosition) -> Result<T, LineError>,
    ) -> Result<T, E> {
        let position = self.position();
        update(&mut self.inventory.borrow_mut(), position).map_err(|error| {
            *self.error.borrow_mut() = Some(error);
            E::custom("the inventory is not valid")
        })
    }
}

/// The host or group that variables belong to, by its index.
#[derive(Clone, Copy)]
enum VariableOwner {
    Host(usize),
    Group(usize),
}

/// Visits the document: an object of groups by name, and `_meta`.
struct DocumentVisitor<'a, R>(&'a JsonState<'a, R>);
/// Visits `_meta`, which contains the variables of each host.
struct MetaVisitor<'a, R>(&'a JsonState<'a, R>);
/// Visits an object of hosts with their variables.
struct HostVariablesVisitor<'a, R>(&'a JsonState<'a, R>);
/// Visits a group: a list of its hosts, or an object with its hosts, children and variables.
struct GroupVisitor<'a, R>(&'a JsonState<'a, R>, usize);
/// Visits the names of a group's hosts or of its children.
struct NamesVisitor<'a, R>(&'a JsonState<'a, R>, usize, MemberKind);
/// Visits an object of variables.
struct VariablesVisitor<'a, R>(&'a JsonState<'a, R>, VariableOwner);
/// Visits the value of a variable: a text, a number or null.
struct ScalarVisitor;

/// The kind of a group's members.
#[derive(Clone, Copy)]
enum MemberKind {
    Host,
    Child,
}

impl<'de, R: BufRead> Visitor<'de> for DocumentVisitor<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with a member for each group")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "_meta" {
                map.next_value_seed(MetaVisitor(self.0))?;
            } else {
                let group = self.0.update(|inventory, position| inventory.group(&key, position))?;
                map.next_value_seed(GroupVisitor(self.0, group))?;
            }
        }
        Ok(())
    }
}

macro_rules! seeds {
    ($($name:ident by $method:ident),*) => {$(
        impl<'de, R: BufRead> DeserializeSeed<'de> for $name<'_, R> {
            type Value = ();

            fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
                json.$method(self)
            }
        }
    )*};
}

seeds!(
    MetaVisitor by deserialize_map,
    HostVariablesVisitor by deserialize_map,
    GroupVisitor by deserialize_any,
    NamesVisitor by deserialize_seq,
    VariablesVisitor by deserialize_map
);

impl<'de, R: BufRead> Visitor<'de> for MetaVisitor<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with hostvars")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "hostvars" {
                map.next_value_seed(HostVariablesVisitor(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for HostVariablesVisitor<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the variables of each host")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let host = self.0.update(|inventory, position| inventory.host(&name, position))?;
            map.next_value_seed(VariablesVisitor(self.0, VariableOwner::Host(host)))?;
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for GroupVisitor<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a group: an object, or a list of hosts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        NamesVisitor(self.0, self.1, MemberKind::Host).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "hosts" => map.next_value_seed(NamesVisitor(self.0, self.1, MemberKind::Host))?,
                "children" => {
                    map.next_value_seed(NamesVisitor(self.0, self.1, MemberKind::Child))?;
                }
                "vars" => {
                    map.next_value_seed(VariablesVisitor(self.0, VariableOwner::Group(self.1)))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for NamesVisitor<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of names, as `ansible-inventory -i FILE --list` writes it")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(state, group, member) = self;
        while let Some(name) = seq.next_element::<String>()? {
            state.update(|inventory, position| match member {
                MemberKind::Host => {
                    let host = inventory.host(&name, position)?;
                    inventory.add_host(host, group, position)
                }
                MemberKind::Child => {
                    let child = inventory.group(&name, position)?;
                    inventory.add_child(child, group, position)
                }
            })?;
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for VariablesVisitor<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of variables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(state, owner) = self;
        while let Some(key) = map.next_key::<String>()? {
            if !is_connection_variable(&key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let text = map.next_value_seed(ScalarVisitor)?;
            let value = VariableValue::new(&text, state.position());
            let mut inventory = state.inventory.borrow_mut();
            match owner {
                VariableOwner::Host(host) => inventory.set_host_variable(host, &key, value),
                VariableOwner::Group(group) => inventory.set_group_variable(group, &key, value),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for ScalarVisitor {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<String, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for ScalarVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a number")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<String, E> {
        Ok(String::new())
    }
}
