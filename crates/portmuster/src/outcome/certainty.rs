//! How certain it is that silent targets would not answer.

use serde::{Deserialize, Serialize};

mod bounds;

pub(crate) use self::bounds::float;

/// Upper bound of every count. No run reaches it.
const COUNT_MAX: u64 = 1 << 53;

/// How certain a run is that its silent targets would not answer one more attempt from here.
///
/// A random sample of the targets that did not answer was asked once more, with the whole timeout. The
/// number of answers gives an exact upper bound on the targets that were missed. The bound holds
/// with a probability of [95 %](Self::CONFIDENCE), for the network as it was during the run. It says
/// nothing about targets that a firewall always hides.
///
/// [`Outcomes::certainty`](crate::Outcomes::certainty) returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certainty {
    /// The targets from which nothing came.
    pub silent: Recheck,
    /// The targets that ICMP messages refused.
    pub refused: Recheck,
    /// How many targets that had answered were asked again as controls.
    pub controls: u64,
    /// How many of the controls did not answer any more.
    pub silent_controls: u64,
    /// How many controls could not be asked, because of trouble of this machine.
    pub failed_controls: u64,
    /// Whether more than 1 % of the controls of a look did not answer any more.
    blocked: bool,
}

/// The targets that did not answer, for one reason, and what asking some of them again showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recheck {
    /// How many targets did not answer at all.
    pub targets: u64,
    /// How many were drawn at random and asked again, all looks together.
    pub asked_again: u64,
    /// How many were drawn and could not be asked, because of trouble of this machine, all looks together.
    /// Nobody knows what they would have answered, so the bound counts them as if they had.
    pub failed: u64,
    /// How many targets answered only when they were asked again: those drawn, and those of the additional
    /// attempts that followed.
    pub answered: u64,
    /// How many targets are in blocks that were not measured to the end, because the run was stopped, or
    /// have answered after the end of their block.
    unmeasured: u64,
    /// How many blocks with such targets were measured.
    blocks: u64,
    /// The bound of the last block.
    of_block: u64,
    /// How many targets have answered in blocks whose last look found none, so that no such targets
    /// seem to be left.
    used_up: u64,
    /// The targets of all blocks before the first look.
    population: u64,
    /// The targets that have answered in the first looks of all blocks, or could not be asked.
    hits: u64,
    /// The first look with the smallest share of a block: how many it has drawn, of how many.
    smallest: (u64, u64),
}

/// One look at the silent targets of a block: some were drawn and asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Look {
    /// How many targets it could draw from.
    pub(crate) population: u64,
    /// How many it has asked.
    pub(crate) asked: u64,
    /// How many of these answered.
    pub(crate) hits: u64,
    /// How many were drawn and could not be asked.
    pub(crate) failed: u64,
    /// How many targets of the block have answered since the look began, those of the look included.
    pub(crate) found: u64,
}

impl Certainty {
    /// The probability with which the bound holds.
    pub const CONFIDENCE: f64 = 0.95;

    /// Returns whether targets that had answered have fallen silent: more than 1 % of the controls of a
    /// look. Then somebody has begun to block this machine, and no bound can be stated.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Returns whether so many controls could not be asked that it is unknown whether this machine is
    /// blocked: more than 1 %. Then no bound can be stated.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.failed_controls * 100 > self.controls + self.failed_controls
    }

    /// Counts a control that could not be asked.
    pub(crate) fn control_failed(&mut self) {
        self.failed_controls += 1;
    }

    /// Adds the controls of one look.
    pub(crate) fn add_controls(&mut self, controls: u64, silent: u64) {
        self.controls += controls;
        self.silent_controls += silent;
        self.blocked |= silent * 100 > controls;
    }

    /// Returns how many silent targets at most would answer one more attempt; `None` if no bound can be
    /// stated, because this machine is [blocked](Self::is_blocked) or [cut off](Self::is_cut_off), or a
    /// look is missing.
    #[must_use]
    pub fn missed_max(&self) -> Option<u64> {
        self.silent.missed_max().filter(|_| self.is_reachable())
    }

    /// Returns whether targets that had answered still do: this machine is neither
    /// [blocked](Self::is_blocked) nor [cut off](Self::is_cut_off), so bounds can be stated.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        !self.is_blocked() && !self.is_cut_off()
    }

    /// Returns the [bound](Self::missed_max) as a share of the silent targets, from 0 to 1.
    #[must_use]
    pub fn missed_share(&self) -> Option<f64> {
        self.silent.missed_share().filter(|_| self.is_reachable())
    }

    /// Returns how many targets that ICMP messages refused would at most answer one more attempt; `None`
    /// as for [silent](Self::missed_max) targets.
    #[must_use]
    pub fn refused_missed_max(&self) -> Option<u64> {
        self.refused.missed_max().filter(|_| self.is_reachable())
    }

    /// Returns the [bound on refused targets](Self::refused_missed_max) as a share of them, from 0 to 1.
    #[must_use]
    pub fn refused_missed_share(&self) -> Option<f64> {
        self.refused.missed_share().filter(|_| self.is_reachable())
    }

    /// Returns whether the bounds on silent and on refused targets are at most this share.
    #[must_use]
    pub fn is_within(&self, share: f64) -> bool {
        let bounds = [self.missed_share(), self.refused_missed_share()];
        bounds.into_iter().all(|bound| bound.is_some_and(|bound| bound <= share))
    }

    /// Returns whether a run can have these numbers. Those read from a file may be anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.controls <= COUNT_MAX
            && self.failed_controls <= COUNT_MAX
            && self.silent_controls <= self.controls
            && self.silent.is_sound()
            && self.refused.is_sound()
    }
}

impl Recheck {
    /// Returns how many of the targets at most would answer one more attempt; `None` if some were not
    /// measured.
    #[must_use]
    pub fn missed_max(&self) -> Option<u64> {
        match (self.unmeasured, self.blocks) {
            (1.., _) => None,
            (0, 0) => Some(0),
            (0, 1) => Some(self.of_block),
            (0, _) => {
                let (drawn, of) = self.smallest;
                let fraction = float(drawn) / float(of);
                let bound = match self.hits {
                    0 if drawn == of => 0,
                    0 => bounds::of_fraction(self.population, fraction, 0),
                    hits => expected(hits, fraction, self.population),
                };
                Some(bound.saturating_sub(self.used_up).min(self.targets))
            }
        }
    }

    /// Returns the [bound](Self::missed_max) as a share of the targets, from 0 to 1.
    #[must_use]
    pub fn missed_share(&self) -> Option<f64> {
        Some(float(self.missed_max()?) / float(self.targets.max(1)))
    }

    /// Adds a block that still has so many silent targets after its looks, the first of which comes
    /// first.
    pub(crate) fn add_block(&mut self, targets: u64, looks: &[Look]) {
        let Some(first) = looks.first().filter(|_| looks.iter().all(|look| look.asked > 0)) else {
            return self.add_unmeasured(targets, looks);
        };
        self.add_looks(targets, looks);
        let last = looks.last().unwrap_or(first);
        self.of_block = last.missed_max().min(targets);
        self.used_up += if last.possible_hits() == 0 { first.found } else { 0 };
        self.population += first.population;
        self.hits += first.possible_hits();
        let share = |(drawn, of): (u64, u64)| float(drawn) / float(of);
        let look = (first.drawn(), first.population);
        if self.blocks == 0 || share(look) < share(self.smallest) {
            self.smallest = look;
        }
        self.blocks += 1;
    }

    /// Counts a target of a block that had ended, and which a resumed run has asked once more to know its
    /// verdict: it has answered, so that the bound of the block may be too low.
    pub(crate) fn answered_late(&mut self) {
        self.targets = self.targets.saturating_sub(1);
        self.of_block = self.of_block.min(self.targets);
        self.answered += 1;
        self.unmeasured += 1;
    }

    /// Adds silent targets that were not measured to the end, because the run was stopped.
    pub(crate) fn add_unmeasured(&mut self, targets: u64, looks: &[Look]) {
        self.add_looks(targets, looks);
        self.unmeasured += targets;
    }

    fn add_looks(&mut self, targets: u64, looks: &[Look]) {
        self.targets += targets;
        self.asked_again += looks.iter().map(|look| look.asked).sum::<u64>();
        self.failed += looks.iter().map(|look| look.failed).sum::<u64>();
        self.answered += looks.first().map_or(0, |first| first.found);
    }

    fn is_sound(&self) -> bool {
        let (drawn, of) = self.smallest;
        let counts = [
            self.targets,
            self.asked_again,
            self.answered,
            self.failed,
            self.unmeasured,
            self.blocks,
            self.of_block,
            self.used_up,
            self.population,
        ];
        let is_measured = drawn > 0 && drawn <= of && of <= COUNT_MAX;
        counts.into_iter().all(|count| count <= COUNT_MAX)
            && self.hits <= self.answered + self.failed
            && self.hits <= self.population
            && self.of_block <= self.targets
            && (self.blocks == 0 || is_measured)
    }
}

impl Look {
    /// Returns how many targets of the block at most would answer one more attempt.
    ///
    /// Targets that have answered do not count as used up: if some answer only one attempt in many,
    /// as many others will answer the next.
    pub(crate) fn missed_max(&self) -> u64 {
        let (drawn, hits) = (self.drawn(), self.possible_hits());
        let of_sample = bounds::of_sample(self.population, drawn, hits);
        if hits == 0 {
            return of_sample;
        }
        let fraction = float(drawn) / float(self.population);
        expected(hits, fraction, self.population).max(of_sample)
    }

    /// Counts targets that have answered.
    pub(crate) fn add_hits(&mut self, hits: u64) {
        // A resumed run may ask a target of the sample twice.
        self.asked = (self.asked + hits).min(self.population - self.failed);
        self.hits += hits;
    }

    /// Returns how many targets it has drawn and is done with.
    fn drawn(&self) -> u64 {
        self.asked + self.failed
    }

    /// Returns how many of them have answered, or might have if they had been asked.
    pub(crate) fn possible_hits(&self) -> u64 {
        self.hits + self.failed
    }

    /// Returns the [bound](Self::missed_max) as a share of the targets that have not answered.
    pub(crate) fn missed_share(&self) -> f64 {
        let left = self.population.saturating_sub(self.found);
        float(self.missed_max()) / float(left.max(1))
    }
}

/// Returns how many targets of a population at most would answer one more attempt, when so many of this
/// share of them have.
fn expected(hits: u64, fraction: f64, population: u64) -> u64 {
    let all = bounds::of_answers(hits) / fraction;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is positive and at most the population"
    )]
    let all = all.ceil().min(float(population)) as u64;
    all
}

/// Returns how many targets a look must ask so that it states this share if none answers: 4,095 for
/// 0.1 %.
pub(crate) fn sample_size(max_missed: f64) -> u64 {
    // ln(3 ÷ 5 %), so that three looks fail together with a probability of 5 %.
    let sample = (60_f64.ln() / max_missed).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shares are between a millionth and a half"
    )]
    let sample = sample as u64;
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(population: u64, asked: u64, hits: u64, found: u64) -> Look {
        Look { population, asked, hits, failed: 0, found }
    }

    #[test]
    fn sample_grows_as_the_share_shrinks() {
        assert_eq!(sample_size(0.001), 4095);
        assert_eq!(sample_size(0.5), 9);
        assert_eq!(sample_size(0.000_001), 4_094_345);
    }

    #[test]
    fn sample_without_answers_states_the_share_it_was_drawn_for() {
        for (population, share) in [(129_024, 0.001), (1 << 20, 0.001), (5000, 0.01), (300, 0.5)] {
            let asked = sample_size(share).min(population);
            let mut recheck = Recheck::default();
            recheck.add_block(population, &[look(population, asked, 0, 0)]);
            assert!(recheck.missed_share().is_some_and(|it| it <= share), "{population} {share}");
        }
    }

    #[test]
    fn nothing_silent_is_certain() {
        let certainty = Certainty::default();
        assert_eq!((certainty.missed_max(), certainty.missed_share()), (Some(0), Some(0.0)));
        assert!(certainty.is_within(0.001));
    }

    #[test]
    fn later_look_tightens_the_bound_of_a_block() {
        let mut once = Recheck::default();
        once.add_block(99_995, &[look(100_000, 4095, 5, 5)]);
        let mut twice = Recheck::default();
        twice.add_block(99_880, &[look(100_000, 4095, 5, 120), look(99_880, 4095, 0, 0)]);
        let [once, twice] = [once, twice].map(|it| it.missed_max().expect("it was measured"));
        assert!(once > 200 && twice <= 100, "{once} {twice}");
    }

    #[test]
    fn targets_that_answer_some_attempts_are_not_used_up() {
        // 20 of 1,357 answered when all were asked; the next attempt finds as many.
        let mut recheck = Recheck::default();
        recheck.add_block(1337, &[look(1357, 1357, 20, 20)]);
        let bound = recheck.missed_max().expect("it was measured");
        assert!((28..40).contains(&bound), "{bound}");
        // The next look at all of them finds none.
        let mut recheck = Recheck::default();
        recheck.add_block(1337, &[look(1357, 1357, 20, 20), look(1337, 1337, 0, 0)]);
        assert_eq!(recheck.missed_max(), Some(0));
        // A sample finds some in each look.
        let mut recheck = Recheck::default();
        recheck.add_block(6421, &[look(6458, 4095, 20, 37), look(6421, 4095, 17, 17)]);
        let bound = recheck.missed_max().expect("it was measured");
        assert!((27..60).contains(&bound), "{bound}");
    }

    #[test]
    fn targets_that_could_not_be_asked_may_all_answer() {
        // A network to which the route was lost.
        let failed = Look { failed: 256, ..look(2304, 2048, 0, 0) };
        for looks in [&[failed][..], &[failed; 3]] {
            let mut recheck = Recheck::default();
            recheck.add_block(2304, looks);
            assert!(recheck.missed_max().is_some_and(|bound| bound >= 256), "{recheck:?}");
            assert!(recheck.is_sound());
            recheck.add_block(1000, &[look(1000, 1000, 0, 0)]);
            assert!(recheck.missed_max().is_some_and(|bound| bound >= 256), "{recheck:?}");
            assert_eq!(recheck.failed, 256 * looks.len() as u64);
        }
        // A later look that could ask all of them.
        let mut recheck = Recheck::default();
        recheck.add_block(2304, &[failed, look(2304, 2304, 0, 0)]);
        assert_eq!(recheck.missed_max(), Some(0));
        // A look that could ask nobody shows nothing.
        let mut recheck = Recheck::default();
        recheck.add_block(300, &[Look { failed: 300, ..look(300, 0, 0, 0) }]);
        assert_eq!(recheck.missed_max(), None);
    }

    #[test]
    fn several_blocks_are_bounded_together() {
        let mut recheck = Recheck::default();
        for _ in 0..32 {
            recheck.add_block(1 << 20, &[look(1 << 20, 128, 0, 0)]);
        }
        let share = recheck.missed_share().expect("it was measured");
        assert!((0.0009..0.00101).contains(&share), "{share}");
        let mut sparse = recheck;
        sparse.add_block(1 << 20, &[look(1 << 20, 64, 0, 0)]);
        assert!(sparse.missed_share() > recheck.missed_share(), "the sparsest block decides");
    }

    #[test]
    fn no_bound_is_stated_when_controls_could_not_be_asked() {
        let mut certainty = Certainty::default();
        certainty.silent.add_block(1000, &[look(1000, 500, 0, 0)]);
        certainty.add_controls(297, 0);
        (0..3).for_each(|_| certainty.control_failed());
        assert!(certainty.missed_max().is_some() && !certainty.is_cut_off());
        certainty.control_failed();
        assert!(certainty.is_cut_off() && !certainty.is_blocked());
        assert!(certainty.missed_max().is_none() && !certainty.is_within(0.5));
    }

    #[test]
    fn no_bound_is_stated_without_a_look_or_when_blocked() {
        let mut certainty = Certainty::default();
        certainty.silent.add_block(1000, &[look(1000, 500, 0, 0)]);
        certainty.add_controls(300, 3);
        assert!(certainty.missed_max().is_some() && !certainty.is_blocked());
        let mut blocked = certainty;
        blocked.add_controls(300, 4);
        assert!(blocked.missed_max().is_none() && blocked.is_blocked());
        certainty.silent.add_block(10, &[]);
        assert!(certainty.missed_max().is_none() && !certainty.is_within(0.5));
        assert_eq!(certainty.silent.targets, 1010);
    }
}
