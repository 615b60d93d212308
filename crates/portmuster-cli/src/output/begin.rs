//! Sinks that begin: the last step of opening an output, and the first that changes it.

use std::io;

use anyhow::Context;
use portmuster::sink::{
    Beginning, Csv, Jsonl, Paint, PreparedRun, SeekableOutput, Sink, Table, Xml,
};

use super::{file::OpenFile, writes::LineBuffer};
use crate::args::RowFormat;

/// A function that begins the sink of an output and thereby changes the output.
///
/// Dropping it leaves the output unchanged.
pub(super) type Prepared<'a> = Box<dyn FnOnce() -> anyhow::Result<Box<dyn Sink>> + 'a>;

/// Begins a sink that writes to `output`.
pub(super) fn rows(
    format: RowFormat,
    beginning: &Beginning,
    paint: Paint,
    output: impl SeekableOutput + 'static,
) -> io::Result<Box<dyn Sink>> {
    let output = LineBuffer::new(output);
    Ok(match format {
        RowFormat::Table => Box::new(Table::begin(output, paint)),
        RowFormat::Jsonl => Box::new(Jsonl::new(output)),
        RowFormat::Csv => Box::new(Csv::begin(output)?),
        RowFormat::Xml => Box::new(Xml::begin(output, beginning)?),
    })
}

/// Begins a sink in a file, after the existing rows if the file keeps them.
pub(super) fn rows_in_file(
    format: RowFormat,
    beginning: &Beginning,
    file: OpenFile,
) -> anyhow::Result<Box<dyn Sink>> {
    let name = file.name();
    let (has_rows, file) = (file.has_rows(), file.begin()?);
    if has_rows && format == RowFormat::Csv {
        return Ok(Box::new(Csv::resume(LineBuffer::new(file))));
    }
    rows(format, beginning, Paint::Plain, file).with_context(|| format!("writing {name}"))
}

/// Prepares a new run in a database, which may not exist yet.
///
/// # Errors
/// The database can't be written, or another program keeps it locked.
pub(super) fn run_in_database(
    file: OpenFile,
    beginning: &Beginning,
) -> anyhow::Result<Prepared<'static>> {
    let name = file.name();
    let path = file.close();
    let run = PreparedRun::begin(&path, beginning)
        .with_context(|| format!("opening the output {name}"))?;
    Ok(commit(run, name))
}

/// Returns a function that commits the run; `name` is that of the database.
pub(super) fn commit(run: PreparedRun, name: String) -> Prepared<'static> {
    Box::new(move || {
        let committed = run.commit().with_context(|| format!("writing {name}"))?;
        let sink: Box<dyn Sink> = Box::new(committed);
        Ok(sink)
    })
}
