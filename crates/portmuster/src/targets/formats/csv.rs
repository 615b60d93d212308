//! Reads CSV tables (RFC 4180) with a column of hosts, and optionally of ports and labels.

use std::{borrow::Cow, fmt, io::BufRead};

use csv_core::{ReadFieldResult, ReaderBuilder};
use memchr::memchr_iter;

use super::{
    columns::{Column, Columns},
    csv_header::{HOST_TITLES, LABEL_TITLES, PORT_TITLES, simplified},
    entry::{InputEntry, with_ports},
    tracked::{TextPosition, TrackedReader},
};
use crate::targets::{
    grammar::{self, ItemErrorKind, ItemHosts},
    input_format::InputFormat,
    line_error::{LineError, LineErrorKind},
    ports::Ports,
};

/// The maximum number of bytes of a row.
const ROW_MAX: usize = 1 << 20;
/// The maximum number of columns of a row.
const COLUMNS_MAX: usize = 16_384;
/// Bytes of a cell that are decoded in one step.
const CHUNK: usize = 1024;

/// A cell of a row.
#[derive(Debug)]
struct CsvCell {
    bytes: Vec<u8>,
    position: TextPosition,
    is_quoted: bool,
}

impl CsvCell {
    /// Returns the text without a byte order mark. Bytes that are not UTF-8 are replaced.
    fn text(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.bytes);
        match text.strip_prefix('\u{feff}') {
            Some(rest) => Cow::Owned(rest.to_owned()),
            None => text,
        }
    }

    /// Returns the text without white space around it.
    ///
    /// # Errors
    /// The cell is not UTF-8.
    fn strict_text(&self) -> Result<&str, LineError> {
        let TextPosition { line, column } = self.position;
        let error = |_| LineError { line, column, kind: LineErrorKind::NotText };
        let text = std::str::from_utf8(&self.bytes).map_err(error)?;
        Ok(text.trim_start_matches('\u{feff}').trim())
    }

    fn is_empty(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

/// The indexes of the columns in a row, from 0.
#[derive(Debug, Clone, Copy)]
struct ColumnIndexes {
    host: usize,
    port: Option<usize>,
    label: Option<usize>,
}

/// Reads the rows of a table.
#[derive(Debug)]
pub(super) struct CsvReader<R> {
    input: TrackedReader<R>,
    core: csv_core::Reader,
    columns: Option<Columns>,
    /// `None` before the first row.
    indexes: Option<ColumnIndexes>,
    /// The cells of the current row.
    row: Vec<CsvCell>,
}

impl<R: BufRead> CsvReader<R> {
    /// Creates a reader. Without `columns`, the header row or the order of the columns determines
    /// their meaning.
    pub(super) fn new(input: R, separator: u8, columns: Option<Columns>) -> Self {
        Self {
            input: TrackedReader::new(input, ROW_MAX),
            core: ReaderBuilder::new().delimiter(separator).build(),
            columns,
            indexes: None,
            row: Vec::new(),
        }
    }

    /// Reads the next target; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<InputEntry>, LineError> {
        while self.read_row()? {
            if self.row.iter().all(CsvCell::is_empty) {
                continue;
            }
            let Some(indexes) = self.indexes else {
                let (indexes, is_header) = self.find_columns()?;
                self.indexes = Some(indexes);
                if is_header {
                    continue;
                }
                return self.entry(indexes).map(Some);
            };
            return self.entry(indexes).map(Some);
        }
        Ok(None)
    }

    /// Reads the next row. Returns false at the end.
    fn read_row(&mut self) -> Result<bool, LineError> {
        self.row.clear();
        self.input.begin_record();
        // Skip the line end of the previous row, and blank lines.
        loop {
            let position = self.input.position();
            let read = self.input.fill_buf().map_err(|error| document_error(position, &error))?;
            if !matches!(read.first(), Some(b'\n' | b'\r')) {
                break;
            }
            self.input.consume(1);
            self.input.begin_record();
        }
        loop {
            if self.row.len() >= COLUMNS_MAX {
                let why = format!("a row has more than {COLUMNS_MAX} columns");
                return Err(document_error(self.input.position(), &why));
            }
            match self.read_cell()? {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => return Ok(!self.row.is_empty()),
            }
        }
    }

    /// Reads the next cell. Returns whether it is the last of its row; `None` at the end.
    fn read_cell(&mut self) -> Result<Option<bool>, LineError> {
        let position = self.input.position();
        let mut cell = CsvCell { bytes: Vec::new(), position, is_quoted: false };
        let (mut quotes, mut has_begun) = (0, false);
        loop {
            let read = self.input.fill_buf().map_err(|error| document_error(position, &error))?;
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
                // The number of quotes is odd, so an open one includes everything after it.
                ReadFieldResult::Field { .. } if cell.is_quoted && quotes % 2 == 1 => {
                    let why = "the quote that begins this cell is not closed";
                    return Err(document_error(position, &why));
                }
                ReadFieldResult::Field { record_end } => {
                    self.row.push(cell);
                    return Ok(Some(record_end));
                }
            }
        }
    }

    /// Returns the indexes of the columns, and whether the current row, the first one, is a header.
    fn find_columns(&self) -> Result<(ColumnIndexes, bool), LineError> {
        let titles: Vec<_> = self.row.iter().map(|cell| simplified(&cell.text())).collect();
        let Some(columns) = &self.columns else { return self.guess_columns(&titles) };
        let index = |column: &Column| {
            column.index_in(&titles).ok_or_else(|| {
                let titles: Vec<_> = self.row.iter().map(CsvCell::text).collect();
                let why = format!(
                    "no column is called {:?}; the columns are {}",
                    column.to_string(),
                    grammar::shortened(&titles.join(", "))
                );
                self.row_error(0, why)
            })
        };
        let indexes = ColumnIndexes {
            host: index(&columns.host)?,
            port: columns.port.as_ref().map(index).transpose()?,
            label: columns.label.as_ref().map(index).transpose()?,
        };
        let all = [Some(&columns.host), columns.port.as_ref(), columns.label.as_ref()];
        let is_named = all.into_iter().flatten().any(|column| matches!(column, Column::Named(_)));
        let has_title =
            titles.get(indexes.host).is_some_and(|title| HOST_TITLES.contains(&title.as_str()));
        Ok((indexes, is_named || has_title))
    }

    /// Finds the columns by known titles, or else assumes host, port and label in this order.
    fn guess_columns(&self, titles: &[String]) -> Result<(ColumnIndexes, bool), LineError> {
        let find = |known: &[&str], excluded: Option<usize>| {
            let index = |known: &&str| {
                let mut titles = titles.iter().enumerate();
                titles.position(|(index, title)| title == known && Some(index) != excluded)
            };
            known.iter().find_map(index)
        };
        if let Some(host) = find(&HOST_TITLES, None) {
            let (port, label) = (find(&PORT_TITLES, None), find(&LABEL_TITLES, Some(host)));
            return Ok((ColumnIndexes { host, port, label }, true));
        }
        let host = self.row.first().map(CsvCell::text).unwrap_or_default();
        let port = self.row.get(1).map(CsvCell::text);
        let is_host = grammar::parse(host.trim())
            .is_ok_and(|item| !matches!(item.hosts, ItemHosts::Name(_)) || host.contains('.'));
        let is_port =
            port.is_none_or(|port| port.trim().is_empty() || port.trim().parse::<Ports>().is_ok());
        if !is_host || !is_port {
            let TextPosition { line, column } = self.cell_position(0);
            return Err(LineError { line, column, kind: LineErrorKind::UnknownColumns });
        }
        let (port, label) = (Some(1), Some(2));
        Ok((ColumnIndexes { host: 0, port, label }, false))
    }

    /// Returns the target of the current row.
    fn entry(&self, indexes: ColumnIndexes) -> Result<InputEntry, LineError> {
        let cell = |index: usize| self.row.get(index).filter(|cell| !cell.is_empty());
        let Some(host) = cell(indexes.host) else {
            return Err(self.row_error(indexes.host, "the host cell is empty".into()));
        };
        let mut item = host.strict_text()?.to_owned();
        if let Some(port) = indexes.port.and_then(cell) {
            let text = port.strict_text()?;
            let column = port.position.column + usize::from(port.is_quoted) + leading(port);
            text.parse::<Ports>().map_err(|error| LineError {
                line: port.position.line,
                column: column + error.column() - 1,
                kind: ItemErrorKind::from(error.into_kind()).into(),
            })?;
            if grammar::parse(&item).is_ok_and(|item| item.ports.is_some()) {
                let index = indexes.port.unwrap_or_default();
                let why = "ports are given in both the host cell and the port cell";
                return Err(self.row_error(index, why.into()));
            }
            item = with_ports(&item, text);
        }
        let label = indexes.label.and_then(cell).map(|cell| cell.text().trim().to_owned());
        let TextPosition { line, column } = host.position;
        let column = column + usize::from(host.is_quoted) + leading(host);
        Ok(InputEntry { item, label, line, column })
    }

    /// Creates an error at a cell of the current row, or at the last cell if there is no such cell.
    fn row_error(&self, index: usize, why: String) -> LineError {
        let TextPosition { line, column } = self.cell_position(index);
        LineError { line, column, kind: LineErrorKind::Record { format: InputFormat::Csv, why } }
    }

    /// Returns the position of a cell of the current row, or of the last cell if there is no such cell.
    fn cell_position(&self, index: usize) -> TextPosition {
        let cell = self.row.get(index).or(self.row.last());
        cell.map_or(self.input.position(), |cell| cell.position)
    }
}

/// Returns the number of white-space characters before the text of a cell.
fn leading(cell: &CsvCell) -> usize {
    cell.text().chars().take_while(|character| character.is_whitespace()).count()
}

/// Creates the error of a table that can't be read further.
fn document_error(position: TextPosition, why: &dyn fmt::Display) -> LineError {
    let TextPosition { line, column } = position;
    let kind = LineErrorKind::Document { format: InputFormat::Csv, why: why.to_string() };
    LineError { line, column, kind }
}
