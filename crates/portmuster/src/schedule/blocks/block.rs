//! One block of targets: its passes, its looks, and the targets in it that have not answered.

use std::net::SocketAddr;

use super::{
    super::{check::Purpose, silent::Silent, stratum::Stratum},
    chunked_queue::ChunkedQueue,
    saved::{LOOKS_MAX, Role, SavedBlock},
};
use crate::{
    clock::Instant,
    outcome::{Look, Recheck},
    positions::Positions,
    targets::Shuffle,
};

/// A block of targets with consecutive positions.
#[derive(Debug)]
pub(super) struct OpenBlock {
    /// The first position.
    pub(super) first: u64,
    pub(super) since: Instant,
    /// How many targets it has.
    pub(super) targets: u64,
    /// Whether no more targets join it.
    pub(super) is_complete: bool,
    /// How many of its targets are neither waiting nor held, and have no outcome.
    pub(super) active: usize,
    /// The targets that wait for their next attempt, and when it is due.
    waiting: ChunkedQueue<(Instant, Silent)>,
    /// What the waiting targets wait for.
    pass: Pass,
    strata: [Held; 2],
    /// The controls that are to be asked in the current look.
    controls: Vec<SocketAddr>,
    /// How many controls of the current look were asked, and how many of these did not answer.
    controls_asked: (u64, u64),
    /// Whether a look has begun and not ended.
    is_looking: bool,
    /// When the attempts of the current look may start.
    look_at: Instant,
    /// What an earlier process has done for its targets.
    restored: Option<Box<SavedBlock>>,
    /// How many of its targets are still to be added because an earlier process did not settle them.
    expected: usize,
    /// Whether what the looks have shown was added to the run's sums.
    is_concluded: bool,
}

/// What the attempts of a pass are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// To retry targets.
    Retry,
    /// To find what a look has shown to be missed.
    Again,
}

/// The targets of one stratum that have had all their attempts.
#[derive(Debug, Default)]
struct Held {
    silent: ChunkedQueue<Silent>,
    /// The indices of those that the current look will ask, in ascending order.
    drawn: Vec<usize>,
    /// The looks so far, the current one included.
    looks: Vec<Look>,
}

/// What is due next.
#[derive(Debug)]
pub(in crate::schedule) enum Due {
    /// An attempt on a target that has not answered.
    Target(Silent, Purpose),
    /// An attempt on an endpoint that has answered.
    Control(SocketAddr),
}

impl OpenBlock {
    pub(super) fn new(first: u64, now: Instant) -> Self {
        Self {
            first,
            since: now,
            targets: 0,
            is_complete: false,
            active: 0,
            waiting: ChunkedQueue::default(),
            pass: Pass::Retry,
            strata: Default::default(),
            controls: Vec::new(),
            controls_asked: (0, 0),
            is_looking: false,
            look_at: Instant::START,
            restored: None,
            expected: 0,
            is_concluded: false,
        }
    }

    /// Restores a block whose targets are settled at these positions. A look that was in progress asks
    /// all controls again, because this machine may have been blocked since.
    pub(super) fn restore(
        mut saved: SavedBlock,
        settled: &Positions,
        controls: &[SocketAddr],
        now: Instant,
    ) -> Self {
        saved.settle(settled);
        let mut block = Self {
            targets: saved.targets,
            is_complete: saved.is_complete,
            controls: if saved.is_looking { controls.to_vec() } else { Vec::new() },
            is_looking: saved.is_looking,
            ..Self::expecting(saved.first, saved.end, settled, now)
        };
        for (held, looks) in block.strata.iter_mut().zip(&mut saved.looks) {
            held.looks = std::mem::take(looks);
        }
        block.restored = Some(Box::new(saved));
        block
    }

    /// Restores a block that has ended, some of whose targets are not settled.
    pub(super) fn concluded((first, end): (u64, u64), settled: &Positions, now: Instant) -> Self {
        let block = Self::expecting(first, end, settled, now);
        Self { is_complete: true, is_concluded: true, ..block }
    }

    /// Creates a block whose unsettled targets are still to be added.
    fn expecting(first: u64, end: u64, settled: &Positions, now: Instant) -> Self {
        let missing = settled.missing().skip_while(|&position| position < first);
        let unsettled = missing.take_while(|&position| position < end).count();
        Self { active: unsettled, expected: unsettled, ..Self::new(first, now) }
    }

    /// Returns how many of its targets are still to be added, and count as active.
    pub(super) fn expected(&self) -> usize {
        self.expected
    }

    /// Returns whether it has ended, and only gives out the outcomes of its last targets.
    pub(super) fn is_concluded(&self) -> bool {
        self.is_concluded
    }

    /// Adds a target that was expected. Returns what was done for it before the run was resumed.
    pub(super) fn add_expected(&mut self, position: u64) -> Role {
        self.expected = self.expected.saturating_sub(1);
        if self.is_concluded {
            return Role::Tried(Stratum::Silent);
        }
        self.restored.as_ref().map_or(Role::New, |restored| restored.role(position))
    }

    /// Returns what a journal stores of it. `end`: the position after its last.
    pub(super) fn save(&self, end: u64) -> SavedBlock {
        let offset = |silent: &Silent| silent.position(self.first) - self.first;
        let mut saved = SavedBlock {
            first: self.first,
            end,
            targets: self.targets,
            is_complete: self.is_complete,
            is_looking: self.is_looking,
            looks: self.strata.each_ref().map(|held| held.looks.clone()),
            waiting: Positions::new(),
            tried: Default::default(),
            drawn: Default::default(),
        };
        for (_, silent) in self.waiting.iter() {
            match self.pass {
                Pass::Retry => saved.waiting.insert(offset(silent)),
                Pass::Again => saved.tried[silent.stratum() as usize].insert(offset(silent)),
            };
        }
        for (held, (tried, drawn)) in
            self.strata.iter().zip(saved.tried.iter_mut().zip(&mut saved.drawn))
        {
            tried.extend(held.silent.iter().map(offset));
            drawn.extend(held.drawn.iter().filter_map(|&index| held.silent.get(index)).map(offset));
        }
        saved
    }

    /// Returns how many targets it stores.
    pub(super) fn stored(&self) -> usize {
        self.waiting.len() + self.held()
    }

    fn held(&self) -> usize {
        self.strata.iter().map(|held| held.silent.len()).sum()
    }

    /// Returns how many targets a stratum holds.
    pub(super) fn held_in(&self, stratum: Stratum) -> u64 {
        self.strata[stratum as usize].silent.len() as u64
    }

    /// Returns how many targets wait for an attempt.
    pub(super) fn waiting(&self) -> usize {
        let drawn: usize = self.strata.iter().map(|held| held.drawn.len()).sum();
        self.waiting.len() + drawn
    }

    pub(super) fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// Makes a target wait for its next attempt.
    pub(super) fn wait(&mut self, silent: Silent, due: Instant) {
        // Those that wait longer because an earlier one does are still due soon enough.
        let due = self.waiting.back().map_or(due, |&(last, _)| due.max(last));
        self.waiting.push_back((due, silent));
    }

    /// Keeps a target that has had all its attempts.
    pub(super) fn hold(&mut self, silent: Silent) {
        self.strata[silent.stratum() as usize].silent.push_back(silent);
    }

    /// Returns when the next attempt is due; `None` if nothing waits.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let asks_controls = !self.controls.is_empty() && self.expected == 0;
        if asks_controls || self.strata.iter().any(|held| !held.drawn.is_empty()) {
            return Some(self.look_at);
        }
        self.waiting.front().map(|&(due, _)| due)
    }

    /// Removes what is due next, if anything is.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        if now < self.look_at {
            return None;
        }
        for stratum in Stratum::ALL {
            let held = &mut self.strata[stratum as usize];
            if let Some(index) = held.drawn.pop() {
                // From the last index on, so that those still drawn keep their places.
                let silent = held.silent.swap_remove(index);
                return Some(Due::Target(silent, Purpose::Canary(stratum)));
            }
        }
        // After the drawn targets, so that a firewall that began to block while these were asked shows.
        if self.expected == 0
            && let Some(control) = self.controls.pop()
        {
            return Some(Due::Control(control));
        }
        self.waiting.front().filter(|(due, _)| *due <= now)?;
        let (_, silent) = self.waiting.pop_front()?;
        let purpose = match self.pass {
            Pass::Retry => Purpose::Target,
            Pass::Again => Purpose::Again(silent.stratum()),
        };
        Some(Due::Target(silent, purpose))
    }

    /// Returns whether every attempt of the current pass or look has ended.
    pub(super) fn is_idle(&self) -> bool {
        self.is_complete && self.active == 0 && self.next_due().is_none()
    }

    /// Returns whether all its targets have their outcomes, and it has nothing to conclude.
    pub(super) fn is_over(&self) -> bool {
        self.active == 0
            && self.stored() == 0
            && self.strata.iter().all(|held| held.looks.is_empty())
    }

    /// Counts the answer of a target that belongs to this stratum.
    pub(super) fn answered(&mut self, stratum: Stratum, is_canary: bool) {
        let looks = &mut self.strata[stratum as usize].looks;
        for look in looks.iter_mut() {
            look.found += 1;
        }
        // While a look goes on, only a resumed run asks targets that were not drawn. Their answers show as
        // well that targets were missed.
        if let Some(look) = looks.last_mut().filter(|_| is_canary || self.is_looking) {
            look.add_hits(1);
        }
    }

    /// Counts a target of a look that did not answer.
    pub(super) fn not_answered(&mut self, stratum: Stratum) {
        if let Some(look) = self.strata[stratum as usize].looks.last_mut() {
            look.asked += 1;
        }
    }

    /// Counts a target of a look that could not be asked.
    pub(super) fn not_asked(&mut self, stratum: Stratum) {
        if let Some(look) = self.strata[stratum as usize].looks.last_mut() {
            look.failed += 1;
        }
    }

    /// Counts a control that was asked.
    pub(super) fn control_asked(&mut self, is_silent: bool) {
        let (asked, silent) = &mut self.controls_asked;
        *asked += 1;
        *silent += u64::from(is_silent);
    }

    /// Returns how many controls of the current look were asked, and how many did not answer.
    pub(super) fn controls_asked(&self) -> (u64, u64) {
        self.controls_asked
    }

    /// Begins a look, whose attempts may start at this time: draws so many targets of each stratum at
    /// random.
    pub(super) fn look(
        &mut self,
        samples: [u64; 2],
        controls: &[SocketAddr],
        seed: u64,
        at: Instant,
    ) {
        self.is_looking = true;
        self.look_at = at;
        self.controls = controls.to_vec();
        self.controls_asked = (0, 0);
        for (held, sample) in self.strata.iter_mut().zip(samples) {
            let population = held.silent.len() as u64;
            if sample == 0 {
                continue;
            }
            let seed = seed ^ self.first ^ held.looks.len() as u64;
            let shuffle = Shuffle::new(population.into(), seed);
            let drawn = (0..sample.min(population)).map(|place| shuffle.get(place.into()));
            held.drawn = drawn.map(|it| usize::try_from(it).expect("it is an index")).collect();
            held.drawn.sort_unstable();
            held.looks.push(Look { population, asked: 0, hits: 0, failed: 0, found: 0 });
        }
    }

    /// Ends a look. Returns whether another pass and another look may tighten a bound that exceeds
    /// this share.
    pub(super) fn end_look(&mut self, max_missed: f64) -> bool {
        self.is_looking = false;
        self.strata.iter().any(|held| held.may_look_again(max_missed))
    }

    /// Makes all held targets of the strata whose bound exceeds this share wait for another attempt.
    pub(super) fn ask_again(&mut self, max_missed: f64, now: Instant) {
        self.pass = Pass::Again;
        for held in &mut self.strata {
            if held.may_look_again(max_missed) {
                self.waiting.extend(held.silent.drain().map(|silent| (now, silent)));
            }
        }
    }

    /// Returns whether the last look at a stratum has left its bound above this share.
    pub(super) fn needs_look(&self, stratum: Stratum, max_missed: f64) -> bool {
        let held = &self.strata[stratum as usize];
        !held.silent.is_empty() && (held.looks.is_empty() || held.may_look_again(max_missed))
    }

    /// Adds what the looks have shown to the run's sums.
    pub(super) fn conclude(&self, rechecks: [&mut Recheck; 2]) {
        if self.is_concluded {
            return;
        }
        for (held, recheck) in self.strata.iter().zip(rechecks) {
            if !held.silent.is_empty() || !held.looks.is_empty() {
                recheck.add_block(held.silent.len() as u64, &held.looks);
            }
        }
    }

    /// Adds the targets that it stores to the run's sums as not measured.
    pub(super) fn abandon(&self, rechecks: [&mut Recheck; 2]) {
        for ((stratum, held), recheck) in Stratum::ALL.into_iter().zip(&self.strata).zip(rechecks) {
            let waiting = self.waiting.iter().filter(|(_, silent)| silent.stratum() == stratum);
            let targets = held.silent.len() + waiting.count();
            recheck.add_unmeasured(targets as u64, &held.looks);
        }
    }

    /// Returns all targets that it stores.
    pub(super) fn into_silent(mut self) -> ChunkedQueue<Silent> {
        let mut silent = ChunkedQueue::default();
        silent.extend(self.waiting.drain().map(|(_, silent)| silent));
        for held in &mut self.strata {
            silent.append(&mut held.silent);
        }
        silent
    }
}

impl Held {
    fn may_look_again(&self, max_missed: f64) -> bool {
        let exceeds = |look: &Look| look.possible_hits() > 0 && look.missed_share() > max_missed;
        self.looks.len() < LOOKS_MAX && self.looks.last().is_some_and(exceeds)
    }
}
