//! Reads the output of `nmap -oX` and `masscan -oX`, and the XML output of portmuster.

use std::{io::BufRead, net::IpAddr, str::FromStr};

use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    reader::Reader,
};

use super::{
    entry::{InputEntry, with_ports, without_ports},
    skipped_records::{RecordKind, SkipCounter, SkippedRecords},
    tracked::{TextPosition, TrackedReader},
};
use crate::targets::{
    grammar,
    input_format::InputFormat,
    line_error::{LineError, LineErrorKind},
    ports::Ports,
};

/// The maximum number of bytes of a tag or a text. Attributes contain the output of nmap scripts.
const EVENT_MAX: usize = 8 << 20;
/// The maximum depth of nested elements; nmap nests ten.
const DEPTH_MAX: usize = 64;

/// The kind of skipped records: hosts without a port that may be open.
pub(super) const NOTHING_OPEN: RecordKind = (
    "host that is up and has no open TCP port (-p LIST checks ports of every host that is up)",
    "hosts that are up and have no open TCP port (-p LIST checks ports of every host that is up)",
);
/// The kind of skipped records: ports that nmap counted without listing them.
const ONLY_COUNTED: RecordKind = (
    "port that may be open, which nmap counted without listing it",
    "ports that may be open, which nmap counted without listing them",
);

/// Reads the open ports of a scan, or its hosts that are up.
#[derive(Debug)]
pub(super) struct NmapXmlReader<R> {
    reader: Reader<TrackedReader<R>>,
    buffer: Vec<u8>,
    hosts_up: bool,
    /// The number of open elements.
    depth: usize,
    has_root: bool,
    /// Whether the root element was closed.
    is_complete: bool,
    /// The host whose element is open.
    host: Option<ScannedHost>,
    skipped: SkipCounter,
}

/// The data of one host element.
#[derive(Debug)]
struct ScannedHost {
    position: TextPosition,
    is_down: bool,
    address: Option<IpAddr>,
    name: Option<String>,
    /// Whether `name` is the one that the user of nmap gave.
    has_user_name: bool,
    /// The TCP port whose element is open.
    port: Option<u16>,
    /// One bit for each port, 1 if it may be open; empty if no port may be.
    open: Vec<u64>,
}

/// Returns whether a port in this state may be open.
pub(super) fn may_be_open(state: &str) -> bool {
    matches!(state, "open" | "open|filtered")
}

impl ScannedHost {
    fn new(position: TextPosition) -> Self {
        Self {
            position,
            is_down: false,
            address: None,
            name: None,
            has_user_name: false,
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

    /// Returns the ports that may be open; `None` if there is none.
    fn open_ports(&self) -> Option<Ports> {
        let ports_of_word = |(word, bits): (u16, &u64)| {
            let bits = *bits;
            (0..64_u16).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| 64 * word + bit)
        };
        let words = (0..).zip(&self.open).filter(|(_, bits)| **bits != 0);
        Ports::from_numbers(words.flat_map(ports_of_word))
    }
}

impl<R: BufRead> NmapXmlReader<R> {
    /// Creates a reader of the hosts that are up, or else of the open ports.
    pub(super) fn new(input: R, hosts_up: bool) -> Self {
        Self {
            reader: Reader::from_reader(TrackedReader::new(input, EVENT_MAX)),
            buffer: Vec::new(),
            hosts_up,
            depth: 0,
            has_root: false,
            is_complete: false,
            host: None,
            skipped: SkipCounter::default(),
        }
    }

    /// Counts the skipped records.
    pub(super) fn skipped_records(&self) -> &[SkippedRecords] {
        self.skipped.counts()
    }

    /// Reads the next target; `None` at the end.
    ///
    /// # Errors
    /// The document is not valid, or it ends before its root element does.
    pub(super) fn next_entry(&mut self) -> Result<Option<InputEntry>, LineError> {
        while !self.is_complete {
            self.reader.get_mut().begin_record();
            let position = self.reader.get_ref().position();
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let entry = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => self.handle(&event, position),
                Err(error) => {
                    let position = self.reader.get_ref().position();
                    Err(document_error(position, &error.to_string()))
                }
            };
            self.buffer = buffer;
            if let Some(entry) = entry? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Handles one event of the parser. Returns the target of a host whose element ends.
    fn handle(
        &mut self,
        event: &Event<'_>,
        position: TextPosition,
    ) -> Result<Option<InputEntry>, LineError> {
        match event {
            Event::Start(tag) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(document_error(position, "its elements are nested too deeply"));
                }
                self.begin(tag, position)?;
            }
            Event::Empty(tag) => {
                self.begin(tag, position)?;
                return Ok(self.end(tag.local_name().as_ref()));
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                return Ok(self.end(tag.local_name().as_ref()));
            }
            Event::Text(text) if self.depth == 0 && !text.trim_ascii().is_empty() => {
                return Err(document_error(position, "it has text outside of its root element"));
            }
            Event::Eof => {
                return Err(document_error(
                    position,
                    "it ends before </nmaprun>, so hosts may be missing; if the scan was interrupted, \
                     nmap --resume completes it",
                ));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Handles the start of an element.
    fn begin(&mut self, tag: &BytesStart<'_>, position: TextPosition) -> Result<(), LineError> {
        let name = tag.local_name();
        if !self.has_root {
            self.has_root = true;
            if name.as_ref() != "nmaprun" {
                let name = grammar::excerpt(name.as_ref());
                let why = format!("its root element is <{name}>, not <nmaprun>");
                return Err(document_error(position, &why));
            }
            return Ok(());
        }
        if name.as_ref() == "host" {
            self.host = Some(ScannedHost::new(position));
            return Ok(());
        }
        let Some(host) = &mut self.host else { return Ok(()) };
        let value = |name: &str| attribute(tag, name, position);
        match name.as_ref() {
            "status" => host.is_down = value("state")?.is_some_and(|state| state == "down"),
            "address" if value("addrtype")?.is_none_or(|kind| kind.starts_with("ipv")) => {
                let text = value("addr")?.unwrap_or_default();
                host.address.get_or_insert(parse_value(&text, "an address", position)?);
            }
            "hostname" => {
                let is_user_name = value("type")?.is_some_and(|kind| kind == "user");
                if host.name.is_none() || (is_user_name && !host.has_user_name) {
                    host.name = value("name")?.filter(|name| !name.is_empty());
                    host.has_user_name = is_user_name;
                }
            }
            "port" => {
                let is_tcp = value("protocol")?.is_none_or(|protocol| protocol == "tcp");
                let text = value("portid")?.unwrap_or_default();
                host.port = None;
                if is_tcp {
                    let number: u16 = parse_value(&text, "a port", position)?;
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
                self.skipped.add_hidden(count, ONLY_COUNTED);
            }
            _ => {}
        }
        Ok(())
    }

    /// Handles the end of an element.
    fn end(&mut self, name: &str) -> Option<InputEntry> {
        match name {
            "host" => self.host.take().and_then(|host| self.entry(host)),
            "nmaprun" if self.depth == 0 => {
                self.is_complete = true;
                None
            }
            _ => None,
        }
    }

    /// Returns the target of a host, or counts the host as skipped.
    fn entry(&mut self, host: ScannedHost) -> Option<InputEntry> {
        let address = host.address.filter(|_| !host.is_down)?.to_string();
        let item = if self.hosts_up {
            without_ports(&address)
        } else if let Some(ports) = host.open_ports() {
            with_ports(&address, ports)
        } else {
            self.skipped.add(1, NOTHING_OPEN);
            return None;
        };
        let TextPosition { line, column } = host.position;
        Some(InputEntry { item, label: host.name, line, column })
    }
}

/// Returns the value of an attribute; `None` if the element does not have it.
fn attribute(
    tag: &BytesStart<'_>,
    name: &str,
    position: TextPosition,
) -> Result<Option<String>, LineError> {
    let error = |error: &dyn std::fmt::Display| document_error(position, &error.to_string());
    let Some(found) = tag.try_get_attribute(name).map_err(|cause| error(&cause))? else {
        return Ok(None);
    };
    let value = found.normalized_value(XmlVersion::Implicit1_0).map_err(|cause| error(&cause))?;
    Ok(Some(value.into_owned()))
}

/// Parses the value of an attribute. `kind` says in an error what the text should be.
fn parse_value<T: FromStr>(text: &str, kind: &str, position: TextPosition) -> Result<T, LineError> {
    text.parse().map_err(|_| {
        document_error(position, &format!("{:?} is not {kind}", grammar::excerpt(text)))
    })
}

/// Creates the error of a document that can't be read further.
fn document_error(position: TextPosition, why: &str) -> LineError {
    let TextPosition { line, column } = position;
    let why = grammar::shortened(why);
    LineError { line, column, kind: LineErrorKind::Document { format: InputFormat::NmapXml, why } }
}
