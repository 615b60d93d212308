//! What an outcome proves about something forbidden.
//!
//! Invariant: only proof of absence counts as [`Presence::Absent`].

use super::{
    forbidden::{Forbidden, needs_host_key, needs_kex_init},
    inconclusive::Inconclusive,
};
use crate::outcome::{Outcome, PortState, Reason, Service, Weakness};

/// What an outcome proves about a service, a weakness or an open port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The target has it.
    Found,
    /// The target does not have it: the connection was refused, or the server sent what excludes it.
    Absent,
    /// The target may have it.
    Inconclusive(Inconclusive),
}

impl Presence {
    /// Returns what the outcome proves about something that can be [forbidden](Forbidden).
    ///
    /// A service is absent if every address refused the connection, or if the server identified
    /// itself as ssh, telnet or another known protocol. Weaknesses of an ssh server are absent only if
    /// it also sent its algorithms. Silence, a login prompt and an unknown protocol prove nothing.
    ///
    /// One outcome can't show that several hosts share a [host key](Forbidden::SharedHostKey): that is known
    /// at the end of a run. Until then a proven key counts as absent.
    ///
    /// ```
    /// use portmuster::{PortState, Service, gates::{Presence}};
    ///
    /// let outcome = portmuster::check_a_port("127.0.0.1", 1);
    /// if outcome.verdict.state == PortState::Closed {
    ///     assert_eq!(Presence::of(Service::Telnet, &outcome), Presence::Absent);
    /// }
    /// ```
    #[must_use]
    pub fn of(item: impl Into<Forbidden>, outcome: &Outcome) -> Self {
        let item = item.into();
        match outcome.verdict.state {
            PortState::Unresolved => Self::Inconclusive(Inconclusive::Unresolved),
            PortState::Filtered => Self::Inconclusive(Inconclusive::Filtered),
            PortState::Unchecked => Self::Inconclusive(Inconclusive::Unchecked),
            PortState::Closed if outcome.verdict.reason == Reason::RefusedInPart => {
                Self::Inconclusive(Inconclusive::RefusedInPart)
            }
            PortState::Closed => Self::Absent,
            PortState::Open => match item {
                Forbidden::Open => Self::Found,
                Forbidden::Service(wanted) => service_in(wanted, outcome),
                Forbidden::Weakness(_) | Forbidden::Group(_) => {
                    weaknesses_in(item.weaknesses(), outcome)
                }
                Forbidden::SharedHostKey => proven_key_in(outcome),
            },
        }
    }
}

/// Returns why the outcome is no verdict on the forbidden items; `None`: it is one.
///
/// Telnet always counts as forbidden, unless `open` alone is forbidden: then an accepted connection
/// is a verdict. A kind that is not in `allowed` takes precedence.
pub(super) fn missing_verdict(
    forbidden: &[Forbidden],
    allowed: &[Inconclusive],
    outcome: &Outcome,
) -> Option<Inconclusive> {
    let is_only_open =
        !forbidden.is_empty() && forbidden.iter().all(|&item| item == Forbidden::Open);
    let telnet = Forbidden::Service(Service::Telnet);
    let items = forbidden.iter().copied().chain((!is_only_open).then_some(telnet));
    // Then each prompt counts as found, which is a verdict.
    let are_prompts_forbidden = forbidden.contains(&Forbidden::Service(Service::TelnetLikely));
    let reasons = items.filter_map(|item| match Presence::of(item, outcome) {
        Presence::Inconclusive(Inconclusive::TelnetLikely) if are_prompts_forbidden => None,
        Presence::Inconclusive(reason) => Some(reason),
        Presence::Found | Presence::Absent => None,
    });
    let mut last = None;
    for reason in reasons {
        if !allowed.contains(&reason) {
            return Some(reason);
        }
        last = Some(reason);
    }
    last
}

/// Returns why a service does not exclude other services; `None`: it excludes them.
fn inconclusive(service: Service) -> Option<Inconclusive> {
    match service {
        _ if service.is_identified() => None,
        Service::Silent => Some(Inconclusive::Silent),
        Service::ClosedEarly => Some(Inconclusive::ClosedEarly),
        Service::Tarpit => Some(Inconclusive::Tarpit),
        Service::TelnetLikely => Some(Inconclusive::TelnetLikely),
        Service::SshBroken => Some(Inconclusive::SshBroken),
        Service::NotProbed => Some(Inconclusive::NotProbed),
        // The others are identified.
        _ => Some(Inconclusive::Unknown),
    }
}

/// Returns whether the service names a behaviour of the server rather than a protocol.
///
/// A server that was seen to behave otherwise does not have this behaviour.
fn is_behaviour(service: Service) -> bool {
    let behaviours = [Service::Silent, Service::ClosedEarly, Service::Tarpit, Service::Unknown];
    behaviours.contains(&service)
}

fn service_in(wanted: Service, outcome: &Outcome) -> Presence {
    let Some(seen) = outcome.verdict.service else {
        return Presence::Inconclusive(Inconclusive::Filtered);
    };
    let is_wanted = seen == wanted || (wanted, seen) == (Service::Ssh, Service::SshThrottled);
    if is_wanted {
        return Presence::Found;
    }
    if is_behaviour(wanted) && seen != Service::NotProbed {
        return Presence::Absent;
    }
    inconclusive(seen).map_or(Presence::Absent, Presence::Inconclusive)
}

/// Returns whether every host key that the server was asked for is known and proven.
fn proven_key_in(outcome: &Outcome) -> Presence {
    let host_keys = outcome.verdict.details.as_deref().map(|details| &details.host_keys);
    let are_proven = host_keys
        .is_some_and(|it| !it.keys.is_empty() && it.missing.is_none() && !it.has_unproven());
    match outcome.verdict.service {
        None => Presence::Inconclusive(Inconclusive::Filtered),
        Some(Service::SshThrottled) => Presence::Inconclusive(Inconclusive::SshThrottled),
        Some(Service::Ssh) if !are_proven => Presence::Inconclusive(Inconclusive::HostKeyMissing),
        Some(seen) => inconclusive(seen).map_or(Presence::Absent, Presence::Inconclusive),
    }
}

fn weaknesses_in(wanted: &[Weakness], outcome: &Outcome) -> Presence {
    let verdict = &outcome.verdict;
    let details = verdict.details.as_deref();
    let findings = details.map(|details| details.findings.as_slice()).unwrap_or_default();
    if findings.iter().any(|finding| wanted.contains(finding)) {
        return Presence::Found;
    }
    // SSH-1 sends no such list either, and has ciphers of its own.
    let has_no_kex_init = details.is_none_or(|details| details.key_exchange.kex_init().is_none());
    let is_key_missing = details.is_some_and(|details| details.host_keys.missing.is_some());
    let has_no_key = details.is_none_or(|details| details.host_keys.keys.is_empty());
    // A group is examined without host keys, too, unless they were asked for in vain.
    let lacks_host_key = is_key_missing && wanted.iter().any(|it| it.is_of_host_key())
        || has_no_key && needs_host_key(wanted);
    match verdict.service {
        None => Presence::Inconclusive(Inconclusive::Filtered),
        Some(Service::SshThrottled) => Presence::Inconclusive(Inconclusive::SshThrottled),
        Some(Service::Ssh) if has_no_kex_init && needs_kex_init(wanted) => {
            Presence::Inconclusive(Inconclusive::KexMissing)
        }
        Some(Service::Ssh) if lacks_host_key => {
            Presence::Inconclusive(Inconclusive::HostKeyMissing)
        }
        Some(seen) => inconclusive(seen).map_or(Presence::Absent, Presence::Inconclusive),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::{
        outcome::{HostKeyFailure, HostKeys, KexFailure, KeyExchange, ServiceDetails, Verdict},
        sink::samples,
        targets::Target,
    };

    fn outcome(state: PortState, service: Option<Service>, details: ServiceDetails) -> Outcome {
        let mut verdict = Verdict::new(state, Reason::Accepted);
        verdict.service = service;
        verdict.details = Some(Box::new(details));
        Outcome::new(Target::new("192.0.2.1", 22), verdict)
    }

    fn open(service: Service) -> Outcome {
        outcome(PortState::Open, Some(service), ServiceDetails::default())
    }

    fn presence(name: &str, outcome: &Outcome) -> Presence {
        let item: Forbidden = name.parse().expect("the name can be forbidden");
        Presence::of(item, outcome)
    }

    #[test]
    fn only_refusal_ssh_or_named_protocol_proves_absence_of_telnet() {
        let state = |state| presence("telnet", &outcome(state, None, ServiceDetails::default()));
        assert_eq!(state(PortState::Closed), Presence::Absent);
        assert_eq!(state(PortState::Unresolved), Presence::Inconclusive(Inconclusive::Unresolved));
        assert_eq!(state(PortState::Filtered), Presence::Inconclusive(Inconclusive::Filtered));
        assert_eq!(state(PortState::Unchecked), Presence::Inconclusive(Inconclusive::Unchecked));

        let service = |service| presence("telnet", &open(service));
        for service in Service::ALL {
            let found = presence("telnet", &open(service));
            let expected = match service {
                Service::Telnet => Presence::Found,
                Service::Ssh | Service::SshThrottled | Service::Other => Presence::Absent,
                seen => Presence::Inconclusive(
                    seen.name().parse().expect("the service is inconclusive"),
                ),
            };
            assert_eq!(found, expected, "{service}");
        }
        assert_eq!(service(Service::Telnet), Presence::Found);
    }

    #[test]
    fn unproven_host_key_is_absent_only_if_a_key_was_received() {
        let details = |keys, missing| ServiceDetails {
            key_exchange: KeyExchange::Offered(Box::default()),
            host_keys: HostKeys { keys, missing, ..HostKeys::default() },
            ..ServiceDetails::default()
        };
        let ssh = |details| outcome(PortState::Open, Some(Service::Ssh), details);
        let presence = |details| presence("host-key-unproven", &ssh(details));
        let key = || vec![samples::plain_key()];
        let unknown = Presence::Inconclusive(Inconclusive::HostKeyMissing);
        assert_eq!(presence(details(vec![], None)), unknown);
        assert_eq!(presence(details(key(), Some(HostKeyFailure::HungUp))), unknown);
        assert_eq!(presence(details(key(), None)), Presence::Absent);
        let findings = vec![Weakness::HostKeyUnproven];
        let unproven = ServiceDetails { findings, ..details(key(), None) };
        assert_eq!(presence(unproven.clone()), Presence::Found);
        assert_eq!(self::presence("weak-host-key", &ssh(unproven)), Presence::Found);
        for group in ["weak", "weak-host-key"] {
            let presence = |details| self::presence(group, &ssh(details));
            assert_eq!(presence(details(vec![], None)), Presence::Absent, "nobody asked for a key");
            let in_vain = details(vec![], Some(HostKeyFailure::NoMethod));
            assert_eq!(presence(in_vain), unknown, "{group}");
        }
    }

    #[test]
    fn shared_key_is_excluded_only_by_proven_keys() {
        let details = |keys, missing| ServiceDetails {
            host_keys: HostKeys { keys, missing, ..HostKeys::default() },
            ..ServiceDetails::default()
        };
        let ssh = |details| outcome(PortState::Open, Some(Service::Ssh), details);
        let presence = |details| presence("shared-host-key", &ssh(details));
        let unknown = Presence::Inconclusive(Inconclusive::HostKeyMissing);
        let key = || vec![samples::plain_key()];
        assert_eq!(presence(details(key(), None)), Presence::Absent);
        assert_eq!(presence(details(key(), Some(HostKeyFailure::HungUp))), unknown);
        assert_eq!(presence(details(vec![], None)), unknown);
        assert_eq!(presence(details(vec![samples::certified_key()], None)), unknown);
        let telnet = self::presence("shared-host-key", &open(Service::Telnet));
        assert_eq!(telnet, Presence::Absent);
    }

    #[test]
    fn service_is_found_by_name_and_throttled_ssh_counts_as_ssh() {
        assert_eq!(presence("ssh", &open(Service::SshThrottled)), Presence::Found);
        assert_eq!(presence("ssh-throttled", &open(Service::Ssh)), Presence::Absent);
        assert_eq!(presence("telnet-likely", &open(Service::TelnetLikely)), Presence::Found);
        assert_eq!(presence("telnet-likely", &open(Service::Telnet)), Presence::Absent);
        assert_eq!(presence("silent", &open(Service::ClosedEarly)), Presence::Absent);
        assert_eq!(presence("unknown", &open(Service::Unknown)), Presence::Found);
        assert_eq!(presence("ssh-broken", &open(Service::SshBroken)), Presence::Found);
        assert_eq!(presence("open", &open(Service::ClosedEarly)), Presence::Found);
    }

    #[test]
    fn findings_are_absent_only_if_the_algorithms_are_known() {
        let ssh = |key_exchange, findings: &[Weakness]| {
            let mut details = ServiceDetails::default();
            (details.key_exchange, details.findings) = (key_exchange, findings.to_vec());
            outcome(PortState::Open, Some(Service::Ssh), details)
        };
        let missing = KeyExchange::Missing(KexFailure::HungUp);
        let offered = KeyExchange::Offered(Box::default());
        let cbc = ssh(offered.clone(), &[Weakness::Cbc]);
        assert_eq!(presence("weak-cipher", &cbc), Presence::Found);
        assert_eq!(presence("weak", &cbc), Presence::Found);
        assert_eq!(presence("weak-kex", &cbc), Presence::Absent);
        assert_eq!(presence("weak-kex", &ssh(offered, &[])), Presence::Absent);
        assert_eq!(
            presence("weak-kex", &ssh(missing.clone(), &[])),
            Presence::Inconclusive(Inconclusive::KexMissing)
        );
        assert_eq!(presence("ssh-1", &ssh(missing.clone(), &[])), Presence::Absent);
        let old = ssh(KeyExchange::NotAsked, &[Weakness::Ssh1]);
        assert_eq!(presence("weak-cipher", &old), Presence::Inconclusive(Inconclusive::KexMissing));
        assert_eq!(presence("ssh-1", &old), Presence::Found);
        assert_eq!(presence("weak", &ssh(missing, &[Weakness::Ssh1])), Presence::Found);
        assert_eq!(
            presence("cbc", &open(Service::SshThrottled)),
            Presence::Inconclusive(Inconclusive::SshThrottled)
        );
        assert_eq!(
            presence("cbc", &open(Service::Silent)),
            Presence::Inconclusive(Inconclusive::Silent)
        );
        assert_eq!(presence("cbc", &open(Service::Telnet)), Presence::Absent);
    }

    /// Returns whether the outcome is no verdict if these are forbidden.
    fn lacks_verdict(names: &[&str], outcome: &Outcome) -> bool {
        let forbidden = names.iter().map(|name| name.parse().expect("the name can be forbidden"));
        missing_verdict(&forbidden.collect::<Vec<_>>(), &[], outcome).is_some()
    }

    #[test]
    fn every_verdict_proves_presence_or_absence_of_telnet() {
        for names in [&[][..], &["telnet"], &["ssh"], &["open", "ssh-1"], &["weak"], &["silent"]] {
            for service in Service::ALL {
                let is_missing = match service {
                    Service::TelnetLikely
                    | Service::Tarpit
                    | Service::Silent
                    | Service::ClosedEarly
                    | Service::SshBroken
                    | Service::Unknown
                    | Service::NotProbed => true,
                    Service::SshThrottled => {
                        names.iter().any(|name| ["ssh-1", "weak"].contains(name))
                    }
                    // Its algorithms were not requested.
                    Service::Ssh => names.contains(&"weak"),
                    _ => false,
                };
                assert_eq!(
                    lacks_verdict(names, &open(service)),
                    is_missing,
                    "{names:?}: {service}"
                );
            }
            for state in PortState::ALL.into_iter().filter(|&state| state != PortState::Open) {
                let is_missing = state != PortState::Closed;
                let outcome = outcome(state, None, ServiceDetails::default());
                assert_eq!(lacks_verdict(names, &outcome), is_missing, "{names:?}: {state}");
            }
        }
    }

    #[test]
    fn connection_is_a_verdict_if_only_open_is_forbidden() {
        for service in Service::ALL {
            assert!(!lacks_verdict(&["open"], &open(service)), "{service}");
        }
        let filtered = outcome(PortState::Filtered, None, ServiceDetails::default());
        assert!(lacks_verdict(&["open"], &filtered));
    }

    #[test]
    fn login_prompt_is_a_verdict_if_login_prompts_are_forbidden() {
        let prompt = open(Service::TelnetLikely);
        for (names, is_missing) in [
            (&["telnet-likely"][..], false),
            (&["telnet", "telnet-likely"], false),
            (&["telnet"], true),
            (&["open", "telnet"], true),
        ] {
            assert_eq!(lacks_verdict(names, &prompt), is_missing, "{names:?}");
        }
        assert!(lacks_verdict(&["telnet-likely"], &open(Service::Silent)));
    }

    #[test]
    fn ambiguous_service_is_inconclusive_about_ssh() {
        for (service, reason) in [
            (Service::Unknown, Inconclusive::Unknown),
            (Service::TelnetLikely, Inconclusive::TelnetLikely),
            (Service::SshBroken, Inconclusive::SshBroken),
        ] {
            for name in ["ssh", "telnet", "weak"] {
                assert_eq!(
                    presence(name, &open(service)),
                    Presence::Inconclusive(reason),
                    "{name}: {service}"
                );
            }
        }
    }

    #[test]
    fn allowed_kind_is_reported_only_if_no_other_kind_applies() {
        let forbidden =
            ["telnet", "weak"].map(|name| name.parse().expect("the name can be forbidden"));
        let throttled = open(Service::SshThrottled);
        for (allowed, expected) in [
            (&[][..], Inconclusive::SshThrottled),
            (&[Inconclusive::SshThrottled], Inconclusive::SshThrottled),
        ] {
            assert_eq!(missing_verdict(&forbidden, allowed, &throttled), Some(expected));
        }
    }

    #[test]
    fn missing_algorithms_matter_only_for_findings_that_depend_on_them() {
        let key_exchange = KeyExchange::Missing(KexFailure::HungUp);
        let details = ServiceDetails { key_exchange, ..ServiceDetails::default() };
        let ssh = outcome(PortState::Open, Some(Service::Ssh), details);
        for (names, is_missing) in
            [(&[][..], false), (&["telnet"], false), (&["ssh-1"], false), (&["cbc"], true)]
        {
            assert_eq!(lacks_verdict(names, &ssh), is_missing, "{names:?}");
        }
    }
}
