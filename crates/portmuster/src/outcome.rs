//! The result of checking a target, and the sums over a run.
//!
//! An [`Outcome`] has the target, the address, and the [`Verdict`]: the [state](PortState) of the port
//! with its [`Reason`] and, if it is open, the [`Service`] with its [details](ServiceDetails). An
//! [`Account`] counts the outcomes of a run.
//!
//! ```
//! use portmuster::{Checker, Config, Outcome, PortState};
//!
//! fn describe(outcome: &Outcome) -> String {
//!     let verdict = &outcome.verdict;
//!     let Some(service) = verdict.service else {
//!         return format!("{}: {} ({})", outcome.target, verdict.state, verdict.reason);
//!     };
//!     let details = verdict.details.as_deref();
//!     let weak = details.map(|details| &details.findings[..]).unwrap_or_default();
//!     format!("{}: {service} with {} weaknesses", outcome.target, weak.len())
//! }
//!
//! let mut outcomes = Checker::new(Config::default()).check([("127.0.0.1", 1)])?;
//! outcomes.by_ref().for_each(|outcome| println!("{}", describe(&outcome)));
//! println!("{} open", outcomes.account().state(PortState::Open));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: a fault of this machine ends in [`PortState::Unchecked`], never in a state that makes
//! a statement about the target.

use std::{net::SocketAddr, time::SystemTime};

use crate::targets::Target;

mod account;
mod certainty;
mod details;
mod evidence;
mod fault;
mod host_key;
mod identification;
mod kex_init;
#[cfg(feature = "host-keys")]
mod known_hosts;
#[cfg(feature = "host-keys")]
mod known_keys;
mod port_state;
mod reason;
mod rule;
mod service;
mod software;
mod syn_loss;
mod telnet_daemon;
mod telnet_option;
mod throttle;
mod verdict;
mod weakness;

pub use account::Account;
pub use certainty::{Certainty, Recheck};
pub(crate) use certainty::{Look, float, sample_size};
pub use details::ServiceDetails;
pub use evidence::{Evidence, Part, Side};
pub use fault::Fault;
pub use host_key::{
    Certificate, HostKey, HostKeyFailure, HostKeys, KeyProof, KeyType, ProofFailure,
    key_fingerprint,
};
pub(crate) use host_key::{KeyRequest, KeyTypes};
pub use identification::Identification;
pub use kex_init::{KexFailure, KexInit, KeyExchange, NameList};
#[cfg(feature = "host-keys")]
pub(crate) use known_hosts::{hashed_host, known_hosts_name};
#[cfg(feature = "host-keys")]
pub use known_keys::{KnownKeys, KnownKeysError};
pub use port_state::PortState;
pub use reason::Reason;
pub use rule::Rule;
pub use service::Service;
pub use software::Software;
pub use syn_loss::{NetworkLoss, SynLoss};
pub use telnet_daemon::{TelnetDaemon, TelnetEncryption};
pub use telnet_option::{TelnetOption, Verb};
pub use throttle::{HostBacklog, PassProgress, Throttle};
pub(crate) use verdict::Conclusion;
pub use verdict::{Times, Verdict};
pub use weakness::Weakness;

/// The result of checking one target. Every target gets exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The target, as the user named it.
    pub target: Target,
    /// The endpoint that the verdict is about. `None` if no connection was tried, and for a name that a
    /// [proxy](crate::config::ConfigBuilder::proxy) looked up; with
    /// [each address](crate::config::Addresses::Each) of a name as a target of its own, it is always set.
    pub endpoint: Option<SocketAddr>,
    /// The verdict. If a name has several addresses and none accepts a connection, this is the least
    /// certain verdict: filtered takes precedence over closed. The verdict on an address that this
    /// machine could not try is used only if there is no other; otherwise such an address turns a
    /// refusal into a [partial](Reason::RefusedInPart) one.
    pub verdict: Verdict,
    /// Number of connections started for this target.
    pub attempts: u32,
    /// The time at which the verdict was reached.
    pub time: SystemTime,
    /// The position of the target in the order of the run, from 0. With
    /// [each address](crate::config::Addresses::Each) of a name, several outcomes share one position.
    pub position: u64,
}

impl Outcome {
    /// Creates an outcome of a target that was not connected to, such as for the tests of a sink. The
    /// other fields are 0 or `None`, and the time is the Unix epoch.
    ///
    /// ```
    /// use portmuster::{Outcome, PortState, Reason, Target, Verdict};
    ///
    /// let verdict = Verdict::new(PortState::Closed, Reason::Refused);
    /// let mut outcome = Outcome::new(Target::new("192.0.2.1", 22), verdict);
    /// outcome.attempts = 1;
    /// assert!(!outcome.is_open());
    /// ```
    #[must_use]
    pub fn new(target: Target, verdict: Verdict) -> Self {
        let time = SystemTime::UNIX_EPOCH;
        Self { target, endpoint: None, verdict, attempts: 0, time, position: 0 }
    }

    /// Returns whether a connection was tried, or would have been to its endpoint.
    pub(crate) fn has_time(&self) -> bool {
        self.endpoint.is_some() || self.attempts > 0
    }

    /// Returns whether a connection was accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.verdict.state == PortState::Open
    }

    /// Returns a lower bound of the memory that the outcome occupies, in bytes.
    pub(crate) fn size(&self) -> usize {
        let details = self.verdict.details.as_ref().map_or(0, |details| details.size());
        size_of::<Self>() + self.verdict.banner.len() + details
    }
}

/// Converts to the tuple that the reference implementation returns: the host as the user named it,
/// the port, and whether the port is open.
impl From<Outcome> for (String, u16, bool) {
    fn from(outcome: Outcome) -> Self {
        let open = outcome.is_open();
        (outcome.target.host.to_string(), outcome.target.port, open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_converts_to_host_port_and_openness() {
        let verdict = Verdict::new(PortState::Open, Reason::Accepted);
        let outcome = Outcome::new(Target::new("192.0.2.1", 22), verdict);
        let answer: (String, u16, bool) = outcome.into();
        assert_eq!(answer, ("192.0.2.1".to_owned(), 22, true));
    }
}
