//! Gates: whether a run found what it must not find, and what it has proven.
//!
//! A gate looks at every outcome, whatever the outputs show.

use anyhow::bail;
use portmuster::{Account, Outcome, sink::escaped};
use serde::{Deserialize, Serialize};

use crate::{args::Check, summary::grouped, terminal};

mod forbidden;

pub(crate) use forbidden::Forbidden;
use forbidden::{Doubt, Says, lacks_verdict};

/// Targets that are named of each thing that is found; the rest is counted.
const NAMED_MAX: usize = 5;

/// What was forbidden, and what came of it so far.
#[derive(Debug)]
pub(crate) struct Gate {
    things: Vec<Forbidden>,
    requires_verdict: bool,
    found: Found,
}

/// What came of it so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Of each thing, in their order.
    tallies: Vec<Tally>,
    /// Targets without a verdict, where one is required.
    unproven: Sample,
    /// Outcomes so far.
    seen: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Tally {
    found: Sample,
    absent: u64,
    nameless: u64,
    /// In the order of [`Doubt::ALL`].
    unknown: [u64; Doubt::ALL.len()],
}

/// Targets: how many, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Sample {
    count: u64,
    first: Vec<String>,
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
        let requires_verdict = gates.require_verdict;
        Ok(gates.are_set().then_some(Self { things, requires_verdict, found }))
    }

    /// The same, of a run that goes on where this was found.
    pub(crate) fn resuming(self, found: Option<Found>) -> Self {
        Self { found: found.unwrap_or_else(|| self.found.clone()), ..self }
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
        if self.requires_verdict && lacks_verdict(&self.things, outcome) {
            self.found.unproven.add(outcome);
        }
    }

    /// Whether it has found something in a run of so many targets.
    pub(crate) fn is_shut(&self, account: &Account, total: u128) -> bool {
        let left = self.left(account, total);
        let is_unproven = self.found.unproven.count > 0 || left > 0;
        let is_found = self.found.tallies.iter().any(|tally| tally.found.count > 0);
        is_found || (is_unproven && self.requires_verdict)
    }

    /// Says what was found, and what is proven.
    pub(crate) fn say(&self, account: &Account, total: u128) {
        let left = self.left(account, total);
        for (thing, tally) in self.things.iter().zip(&self.found.tallies) {
            terminal::note(tally.told(thing.name(), account, total, left));
        }
        if self.requires_verdict {
            terminal::note(told_unproven(&self.found.unproven, total, left));
        }
    }

    /// Targets whose outcome it has not seen. An output that fails leaves some that have one.
    fn left(&self, account: &Account, total: u128) -> u128 {
        total.saturating_sub(u128::from(self.found.seen + account.excluded))
    }
}

impl Tally {
    fn add(&mut self, outcome: &Outcome, says: Says) {
        match says {
            Says::Found => self.found.add(outcome),
            Says::Absent => self.absent += 1,
            Says::NoSuchName => self.nameless += 1,
            Says::Unknown(doubt) => self.unknown[doubt as usize] += 1,
        }
    }

    fn told(&self, name: &str, account: &Account, total: u128, left: u128) -> String {
        let mut parts = Vec::new();
        if self.found.count > 0 {
            parts.push(format!("{name} on {}: {}", grouped(self.found.count), self.found.told()));
        }
        parts.push(format!("no {name} on {} of {}", grouped(self.absent), grouped(total)));
        let doubts =
            Doubt::ALL.map(|doubt| (u128::from(self.unknown[doubt as usize]), doubt.told()));
        let others = [
            (self.nameless.into(), "with a name that does not exist"),
            (account.excluded.into(), "excluded"),
            (left, "left"),
        ];
        let others = doubts.into_iter().chain(others).filter(|&(count, _)| count > 0);
        parts.extend(others.map(|(count, what)| format!("{} {what}", grouped(count))));
        parts.join("; ")
    }
}

fn told_unproven(unproven: &Sample, total: u128, left: u128) -> String {
    let without = u128::from(unproven.count) + left;
    if without == 0 {
        return format!("a verdict on each of {}", grouped(total));
    }
    let left = if left == 0 { String::new() } else { format!("; {} left", grouped(left)) };
    let named = if unproven.count == 0 { String::new() } else { format!(": {}", unproven.told()) };
    format!("no verdict on {} of {}{named}{left}", grouped(without), grouped(total))
}

impl Sample {
    fn add(&mut self, outcome: &Outcome) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(escaped(outcome.target.to_string().as_bytes()));
        }
    }

    fn told(&self) -> String {
        let named = self.first.join(", ");
        match self.count - self.first.len() as u64 {
            0 => named,
            more => format!("{named} and {} more", grouped(more)),
        }
    }
}
