//! What gates say at the end of a run.

use super::{
    forbidden::Forbidden,
    inconclusive::Inconclusive,
    sample::TargetSample,
    shared_keys::SharingTargets,
    state::{GateState, ItemTally},
};
use crate::{
    config::MaxMissed,
    outcome::{Account, Certainty, PortState},
    targets::Skipped,
};

/// The totals of a run that has ended, and what its input named that is no target of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunTotals {
    /// The sum over all targets of the run, including those of earlier processes.
    pub account: Account,
    /// Number of targets, including those that were not reached.
    pub targets: u128,
    /// The entries of the input that are not targets of the run, as
    /// [`TargetSet::skipped`](crate::targets::TargetSet::skipped) counts them.
    pub skipped: Skipped,
    /// Number of input lines and records that could not be read and were skipped.
    pub bad_lines: u64,
    /// Whether the input was not read to its end, so that its other targets are unknown.
    pub is_cut_short: bool,
    /// How certain it is that silent targets would not answer, as
    /// [`Outcomes::certainty`](crate::Outcomes::certainty) states it. `None`: it was not measured, or the
    /// run was stopped.
    pub certainty: Option<Certainty>,
}

impl RunTotals {
    /// Creates the totals of a run over `targets` targets, all of which the input named.
    ///
    /// `None`: the number was not known in advance, as that of a stream. If the run ended before the
    /// stream did, set [`is_cut_short`](Self::is_cut_short).
    #[must_use]
    pub fn new(account: Account, targets: Option<u128>) -> Self {
        let ended = u128::from(account.settled()) + u128::from(account.excluded);
        let targets = match targets {
            Some(targets) => targets.saturating_add(account.more_addresses.into()),
            None => account.targets.into(),
        };
        Self {
            account,
            targets: targets.max(ended),
            skipped: Skipped::default(),
            bad_lines: 0,
            is_cut_short: false,
            certainty: None,
        }
    }

    /// Returns whether at most this share of the targets that did not answer was missed.
    pub(super) fn is_within(&self, max_missed: MaxMissed) -> bool {
        let has_silent = self.account.state(PortState::Filtered) > 0;
        let is_within = |certainty: Certainty| certainty.is_within(max_missed.share());
        self.certainty.map_or(!has_silent, is_within)
    }

    /// Returns how many targets of the input are excluded.
    fn excluded(&self) -> u128 {
        self.skipped.excluded.saturating_add(self.account.excluded.into())
    }

    /// Returns the size of the input: targets, excluded targets and unreadable lines.
    fn input_size(&self) -> u128 {
        self.targets.saturating_add(self.skipped.excluded).saturating_add(self.bad_lines.into())
    }

    fn has_answers(&self) -> bool {
        let answers = [PortState::Open, PortState::Closed];
        answers.into_iter().any(|state| self.account.state(state) > 0)
    }
}

/// What a run has found and what it proves, by its [gates](super::Gates).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateReport {
    /// What is known about each forbidden item, in their order.
    pub items: Vec<ItemReport>,
    /// The targets without a verdict by kind, in the order of [`Inconclusive::ALL`]; `None`: no
    /// verdict is required.
    pub unproven: Option<Vec<MissingVerdicts>>,
    /// Size of the input: targets, excluded targets and unreadable lines.
    pub input_size: u128,
    /// Number of targets that were not examined.
    pub left: u128,
    /// Whether the input was not read to its end, so that its other targets are unknown.
    pub is_cut_short: bool,
    /// Whether any connection was accepted or refused. If not, the run has reached nothing beyond
    /// this machine or a firewall, and proves nothing.
    pub has_answers: bool,
    /// The largest share of silent targets that may be missed, if the run does not prove that it was not
    /// exceeded. `None`: that is proven, or [any share](super::Gates::limiting_missed) may be missed.
    pub exceeded_max_missed: Option<MaxMissed>,
    /// Number of ssh servers whose host keys were not compared with those of others, because a run remembers
    /// 262,144 keys. 0 unless [shared keys](Forbidden::SharedHostKey) are forbidden.
    pub uncompared: u64,
}

/// The targets by what is known about one forbidden item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemReport {
    /// The forbidden item.
    pub item: Forbidden,
    /// The targets on which it was found.
    pub found: TargetSample,
    /// Number of targets on which it is proven absent.
    pub absent: u64,
    /// Number of other examined or excluded targets by kind, in the order of [`Inconclusive::ALL`]
    /// and without kinds that no target has.
    pub inconclusive: Vec<(Inconclusive, u128)>,
}

/// The targets of one kind that lack a required verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingVerdicts {
    /// Why they have no verdict.
    pub kind: Inconclusive,
    /// The number of targets, at least 1.
    pub count: u128,
    /// The first of them, at most five, as escaped text; empty for [`Inconclusive::Excluded`] and
    /// [`Inconclusive::BadLines`].
    pub first: Vec<String>,
    /// Whether targets of this kind [may lack](super::Gates::requiring_verdicts) a verdict.
    pub is_allowed: bool,
}

impl GateReport {
    /// Returns whether the run violates its gates: it found something forbidden, a required verdict
    /// is missing, too many silent targets may have been missed, host keys were not compared, or nothing
    /// answered at all.
    #[must_use]
    pub fn is_violated(&self) -> bool {
        let is_found = self.items.iter().any(|item| item.found.count > 0);
        let is_unproven = self.unproven.as_ref().is_some_and(|kinds| {
            self.left > 0 || self.is_cut_short || kinds.iter().any(|kind| !kind.is_allowed)
        });
        let is_unknown = self.exceeded_max_missed.is_some() || self.uncompared > 0;
        is_found || is_unproven || is_unknown || !self.has_answers
    }
}

/// Returns the report on a run.
///
/// `allowed` are the kinds of targets that may lack a verdict; `None`: no verdict is required.
pub(super) fn report(
    forbidden: &[Forbidden],
    allowed: Option<&[Inconclusive]>,
    state: &GateState,
    totals: &RunTotals,
) -> GateReport {
    let items = forbidden.iter().zip(&state.tallies);
    let examined = u128::from(state.seen) + u128::from(totals.account.excluded);
    GateReport {
        items: items.map(|(&item, tally)| item_report(item, tally, state, totals)).collect(),
        unproven: allowed.map(|allowed| unproven(allowed, state, totals)),
        input_size: totals.input_size(),
        left: totals.targets.saturating_sub(examined),
        is_cut_short: totals.is_cut_short,
        has_answers: totals.has_answers(),
        exceeded_max_missed: None,
        uncompared: state.keys.forgotten,
    }
}

fn item_report(
    item: Forbidden,
    tally: &ItemTally,
    state: &GateState,
    totals: &RunTotals,
) -> ItemReport {
    let mut tally = tally.clone();
    if item == Forbidden::SharedHostKey {
        tally.find(state.keys.sharing());
    }
    let kinds = Inconclusive::ALL.into_iter().map(|kind| {
        let counted = tally.inconclusive[kind as usize].into();
        (kind, of_input(kind, totals).unwrap_or(counted))
    });
    let inconclusive = kinds.filter(|&(_, count)| count > 0).collect();
    ItemReport { item, found: tally.found, absent: tally.absent, inconclusive }
}

impl ItemTally {
    /// Counts targets as found that were counted as others before.
    fn find(&mut self, SharingTargets { found, of_absent }: SharingTargets) {
        let unknown = &mut self.inconclusive[Inconclusive::HostKeyMissing as usize];
        *unknown = unknown.saturating_sub(found.count - of_absent);
        self.absent = self.absent.saturating_sub(of_absent);
        self.found = found;
    }
}

fn unproven(
    allowed: &[Inconclusive],
    state: &GateState,
    totals: &RunTotals,
) -> Vec<MissingVerdicts> {
    let kinds = Inconclusive::ALL.into_iter().map(|kind| {
        let sample = &state.unproven[kind as usize];
        let count = of_input(kind, totals).unwrap_or(sample.count.into());
        let is_allowed = allowed.contains(&kind);
        MissingVerdicts { kind, count, first: sample.first.clone(), is_allowed }
    });
    kinds.filter(|missing| missing.count > 0).collect()
}

/// Returns how many entries of the input have this kind; `None`: the kind is one of outcomes.
fn of_input(kind: Inconclusive, totals: &RunTotals) -> Option<u128> {
    match kind {
        Inconclusive::Excluded => Some(totals.excluded()),
        Inconclusive::BadLines => Some(totals.bad_lines.into()),
        _ => None,
    }
}
