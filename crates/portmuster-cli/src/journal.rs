//! The journal: the file from which a later process resumes a run.
//!
//! It contains the settings of the run, its progress, and the resume point of each output. At every
//! [checkpoint](checkpoint_writer) it is atomically replaced, after the outputs were synced.
//!
//! Invariant: whatever ends the program or the machine, the file is complete, and every output
//! contains at least the rows up to its resume point.

use std::{
    fs,
    path::{self, PathBuf},
};

use anyhow::{Context, bail};
use portmuster::{Account, positions::Positions};

mod checkpoint_writer;
mod file;
mod format;
mod run_identity;

use self::format::JournalError;
pub(crate) use self::{
    checkpoint_writer::{Checkpoint, CheckpointWriter},
    file::{JournalFile, is_temporary},
    format::Journal,
    run_identity::RunIdentity,
};
use crate::{
    args::{Check, OutputSpec},
    input::Input,
    terminal,
};

/// An open journal, and whether its run starts or resumes.
pub(crate) enum OpenJournal {
    /// The run starts.
    New(JournalFile),
    /// The run resumes, unless the journal says that it is complete.
    Existing(JournalFile, Box<Journal>),
}

/// Reduces an account to its settled targets, as a journal contains it.
pub(crate) fn settled_account(mut account: Account, settled: &Positions) -> Account {
    account.targets = account.settled() + account.excluded;
    account.more_addresses = account.targets.saturating_sub(settled.len());
    account
}

/// Opens the journal of the command line; `None`: the run has no journal.
///
/// With `--resume`, the run starts if the journal is missing or empty. Nothing is changed if the
/// run can neither start nor resume.
///
/// # Errors
/// The journal exists, is damaged or belongs to another run, or the run can't be resumed at all.
pub(crate) fn open(check: &Check, input: &Input) -> anyhow::Result<Option<OpenJournal>> {
    let Some(path) = &check.journal.journal else { return Ok(None) };
    let name = path.display();
    refuse_unresumable(check, input)?;
    if !check.journal.resume {
        let file = JournalFile::create(path, check.existing.force)
            .with_context(|| format!("creating the journal {name}"))?;
        refuse_sharing(&file, check)?;
        return Ok(Some(OpenJournal::New(file)));
    }
    let (file, bytes) = JournalFile::open_or_create(path)
        .with_context(|| format!("resuming from the journal {name}"))?;
    if bytes.is_empty() {
        refuse_sharing(&file, check)?;
        return Ok(Some(OpenJournal::New(file)));
    }
    let journal = Journal::from_bytes(&bytes).map_err(anyhow::Error::new).and_then(|journal| {
        refuse_other_run(&journal, check, input)?;
        Ok(Box::new(journal))
    });
    let journal = journal.with_context(|| format!("resuming from the journal {name}"))?;
    Ok(Some(OpenJournal::Existing(file, journal)))
}

/// Refuses a run with a journal that could not be resumed.
fn refuse_unresumable(check: &Check, input: &Input) -> anyhow::Result<()> {
    if input.len().is_none() {
        bail!(
            "a run that reads a stream can't be resumed: to use --journal, write the targets to a file \
             and read it with -i FILE"
        );
    }
    let to_stdout = check.outputs.iter().filter(|output| output.file().is_none()).count();
    if to_stdout == check.outputs.len() {
        bail!(
            "rows on stdout can't be truncated: to use --journal, write them to a file with -o \
             jsonl=FILE"
        );
    }
    if to_stdout > 0 && check.journal.resume {
        bail!("rows on stdout can't be truncated: resume without the output on stdout");
    }
    if to_stdout > 0 && !check.quiet {
        terminal::note(
            "rows on stdout can't be truncated: if this run has to be resumed, omit the output on \
             stdout",
        );
    }
    Ok(())
}

/// Refuses a journal that is also an input or an output.
fn refuse_sharing(journal: &JournalFile, check: &Check) -> anyhow::Result<()> {
    let outputs = check.outputs.iter().filter_map(OutputSpec::file);
    let inputs = check.inputs.iter().chain(&check.selection.exclude_file).map(PathBuf::as_path);
    for other in outputs.chain(inputs) {
        if journal.is(other) {
            bail!("{} is the journal as well: give each its own file", other.display());
        }
    }
    Ok(())
}

/// Refuses to resume with a command line that describes another run, and names all differences.
fn refuse_other_run(journal: &Journal, check: &Check, input: &Input) -> anyhow::Result<()> {
    let mut differences = journal.identity.differences(&RunIdentity::of(check, input)?);
    let outputs = check.outputs.iter().map(output_name).collect::<anyhow::Result<Vec<_>>>()?;
    let saved: Vec<_> = journal.outputs.iter().map(ToString::to_string).collect();
    if outputs != saved {
        differences.push(format!("outputs were {}, are {}", saved.join(" "), outputs.join(" ")));
    }
    if !differences.is_empty() {
        bail!("it belongs to another run, nothing was changed: {}", differences.join("; "));
    }
    let targets = input.len().unwrap_or_default();
    let is_settled = u128::from(journal.settled.len()) == targets;
    if journal.settled.end() > targets || journal.complete && !is_settled {
        return Err(JournalError::Inconsistent.into());
    }
    Ok(())
}

/// Returns the name of an output in the form of [`SavedOutput`](crate::output::SavedOutput).
fn output_name(output: &OutputSpec) -> anyhow::Result<String> {
    let Some(path) = output.file() else { return Ok("-".to_owned()) };
    // A missing file is reported later, when it is opened.
    let path = fs::canonicalize(path).or_else(|_| path::absolute(path))?;
    Ok(format!("{}={}", output.name(), path.display()))
}
