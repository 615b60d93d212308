//! The main loop of a run: writes outcomes as rows, shows progress and takes checkpoints.

use std::{collections::HashMap, time::Duration};

use portmuster::{Account, Next, Outcome, Outcomes, Positions, WorkersReport, gates::Gates};

use crate::{
    args::Check,
    input::Input,
    journal::{self, Checkpoint, CheckpointWriter, OpenJournal, RunIdentity},
    output::{Outputs, WriteError, new_run_id},
    progress::Progress,
    summary,
};

/// Number of rows after which outputs are flushed and progress is shown, unless a pause comes
/// first.
const UPDATE_EVERY: usize = 4096;

/// How long to wait for an outcome before progress is shown again.
const TICK: Duration = Duration::from_millis(200);

/// The loop that writes the outcomes of a run.
pub(crate) struct Collector<'a> {
    pub(crate) outcomes: Outcomes,
    pub(crate) outputs: &'a mut Outputs,
    pub(crate) progress: &'a mut Progress,
    /// The number of targets; `None`: some come from a stream.
    pub(crate) total: Option<u128>,
    /// `None`: the run has no gates.
    pub(crate) gates: Option<Gates>,
    /// `None`: the run has no journal.
    pub(crate) journaled: Option<JournaledRun>,
}

/// The result of a run.
pub(crate) struct Collected {
    /// The sum over all targets, including those of earlier processes.
    pub(crate) account: Account,
    /// The gates after all outcomes, including those of earlier processes.
    pub(crate) gates: Option<Gates>,
    /// The attempts and failures of the workers.
    pub(crate) workers: WorkersReport,
    /// Whether all outputs and the journal were written.
    pub(crate) written: Result<(), WriteError>,
}

/// The journal of a run, and the outcomes that wait for it.
pub(crate) struct JournaledRun {
    writer: CheckpointWriter,
    /// The sum over the targets of earlier processes.
    earlier: Account,
    /// The outcomes of unsettled targets by position; `None`: every target has a single outcome.
    ///
    /// The outcomes of one target are written together once it is settled: an unsettled target is
    /// checked again when the run resumes, so none of its rows may have been written.
    pending: Option<HashMap<u64, Vec<Outcome>>>,
}

impl JournaledRun {
    /// Writes the first checkpoint of this process; returns the targets settled before.
    ///
    /// From here on the run can be resumed.
    ///
    /// # Errors
    /// The journal can't be written.
    pub(crate) fn start(
        journal: OpenJournal,
        check: &Check,
        input: &Input,
        outputs: &mut Outputs,
    ) -> anyhow::Result<(Self, Positions)> {
        let (file, run, settled, earlier, gate) = match journal {
            OpenJournal::New(file) => {
                (file, new_run_id(), Positions::new(), Account::default(), None)
            }
            OpenJournal::Existing(file, journal) => {
                (file, journal.run, journal.settled, journal.account, journal.gate)
            }
        };
        let resume_points = outputs.resume_points().map_err(WriteError::into_error)?;
        let first = Checkpoint {
            settled: settled.clone(),
            account: earlier,
            gate,
            resume_points,
            complete: false,
        };
        let identity = RunIdentity::of(check, input);
        let writer = CheckpointWriter::start(file, run, identity, outputs.take_journaled(), first)?;
        let pending = check.selection.all_addresses.then(HashMap::new);
        Ok((Self { writer, earlier, pending }, settled))
    }
}

impl Collector<'_> {
    /// Writes the rows as outcomes arrive, until the run ends or an output fails.
    pub(crate) fn run(mut self) -> Collected {
        let mut written = Ok(());
        let mut since_update = 0;
        while written.is_ok() {
            let is_pause = match self.outcomes.next_timeout(TICK) {
                Next::Ended => break,
                Next::TimedOut => true,
                Next::Outcome(outcome) => {
                    written = self.write(outcome);
                    since_update += 1;
                    self.outcomes.would_wait()
                }
            };
            if is_pause || since_update == UPDATE_EVERY {
                since_update = 0;
                self.progress.update(&self.account());
                written = written.and_then(|()| self.progress.suspend(|| self.outputs.flush()));
            }
            // Within a batch, the account includes outcomes that are not written yet.
            if self.outcomes.is_drained() {
                written = written.and_then(|()| self.take_due_checkpoint());
            }
        }
        self.finish(written)
    }

    /// Writes an outcome, or keeps it until its target is settled.
    fn write(&mut self, outcome: Outcome) -> Result<(), WriteError> {
        let pending = self.journaled.as_mut().and_then(|journaled| journaled.pending.as_mut());
        let Some(pending) = pending else { return self.write_row(&outcome) };
        let position = outcome.position;
        if !self.outcomes.settled().contains(position) {
            pending.entry(position).or_default().push(outcome);
            return Ok(());
        }
        for earlier in pending.remove(&position).unwrap_or_default() {
            self.write_row(&earlier)?;
        }
        self.write_row(&outcome)
    }

    fn write_row(&mut self, outcome: &Outcome) -> Result<(), WriteError> {
        if let Some(gates) = &mut self.gates {
            gates.add(outcome);
        }
        self.outputs.write(outcome)
    }

    /// Returns the account of the written outcomes, including those of earlier processes.
    fn account(&self) -> Account {
        let mut account = self.outcomes.account();
        let Some(journaled) = &self.journaled else { return account };
        for outcome in journaled.pending.iter().flat_map(HashMap::values).flatten() {
            account.take_back(&outcome.verdict);
        }
        account.after(journaled.earlier)
    }

    /// Starts a checkpoint if one is due.
    fn take_due_checkpoint(&mut self) -> Result<(), WriteError> {
        let Some(journaled) = &mut self.journaled else { return Ok(()) };
        let elapsed = self.outcomes.account().elapsed;
        let settled = self.outcomes.settled().len();
        if !journaled.writer.is_due(elapsed, settled).map_err(WriteError::Failed)? {
            return Ok(());
        }
        let checkpoint = self.checkpoint()?;
        let Some(journaled) = &mut self.journaled else { return Ok(()) };
        journaled.writer.begin(elapsed, checkpoint).map_err(WriteError::Failed)
    }

    /// Flushes the outputs and returns the current state.
    fn checkpoint(&mut self) -> Result<Checkpoint, WriteError> {
        let resume_points = self.progress.suspend(|| self.outputs.resume_points())?;
        let settled = self.outcomes.settled().clone();
        Ok(Checkpoint {
            account: journal::settled_account(self.account(), &settled),
            gate: self.gates.as_ref().map(Gates::state).cloned(),
            settled,
            resume_points,
            complete: false,
        })
    }

    /// Finishes the outputs, then takes the last checkpoint.
    fn finish(mut self, written: Result<(), WriteError>) -> Collected {
        let last = match (&written, &self.journaled) {
            (Ok(()), Some(_)) => Some(self.checkpoint()),
            _ => None,
        };
        let account = self.account();
        let ending = summary::ending(&account, self.total);
        let finished = self.progress.suspend(|| self.outputs.finish(&ending));
        let mut written = written.and(finished);
        if let (Some(last), Some(journaled)) = (last, self.journaled) {
            // Only after every output is finished, because a complete run is never resumed.
            let finish = |last: Checkpoint| {
                let complete = self.total == Some(last.settled.len().into());
                journaled.writer.finish(Checkpoint { complete, ..last }).map_err(WriteError::Failed)
            };
            written = written.and(last).and_then(finish);
        }
        let workers = self.outcomes.workers().clone();
        Collected { account, gates: self.gates, workers, written }
    }
}
