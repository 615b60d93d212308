//! Reads the output of masscan: `-oL` (one line per port), `-oJ` and `-oD` (one JSON object per
//! port).

use std::{io::BufRead, net::IpAddr};

use serde::Deserialize;

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

/// The maximum number of bytes of a record, which may contain a banner.
const RECORD_MAX: usize = 1 << 20;

const NOT_OPEN: RecordKind =
    ("port that is not an open TCP port", "ports that are not open TCP ports");

/// Reads the open ports of a scan, or its hosts.
#[derive(Debug)]
pub(super) struct MasscanReader<R> {
    input: TrackedReader<R>,
    hosts_up: bool,
    /// Whether the input is in a JSON array, whose end was not read yet.
    is_in_array: bool,
    skipped: SkipCounter,
}

/// A JSON object of masscan. Other fields are ignored.
#[derive(Debug, Deserialize)]
struct ScannedAddress {
    ip: IpAddr,
    #[serde(flatten)]
    ports: ScannedPorts,
}

/// The ports of a JSON object: a list (`-oJ`), or one port (`-oD`).
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an object must have `ports` or `port`, with states that masscan writes"
)]
enum ScannedPorts {
    List { ports: Vec<ScannedPort> },
    One(ScannedPort),
}

/// A port of a JSON object.
#[derive(Debug, Deserialize)]
struct ScannedPort {
    #[serde(rename = "port")]
    number: u16,
    proto: Option<String>,
    status: Option<ScannedStatus>,
    #[serde(default)]
    data: ScannedData,
}

/// The further fields of a port by `-oD`.
#[derive(Debug, Default, Deserialize)]
struct ScannedData {
    status: Option<ScannedStatus>,
}

/// The state of a port; a record of a banner has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScannedStatus {
    Open,
    Closed,
    Arp,
    Up,
    Down,
}

impl ScannedPort {
    fn is_open(&self) -> bool {
        let is_tcp = self.proto.as_deref().is_none_or(|protocol| protocol == "tcp");
        let status = self.status.or(self.data.status);
        self.number > 0 && is_tcp && status.is_none_or(|status| status == ScannedStatus::Open)
    }
}

impl<R: BufRead> MasscanReader<R> {
    /// Creates a reader of the hosts, or else of the open ports.
    pub(super) fn new(input: R, hosts_up: bool) -> Self {
        let skipped = SkipCounter::default();
        Self { input: TrackedReader::new(input, RECORD_MAX), hosts_up, is_in_array: false, skipped }
    }

    /// Counts the skipped records.
    pub(super) fn skipped_records(&self) -> &[SkippedRecords] {
        self.skipped.counts()
    }

    /// Reads the next target; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<InputEntry>, LineError> {
        loop {
            self.input.begin_record();
            let position = self.input.position();
            let next = self.fill_buf(position)?.first().copied();
            let entry = match next {
                None if self.is_in_array => {
                    return Err(document_error(
                        position,
                        "it ends before the ] of its list".into(),
                    ));
                }
                None => return Ok(None),
                // The JSON array around the objects.
                Some(b'[') => {
                    self.is_in_array = true;
                    self.input.consume(1);
                    continue;
                }
                Some(b']') => {
                    self.is_in_array = false;
                    self.input.consume(1);
                    continue;
                }
                // Some versions write a comma after the last object.
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xef | 0xbb | 0xbf) => {
                    self.input.consume(1);
                    continue;
                }
                Some(b'{') => self.read_object(position)?,
                Some(b'<') => {
                    let TextPosition { line, column } = position;
                    let (format, actual) = (InputFormat::Masscan, InputFormat::NmapXml);
                    let kind = LineErrorKind::OtherFormat { format, actual };
                    return Err(LineError { line, column, kind });
                }
                Some(_) => self.read_line(position)?,
            };
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }

    /// Reads a JSON object that begins at this position.
    fn read_object(&mut self, position: TextPosition) -> Result<Option<InputEntry>, LineError> {
        let mut json = serde_json::Deserializer::from_reader(&mut self.input);
        let record = match ScannedAddress::deserialize(&mut json) {
            Ok(record) => record,
            Err(error) => {
                let error = document_error(self.input.position(), without_position(&error));
                // Some versions end the output with `{finished: 1}`, which is not JSON.
                let is_end = self.rest_of_line(position)?.starts_with("inished: 1");
                return if is_end { Ok(None) } else { Err(error) };
            }
        };
        let ports = match record.ports {
            ScannedPorts::List { ports } => ports,
            ScannedPorts::One(port) => vec![port],
        };
        let open = ports.iter().filter(|port| port.is_open()).map(|port| port.number);
        Ok(self.entry(record.ip, Ports::from_numbers(open), position))
    }

    /// Reads a line such as `open tcp 22 10.0.0.1 1700000000` or
    /// `banner tcp 22 10.0.0.1 1700000000 ssh …`, which begins at this position.
    fn read_line(&mut self, position: TextPosition) -> Result<Option<InputEntry>, LineError> {
        let line = self.rest_of_line(position)?;
        if line.starts_with('#') {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let [status, protocol, port, address] =
            [words.next(), words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
        let error = |why: String| {
            let TextPosition { line, column } = position;
            LineError {
                line,
                column,
                kind: LineErrorKind::Record { format: InputFormat::Masscan, why },
            }
        };
        if !matches!(status, "open" | "closed" | "banner") || address.is_empty() {
            let why = "a line must have a state, a protocol, a port, an address and a time";
            return Err(error(why.into()));
        }
        let address = address
            .parse()
            .map_err(|_| error(format!("{:?} is not an address", grammar::excerpt(address))))?;
        let number: u16 = port
            .parse()
            .map_err(|_| error(format!("{:?} is not a port", grammar::excerpt(port))))?;
        let is_open = number > 0 && protocol == "tcp" && status != "closed";
        let ports = is_open.then(|| Ports::one(number));
        Ok(self.entry(address, ports, position))
    }

    /// Returns the target of a record, or counts the record as skipped.
    fn entry(
        &mut self,
        address: IpAddr,
        ports: Option<Ports>,
        position: TextPosition,
    ) -> Option<InputEntry> {
        let TextPosition { line, column } = position;
        let entry = |item| Some(InputEntry { item, label: None, line, column });
        let address = address.to_string();
        if self.hosts_up {
            return entry(without_ports(&address));
        }
        let Some(ports) = ports else {
            self.skipped.add(1, NOT_OPEN);
            return None;
        };
        entry(with_ports(&address, ports))
    }

    /// Reads the buffered bytes. The position is that of an error.
    fn fill_buf(&mut self, position: TextPosition) -> Result<&[u8], LineError> {
        self.input.fill_buf().map_err(|error| document_error(position, error.to_string()))
    }

    /// Reads to the end of the line. The position is that of an error.
    fn rest_of_line(&mut self, position: TextPosition) -> Result<String, LineError> {
        let mut line = Vec::new();
        loop {
            let read = self.fill_buf(position)?;
            let end = read.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = end.unwrap_or(read.len());
            line.extend_from_slice(&read[..length]);
            self.input.consume(length);
            if end.is_some() || length == 0 {
                break;
            }
        }
        // masscan escapes banners, but other programs that write its format may not.
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// Returns the message of an error without its position, which does not count the bytes before the
/// object.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    grammar::shortened(text)
}

/// Creates the error of an input that can't be read further.
fn document_error(position: TextPosition, why: String) -> LineError {
    let TextPosition { line, column } = position;
    LineError { line, column, kind: LineErrorKind::Document { format: InputFormat::Masscan, why } }
}
