//! Opening all outputs of a run: none is changed before all are open and locked.

use std::io;

use anyhow::{Context, anyhow};
use portmuster::{
    config::HostKeyProbing,
    sink::{Beginning, ResumePoint},
};

use super::{
    begin::{self, OutputSink, Prepared},
    content::Content,
    error::OpenError,
    file::{CreatedFile, ExpectedFile, OpenFile},
    grouped,
    open::OpenRequest,
    resume,
    saved::{JournaledOutput, SavedOutput},
    stdout::{Redirection, StdoutRows},
};
use crate::{
    args::{Check, OutputSpec},
    clock,
    file_identity::{Identity, redirected},
    formats::{DatabaseFormat, Labels, RowFormat, RowSettings, Storage},
    gate,
    read_files::ReadFiles,
    terminal::Screen,
};

/// An output that is open and locked, and not changed yet.
pub(super) enum OpenOutput {
    Stdout(&'static RowFormat, Redirection),
    File(&'static RowFormat, OpenFile),
    Database(&'static DatabaseFormat, OpenFile),
    /// An output of a run that resumes, with its resume point.
    Resumed(&'static Storage, OpenFile, ResumePoint),
}

impl OpenOutput {
    /// Returns the open file; `None`: stdout.
    pub(super) fn file(&self) -> Option<&OpenFile> {
        match self {
            Self::Stdout(..) => None,
            Self::File(_, file) | Self::Database(_, file) | Self::Resumed(_, file, _) => Some(file),
        }
    }

    fn is_database(&self) -> bool {
        matches!(self, Self::Database(..) | Self::Resumed(Storage::Database(_), ..))
    }

    /// Returns where the rows must be when the run ends.
    pub(super) fn destination(&self, spec: &OutputSpec) -> Destination {
        match self {
            Self::Stdout(_, redirection) => Destination::Stdout(redirection.clone()),
            Self::File(_, file) | Self::Database(_, file) | Self::Resumed(_, file, _) => {
                file.expected(Content::of(spec)).map_or(Destination::Stream, Destination::File)
            }
        }
    }

    /// Does everything that can fail because of other programs; returns the remaining step.
    fn prepare(self, settings: &RowSettings) -> anyhow::Result<Prepared<'_>> {
        Ok(match self {
            Self::Stdout(format, redirection) => Box::new(move || {
                let stdout = StdoutRows::new(&redirection);
                Ok(begin::rows_on_stdout(format, settings, Screen::stdout(), stdout)?)
            }),
            Self::File(format, file) => {
                Box::new(move || begin::rows_in_file(format, settings, file))
            }
            Self::Database(format, file) => {
                begin::run_in_database(format, file, &settings.beginning)?
            }
            Self::Resumed(Storage::Database(format), file, resume_point) => {
                resume::prepare_run(format, file, resume_point)?
            }
            Self::Resumed(Storage::Rows(format), file, resume_point) => {
                Box::new(move || resume::rows(format, settings, file, resume_point))
            }
        })
    }
}

/// Where the rows of an output must be when the run ends.
pub(super) enum Destination {
    Stdout(Redirection),
    File(ExpectedFile),
    /// A device or a pipe, which keeps nothing that could be checked.
    Stream,
}

impl Destination {
    /// Checks that the rows are there.
    ///
    /// # Errors
    /// Another program has removed, replaced or changed the file.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(redirection) => redirection.check(),
            Self::File(expected) => expected.check(),
            Self::Stream => Ok(()),
        }
    }
}

/// Opens the outputs of a new run. If one can't be opened, all files stay as they were.
///
/// # Errors
/// Two outputs go to stdout, or one can't be opened or must not be overwritten.
pub(super) fn open_all(check: &Check) -> Result<Vec<OpenOutput>, OpenError> {
    if check.outputs.iter().filter(|output| output.file().is_none()).count() > 1 {
        let error =
            "only one output can go to stdout: give the others a file, such as -o jsonl=FILE";
        return Err(anyhow!(error).into());
    }
    if check.reports.excel && check.outputs.iter().all(|output| output.name() != "csv") {
        let error = "--excel is about CSV: write rows with -o csv, or remove it";
        return Err(anyhow!(error).into());
    }
    if let Some(option) = check.table.option()
        && !check.outputs.iter().any(|output| output.name() == "table" && output.file().is_none())
    {
        let error = format!("{option} is about the table on stdout: add -o table, or remove it");
        return Err(anyhow!(error).into());
    }
    let reads = ReadFiles::of(check);
    let mut opened = Vec::new();
    for spec in &check.outputs {
        match open_one(check, spec, &reads, &opened) {
            Ok(one) => opened.push(one),
            Err(error) => {
                created_files(check, &opened).into_iter().for_each(CreatedFile::remove);
                return Err(OpenError::inspecting(error));
            }
        }
    }
    Ok(opened)
}

fn open_one(
    check: &Check,
    spec: &OutputSpec,
    reads: &ReadFiles,
    others: &[OpenOutput],
) -> anyhow::Result<OpenOutput> {
    let others = others.iter().filter_map(OpenOutput::file).map(OpenFile::identity);
    let others: Vec<_> = others.chain(stdout_file(check)).collect();
    let file = |path| {
        let content = Content::of(spec);
        let request = OpenRequest { path, content, check, reads, others: &others };
        request.open().with_context(|| format!("opening the output {}", path.display()))
    };
    Ok(match (&spec.format().storage, spec.file()) {
        (Storage::Rows(format), None) => OpenOutput::Stdout(format, Redirection::new()?),
        (Storage::Rows(format), Some(path)) => OpenOutput::File(format, file(path)?),
        (Storage::Database(format), path) => {
            OpenOutput::Database(format, file(path.context("a database is a file")?)?)
        }
    })
}

/// Returns the file that rows on standard output go to; `None`: no output is one.
fn stdout_file(check: &Check) -> Option<Identity> {
    let has_stdout = check.outputs.iter().any(|output| output.file().is_none());
    redirected(&io::stdout()).filter(|_| has_stdout).map(|file| file.identity)
}

/// Opens the outputs of a run that resumes; `run` is its id.
///
/// A run that is complete (`None`) writes no more rows, so others may have appended to its files.
///
/// # Errors
/// An output is missing, is another file or was changed, or another run has written to it.
pub(super) fn reopen_all(
    check: &Check,
    outputs: &[SavedOutput],
    run: Option<&str>,
) -> anyhow::Result<Vec<OpenOutput>> {
    let reads = ReadFiles::of(check);
    let mut opened = Vec::new();
    for spec in &check.outputs {
        let path = spec.file().context("rows on stdout can't be truncated")?;
        let name = SavedOutput::name_of(spec)?;
        let saved = outputs.iter().find(|saved| saved.to_string() == name);
        let saved = saved.with_context(|| format!("the journal has no output {name}"))?;
        let content = Content::of(spec);
        let request = OpenRequest { path, content, check, reads: &reads, others: &[] };
        let reopen = || {
            if content.is_replaced() && run.is_none() {
                grouped::finish_replacement(path, saved.inode)?;
            }
            let file = resume::reopen(&request, saved)?;
            match run {
                Some(run) => resume::refuse_foreign(&file, spec, saved, run)?,
                None => resume::refuse_incomplete(&request, saved)?,
            }
            Ok(OpenOutput::Resumed(&spec.format().storage, file, saved.resume_point))
        };
        let reopened: anyhow::Result<_> = reopen();
        let name = || format!("opening the output {}", path.display());
        opened.push(reopened.with_context(name)?);
    }
    Ok(opened)
}

/// Returns the output files that this run created, so that they can be removed if it does not start.
pub(super) fn created_files(check: &Check, opened: &[OpenOutput]) -> Vec<CreatedFile> {
    let files = check.outputs.iter().zip(opened);
    files.filter_map(|(spec, opened)| opened.file()?.created_file(Content::of(spec))).collect()
}

/// Returns the outputs for the journal; `None` for stdout, and if the run has no journal.
///
/// # Errors
/// A directory can't be synced, or the system has no more descriptors.
pub(super) fn journaled(
    check: &Check,
    opened: &[OpenOutput],
) -> Result<Vec<Option<JournaledOutput>>, OpenError> {
    let has_journal = check.journal.journal.is_some();
    let journaled = |(spec, opened): (&OutputSpec, &OpenOutput)| {
        let file = opened.file().filter(|_| has_journal);
        file.map(|file| JournaledOutput::new(spec, file)).transpose()
    };
    check.outputs.iter().zip(opened).map(journaled).collect()
}

/// Begins the sinks of all outputs.
///
/// All outputs are prepared before the first is changed. Databases come last, because changes to
/// them can be undone until they are committed.
///
/// # Errors
/// An output can't be prepared or written.
pub(super) fn begin_all(
    check: &Check,
    labels: Labels,
    opened: Vec<OpenOutput>,
) -> Result<Vec<OutputSink>, OpenError> {
    let settings = RowSettings {
        beginning: Beginning::new(clock::now(), check.recorded.clone()),
        sarif: gate::sarif_rules(check),
        is_for_excel: check.reports.excel,
        hashes_hosts: check.reports.hash_hosts,
        has_host_keys: check.host_keys.probing.host_keys != HostKeyProbing::Off,
        labels,
        arrangement: check.table.arrangement(),
    };
    let mut outputs: Vec<_> = opened.into_iter().enumerate().collect();
    // In the order of identities, so that two runs with the same databases can't deadlock.
    outputs.sort_by_key(|(_, opened)| opened.file().map(OpenFile::identity));
    let mut prepared = Vec::new();
    for (index, opened) in outputs {
        let is_database = opened.is_database();
        let begin = opened.prepare(&settings).map_err(OpenError::inspecting)?;
        prepared.push((is_database, index, begin));
    }
    prepared.sort_by_key(|&(is_database, ..)| is_database);
    let mut sinks = Vec::new();
    for (_, index, begin) in prepared {
        sinks.push((index, begin().map_err(OpenError::Failed)?));
    }
    sinks.sort_by_key(|&(index, _)| index);
    Ok(sinks.into_iter().map(|(_, sink)| sink).collect())
}
