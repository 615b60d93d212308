//! Reads target lists in every supported format, and detects the format.
//!
//! Each reader streams: it keeps one record of bounded size. The exception is the reader of Ansible
//! inventories, which keeps all hosts, because variables may follow the hosts that they belong to.

use std::io::{self, BufRead, Chain, Cursor, Read};

use super::{
    grammar::ItemError,
    input_format::InputFormat,
    limits::LINE_MAX,
    line_error::{LineError, LineErrorKind},
    lines::{LineRule, Lines},
};

mod ansible;
mod columns;
mod csv;
mod csv_header;
mod detect;
mod entry;
mod known_hosts;
mod masscan;
mod nmap_grep;
mod nmap_xml;
mod skipped_records;
#[cfg(test)]
mod tests;
mod tracked;

use self::{
    ansible::AnsibleReader, csv::CsvReader, entry::InputEntry, known_hosts::KnownHostsReader,
    masscan::MasscanReader, nmap_grep::NmapGrepReader, nmap_xml::NmapXmlReader,
};
pub use self::{
    columns::{Column, Columns, ColumnsError, ColumnsErrorKind},
    skipped_records::SkippedRecords,
};

/// Options for reading an input. Start from the default, which detects the format, and set fields.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct InputOptions {
    /// The format; `None` detects it from the beginning of the input.
    pub format: Option<InputFormat>,
    /// The columns of CSV; `None` takes them from the header row, or assumes host, port and label
    /// in this order.
    pub columns: Option<Columns>,
    /// Whether any text after a target of a list is accepted as its label.
    pub labels: bool,
    /// Whether to read all hosts that are up from the results of a scan, without ports. If false, the
    /// ports that the scan found open are read.
    pub hosts_up: bool,
}

impl InputOptions {
    /// Returns the meaning of the text after a target of a list.
    #[must_use]
    pub fn line_rule(&self) -> LineRule {
        match self.format {
            _ if self.labels => LineRule::AnyLabel,
            Some(InputFormat::List) => LineRule::Targets,
            _ => LineRule::Label,
        }
    }
}

/// An input whose beginning was read to detect its format, and is read again.
type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// Reads the targets of an input in any format, in bounded memory.
///
/// The first call of [`next_item`](Self::next_item) detects the format, for which it waits until
/// the first line that is not blank is complete. Nothing is read before that call.
///
/// ```
/// use portmuster::targets::{Entries, InputFormat, InputOptions, Ports, TargetSet};
///
/// let table = "hostname,port,owner\ndb.example,2222,alice\n";
/// let mut set = TargetSet::default();
/// let mut entries = Entries::new(table.as_bytes(), InputOptions::default());
/// let ports = Ports::ssh_and_telnet();
/// while entries.next_item(|item, label| set.add(item, label, &ports))?.is_some() {}
///
/// assert_eq!(entries.format(), Some(InputFormat::Csv));
/// assert_eq!(set.get(0).map(|target| target.to_string()).as_deref(), Some("db.example:2222"));
/// # Ok::<(), portmuster::targets::LineError>(())
/// ```
#[derive(Debug)]
pub struct Entries<R> {
    options: InputOptions,
    reader: FormatReader<R>,
    /// Whether a final error has occurred.
    has_failed: bool,
}

/// The reader for the format of an input.
#[derive(Debug)]
enum FormatReader<R> {
    /// The format is not known yet.
    Unopened(Option<R>),
    List(Lines<Peeked<R>>),
    Csv(Box<CsvReader<Peeked<R>>>),
    NmapXml(Box<NmapXmlReader<Peeked<R>>>),
    NmapGrep(Box<NmapGrepReader<Peeked<R>>>),
    Masscan(Box<MasscanReader<Peeked<R>>>),
    KnownHosts(Box<KnownHostsReader<Peeked<R>>>),
    Ansible(Box<AnsibleReader<Peeked<R>>>),
}

impl<R: BufRead> Entries<R> {
    /// Creates a reader of an input.
    pub fn new(input: R, options: InputOptions) -> Self {
        Self { options, reader: FormatReader::Unopened(Some(input)), has_failed: false }
    }

    /// Returns the format of the input; `None` before the first call of [`next_item`](Self::next_item).
    pub fn format(&self) -> Option<InputFormat> {
        Some(match self.reader {
            FormatReader::Unopened(_) => return None,
            FormatReader::List(_) => InputFormat::List,
            FormatReader::Csv(_) => InputFormat::Csv,
            FormatReader::NmapXml(_) => InputFormat::NmapXml,
            FormatReader::NmapGrep(_) => InputFormat::NmapGrep,
            FormatReader::Masscan(_) => InputFormat::Masscan,
            FormatReader::KnownHosts(_) => InputFormat::KnownHosts,
            FormatReader::Ansible(_) => InputFormat::Ansible,
        })
    }

    /// Returns whether the options determine the format, by its name or by columns, which only CSV has.
    pub fn is_format_given(&self) -> bool {
        self.options.format.is_some() || self.options.columns.is_some()
    }

    /// Counts the records that were skipped so far, because they give no target.
    pub fn skipped_records(&self) -> &[SkippedRecords] {
        match &self.reader {
            FormatReader::Unopened(_)
            | FormatReader::List(_)
            | FormatReader::Csv(_)
            | FormatReader::Ansible(_) => &[],
            FormatReader::NmapXml(reader) => reader.skipped_records(),
            FormatReader::NmapGrep(reader) => reader.skipped_records(),
            FormatReader::Masscan(reader) => reader.skipped_records(),
            FormatReader::KnownHosts(reader) => reader.skipped_records(),
        }
    }

    /// Passes the next item and its label to `read`, and returns the result; `None` at the end.
    ///
    /// The column of an error of `read` is converted to one of the line.
    ///
    /// # Errors
    /// The input or the item can't be read. After a [final](LineErrorKind::is_final) error, further
    /// calls return `None`.
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
            FormatReader::Unopened(_) => None,
            FormatReader::List(lines) => return lines.next_item(read),
            FormatReader::Csv(reader) => reader.next_entry()?,
            FormatReader::NmapXml(reader) => reader.next_entry()?,
            FormatReader::NmapGrep(reader) => reader.next_entry()?,
            FormatReader::Masscan(reader) => reader.next_entry()?,
            FormatReader::KnownHosts(reader) => reader.next_entry()?,
            FormatReader::Ansible(reader) => reader.next_entry()?,
        };
        let Some(InputEntry { item, label, line, column }) = entry else { return Ok(None) };
        let label = label.map(|label| single_line(&label)).filter(|label| !label.is_empty());
        read(&item, label.as_deref()).map(Some).map_err(|error| {
            let column = column.saturating_add(error.column - 1);
            LineError { line, column, kind: error.kind.into() }
        })
    }

    /// Detects the format and creates its reader, unless that is done.
    fn open(&mut self) -> Result<(), LineError> {
        let FormatReader::Unopened(input) = &mut self.reader else { return Ok(()) };
        let Some(mut input) = input.take() else { return Ok(()) };
        let beginning = detect::peek(&mut input).map_err(read_error)?;
        let options = &self.options;
        if options.format.is_none() && detect::are_rows(&beginning) {
            return Err(LineError { line: 1, column: 1, kind: LineErrorKind::Rows });
        }
        let format = options.format.unwrap_or_else(|| match &options.columns {
            Some(_) => InputFormat::Csv,
            None => detect::detect(&beginning),
        });
        let columns = options.columns.clone();
        let separator = csv_header::separator(&beginning);
        let input = Cursor::new(beginning).chain(input);
        self.reader = match format {
            InputFormat::List => FormatReader::List(Lines::with_rule(input, options.line_rule())),
            InputFormat::Csv => FormatReader::Csv(CsvReader::new(input, separator, columns).into()),
            InputFormat::NmapXml => {
                FormatReader::NmapXml(NmapXmlReader::new(input, options.hosts_up).into())
            }
            InputFormat::NmapGrep => {
                FormatReader::NmapGrep(NmapGrepReader::new(input, options.hosts_up).into())
            }
            InputFormat::Masscan => {
                FormatReader::Masscan(MasscanReader::new(input, options.hosts_up).into())
            }
            InputFormat::KnownHosts => {
                FormatReader::KnownHosts(KnownHostsReader::new(input).into())
            }
            InputFormat::Ansible => FormatReader::Ansible(AnsibleReader::new(input).into()),
        };
        Ok(())
    }
}

/// Returns a label on one line and no longer than a line of a list.
fn single_line(label: &str) -> String {
    let label = &label[..label.floor_char_boundary(LINE_MAX)];
    label.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Creates the error of an input whose beginning can't be read.
fn read_error(error: io::Error) -> LineError {
    LineError { line: 1, column: 1, kind: LineErrorKind::Io(error) }
}
