//! Tables with separators (RFC 4180), of which columns are the host, the port and the label.

use std::{borrow::Cow, fmt, io::BufRead, str::FromStr};

use csv_core::{ReadFieldResult, ReaderBuilder};
use memchr::memchr_iter;
use thiserror::Error;

use super::{
    Entry, InputFormat,
    tracked::{Place, Tracked},
    with_ports,
};
use crate::targets::{ItemError, LineError, LineErrorKind, Ports, grammar};

/// Bytes that a row may have.
const ROW_MAX: usize = 1 << 20;
/// Columns that a row may have.
const COLUMNS_MAX: usize = 16_384;
/// Bytes of a cell that are decoded at once.
const CHUNK: usize = 1024;

/// Titles of the column with hosts, the surest first, without case, spaces and signs.
const HOSTS: [&str; 24] = [
    "ip",
    "ipaddress",
    "ipaddr",
    "ipv4",
    "ipv4address",
    "hostip",
    "managementip",
    "mgmtip",
    "target",
    "host",
    "address",
    "addr",
    "fqdn",
    "hostname",
    "dnsname",
    "server",
    "servername",
    "node",
    "ips",
    "ipaddresses",
    "hosts",
    "targets",
    "addresses",
    "hostnames",
];
/// Those of them that are one on a line of their own, where the others may be names.
const LONE: [&str; 14] = [
    "ip",
    "ipaddress",
    "ipaddr",
    "ipv4address",
    "host",
    "hostname",
    "address",
    "fqdn",
    "ips",
    "ipaddresses",
    "hosts",
    "targets",
    "addresses",
    "hostnames",
];
const PORTS: [&str; 7] = ["port", "ports", "portnumber", "portid", "tcpport", "dstport", "sshport"];
const LABELS: [&str; 8] =
    ["label", "name", "comment", "description", "hostname", "fqdn", "dnsname", "servername"];

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The one with this title in the header row; case does not matter.
    Named(String),
    /// The nth, counted from 1.
    Numbered(usize),
}

/// Which columns of a table are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Hosts: addresses, networks, ranges, names, with or without ports.
    pub host: Column,
    /// Ports; where the cell is empty, the run's.
    pub port: Option<Column>,
    /// Labels.
    pub label: Option<Column>,
}

/// Why a text names no columns.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ColumnsError {
    /// The column of hosts is not named.
    #[error("the column of hosts is missing: HOST,PORT,LABEL, such as ip,port,name or 1,2,3")]
    NoHost,
    /// More than three are named.
    #[error("there are three columns: HOST,PORT,LABEL, such as ip,port,name or 1,2,3")]
    TooMany,
    /// Columns are counted from 1.
    #[error("there is no column 0; they are counted from 1")]
    Zero,
}

impl FromStr for Columns {
    type Err = ColumnsError;

    /// Reads `HOST[,PORT[,LABEL]]`, each the title or the number of a column, or nothing.
    fn from_str(text: &str) -> Result<Self, ColumnsError> {
        let mut columns = text.split(',').map(|column| Column::parse(column.trim()));
        let host = columns.next().transpose()?.flatten().ok_or(ColumnsError::NoHost)?;
        let port = columns.next().transpose()?.flatten();
        let label = columns.next().transpose()?.flatten();
        if columns.next().is_some() {
            return Err(ColumnsError::TooMany);
        }
        Ok(Self { host, port, label })
    }
}

impl Column {
    fn parse(text: &str) -> Result<Option<Self>, ColumnsError> {
        match text.parse() {
            Ok(0) => Err(ColumnsError::Zero),
            Ok(number) => Ok(Some(Self::Numbered(number))),
            Err(_) if text.is_empty() => Ok(None),
            Err(_) => Ok(Some(Self::Named(text.to_owned()))),
        }
    }

    /// Its place in the header row, from 0.
    fn place(&self, header: &[Cell]) -> Option<usize> {
        match self {
            Self::Numbered(number) => Some(number - 1),
            Self::Named(name) => {
                let name = simplified(name);
                header.iter().position(|cell| simplified(&cell.text()) == name)
            }
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => formatter.write_str(name),
            Self::Numbered(number) => number.fmt(formatter),
        }
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |column: &Option<Column>| column.as_ref().map(ToString::to_string);
        let [port, label] = [&self.port, &self.label].map(|it| text(it).unwrap_or_default());
        write!(formatter, "{},{port},{label}", self.host)
    }
}

/// A title without case, spaces and signs.
fn simplified(title: &str) -> String {
    let letters = title.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether the line is a header row in which the column of hosts has a known title.
pub(super) fn is_header(line: &str) -> bool {
    header_separator(line).is_some() || LONE.contains(&simplified_lone(line).as_str())
}

fn simplified_lone(line: &str) -> String {
    // A name with a domain, an address or a sentence is no title.
    if line.contains(['.', ':', '#', '[', '/']) { String::new() } else { simplified(line) }
}

fn header_separator(line: &str) -> Option<char> {
    ['\t', ';', ','].into_iter().find(|&separator| {
        let titles = || line.split(separator).map(|title| title.trim().trim_matches('"'));
        let is_title = |title: &str| title.chars().count() <= 40 && !title.contains(['.', ':']);
        titles().count() > 1
            && titles().all(is_title)
            && titles().any(|title| HOSTS.contains(&simplified(title).as_str()))
    })
}

/// What separates the columns of a table that begins so.
pub(super) fn separator(beginning: &[u8]) -> u8 {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let text = String::from_utf8_lossy(beginning);
    let mut lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
    let Some(first) = lines.next() else { return b',' };
    if let Some(separator) = header_separator(first) {
        return u8::try_from(separator).unwrap_or(b',');
    }
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut is_quoted = false;
    for byte in first.bytes() {
        is_quoted ^= byte == b'"';
        for (separator, count) in &mut counts {
            *count += usize::from(byte == *separator && !is_quoted);
        }
    }
    // The last of those that are as many.
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.filter(|(_, count)| *count > 0).map_or(b',', |(separator, _)| separator)
}

/// A cell of a row.
#[derive(Debug)]
struct Cell {
    bytes: Vec<u8>,
    place: Place,
    is_quoted: bool,
}

impl Cell {
    fn text(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.bytes);
        match text.strip_prefix('\u{feff}') {
            Some(rest) => Cow::Owned(rest.to_owned()),
            None => text,
        }
    }

    /// The text without white space around it, if it is one.
    fn strict_text(&self) -> Result<&str, LineError> {
        let Place { line, column } = self.place;
        let error = |_| LineError { line, column, kind: LineErrorKind::NotText };
        let text = std::str::from_utf8(&self.bytes).map_err(error)?;
        Ok(text.trim_start_matches('\u{feff}').trim())
    }

    fn is_empty(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

/// The places of the columns in a row, from 0.
#[derive(Debug, Clone, Copy)]
struct Plan {
    host: usize,
    port: Option<usize>,
    label: Option<usize>,
}

/// Reads the rows of a table.
#[derive(Debug)]
pub(super) struct Csv<R> {
    input: Tracked<R>,
    core: csv_core::Reader,
    columns: Option<Columns>,
    plan: Option<Plan>,
    row: Vec<Cell>,
}

impl<R: BufRead> Csv<R> {
    pub(super) fn new(input: R, separator: u8, columns: Option<Columns>) -> Self {
        Self {
            input: Tracked::new(input, ROW_MAX),
            core: ReaderBuilder::new().delimiter(separator).build(),
            columns,
            plan: None,
            row: Vec::new(),
        }
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, LineError> {
        while self.read_row()? {
            if self.row.iter().all(Cell::is_empty) {
                continue;
            }
            let Some(plan) = self.plan else {
                let (plan, is_header) = self.planned()?;
                self.plan = Some(plan);
                if is_header {
                    continue;
                }
                return self.entry(plan).map(Some);
            };
            return self.entry(plan).map(Some);
        }
        Ok(None)
    }

    /// Reads a row; false at the end.
    fn read_row(&mut self) -> Result<bool, LineError> {
        self.row.clear();
        self.input.begin_record();
        // The end of the line before, and blank lines.
        loop {
            let place = self.input.place();
            let read = self.input.fill_buf().map_err(|error| document(place, &error))?;
            if !matches!(read.first(), Some(b'\n' | b'\r')) {
                break;
            }
            self.input.consume(1);
            self.input.begin_record();
        }
        loop {
            if self.row.len() >= COLUMNS_MAX {
                let why = format!("a row has more than {COLUMNS_MAX} columns");
                return Err(document(self.input.place(), &why));
            }
            match self.read_cell()? {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => return Ok(!self.row.is_empty()),
            }
        }
    }

    /// Reads a cell, and whether it is the last of its row; `None` at the end.
    fn read_cell(&mut self) -> Result<Option<bool>, LineError> {
        let place = self.input.place();
        let mut cell = Cell { bytes: Vec::new(), place, is_quoted: false };
        let (mut quotes, mut has_begun) = (0, false);
        loop {
            let read = self.input.fill_buf().map_err(|error| document(place, &error))?;
            let mut chunk = [0; CHUNK];
            let (result, taken, written) = self.core.read_field(read, &mut chunk);
            let raw = &read[..taken];
            if !has_begun && !raw.is_empty() {
                has_begun = true;
                cell.is_quoted =
                    raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(raw).starts_with(b"\"");
            }
            quotes += memchr_iter(b'"', raw).count();
            cell.bytes.extend_from_slice(&chunk[..written]);
            self.input.consume(taken);
            match result {
                ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
                ReadFieldResult::End => return Ok(None),
                // An odd number of quotes: one of them is open, and has swallowed what followed.
                ReadFieldResult::Field { .. } if cell.is_quoted && quotes % 2 == 1 => {
                    return Err(document(place, &"the quote that begins this cell is not closed"));
                }
                ReadFieldResult::Field { record_end } => {
                    self.row.push(cell);
                    return Ok(Some(record_end));
                }
            }
        }
    }

    /// The places of the columns, and whether the first row is a header.
    fn planned(&self) -> Result<(Plan, bool), LineError> {
        let header = &self.row;
        let Some(columns) = &self.columns else { return self.planned_unasked() };
        let place = |column: &Column| {
            column.place(header).ok_or_else(|| {
                let titles: Vec<_> = header.iter().map(|cell| cell.text()).collect();
                let why = format!(
                    "no column is called {:?}; there are {}",
                    column.to_string(),
                    grammar::shortened(&titles.join(", "))
                );
                self.row_error(0, why)
            })
        };
        let plan = Plan {
            host: place(&columns.host)?,
            port: columns.port.as_ref().map(place).transpose()?,
            label: columns.label.as_ref().map(place).transpose()?,
        };
        let all = [Some(&columns.host), columns.port.as_ref(), columns.label.as_ref()];
        let is_named = all.into_iter().flatten().any(|it| matches!(it, Column::Named(_)));
        let has_title = header
            .get(plan.host)
            .is_some_and(|cell| HOSTS.contains(&simplified(&cell.text()).as_str()));
        Ok((plan, is_named || has_title))
    }

    /// By the titles of a header, or else host, port and label in this order.
    fn planned_unasked(&self) -> Result<(Plan, bool), LineError> {
        let titles: Vec<_> = self.row.iter().map(|cell| simplified(&cell.text())).collect();
        let find = |known: &[&str], not: Option<usize>| {
            let place = |known: &&str| {
                titles.iter().enumerate().position(|(at, title)| title == known && Some(at) != not)
            };
            known.iter().find_map(place)
        };
        if let Some(host) = find(&HOSTS, None) {
            let (port, label) = (find(&PORTS, None), find(&LABELS, Some(host)));
            return Ok((Plan { host, port, label }, true));
        }
        let host = self.row.first().map(Cell::text).unwrap_or_default();
        let port = self.row.get(1).map(Cell::text);
        let is_host = grammar::parse(host.trim())
            .is_ok_and(|item| !matches!(item.hosts, grammar::Hosts::Name(_)) || host.contains('.'));
        let is_port =
            port.is_none_or(|port| port.trim().is_empty() || Ports::parse(port.trim()).is_ok());
        if !is_host || !is_port {
            let why = "it has no header with known titles, and does not begin with a host and a \
                       port; name the columns: --column HOST,PORT,LABEL, such as ip,port,name or \
                       1,2,3";
            return Err(LineError {
                kind: LineErrorKind::Document { format: InputFormat::Csv, why: why.into() },
                ..self.row_error(0, String::new())
            });
        }
        let (port, label) = (Some(1), Some(2));
        Ok((Plan { host: 0, port, label }, false))
    }

    fn entry(&self, plan: Plan) -> Result<Entry, LineError> {
        let cell = |place: usize| self.row.get(place).filter(|cell| !cell.is_empty());
        let Some(host) = cell(plan.host) else {
            return Err(self.row_error(plan.host, "the cell of the host is empty".into()));
        };
        let mut item = host.strict_text()?.to_owned();
        if let Some(port) = plan.port.and_then(cell) {
            let text = port.strict_text()?;
            let column = port.place.column + usize::from(port.is_quoted) + leading(port);
            Ports::parse(text).map_err(|(at, error)| LineError {
                line: port.place.line,
                column: column + at,
                kind: ItemError { column: 1, kind: error.into() }.into(),
            })?;
            if grammar::parse(&item).is_ok_and(|item| item.ports.is_some()) {
                let at = plan.port.unwrap_or_default();
                return Err(
                    self.row_error(at, "ports stand in the cell of the host as well".into())
                );
            }
            item = with_ports(&item, text);
        }
        let label = plan.label.and_then(cell).map(|cell| cell.text().trim().to_owned());
        let Place { line, column } = host.place;
        let column = column + usize::from(host.is_quoted) + leading(host);
        Ok(Entry { item, label, line, column })
    }

    /// An error at a cell of the row, or behind the last.
    fn row_error(&self, place: usize, why: String) -> LineError {
        let cell = self.row.get(place).or(self.row.last());
        let Place { line, column } = cell.map_or(self.input.place(), |cell| cell.place);
        LineError { line, column, kind: LineErrorKind::Record { format: InputFormat::Csv, why } }
    }
}

/// White space before the text of a cell.
fn leading(cell: &Cell) -> usize {
    cell.text().chars().take_while(|letter| letter.is_whitespace()).count()
}

fn document(place: Place, why: &dyn fmt::Display) -> LineError {
    let Place { line, column } = place;
    let kind = LineErrorKind::Document { format: InputFormat::Csv, why: why.to_string() };
    LineError { line, column, kind }
}
