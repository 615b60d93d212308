//! Gates: conditions on what a run finds, which decide its exit status.
//!
//! A gate examines every outcome, whichever rows the outputs show. With `--require-verdict`, a
//! target passes only with proof: a refused connection, ssh, telnet or another identified protocol.

use anyhow::bail;
use portmuster::{Account, Outcome, PortState, sink::escape_line, targets::Skipped};
use serde::{Deserialize, Serialize};

use crate::{
    args::Check,
    numbers::with_commas,
    policy::{Forbidden, Inconclusive, Presence, missing_verdict},
    terminal,
};

/// Maximum number of targets that the summary lists for each finding.
const NAMED_MAX: usize = 5;

/// The gates of a run, and their state.
#[derive(Debug)]
pub(crate) struct Gate {
    forbidden: Vec<Forbidden>,
    /// The kinds of targets that may lack a verdict; `None`: no verdict is required.
    allowed: Option<Vec<Inconclusive>>,
    state: GateState,
}

/// What the gates have counted so far. The journal stores it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct GateState {
    /// One per forbidden item, in the order of the command line.
    tallies: Vec<ItemTally>,
    /// If a verdict is required: the targets without one, in the order of [`Inconclusive::ALL`].
    unproven: [TargetSample; Inconclusive::ALL.len()],
    /// Number of outcomes examined.
    seen: u64,
}

/// The outcomes by what they prove about one forbidden item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct ItemTally {
    found: TargetSample,
    absent: u64,
    /// In the order of [`Inconclusive::ALL`].
    #[serde(rename = "unknown")]
    inconclusive: [u64; Inconclusive::ALL.len()],
}

/// The number of targets, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct TargetSample {
    count: u64,
    first: Vec<String>,
}

/// The totals of a run that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunTotals {
    /// The sum over all targets of the run.
    pub(crate) account: Account,
    /// Number of targets.
    pub(crate) targets: u128,
    /// The entries of the input that are not targets of the run.
    pub(crate) skipped: Skipped,
    /// Number of input lines and records that could not be read and were skipped.
    pub(crate) bad_lines: u64,
    /// Whether a streamed list was not read to its end, so that its other targets are unknown.
    pub(crate) is_cut_short: bool,
}

impl RunTotals {
    /// Returns how many targets of the input are excluded.
    fn excluded(&self) -> u128 {
        self.skipped.excluded.saturating_add(self.account.excluded.into())
    }

    /// Returns the size of the input: targets, excluded targets and unreadable lines.
    fn input_size(&self) -> u128 {
        self.targets.saturating_add(self.skipped.excluded).saturating_add(self.bad_lines.into())
    }

    /// Returns whether any connection was accepted or refused. If not, the run has reached nothing
    /// beyond this machine or a firewall.
    fn has_answers(&self) -> bool {
        self.account.state(PortState::Open) + self.account.state(PortState::Closed) > 0
    }
}

impl TargetSample {
    /// Returns whether the numbers are consistent; those of a file may not be.
    fn is_sound(&self) -> bool {
        let named = self.first.len();
        named <= NAMED_MAX && named as u64 <= self.count
    }
}

impl GateState {
    /// Returns whether the state, read from a file, is consistent with the account of its run.
    ///
    /// The account must be [sound](Account::is_sound).
    pub(crate) fn is_sound(&self, account: &Account) -> bool {
        let is_sound = |sample: &TargetSample| sample.is_sound() && sample.count <= self.seen;
        let adds_up = |tally: &ItemTally| {
            let parts = tally.inconclusive.iter().chain([&tally.found.count, &tally.absent]);
            parts.copied().try_fold(0_u64, u64::checked_add) == Some(self.seen)
        };
        self.seen == account.settled()
            && self.unproven.iter().all(is_sound)
            && self.tallies.iter().all(|tally| is_sound(&tally.found) && adds_up(tally))
    }
}

impl Gate {
    /// Creates the gates of the command line; `None`: it sets none.
    ///
    /// # Errors
    /// `--forbid` names something that the run would not detect.
    pub(crate) fn new(check: &Check) -> anyhow::Result<Option<Self>> {
        let (gates, probing) = (&check.gates, check.probe.probing());
        let mut unique: Vec<Forbidden> = Vec::new();
        for item in &gates.forbid {
            let name = item.name();
            if let Some(flag) = item.hidden_by(probing) {
                bail!("--forbid {name} can't be detected with {flag}: remove one of them");
            }
            if unique.iter().all(|other| other.name() != name) {
                unique.push(item.clone());
            }
        }
        let tallies = vec![ItemTally::default(); unique.len()];
        let state = GateState { tallies, ..GateState::default() };
        let allowed = gates.require_verdict.then(|| gates.allow.clone());
        Ok(gates.are_set().then_some(Self { forbidden: unique, allowed, state }))
    }

    /// Restores the state of a run that resumes after `outcomes` outcomes; `None`: it has no state
    /// yet.
    ///
    /// # Errors
    /// The state belongs to other gates or to another number of outcomes.
    pub(crate) fn restore(self, state: Option<GateState>, outcomes: u64) -> anyhow::Result<Self> {
        let state = state.unwrap_or_else(|| self.state.clone());
        if state.tallies.len() != self.state.tallies.len() || state.seen != outcomes {
            bail!("the journal has no state of these gates: start the run again without --resume");
        }
        Ok(Self { state, ..self })
    }

    /// Returns the state for the journal.
    pub(crate) fn state(&self) -> GateState {
        self.state.clone()
    }

    /// Examines one outcome.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.state.seen += 1;
        for (item, tally) in self.forbidden.iter().zip(&mut self.state.tallies) {
            tally.add(outcome, item.presence_in(outcome));
        }
        if let Some(allowed) = &self.allowed
            && let Some(kind) = missing_verdict(&self.forbidden, allowed, outcome)
        {
            self.state.unproven[kind as usize].add(outcome);
        }
    }

    /// Returns whether the run violates a gate: it found something forbidden, a required verdict is
    /// missing, or nothing answered at all.
    pub(crate) fn is_violated(&self, totals: &RunTotals) -> bool {
        let is_found = self.state.tallies.iter().any(|tally| tally.found.count > 0);
        let is_unproven = self.allowed.as_ref().is_some_and(|allowed| {
            let is_refused = |kind: Inconclusive| !allowed.contains(&kind);
            self.left(totals) > 0
                || totals.is_cut_short
                || self.unproven(totals).any(|(kind, count, _)| count > 0 && is_refused(kind))
        });
        is_found || is_unproven || !totals.has_answers()
    }

    /// Prints what was found, and what is proven.
    pub(crate) fn report(&self, totals: &RunTotals) {
        let left = self.left(totals);
        for (item, tally) in self.forbidden.iter().zip(&self.state.tallies) {
            terminal::note(tally.describe(item.name(), totals, left));
        }
        if let Some(allowed) = &self.allowed {
            terminal::note(self.describe_unproven(allowed, totals));
        }
        if totals.is_cut_short {
            terminal::note(
                "an input list was not read to its end: its remaining targets are unknown",
            );
        }
        if !totals.has_answers() {
            terminal::note(
                "no connection was accepted or refused, so this run proves nothing: check the \
                 targets, their names and the network path to them",
            );
        }
    }

    /// Returns how many targets were not examined. If an output failed, some of them were checked.
    fn left(&self, totals: &RunTotals) -> u128 {
        totals.targets.saturating_sub(u128::from(self.state.seen + totals.account.excluded))
    }

    /// Yields the number of targets without a verdict by kind, with the first of them if known.
    fn unproven(
        &self,
        totals: &RunTotals,
    ) -> impl Iterator<Item = (Inconclusive, u128, Option<&TargetSample>)> {
        let (excluded, bad_lines) = (totals.excluded(), totals.bad_lines.into());
        Inconclusive::ALL.into_iter().map(move |kind| match kind {
            Inconclusive::Excluded => (kind, excluded, None),
            Inconclusive::BadLines => (kind, bad_lines, None),
            _ => {
                let sample = &self.state.unproven[kind as usize];
                (kind, sample.count.into(), Some(sample))
            }
        })
    }

    fn describe_unproven(&self, allowed: &[Inconclusive], totals: &RunTotals) -> String {
        let total = with_commas(totals.input_size());
        let is_allowed = |kind: &Inconclusive| allowed.contains(kind);
        let present: Vec<_> = self.unproven(totals).filter(|&(_, count, _)| count > 0).collect();
        let (passed, refused): (Vec<_>, Vec<_>) =
            present.into_iter().partition(|(kind, _, _)| is_allowed(kind));
        let left = self.left(totals);
        let without = refused.iter().map(|&(_, count, _)| count).sum::<u128>() + left;
        let allowed: u128 = passed.iter().map(|&(_, count, _)| count).sum();
        let proven = match (without, allowed) {
            (0, 0) if totals.is_cut_short => {
                format!("a verdict on each of the {total} that were read")
            }
            (0, 0) => format!("a verdict on each of {total}"),
            (0, _) => {
                let proven = totals.input_size().saturating_sub(allowed);
                format!("a verdict on {} of {total}", with_commas(proven))
            }
            _ => {
                let kinds =
                    refused.iter().map(|&(kind, count, sample)| describe_kind(kind, count, sample));
                let left = (left > 0).then(|| format!("{} left", with_commas(left)));
                let kinds: Vec<_> = kinds.chain(left).collect();
                format!("no verdict on {} of {total}: {}", with_commas(without), kinds.join("; "))
            }
        };
        if passed.is_empty() {
            return proven;
        }
        let kinds: Vec<_> =
            passed.iter().map(|&(kind, count, _)| describe_kind(kind, count, None)).collect();
        format!("{proven}; allowed: {}", kinds.join(", "))
    }
}

/// Describes the targets of one kind: their number, its name and the first targets.
fn describe_kind(kind: Inconclusive, count: u128, sample: Option<&TargetSample>) -> String {
    let named = sample.map_or_else(String::new, |sample| format!(" ({})", sample.describe()));
    format!("{} {}{named}", with_commas(count), kind.name())
}

impl ItemTally {
    fn add(&mut self, outcome: &Outcome, presence: Presence) {
        match presence {
            Presence::Found => self.found.add(outcome),
            Presence::Absent => self.absent += 1,
            Presence::Inconclusive(kind) => self.inconclusive[kind as usize] += 1,
        }
    }

    fn describe(&self, name: &str, totals: &RunTotals, left: u128) -> String {
        let mut parts = Vec::new();
        if self.found.count > 0 {
            let found = self.found.describe();
            parts.push(format!("{name} on {}: {found}", with_commas(self.found.count)));
        }
        let (absent, total) = (with_commas(self.absent), with_commas(totals.input_size()));
        parts.push(format!("no {name} on {absent} of {total}"));
        let kinds = Inconclusive::ALL.map(|kind| match kind {
            Inconclusive::Excluded => (totals.excluded(), kind.name()),
            Inconclusive::BadLines => (totals.bad_lines.into(), kind.name()),
            _ => (self.inconclusive[kind as usize].into(), kind.name()),
        });
        let others = kinds.into_iter().chain([(left, "left")]).filter(|&(count, _)| count > 0);
        parts.extend(others.map(|(count, what)| format!("{} {what}", with_commas(count))));
        parts.join("; ")
    }
}

impl TargetSample {
    fn add(&mut self, outcome: &Outcome) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(escape_line(outcome.target.to_string().as_bytes()));
        }
    }

    fn describe(&self) -> String {
        let named = self.first.join(", ");
        match self.count - self.first.len() as u64 {
            0 => named,
            more => format!("{named} and {} more", with_commas(more)),
        }
    }
}
