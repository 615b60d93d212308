//! The formats in which people have lists of targets, and which of them an input has.
//!
//! Each reader streams: it holds a record of bounded size, and of ansible's inventories, in which
//! variables may stand behind their hosts, the hosts of one inventory.

use std::{
    fmt,
    io::{self, BufRead, Chain, Cursor, Read},
    str::FromStr,
};

use thiserror::Error;

use super::{ItemError, LINE_MAX, LineError, LineErrorKind, LineRule, Lines};

mod ansible;
mod csv;
mod detect;
mod known_hosts;
mod masscan;
mod nmap_grep;
mod nmap_xml;
mod tracked;

pub use csv::{Column, Columns, ColumnsError};

use self::{
    ansible::Ansible, csv::Csv, known_hosts::KnownHosts, masscan::Masscan, nmap_grep::NmapGrep,
    nmap_xml::NmapXml,
};

/// A format of lists of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InputFormat {
    /// Targets, by lines or by white space.
    List,
    /// A table with separators: comma, semicolon or tab.
    Csv,
    /// What `nmap -oX` and `masscan -oX` write.
    NmapXml,
    /// What `nmap -oG` and `masscan -oG` write.
    NmapGrep,
    /// What `masscan -oL`, `-oJ` and `-oD` write.
    Masscan,
    /// The `known_hosts` of OpenSSH, sshd(8).
    KnownHosts,
    /// An inventory of ansible: in INI, or the JSON of `ansible-inventory --list`.
    Ansible,
}

/// A name that is no format's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a format of lists")]
pub struct UnknownInputFormat(String);

impl InputFormat {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Csv,
        Self::NmapXml,
        Self::NmapGrep,
        Self::Masscan,
        Self::KnownHosts,
        Self::Ansible,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Csv => "csv",
            Self::NmapXml => "nmap-xml",
            Self::NmapGrep => "nmap-grep",
            Self::Masscan => "masscan",
            Self::KnownHosts => "known-hosts",
            Self::Ansible => "ansible",
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for InputFormat {
    type Err = UnknownInputFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownInputFormat(name.to_owned()))
    }
}

/// How an input is read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct InputOptions {
    /// Its format; `None`: the one that its beginning shows.
    pub format: Option<InputFormat>,
    /// The columns of CSV; `None`: by the header row, or host, port and label in this order.
    pub columns: Option<Columns>,
    /// Whether whatever follows a target of a list is its label.
    pub labels: bool,
    /// Whether of a scan all hosts that are up are taken, without ports. Else it is the ports that
    /// the scan found open.
    pub hosts_up: bool,
}

impl InputOptions {
    /// What follows a target on a line of a list.
    #[must_use]
    pub fn line_rule(&self) -> LineRule {
        match self.format {
            _ if self.labels => LineRule::AnyLabel,
            Some(InputFormat::List) => LineRule::Targets,
            _ => LineRule::Label,
        }
    }
}

/// Records of an input that give no target, and are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassedOver {
    /// How many there were.
    pub count: u64,
    /// What they are, as the object of a sentence: "hashed names, which can't be read".
    pub what: &'static str,
    /// Whether they name targets that can't be read from them, so that these are not checked.
    pub is_lost: bool,
}

/// Counts of records that give no target, by what they are.
#[derive(Debug, Clone, Default)]
struct Tally(Vec<PassedOver>);

impl Tally {
    /// Counts records that name no target.
    fn add(&mut self, count: u64, what: &'static str) {
        self.count(PassedOver { count, what, is_lost: false });
    }

    /// Counts records that name targets which can't be read from them.
    fn lose(&mut self, count: u64, what: &'static str) {
        self.count(PassedOver { count, what, is_lost: true });
    }

    fn count(&mut self, more: PassedOver) {
        match self.0.iter_mut().find(|passed_over| passed_over.what == more.what) {
            Some(passed_over) => passed_over.count = passed_over.count.saturating_add(more.count),
            None => self.0.push(more),
        }
    }
}

/// A target as a record of an input has it, in the grammar of lists.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    item: String,
    label: Option<String>,
    line: u64,
    column: usize,
}

/// A host and its ports as one item.
fn with_ports(host: &str, ports: impl fmt::Display) -> String {
    if host.contains(':') && !host.starts_with('[') {
        return format!("[{host}]:{ports}");
    }
    format!("{host}:{ports}")
}

/// An input of which the beginning was looked at.
type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// Reads the targets of an input, whatever its format, in bounded memory.
///
/// Nothing is read before the first target is asked for, and then no more than what has arrived
/// when the first line is whole.
#[derive(Debug)]
pub struct Entries<R> {
    options: InputOptions,
    reader: Reader<R>,
    /// An error has ended it.
    has_failed: bool,
}

#[derive(Debug)]
enum Reader<R> {
    Unopened(Option<R>),
    List(Lines<Peeked<R>>),
    Csv(Box<Csv<Peeked<R>>>),
    NmapXml(Box<NmapXml<Peeked<R>>>),
    NmapGrep(Box<NmapGrep<Peeked<R>>>),
    Masscan(Box<Masscan<Peeked<R>>>),
    KnownHosts(Box<KnownHosts<Peeked<R>>>),
    Ansible(Box<Ansible<Peeked<R>>>),
}

impl<R: BufRead> Entries<R> {
    /// Reads from `input`.
    pub fn new(input: R, options: InputOptions) -> Self {
        Self { options, reader: Reader::Unopened(Some(input)), has_failed: false }
    }

    /// The format that is read; `None` before the first target was asked for.
    pub fn format(&self) -> Option<InputFormat> {
        Some(match self.reader {
            Reader::Unopened(_) => return None,
            Reader::List(_) => InputFormat::List,
            Reader::Csv(_) => InputFormat::Csv,
            Reader::NmapXml(_) => InputFormat::NmapXml,
            Reader::NmapGrep(_) => InputFormat::NmapGrep,
            Reader::Masscan(_) => InputFormat::Masscan,
            Reader::KnownHosts(_) => InputFormat::KnownHosts,
            Reader::Ansible(_) => InputFormat::Ansible,
        })
    }

    /// Whether the options name the format, or columns that only one has.
    pub fn is_format_given(&self) -> bool {
        self.options.format.is_some() || self.options.columns.is_some()
    }

    /// What was passed over up to now, because it names no target.
    pub fn passed_over(&self) -> &[PassedOver] {
        match &self.reader {
            Reader::Unopened(_) | Reader::List(_) | Reader::Csv(_) => &[],
            Reader::NmapXml(reader) => reader.passed_over(),
            Reader::NmapGrep(reader) => reader.passed_over(),
            Reader::Masscan(reader) => reader.passed_over(),
            Reader::KnownHosts(reader) => reader.passed_over(),
            Reader::Ansible(reader) => reader.passed_over(),
        }
    }

    /// The next item and its label; `None` at the end.
    /// `read` makes something of it; where it can't, its column becomes one of the line.
    ///
    /// # Errors
    /// What can't be read, and where. After a [final](LineErrorKind::is_final) error nothing more
    /// comes.
    pub fn next_item<T>(
        &mut self,
        read: impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        if self.has_failed {
            return Ok(None);
        }
        let item = self.open().and_then(|()| self.read_item(read));
        self.has_failed = item.as_ref().is_err_and(|error| error.kind.is_final());
        item
    }

    fn read_item<T>(
        &mut self,
        mut read: impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        let entry = match &mut self.reader {
            Reader::Unopened(_) => None,
            Reader::List(lines) => return lines.next_item(read),
            Reader::Csv(reader) => reader.next_entry()?,
            Reader::NmapXml(reader) => reader.next_entry()?,
            Reader::NmapGrep(reader) => reader.next_entry()?,
            Reader::Masscan(reader) => reader.next_entry()?,
            Reader::KnownHosts(reader) => reader.next_entry()?,
            Reader::Ansible(reader) => reader.next_entry()?,
        };
        let Some(Entry { item, label, line, column }) = entry else { return Ok(None) };
        let label = label.map(|label| of_one_line(&label)).filter(|label| !label.is_empty());
        read(&item, label.as_deref()).map(Some).map_err(|error| {
            let column = column.saturating_add(error.column - 1);
            LineError { line, column, kind: error.into() }
        })
    }

    /// Chooses the reader, when that has not been done.
    fn open(&mut self) -> Result<(), LineError> {
        let Reader::Unopened(input) = &mut self.reader else { return Ok(()) };
        let Some(mut input) = input.take() else { return Ok(()) };
        let beginning = detect::peek(&mut input).map_err(failed)?;
        let options = &self.options;
        let format = options.format.unwrap_or_else(|| match &options.columns {
            Some(_) => InputFormat::Csv,
            None => detect::format(&beginning),
        });
        let columns = options.columns.clone();
        let separator = csv::separator(&beginning);
        let input = Cursor::new(beginning).chain(input);
        self.reader = match format {
            InputFormat::List => Reader::List(Lines::with_rule(input, options.line_rule())),
            InputFormat::Csv => Reader::Csv(Csv::new(input, separator, columns).into()),
            InputFormat::NmapXml => Reader::NmapXml(NmapXml::new(input, options.hosts_up).into()),
            InputFormat::NmapGrep => {
                Reader::NmapGrep(NmapGrep::new(input, options.hosts_up).into())
            }
            InputFormat::Masscan => Reader::Masscan(Masscan::new(input, options.hosts_up).into()),
            InputFormat::KnownHosts => Reader::KnownHosts(KnownHosts::new(input).into()),
            InputFormat::Ansible => Reader::Ansible(Ansible::new(input).into()),
        };
        Ok(())
    }
}

/// The label as a line of a list may have it.
fn of_one_line(label: &str) -> String {
    let label = &label[..label.floor_char_boundary(LINE_MAX)];
    label.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn failed(error: io::Error) -> LineError {
    LineError { line: 1, column: 1, kind: LineErrorKind::Io(error) }
}

#[cfg(test)]
mod tests;
