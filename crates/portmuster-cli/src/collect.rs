//! From outcomes to rows, with what is shown and kept of the run meanwhile.

use std::{collections::HashMap, time::Duration};

use portmuster::{Account, Next, Outcome, Outcomes, Positions, WorkersReport};

use crate::{
    args::Check,
    gate::Gate,
    input::Input,
    journal::{self, Checkpoint, CheckpointWriter, Opened, RunIdentity},
    output::{Failure, Outputs, new_run_id},
    progress::Progress,
    summary,
};

/// Rows after which they are flushed and progress is shown, when there is no pause before.
const UPDATE_EVERY: usize = 4096;

/// How long the outcomes are waited for before progress is shown again.
const TICK: Duration = Duration::from_millis(200);

/// A run whose rows are being written.
pub(crate) struct Collector<'a> {
    pub(crate) outcomes: Outcomes,
    pub(crate) outputs: &'a mut Outputs,
    pub(crate) progress: &'a mut Progress,
    pub(crate) total: Option<u128>,
    /// `None`: the run may find anything.
    pub(crate) gate: Option<Gate>,
    /// `None`: the run keeps no journal.
    pub(crate) journaled: Option<Journaled>,
}

/// What a run came to.
pub(crate) struct Collected {
    /// The sum, with the earlier parts of the run.
    pub(crate) account: Account,
    /// What it found that it must not find, with the earlier parts of the run.
    pub(crate) gate: Option<Gate>,
    /// How the workers fared.
    pub(crate) workers: WorkersReport,
    /// How outputs and journal did.
    pub(crate) written: Result<(), Failure>,
}

/// A run that keeps a journal.
pub(crate) struct Journaled {
    writer: CheckpointWriter,
    /// The sum over the parts of the run before this one.
    earlier: Account,
    /// Outcomes of targets that will have more, by their position; `None`: none has more than one.
    /// They are written together: a target that is not settled is checked again when the run is
    /// resumed, so nothing of it may have been written.
    held: Option<HashMap<u64, Vec<Outcome>>>,
}

impl Journaled {
    /// Begins to keep the journal of a run that begins or goes on; from here on it can be resumed.
    ///
    /// # Errors
    /// The journal can't be written.
    pub(crate) fn start(
        opened: Opened,
        check: &Check,
        input: &Input,
        outputs: &mut Outputs,
    ) -> anyhow::Result<(Self, Positions)> {
        let (file, run, settled, earlier, found) = match opened {
            Opened::Begins(file) => {
                (file, new_run_id(), Positions::new(), Account::default(), None)
            }
            Opened::GoesOn(file, journal) => {
                (file, journal.run, journal.settled, journal.account, journal.found)
            }
        };
        let marks = outputs.marks().map_err(Failure::into_error)?;
        let first = Checkpoint {
            settled: settled.clone(),
            account: earlier,
            found,
            marks,
            complete: false,
        };
        let identity = RunIdentity::by(check, input);
        let writer = CheckpointWriter::start(file, run, identity, outputs.take_kept(), first)?;
        let held = check.selection.all_addresses.then(HashMap::new);
        Ok((Self { writer, earlier, held }, settled))
    }
}

impl Collector<'_> {
    /// Writes the rows as they become known.
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
                written = written.and_then(|()| self.progress.aside(|| self.outputs.flush()));
            }
            // Within a batch the sum is ahead of the rows.
            if self.outcomes.is_drained() {
                written = written.and_then(|()| self.keep());
            }
        }
        self.end(written)
    }

    /// Writes an outcome, unless its target will have more.
    fn write(&mut self, outcome: Outcome) -> Result<(), Failure> {
        let held = self.journaled.as_mut().and_then(|journaled| journaled.held.as_mut());
        let Some(held) = held else { return self.put(&outcome) };
        let position = outcome.position;
        if !self.outcomes.settled().contains(position) {
            held.entry(position).or_default().push(outcome);
            return Ok(());
        }
        for earlier in held.remove(&position).unwrap_or_default() {
            self.put(&earlier)?;
        }
        self.put(&outcome)
    }

    fn put(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        if let Some(gate) = &mut self.gate {
            gate.add(outcome);
        }
        self.outputs.write(outcome)
    }

    /// The sum over what was written, and what is left.
    fn account(&self) -> Account {
        let mut account = self.outcomes.account();
        let Some(journaled) = &self.journaled else { return account };
        for held in journaled.held.iter().flat_map(HashMap::values).flatten() {
            account.take_back(&held.verdict);
        }
        account.after(journaled.earlier)
    }

    /// Begins a checkpoint, when one is due.
    fn keep(&mut self) -> Result<(), Failure> {
        let Some(journaled) = &mut self.journaled else { return Ok(()) };
        let elapsed = self.outcomes.account().elapsed;
        let settled = self.outcomes.settled().len();
        if !journaled.writer.is_due(elapsed, settled).map_err(Failure::Broken)? {
            return Ok(());
        }
        let checkpoint = self.checkpoint()?;
        let Some(journaled) = &mut self.journaled else { return Ok(()) };
        journaled.writer.begin(elapsed, checkpoint).map_err(Failure::Broken)
    }

    fn checkpoint(&mut self) -> Result<Checkpoint, Failure> {
        let marks = self.progress.aside(|| self.outputs.marks())?;
        let settled = self.outcomes.settled().clone();
        Ok(Checkpoint {
            account: journal::part(self.account(), &settled),
            found: self.gate.as_ref().map(Gate::found),
            settled,
            marks,
            complete: false,
        })
    }

    fn end(mut self, written: Result<(), Failure>) -> Collected {
        let last = match (&written, &self.journaled) {
            (Ok(()), Some(_)) => Some(self.checkpoint()),
            _ => None,
        };
        let account = self.account();
        let ending = summary::ending(&account, self.total);
        let finished = self.progress.aside(|| self.outputs.finish(&ending));
        let mut written = written.and(finished);
        if let (Some(last), Some(journaled)) = (last, self.journaled) {
            // Not before every output is finished: a run that is complete is not gone on with.
            let end = |last: Checkpoint| {
                let complete = self.total == Some(last.settled.len().into());
                journaled.writer.end(Checkpoint { complete, ..last }).map_err(Failure::Broken)
            };
            written = written.and(last).and_then(end);
        }
        let workers = self.outcomes.workers().clone();
        Collected { account, gate: self.gate, workers, written }
    }
}
