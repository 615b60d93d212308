//! Sinks that begin: the last step of opening an output, and the first that changes it.

use std::io;

use anyhow::Context;
use portmuster::sink::{Beginning, PreparedRun, ResumableSink, ResumePoint, Sink};

use super::{
    beside::remove_leftovers,
    file::{OpenFile, RowTarget},
    stdout::StdoutRows,
};
use crate::{
    formats::{DatabaseFormat, LineBuffer, RowFormat, RowSettings},
    terminal::Screen,
};

/// The sink of an output.
pub(super) enum OutputSink {
    /// Rows on stdout, a device or a pipe.
    Stream(Box<dyn Sink>),
    /// Rows in a file or a database.
    Resumable(Box<dyn ResumableSink>),
}

impl OutputSink {
    /// Returns the sink.
    pub(super) fn sink(&mut self) -> &mut dyn Sink {
        match self {
            Self::Stream(sink) => &mut **sink,
            Self::Resumable(sink) => &mut **sink,
        }
    }

    /// Flushes, and returns the resume point; `None`: a stream has none.
    ///
    /// # Errors
    /// The output can't be written.
    pub(super) fn checkpoint(&mut self) -> io::Result<Option<ResumePoint>> {
        match self {
            Self::Stream(sink) => sink.flush().map(|()| None),
            Self::Resumable(sink) => sink.checkpoint().map(Some),
        }
    }
}

/// A function that begins the sink of an output and thereby changes the output.
///
/// Dropping it leaves the output unchanged.
pub(super) type Prepared<'a> = Box<dyn FnOnce() -> anyhow::Result<OutputSink> + 'a>;

/// Begins rows on standard output.
pub(super) fn rows_on_stdout(
    format: &RowFormat,
    settings: &RowSettings,
    screen: Screen,
    stdout: StdoutRows,
) -> io::Result<OutputSink> {
    (format.stream)(LineBuffer::new(Box::new(stdout)), settings, screen).map(OutputSink::Stream)
}

/// Begins rows in a file, after the existing rows if the file keeps them.
pub(super) fn rows_in_file(
    format: &RowFormat,
    settings: &RowSettings,
    file: OpenFile,
) -> anyhow::Result<OutputSink> {
    let name = file.name();
    let has_rows = file.has_rows();
    if let Some(group) = &format.group {
        remove_leftovers(file.path(), group.beginning);
    }
    let begun = match (file.begin()?, format.append) {
        (RowTarget::Stream(file), _) => {
            let begun = (format.stream)(LineBuffer::new(Box::new(file)), settings, Screen::PLAIN);
            begun.map(OutputSink::Stream)
        }
        (RowTarget::File(file), Ok(append)) if has_rows => {
            let rows = append(LineBuffer::new(Box::new(file)), settings);
            Ok(OutputSink::Resumable(rows))
        }
        (RowTarget::File(file), _) => {
            (format.file)(LineBuffer::new(Box::new(file)), settings).map(OutputSink::Resumable)
        }
    };
    begun.with_context(|| format!("writing {name}"))
}

/// Prepares a new run in a database, which may not exist yet.
///
/// # Errors
/// The database can't be written, or another program keeps it locked.
pub(super) fn run_in_database(
    format: &DatabaseFormat,
    file: OpenFile,
    beginning: &Beginning,
) -> anyhow::Result<Prepared<'static>> {
    let name = file.name();
    let path = file.close();
    let run =
        (format.begin)(&path, beginning).with_context(|| format!("opening the output {name}"))?;
    Ok(commit(run, name))
}

/// Returns a function that commits the run; `name` is that of the database.
pub(super) fn commit(run: PreparedRun, name: String) -> Prepared<'static> {
    Box::new(move || {
        let committed = run.commit().with_context(|| format!("writing {name}"))?;
        Ok(OutputSink::Resumable(Box::new(committed)))
    })
}
