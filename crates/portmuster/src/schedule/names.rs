//! Keeps the checks that wait for a name, and the results of recent lookups.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use super::start::CheckId;
use crate::{clock::Instant, outcome::Fault, targets::Family};

/// The most targets that wait for the lookup of a name.
pub(super) const WAITING_MAX: usize = 65_536;
/// The most names in the cache; the oldest is evicted.
const KNOWN_MAX: usize = 65_536;
/// The most addresses in the cache, over all names.
const KNOWN_ADDRESSES_MAX: usize = 262_144;
/// The lifetime of a cache entry. It is that of short-lived DNS records, so that an endless run
/// notices when they change.
const KNOWN_FOR: Duration = Duration::from_mins(5);
/// The pauses before a name without an answer is looked up again. Name servers cache a failure for
/// one second (BIND) or five (Unbound), and the resolver has already asked each of them twice.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(6)];
/// After this many consecutive lookups of one scope without an answer, also for one family only, names
/// are not looked up again until a lookup has an answer: the resolver itself is out of order, and each
/// lookup takes as long as it waits for servers.
pub(crate) const OUT_OF_ORDER: usize = 64;

/// Which addresses of a name a lookup has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Those that one call of the resolver finds, which may be of one family only.
    OneFamily,
    /// Those of both families.
    BothFamilies,
    /// All, because each of them is checked as a target of its own.
    Each,
}

impl Scope {
    /// Returns the most addresses that a lookup keeps; if there are more, it returns
    /// [`Missing::Beyond`]. One DNS message holds at most 4,095 IPv4 or 2,340 IPv6 addresses; a hosts
    /// file may have more. The limit is lower where addresses are tried one after another, because
    /// their timeouts add up.
    pub(crate) fn addresses_max(self) -> usize {
        match self {
            Self::OneFamily | Self::BothFamilies => 256,
            Self::Each => 8192,
        }
    }
}

/// A name to look up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) name: Arc<str>,
    pub(crate) scope: Scope,
}

/// The result of a lookup.
pub(crate) type Lookup = Result<Found, LookupError>;

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// At least one. The port means nothing.
    pub(crate) addresses: Arc<[SocketAddr]>,
    /// What is not known of the other addresses; `None` if there are no others.
    pub(crate) missing: Option<Missing>,
}

/// Which addresses of a name are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Those of this family: the resolver gave no answer.
    Family(Family),
    /// Those of this family: the resolver was not asked for it alone.
    NotAsked(Family),
    /// Those beyond [`Scope::addresses_max`].
    Beyond,
}

/// Why a lookup found no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// The name does not exist, or has no address.
    NoSuchName,
    /// The resolver gave no answer, so nothing is known about the name.
    NoAnswer,
    /// The name is an address whose zone is no interface of this machine.
    NoSuchInterface,
    /// This machine was short of something, so nothing is known about the name.
    Short(Fault),
}

impl Found {
    /// Returns the first `most` addresses, and [`Missing::Beyond`] if there are more.
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
    /// Creates the result of a lookup that found all addresses of the name.
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses: addresses.into(), missing: None }
    }
}

/// Returns the pause after which a name with this result is looked up again, after `retries` earlier
/// repetitions; `None` if it is not.
pub(crate) fn again_after(lookup: &Lookup, retries: usize) -> Option<Duration> {
    PAUSES.get(retries).copied().filter(|_| has_failed(lookup))
}

/// Returns whether the resolver gave no answer for at least one family.
pub(crate) fn has_failed(lookup: &Lookup) -> bool {
    match lookup {
        Ok(found) => matches!(found.missing, Some(Missing::Family(_))),
        Err(error) => *error == LookupError::NoAnswer,
    }
}

/// Returns the result of a repeated lookup: a failure keeps the addresses that were found earlier.
pub(crate) fn or_earlier(lookup: Lookup, earlier: Option<Found>) -> Lookup {
    match (lookup, earlier) {
        (Err(_), Some(earlier)) => Ok(earlier),
        (lookup, _) => lookup,
    }
}

/// A question without a final answer.
#[derive(Debug, Default)]
struct PendingLookup {
    /// The checks that wait for it.
    checks: Vec<CheckId>,
    retries: usize,
    /// The addresses that an incomplete lookup found.
    earlier: Option<Found>,
}

/// The cache of lookups, and the queue of those to come.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<Arc<str>, Lookup>,
    /// The names in the cache, the oldest first.
    known_since: VecDeque<(Instant, Arc<str>)>,
    known_addresses: usize,
    pending: HashMap<Question, PendingLookup>,
    /// Questions for the resolver, in order.
    wanted: VecDeque<Question>,
    /// Questions that are repeated, and when.
    again: BinaryHeap<Reverse<(Instant, Question)>>,
    /// Consecutive lookups without an answer, by scope.
    unanswered_in_a_row: [usize; 3],
    waiting: usize,
}

impl Names {
    /// Returns whether no more targets may be taken until a lookup ends.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX
    }

    /// Returns whether no check waits for a lookup.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Returns the cached result of a lookup. `None` queues a lookup, for which the check waits.
    pub(super) fn look_up(
        &mut self,
        question: &Question,
        id: CheckId,
        now: Instant,
    ) -> Option<Lookup> {
        self.forget(now);
        let known = self.known.get(&question.name);
        if let Some(lookup) = known.filter(|lookup| is_enough(lookup, question.scope)) {
            return Some(lookup.clone());
        }
        self.waiting += 1;
        if let Some(pending) = self.pending.get_mut(question) {
            pending.checks.push(id);
        } else {
            let pending = PendingLookup { checks: vec![id], ..PendingLookup::default() };
            self.pending.insert(question.clone(), pending);
            self.wanted.push_back(question.clone());
        }
        None
    }

    /// Returns the next question for the resolver.
    pub(super) fn wanted(&mut self, now: Instant) -> Option<&Question> {
        while let Some(Reverse((at, _))) = self.again.peek()
            && *at <= now
            && let Some(Reverse((_, question))) = self.again.pop()
        {
            self.wanted.push_back(question);
        }
        self.wanted.front()
    }

    /// Returns when the next lookup is repeated.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.again.peek().map(|&Reverse((at, _))| at)
    }

    /// Notes that the resolver was asked the question that [`Self::wanted`] returned.
    pub(super) fn began(&mut self) {
        self.wanted.pop_front();
    }

    /// Takes the result of a lookup. Returns the checks that waited for it, and the result that they
    /// get. `None` if the lookup will be repeated.
    pub(super) fn answered(
        &mut self,
        question: &Question,
        lookup: Lookup,
        now: Instant,
    ) -> Option<(Vec<CheckId>, Lookup)> {
        let unanswered = &mut self.unanswered_in_a_row[question.scope as usize];
        *unanswered = if has_failed(&lookup) { *unanswered + 1 } else { 0 };
        let pending = self.pending.get_mut(question)?;
        let lookup = or_earlier(lookup, pending.earlier.take());
        if *unanswered < OUT_OF_ORDER
            && let Some(pause) = again_after(&lookup, pending.retries)
        {
            pending.retries += 1;
            pending.earlier = lookup.ok();
            self.again.push(Reverse((now.after(pause), question.clone())));
            return None;
        }
        self.remember(&question.name, &lookup, now);
        let checks = self.pending.remove(question).unwrap_or_default().checks;
        self.waiting -= checks.len();
        Some((checks, lookup))
    }

    fn remember(&mut self, name: &Arc<str>, lookup: &Lookup, now: Instant) {
        // The next lookup of a name without an answer may have one.
        let is_final = match lookup {
            Ok(_) => !has_failed(lookup),
            Err(error) => *error == LookupError::NoSuchName,
        };
        if is_final {
            self.known_addresses += addresses(lookup);
            match self.known.insert(Arc::clone(name), lookup.clone()) {
                Some(earlier) => self.known_addresses -= addresses(&earlier),
                None => self.known_since.push_back((now, Arc::clone(name))),
            }
        }
        self.forget(now);
    }

    /// Evicts entries that are too old, or too many.
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

/// Returns whether the result of a lookup is complete enough for the scope.
fn is_enough(lookup: &Lookup, scope: Scope) -> bool {
    let has_asked = |found: &Found| !matches!(found.missing, Some(Missing::NotAsked(_)));
    scope == Scope::OneFamily || lookup.as_ref().map_or(true, has_asked)
}

fn addresses(lookup: &Lookup) -> usize {
    lookup.as_ref().map_or(0, |found| found.addresses.len())
}
