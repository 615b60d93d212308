//! Gates: whether a run found what it must not find, and what it has proven.
//!
//! A gate looks at every outcome, whatever the outputs show. It passes a target only with proof: a
//! refusal, ssh, telnet, or another protocol that has a name.

use anyhow::bail;
use portmuster::{Account, Outcome, PortState, sink::escape_line, targets::Skipped};
use serde::{Deserialize, Serialize};

use crate::{args::Check, summary::grouped, terminal};

mod doubt;
mod forbidden;

pub(crate) use doubt::Doubt;
pub(crate) use forbidden::Forbidden;
use forbidden::{Says, missing_verdict};

/// Targets that are named of each thing that is found; the rest is counted.
const NAMED_MAX: usize = 5;

/// What was forbidden, and what came of it so far.
#[derive(Debug)]
pub(crate) struct Gate {
    things: Vec<Forbidden>,
    /// `None`: no verdict is required. Otherwise the kinds of targets without one that may pass.
    allowed: Option<Vec<Doubt>>,
    found: Found,
}

/// What came of it so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Of each thing, in their order.
    tallies: Vec<Tally>,
    /// Targets without a verdict, where one is required, in the order of [`Doubt::ALL`].
    unproven: [Sample; Doubt::ALL.len()],
    /// Outcomes so far.
    seen: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Tally {
    found: Sample,
    absent: u64,
    /// In the order of [`Doubt::ALL`].
    unknown: [u64; Doubt::ALL.len()],
}

/// Targets: how many, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Sample {
    count: u64,
    first: Vec<String>,
}

/// What a run came to beside its outcomes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// The sum over the run's targets.
    pub(crate) account: Account,
    /// How many targets it has.
    pub(crate) targets: u128,
    /// What was named and is not among them.
    pub(crate) skipped: Skipped,
    /// Lines and records of the input that could not be read and were passed over.
    pub(crate) bad_lines: u64,
    /// A list that was read as a stream was not read to its end, so nobody knows what else it names.
    pub(crate) is_cut_short: bool,
}

impl Ended {
    /// Targets that were named, and that the run was not to contact.
    fn excluded(&self) -> u128 {
        self.skipped.excluded.saturating_add(self.account.excluded.into())
    }

    /// What was named: the targets of the run, those that are excluded from it, and the lines that
    /// could not be read.
    fn named(&self) -> u128 {
        self.targets.saturating_add(self.skipped.excluded).saturating_add(self.bad_lines.into())
    }

    /// Whether any connection was accepted or refused. Without one a run has seen nothing but its
    /// own machine, or a firewall.
    fn is_answered(&self) -> bool {
        self.account.state(PortState::Open) + self.account.state(PortState::Closed) > 0
    }
}

impl Sample {
    fn is_sound(&self) -> bool {
        let named = self.first.len();
        named <= NAMED_MAX && named as u64 <= self.count
    }
}

impl Found {
    /// Whether a run that has this account, which is [sound](Account::is_sound), can have found it. What
    /// was read from a file may say anything.
    pub(crate) fn is_sound(&self, account: &Account) -> bool {
        let is_sound = |sample: &Sample| sample.is_sound() && sample.count <= self.seen;
        let adds_up = |tally: &Tally| {
            let parts = tally.unknown.iter().chain([&tally.found.count, &tally.absent]);
            parts.copied().try_fold(0_u64, u64::checked_add) == Some(self.seen)
        };
        self.seen == account.settled()
            && self.unproven.iter().all(is_sound)
            && self.tallies.iter().all(|tally| is_sound(&tally.found) && adds_up(tally))
    }
}

impl Gate {
    /// What the command line asks for; `None`: nothing.
    ///
    /// # Errors
    /// Something is forbidden that the run would not see.
    pub(crate) fn new(check: &Check) -> anyhow::Result<Option<Self>> {
        let (gates, probing) = (&check.gates, check.asking.probing());
        let mut things: Vec<Forbidden> = Vec::new();
        for forbidden in &gates.forbid {
            let name = forbidden.name();
            if let Some(flag) = forbidden.hidden_by(probing) {
                bail!("--forbid {name} can't be told with {flag}; leave one of them out");
            }
            if things.iter().all(|thing| thing.name() != name) {
                things.push(forbidden.clone());
            }
        }
        let tallies = vec![Tally::default(); things.len()];
        let found = Found { tallies, ..Found::default() };
        let allowed = gates.require_verdict.then(|| gates.allow.clone());
        Ok(gates.are_set().then_some(Self { things, allowed, found }))
    }

    /// The same, of a run that goes on where this was found in so many outcomes; `None`: it has none.
    ///
    /// # Errors
    /// It was found by other gates, or in other outcomes.
    pub(crate) fn resuming(self, found: Option<Found>, outcomes: u64) -> anyhow::Result<Self> {
        let found = found.unwrap_or_else(|| self.found.clone());
        if found.tallies.len() != self.found.tallies.len() || found.seen != outcomes {
            bail!("the journal does not say what the gates have found; begin the run anew");
        }
        Ok(Self { found, ..self })
    }

    /// What came of it so far.
    pub(crate) fn found(&self) -> Found {
        self.found.clone()
    }

    /// Takes one outcome.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.found.seen += 1;
        for (thing, tally) in self.things.iter().zip(&mut self.found.tallies) {
            tally.add(outcome, thing.said_by(outcome));
        }
        if let Some(allowed) = &self.allowed
            && let Some(doubt) = missing_verdict(&self.things, allowed, outcome)
        {
            self.found.unproven[doubt as usize].add(outcome);
        }
    }

    /// Whether the run ends with a finding: something that is forbidden, a target without a verdict
    /// where one is required, or no answer at all.
    pub(crate) fn is_shut(&self, ended: &Ended) -> bool {
        let is_found = self.found.tallies.iter().any(|tally| tally.found.count > 0);
        let is_unproven = self.allowed.as_ref().is_some_and(|allowed| {
            let refused = |doubt: Doubt| !allowed.contains(&doubt);
            self.left(ended) > 0
                || ended.is_cut_short
                || self.unproven(ended).any(|(doubt, count, _)| count > 0 && refused(doubt))
        });
        is_found || is_unproven || !ended.is_answered()
    }

    /// Says what was found, and what is proven.
    pub(crate) fn say(&self, ended: &Ended) {
        let left = self.left(ended);
        for (thing, tally) in self.things.iter().zip(&self.found.tallies) {
            terminal::note(tally.describe(thing.name(), ended, left));
        }
        if let Some(allowed) = &self.allowed {
            terminal::note(self.describe_unproven(allowed, ended));
        }
        if ended.is_cut_short {
            terminal::note(
                "a list was not read to its end, so nothing is known of what follows there",
            );
        }
        if !ended.is_answered() {
            terminal::note(
                "no connection was accepted or refused, so this run proves nothing: look at the \
                 targets, the names and the way to them",
            );
        }
    }

    /// Targets whose outcome it has not seen. An output that fails leaves some that have one.
    fn left(&self, ended: &Ended) -> u128 {
        ended.targets.saturating_sub(u128::from(self.found.seen + ended.account.excluded))
    }

    /// Of each kind, how many targets have no verdict, and the first of them where they are known.
    fn unproven(&self, ended: &Ended) -> impl Iterator<Item = (Doubt, u128, Option<&Sample>)> {
        let (excluded, bad_lines) = (ended.excluded(), ended.bad_lines.into());
        Doubt::ALL.into_iter().map(move |doubt| match doubt {
            Doubt::Excluded => (doubt, excluded, None),
            Doubt::BadLines => (doubt, bad_lines, None),
            _ => {
                let sample = &self.found.unproven[doubt as usize];
                (doubt, sample.count.into(), Some(sample))
            }
        })
    }

    fn describe_unproven(&self, allowed: &[Doubt], ended: &Ended) -> String {
        let named = grouped(ended.named());
        let is_allowed = |doubt: &Doubt| allowed.contains(doubt);
        let there: Vec<_> = self.unproven(ended).filter(|&(_, count, _)| count > 0).collect();
        let (passed, refused): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|(doubt, _, _)| is_allowed(doubt));
        let left = self.left(ended);
        let without = refused.iter().map(|&(_, count, _)| count).sum::<u128>() + left;
        let allowed: u128 = passed.iter().map(|&(_, count, _)| count).sum();
        let proven = match (without, allowed) {
            (0, 0) if ended.is_cut_short => {
                format!("a verdict on each of the {named} that were read")
            }
            (0, 0) => format!("a verdict on each of {named}"),
            (0, _) => {
                let proven = ended.named().saturating_sub(allowed);
                format!("a verdict on {} of {named}", grouped(proven))
            }
            _ => {
                let kinds =
                    refused.iter().map(|&(doubt, count, sample)| kind(doubt, count, sample));
                let left = (left > 0).then(|| format!("{} left", grouped(left)));
                let kinds: Vec<_> = kinds.chain(left).collect();
                format!("no verdict on {} of {named}: {}", grouped(without), kinds.join("; "))
            }
        };
        if passed.is_empty() {
            return proven;
        }
        let kinds: Vec<_> =
            passed.iter().map(|&(doubt, count, _)| kind(doubt, count, None)).collect();
        format!("{proven}; allowed: {}", kinds.join(", "))
    }
}

/// So many targets of a kind, and the first of them.
fn kind(doubt: Doubt, count: u128, sample: Option<&Sample>) -> String {
    let named = sample.map_or_else(String::new, |sample| format!(" ({})", sample.describe()));
    format!("{} {}{named}", grouped(count), doubt.name())
}

impl Tally {
    fn add(&mut self, outcome: &Outcome, says: Says) {
        match says {
            Says::Found => self.found.add(outcome),
            Says::Absent => self.absent += 1,
            Says::Unknown(doubt) => self.unknown[doubt as usize] += 1,
        }
    }

    fn describe(&self, name: &str, ended: &Ended, left: u128) -> String {
        let mut parts = Vec::new();
        if self.found.count > 0 {
            let found = self.found.describe();
            parts.push(format!("{name} on {}: {found}", grouped(self.found.count)));
        }
        let (absent, named) = (grouped(self.absent), grouped(ended.named()));
        parts.push(format!("no {name} on {absent} of {named}"));
        let doubts = Doubt::ALL.map(|doubt| match doubt {
            Doubt::Excluded => (ended.excluded(), doubt.name()),
            Doubt::BadLines => (ended.bad_lines.into(), doubt.name()),
            _ => (self.unknown[doubt as usize].into(), doubt.name()),
        });
        let others = doubts.into_iter().chain([(left, "left")]).filter(|&(count, _)| count > 0);
        parts.extend(others.map(|(count, what)| format!("{} {what}", grouped(count))));
        parts.join("; ")
    }
}

impl Sample {
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
            more => format!("{named} and {} more", grouped(more)),
        }
    }
}
