//! Takes the results of lookups: the addresses of a name are tried, excluded, or made targets.

use std::{net::SocketAddr, sync::Arc};

use super::{
    Found, Lookup, LookupError, Missing, Question, Route, Schedule, Scope,
    check::{Check, Settled},
    each::AddressTargets,
    new_check::Coverage,
    route::stand_in,
    start::CheckId,
};
use crate::{
    clock::Instant,
    config::Addresses,
    outcome::{PortState, Reason},
    positions::OutcomeCount,
    targets::{Family, Host, Target},
};

impl Schedule {
    /// Looks up the name of a check, which waits unless the result is cached.
    pub(super) fn look_up(&mut self, id: CheckId, name: &Arc<str>, now: Instant) {
        let scope = match self.addresses {
            Addresses::UntilOneAccepts => Scope::OneFamily,
            Addresses::Each => Scope::Each,
        };
        let question = Question { name: Arc::clone(name), scope };
        if let Some(lookup) = self.names.look_up(&question, id, now) {
            self.looked_up(id, &lookup, now);
        }
    }

    /// Leaves the lookup of a check's name to the proxy.
    ///
    /// Which addresses the proxy tries is unknown, so a refusal is one in part.
    pub(super) fn leave_name(&mut self, id: CheckId, name: &str) {
        let stand_in: Arc<[_]> = [SocketAddr::new(stand_in(name), 0)].into();
        self.checks[id.0].resolved_name(&stand_in, Coverage::Part);
        self.ready.push_back(id);
    }

    /// Returns the name of a check that the proxy looks up; `None`: it has an address.
    pub(super) fn name_for_proxy(&self, id: CheckId) -> Option<Box<str>> {
        let target = self.checks[id.0].target();
        let name = self.is_left_to_proxy(target).then(|| target.host.to_string());
        name.map(String::into_boxed_str)
    }

    /// Returns whether the proxy looks the target up, so that its endpoint is a stand-in.
    pub(super) fn is_left_to_proxy(&self, target: &Target) -> bool {
        self.route == Route::ProxyWithNames && matches!(target.host, Host::Name(_))
    }

    /// Takes the result of a lookup that a check waited for.
    pub(super) fn looked_up(&mut self, id: CheckId, lookup: &Lookup, now: Instant) {
        match lookup {
            Ok(found) if self.addresses == Addresses::Each => self.each(id, found, now),
            Ok(found) => self.resolved_name(id, found, now),
            Err(LookupError::NoSuchName) => {
                self.end(id, PortState::Unresolved, Reason::NoSuchName, now);
            }
            Err(LookupError::NoAnswer) => {
                self.end(id, PortState::Unchecked, Reason::LookupFailed, now);
            }
            Err(LookupError::NoSuchInterface) => {
                self.end(id, PortState::Unchecked, Reason::NoSuchInterface, now);
            }
            Err(LookupError::Short(fault)) => {
                if !self.pause(id, now) {
                    self.end(id, PortState::Unchecked, Reason::Fault(*fault), now);
                }
            }
        }
    }

    /// Takes the single address of a check, which is excluded, refused as unspecified, or tried.
    pub(super) fn resolved(&mut self, id: CheckId, address: SocketAddr, now: Instant) {
        if self.excludes_contain(address, self.checks[id.0].target().port) {
            self.exclude(id);
        } else if is_unspecified(&address) {
            self.end(id, PortState::Unchecked, Reason::UnspecifiedAddress, now);
        } else {
            self.checks[id.0].resolved(address);
            self.ready.push_back(id);
        }
    }

    /// Takes the addresses of a name, which are tried one after another until one accepts.
    fn resolved_name(&mut self, id: CheckId, found: &Found, now: Instant) {
        let port = self.checks[id.0].target().port;
        let (tried, coverage) = self.tried(found, port);
        let other = match found.missing {
            Some(Missing::NotAsked(other)) => Some(other),
            _ => None,
        };
        if !tried.is_empty() {
            self.checks[id.0].resolved_name(&tried, coverage);
            self.ready.push_back(id);
        } else if let Some(name) = self.checks[id.0].unresolved_name()
            && other.is_some_and(|other| !self.excludes.contains_all(other, port))
        {
            // The other family may have addresses that are not excluded.
            self.look_up_rest(id, name, now);
        } else if let Some(reason) = self.missing_reason(found, port) {
            self.end(id, PortState::Unchecked, reason, now);
        } else if !self.allowed(&found.addresses, port).is_empty() {
            self.end(id, PortState::Unchecked, Reason::UnspecifiedAddress, now);
        } else {
            self.exclude(id);
        }
    }

    /// Returns the addresses of a name that may be tried, and which part of the name they cover.
    fn tried(&self, found: &Found, port: u16) -> (Arc<[SocketAddr]>, Coverage) {
        let tried = without(&self.allowed(&found.addresses, port), is_unspecified);
        let coverage = match found.missing {
            _ if tried.len() < found.addresses.len() => Coverage::Part,
            // This holds for an excluded family, too: its addresses are not tried.
            Some(Missing::Family(_) | Missing::Beyond) => Coverage::Part,
            Some(Missing::NotAsked(_)) => Coverage::OneFamily,
            None => Coverage::Whole,
        };
        (tried, coverage)
    }

    /// Looks up both families of a name when none of its known addresses accepted, or may be tried.
    pub(super) fn look_up_rest(&mut self, id: CheckId, name: Arc<str>, now: Instant) {
        let question = Question { name, scope: Scope::BothFamilies };
        if let Some(lookup) = self.names.look_up(&question, id, now) {
            self.rest_looked_up(id, &lookup, now);
        }
    }

    /// Takes the addresses of both families, after those of one did not accept or were not tried.
    pub(super) fn rest_looked_up(&mut self, id: CheckId, lookup: &Lookup, now: Instant) {
        if self.checks[id.0].unresolved_name().is_some() {
            return self.looked_up(id, lookup, now);
        }
        let tried = Family::of(self.checks[id.0].endpoint().ip());
        let is_known = matches!(lookup, Ok(Found { missing: None, .. }));
        if !is_known && self.checks[id.0].is_filtered() {
            // A gate that allows `filtered` does not thereby allow names that can't be looked up.
            self.checks[id.0].lookup_failed();
        }
        if let Ok(found) = lookup {
            // An IPv4 address in an AAAA record was not tried with those of A records.
            let is_tried = |address: &SocketAddr| address.is_ipv4() == (tried == Family::V4);
            let addresses = without(&found.addresses, is_tried);
            let rest = Found { addresses, missing: found.missing };
            let (untried, coverage) = self.tried(&rest, self.checks[id.0].target().port);
            self.checks[id.0].set_coverage(coverage);
            if !untried.is_empty() {
                self.checks[id.0].resolved_name(&untried, coverage);
                return self.ready.push_back(id);
            }
        }
        if let Settled::Outcome(endpoint, verdict) = self.checks[id.0].conclude() {
            self.finish(id, endpoint, verdict, now);
        }
    }

    /// Makes each address of a name a target of its own.
    fn each(&mut self, id: CheckId, found: &Found, now: Instant) {
        let port = self.checks[id.0].target().port;
        let allowed = self.allowed(&found.addresses, port);
        let missing = self.missing_reason(found, port);
        // An excluded family without an answer counts as one excluded address.
        let unknown = matches!(found.missing, Some(Missing::Family(_) | Missing::Beyond));
        let unknown_excluded = u64::from(unknown && missing.is_none());
        let named = found.addresses.len() as u64 + u64::from(unknown);
        self.account.targets += named - 1;
        self.account.more_addresses += named - 1;
        self.account.excluded += (found.addresses.len() - allowed.len()) as u64 + unknown_excluded;
        let outcomes = allowed.len() + usize::from(missing.is_some());
        let position = self.checks[id.0].position();
        if outcomes != 1 {
            let outcomes = u32::try_from(outcomes).unwrap_or(u32::MAX);
            self.outcome_counts.push(OutcomeCount { position, outcomes });
        }
        let target = self.checks[id.0].target().clone();
        self.expanding.push_back(AddressTargets::new(target, position, allowed));
        self.blocks.join(position);
        if let Some(reason) = missing {
            self.end(id, PortState::Unchecked, reason, now);
        } else {
            self.checks.remove(id.0);
            self.blocks.leave(position);
        }
        self.expand(now);
    }

    /// Adds the next addresses as targets while there is room.
    pub(super) fn expand(&mut self, now: Instant) {
        while self.may_expand()
            && let Some(each) = self.expanding.front_mut()
        {
            let Some((target, position, address)) = each.next() else {
                self.blocks.leave(each.position());
                self.expanding.pop_front();
                continue;
            };
            self.blocks.join(position);
            let id = CheckId(self.checks.insert(Check::new(target, position, self.retries)));
            self.resolved(id, address, now);
        }
    }

    /// Returns why addresses that are not excluded may be missing; `None` if none are.
    fn missing_reason(&self, found: &Found, port: u16) -> Option<Reason> {
        match found.missing? {
            Missing::Family(family) => {
                (!self.excludes.contains_all(family, port)).then_some(Reason::LookupFailed)
            }
            Missing::NotAsked(_) => None,
            Missing::Beyond => Some(Reason::TooManyAddresses),
        }
    }

    /// Ends a check without an outcome, because its address is excluded.
    pub(super) fn exclude(&mut self, id: CheckId) {
        let check = self.checks.remove(id.0);
        self.blocks.leave(check.position());
        self.outcome_counts.push(OutcomeCount { position: check.position(), outcomes: 0 });
        self.account.excluded += 1;
    }

    /// Returns the addresses that are not excluded.
    fn allowed(&self, addresses: &Arc<[SocketAddr]>, port: u16) -> Arc<[SocketAddr]> {
        if self.excludes.is_empty() {
            return Arc::clone(addresses);
        }
        without(addresses, |address| self.excludes_contain(*address, port))
    }

    fn excludes_contain(&self, address: SocketAddr, port: u16) -> bool {
        !self.excludes.is_empty() && self.excludes.contains(address.ip(), port)
    }
}

/// Returns whether it is 0.0.0.0 or ::, a connection to which reaches this machine.
fn is_unspecified(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_unspecified()
}

/// Returns the addresses without the unwanted ones; copies them only if there are any.
fn without(
    addresses: &Arc<[SocketAddr]>,
    is_unwanted: impl Fn(&SocketAddr) -> bool,
) -> Arc<[SocketAddr]> {
    if !addresses.iter().any(&is_unwanted) {
        return Arc::clone(addresses);
    }
    addresses.iter().filter(|address| !is_unwanted(address)).copied().collect()
}
