//! Checkpoints: the states from which a run can resume.
//!
//! Between two rows, the main thread flushes the outputs and records their resume points and the
//! settled targets. A second thread then syncs the outputs and replaces the journal, while the main
//! thread writes further rows. At most one checkpoint is in progress; the next one waits for its
//! end.
//!
//! Invariant: the journal names no row that is not synced.

use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, anyhow};
use portmuster::{Account, Positions, gates::GateState, sink::ResumePoint, targets::WALK_VERSION};

use super::{file::JournalFile, format::Journal, run_identity::RunIdentity};
use crate::output::JournaledOutput;

/// Time between two checkpoints. A kill loses at most the work of this time and of the sync before.
const EVERY: Duration = Duration::from_secs(1);
/// Number of settled targets after which a checkpoint is due earlier. At 300,000 targets per second
/// this makes five checkpoints per second, each of which syncs about 10 MB: less than a disk writes
/// in that time, and less than 1 % of the processor time of the run.
const EVERY_OUTCOMES: u64 = 65_536;

/// The state of a run at a checkpoint, without what stays constant during the run.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    /// The targets whose rows are written completely.
    pub(crate) settled: Positions,
    /// The sum over the settled targets, including those of earlier processes.
    pub(crate) account: Account,
    /// The state of the gates; `None`: the run has no gates.
    pub(crate) gate: Option<GateState>,
    /// The resume points of the outputs, in their order.
    pub(crate) resume_points: Vec<ResumePoint>,
    /// Whether every target is settled.
    pub(crate) complete: bool,
}

/// Writes the checkpoints of a run to its journal, in a separate thread.
pub(crate) struct CheckpointWriter {
    checkpoints: Option<SyncSender<Checkpoint>>,
    results: Receiver<anyhow::Result<()>>,
    thread: Option<JoinHandle<()>>,
    is_writing: bool,
    /// The time of the last checkpoint, and the number of settled targets at that time.
    last: (Duration, u64),
}

impl CheckpointWriter {
    /// Writes the first checkpoint, from which the run can resume, and starts the thread.
    ///
    /// `outputs` are in the order of their resume points.
    ///
    /// # Errors
    /// The journal can't be written, or the thread can't be started.
    pub(crate) fn start(
        file: JournalFile,
        run: String,
        identity: RunIdentity,
        mut outputs: Vec<JournaledOutput>,
        first: Checkpoint,
    ) -> anyhow::Result<Self> {
        let last = (Duration::ZERO, first.settled.len());
        for output in &mut outputs {
            output.set_tag(&run);
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
        let thread = thread::Builder::new().name("portmuster-journal".into()).spawn(work)?;
        Ok(Self {
            checkpoints: Some(checkpoints),
            results,
            thread: Some(thread),
            is_writing: false,
            last,
        })
    }

    /// Returns whether a checkpoint is due at `elapsed` since the start with `settled` targets.
    ///
    /// # Errors
    /// The previous checkpoint has failed.
    pub(crate) fn is_due(&mut self, elapsed: Duration, settled: u64) -> anyhow::Result<bool> {
        if self.is_writing {
            match self.results.try_recv() {
                Err(TryRecvError::Empty) => return Ok(false),
                Ok(result) => result?,
                Err(TryRecvError::Disconnected) => return Err(panicked()),
            }
            self.is_writing = false;
        }
        let (at, before) = self.last;
        let more = settled - before;
        Ok(more >= EVERY_OUTCOMES || more > 0 && elapsed >= at + EVERY)
    }

    /// Starts to write a checkpoint that [is due](Self::is_due).
    ///
    /// # Errors
    /// The thread has panicked.
    pub(crate) fn begin(
        &mut self,
        elapsed: Duration,
        checkpoint: Checkpoint,
    ) -> anyhow::Result<()> {
        self.last = (elapsed, checkpoint.settled.len());
        self.is_writing = true;
        let queue = self.checkpoints.as_ref().ok_or_else(panicked)?;
        queue.send(checkpoint).map_err(|_| panicked())
    }

    /// Writes the last checkpoint and waits for it.
    ///
    /// # Errors
    /// The last checkpoint or the one before has failed.
    pub(crate) fn finish(mut self, last: Checkpoint) -> anyhow::Result<()> {
        if std::mem::take(&mut self.is_writing) {
            self.results.recv().map_err(|_| panicked())??;
        }
        self.begin(self.last.0, last)?;
        self.results.recv().map_err(|_| panicked())?
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

fn panicked() -> anyhow::Error {
    anyhow!("the thread that writes the journal has panicked")
}

/// Storage whose content survives the program and power failures.
trait Storage {
    /// Waits until all written rows are durable.
    fn sync_outputs(&mut self) -> anyhow::Result<()>;

    /// Replaces the content of the journal, and waits until that is durable.
    fn replace_journal(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()>;
}

/// Writes a checkpoint. Outputs are synced first, so that the journal names only durable rows.
fn write(disk: &mut impl Storage, checkpoint: Checkpoint) -> anyhow::Result<()> {
    disk.sync_outputs()?;
    disk.replace_journal(checkpoint)
}

/// The outputs and the journal of a run.
struct Disk {
    run: String,
    identity: RunIdentity,
    outputs: Vec<JournaledOutput>,
    file: JournalFile,
}

impl Storage for Disk {
    fn sync_outputs(&mut self) -> anyhow::Result<()> {
        self.outputs.iter().try_for_each(JournaledOutput::sync)
    }

    fn replace_journal(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()> {
        let Checkpoint { settled, account, gate, resume_points, complete } = checkpoint;
        let outputs = self.outputs.iter().zip(resume_points);
        let outputs = outputs.map(|(output, resume_point)| output.save(resume_point));
        let journal = Journal {
            run: self.run.clone(),
            walk: WALK_VERSION,
            identity: self.identity.clone(),
            outputs: outputs.collect::<anyhow::Result<_>>()?,
            settled,
            account,
            gate,
            complete,
        };
        let replaced = self.file.replace(&journal.to_bytes());
        replaced.with_context(|| {
            format!(
                "writing the journal {}; --resume continues from the previous checkpoint",
                self.file.name()
            )
        })?;
        if complete {
            self.outputs.iter().for_each(JournaledOutput::remove_tag);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

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
        fn sync_outputs(&mut self) -> anyhow::Result<()> {
            if self.fails {
                return Err(anyhow!("the disk fails"));
            }
            self.synced = self.written.get();
            Ok(())
        }

        fn replace_journal(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()> {
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
            account: Account::default(),
            gate: None,
            resume_points: vec![ResumePoint::Lines { length }],
            complete: false,
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
