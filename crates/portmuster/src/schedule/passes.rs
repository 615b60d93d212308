//! Handles targets that do not answer: how long attempts wait for them, their retries, and the looks at
//! them when their block ends.

use std::{cmp::Reverse, net::IpAddr, time::Duration};

use super::{
    OUTCOMES_MAX, READY_MAX, Route, Schedule,
    blocks::{Due, Role, SilentState},
    check::{Check, Purpose},
    silent::Silent,
    start::CheckId,
};
use crate::{
    clock::Instant,
    outcome::{Certainty, NetworkLoss, PortState, Verdict},
    targets::Target,
};

impl Schedule {
    /// Returns the loss on the way to each network in which an endpoint has answered, the lossiest
    /// first.
    pub(crate) fn network_losses(&self) -> Vec<NetworkLoss> {
        let mut losses: Vec<_> = self.syn_losses.iter().collect();
        losses
            .sort_by_key(|&(network, loss)| (Reverse(loss.lost * 1_000_000 / loss.sent), network));
        let named = losses.into_iter();
        named.map(|(network, &loss)| NetworkLoss { network: network.to_string(), loss }).collect()
    }

    /// Returns what is known of the targets that did not answer; `None` if it is not estimated.
    pub(crate) fn certainty(&self) -> Option<Certainty> {
        self.blocks.certainty()
    }

    /// Moves targets that have not answered, and controls, to the ready queue when they are due.
    pub(super) fn promote_blocks(&mut self, now: Instant) {
        self.blocks.advance(now);
        while self.ready.len() < READY_MAX
            && let Some((first, due)) = self.blocks.pop_due(now, self.ready.is_empty())
        {
            let check = match due {
                Due::Target(silent, purpose) => silent.unpack(first, purpose).0,
                Due::Control(endpoint) => {
                    let mut check = Check::new(Target::from(endpoint), first, 0);
                    check.resolved(endpoint);
                    check.set_purpose(Purpose::Control);
                    check
                }
            };
            self.ready.push_back(CheckId(self.checks.insert(check)));
        }
        self.blocks.set_behind(now);
    }

    /// Returns how long the next attempt of a check waits for an answer; `None`: the whole timeout.
    pub(super) fn patience_for(&self, id: CheckId, host: IpAddr) -> Option<Duration> {
        let check = &self.checks[id.0];
        match check.purpose() {
            Purpose::Canary(_) | Purpose::Control => None,
            Purpose::Target | Purpose::Again(_) => {
                self.patience.wait(host, check.position(), check.attempts())
            }
        }
    }

    /// Learns from an answer how late answers come, and how many SYNs are lost.
    pub(super) fn learn(&mut self, id: CheckId, host: IpAddr, verdict: &Verdict) {
        if !verdict.is_answer() {
            return;
        }
        // Through a proxy nothing counts the SYNs to the endpoint.
        if self.route == Route::Direct {
            self.account.syns += u64::from(verdict.syns_lost) + 1;
            self.account.syns_lost += u64::from(verdict.syns_lost);
            if let Some(loss) = self.syn_losses.entry(host) {
                loss.add(verdict.syns_lost);
            }
        }
        if self.checks[id.0].kept_timeout() {
            self.patience.answered(host, verdict.times.connect.unwrap_or(verdict.times.total));
        }
    }

    /// Returns whether a verdict is held until the block of its target ends.
    pub(super) fn is_held(&mut self, position: u64, purpose: Purpose, verdict: &Verdict) -> bool {
        purpose != Purpose::Control
            && verdict.state == PortState::Filtered
            && !self.gives_up()
            && self.blocks.holds(position)
    }

    /// Continues a check where an earlier process has stopped.
    pub(super) fn continue_check(&mut self, id: CheckId, role: Role) {
        let (retries, check) = (self.retries, &mut self.checks[id.0]);
        let purpose = match role {
            Role::New => return,
            Role::Waiting => return check.continue_after(1, retries.saturating_sub(1)),
            Role::Tried(stratum) => Purpose::Again(stratum),
            Role::Drawn(stratum) => Purpose::Canary(stratum),
        };
        check.continue_after(retries.saturating_add(1), 0);
        check.set_purpose(purpose);
    }

    /// Returns what a journal stores of targets that have not answered, if a block has ended since the
    /// last call or `is_due`.
    pub(crate) fn save_silent(&mut self, is_due: bool) -> Option<SilentState> {
        if !is_due && !self.blocks.has_concluded() {
            return None;
        }
        let mut state = self.blocks.save();
        for (_, check) in &self.checks {
            let position = check.position();
            match check.purpose() {
                Purpose::Target if check.was_retried() => state.add(position, Role::Waiting),
                Purpose::Again(stratum) => state.add(position, Role::Tried(stratum)),
                Purpose::Canary(stratum) => state.add(position, Role::Drawn(stratum)),
                Purpose::Target | Purpose::Control => {}
            }
        }
        Some(state)
    }

    /// Removes a check that has got no answer, and packs it.
    pub(super) fn pack(&mut self, id: CheckId, now: Instant) -> Silent {
        let check = self.checks.remove(id.0);
        let first = self.blocks.first(check.position());
        Silent::pack(check, first, now)
    }

    /// Adds the outcomes of targets whose block has ended to those to be taken, while there is room.
    pub(super) fn give_out_ended(&mut self) {
        while self.outcomes.len() < OUTCOMES_MAX
            && let Some((first, silent)) = self.blocks.pop_ended()
        {
            let (mut check, ended) = silent.unpack(first, Purpose::Target);
            if let Some((endpoint, verdict)) = check.take_verdict() {
                self.give_out(check, Some(endpoint), verdict, ended);
            }
        }
    }
}
