//! Decides which script a new connection gets: the behaviour's own script or its refusal.

use std::{sync::Arc, time::Instant};

use crate::{behaviour::Behaviour, penalties::PenaltyTracker, script::Step};

/// The scripts of a server, and the state that decides which one a connection gets.
#[derive(Debug)]
pub(crate) struct ServerPolicy {
    script: Arc<[Step]>,
    refusal: Option<Arc<[Step]>>,
    penalties: PenaltyTracker,
    /// Whether the next client is refused because it is the first.
    refuses_next: bool,
}

impl ServerPolicy {
    /// Returns the policy of a behaviour; `None` if the behaviour accepts no connections.
    pub(crate) fn new(behaviour: Behaviour) -> Option<Self> {
        let script = behaviour.script()?.into();
        let refusal = behaviour.refusal().map(Into::into);
        let refuses_next = behaviour == Behaviour::SshOnSecondTry;
        Some(Self { script, refusal, penalties: PenaltyTracker::default(), refuses_next })
    }

    /// Returns the script for a connection that is accepted now.
    pub(crate) fn script_for_next(&mut self, now: Instant) -> Arc<[Step]> {
        let is_refused = std::mem::take(&mut self.refuses_next) || self.penalties.refuses(now);
        let refusal = self.refusal.as_ref().filter(|_| is_refused);
        Arc::clone(refusal.unwrap_or(&self.script))
    }

    /// Records that a connection with this script has ended. Clients that were refused get no
    /// further penalty.
    pub(crate) fn connection_ended(&mut self, script: &Arc<[Step]>, now: Instant) {
        if Arc::ptr_eq(script, &self.script) {
            self.penalties.add(now);
        }
    }
}
