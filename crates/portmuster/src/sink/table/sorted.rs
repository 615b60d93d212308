//! A table whose rows are sorted, and written at the end.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{
    layout::{Layout, Paint},
    order::TableOrder,
};
use crate::{
    outcome::Outcome,
    sink::{
        first_error::FirstError,
        interface::{Ending, Sink},
        sort::Sorter,
    },
};

/// The length of the number of a row, which follows its key.
const NUMBER: usize = size_of::<u64>();

/// Writes outcomes as the rows of a table in this order, when the run ends.
///
/// Rows that do not fit into 32 MiB of memory are kept in temporary files without names.
#[derive(Debug)]
pub struct SortedTable<W> {
    output: W,
    layout: Layout,
    order: TableOrder,
    /// Records of a key, a number, a row, and the length of the key. `None`: they were written.
    rows: Option<Sorter>,
    count: u64,
    failed: FirstError,
}

impl<W: Write> SortedTable<W> {
    /// Creates a table. Temporary files are created in the folder `scratch`.
    pub fn new(output: W, paint: Paint, order: TableOrder, scratch: &Path) -> Self {
        let (layout, rows) = (Layout::new(paint), Some(Sorter::new(scratch)));
        Self { output, layout, order, rows, count: 0, failed: FirstError::default() }
    }

    /// Limits rows to the width of a terminal, as [`Table::width`](super::Table::width) does.
    #[must_use]
    pub fn width(mut self, width: Option<usize>) -> Self {
        self.layout.width = width;
        self
    }

    /// Adds a column for the labels of targets.
    #[must_use]
    pub fn labels(mut self, has_labels: bool) -> Self {
        self.layout.has_labels = has_labels;
        self
    }

    fn add(&mut self, outcome: &Outcome) -> io::Result<()> {
        let Some(rows) = &mut self.rows else { return Ok(()) };
        let key = self.order.key(outcome);
        let key_length = u16::try_from(key.len()).map_err(io::Error::other)?.to_le_bytes();
        // Equal rows stay apart, in the order in which they came.
        let number = self.count.to_be_bytes();
        self.count += 1;
        rows.add(&[&key, &number, self.layout.row(outcome).as_bytes(), &key_length])
    }

    fn write_all(&mut self) -> io::Result<()> {
        let Self { output, layout, rows, count, .. } = self;
        if let Some(rows) = rows.take().filter(|_| *count > 0) {
            writeln!(output, "{}", layout.header())?;
            rows.for_each(|record| {
                output.write_all(row(record))?;
                output.write_all(b"\n")
            })?;
        }
        output.flush()
    }
}

/// Returns the row of a record.
fn row(record: &[u8]) -> &[u8] {
    let (content, &key_length) = record.split_last_chunk().unwrap_or((&[], &[0, 0]));
    let start = usize::from(u16::from_le_bytes(key_length)) + NUMBER;
    content.get(start..).unwrap_or_default()
}

impl<W: Write> Sink for SortedTable<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.failed.check()?;
        let added = self.add(outcome);
        self.failed.keep(added)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.failed.check()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.failed.check()?;
        let written = self.write_all();
        self.failed.keep(written)
    }
}
