//! Who waits for which name, and what the names were last found to be.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use super::CheckId;
use crate::{clock::Instant, outcome::Fault};

/// Targets that wait for their name, over all names.
pub(super) const WAITING_MAX: usize = 65_536;
/// Names whose addresses are remembered; beyond, the oldest is forgotten.
const KNOWN_MAX: usize = 65_536;
/// How long they are: as long as short-lived records of the name system live, so that a run
/// without end keeps up with them.
const KNOWN_FOR: Duration = Duration::from_mins(5);

/// What a lookup found: addresses (whatever their port), at least one.
pub(crate) type Lookup = Result<Arc<[SocketAddr]>, LookupError>;

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

#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<Arc<str>, Lookup>,
    /// The known names, the oldest first.
    known_since: VecDeque<(Instant, Arc<str>)>,
    asked: HashMap<Arc<str>, Vec<CheckId>>,
    wanted: VecDeque<Arc<str>>,
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
        if let Some(checks) = self.asked.get_mut(name) {
            checks.push(id);
        } else {
            self.asked.insert(Arc::clone(name), vec![id]);
            self.wanted.push_back(Arc::clone(name));
        }
        None
    }

    /// The next name to be looked up.
    pub(super) fn wanted(&self) -> Option<&Arc<str>> {
        self.wanted.front()
    }

    /// The wanted name is being looked up.
    pub(super) fn began(&mut self) {
        self.wanted.pop_front();
    }

    /// Who waited for the name.
    pub(super) fn answered(
        &mut self,
        name: &Arc<str>,
        lookup: &Lookup,
        now: Instant,
    ) -> Vec<CheckId> {
        // A resolver that gave no answer may give one to the next who asks.
        if matches!(lookup, Ok(_) | Err(LookupError::NoSuchName))
            && self.known.insert(Arc::clone(name), lookup.clone()).is_none()
        {
            self.known_since.push_back((now, Arc::clone(name)));
        }
        self.forget(now);
        let checks = self.asked.remove(name).unwrap_or_default();
        self.waiting -= checks.len();
        checks
    }

    /// Forgets what has become too old or too much.
    fn forget(&mut self, now: Instant) {
        while let Some((since, name)) = self.known_since.front()
            && (now.since(*since) >= KNOWN_FOR || self.known.len() > KNOWN_MAX)
        {
            self.known.remove(name);
            self.known_since.pop_front();
        }
    }
}
