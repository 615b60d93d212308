//! What gates have counted so far.

use serde::{Deserialize, Serialize};

use super::{
    inconclusive::Inconclusive, presence::Presence, sample::TargetSample, shared_keys::SharedKeys,
};
use crate::outcome::{Account, Outcome};

/// What [gates](super::Gates) have counted so far. A journal stores it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GateState {
    /// One per forbidden item, in their order.
    pub(super) tallies: Vec<ItemTally>,
    /// If verdicts are required: the targets without one, in the order of [`Inconclusive::ALL`].
    pub(super) unproven: [TargetSample; Inconclusive::ALL.len()],
    /// Number of outcomes examined.
    pub(super) seen: u64,
    /// The host keys of servers, if shared ones are forbidden.
    #[serde(default, skip_serializing_if = "SharedKeys::is_empty")]
    pub(super) keys: SharedKeys,
}

/// The outcomes by what they prove about one forbidden item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct ItemTally {
    pub(super) found: TargetSample,
    pub(super) absent: u64,
    /// In the order of [`Inconclusive::ALL`].
    #[serde(rename = "unknown")]
    pub(super) inconclusive: [u64; Inconclusive::ALL.len()],
}

impl GateState {
    /// Creates the state of gates with this number of forbidden items, before the first outcome.
    pub(super) fn new(forbidden: usize) -> Self {
        Self { tallies: vec![ItemTally::default(); forbidden], ..Self::default() }
    }

    /// Returns whether the state is of gates with this number of items after `outcomes` outcomes.
    pub(super) fn fits(&self, forbidden: usize, outcomes: u64) -> bool {
        self.tallies.len() == forbidden && self.seen == outcomes
    }

    /// Returns whether the state is consistent with the account of its run. One that was read from a
    /// file may hold any numbers.
    ///
    /// The account must be [sound](Account::is_sound).
    #[must_use]
    pub fn is_sound(&self, account: &Account) -> bool {
        let is_sound = |sample: &TargetSample| sample.is_sound() && sample.count <= self.seen;
        let adds_up = |tally: &ItemTally| {
            let parts = tally.inconclusive.iter().chain([&tally.found.count, &tally.absent]);
            parts.copied().try_fold(0_u64, u64::checked_add) == Some(self.seen)
        };
        self.seen == account.settled()
            && self.keys.is_sound(self.seen)
            && self.unproven.iter().all(is_sound)
            && self.tallies.iter().all(|tally| is_sound(&tally.found) && adds_up(tally))
    }

    /// Counts one outcome: what it proves about each item, and why it is no verdict.
    pub(super) fn add(
        &mut self,
        outcome: &Outcome,
        presences: impl Iterator<Item = Presence>,
        missing_verdict: Option<Inconclusive>,
    ) {
        self.seen += 1;
        for (tally, presence) in self.tallies.iter_mut().zip(presences) {
            tally.add(outcome, presence);
        }
        if let Some(kind) = missing_verdict {
            self.unproven[kind as usize].add(outcome);
        }
    }
}

impl ItemTally {
    fn add(&mut self, outcome: &Outcome, presence: Presence) {
        match presence {
            Presence::Found => self.found.add(outcome),
            Presence::Absent => self.absent += 1,
            Presence::Inconclusive(kind) => self.inconclusive[kind as usize] += 1,
        }
    }
}
