//! What a simulated process that is killed leaves to the one that continues its run.

use std::time::Duration;

use crate::{
    clock::Instant,
    outcome::Outcome,
    positions::Positions,
    schedule::{Schedule, SilentState},
};

/// The time between two checkpoints, as in a real run.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The most outcomes between two checkpoints. Writing the rows of more takes a real run more than
/// [`SAVE_EVERY`], but no virtual time.
const UNSAVED_MAX: usize = 16_384;

/// The state of a run at its last checkpoint, and the outcomes since then.
#[derive(Debug, Default)]
pub(super) struct SimulatedJournal {
    settled: Positions,
    silent: SilentState,
    unsaved: Vec<Outcome>,
    save_at: Instant,
}

impl SimulatedJournal {
    /// Returns the schedule of a process that continues the run. Forgets what was not saved.
    pub(super) fn resume(&mut self, new: Schedule) -> Schedule {
        self.unsaved.clear();
        self.save_at = Instant::START;
        new.resuming(&self.settled).resuming_silent(self.silent.clone(), &self.settled)
    }

    /// Returns the positions of a run with so many targets that are not settled.
    pub(super) fn missing(&self, targets: u64) -> impl Iterator<Item = u64> + use<> {
        self.settled.missing().take_while(move |&position| position < targets)
    }

    /// Takes outcomes from the schedule, and passes them on if a checkpoint is due.
    pub(super) fn take_outcomes(
        &mut self,
        schedule: &mut Schedule,
        now: Instant,
        take: &mut dyn FnMut(Outcome),
    ) {
        self.unsaved.extend(schedule.take_outcomes());
        let is_full = self.unsaved.len() >= UNSAVED_MAX;
        let is_due = self.save_at <= now || is_full || schedule.is_finished();
        let Some(silent) = schedule.save_silent(is_due) else { return };
        self.silent = silent;
        self.save_at = now.after(SAVE_EVERY);
        for outcome in self.unsaved.drain(..) {
            self.settled.insert(outcome.position);
            take(outcome);
        }
    }
}
