//! The journal of the command line: which run it belongs to, and what its errors mean to the user.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use portmuster::{
    journal::{Journal, JournalError, JournalErrorKind, JournalState, JournaledRun},
    sink::ResumePoint,
};

mod run_identity;

use crate::{
    args::{Check, OutputSpec},
    input::Input,
    output::{JournaledOutput, SavedOutput},
    terminal,
};

/// The open journal of a run, with its outputs.
pub(crate) type OpenJournal = Journal<SavedOutput>;

/// The state that an earlier process of the run has reached.
pub(crate) type SavedState = JournalState<SavedOutput>;

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
        let create =
            if check.existing.force { OpenJournal::create } else { OpenJournal::create_new };
        let journal = create(path)
            .map_err(explained)
            .with_context(|| format!("creating the journal {name}"))?;
        refuse_sharing(&journal, check)?;
        return Ok(Some(journal));
    }
    let resuming = || format!("resuming from the journal {name}");
    let journal = OpenJournal::resume(path).map_err(explained).with_context(resuming)?;
    match journal.state() {
        Some(state) => refuse_other_run(state, check, input).with_context(resuming)?,
        None => refuse_sharing(&journal, check)?,
    }
    Ok(Some(journal))
}

/// Starts or resumes the run with its journal, from the current ends of its outputs.
///
/// # Errors
/// An output can't be synced, or the journal can't be written.
pub(crate) fn start(
    journal: OpenJournal,
    check: &Check,
    input: &Input,
    outputs: Vec<JournaledOutput>,
    resume_points: Vec<ResumePoint>,
) -> anyhow::Result<JournaledRun> {
    let identity = run_identity::identity(check, input)?;
    journal.start(identity, outputs, resume_points).map_err(explained)
}

/// Converts an error of the journal to a message that names the flags of the command line.
pub(crate) fn explained(error: JournalError) -> anyhow::Error {
    let name = error.path().display().to_string();
    match error.into_kind() {
        JournalErrorKind::Exists => {
            anyhow!("it exists: --resume continues its run, --force overwrites it")
        }
        JournalErrorKind::Clear(error) => {
            anyhow::Error::new(error).context(format!("emptying the journal {name}"))
        }
        JournalErrorKind::Replace(error) => anyhow::Error::new(error).context(format!(
            "writing the journal {name}; --resume continues from the previous checkpoint"
        )),
        kind => kind.into(),
    }
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
fn refuse_sharing(journal: &OpenJournal, check: &Check) -> anyhow::Result<()> {
    let outputs = check.outputs.iter().filter_map(OutputSpec::file);
    let inputs = check.inputs.iter().chain(&check.selection.exclude_file);
    let inputs = inputs.chain(&check.host_keys.known_hosts).map(PathBuf::as_path);
    for other in outputs.chain(inputs) {
        if journal.is_at(other) {
            bail!("{} is the journal as well: give each its own file", other.display());
        }
    }
    Ok(())
}

/// Refuses to resume with a command line that describes another run, and names all differences.
fn refuse_other_run(state: &SavedState, check: &Check, input: &Input) -> anyhow::Result<()> {
    let changes = state.identity.differences(&run_identity::identity(check, input)?);
    let mut differences: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let outputs: Result<Vec<_>, _> = check.outputs.iter().map(SavedOutput::name_of).collect();
    let outputs = outputs?;
    let saved: Vec<_> = state.outputs.iter().map(ToString::to_string).collect();
    // Their order does not matter.
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    if sorted(&outputs) != sorted(&saved) {
        differences.push(format!("outputs were {}, are {}", saved.join(" "), outputs.join(" ")));
    }
    if !differences.is_empty() {
        bail!("it belongs to another run, nothing was changed: {}", differences.join("; "));
    }
    Ok(state.check_targets(input.len().unwrap_or_default())?)
}
