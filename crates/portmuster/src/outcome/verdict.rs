//! The result of one attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    details::ServiceDetails,
    fault::Fault,
    host_key::{HostKeyFailure, KeyTypes},
    kex_init::{KexFailure, KeyExchange},
    port_state::PortState,
    reason::Reason,
    rule::Rule,
    service::Service,
    software::Software,
    telnet_daemon::TelnetEncryption,
    weakness::Weakness,
};

/// Durations within an attempt, each measured from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Times {
    /// Time until the connection was accepted; `None` if it was not.
    pub connect: Option<Duration>,
    /// Time until the first byte arrived; `None` if none did.
    pub first_byte: Option<Duration>,
    /// Time until the verdict was reached.
    pub total: Duration,
}

/// The result of one attempt at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The state of the port.
    pub state: PortState,
    /// The reason for the state.
    pub reason: Reason,
    /// The service that the bytes prove; `None` unless the port is open.
    pub service: Option<Service>,
    /// The rule that decided on the service; `None` unless the port is open.
    pub rule: Option<Rule>,
    /// The first bytes of the greeting, at most 1,024. They are untrusted and unescaped. For telnet,
    /// this is the text without telnet commands and terminal control sequences.
    pub banner: Vec<u8>,
    /// Further information from the bytes; `None` if there is none.
    // Boxed, because most verdicts are on ports that are not open.
    pub details: Option<Box<ServiceDetails>>,
    /// How long the attempt took.
    pub times: Times,
    /// How many SYNs got no answer before the one that did: as many as the system says it has repeated,
    /// or, of a refused connection, would have by that time. 0 if nothing answered.
    pub syns_lost: u8,
}

impl Verdict {
    /// Creates a verdict about a port without information about its service. All times are zero or
    /// `None`.
    #[must_use]
    pub fn new(state: PortState, reason: Reason) -> Self {
        Self {
            state,
            reason,
            service: None,
            rule: None,
            banner: Vec::new(),
            details: None,
            times: Times::default(),
            syns_lost: 0,
        }
    }

    /// Returns the verdict of an attempt that got no connection.
    pub(crate) fn unconnected(state: PortState, reason: Reason, total: Duration) -> Self {
        let times = Times { total, ..Times::default() };
        Self { times, ..Self::new(state, reason) }
    }

    /// Returns the verdict on a server that accepted and closed the connection without sending data.
    pub(crate) fn hung_up(times: Times) -> Self {
        Self {
            service: Some(Service::ClosedEarly),
            rule: Some(Rule::HungUp),
            times,
            ..Self::new(PortState::Open, Reason::Accepted)
        }
    }

    /// Returns whether the endpoint has answered: it accepted the connection, or refused it by a reset or
    /// as the proxy reports.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self.reason, Reason::Accepted | Reason::Refused | Reason::RefusedToProxy)
    }

    /// Returns whether it says only that nothing answered, or that ICMP refused the connection.
    pub(crate) fn is_unanswered(&self) -> bool {
        let Self { state, service, rule, banner, details, times, .. } = self;
        *state == PortState::Filtered
            && (service, rule, details) == (&None, &None, &None)
            && banner.is_empty()
            && (times.connect, times.first_byte) == (None, None)
    }

    /// Returns how strongly the verdict indicates ssh or telnet, to choose between two verdicts on one
    /// endpoint: a later attempt never weakens an earlier one.
    pub(crate) fn strength(&self) -> u8 {
        let details = self.details.as_ref();
        let lacks_kex_init =
            details.is_some_and(|details| matches!(details.key_exchange, KeyExchange::Missing(_)));
        let lacks_key = details.is_some_and(|details| details.host_keys.missing.is_some());
        match self.service {
            Some(Service::Ssh) if !lacks_kex_init && !lacks_key => 12,
            Some(Service::Ssh) if !lacks_kex_init => 11,
            Some(service) => service.strength(),
            None => 0,
        }
    }

    /// Returns whether the server may be waiting for an ssh client to speak first: it reacted only to
    /// an empty line, or to nothing, and showed neither ssh nor telnet.
    pub(crate) fn may_await_client(&self) -> bool {
        let answers = || self.details.as_ref().is_some_and(|details| details.answers_empty_line);
        match self.service {
            Some(Service::Silent) => true,
            Some(Service::Other | Service::Unknown | Service::ClosedEarly) => answers(),
            _ => false,
        }
    }

    /// Returns the weaknesses of the ssh or telnet server; none of any other server.
    #[must_use]
    pub fn findings(&self) -> &[Weakness] {
        self.details.as_ref().map_or(&[], |details| &details.findings)
    }

    /// Returns the software of the server; `None` if no fingerprint names it.
    #[must_use]
    pub fn software(&self) -> Option<&Software> {
        self.details.as_ref().and_then(|details| details.software.as_deref())
    }

    /// Returns whether the telnet server offers to encrypt the session; `None`: it is another server.
    #[must_use]
    pub fn telnet_encryption(&self) -> Option<TelnetEncryption> {
        /// The options `encrypt` (RFC 2946) and `start-tls`.
        const ENCRYPTION: [u8; 2] = [38, 46];

        if self.service != Some(Service::Telnet) {
            return None;
        }
        let mut options = self.details.iter().flat_map(|details| &details.options);
        let is_offered = options.any(|option| ENCRYPTION.contains(&option.number));
        Some(if is_offered { TelnetEncryption::Offered } else { TelnetEncryption::No })
    }

    /// Adds the host keys of the verdict of another connection to the same endpoint.
    pub(crate) fn add_host_keys(&mut self, other: Self) {
        let Some(details) = &mut self.details else { return };
        details.host_keys.merge(other.details.map(|details| details.host_keys).unwrap_or_default());
        for (weakness, has) in [
            (Weakness::HostKeyUnproven, details.host_keys.has_unproven()),
            (Weakness::HostKeyShort, details.host_keys.has_short()),
        ] {
            if has && !details.findings.contains(&weakness) {
                details.findings.push(weakness);
                details.findings.sort_unstable();
            }
        }
    }

    /// Adds weaknesses that the server's bytes alone do not show, in the order of [`Weakness::ALL`].
    #[cfg(feature = "host-keys")]
    pub(crate) fn add_findings(&mut self, findings: &[Weakness]) {
        if let Some(details) = self.details.as_mut().filter(|_| !findings.is_empty()) {
            details.findings.extend_from_slice(findings);
            details.findings.sort_unstable();
        }
    }

    /// Returns the types of host keys that the server offers and that are still to be asked for.
    pub(crate) fn other_host_keys(&self) -> KeyTypes {
        self.details.as_ref().map_or_else(KeyTypes::default, |details| details.host_keys.others)
    }

    /// Returns whether the empty line that a silent server was sent may have prevented its
    /// `SSH_MSG_KEXINIT`, or its host key.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.details.as_ref().is_some_and(|details| {
            details.key_exchange == KeyExchange::Missing(KexFailure::Spoiled)
                || details.host_keys.missing == Some(HostKeyFailure::Spoiled)
        })
    }
}

/// The result of an attempt: a verdict, or a fault of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Conclusion {
    /// A statement about the endpoint.
    Verdict(Verdict),
    /// A shortage of this machine; nothing is known about the endpoint.
    Fault(Fault),
}

impl Conclusion {
    /// Returns whether the error number says that the connection was refused.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Verdict(Verdict { reason: Reason::Refused, .. }))
    }

    /// Changes a refusal to "filtered", because ICMP reported it and not a TCP reset.
    pub(crate) fn refused_by_icmp(&mut self) {
        if let Self::Verdict(verdict) = self
            && verdict.reason == Reason::Refused
        {
            (verdict.state, verdict.reason) = (PortState::Filtered, Reason::IcmpPortUnreachable);
        }
    }

    /// No worker came to it.
    pub(crate) fn is_without_worker(&self) -> bool {
        match self {
            Self::Verdict(verdict) => {
                matches!(verdict.reason, Reason::NoWorkers | Reason::KillsWorkers)
            }
            Self::Fault(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Millions of verdicts on closed ports are in memory at once.
    #[test]
    fn verdict_fits_in_104_bytes() {
        assert!(size_of::<Verdict>() <= 104, "{}", size_of::<Verdict>());
    }
}
