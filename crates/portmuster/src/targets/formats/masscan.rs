//! What masscan writes: `-oL` (a line for each port), `-oJ` and `-oD` (JSON for each).

use std::{io::BufRead, net::IpAddr};

use serde::Deserialize;

use super::{
    Entry, InputFormat, PassedOver, Tally,
    tracked::{Place, Tracked},
    with_ports,
};
use crate::targets::{LineError, LineErrorKind, Ports, grammar};

/// Bytes that a record may have, with a banner.
const RECORD_MAX: usize = 1 << 20;

const NOT_OPEN: &str = "ports that are not open TCP ports";

/// Reads the open ports of a scan, or its hosts.
#[derive(Debug)]
pub(super) struct Masscan<R> {
    input: Tracked<R>,
    hosts_up: bool,
    passed_over: Tally,
}

/// An object of JSON. What else it has is of no interest.
#[derive(Debug, Deserialize)]
struct Record {
    ip: IpAddr,
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(rename = "port")]
    number: u16,
    proto: Option<String>,
    status: Option<String>,
}

impl<R: BufRead> Masscan<R> {
    pub(super) fn new(input: R, hosts_up: bool) -> Self {
        let passed_over = Tally::default();
        Self { input: Tracked::new(input, RECORD_MAX), hosts_up, passed_over }
    }

    pub(super) fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over.0
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, LineError> {
        loop {
            self.input.begin_record();
            let place = self.input.place();
            let read = self.input.fill_buf().map_err(|error| document(place, error.to_string()))?;
            let entry = match read.first() {
                None => return Ok(None),
                // The list of objects, in which some versions leave a comma at the end.
                Some(b' ' | b'\t' | b'\r' | b'\n' | b'[' | b']' | b',' | 0xef | 0xbb | 0xbf) => {
                    self.input.consume(1);
                    continue;
                }
                Some(b'{') => self.object(place)?,
                Some(b'<') => {
                    let why = "this is XML, which is read with --input-format nmap-xml";
                    return Err(document(place, why.into()));
                }
                Some(_) => self.line(place)?,
            };
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }

    fn object(&mut self, place: Place) -> Result<Option<Entry>, LineError> {
        let mut json = serde_json::Deserializer::from_reader(&mut self.input);
        let record = match Record::deserialize(&mut json) {
            Ok(record) => record,
            Err(error) => {
                let error = document(self.input.place(), without_place(&error));
                // What some versions write at the end, which is no JSON: `{finished: 1}`.
                let is_end = self.rest_of_line(place)?.starts_with("inished: 1");
                return if is_end { Ok(None) } else { Err(error) };
            }
        };
        let is_open = |port: &&Port| {
            let is = |value: &Option<String>, wanted: &str| {
                value.as_deref().is_none_or(|value| value == wanted)
            };
            port.number > 0 && is(&port.proto, "tcp") && is(&port.status, "open")
        };
        let ports = Ports::of_numbers(record.ports.iter().filter(is_open).map(|port| port.number));
        Ok(self.entry(record.ip, ports, place))
    }

    /// Reads `open tcp 22 10.0.0.1 1700000000`, or `banner tcp 22 10.0.0.1 1700000000 ssh …`.
    fn line(&mut self, place: Place) -> Result<Option<Entry>, LineError> {
        let line = self.rest_of_line(place)?;
        if line.starts_with('#') {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let [status, protocol, port, address] =
            [words.next(), words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
        let error = |why: String| {
            let Place { line, column } = place;
            LineError {
                line,
                column,
                kind: LineErrorKind::Record { format: InputFormat::Masscan, why },
            }
        };
        if !matches!(status, "open" | "closed" | "banner") || address.is_empty() {
            let why = "a line has a state, a protocol, a port, an address and a time";
            return Err(error(why.into()));
        }
        let address = address
            .parse()
            .map_err(|_| error(format!("{:?} is no address", grammar::excerpt(address))))?;
        let number: u16 =
            port.parse().map_err(|_| error(format!("{:?} is no port", grammar::excerpt(port))))?;
        let is_open = number > 0 && protocol == "tcp" && status != "closed";
        let ports = is_open.then(|| Ports::one(number));
        Ok(self.entry(address, ports, place))
    }

    fn entry(&mut self, address: IpAddr, ports: Option<Ports>, place: Place) -> Option<Entry> {
        let Place { line, column } = place;
        let entry = |item| Some(Entry { item, label: None, line, column });
        let address = address.to_string();
        if self.hosts_up {
            return entry(address);
        }
        let Some(ports) = ports else {
            self.passed_over.add(1, NOT_OPEN);
            return None;
        };
        entry(with_ports(&address, ports))
    }

    fn rest_of_line(&mut self, place: Place) -> Result<String, LineError> {
        let mut line = Vec::new();
        loop {
            let read = self.input.fill_buf().map_err(|error| document(place, error.to_string()))?;
            let end = read.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = end.unwrap_or(read.len());
            line.extend_from_slice(&read[..length]);
            self.input.consume(length);
            if end.is_some() || length == 0 {
                break;
            }
        }
        // Banners have been escaped, but not by everybody.
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// What is wrong, without the place, which is that of the whole input here.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    grammar::shortened(text)
}

fn document(place: Place, why: String) -> LineError {
    let Place { line, column } = place;
    LineError { line, column, kind: LineErrorKind::Document { format: InputFormat::Masscan, why } }
}
