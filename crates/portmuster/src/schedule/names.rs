//! Who waits for which name, and what the names were last found to be.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use super::start::CheckId;
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
/// Lookups of one scope in a row without an answer, or without one for a family, after which none is
/// made again before one has an answer: what is out of order is the resolver, and each lookup takes
/// all the time that it waits for servers.
pub(crate) const OUT_OF_ORDER: usize = 64;

/// How far a lookup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// To the addresses that one question to the resolver finds, which may be those of one family.
    OneFamily,
    /// To the addresses of both families.
    BothFamilies,
    /// To all addresses, each of which is a target of its own.
    Each,
}

impl Scope {
    /// Addresses that are kept; beyond these the lookup says that there are more. One message of DNS
    /// holds at most 4,095 addresses of IPv4, or 2,340 of IPv6; a hosts file may have more. Fewer are
    /// tried until one accepts: when all are silent their timeouts add up.
    pub(crate) fn addresses_max(self) -> usize {
        match self {
            Self::OneFamily | Self::BothFamilies => 256,
            Self::Each => 8192,
        }
    }
}

/// What the resolver is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) name: Arc<str>,
    pub(crate) scope: Scope,
}

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
    /// The resolver was not asked for this family.
    NotAsked(Family),
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
    PAUSES.get(retries).copied().filter(|_| has_failed(lookup))
}

/// Whether the resolver gave no answer, also for one family alone.
pub(crate) fn has_failed(lookup: &Lookup) -> bool {
    match lookup {
        Ok(found) => matches!(found.missing, Some(Missing::Family(_))),
        Err(error) => *error == LookupError::NoAnswer,
    }
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
    asked: HashMap<Question, Asked>,
    wanted: VecDeque<Question>,
    /// What is asked again, and when.
    again: BinaryHeap<Reverse<(Instant, Question)>>,
    /// Of each scope, in their order.
    unanswered_in_a_row: [usize; 3],
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
        if let Some(asked) = self.asked.get_mut(question) {
            asked.checks.push(id);
        } else {
            let asked = Asked { checks: vec![id], ..Asked::default() };
            self.asked.insert(question.clone(), asked);
            self.wanted.push_back(question.clone());
        }
        None
    }

    /// The next question to the resolver.
    pub(super) fn wanted(&mut self, now: Instant) -> Option<&Question> {
        while let Some(Reverse((at, _))) = self.again.peek()
            && *at <= now
            && let Some(Reverse((_, question))) = self.again.pop()
        {
            self.wanted.push_back(question);
        }
        self.wanted.front()
    }

    /// When something is to be asked again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.again.peek().map(|&Reverse((at, _))| at)
    }

    /// The resolver was asked what is wanted.
    pub(super) fn began(&mut self) {
        self.wanted.pop_front();
    }

    /// Who waited for the answer, and what they get; `None`: the resolver will be asked again.
    pub(super) fn answered(
        &mut self,
        question: &Question,
        lookup: Lookup,
        now: Instant,
    ) -> Option<(Vec<CheckId>, Lookup)> {
        let unanswered = &mut self.unanswered_in_a_row[question.scope as usize];
        *unanswered = if has_failed(&lookup) { *unanswered + 1 } else { 0 };
        let asked = self.asked.get_mut(question)?;
        let lookup = or_earlier(lookup, asked.earlier.take());
        if *unanswered < OUT_OF_ORDER
            && let Some(pause) = again_after(&lookup, asked.retries)
        {
            asked.retries += 1;
            asked.earlier = lookup.ok();
            self.again.push(Reverse((now.after(pause), question.clone())));
            return None;
        }
        self.remember(&question.name, &lookup, now);
        let checks = self.asked.remove(question).unwrap_or_default().checks;
        self.waiting -= checks.len();
        Some((checks, lookup))
    }

    fn remember(&mut self, name: &Arc<str>, lookup: &Lookup, now: Instant) {
        // A resolver that gave no answer may give one to the next who asks.
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

/// Whether a lookup went as far as the scope does.
fn is_enough(lookup: &Lookup, scope: Scope) -> bool {
    let has_asked = |found: &Found| !matches!(found.missing, Some(Missing::NotAsked(_)));
    scope == Scope::OneFamily || lookup.as_ref().map_or(true, has_asked)
}

fn addresses(lookup: &Lookup) -> usize {
    lookup.as_ref().map_or(0, |found| found.addresses.len())
}
