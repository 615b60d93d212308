//! The JSON of `ansible-inventory --list`, and of scripts that say the same.

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
    LineError, Place, document,
    inventory::{Inventory, Value, is_wanted},
};
use crate::targets::{formats::tracked::Tracked, grammar};

/// What is read of the document.
struct Reading<'a, R> {
    input: &'a RefCell<&'a mut Tracked<R>>,
    inventory: RefCell<Inventory>,
    /// What is wrong with the inventory, and not with the JSON.
    error: RefCell<Option<LineError>>,
}

/// Reads as it is asked to, so that the place is known at every moment.
struct Shared<'a, R>(&'a RefCell<&'a mut Tracked<R>>);

impl<R: BufRead> Read for Shared<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

/// Reads an inventory.
pub(super) fn read<R: BufRead>(input: &mut Tracked<R>) -> Result<Inventory, LineError> {
    let input = RefCell::new(input);
    let reading =
        Reading { input: &input, inventory: RefCell::default(), error: RefCell::default() };
    let mut json = serde_json::Deserializer::from_reader(Shared(&input));
    let result = json.deserialize_map(Groups(&reading)).and_then(|()| json.end());
    if let Some(error) = reading.error.take() {
        return Err(error);
    }
    if let Err(error) = result {
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or(&text);
        return Err(document(reading.place(), grammar::shortened(text)));
    }
    Ok(reading.inventory.take())
}

impl<R: BufRead> Reading<'_, R> {
    /// Where the reader stands: behind what was read last.
    fn place(&self) -> Place {
        self.input.borrow().place()
    }

    /// Does something to the inventory; its error ends the document.
    fn with<T, E: serde::de::Error>(
        &self,
        act: impl FnOnce(&mut Inventory, Place) -> Result<T, LineError>,
    ) -> Result<T, E> {
        let place = self.place();
        act(&mut self.inventory.borrow_mut(), place).map_err(|error| {
            *self.error.borrow_mut() = Some(error);
            E::custom("the inventory is not sound")
        })
    }
}

/// Whose variables are read.
#[derive(Clone, Copy)]
enum Owner {
    Host(usize),
    Group(usize),
}

/// The document: groups by their names, and `_meta`.
struct Groups<'a, R>(&'a Reading<'a, R>);
/// What `_meta` has: variables by hosts.
struct Meta<'a, R>(&'a Reading<'a, R>);
/// Hosts and their variables.
struct HostVariables<'a, R>(&'a Reading<'a, R>);
/// A group: its hosts, or an object with these, its children and its variables.
struct Group<'a, R>(&'a Reading<'a, R>, usize);
/// The names of a group's hosts, or of its children.
struct Names<'a, R>(&'a Reading<'a, R>, usize, Member);
/// Variables.
struct Variables<'a, R>(&'a Reading<'a, R>, Owner);
/// A variable's value, when it is a text or a number.
struct Scalar;

#[derive(Clone, Copy)]
enum Member {
    Host,
    Child,
}

impl<'de, R: BufRead> Visitor<'de> for Groups<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with a member for each group")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "_meta" {
                map.next_value_seed(Meta(self.0))?;
            } else {
                let group = self.0.with(|inventory, place| inventory.group(&key, place))?;
                map.next_value_seed(Group(self.0, group))?;
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
    Meta by deserialize_map,
    HostVariables by deserialize_map,
    Group by deserialize_any,
    Names by deserialize_seq,
    Variables by deserialize_map
);

impl<'de, R: BufRead> Visitor<'de> for Meta<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with hostvars")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "hostvars" {
                map.next_value_seed(HostVariables(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for HostVariables<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the variables of each host")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let host = self.0.with(|inventory, place| inventory.host(&name, place))?;
            map.next_value_seed(Variables(self.0, Owner::Host(host)))?;
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for Group<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a group: an object, or a list of hosts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Names(self.0, self.1, Member::Host).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "hosts" => map.next_value_seed(Names(self.0, self.1, Member::Host))?,
                "children" => map.next_value_seed(Names(self.0, self.1, Member::Child))?,
                "vars" => map.next_value_seed(Variables(self.0, Owner::Group(self.1)))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for Names<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of names, as `ansible-inventory -i FILE --list` writes it")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(reading, group, member) = self;
        while let Some(name) = seq.next_element::<String>()? {
            reading.with(|inventory, place| match member {
                Member::Host => {
                    let host = inventory.host(&name, place)?;
                    inventory.join(host, group, place)
                }
                Member::Child => {
                    let child = inventory.group(&name, place)?;
                    inventory.join_group(child, group, place)
                }
            })?;
        }
        Ok(())
    }
}

impl<'de, R: BufRead> Visitor<'de> for Variables<'_, R> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of variables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reading, owner) = self;
        while let Some(key) = map.next_key::<String>()? {
            if !is_wanted(&key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let text = map.next_value_seed(Scalar)?;
            let value = Value::new(&text, reading.place());
            let mut inventory = reading.inventory.borrow_mut();
            match owner {
                Owner::Host(host) => inventory.set_host(host, &key, value),
                Owner::Group(group) => inventory.set_group(group, &key, value),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<String, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Scalar {
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
