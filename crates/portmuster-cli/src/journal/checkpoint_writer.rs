//! Checkpoints: the moments from which a run can go on.
//!
//! Between two rows the outputs are flushed, and it is noted where they stand and what is settled.
//! Then, in a thread of its own while rows go on, the outputs are synced and the journal is
//! replaced. At most one checkpoint is under way: the next waits for its end.
//!
//! Invariant: the journal names nothing that is not synced.

use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, anyhow};
use portmuster::{Account, Positions, sink::ResumePoint, targets::WALK_VERSION};

use super::{Journal, JournalFile, RunIdentity};
use crate::{gate::Found, output::KeptFile};

/// The longest that a checkpoint waits for its turn: what a kill costs at most is the work of this
/// time and of the sync before.
const EVERY: Duration = Duration::from_secs(1);
/// Outcomes after which a checkpoint is due before its time. At 300,000 a second it makes five a
/// second, each of which syncs some 10 MB: less than a disk writes anyway, and few enough that
/// they cost a run less than a hundredth of its processor time.
const EVERY_OUTCOMES: u64 = 65_536;

/// How far a run is.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    /// The targets of which everything was written.
    pub(crate) settled: Positions,
    /// The sum over the whole run, with its earlier parts.
    pub(crate) account: Account,
    /// What was found of what must not be found; `None`: the run may find anything.
    pub(crate) found: Option<Found>,
    /// Where the outputs stand, in their order.
    pub(crate) marks: Vec<ResumePoint>,
    /// Nothing is left.
    pub(crate) complete: bool,
}

/// Keeps the journal of a run.
pub(crate) struct CheckpointWriter {
    checkpoints: Option<SyncSender<Checkpoint>>,
    results: Receiver<anyhow::Result<()>>,
    thread: Option<JoinHandle<()>>,
    is_under_way: bool,
    /// When the last one was taken, and how many targets were settled then.
    taken: (Duration, u64),
}

impl CheckpointWriter {
    /// Writes the first checkpoint, so that from here on the run can be resumed, and starts the
    /// thread. `outputs` are in the order of their marks.
    ///
    /// # Errors
    /// The journal can't be written, or there is no thread to be had.
    pub(crate) fn start(
        file: JournalFile,
        run: String,
        identity: RunIdentity,
        mut outputs: Vec<KeptFile>,
        first: Checkpoint,
    ) -> anyhow::Result<Self> {
        let taken = (Duration::ZERO, first.settled.len());
        for output in &mut outputs {
            output.leave_trace(&run);
        }
        let mut disk = Disk { run, identity, outputs, file };
        keep(&mut disk, first)?;
        let (checkpoints, orders) = sync_channel::<Checkpoint>(1);
        let (results_in, results) = sync_channel(1);
        let work = move || {
            for checkpoint in orders {
                let result = keep(&mut disk, checkpoint);
                if results_in.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("portmuster-journal".into()).spawn(work)?;
        Ok(Self {
            checkpoints: Some(checkpoints),
            results,
            thread: Some(thread),
            is_under_way: false,
            taken,
        })
    }

    /// Whether a checkpoint should be taken now, so long after the start of the run and with so
    /// many settled.
    ///
    /// # Errors
    /// The one before has failed.
    pub(crate) fn is_due(&mut self, elapsed: Duration, settled: u64) -> anyhow::Result<bool> {
        if self.is_under_way {
            match self.results.try_recv() {
                Err(TryRecvError::Empty) => return Ok(false),
                Ok(result) => result?,
                Err(TryRecvError::Disconnected) => return Err(gone()),
            }
            self.is_under_way = false;
        }
        let (at, before) = self.taken;
        let more = settled - before;
        Ok(more >= EVERY_OUTCOMES || more > 0 && elapsed >= at + EVERY)
    }

    /// Begins a checkpoint that [is due](Self::is_due).
    ///
    /// # Errors
    /// The thread has panicked.
    pub(crate) fn begin(
        &mut self,
        elapsed: Duration,
        checkpoint: Checkpoint,
    ) -> anyhow::Result<()> {
        self.taken = (elapsed, checkpoint.settled.len());
        self.is_under_way = true;
        let orders = self.checkpoints.as_ref().ok_or_else(gone)?;
        orders.send(checkpoint).map_err(|_| gone())
    }

    /// Takes the last checkpoint, and waits until it is written.
    ///
    /// # Errors
    /// It, or the one before, has failed.
    pub(crate) fn end(mut self, last: Checkpoint) -> anyhow::Result<()> {
        if std::mem::take(&mut self.is_under_way) {
            self.results.recv().map_err(|_| gone())??;
        }
        self.begin(self.taken.0, last)?;
        self.results.recv().map_err(|_| gone())?
    }
}

/// Waits for what is under way: when this returns the journal is another run's to take.
impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        self.checkpoints = None;
        if let Some(thread) = self.thread.take() {
            // Its panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn gone() -> anyhow::Error {
    anyhow!("the thread that writes the journal has panicked")
}

/// What outlasts the program, and from when on.
trait Durable {
    /// Returns when all that was written to the outputs outlasts a power cut.
    fn sync_outputs(&mut self) -> anyhow::Result<()>;

    /// Returns when this outlasts it, too, and nothing that was there before does.
    fn replace_journal(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()>;
}

/// The order is what makes the journal true.
fn keep(disk: &mut impl Durable, checkpoint: Checkpoint) -> anyhow::Result<()> {
    disk.sync_outputs()?;
    disk.replace_journal(checkpoint)
}

struct Disk {
    run: String,
    identity: RunIdentity,
    outputs: Vec<KeptFile>,
    file: JournalFile,
}

impl Durable for Disk {
    fn sync_outputs(&mut self) -> anyhow::Result<()> {
        self.outputs.iter().try_for_each(KeptFile::sync)
    }

    fn replace_journal(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()> {
        let Checkpoint { settled, account, found, marks, complete } = checkpoint;
        let outputs = self.outputs.iter().zip(marks);
        let outputs = outputs.map(|(output, mark)| output.at(mark));
        let journal = Journal {
            run: self.run.clone(),
            walk: WALK_VERSION,
            identity: self.identity.clone(),
            outputs: outputs.collect::<anyhow::Result<_>>()?,
            settled,
            account,
            found,
            complete,
        };
        let replaced = self.file.replace(&journal.to_bytes());
        replaced.with_context(|| {
            format!(
                "writing the journal {}; --resume goes on from the checkpoint before",
                self.file.name()
            )
        })?;
        if complete {
            self.outputs.iter().for_each(KeptFile::remove_trace);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    /// A disk that forgets what was not synced.
    #[derive(Default)]
    struct Forgetful {
        written: Rc<Cell<u64>>,
        synced: u64,
        named: u64,
        fails: bool,
    }

    impl Durable for Forgetful {
        fn sync_outputs(&mut self) -> anyhow::Result<()> {
            if self.fails {
                return Err(anyhow!("it fails"));
            }
            self.synced = self.written.get();
            Ok(())
        }

        fn replace_journal(&mut self, checkpoint: Checkpoint) -> anyhow::Result<()> {
            let [ResumePoint::Lines { length }] = checkpoint.marks[..] else {
                panic!("it has one output")
            };
            assert!(length <= self.synced, "the journal names what is not synced");
            self.named = length;
            Ok(())
        }
    }

    fn at(length: u64) -> Checkpoint {
        Checkpoint {
            settled: Positions::new(),
            account: Account::default(),
            found: None,
            marks: vec![ResumePoint::Lines { length }],
            complete: false,
        }
    }

    #[test]
    fn what_the_journal_names_is_synced() {
        let written = Rc::new(Cell::new(10));
        let mut disk = Forgetful { written: Rc::clone(&written), ..Forgetful::default() };
        keep(&mut disk, at(10)).expect("nothing fails");
        assert_eq!(disk.named, 10);
        // Rows go on between the note and the sync.
        written.set(30);
        keep(&mut disk, at(20)).expect("nothing fails");
        assert_eq!((disk.synced, disk.named), (30, 20));
        disk.fails = true;
        written.set(40);
        assert!(keep(&mut disk, at(40)).is_err());
        assert_eq!(disk.named, 20, "the journal stays at what is synced");
    }
}
