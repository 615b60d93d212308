//! Checkpoints: the states from which a run can resume.
//!
//! Between two rows, the main thread flushes the outputs and records their resume points and the
//! settled targets. A second thread then syncs the outputs and replaces the journal, while the main
//! thread writes further rows. At most one checkpoint is in progress; the next one waits for its
//! end.
//!
//! Invariant: the journal names no row that is not synced.

use std::{
    io,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use super::{
    error::{JournalError, JournalErrorKind},
    file::JournalFile,
    identity::RunIdentity,
    output::JournalOutput,
    state::JournalState,
};
use crate::{
    gates::GateState, outcome::Account, positions::Positions, schedule::SilentState,
    sink::ResumePoint, targets::WALK_VERSION, threads,
};

/// Time between two checkpoints. A kill loses at most the work of this time and of the sync before.
const EVERY: Duration = Duration::from_secs(1);
/// Number of settled targets after which a checkpoint is due earlier. At 300,000 targets per second
/// this makes five checkpoints per second, each of which syncs about 10 MB: less than a disk writes
/// in that time, and less than 1 % of the processor time of the run.
const EVERY_OUTCOMES: u64 = 65_536;

/// The state of a run at a checkpoint, without what stays constant during the run.
///
/// [`JournaledRun::checkpoint`](super::JournaledRun::checkpoint) creates it.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The targets whose rows are written completely.
    pub(super) settled: Positions,
    /// What is known of targets that have not answered, and how often it has changed.
    pub(super) silent: (SilentState, u64),
    /// The sum over the settled targets, including those of earlier processes.
    pub(super) account: Account,
    /// The state of the gates; `None`: the run has no gates.
    pub(super) gates: Option<GateState>,
    /// The resume points of the outputs, in their order.
    pub(super) resume_points: Vec<ResumePoint>,
    /// Whether every target is settled.
    pub(super) complete: bool,
    /// The time since the start of this process's run.
    pub(super) at: Duration,
}

impl Checkpoint {
    /// Returns whether all of `targets` targets are settled. `None`: more targets may follow, so false.
    #[must_use]
    pub fn is_complete(&self, targets: Option<u128>) -> bool {
        targets == Some(self.settled.len().into())
    }
}

/// Writes the checkpoints of a run to its journal, in a separate thread.
#[derive(Debug)]
pub(super) struct CheckpointWriter {
    checkpoints: Option<SyncSender<Checkpoint>>,
    results: Receiver<Result<(), JournalError>>,
    thread: Option<JoinHandle<()>>,
    is_writing: bool,
    /// The time of the last checkpoint, the number of settled targets at that time, and the revision of
    /// what was known of silent targets.
    last: (Duration, u64, u64),
    path: PathBuf,
}

impl CheckpointWriter {
    /// Writes the first checkpoint, from which the run can resume, and starts the thread.
    ///
    /// `outputs` are in the order of their resume points.
    ///
    /// # Errors
    /// The journal can't be written, or the thread can't be started.
    pub(super) fn start<O: JournalOutput>(
        file: JournalFile,
        run: String,
        identity: RunIdentity,
        mut outputs: Vec<O>,
        first: Checkpoint,
    ) -> Result<Self, JournalError> {
        let last = (first.at, first.settled.len(), first.silent.1);
        let path = file.path().to_owned();
        for output in &mut outputs {
            output.begin(&run);
        }
        let mut disk = Disk { run, identity, outputs, file };
        write(&mut disk, first)?;
        let (checkpoints, queue) = sync_channel::<Checkpoint>(1);
        let (result_sender, results) = sync_channel(1);
        let work = move || {
            for checkpoint in queue {
                let result = write(&mut disk, checkpoint);
                if result_sender.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = threads::named("portmuster-journal").spawn(work);
        let thread = thread
            .map_err(|error| JournalError::new(&path, JournalErrorKind::StartThread(error)))?;
        Ok(Self {
            checkpoints: Some(checkpoints),
            results,
            thread: Some(thread),
            is_writing: false,
            last,
            path,
        })
    }

    /// Returns whether a checkpoint is due at `elapsed` since the start with `settled` targets.
    ///
    /// # Errors
    /// The previous checkpoint has failed.
    pub(super) fn is_due(
        &mut self,
        elapsed: Duration,
        settled: u64,
        silent_revision: u64,
    ) -> Result<bool, JournalError> {
        if self.is_writing {
            match self.results.try_recv() {
                Err(TryRecvError::Empty) => return Ok(false),
                Ok(result) => result?,
                Err(TryRecvError::Disconnected) => return Err(self.panicked()),
            }
            self.is_writing = false;
        }
        let (at, before, revision) = self.last;
        let more = settled.saturating_sub(before);
        let has_changed = more > 0 || revision != silent_revision;
        Ok(more >= EVERY_OUTCOMES || has_changed && elapsed >= at + EVERY)
    }

    /// Starts to write a checkpoint, after the one in progress.
    ///
    /// # Errors
    /// The previous checkpoint has failed, or the thread has panicked.
    pub(super) fn begin(&mut self, checkpoint: Checkpoint) -> Result<(), JournalError> {
        self.wait()?;
        self.last = (checkpoint.at, checkpoint.settled.len(), checkpoint.silent.1);
        self.is_writing = true;
        let Some(queue) = &self.checkpoints else { return Err(self.panicked()) };
        queue.send(checkpoint).map_err(|_| self.panicked())
    }

    /// Writes the last checkpoint and waits for it.
    ///
    /// # Errors
    /// The last checkpoint or the one before has failed.
    pub(super) fn finish(mut self, last: Checkpoint) -> Result<(), JournalError> {
        self.begin(last)?;
        self.wait()
    }

    /// Waits for the checkpoint in progress, if there is one.
    pub(super) fn wait(&mut self) -> Result<(), JournalError> {
        if !std::mem::take(&mut self.is_writing) {
            return Ok(());
        }
        self.results.recv().map_err(|_| self.panicked())?
    }

    fn panicked(&self) -> JournalError {
        JournalError::new(&self.path, JournalErrorKind::Panicked)
    }
}

/// Waits for the checkpoint in progress. Afterwards another run may use the journal.
impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        self.checkpoints = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already reported.
            let _ = thread.join();
        }
    }
}

/// Storage whose content survives the program and power failures.
trait Storage {
    /// Waits until all written rows are durable.
    fn sync_outputs(&mut self) -> Result<(), JournalError>;

    /// Replaces the content of the journal, and waits until that is durable.
    fn replace_journal(&mut self, checkpoint: Checkpoint) -> Result<(), JournalError>;
}

/// Writes a checkpoint. Outputs are synced first, so that the journal names only durable rows.
fn write(disk: &mut impl Storage, checkpoint: Checkpoint) -> Result<(), JournalError> {
    disk.sync_outputs()?;
    disk.replace_journal(checkpoint)
}

/// The outputs and the journal of a run.
struct Disk<O> {
    run: String,
    identity: RunIdentity,
    outputs: Vec<O>,
    file: JournalFile,
}

impl<O> Disk<O> {
    fn error(&self, kind: JournalErrorKind) -> JournalError {
        JournalError::new(self.file.path(), kind)
    }
}

impl<O: JournalOutput> Storage for Disk<O> {
    fn sync_outputs(&mut self) -> Result<(), JournalError> {
        let synced = self.outputs.iter().try_for_each(O::sync);
        synced.map_err(|error| self.error(JournalErrorKind::Output(error)))
    }

    fn replace_journal(&mut self, checkpoint: Checkpoint) -> Result<(), JournalError> {
        let Checkpoint { settled, silent, account, gates, resume_points, complete, at: _ } =
            checkpoint;
        let outputs = self.outputs.iter().zip(resume_points);
        let outputs = outputs.map(|(output, resume_point)| output.entry(resume_point));
        let outputs = outputs.collect::<io::Result<_>>();
        let state = JournalState {
            run: self.run.clone(),
            walk: WALK_VERSION,
            identity: self.identity.clone(),
            outputs: outputs.map_err(|error| self.error(JournalErrorKind::Output(error)))?,
            settled,
            silent: silent.0,
            account,
            gates,
            complete,
        };
        let replaced = self.file.replace(&state.to_bytes());
        replaced.map_err(|error| self.error(JournalErrorKind::Replace(error)))?;
        if complete {
            self.outputs.iter().for_each(O::complete);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, path::Path, rc::Rc};

    use super::*;

    /// Storage that loses rows that were not synced.
    #[derive(Default)]
    struct Forgetful {
        written: Rc<Cell<u64>>,
        synced: u64,
        named: u64,
        fails: bool,
    }

    impl Storage for Forgetful {
        fn sync_outputs(&mut self) -> Result<(), JournalError> {
            if self.fails {
                let error = io::Error::other("the disk fails");
                return Err(JournalError::new(
                    Path::new("run.journal"),
                    JournalErrorKind::Output(error),
                ));
            }
            self.synced = self.written.get();
            Ok(())
        }

        fn replace_journal(&mut self, checkpoint: Checkpoint) -> Result<(), JournalError> {
            let [ResumePoint::Lines { length }] = checkpoint.resume_points[..] else {
                panic!("the checkpoint has one output")
            };
            assert!(length <= self.synced, "the journal names rows that are not synced");
            self.named = length;
            Ok(())
        }
    }

    fn at(length: u64) -> Checkpoint {
        Checkpoint {
            settled: Positions::new(),
            silent: (SilentState::default(), 0),
            account: Account::default(),
            gates: None,
            resume_points: vec![ResumePoint::Lines { length }],
            complete: false,
            at: Duration::ZERO,
        }
    }

    #[test]
    fn journal_names_only_synced_rows() {
        let written = Rc::new(Cell::new(10));
        let mut disk = Forgetful { written: Rc::clone(&written), ..Forgetful::default() };
        write(&mut disk, at(10)).expect("the disk works");
        assert_eq!(disk.named, 10);
        // Further rows are written between the flush and the sync.
        written.set(30);
        write(&mut disk, at(20)).expect("the disk works");
        assert_eq!((disk.synced, disk.named), (30, 20));
        disk.fails = true;
        written.set(40);
        assert!(write(&mut disk, at(40)).is_err());
        assert_eq!(disk.named, 20, "the journal keeps the last synced state");
    }
}
