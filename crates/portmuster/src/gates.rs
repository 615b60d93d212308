//! Gates: conditions on what a run finds, and what counts as proof.
//!
//! [`Presence::of`] says what one outcome proves about a service or a weakness. [`Gates`] count this
//! over a run, and [`Gates::report`] says whether the run passes. This is the gate "no telnet left":
//!
//! ```
//! use portmuster::{Checker, Config, Service, gates::{Gates, RunTotals}};
//!
//! let targets = [("127.0.0.1", 1), ("127.0.0.1", 2)];
//! let total = targets.len();
//! let mut gates = Gates::new([Service::Telnet]).requiring_verdicts([]);
//! let mut outcomes = Checker::new(Config::default()).check(targets)?;
//! for outcome in &mut outcomes {
//!     gates.add(&outcome);
//! }
//! let report = gates.report(&RunTotals::new(outcomes.account(), Some(total as u128)));
//! assert!(!report.is_violated(), "telnet is left, or may be: {report:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Proof is a refused connection, ssh, telnet or another identified protocol. Silence, a login prompt
//! and an unknown protocol are no proof, and neither is a target that was excluded or not reached:
//! if [verdicts are required](Gates::requiring_verdicts), each of these violates the gates. A run in
//! which no connection was accepted or refused violates them too. If silent targets are allowed, how many
//! of them were missed [can be limited](Gates::limiting_missed).
//!
//! Invariant: only proof of absence counts as absent. What is not known is counted as such.

use thiserror::Error;

use crate::{config::MaxMissed, outcome::Outcome};

mod forbidden;
mod inconclusive;
mod presence;
mod report;
mod sample;
mod shared_keys;
mod state;

pub use self::{
    forbidden::{Forbidden, UnknownForbidden, WeaknessGroup},
    inconclusive::Inconclusive,
    presence::Presence,
    report::{GateReport, ItemReport, MissingVerdicts, RunTotals},
    sample::TargetSample,
    shared_keys::count_hosts,
    state::GateState,
};

/// What a run must not find, and what it has found so far.
///
/// The default forbids nothing; it suits gates that only [require verdicts](Self::requiring_verdicts).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gates {
    forbidden: Vec<Forbidden>,
    /// The kinds of targets that may lack a verdict; `None`: no verdict is required.
    allowed: Option<Vec<Inconclusive>>,
    /// The largest share of silent targets that may be missed; `None`: any.
    max_missed: Option<MaxMissed>,
    state: GateState,
}

/// The error for a [state](GateState) of other gates, or of another number of outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the state belongs to other gates, or to another number of outcomes")]
#[non_exhaustive]
pub struct GateMismatch;

impl Gates {
    /// Creates gates that forbid these items. Repeated items count once.
    pub fn new(forbidden: impl IntoIterator<Item = impl Into<Forbidden>>) -> Self {
        let mut unique = Vec::new();
        for item in forbidden.into_iter().map(Into::into) {
            if !unique.contains(&item) {
                unique.push(item);
            }
        }
        let state = GateState::new(unique.len());
        Self { forbidden: unique, allowed: None, max_missed: None, state }
    }

    /// Requires a verdict on each target, except for targets of the allowed kinds.
    ///
    /// A target has a verdict if it is proven whether it offers telnet and each forbidden item. If
    /// [open ports](Forbidden::Open) alone are forbidden, an accepted connection is a verdict.
    #[must_use]
    pub fn requiring_verdicts(self, allowed: impl IntoIterator<Item = Inconclusive>) -> Self {
        Self { allowed: Some(allowed.into_iter().collect()), ..self }
    }

    /// Requires that at most this share of the targets that did not answer was missed, with the
    /// [confidence](crate::outcome::Certainty::CONFIDENCE) of the run's certainty.
    ///
    /// The run must [measure it](crate::config::ConfigBuilder::max_missed). A run without silent targets
    /// has missed none.
    #[must_use]
    pub fn limiting_missed(self, max_missed: MaxMissed) -> Self {
        Self { max_missed: Some(max_missed), ..self }
    }

    /// Continues from the state of an earlier process, which had examined `outcomes` outcomes.
    ///
    /// # Errors
    /// The state belongs to other gates or to another number of outcomes.
    pub fn resuming(self, state: GateState, outcomes: u64) -> Result<Self, GateMismatch> {
        if !state.fits(self.forbidden.len(), outcomes) {
            return Err(GateMismatch);
        }
        Ok(Self { state, ..self })
    }

    /// Returns the state, from which a later process can [resume](Self::resuming).
    #[must_use]
    pub fn state(&self) -> &GateState {
        &self.state
    }

    /// Examines one outcome. Each outcome of the run must be examined once.
    pub fn add(&mut self, outcome: &Outcome) {
        let shared = self.forbidden.contains(&Forbidden::SharedHostKey).then(|| {
            let presence = Presence::of(Forbidden::SharedHostKey, outcome);
            let is_compared = self.state.keys.add(outcome, presence == Presence::Absent);
            let uncompared = Presence::Inconclusive(Inconclusive::HostKeyMissing);
            if is_compared { presence } else { uncompared }
        });
        let presences = self.forbidden.iter().map(|&item| match (item, shared) {
            (Forbidden::SharedHostKey, Some(presence)) => presence,
            _ => Presence::of(item, outcome),
        });
        let missing = self.allowed.is_some().then(|| self.missing_verdict(outcome)).flatten();
        self.state.add(outcome, presences, missing);
    }

    /// Returns why the outcome is no verdict; `None`: it is one.
    ///
    /// If several kinds apply, one that is not allowed takes precedence.
    #[must_use]
    pub fn missing_verdict(&self, outcome: &Outcome) -> Option<Inconclusive> {
        let allowed = self.allowed.as_deref().unwrap_or_default();
        presence::missing_verdict(&self.forbidden, allowed, outcome)
    }

    /// Returns what was found and what is proven, for a run with these totals.
    #[must_use]
    pub fn report(&self, totals: &RunTotals) -> GateReport {
        let exceeded = self.max_missed.filter(|&share| !totals.is_within(share));
        let report = report::report(&self.forbidden, self.allowed.as_deref(), &self.state, totals);
        GateReport { exceeded_max_missed: exceeded, ..report }
    }
}

#[cfg(test)]
mod tests;
