//! The main loop of a run: writes outcomes as rows, shows progress and takes checkpoints.

use std::time::Duration;

use portmuster::{
    Account, Next, Outcome, Outcomes,
    gates::Gates,
    journal::{Checkpoint, JournalError, JournaledRun},
    method::WorkersReport,
    outcome::{Certainty, NetworkLoss},
};

use crate::{
    closing::describe_run,
    input::ReadInput,
    journal,
    output::{Outputs, WriteError},
    progress::Progress,
    signals::Interrupted,
    summary::{self, SoftwareCounts, UncheckedReasons},
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
    pub(crate) input: &'a ReadInput,
    /// `None`: the run has no gates.
    pub(crate) gates: Option<Gates>,
    /// `None`: the run resumes another, and its software is not counted.
    pub(crate) software: Option<SoftwareCounts>,
    /// Why targets were not checked, in this process.
    pub(crate) unchecked: UncheckedReasons,
    /// `None`: the run has no journal.
    pub(crate) journaled: Option<JournaledRun>,
    pub(crate) interrupted: &'a Interrupted,
}

/// The result of a run.
pub(crate) struct Collected {
    /// The sum over all targets, including those of earlier processes.
    pub(crate) account: Account,
    /// How certain it is that silent targets would not answer; `None`: it was not measured, or the run
    /// was stopped.
    pub(crate) certainty: Option<Certainty>,
    /// Whether the run was stopped before its end.
    pub(crate) is_stopped: bool,
    /// The gates after all outcomes, including those of earlier processes.
    pub(crate) gates: Option<Gates>,
    /// The software of all ssh servers; `None`: it is not known of all of them.
    pub(crate) software: Option<SoftwareCounts>,
    /// Why targets were not checked, in this process.
    pub(crate) unchecked: UncheckedReasons,
    /// The attempts and failures of the workers.
    pub(crate) workers: WorkersReport,
    /// The loss on the way to each network, in this process.
    pub(crate) network_losses: Vec<NetworkLoss>,
    /// Whether all outputs and the journal were written.
    pub(crate) written: Result<(), WriteError>,
}

impl Collector<'_> {
    /// Writes the rows as outcomes arrive, until the run ends or an output fails. The gates and the
    /// other outputs then get the rest of the outcomes that the account counts.
    pub(crate) fn run(mut self) -> Collected {
        let mut written = Ok(());
        let mut since_update = 0;
        while written.is_ok() || !self.outcomes.is_drained() {
            let is_pause = match self.outcomes.next_timeout(TICK) {
                Next::Ended => break,
                Next::TimedOut => true,
                Next::Outcome(outcome) => {
                    written = self.write(outcome, written);
                    since_update += 1;
                    self.outcomes.would_wait()
                }
            };
            if is_pause || since_update == UPDATE_EVERY {
                since_update = 0;
                self.progress.update(&self.account(), &self.outcomes.account());
                written = written.and_then(|()| self.progress.suspend(|| self.outputs.flush()));
            }
            // Within a batch, the account includes outcomes that are not written yet.
            if self.outcomes.is_drained() {
                written = written.and_then(|()| self.take_due_checkpoint());
            }
        }
        self.finish(written)
    }

    /// Writes the rows that the outcome settles. Returns the first failure, which may be `written`.
    fn write(
        &mut self,
        outcome: Outcome,
        written: Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        match &mut self.journaled {
            Some(journaled) => {
                let settled = journaled.settle(outcome, &self.outcomes);
                settled.fold(written, |written, outcome| self.write_row(&outcome, written))
            }
            None => self.write_row(&outcome, written),
        }
    }

    fn write_row(
        &mut self,
        outcome: &Outcome,
        written: Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if let Some(gates) = &mut self.gates {
            gates.add(outcome);
        }
        if let Some(software) = &mut self.software {
            software.add(outcome);
        }
        self.unchecked.add(outcome);
        let row = self.outputs.write(outcome);
        written.and(row)
    }

    /// Returns the account of the written outcomes, including those of earlier processes.
    fn account(&self) -> Account {
        let journaled = self.journaled.as_ref();
        journaled.map_or(self.outcomes.account(), |journaled| journaled.account(&self.outcomes))
    }

    /// Starts a checkpoint if one is due.
    fn take_due_checkpoint(&mut self) -> Result<(), WriteError> {
        let Some(journaled) = &mut self.journaled else { return Ok(()) };
        if !journaled.is_due(&self.outcomes).map_err(failed)? {
            return Ok(());
        }
        let Some(checkpoint) = self.checkpoint()? else { return Ok(()) };
        let Some(journaled) = &mut self.journaled else { return Ok(()) };
        journaled.write(checkpoint).map_err(failed)
    }

    /// Flushes the outputs and returns the current state; `None`: the run has no journal.
    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, WriteError> {
        let Some(journaled) = &self.journaled else { return Ok(None) };
        let resume_points = self.progress.suspend(|| self.outputs.resume_points())?;
        let gates = self.gates.as_ref().map(Gates::state).cloned();
        Ok(Some(journaled.checkpoint(&self.outcomes, resume_points, gates)))
    }

    /// Finishes the outputs, then takes the last checkpoint.
    fn finish(mut self, written: Result<(), WriteError>) -> Collected {
        let mut written = written;
        let last = if written.is_ok() { self.checkpoint() } else { Ok(None) };
        let account = self.account();
        let is_stopped = self.interrupted.is_set() || written.is_err();
        let total = self.input.total;
        let mut ending = summary::ending(&account, total);
        // If targets are left, some samples are missing.
        let is_whole = !is_stopped || (total.is_some() && ending.left() == 0);
        let certainty = self.outcomes.certainty().filter(|_| is_whole);
        ending.certainty = certainty;
        let finished = self.progress.suspend(|| self.outputs.finish(&ending));
        written = written.and(finished);
        let totals = self.input.totals(&account, certainty.as_ref());
        let report = self.gates.as_ref().map(|gates| gates.report(&totals));
        let summary = describe_run(&totals, report.as_ref(), ending.time, is_stopped);
        written = match (last, self.journaled) {
            (_, None) => {
                let grouped = self.progress.suspend(|| self.outputs.group(&summary));
                written.and(grouped).and(self.outputs.publish(false))
            }
            (last, Some(journaled)) => {
                let last = written.and(last);
                last.and_then(|last| {
                    finish_journaled(last, journaled, self.outputs, total, &summary)
                })
            }
        };
        Collected {
            account,
            certainty,
            is_stopped,
            gates: self.gates,
            software: self.software,
            unchecked: self.unchecked,
            workers: self.outcomes.workers().clone(),
            network_losses: self.outcomes.network_losses().to_vec(),
            written,
        }
    }
}

/// Writes the last checkpoint of a run whose outputs are finished: a complete run is never resumed.
///
/// If the run is complete, its outputs are grouped before, and replaced after. `summary` is that of the run
/// in JSON.
fn finish_journaled(
    last: Option<Checkpoint>,
    mut journaled: JournaledRun,
    outputs: &mut Outputs,
    total: Option<u128>,
    summary: &str,
) -> Result<(), WriteError> {
    let Some(last) = last else { return Ok(()) };
    if !last.is_complete(total) {
        return journaled.finish(last, total).map_err(failed);
    }
    // No earlier checkpoint may name the new files.
    journaled.wait().map_err(failed)?;
    outputs.group(summary)?;
    journaled.finish(last, total).map_err(failed)?;
    outputs.publish(true)
}

fn failed(error: JournalError) -> WriteError {
    WriteError::Failed(journal::explained(error))
}
