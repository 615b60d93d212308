//! A table with a row for each host, written at the end.

use std::{
    io::{self, Write},
    path::Path,
};

use anstyle::{AnsiColor, Style};

use super::{
    keyed::{KeyedRows, damaged},
    layout::{LABEL_COLUMNS, LABEL_COLUMNS_NARROW, NARROW, Paint, address_of_name, colour},
    order::{TableOrder, host_of_key},
};
use crate::{
    outcome::{Outcome, PortState, Service},
    sink::{
        fit::{columns, pad, shorten},
        interface::{Ending, Sink},
        text::escape_line,
    },
};

/// The columns of a host, enough for any IPv4 address.
const HOST_COLUMNS: usize = 16;

/// The most columns of the software of a server.
const SOFTWARE_MAX: usize = 32;

/// The fewest columns of the ports.
const PORTS_MIN: usize = 16;

/// The most columns of the ports of a host if the width is not limited. A host may have 65,535 ports.
const PORTS_MAX: usize = 1 << 20;

/// The colours of ports, by the number that records have.
const COLOURS: [Option<AnsiColor>; 5] = [
    None,
    Some(AnsiColor::Red),
    Some(AnsiColor::Yellow),
    Some(AnsiColor::Green),
    Some(AnsiColor::Magenta),
];

/// Writes one row for each host with all its ports, when the run ends. Hosts and ports are in order.
///
/// A name that has several addresses has a row for each of them. Ports that do not fit into 32 MiB of
/// memory are kept in temporary files without names.
#[derive(Debug)]
pub struct HostTable<W> {
    output: W,
    paint: Paint,
    /// The most columns of a row. `None`: as many as it needs.
    width: Option<usize>,
    has_labels: bool,
    ports: KeyedRows,
}

impl<W: Write> HostTable<W> {
    /// Creates a table. Temporary files are created in the folder `scratch`.
    pub fn new(output: W, paint: Paint, scratch: &Path) -> Self {
        let ports = KeyedRows::new(scratch);
        Self { output, paint, width: None, has_labels: false, ports }
    }

    /// Limits rows to the width of a terminal, in columns; `None`, the default: no limit. A row whose
    /// ports do not fit ends with the number of the others.
    #[must_use]
    pub fn width(self, width: Option<usize>) -> Self {
        Self { width, ..self }
    }

    /// Adds a column for the labels of hosts: that of the first port that has one.
    #[must_use]
    pub fn labels(self, has_labels: bool) -> Self {
        Self { has_labels, ..self }
    }

    fn write_all(&mut self) -> io::Result<()> {
        let Some(ports) = self.ports.take() else { return self.output.flush() };
        let bold = self.paint.style(Style::new().bold());
        let header = self.cells("HOST", "LABEL") + "PORTS";
        writeln!(self.output, "{bold}{header}{bold:#}")?;
        let mut host: Option<(Vec<u8>, HostRow)> = None;
        ports.for_each(|key, port| {
            let (key, port) = (host_of_key(key), PortText::decode(port).ok_or_else(damaged)?);
            match &mut host {
                Some((last, row)) if last == key => row.add(port),
                _ => {
                    if let Some((_, row)) = host.take() {
                        self.write_host(row)?;
                    }
                    host = Some((key.to_vec(), self.row(port)));
                }
            }
            Ok(())
        })?;
        if let Some((_, row)) = host {
            self.write_host(row)?;
        }
        self.output.flush()
    }

    /// Begins the row of a host with its first port.
    fn row(&self, port: PortText) -> HostRow {
        let cells = self.cells(&port.host, "");
        let room = self.width.map_or(PORTS_MAX, |width| width.saturating_sub(columns(&cells)));
        let (host, label) = (port.host.clone(), String::new());
        let mut row = HostRow { host, label, ports: Vec::new(), used: 0, hidden: 0, room };
        row.add(port);
        row
    }

    /// Formats the columns before the ports.
    fn cells(&self, host: &str, label: &str) -> String {
        let is_narrow = self.width.is_some_and(|width| width < NARROW);
        let label_columns = if is_narrow { LABEL_COLUMNS_NARROW } else { LABEL_COLUMNS };
        let (mut host, mut label) = (pad(host, HOST_COLUMNS), label.to_owned());
        if let Some(width) = self.width {
            let labels = if self.has_labels { label_columns + 1 } else { 0 };
            let most = width.saturating_sub(labels + 1 + PORTS_MIN).max(HOST_COLUMNS);
            host = shorten(&host, most).into_owned();
            label = shorten(&label, label_columns).into_owned();
        }
        let label = if self.has_labels {
            format!("{} ", pad(&label, label_columns))
        } else {
            String::new()
        };
        format!("{host} {label}")
    }

    fn write_host(&mut self, mut row: HostRow) -> io::Result<()> {
        let more = row.make_room_for_more();
        let cells = self.cells(&row.host, &row.label);
        write!(self.output, "{cells}")?;
        for (index, port) in row.ports.iter().enumerate() {
            let style = port.colour.map_or(Style::new(), AnsiColor::on_default);
            let style = self.paint.style(style);
            let comma = if index == 0 { "" } else { ", " };
            write!(self.output, "{comma}{style}{}{style:#}", port.text)?;
        }
        writeln!(self.output, "{more}")
    }
}

impl<W: Write> Sink for HostTable<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        let key = TableOrder::Host.key(outcome);
        self.ports.add(&key, PortText::of(outcome).encode().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ports.check()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.ports.check()?;
        let written = self.write_all();
        self.ports.keep(written)
    }
}

/// What a row says of one port of its host.
struct PortText {
    colour: Option<AnsiColor>,
    host: String,
    label: String,
    text: String,
}

impl PortText {
    fn of(outcome: &Outcome) -> Self {
        let host = escape_line(outcome.target.host.to_string().as_bytes());
        let host = match address_of_name(outcome) {
            Some(address) => format!("{host} ({address})"),
            None => host,
        };
        let label = outcome.target.label.as_deref().unwrap_or_default();
        Self {
            colour: colour(&outcome.verdict),
            host,
            label: escape_line(label.as_bytes()),
            text: describe_port(outcome),
        }
    }

    /// Joins the texts. They are escaped, so none contains NUL.
    fn encode(&self) -> String {
        let colour = COLOURS.iter().position(|&it| it == self.colour).unwrap_or_default();
        [&*colour.to_string(), &self.host, &self.label, &self.text].join("\0")
    }

    fn decode(text: &[u8]) -> Option<Self> {
        let mut parts = str::from_utf8(text).ok()?.split('\0');
        let mut part = || parts.next().map(str::to_owned);
        let colour = *COLOURS.get(part()?.parse::<usize>().ok()?)?;
        Some(Self { colour, host: part()?, label: part()?, text: part()? })
    }
}

/// Describes a port in short: its number, its service or state, and what is known of its server.
fn describe_port(outcome: &Outcome) -> String {
    let (port, verdict) = (outcome.target.port, &outcome.verdict);
    let Some(service) = verdict.service.filter(|_| verdict.state == PortState::Open) else {
        return format!("{port} {}", verdict.state);
    };
    let details = verdict.details.as_deref();
    let about = match service {
        Service::Other => {
            details.and_then(|it| it.protocol.as_ref()).map(|name| format!("({name})"))
        }
        _ => details.and_then(|it| it.identification.as_ref()).map(|identification| {
            shorten(&escape_line(&identification.software), SOFTWARE_MAX).into_owned()
        }),
    };
    let weak = match verdict.findings().len() {
        0 => None,
        count => Some(format!("[{count} weak]")),
    };
    let about = about.into_iter().chain(weak);
    about.fold(format!("{port} {service}"), |text, about| format!("{text} {about}"))
}

/// The row of a host while its ports are added.
struct HostRow {
    host: String,
    /// The label of the first port that has one.
    label: String,
    ports: Vec<PortText>,
    /// The columns that these ports take.
    used: usize,
    /// The number of ports that do not fit.
    hidden: usize,
    /// The columns for ports.
    room: usize,
}

impl HostRow {
    fn add(&mut self, mut port: PortText) {
        if self.label.is_empty() {
            self.label.clone_from(&port.label);
        }
        if self.ports.is_empty() && self.hidden == 0 {
            port.text = shorten(&port.text, self.room).into_owned();
        }
        let wanted = self.used + separated(&port, self.ports.len());
        if self.hidden > 0 || wanted > self.room {
            self.hidden += 1;
        } else {
            self.used = wanted;
            self.ports.push(port);
        }
    }

    /// Removes ports until there is room for the number of those that are not shown, and returns this
    /// text; empty: all are shown.
    fn make_room_for_more(&mut self) -> String {
        while self.hidden > 0 {
            let more = match self.ports.len() {
                0 if self.hidden == 1 => "1 port".to_owned(),
                0 => format!("{} ports", self.hidden),
                _ => format!(", {} more", self.hidden),
            };
            if self.used + columns(&more) <= self.room || self.ports.is_empty() {
                return shorten(&more, self.room).into_owned();
            }
            if let Some(last) = self.ports.pop() {
                self.used -= separated(&last, self.ports.len());
                self.hidden += 1;
            }
        }
        String::new()
    }
}

/// Returns the columns of a port after so many others.
fn separated(port: &PortText, others: usize) -> usize {
    columns(&port.text) + if others == 0 { 0 } else { ", ".len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Account, sink::samples};

    #[test]
    fn port_that_cannot_be_read_back_is_an_error() {
        for text in [&b""[..], b"0\0host", b"9\0host\0label\0text", b"0\0\xff\0label\0text"] {
            let mut output = Vec::new();
            let mut table = HostTable::new(&mut output, Paint::Plain, &std::env::temp_dir());
            table.write(&samples::everything()).expect("it fits into memory");
            table.ports.add(b"\x09\0\x16", text).expect("it fits into memory");
            let ending = Ending::new(Account::default(), 0, std::time::UNIX_EPOCH);
            let error = table.finish(&ending).expect_err("the port is damaged");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{}", text.escape_ascii());
            let later = table.finish(&ending).expect_err("the table has failed");
            assert!(later.to_string().starts_with("an earlier write failed: "), "{later}");
        }
    }
}
