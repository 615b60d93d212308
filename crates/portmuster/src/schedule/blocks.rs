//! Blocks of targets: their passes, and the looks at those that did not answer.
//!
//! The first attempts on the targets of a block come first; while they go on, nothing is retried
//! unless nothing else can start. Then those that got no answer are retried. If missed targets are
//! estimated, the targets that still have no answer are held until some of them were drawn at random
//! and asked once more. The next block begins as soon as there is nothing to do for earlier ones.
//!
//! Invariant: at most [`OPEN_MAX`] blocks are open, and no target joins while they store
//! [`BlockPolicy::stored_max`] targets.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

mod block;
mod chunked_queue;
mod controls;
mod saved;

pub use self::saved::SilentState;
pub(super) use self::{block::Due, saved::Role};
use self::{block::OpenBlock, chunked_queue::ChunkedQueue, controls::Controls};
use super::{check::Purpose, silent::Silent, stratum::Stratum};
use crate::{
    clock::Instant,
    outcome::{Certainty, PassProgress, PortState, Recheck, float, sample_size},
    positions::Positions,
};

/// The most targets without an answer in a block of a stream.
const STREAM_SILENT_MAX: usize = 65_536;
/// How long targets of a stream join one block.
const STREAM_TIME: Duration = Duration::from_mins(1);
/// The most blocks that are open.
const OPEN_MAX: usize = 3;
/// How many blocks that have ended are remembered until their outcomes are settled.
const CONCLUDED_MAX: usize = 4;
/// The share by which samples are larger than needed if the number of silent targets is estimated.
const MARGIN: f64 = 0.05;

/// How a run is divided into blocks.
#[derive(Debug, Clone)]
pub(crate) struct BlockPolicy {
    /// The number of positions of the run; `None` if it is unknown, as that of a stream.
    pub(crate) positions: Option<u64>,
    /// The largest share of silent targets that may be missed. `None`: it is not estimated.
    pub(crate) max_missed: Option<f64>,
    /// Determines the samples.
    pub(crate) seed: u64,
    /// The most targets without an answer to store.
    pub(crate) stored_max: usize,
    /// The most targets in a block.
    pub(crate) targets_max: u64,
}

impl BlockPolicy {
    /// The most targets in a block of a usual run.
    pub(crate) const TARGETS_MAX: u64 = 1 << 20;
    /// The most targets without an answer that a usual run stores: two blocks. Those that are IPv4
    /// addresses without labels take 48 MiB.
    pub(crate) const STORED_MAX: usize = 1 << 21;
}

/// The open blocks of a run, and what is known of those that have ended.
#[derive(Debug)]
pub(super) struct Blocks {
    policy: BlockPolicy,
    /// The time between the last attempt of a block and a look at it.
    look_delay: Duration,
    /// From the oldest to the newest.
    open: VecDeque<OpenBlock>,
    /// The targets of blocks that have ended, whose outcomes are to be given out, and the first
    /// position of their blocks.
    ended: VecDeque<(u64, ChunkedQueue<Silent>)>,
    controls: Controls,
    certainty: Certainty,
    /// The positions of the blocks that have ended.
    ended_positions: u64,
    /// The first position of each block that has ended last, and the one after its last.
    concluded: VecDeque<(u64, u64)>,
    /// Whether a block has ended since the state was saved.
    has_concluded: bool,
    /// The position after the last one so far.
    end: u64,
    /// Whether attempts of complete blocks are due, so that no more targets may be added.
    is_behind: bool,
    /// Whether no more targets come.
    has_all: bool,
}

impl Blocks {
    pub(super) fn new(policy: BlockPolicy, look_delay: Duration) -> Self {
        Self {
            controls: Controls::new(policy.seed),
            policy,
            look_delay,
            open: VecDeque::new(),
            ended: VecDeque::new(),
            certainty: Certainty::default(),
            ended_positions: 0,
            concluded: VecDeque::new(),
            has_concluded: false,
            end: 0,
            is_behind: false,
            has_all: false,
        }
    }

    /// Restores the blocks of an earlier process. `settled`: the targets that it has settled.
    pub(super) fn restore(self, state: SilentState, settled: &Positions) -> Self {
        let end = state.end();
        let concluded: Vec<_> = state
            .concluded
            .iter()
            .map(|&range| OpenBlock::concluded(range, settled, Instant::START))
            .filter(|block| block.active > 0)
            .collect();
        let open = state.blocks.into_iter();
        let controls = Controls::restore(self.policy.seed, state.controls);
        let restore = |block| OpenBlock::restore(block, settled, controls.chosen(), Instant::START);
        let open = open.map(restore);
        let open: VecDeque<_> = concluded.into_iter().chain(open).collect();
        let is_known = |left| open.front().is_some_and(|block| block.first <= left);
        if settled.missing().next().is_some_and(|left| left < end && !is_known(left)) {
            // Nothing is known of targets that are not settled, so the state belongs to another run.
            return self;
        }
        Self {
            controls,
            certainty: state.certainty,
            ended_positions: state.ended_positions,
            concluded: state.concluded.into(),
            end,
            open,
            ..self
        }
    }

    /// Returns whether the state should be saved, because a block has ended since.
    pub(super) fn has_concluded(&self) -> bool {
        self.has_concluded
    }

    /// Returns what a journal stores of targets that have not answered, but for those in flight.
    pub(super) fn save(&mut self) -> SilentState {
        self.has_concluded = false;
        let open: Vec<_> = self.open.iter().filter(|block| !block.is_concluded()).collect();
        let ends = open.iter().skip(1).map(|block| block.first).chain([self.end]);
        SilentState {
            certainty: self.certainty,
            ended_positions: self.ended_positions,
            concluded: self.concluded.iter().copied().collect(),
            controls: self.controls.saved(),
            blocks: open.iter().zip(ends).map(|(block, end)| block.save(end)).collect(),
        }
    }

    /// Returns whether the target at this position is held when it has had all its attempts.
    pub(super) fn holds(&mut self, position: u64) -> bool {
        self.is_measuring() && !self.block(position).is_concluded()
    }

    /// Returns whether missed targets are estimated.
    pub(super) fn is_measuring(&self) -> bool {
        self.policy.max_missed.is_some()
    }

    /// Returns what the looks have shown so far; `None` if missed targets are not estimated.
    pub(super) fn certainty(&self) -> Option<Certainty> {
        self.is_measuring().then_some(self.certainty)
    }

    /// Returns whether a target may join.
    pub(super) fn has_room(&self) -> bool {
        let stored: usize = self.open.iter().map(OpenBlock::stored).sum();
        let may_begin = || self.open.len() < OPEN_MAX && !self.is_behind;
        let has_block = self.open.back().is_some_and(|block| !block.is_complete);
        let has_space = stored + self.ended() < self.policy.stored_max;
        let expects = self.open.iter().any(|block| block.expected() > 0);
        expects || has_space && (has_block || may_begin())
    }

    /// Adds the target at this position, which is above all earlier ones, to its block: a restored one,
    /// or the newest. Returns what was done for it before the run was resumed.
    pub(super) fn add(&mut self, position: u64, now: Instant) -> Role {
        if position < self.end {
            return self.block(position).add_expected(position);
        }
        self.end = position.saturating_add(1);
        if self.open.back().is_none_or(|block| block.is_complete) {
            self.open.push_back(OpenBlock::new(position, now));
        }
        if let Some(block) = self.open.back_mut() {
            block.targets += 1;
            block.active += 1;
            block.is_complete = block.targets >= self.policy.targets_max;
        }
        Role::New
    }

    /// Counts another check of the target at this position.
    pub(super) fn join(&mut self, position: u64) {
        self.block(position).active += 1;
    }

    /// Counts a check of the target at this position that has ended.
    pub(super) fn leave(&mut self, position: u64) {
        self.block(position).active -= 1;
    }

    /// Counts an endpoint that has answered.
    pub(super) fn add_control(&mut self, endpoint: SocketAddr) {
        if self.is_measuring() {
            self.controls.add(endpoint);
        }
    }

    /// Returns the first position of the block of this position.
    pub(super) fn first(&mut self, position: u64) -> u64 {
        self.block(position).first
    }

    /// Makes a target wait for its next attempt.
    pub(super) fn wait(&mut self, silent: Silent, position: u64, due: Instant) {
        let block = self.block(position);
        block.active -= 1;
        block.wait(silent, due);
    }

    /// Keeps a target that has had all its attempts until its block ends.
    pub(super) fn hold(&mut self, silent: Silent, position: u64) {
        let block = self.block(position);
        block.active -= 1;
        block.hold(silent);
    }

    /// Records the end of an attempt that was made for this purpose. `state`: what it found, `None` if
    /// it could not be made.
    pub(super) fn asked(&mut self, position: u64, purpose: Purpose, state: Option<PortState>) {
        let Some(state) = state else {
            match purpose {
                Purpose::Control => self.certainty.control_failed(),
                Purpose::Canary(stratum) => self.block(position).not_asked(stratum),
                Purpose::Target | Purpose::Again(_) => {}
            }
            return;
        };
        let is_answer = matches!(state, PortState::Open | PortState::Closed);
        match purpose {
            Purpose::Again(stratum) if is_answer && self.block(position).is_concluded() => {
                self.recheck(stratum).answered_late();
            }
            Purpose::Again(stratum) if is_answer => self.block(position).answered(stratum, false),
            Purpose::Canary(stratum) if is_answer => self.block(position).answered(stratum, true),
            Purpose::Canary(stratum) => self.block(position).not_answered(stratum),
            Purpose::Control => self.block(position).control_asked(!is_answer),
            Purpose::Target | Purpose::Again(_) => {}
        }
    }

    /// Records that no more targets come.
    pub(super) fn input_ended(&mut self) {
        self.has_all = true;
        if let Some(block) = self.open.back_mut() {
            block.is_complete = true;
        }
    }

    /// Ends passes, looks and blocks that are over, and begins what follows.
    pub(super) fn advance(&mut self, now: Instant) {
        self.complete_stream(now);
        let mut index = 0;
        while let Some(block) = self.open.get(index) {
            if !block.is_idle() || self.continues(index, now) {
                index += 1;
                continue;
            }
            let end = self.open.get(index + 1).map_or(self.end, |next| next.first);
            let Some(block) = self.open.remove(index) else { return };
            block.conclude([&mut self.certainty.silent, &mut self.certainty.refused]);
            self.ended_positions += block.targets;
            let first = block.first;
            if !block.is_concluded() {
                self.concluded.push_back((first, end));
                self.has_concluded = true;
            }
            while self.concluded.len() > CONCLUDED_MAX {
                self.concluded.pop_front();
            }
            self.ended.push_back((first, block.into_silent()));
        }
    }

    /// Begins the next look or pass of a block that is idle. Returns false if its end is reached.
    fn continues(&mut self, index: usize, now: Instant) -> bool {
        let Some(max_missed) = self.policy.max_missed else { return false };
        let block = &mut self.open[index];
        if block.is_concluded() {
            return false;
        }
        if block.is_looking() {
            let (controls, silent) = block.controls_asked();
            self.certainty.add_controls(controls, silent);
            let again = block.end_look(max_missed) && self.certainty.is_reachable();
            if again {
                block.ask_again(max_missed, now);
            }
            return again;
        }
        let samples = Stratum::ALL.map(|stratum| self.sample(index, stratum, max_missed));
        if self.certainty.is_blocked() || samples == [0, 0] {
            return false;
        }
        let seed = self.policy.seed;
        let at = now.after(self.look_delay);
        self.open[index].look(samples, self.controls.chosen(), seed, at);
        true
    }

    /// Returns how many targets of a block's stratum to draw.
    fn sample(&self, index: usize, stratum: Stratum, max_missed: f64) -> u64 {
        let block = &self.open[index];
        if !block.needs_look(stratum, max_missed) {
            return 0;
        }
        let held = block.held_in(stratum);
        let recheck = match stratum {
            Stratum::Silent => &self.certainty.silent,
            Stratum::Refused => &self.certainty.refused,
        };
        let is_only = recheck.targets == 0 && self.has_all && self.open.len() == 1;
        let needed = sample_size(max_missed);
        if is_only {
            return needed.min(held);
        }
        let before = self.ended_positions + block.targets;
        let silent = float(recheck.targets + held);
        // Of a stream that goes on, at least these many targets are silent, so no block asks too few.
        let growth = self.policy.positions.map_or(1.0, |all| (float(all) / float(before)).max(1.0));
        share(float(needed) * (1.0 + MARGIN) / (silent * growth), held)
    }

    /// Returns when [`Self::pop_due`] may return something that it does not return now.
    /// `is_idle`: nothing else can start.
    pub(super) fn next_due(&self, is_idle: bool) -> Option<Instant> {
        if self.open.iter().any(OpenBlock::is_idle) {
            return Some(Instant::START);
        }
        let ready = |block: &&OpenBlock| block.is_complete || is_idle;
        let due = self.open.iter().filter(ready).filter_map(OpenBlock::next_due).min();
        let is_open = |block: &&OpenBlock| !block.is_complete && block.stored() > 0;
        let newest = self.open.back().filter(is_open);
        let completes = newest.filter(|_| self.policy.positions.is_none());
        due.into_iter().chain(completes.map(|block| block.since.after(STREAM_TIME))).min()
    }

    /// Removes what is due next in the oldest block. `is_idle`: nothing else can start, so that the
    /// newest block may retry its targets while others join it.
    pub(super) fn pop_due(&mut self, now: Instant, is_idle: bool) -> Option<(u64, Due)> {
        let ready = |block: &&mut OpenBlock| block.is_complete || is_idle;
        self.open.iter_mut().filter(ready).find_map(|block| {
            let due = block.pop_due(now)?;
            block.active += 1;
            Some((block.first, due))
        })
    }

    /// Records whether attempts of complete blocks are due that could not be taken.
    pub(super) fn set_behind(&mut self, now: Instant) {
        let mut complete = self.open.iter().filter(|block| block.is_complete);
        self.is_behind = complete.any(|block| block.next_due().is_some_and(|due| due <= now));
    }

    /// Removes a target whose outcome is to be given out, and returns the first position of its
    /// block.
    pub(super) fn pop_ended(&mut self) -> Option<(u64, Silent)> {
        loop {
            let (first, silent) = self.ended.front_mut()?;
            if let Some(silent) = silent.pop_front() {
                return Some((*first, silent));
            }
            self.ended.pop_front();
        }
    }

    /// Returns how many targets have outcomes to be given out.
    fn ended(&self) -> usize {
        self.ended.iter().map(|(_, silent)| silent.len()).sum()
    }

    /// Returns whether outcomes are to be given out.
    pub(super) fn has_ended(&self) -> bool {
        self.ended() > 0
    }

    /// Returns whether nothing is left to do for any block.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_ended() && self.open.iter().all(OpenBlock::is_over)
    }

    /// Counts a target that has no answer, and whose outcome is given out although its block has not
    /// ended.
    pub(super) fn add_unmeasured(&mut self, stratum: Stratum) {
        self.recheck(stratum).add_unmeasured(1, &[]);
    }

    fn recheck(&mut self, stratum: Stratum) -> &mut Recheck {
        match stratum {
            Stratum::Silent => &mut self.certainty.silent,
            Stratum::Refused => &mut self.certainty.refused,
        }
    }

    /// Ends all blocks. The targets that have no answer are to be given out as they are.
    pub(super) fn give_up(&mut self) {
        for block in &mut self.open {
            let first = block.first;
            let silent = std::mem::replace(block, OpenBlock::new(first, Instant::START));
            (block.active, block.targets) = (silent.active, silent.targets);
            silent.abandon([&mut self.certainty.silent, &mut self.certainty.refused]);
            self.ended.push_back((first, silent.into_silent()));
        }
    }

    /// Returns whether targets wait for an attempt, or for the end of their block.
    pub(super) fn has_stored(&self) -> bool {
        self.has_ended() || self.open.iter().any(|block| block.stored() > 0)
    }

    /// Returns how many targets wait, and for what.
    pub(super) fn progress(&self) -> PassProgress {
        let waiting: usize = self.open.iter().map(OpenBlock::waiting).sum();
        let stored: usize = self.open.iter().map(OpenBlock::stored).sum();
        PassProgress {
            waiting: waiting as u64,
            held: (stored + self.ended()).saturating_sub(waiting) as u64,
            is_asking_again: self.open.front().is_some_and(OpenBlock::is_looking),
            ..PassProgress::default()
        }
    }

    /// Completes the newest block of a stream when enough targets have joined it, or after a while.
    fn complete_stream(&mut self, now: Instant) {
        if self.policy.positions.is_some() {
            return;
        }
        if let Some(block) = self.open.back_mut() {
            let is_old = now.since(block.since) >= STREAM_TIME;
            block.is_complete |=
                block.stored() >= STREAM_SILENT_MAX || (is_old && block.stored() > 0);
        }
    }

    fn block(&mut self, position: u64) -> &mut OpenBlock {
        let index = self.open.iter().rposition(|block| block.first <= position);
        let index = index.expect("a block is open while one of its targets has no outcome");
        &mut self.open[index]
    }
}

/// Returns this share of a number, rounded up and at most all of it.
fn share(share: f64, of: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the product is at most the number, and positive"
    )]
    let part = (share.min(1.0) * float(of)).ceil() as u64;
    part.clamp(1, of.max(1))
}
