//! Gates: whether a run found what it must not find, and what it has proven.
//!
//! A gate looks at every outcome, whatever the outputs show.

use anyhow::bail;
use portmuster::{Account, Outcome, sink::escaped};

use crate::{args::Check, summary::grouped, terminal};

mod forbidden;

pub(crate) use forbidden::Forbidden;
use forbidden::{Doubt, Says, without_verdict};

/// Targets that are named of each thing that is found; the rest is counted.
const NAMED_MAX: usize = 5;

/// What was forbidden, and what came of it so far.
#[derive(Debug)]
pub(crate) struct Gate {
    things: Vec<Thing>,
    /// `None`: a verdict is not required.
    unproven: Option<Sample>,
    /// Outcomes so far.
    seen: u64,
}

#[derive(Debug)]
struct Thing {
    forbidden: Forbidden,
    found: Sample,
    absent: u64,
    nameless: u64,
    /// In the order of [`Doubt::ALL`].
    unknown: [u64; Doubt::ALL.len()],
}

/// Targets: how many, and the first of them.
#[derive(Debug, Default)]
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
        let mut things: Vec<Thing> = Vec::new();
        for forbidden in &gates.forbid {
            let name = forbidden.name();
            if let Some(flag) = forbidden.hidden_by(probing) {
                bail!("--forbid {name} can't be told with {flag}; leave one of them out");
            }
            if things.iter().all(|thing| thing.forbidden.name() != name) {
                things.push(Thing::new(forbidden.clone()));
            }
        }
        let unproven = gates.require_verdict.then(Sample::default);
        Ok((unproven.is_some() || !things.is_empty()).then_some(Self { things, unproven, seen: 0 }))
    }

    /// Takes one outcome.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seen += 1;
        let mut is_unproven = without_verdict(outcome).is_some();
        for thing in &mut self.things {
            is_unproven |= matches!(thing.add(outcome), Says::Unknown(_));
        }
        if let Some(sample) = self.unproven.as_mut().filter(|_| is_unproven) {
            sample.add(outcome);
        }
    }

    /// Whether it has found something in a run of so many targets.
    pub(crate) fn is_shut(&self, account: &Account, total: u128) -> bool {
        let left = self.left(account, total);
        let is_unproven = self.unproven.as_ref().is_some_and(|it| it.count > 0 || left > 0);
        is_unproven || self.things.iter().any(|thing| thing.found.count > 0)
    }

    /// Says what was found, and what is proven.
    pub(crate) fn say(&self, account: &Account, total: u128) {
        let left = self.left(account, total);
        for thing in &self.things {
            terminal::note(thing.told(account, total, left));
        }
        if let Some(unproven) = &self.unproven {
            terminal::note(told_unproven(unproven, total, left));
        }
    }

    /// Targets whose outcome it has not seen. An output that fails leaves some that have one.
    fn left(&self, account: &Account, total: u128) -> u128 {
        total.saturating_sub(u128::from(self.seen + account.excluded))
    }
}

impl Thing {
    fn new(forbidden: Forbidden) -> Self {
        let unknown = Default::default();
        Self { forbidden, found: Sample::default(), absent: 0, nameless: 0, unknown }
    }

    fn add(&mut self, outcome: &Outcome) -> Says {
        let says = self.forbidden.said_by(outcome);
        match says {
            Says::Found => self.found.add(outcome),
            Says::Absent => self.absent += 1,
            Says::NoSuchName => self.nameless += 1,
            Says::Unknown(doubt) => self.unknown[doubt as usize] += 1,
        }
        says
    }

    fn told(&self, account: &Account, total: u128, left: u128) -> String {
        let name = self.forbidden.name();
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
