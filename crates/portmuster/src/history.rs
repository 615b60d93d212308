//! What changed between two runs.
//!
//! A [`Run`] is filled from rows, in any order; [`Changes`] puts two of them side by side.
//!
//! Invariant: what proves nothing is no change. A target that gave no answer is not closed, one that
//! a run did not reach neither came nor went, and one that could not be checked, or whose ssh made
//! no offer, is not compared.

use std::{fmt, iter::FusedIterator, net::IpAddr, sync::Arc, vec};

use crate::{outcome::PortState, targets::Target};

#[cfg(feature = "sqlite")]
mod database;
mod diff;
mod jsonl;
mod read;
mod run;
mod table;

#[cfg(feature = "sqlite")]
pub use database::{RunChoice, Runs, StoredRun, StoredRunError, UnknownChoice, read_run};
pub use jsonl::{ChangeRow, ChangesJsonl, KnownRow, SCHEMA};
pub use read::{LINE_MAX, RowError, RowErrorKind, read_jsonl};
pub use run::Run;
pub use table::ChangeTable;

use self::run::Entry;

/// What a run knows of a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Known {
    /// The port state.
    pub state: PortState,
    /// Why it is in this state, by the name that rows have for it.
    pub reason: Box<str>,
    /// The service, by the name that rows have for it; `None` unless the port is open. A later
    /// version of portmuster may have written others than [`Service`](crate::Service) has.
    pub service: Option<Box<str>>,
    /// The greeting, from a stranger, unescaped.
    pub banner: Box<[u8]>,
    /// The identification of ssh: its protocol, its software, its comment.
    pub identification: [Option<Box<str>>; 3],
    /// What `other` speaks.
    pub protocol: Option<Box<str>>,
    /// Whether it is known which algorithms ssh offers.
    pub has_offer: bool,
    /// What is weak, by the names that rows have for it.
    pub findings: Box<[Box<str>]>,
}

/// What kind of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The target is in the new run only, and the old one was not [partial](Run::is_partial).
    Came,
    /// The target is in the old run only, and the new one was not [partial](Run::is_partial).
    Went,
    /// It is open, and was refused or had no name.
    Opened,
    /// It was open, and is refused or has no name.
    Closed,
    /// It is open, and gave no answer or could not be checked before.
    Answers,
    /// It was open, and gives no answer now, or none that tells a service.
    NoAnswer,
    /// The service is another.
    Service,
    /// What ssh says of its software is another.
    Version,
    /// The greeting is another.
    Banner,
    /// Something is weak that was not.
    NewFindings,
    /// Something is no longer weak.
    GoneFindings,
}

impl ChangeKind {
    /// Every kind, in the order in which summaries list them.
    pub const ALL: [Self; 11] = [
        Self::Came,
        Self::Went,
        Self::Opened,
        Self::Closed,
        Self::Answers,
        Self::NoAnswer,
        Self::Service,
        Self::Version,
        Self::Banner,
        Self::NewFindings,
        Self::GoneFindings,
    ];

    /// The kind's name in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Came => "came",
            Self::Went => "went",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Answers => "answers",
            Self::NoAnswer => "no-answer",
            Self::Service => "service",
            Self::Version => "version",
            Self::Banner => "banner",
            Self::NewFindings => "new-findings",
            Self::GoneFindings => "gone-findings",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// What changed of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The target. A name is in lower case.
    pub target: Target,
    /// The kinds of change, at least one, in the order of [`ChangeKind::ALL`].
    pub kinds: Vec<ChangeKind>,
    /// What the old run knew; `None`: it did not have the target.
    pub old: Option<Side>,
    /// What the new run knows; `None`: it does not have the target.
    pub new: Option<Side>,
    /// What is weak and was not.
    pub new_findings: Vec<Box<str>>,
    /// What was weak and is no longer.
    pub gone_findings: Vec<Box<str>>,
}

impl Change {
    /// Whether the port is open in one of the runs.
    #[must_use]
    pub fn is_of_open(&self) -> bool {
        let sides = [&self.old, &self.new];
        sides.into_iter().flatten().any(|side| side.known.state == PortState::Open)
    }
}

/// What one of the runs knows of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The address of a name; `None` also where none was connected to.
    pub address: Option<IpAddr>,
    /// What it knows.
    pub known: Arc<Known>,
}

/// How many changes there were, of how many targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Targets of the old run.
    pub old: u64,
    /// Targets of the new run.
    pub new: u64,
    /// Targets that changed.
    pub changed: u64,
    kinds: [u64; ChangeKind::ALL.len()],
    /// Targets of one run that the other, which was [partial](Run::is_partial), does not have.
    pub unreached: u64,
    /// Targets that could not be checked in one of the runs, and tell of no change.
    pub unchecked: u64,
    /// Servers of ssh whose offer is known in one of the runs only: what is weak in it is not
    /// compared.
    pub offers_unseen: u64,
}

impl Tally {
    /// How many changes of this kind there were.
    #[must_use]
    pub fn of(&self, kind: ChangeKind) -> u64 {
        self.kinds[kind as usize]
    }
}

/// The changes from one run to another, in the order of addresses, names, and ports.
#[derive(Debug)]
pub struct Changes {
    old: Sorted,
    new: Sorted,
    tally: Tally,
    /// Of the targets that are being compared.
    ready: vec::IntoIter<Change>,
}

impl Changes {
    /// Compares two runs.
    #[must_use]
    pub fn between(old: Run, new: Run) -> Self {
        let (old, new) = (Sorted::new(old), Sorted::new(new));
        let tally = Tally {
            old: old.entries.len() as u64,
            new: new.entries.len() as u64,
            ..Tally::default()
        };
        Self { old, new, tally, ready: Vec::new().into_iter() }
    }

    /// How many changes there were so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Compares the next host and port, with all the addresses that they have; `None` at the end.
    fn compare_next(&mut self) -> Option<Vec<Change>> {
        let (old, new) = match (self.old.first(), self.new.first()) {
            (None, None) => return None,
            (Some(old), Some(new)) if old.key.is_same_target(&new.key) => (true, true),
            (Some(old), Some(new)) => (old.key < new.key, new.key < old.key),
            (old, new) => (old.is_some(), new.is_some()),
        };
        let old_entries = self.old.take_target(old);
        let new_entries = self.new.take_target(new);
        let mut changes = Vec::new();
        for (old, new) in pairs(&old_entries, &new_entries) {
            if self.old.may_lack(old) || self.new.may_lack(new) {
                self.tally.unreached += 1;
                continue;
            }
            let key = &old.or(new).expect("a pair has at least one").key;
            let old = old.map(|entry| self.old.side(entry));
            let new = new.map(|entry| self.new.side(entry));
            changes.extend(diff::change(key.target(), old, new, &mut self.tally));
        }
        Some(changes)
    }
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.ready.next() {
                self.tally.changed += 1;
                for kind in &change.kinds {
                    self.tally.kinds[*kind as usize] += 1;
                }
                return Some(change);
            }
            self.ready = self.compare_next()?.into_iter();
        }
    }
}

impl FusedIterator for Changes {}

/// What was said of each target last, in the order of keys.
#[derive(Debug)]
struct Sorted {
    entries: std::iter::Peekable<vec::IntoIter<Entry>>,
    known: Vec<Arc<Known>>,
    is_partial: bool,
}

impl Sorted {
    fn new(run: Run) -> Self {
        let is_partial = run.is_partial();
        let (entries, known) = run.into_sorted();
        Self { entries: entries.into_iter().peekable(), known, is_partial }
    }

    /// Whether there is no entry where the run may have stopped before it came to one.
    fn may_lack(&self, entry: Option<&Entry>) -> bool {
        self.is_partial && entry.is_none()
    }

    fn first(&mut self) -> Option<&Entry> {
        self.entries.peek()
    }

    /// The entries of the next host and port, unless this run is to wait.
    fn take_target(&mut self, is_next: bool) -> Vec<Entry> {
        let mut taken: Vec<Entry> = Vec::new();
        if !is_next {
            return taken;
        }
        while let Some(entry) = self
            .entries
            .next_if(|entry| taken.first().is_none_or(|first| first.key.is_same_target(&entry.key)))
        {
            taken.push(entry);
        }
        taken
    }

    fn side(&self, entry: &Entry) -> Side {
        Side { address: entry.key.address(), known: Arc::clone(&self.known[entry.known as usize]) }
    }
}

/// Which entries of one host and port are compared with each other. Where each run has one, these:
/// a name may have another address today. Otherwise those of the same address; one without an
/// address stands for all.
fn pairs<'a>(old: &'a [Entry], new: &'a [Entry]) -> Vec<(Option<&'a Entry>, Option<&'a Entry>)> {
    let stands_for_all = |entries: &[Entry], others: &[Entry]| match entries {
        [only] => others.len() == 1 || (!others.is_empty() && only.key.address().is_none()),
        _ => false,
    };
    if stands_for_all(old, new) {
        return new.iter().map(|new| (old.first(), Some(new))).collect();
    }
    if stands_for_all(new, old) {
        return old.iter().map(|old| (Some(old), new.first())).collect();
    }
    let mut pairs = Vec::new();
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        pairs.push(match (olds.peek(), news.peek()) {
            (None, None) => return pairs,
            (Some(old), Some(new)) if old.key == new.key => (olds.next(), news.next()),
            (Some(old), Some(new)) if new.key < old.key => (None, news.next()),
            (Some(_), _) => (olds.next(), None),
            (None, Some(_)) => (None, news.next()),
        });
    }
}

#[cfg(test)]
mod tests;
