//! The outputs of a run: rows on stdout and in files.
//!
//! [`Outputs`] writes each outcome to every sink; a [`ClosingFile`] and a [`MetricsFile`] are written at the
//! end of the run. Opening is in two steps: `opened` opens and locks all files (`open`, `resume`), then
//! begins their sinks (`begin`), and only this changes a file.

use std::io;

use anyhow::Context;
use portmuster::{
    Outcome,
    sink::{Ending, ResumePoint},
};

mod begin;
mod beside;
mod closing_file;
mod content;
mod empty;
mod error;
mod file;
mod grouped;
mod lock;
mod metrics_file;
mod open;
mod opened;
mod resume;
mod run_tag;
mod saved;
mod stdout;
mod writes;

use self::{
    begin::OutputSink,
    error::keeps_rows,
    file::CreatedFile,
    grouped::{Grouping, Replacement},
    opened::{Destination, OpenOutput, begin_all, created_files, journaled, open_all, reopen_all},
};
pub(crate) use self::{
    beside::is_reserved_name as is_reserved_beside,
    closing_file::ClosingFile,
    content::ClosingContent,
    error::{OpenError, WriteError},
    metrics_file::MetricsFile,
    saved::{JournaledOutput, SavedOutput},
};
use crate::{
    args::{Check, OutputSpec, ShownRows},
    formats::{Labels, Storage},
};

/// All outputs of a run.
pub(crate) struct Outputs {
    all: Vec<Output>,
    /// Whether the run has gates, which need the outcomes even when no output is left.
    has_gates: bool,
}

struct Output {
    /// The name for messages.
    name: String,
    is_stdout: bool,
    rows: ShownRows,
    sink: OutputSink,
    /// Whether a call has failed. Its error says why, and later ones would only repeat it.
    has_failed: bool,
    destination: Destination,
    /// `None`: stdout, or the run has no journal, or the checkpoint writer has taken it.
    journaled: Option<JournaledOutput>,
    /// `None`: the rows stay as they were written.
    grouping: Option<Grouping>,
    /// The end of the rows, once the output is finished.
    end: Option<ResumePoint>,
}

impl Outputs {
    /// Opens the outputs of the command line. Existing files are overwritten only with `--force`.
    ///
    /// Calls `ready` when all outputs are open and none is changed yet.
    ///
    /// # Errors
    /// Two outputs go to stdout, a file exists or can't be opened, or `ready` fails.
    pub(crate) fn open(
        check: &Check,
        labels: Labels,
        ready: impl FnOnce() -> anyhow::Result<()>,
    ) -> Result<Self, OpenError> {
        let opened = open_all(check)?;
        if let Err(error) = ready() {
            created_files(check, &opened).into_iter().for_each(CreatedFile::remove);
            return Err(OpenError::Failed(error));
        }
        Self::begin(check, labels, opened)
    }

    /// Opens the outputs of a run that resumes, and truncates them to their resume points.
    ///
    /// Nothing is changed unless all outputs can be resumed. Calls `ready` when that is so. The journal
    /// has `outputs` and the id of the run.
    ///
    /// # Errors
    /// An output is missing, is another file or was changed, another run has written to it, or `ready`
    /// fails.
    pub(crate) fn resume(
        check: &Check,
        labels: Labels,
        (outputs, run): (&[SavedOutput], &str),
        ready: impl FnOnce() -> anyhow::Result<()>,
    ) -> Result<Self, OpenError> {
        let reopened = reopen_all(check, outputs, Some(run))?;
        ready().map_err(OpenError::Failed)?;
        Self::begin(check, labels, reopened)
    }

    /// Checks that the outputs of a complete run contain its rows.
    ///
    /// # Errors
    /// As for [`Self::resume`], except that others may have appended to the files.
    pub(crate) fn inspect(check: &Check, outputs: &[SavedOutput]) -> anyhow::Result<()> {
        reopen_all(check, outputs, None).map(drop)
    }

    /// Begins all sinks; if one fails, removes the files that this run created.
    fn begin(check: &Check, labels: Labels, opened: Vec<OpenOutput>) -> Result<Self, OpenError> {
        let created = created_files(check, &opened);
        let begun = Self::begin_sinks(check, labels, opened);
        if begun.is_err() {
            created.into_iter().for_each(CreatedFile::remove);
        }
        begun
    }

    fn begin_sinks(
        check: &Check,
        labels: Labels,
        opened: Vec<OpenOutput>,
    ) -> Result<Self, OpenError> {
        let journaled = journaled(check, &opened)?;
        let destinations = check.outputs.iter().zip(&opened);
        let destinations: Vec<_> =
            destinations.map(|(spec, opened)| opened.destination(spec)).collect();
        let groupings = groupings(check, &opened, &journaled)?;
        let sinks = begin_all(check, labels, opened)?;
        let parts = check.outputs.iter().zip(sinks).zip(destinations).zip(journaled).zip(groupings);
        let output = |((((spec, sink), destination), journaled), grouping)| Output {
            journaled,
            grouping,
            ..Output::new(spec, sink, destination, spec.rows(&check.show))
        };
        Ok(Self { all: parts.map(output).collect(), has_gates: check.gates.are_set() })
    }

    /// Takes the files for the journal, in the order of [`Self::resume_points`].
    pub(crate) fn take_journaled(&mut self) -> Vec<JournaledOutput> {
        self.all.iter_mut().filter_map(|output| output.journaled.take()).collect()
    }

    /// Flushes all outputs, and returns the resume points of those that are files.
    ///
    /// # Errors
    /// An output can't be written.
    pub(crate) fn resume_points(&mut self) -> Result<Vec<ResumePoint>, WriteError> {
        let mut points = Vec::new();
        self.each(|output| {
            points.extend(output.sink.checkpoint()?);
            Ok(())
        })?;
        Ok(points)
    }

    /// Writes a row to every output that shows the outcome and has not failed.
    ///
    /// # Errors
    /// An output can't be written.
    pub(crate) fn write(&mut self, outcome: &Outcome) -> Result<(), WriteError> {
        self.each(|output| {
            if output.rows.contains(outcome) { output.sink.sink().write(outcome) } else { Ok(()) }
        })
    }

    /// Passes all buffered rows to the system.
    ///
    /// # Errors
    /// An output can't be written.
    pub(crate) fn flush(&mut self) -> Result<(), WriteError> {
        self.each(|output| output.sink.sink().flush())
    }

    /// Finishes every output that has not failed, and checks that the rows are there.
    ///
    /// # Errors
    /// The last failure of an output.
    pub(crate) fn finish(&mut self, ending: &Ending) -> Result<(), WriteError> {
        let is_alone = self.ends_with_stdout();
        let mut finished = Ok(());
        for output in &mut self.all {
            match output.finish(ending) {
                Err(WriteError::ClosedPipe) if !is_alone => {}
                failed @ Err(_) => finished = failed,
                Ok(()) => {}
            }
        }
        finished
    }

    /// Groups the rows of finished outputs whose format has that, in new files. `summary` is that of the run
    /// in JSON.
    ///
    /// # Errors
    /// The last failure of an output, whose file of rows stays.
    pub(crate) fn group(&mut self, summary: &str) -> Result<(), WriteError> {
        let mut grouped = Ok(());
        for output in &mut self.all {
            if let Err(error) = output.group(summary) {
                grouped = Err(WriteError::Failed(error));
            }
        }
        grouped
    }

    /// Replaces the files of rows by those that [`Self::group`] has written. With `is_journaled`, the
    /// journal names the new files already.
    ///
    /// # Errors
    /// The last failure of an output, whose file of rows stays.
    pub(crate) fn publish(&mut self, is_journaled: bool) -> Result<(), WriteError> {
        let mut published = Ok(());
        for Output { name, grouping, .. } in &mut self.all {
            let replaced = grouping.as_mut().map_or(Ok(()), |it| it.publish(is_journaled));
            if let Err(error) = replaced.with_context(|| grouping_rows(name)) {
                published = Err(WriteError::Failed(error));
            }
        }
        published
    }

    /// Returns whether the run ends when the reader of stdout is gone.
    fn ends_with_stdout(&self) -> bool {
        self.all.len() == 1 && !self.has_gates
    }

    /// Applies `act` to every output that has not failed, and returns the first failure. If stdout is
    /// closed, the other outputs continue without it.
    fn each(
        &mut self,
        mut act: impl FnMut(&mut Output) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        let is_alone = self.ends_with_stdout();
        let mut acted = Ok(());
        self.all.retain_mut(|output| {
            if output.has_failed {
                return true;
            }
            match output.attempt(&mut act) {
                Err(WriteError::ClosedPipe) if !is_alone => return false,
                Err(failed) if acted.is_ok() => acted = Err(failed),
                Err(_) | Ok(()) => {}
            }
            true
        });
        acted
    }
}

impl Output {
    fn new(spec: &OutputSpec, sink: OutputSink, destination: Destination, rows: ShownRows) -> Self {
        let name = spec.file().map_or("standard output".into(), |file| file.display().to_string());
        let is_stdout = spec.file().is_none();
        let (journaled, grouping, end) = (None, None, None);
        let has_failed = false;
        Self { name, is_stdout, rows, sink, has_failed, destination, journaled, grouping, end }
    }

    fn finish(&mut self, ending: &Ending) -> Result<(), WriteError> {
        if self.has_failed {
            return Ok(());
        }
        let end = self.attempt(|output| {
            let end = output.grouping.as_ref().map(|_| output.sink.checkpoint()).transpose()?;
            output.sink.sink().finish(ending)?;
            Ok(end.flatten())
        })?;
        let checked = self.destination.check();
        checked.with_context(|| format!("writing {}", self.name)).map_err(WriteError::Failed)?;
        self.end = end;
        Ok(())
    }

    fn group(&mut self, summary: &str) -> anyhow::Result<()> {
        let (Some(grouping), Some(end)) = (&mut self.grouping, self.end) else { return Ok(()) };
        grouping.write(end, summary).with_context(|| grouping_rows(&self.name))
    }

    fn attempt<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> Result<T, WriteError> {
        act(self).inspect_err(|_| self.has_failed = true).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe if self.is_stdout => WriteError::ClosedPipe,
            _ => {
                let rest = if keeps_rows(&error) { "; all rows before are complete" } else { "" };
                let context = format!("writing {}{rest}", self.name);
                WriteError::Failed(anyhow::Error::new(error).context(context))
            }
        })
    }
}

/// Returns what an error that occurred while an output was grouped means.
fn grouping_rows(name: &str) -> String {
    format!("grouping the rows of {name}, which has all of them, in the order of the run")
}

/// Returns how the rows of each output are grouped; `None`: they stay as they are written.
fn groupings(
    check: &Check,
    opened: &[OpenOutput],
    journaled: &[Option<JournaledOutput>],
) -> Result<Vec<Option<Grouping>>, OpenError> {
    let outputs = check.outputs.iter().zip(opened).zip(journaled);
    let grouping = |((spec, opened), journaled): ((&OutputSpec, &OpenOutput), &Option<_>)| {
        let Storage::Rows(format) = &spec.format().storage else { return Ok(None) };
        let (Some(group), Some(file)) = (&format.group, opened.file()) else { return Ok(None) };
        let replacement: Option<Replacement> = journaled.as_ref().map(JournaledOutput::replacement);
        Grouping::new(group.write, file, replacement.unwrap_or_default())
            .with_context(|| format!("opening {} a second time", file.name()))
            .map_err(OpenError::Failed)
    };
    outputs.map(grouping).collect()
}
