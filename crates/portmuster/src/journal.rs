//! Journals: files from which a later process resumes a run.
//!
//! A journal contains the [identity](RunIdentity) of the run, its progress, and the [resume
//! point](ResumePoint) of each output. It is replaced atomically at every checkpoint, after the
//! outputs were synced. This run writes JSON lines, and continues where it was killed:
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let (path, rows_path) = (folder.path().join("run.journal"), folder.path().join("rows.txt"));
//! use std::fs::File;
//! use portmuster::{
//!     Checker, Config,
//!     journal::{Journal, RunIdentity},
//!     sink::{Jsonl, ResumableSink, ResumePoint, Sink},
//! };
//!
//! let targets = [("127.0.0.1", 1), ("127.0.0.1", 2)];
//! let identity = RunIdentity::new([("targets", format!("{targets:?}"))]);
//! let journal: Journal = Journal::resume(&path)?;
//! journal.refuse_other_run(&identity, targets.len() as u128)?;
//! let file = File::options().create(true).truncate(false).write(true).open(&rows_path)?;
//! let synced = file.try_clone()?;
//! let start = ResumePoint::Lines { length: 0 };
//! let mut rows = Jsonl::resume(file, *journal.resume_points().first().unwrap_or(&start))?;
//!
//! let checker = Checker::new(Config::default()).resuming(journal.settled());
//! let checker = checker.resuming_silent(journal.silent()).resumable();
//! let mut run = journal.start(identity, [synced], [rows.checkpoint()?])?;
//! let mut outcomes = checker.check(targets)?;
//! while let Some(outcome) = outcomes.next() {
//!     for outcome in run.settle(outcome, &outcomes) {
//!         rows.write(&outcome)?;
//!     }
//!     if run.is_due(&outcomes)? {
//!         run.write(run.checkpoint(&outcomes, [rows.checkpoint()?], None))?;
//!     }
//! }
//! let last = run.checkpoint(&outcomes, [rows.checkpoint()?], None);
//! run.finish(last, Some(targets.len() as u128))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: whatever ends the program or the machine, the file is complete, and every output
//! contains at least the rows up to its resume point.

use std::path::Path;

mod checkpoint_writer;
mod checksum;
mod error;
mod file;
mod identity;
mod output;
mod run;
mod state;

use self::file::JournalFile;
pub use self::{
    checkpoint_writer::Checkpoint,
    error::{JournalError, JournalErrorKind},
    file::is_reserved_name,
    identity::{RunIdentity, SettingChange},
    output::{JournalEntry, JournalOutput},
    run::JournaledRun,
    state::{InvalidJournal, JournalState},
};
pub use crate::schedule::SilentState;
use crate::{positions::Positions, sink::ResumePoint};

/// An open journal, which no other run can use until it is dropped.
///
/// `E` is what it stores of each output. If it was created and no run was started with it, dropping
/// it removes the file.
#[derive(Debug)]
pub struct Journal<E = ResumePoint> {
    file: JournalFile,
    state: Option<Box<JournalState<E>>>,
}

impl<E: JournalEntry> Journal<E> {
    /// Creates a journal.
    ///
    /// # Errors
    /// The file exists or can't be created.
    pub fn create_new(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::create_file(path.as_ref(), false)
    }

    /// Creates a journal, or takes over an existing file of any content, which stays until the run is
    /// started. Before outputs that it names are overwritten, [clear](Self::clear) it.
    ///
    /// # Errors
    /// Another run writes the journal, or it can't be created or written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::create_file(path.as_ref(), true)
    }

    fn create_file(path: &Path, overwrite: bool) -> Result<Self, JournalError> {
        let file = JournalFile::create(path, overwrite);
        let file = file.map_err(|kind| JournalError::new(path, kind))?;
        Ok(Self { file, state: None })
    }

    /// Opens the journal of an earlier process and reads its state, or creates an empty journal.
    ///
    /// A journal is empty as well if an earlier process was killed before its run was started.
    ///
    /// # Errors
    /// Another run writes the journal, it can't be read or created, or its content is damaged or of
    /// another version.
    pub fn resume(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref();
        let opened = JournalFile::open_or_create(path).and_then(|(file, bytes)| {
            if bytes.is_empty() {
                return Ok(Self { file, state: None });
            }
            let state = JournalState::from_bytes(&bytes).map_err(JournalErrorKind::Content)?;
            Ok(Self { file, state: Some(Box::new(state)) })
        });
        opened.map_err(|kind| JournalError::new(path, kind))
    }

    /// Returns the state from which the run resumes; `None`: the run starts.
    #[must_use]
    pub fn state(&self) -> Option<&JournalState<E>> {
        self.state.as_deref()
    }

    /// Returns the targets that are settled, for [`Checker::resuming`](crate::Checker::resuming);
    /// empty if the run starts.
    #[must_use]
    pub fn settled(&self) -> Positions {
        self.state().map(|state| state.settled.clone()).unwrap_or_default()
    }

    /// Returns what is known of targets that have not answered, for
    /// [`Checker::resuming_silent`](crate::Checker::resuming_silent); empty if the run starts.
    #[must_use]
    pub fn silent(&self) -> SilentState {
        self.state().map(|state| state.silent.clone()).unwrap_or_default()
    }

    /// Returns the point at which each output is to be truncated and resumed; empty if the run starts.
    #[must_use]
    pub fn resume_points(&self) -> Vec<ResumePoint> {
        let outputs = self.state().map(|state| &state.outputs[..]).unwrap_or_default();
        outputs.iter().map(E::resume_point).collect()
    }

    /// Checks that the journal belongs to a run with this identity and number of targets, or to none.
    ///
    /// # Errors
    /// The identity differs, or the settled positions are not those of so many targets.
    pub fn refuse_other_run(
        &self,
        identity: &RunIdentity,
        targets: u128,
    ) -> Result<(), JournalError> {
        let Some(state) = self.state() else { return Ok(()) };
        let changes = state.identity.differences(identity);
        let refused = if changes.is_empty() {
            state.check_targets(targets).map_err(JournalErrorKind::Content)
        } else {
            Err(JournalErrorKind::OtherRun(changes))
        };
        refused.map_err(|kind| JournalError::new(self.path(), kind))
    }

    /// Returns the absolute path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns whether the path leads to the file of the journal.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        self.file.is(path)
    }

    /// Empties the file, so that the journal names no rows that are about to be overwritten.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn clear(&mut self) -> Result<(), JournalError> {
        let cleared = self.file.clear();
        cleared.map_err(|error| JournalError::new(self.path(), JournalErrorKind::Clear(error)))
    }

    /// Starts or resumes the run: writes the first checkpoint of this process, and starts the thread
    /// that writes the others.
    ///
    /// The outputs are truncated to their [resume points](Self::resume_points) before, and
    /// `resume_points` are those points, or the current ends of new outputs.
    ///
    /// # Errors
    /// An output can't be synced, the journal can't be written, or the thread can't be started.
    ///
    /// # Panics
    /// The number of resume points is not that of the outputs.
    pub fn start<O: JournalOutput<Entry = E>>(
        self,
        identity: RunIdentity,
        outputs: impl IntoIterator<Item = O>,
        resume_points: impl IntoIterator<Item = ResumePoint>,
    ) -> Result<JournaledRun, JournalError> {
        let outputs: Vec<_> = outputs.into_iter().collect();
        let resume_points: Vec<_> = resume_points.into_iter().collect();
        let state = self.state.map(|state| *state);
        JournaledRun::start(self.file, state, identity, outputs, resume_points)
    }
}
