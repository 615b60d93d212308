//! A table whose rows are sorted, and written at the end.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{
    keyed::KeyedRows,
    layout::{Layout, Paint},
    order::TableOrder,
};
use crate::{
    outcome::Outcome,
    sink::interface::{Ending, Sink},
};

/// Writes outcomes as the rows of a table in this order, when the run ends.
///
/// Rows that do not fit into 32 MiB of memory are kept in temporary files without names.
#[derive(Debug)]
pub struct SortedTable<W> {
    output: W,
    layout: Layout,
    order: TableOrder,
    rows: KeyedRows,
}

impl<W: Write> SortedTable<W> {
    /// Creates a table. Temporary files are created in the folder `scratch`.
    pub fn new(output: W, paint: Paint, order: TableOrder, scratch: &Path) -> Self {
        Self { output, layout: Layout::new(paint), order, rows: KeyedRows::new(scratch) }
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

    /// Adds a column for host keys, as [`Table::host_keys`](super::Table::host_keys) does.
    #[must_use]
    pub fn host_keys(mut self, has_host_keys: bool) -> Self {
        self.layout.has_host_keys = has_host_keys;
        self
    }

    fn write_all(&mut self) -> io::Result<()> {
        let Self { output, layout, rows, .. } = self;
        if let Some(rows) = rows.take() {
            writeln!(output, "{}", layout.header())?;
            rows.for_each(|_, row| {
                output.write_all(row)?;
                output.write_all(b"\n")
            })?;
        }
        output.flush()
    }
}

impl<W: Write> Sink for SortedTable<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.rows.add(&self.order.key(outcome), self.layout.row(outcome).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.rows.check()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.rows.check()?;
        let written = self.write_all();
        self.rows.keep(written)
    }
}
