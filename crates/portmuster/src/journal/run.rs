//! A run with a journal.

use std::{collections::HashMap, time::Duration};

use super::{
    checkpoint_writer::{Checkpoint, CheckpointWriter},
    error::JournalError,
    file::JournalFile,
    identity::RunIdentity,
    output::JournalOutput,
    state::JournalState,
};
use crate::{
    checker::Outcomes,
    gates::GateState,
    outcome::{Account, Outcome},
    positions::Positions,
    random::random,
    schedule::SilentState,
    sink::ResumePoint,
};

/// A run whose progress a journal records. [`Journal::start`](super::Journal::start) creates it.
///
/// Dropping it waits for the checkpoint in progress. Afterwards another run may use the journal.
#[derive(Debug)]
pub struct JournaledRun {
    writer: CheckpointWriter,
    /// The sum over the targets of earlier processes.
    earlier: Account,
    outputs: usize,
    held: HeldOutcomes,
}

/// The outcomes of unsettled targets by position.
///
/// The outcomes of one target are given to the caller together once it is settled: an unsettled
/// target is checked again when the run resumes, so none of its rows may have been written.
#[derive(Debug, Default)]
struct HeldOutcomes(HashMap<u64, Vec<Outcome>>);

impl JournaledRun {
    pub(super) fn start<O: JournalOutput>(
        file: JournalFile,
        state: Option<JournalState<O::Entry>>,
        identity: RunIdentity,
        outputs: Vec<O>,
        resume_points: Vec<ResumePoint>,
    ) -> Result<Self, JournalError> {
        let (run, settled, silent, earlier, gates) = match state {
            Some(state) => (state.run, state.settled, state.silent, state.account, state.gates),
            None => {
                (new_run_id(), Positions::new(), SilentState::default(), Account::default(), None)
            }
        };
        let count = outputs.len();
        assert_eq!(resume_points.len(), count, "each output has a resume point");
        let first = Checkpoint {
            settled,
            silent: (silent, 0),
            account: earlier,
            gates,
            resume_points,
            complete: false,
            at: Duration::ZERO,
        };
        let writer = CheckpointWriter::start(file, run, identity, outputs, first)?;
        Ok(Self { writer, earlier, outputs: count, held: HeldOutcomes::default() })
    }

    /// Takes an outcome that `outcomes` has returned, and returns the outcomes whose rows can be
    /// written now.
    ///
    /// Usually this is the same outcome. If [each address](crate::config::Addresses::Each) of a name is a
    /// target, the outcomes of one name are returned together once all are known. Gates examine
    /// outcomes at the same time as their rows are written.
    pub fn settle(
        &mut self,
        outcome: Outcome,
        outcomes: &Outcomes,
    ) -> impl Iterator<Item = Outcome> + use<> {
        let is_settled = !outcomes.has_outstanding(outcome.position);
        self.held.settle(outcome, is_settled)
    }

    /// Returns the account of this process and of earlier ones, without the outcomes that
    /// [`settle`](Self::settle) keeps.
    #[must_use]
    pub fn account(&self, outcomes: &Outcomes) -> Account {
        self.account_without(outcomes, &[])
    }

    fn account_without(&self, outcomes: &Outcomes, others: &[Outcome]) -> Account {
        let mut account = outcomes.account();
        for outcome in self.held.iter().chain(others) {
            account.take_back(&outcome.verdict);
        }
        account.after(self.earlier)
    }

    /// Returns whether a checkpoint is due: rows were written or silent targets were tried, and a second
    /// has passed since the last one, or 65,536 targets were settled. It is not due while one is in
    /// progress.
    ///
    /// # Errors
    /// The previous checkpoint has failed.
    pub fn is_due(&mut self, outcomes: &Outcomes) -> Result<bool, JournalError> {
        let (elapsed, settled) = (outcomes.account().elapsed, outcomes.settled().len());
        self.writer.is_due(elapsed, settled, outcomes.silent_revision())
    }

    /// Returns the current state as a checkpoint: the targets all of whose outcomes were
    /// [settled](Self::settle).
    ///
    /// Each outcome that `outcomes` has returned must have been settled, and its rows written.
    /// `resume_points` are those of the flushed outputs, in the order in which the run was started
    /// with them. `gates` is the state of the gates, which have examined the written outcomes; `None`:
    /// the run has no gates.
    ///
    /// # Panics
    /// The number of resume points is not that of the outputs.
    #[must_use]
    pub fn checkpoint(
        &self,
        outcomes: &Outcomes,
        resume_points: impl IntoIterator<Item = ResumePoint>,
        gates: Option<GateState>,
    ) -> Checkpoint {
        let resume_points: Vec<_> = resume_points.into_iter().collect();
        assert_eq!(resume_points.len(), self.outputs, "each output has a resume point");
        let settled = outcomes.settled().clone();
        let account = self.account_without(outcomes, outcomes.buffered());
        let account = settled_account(account, &settled);
        let at = outcomes.account().elapsed;
        let silent = (outcomes.silent().clone(), outcomes.silent_revision());
        Checkpoint { settled, silent, account, gates, resume_points, complete: false, at }
    }

    /// Starts to write a checkpoint, while the caller writes more rows.
    ///
    /// If the checkpoint [is due](Self::is_due), this returns at once. Otherwise it waits for the one
    /// in progress.
    ///
    /// # Errors
    /// The previous checkpoint has failed, or the thread that writes the journal has panicked.
    pub fn write(&mut self, checkpoint: Checkpoint) -> Result<(), JournalError> {
        self.writer.begin(checkpoint)
    }

    /// Waits for the checkpoint in progress. Afterwards the journal contains the latest checkpoint that was
    /// [written](Self::write).
    ///
    /// # Errors
    /// The checkpoint has failed.
    pub fn wait(&mut self) -> Result<(), JournalError> {
        self.writer.wait()
    }

    /// Writes the last checkpoint and waits for it.
    ///
    /// The run is complete, and never resumed, if `targets` targets are settled. So finish the outputs
    /// before, but take the checkpoint before that. `None`: more targets may follow.
    ///
    /// # Errors
    /// The last checkpoint or the one before has failed.
    pub fn finish(self, last: Checkpoint, targets: Option<u128>) -> Result<(), JournalError> {
        let complete = last.is_complete(targets);
        self.writer.finish(Checkpoint { complete, ..last })
    }
}

impl HeldOutcomes {
    /// Returns the outcomes of the target if it is settled; otherwise keeps this one.
    fn settle(
        &mut self,
        outcome: Outcome,
        is_settled: bool,
    ) -> impl Iterator<Item = Outcome> + use<> {
        let Self(held) = self;
        if !is_settled {
            held.entry(outcome.position).or_default().push(outcome);
            return None.into_iter().flatten().chain(None);
        }
        let earlier = if held.is_empty() { None } else { held.remove(&outcome.position) };
        earlier.into_iter().flatten().chain(Some(outcome))
    }

    fn iter(&self) -> impl Iterator<Item = &Outcome> {
        self.0.values().flatten()
    }
}

/// Reduces an account to its settled targets, as a journal contains it.
fn settled_account(mut account: Account, settled: &Positions) -> Account {
    account.targets = account.settled() + account.excluded;
    account.more_addresses = account.targets.saturating_sub(settled.len());
    account
}

/// Creates a unique id for a run: 32 hexadecimal digits.
fn new_run_id() -> String {
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        outcome::{PortState, Reason, Verdict},
        targets::Target,
    };

    fn outcome(position: u64, port: u16) -> Outcome {
        Outcome {
            target: Target::from(("192.0.2.1", port)),
            endpoint: None,
            verdict: Verdict::unconnected(PortState::Closed, Reason::Refused, Duration::ZERO),
            attempts: 1,
            time: SystemTime::UNIX_EPOCH,
            position,
        }
    }

    #[test]
    fn run_ids_are_unique() {
        assert_ne!(new_run_id(), new_run_id());
    }

    #[test]
    fn outcomes_of_one_target_are_returned_together_once_it_is_settled() {
        let mut held = HeldOutcomes::default();
        let mut ports = |position, port, is_settled| {
            let settled = held.settle(outcome(position, port), is_settled);
            settled.map(|outcome| outcome.target.port).collect::<Vec<_>>()
        };
        assert_eq!(ports(0, 1, true), [1]);
        assert!(ports(1, 2, false).is_empty());
        assert!(ports(2, 3, false).is_empty());
        assert_eq!(ports(3, 4, true), [4]);
        assert!(ports(1, 5, false).is_empty());
        assert_eq!(ports(1, 6, true), [2, 5, 6]);
        assert_eq!(held.iter().count(), 1);
    }
}
