//! What a journal stores of the targets that have not answered.
//!
//! When a run resumes, the targets of an open block that a journal names keep what was done for them:
//! those that wait for a retry are not tried for the first time again, and those that a look has drawn
//! are asked, while nothing is drawn anew. Targets that have had all their attempts get one more,
//! because the journal does not store their verdicts.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::super::stratum::Stratum;
use crate::{
    outcome::{Certainty, Look},
    positions::Positions,
};

/// The most looks at a block. The bounds of so many hold together.
pub(super) const LOOKS_MAX: usize = 3;
/// The most blocks that a sound state has: more than are ever open.
const BLOCKS_MAX: usize = 16;
/// The most positions of a block in a sound state.
const POSITIONS_MAX: u64 = 1 << 32;
/// The most controls in a sound state.
const CONTROLS_MAX: usize = 1 << 12;

/// What a run knows of targets that have not answered, for a later process that resumes it.
///
/// [`Outcomes::silent`](crate::Outcomes::silent) returns it, a [`Journal`](crate::journal::Journal)
/// stores it, and [`Checker::resuming_silent`](crate::Checker::resuming_silent) takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilentState {
    /// What the looks at blocks that have ended have shown.
    pub(super) certainty: Certainty,
    /// How many targets are in blocks that have ended.
    pub(super) ended_positions: u64,
    /// The positions of blocks that have ended last, some of whose outcomes may be unsettled: the first,
    /// and the one after the last.
    pub(super) concluded: Vec<(u64, u64)>,
    /// How many endpoints have answered, and the sample of them.
    pub(super) controls: (u64, Vec<SocketAddr>),
    /// The open blocks, from the oldest to the newest.
    pub(super) blocks: Vec<SavedBlock>,
}

/// An open block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedBlock {
    /// The first position.
    pub(super) first: u64,
    /// The position after the last.
    pub(super) end: u64,
    pub(super) targets: u64,
    pub(super) is_complete: bool,
    pub(super) is_looking: bool,
    /// The looks at each stratum, in the order of [`Stratum::ALL`].
    pub(super) looks: [Vec<Look>; 2],
    /// The targets that have had an attempt and wait for another, as positions after the first.
    pub(super) waiting: Positions,
    /// Those of each stratum that have had all attempts.
    pub(super) tried: [Positions; 2],
    /// Those of each stratum that the current look has drawn and that have not been asked.
    pub(super) drawn: [Positions; 2],
}

/// What was done for a target before the run was resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schedule) enum Role {
    /// Nothing that is known.
    New,
    /// It has had an attempt, and waits for a retry.
    Waiting,
    /// It has had all its attempts.
    Tried(Stratum),
    /// A look has drawn it.
    Drawn(Stratum),
}

impl SilentState {
    /// Returns what the looks at blocks that have ended have shown. Of a complete run these are all.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.certainty
    }

    /// Returns whether a run can have this state. One that was read from a file may be anything.
    pub(crate) fn is_sound(&self) -> bool {
        let ranges = self.concluded.iter().copied();
        let ranges = ranges.chain(self.blocks.iter().map(|block| (block.first, block.end)));
        let mut end_before = 0;
        let are_ordered = ranges.into_iter().all(|(first, end)| {
            let is_after = first >= end_before && first < end && end - first <= POSITIONS_MAX;
            end_before = end;
            is_after
        });
        are_ordered
            && self.certainty.is_sound()
            && self.concluded.len() + self.blocks.len() <= BLOCKS_MAX
            && self.controls.1.len() <= CONTROLS_MAX
            && self.controls.0 >= self.controls.1.len() as u64
            && self.ended_positions <= u64::MAX >> 1
            && self.blocks.iter().all(SavedBlock::is_sound)
    }

    /// Returns whether attempts were made on targets that may get another.
    pub(in crate::schedule) fn has_tried(&self) -> bool {
        let is_empty = |block: &SavedBlock| {
            let sets = [&block.waiting].into_iter().chain(&block.tried).chain(&block.drawn);
            sets.into_iter().all(Positions::is_empty)
        };
        !self.blocks.iter().all(is_empty)
    }

    /// Adds a target that is in flight.
    pub(in crate::schedule) fn add(&mut self, position: u64, role: Role) {
        let is_in = |block: &&mut SavedBlock| (block.first..block.end).contains(&position);
        let Some(block) = self.blocks.iter_mut().find(is_in) else { return };
        let offset = position - block.first;
        match role {
            Role::New => false,
            Role::Waiting => block.waiting.insert(offset),
            Role::Tried(stratum) => block.tried[stratum as usize].insert(offset),
            Role::Drawn(stratum) => block.drawn[stratum as usize].insert(offset),
        };
    }

    /// Returns the position after the last of which it says something; 0 if there is none.
    pub(crate) fn end(&self) -> u64 {
        let ends = self.blocks.iter().map(|block| block.end);
        ends.chain(self.concluded.iter().map(|&(_, end)| end)).max().unwrap_or(0)
    }
}

impl SavedBlock {
    fn is_sound(&self) -> bool {
        let length = u128::from(self.end - self.first);
        let sets = [&self.waiting].into_iter().chain(&self.tried).chain(&self.drawn);
        let is_sound = |look: &Look| {
            look.hits <= look.asked
                && look.hits <= look.found
                && look.asked <= look.population
                && look.found <= POSITIONS_MAX
                && look.population <= POSITIONS_MAX
        };
        sets.into_iter().all(|set| set.end() <= length)
            && self.looks.iter().all(|looks| looks.len() <= LOOKS_MAX)
            && self.looks.iter().flatten().all(is_sound)
            && self.targets <= self.end - self.first
    }

    /// Returns what was done for a target.
    pub(super) fn role(&self, position: u64) -> Role {
        let offset = position - self.first;
        for stratum in Stratum::ALL {
            if self.drawn[stratum as usize].contains(offset) {
                return Role::Drawn(stratum);
            }
            if self.tried[stratum as usize].contains(offset) {
                return Role::Tried(stratum);
            }
        }
        if self.waiting.contains(offset) { Role::Waiting } else { Role::New }
    }

    /// Counts the targets that were settled since the state was saved: they have answered.
    pub(super) fn settle(&mut self, settled: &Positions) {
        for stratum in Stratum::ALL.map(|stratum| stratum as usize) {
            let count = |set: &Positions| {
                let found = set.iter().filter(|&offset| settled.contains(self.first + offset));
                found.count() as u64
            };
            let (hits, others) = (count(&self.drawn[stratum]), count(&self.tried[stratum]));
            let looks = &mut self.looks[stratum];
            for look in looks.iter_mut() {
                look.found += hits + others;
            }
            if let Some(look) = looks.last_mut() {
                look.add_hits(hits + if self.is_looking { others } else { 0 });
            }
        }
    }
}
