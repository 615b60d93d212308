//! Who waits for which name, and what the names were last found to be.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use super::CheckId;
use crate::{clock::Instant, outcome::Fault, targets::Family};

/// Targets that wait for their name, over all names.
pub(super) const WAITING_MAX: usize = 65_536;
/// Names whose addresses are remembered; beyond, the oldest is forgotten.
const KNOWN_MAX: usize = 65_536;
/// Addresses that are remembered, over all names.
const KNOWN_ADDRESSES_MAX: usize = 262_144;
/// How long they are: as long as short-lived records of the name system live, so that a run
/// without end keeps up with them.
const KNOWN_FOR: Duration = Duration::from_mins(5);
/// Pauses before a name without an answer is looked up again. Name servers remember a failure for a
/// second (BIND) or five (Unbound), and the resolver has asked each of them twice by itself.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(6)];
/// Lookups in a row without an answer after which none is made again before one has an answer: what
/// is out of order is the resolver, and each lookup takes all the time that it waits for servers.
pub(crate) const OUT_OF_ORDER: usize = 64;

/// What a lookup found.
pub(crate) type Lookup = Result<Found, LookupError>;

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Whatever their port; at least one.
    pub(crate) addresses: Arc<[SocketAddr]>,
    /// What there may be beside these; `None`: nothing.
    pub(crate) missing: Option<Missing>,
}

/// What is not known of the addresses of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The resolver gave no answer for this family.
    Family(Family),
    /// There are more addresses than are kept.
    Beyond,
}

/// Why a lookup found no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// There is no such name, or it has no address.
    NoSuchName,
    /// The resolver gave no answer: nothing is known of the name.
    NoAnswer,
    /// It is an address with a zone that this machine has no interface for.
    NoSuchInterface,
    /// This machine was short of something: nothing is known of the name.
    Short(Fault),
}

impl Found {
    /// The same with no more than so many addresses.
    pub(crate) fn bounded(self, most: usize) -> Self {
        match self.addresses.get(..most) {
            Some(kept) if kept.len() < self.addresses.len() => {
                Self { addresses: kept.into(), missing: Some(Missing::Beyond) }
            }
            _ => self,
        }
    }
}

impl From<Vec<SocketAddr>> for Found {
    /// All that the name has.
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses: addresses.into(), missing: None }
    }
}

/// The pause after which a lookup with this result is made again, when it was made again so often
/// already; `None`: it is not.
pub(crate) fn again_after(lookup: &Lookup, retries: usize) -> Option<Duration> {
    let has_failed = match lookup {
        Ok(found) => matches!(found.missing, Some(Missing::Family(_))),
        Err(error) => *error == LookupError::NoAnswer,
    };
    PAUSES.get(retries).copied().filter(|_| has_failed)
}

/// The result of a lookup that was made again: addresses are not taken back by a later failure.
pub(crate) fn or_earlier(lookup: Lookup, earlier: Option<Found>) -> Lookup {
    match (lookup, earlier) {
        (Err(_), Some(earlier)) => Ok(earlier),
        (lookup, _) => lookup,
    }
}

/// Who waits for a name, and what became of its lookups.
#[derive(Debug, Default)]
struct Asked {
    checks: Vec<CheckId>,
    retries: usize,
    earlier: Option<Found>,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<Arc<str>, Lookup>,
    /// The known names, the oldest first.
    known_since: VecDeque<(Instant, Arc<str>)>,
    known_addresses: usize,
    asked: HashMap<Arc<str>, Asked>,
    wanted: VecDeque<Arc<str>>,
    /// Names that are looked up again, and when.
    again: BinaryHeap<Reverse<(Instant, Arc<str>)>>,
    unanswered_in_a_row: usize,
    waiting: usize,
}

impl Names {
    /// Whether the walk over the targets has to stop until a lookup ends.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX
    }

    /// Whether nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// What is known of the name; `None`: the check waits for it.
    pub(super) fn look_up(&mut self, name: &Arc<str>, id: CheckId, now: Instant) -> Option<Lookup> {
        self.forget(now);
        if let Some(lookup) = self.known.get(name) {
            return Some(lookup.clone());
        }
        self.waiting += 1;
        if let Some(asked) = self.asked.get_mut(name) {
            asked.checks.push(id);
        } else {
            let asked = Asked { checks: vec![id], ..Asked::default() };
            self.asked.insert(Arc::clone(name), asked);
            self.wanted.push_back(Arc::clone(name));
        }
        None
    }

    /// The next name to be looked up.
    pub(super) fn wanted(&mut self, now: Instant) -> Option<&Arc<str>> {
        while let Some(Reverse((at, _))) = self.again.peek()
            && *at <= now
            && let Some(Reverse((_, name))) = self.again.pop()
        {
            self.wanted.push_back(name);
        }
        self.wanted.front()
    }

    /// When a name is to be looked up again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.again.peek().map(|&Reverse((at, _))| at)
    }

    /// The wanted name is being looked up.
    pub(super) fn began(&mut self) {
        self.wanted.pop_front();
    }

    /// Who waited for the name, and what they get; `None`: it will be looked up again.
    pub(super) fn answered(
        &mut self,
        name: &Arc<str>,
        lookup: Lookup,
        now: Instant,
    ) -> Option<(Vec<CheckId>, Lookup)> {
        let is_answered = lookup != Err(LookupError::NoAnswer);
        self.unanswered_in_a_row = if is_answered { 0 } else { self.unanswered_in_a_row + 1 };
        let asked = self.asked.get_mut(name)?;
        let lookup = or_earlier(lookup, asked.earlier.take());
        if self.unanswered_in_a_row < OUT_OF_ORDER
            && let Some(pause) = again_after(&lookup, asked.retries)
        {
            asked.retries += 1;
            asked.earlier = lookup.ok();
            self.again.push(Reverse((now.after(pause), Arc::clone(name))));
            return None;
        }
        self.remember(name, &lookup, now);
        let checks = self.asked.remove(name).unwrap_or_default().checks;
        self.waiting -= checks.len();
        Some((checks, lookup))
    }

    fn remember(&mut self, name: &Arc<str>, lookup: &Lookup, now: Instant) {
        // A resolver that gave no answer may give one to the next who asks.
        let is_final = match lookup {
            Ok(found) => !matches!(found.missing, Some(Missing::Family(_))),
            Err(error) => *error == LookupError::NoSuchName,
        };
        if is_final && !self.known.contains_key(name) {
            self.known.insert(Arc::clone(name), lookup.clone());
            self.known_since.push_back((now, Arc::clone(name)));
            self.known_addresses += addresses(lookup);
        }
        self.forget(now);
    }

    /// Forgets what has become too old or too much.
    fn forget(&mut self, now: Instant) {
        while let Some((since, name)) = self.known_since.front()
            && (now.since(*since) >= KNOWN_FOR
                || self.known.len() > KNOWN_MAX
                || self.known_addresses > KNOWN_ADDRESSES_MAX)
        {
            let lookup = self.known.remove(name);
            self.known_addresses -= lookup.as_ref().map_or(0, addresses);
            self.known_since.pop_front();
        }
    }
}

fn addresses(lookup: &Lookup) -> usize {
    lookup.as_ref().map_or(0, |found| found.addresses.len())
}
