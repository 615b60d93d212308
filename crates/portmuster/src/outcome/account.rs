//! The sums over the outcomes of a run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    fault::Fault,
    port_state::PortState,
    service::Service,
    syn_loss::SynLoss,
    throttle::{HostBacklog, PassProgress, Throttle},
    verdict::Verdict,
    weakness::Weakness,
};

/// The sums over a run:
/// `targets = open + closed + filtered + unresolved + unchecked + excluded + left`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Targets that the scheduler has taken so far. The input queue may hold a few more.
    pub targets: u64,
    /// Number of outcomes by state, in the order of [`PortState::ALL`].
    states: [u64; PortState::ALL.len()],
    /// Number of open ports by service, in the order of [`Service::ALL`].
    services: [u64; Service::ALL.len()],
    /// Number of open ports by weakness of their ssh server, in the order of [`Weakness::ALL`].
    #[serde(default)]
    findings: [u64; Weakness::ALL.len()],
    /// Targets all of whose addresses are excluded.
    pub excluded: u64,
    /// Targets that were added because a name has more than one address.
    pub more_addresses: u64,
    /// Open ports that were found only by a retry. A high number means that the rate is too high for
    /// the network.
    pub found_on_retry: u64,
    /// SYNs to endpoints that answered one, by accepting or refusing the connection.
    pub syns: u64,
    /// How many of these got no answer, so that the system repeated them. Late answers and packets lost
    /// in either direction look the same.
    pub syns_lost: u64,
    /// Number of times that the run slowed down because retries found ports that were missed before.
    pub slowed: u64,
    /// Number of faults of this machine.
    pub faults: u64,
    /// The latest of these faults.
    pub last_fault: Option<Fault>,
    /// The lowest limit of attempts in flight during the run, after faults or packet loss.
    pub in_flight_least: usize,
    /// The current limit of attempts in flight. It grows again while there are no faults and no loss.
    pub in_flight_most: usize,
    /// The limit that currently determines the pace of the run.
    #[serde(skip)]
    pub throttle: Option<Throttle>,
    /// Targets that wait for their hosts, counted within the last second; `None` if there are none.
    #[serde(skip)]
    pub backlog: Option<HostBacklog>,
    /// How far the run is with the targets that have not answered.
    #[serde(skip)]
    pub passes: PassProgress,
    /// Duration of the run so far.
    pub elapsed: Duration,
}

/// Upper bound of every count. No run reaches it.
const COUNT_MAX: u64 = 1 << 56;
/// Upper bound of the duration of a run: a thousand years.
const ELAPSED_MAX: Duration = Duration::from_hours(1000 * 366 * 24);

impl Account {
    /// Returns whether a run can have these sums. An account that was read from a file may hold any
    /// numbers; the sums of a sound one do not overflow.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let single = [
            self.targets,
            self.excluded,
            self.more_addresses,
            self.found_on_retry,
            self.syns,
            self.syns_lost,
            self.slowed,
            self.faults,
        ];
        let counts = single.iter().chain(&self.states).chain(&self.services).chain(&self.findings);
        counts.into_iter().all(|&count| count <= COUNT_MAX)
            && self.elapsed <= ELAPSED_MAX
            && self.services.iter().sum::<u64>() <= self.state(PortState::Open)
            && self.findings.iter().all(|&count| count <= self.state(PortState::Open))
            && self.settled() + self.excluded <= self.targets
    }

    /// Adds one outcome.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.states[verdict.state as usize] += 1;
        if let Some(service) = verdict.service {
            self.services[service as usize] += 1;
        }
        for &weakness in verdict.findings() {
            self.findings[weakness as usize] += 1;
        }
    }

    /// Removes one outcome, because its target will be checked again.
    pub(crate) fn take_back(&mut self, verdict: &Verdict) {
        let state = &mut self.states[verdict.state as usize];
        *state = state.saturating_sub(1);
        if let Some(service) = verdict.service {
            let service = &mut self.services[service as usize];
            *service = service.saturating_sub(1);
        }
        for &weakness in verdict.findings() {
            let count = &mut self.findings[weakness as usize];
            *count = count.saturating_sub(1);
        }
    }

    /// Returns the sums over `earlier` and this run, which resumed it.
    ///
    /// # Panics
    /// A sum overflows, which those of [sound](Self::is_sound) accounts never do.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        if earlier == Self::default() {
            return self;
        }
        Self {
            targets: earlier.targets + self.targets,
            states: std::array::from_fn(|state| earlier.states[state] + self.states[state]),
            services: std::array::from_fn(|it| earlier.services[it] + self.services[it]),
            findings: std::array::from_fn(|it| earlier.findings[it] + self.findings[it]),
            excluded: earlier.excluded + self.excluded,
            more_addresses: earlier.more_addresses + self.more_addresses,
            found_on_retry: earlier.found_on_retry + self.found_on_retry,
            syns: earlier.syns + self.syns,
            syns_lost: earlier.syns_lost + self.syns_lost,
            slowed: earlier.slowed + self.slowed,
            faults: earlier.faults + self.faults,
            last_fault: self.last_fault.or(earlier.last_fault),
            in_flight_least: self.in_flight_least.min(earlier.in_flight_least),
            in_flight_most: self.in_flight_most,
            throttle: self.throttle,
            backlog: self.backlog,
            passes: self.passes,
            elapsed: earlier.elapsed + self.elapsed,
        }
    }

    /// Returns the share of SYNs that were lost, of those to endpoints that have answered; `None` if none
    /// has.
    #[must_use]
    pub fn syn_loss(&self) -> Option<f64> {
        SynLoss { sent: self.syns, lost: self.syns_lost }.share()
    }

    /// Returns the number of outcomes in this state.
    #[must_use]
    pub fn state(&self, state: PortState) -> u64 {
        self.states[state as usize]
    }

    /// Returns the number of open ports with this service.
    #[must_use]
    pub fn service(&self, service: Service) -> u64 {
        self.services[service as usize]
    }

    /// Returns the number of open ports whose ssh server has this weakness.
    #[must_use]
    pub fn findings(&self, weakness: Weakness) -> u64 {
        self.findings[weakness as usize]
    }

    /// Returns the number of targets that have an outcome.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.states.iter().sum()
    }

    /// Returns the number of targets that were taken and have no outcome: 0, unless the run was
    /// stopped.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.targets.saturating_sub(self.settled() + self.excluded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::reason::Reason;

    #[test]
    fn account_adds_and_takes_back_outcomes() {
        let mut account = Account { targets: 3, ..Account::default() };
        account.add(&Verdict::unconnected(PortState::Closed, Reason::Refused, Duration::ZERO));
        account.add(&Verdict::unconnected(PortState::Filtered, Reason::NoAnswer, Duration::ZERO));
        assert_eq!((account.settled(), account.left()), (2, 1));
        assert_eq!(account.state(PortState::Closed), 1);
        let earlier = Account { targets: 2, excluded: 1, ..account };
        let whole = account.after(earlier);
        assert_eq!((whole.targets, whole.settled(), whole.left()), (5, 4, 0));
        let closed = Verdict::unconnected(PortState::Closed, Reason::Refused, Duration::ZERO);
        account.take_back(&closed);
        assert_eq!((account.state(PortState::Closed), account.left()), (0, 2));
    }

    #[test]
    fn account_with_impossible_counts_is_not_sound() {
        assert!(Account::default().is_sound());
        let forged: [fn(&mut Account); 8] = [
            |account| account.targets = u64::MAX,
            |account| account.states[1] = u64::MAX,
            |account| account.states[1] = 1,
            |account| account.services[1] = 1,
            |account| account.excluded = 1,
            |account| account.more_addresses = u64::MAX,
            |account| account.faults = u64::MAX,
            |account| account.elapsed = Duration::MAX,
        ];
        for (index, forge) in forged.into_iter().enumerate() {
            let mut account = Account::default();
            forge(&mut account);
            assert!(!account.is_sound(), "{index}");
        }
    }
}
