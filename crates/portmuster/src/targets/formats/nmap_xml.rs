//! What `nmap -oX`, `masscan -oX` and our own output xml write.

use std::{io::BufRead, net::IpAddr};

use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    reader::Reader,
};

use super::{
    Entry, InputFormat, PassedOver, Tally,
    tracked::{Place, Tracked},
    with_ports,
};
use crate::targets::{LineError, LineErrorKind, Ports, grammar};

/// Bytes that a tag or a text may have: what scripts say is in attributes.
const EVENT_MAX: usize = 8 << 20;
/// Elements in each other; nmap has ten.
const DEPTH_MAX: usize = 64;

/// Hosts without a port that may be open.
pub(super) const NOTHING_OPEN: &str =
    "hosts that are up and have no open TCP port (-p LIST checks ports of all that are up)";
/// Ports that nmap has only counted.
const SUMMED_UP: &str = "ports in a state of open that nmap counts and does not name";

/// Reads the open ports of a scan, or its hosts.
#[derive(Debug)]
pub(super) struct NmapXml<R> {
    reader: Reader<Tracked<R>>,
    buffer: Vec<u8>,
    hosts_up: bool,
    depth: usize,
    has_root: bool,
    is_complete: bool,
    host: Option<Host>,
    passed_over: Tally,
}

/// What was read of one host.
#[derive(Debug)]
struct Host {
    place: Place,
    is_down: bool,
    address: Option<IpAddr>,
    name: Option<String>,
    has_users_name: bool,
    /// The TCP port that is being read.
    port: Option<u16>,
    /// A bit for each port; nothing while none is open.
    open: Vec<u64>,
}

/// Whether a port in this state may be open.
pub(super) fn may_be_open(state: &str) -> bool {
    matches!(state, "open" | "open|filtered")
}

impl Host {
    fn new(place: Place) -> Self {
        Self {
            place,
            is_down: false,
            address: None,
            name: None,
            has_users_name: false,
            port: None,
            open: Vec::new(),
        }
    }

    fn add_open(&mut self, port: u16) {
        if self.open.is_empty() {
            self.open = vec![0; 1024];
        }
        self.open[usize::from(port / 64)] |= 1 << (port % 64);
    }

    fn open_ports(&self) -> Option<Ports> {
        let of_word = |(word, bits): (u16, &u64)| {
            let bits = *bits;
            (0..64_u16).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| 64 * word + bit)
        };
        let words = (0..).zip(&self.open).filter(|(_, bits)| **bits != 0);
        Ports::of_numbers(words.flat_map(of_word))
    }
}

impl<R: BufRead> NmapXml<R> {
    pub(super) fn new(input: R, hosts_up: bool) -> Self {
        Self {
            reader: Reader::from_reader(Tracked::new(input, EVENT_MAX)),
            buffer: Vec::new(),
            hosts_up,
            depth: 0,
            has_root: false,
            is_complete: false,
            host: None,
            passed_over: Tally::default(),
        }
    }

    pub(super) fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over.0
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, LineError> {
        while !self.is_complete {
            self.reader.get_mut().begin_record();
            let place = self.reader.get_ref().place();
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let entry = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => self.take(&event, place),
                Err(error) => {
                    let place = self.reader.get_ref().place();
                    Err(broken(place, &error.to_string()))
                }
            };
            self.buffer = buffer;
            if let Some(entry) = entry? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn take(&mut self, event: &Event<'_>, place: Place) -> Result<Option<Entry>, LineError> {
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(broken(place, "its elements are too deep in each other"));
                }
                self.begin(tag, place)?;
            }
            Event::Empty(tag) => {
                self.begin(tag, place)?;
                return Ok(self.end(tag.local_name().as_ref()));
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                return Ok(self.end(tag.local_name().as_ref()));
            }
            Event::Text(text) if self.depth == 0 && !text.trim_ascii().is_empty() => {
                return Err(broken(place, "it is no XML: text stands outside of its root"));
            }
            Event::Eof => {
                return Err(broken(
                    place,
                    "it ends before </nmaprun>, so hosts may be missing; when the scan was broken \
                     off, nmap --resume completes it",
                ));
            }
            _ => {}
        }
        Ok(None)
    }

    fn begin(&mut self, tag: &BytesStart<'_>, place: Place) -> Result<(), LineError> {
        let name = tag.local_name();
        if !self.has_root {
            self.has_root = true;
            if name.as_ref() != "nmaprun" {
                let name = grammar::excerpt(name.as_ref());
                return Err(broken(place, &format!("its root is <{name}>, not <nmaprun>")));
            }
            return Ok(());
        }
        if name.as_ref() == "host" {
            self.host = Some(Host::new(place));
            return Ok(());
        }
        let Some(host) = &mut self.host else { return Ok(()) };
        let value = |name: &str| value(tag, name, place);
        match name.as_ref() {
            "status" => host.is_down = value("state")?.is_some_and(|state| state == "down"),
            "address" if value("addrtype")?.is_none_or(|kind| kind.starts_with("ipv")) => {
                let text = value("addr")?.unwrap_or_default();
                let address = text.parse().map_err(|_| {
                    broken(place, &format!("{:?} is no address", grammar::excerpt(&text)))
                })?;
                host.address.get_or_insert(address);
            }
            "hostname" => {
                let is_users = value("type")?.is_some_and(|kind| kind == "user");
                if host.name.is_none() || (is_users && !host.has_users_name) {
                    host.name = value("name")?.filter(|name| !name.is_empty());
                    host.has_users_name = is_users;
                }
            }
            "port" => {
                let is_tcp = value("protocol")?.is_none_or(|protocol| protocol == "tcp");
                let text = value("portid")?.unwrap_or_default();
                host.port = None;
                if is_tcp {
                    let number: u16 = text.parse().map_err(|_| {
                        broken(place, &format!("{:?} is no port", grammar::excerpt(&text)))
                    })?;
                    host.port = Some(number).filter(|number| *number > 0);
                }
            }
            "state" => {
                if let Some(port) = host.port.take()
                    && value("state")?.is_some_and(|state| may_be_open(&state))
                {
                    host.add_open(port);
                }
            }
            "extraports" if value("state")?.is_some_and(|state| may_be_open(&state)) => {
                let count = value("count")?.and_then(|count| count.parse().ok()).unwrap_or(1);
                self.passed_over.lose(count, SUMMED_UP);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str) -> Option<Entry> {
        match name {
            "host" => self.host.take().and_then(|host| self.entry(host)),
            "nmaprun" if self.depth == 0 => {
                self.is_complete = true;
                None
            }
            _ => None,
        }
    }

    fn entry(&mut self, host: Host) -> Option<Entry> {
        let address = host.address.filter(|_| !host.is_down)?.to_string();
        let item = if self.hosts_up {
            address
        } else if let Some(ports) = host.open_ports() {
            with_ports(&address, ports)
        } else {
            self.passed_over.add(1, NOTHING_OPEN);
            return None;
        };
        let Place { line, column } = host.place;
        Some(Entry { item, label: host.name, line, column })
    }
}

fn value(tag: &BytesStart<'_>, name: &str, place: Place) -> Result<Option<String>, LineError> {
    let broken = |error: &dyn std::fmt::Display| broken(place, &error.to_string());
    let Some(found) = tag.try_get_attribute(name).map_err(|error| broken(&error))? else {
        return Ok(None);
    };
    let value = found.normalized_value(XmlVersion::Implicit1_0).map_err(|error| broken(&error))?;
    Ok(Some(value.into_owned()))
}

fn broken(place: Place, why: &str) -> LineError {
    let Place { line, column } = place;
    let why = grammar::shortened(why);
    LineError { line, column, kind: LineErrorKind::Document { format: InputFormat::NmapXml, why } }
}
