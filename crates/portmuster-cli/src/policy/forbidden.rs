//! What `--forbid` accepts, and what an outcome proves about it.
//!
//! Invariant: only proof of absence counts as [`Presence::Absent`].

use portmuster::{Outcome, PortState, Reason, Service, config::Probing, outcome::Weakness};

use super::inconclusive::Inconclusive;

/// Groups of findings that one name forbids.
const GROUPS: [(&str, &[Weakness]); 5] = [
    ("weak", &Weakness::ALL),
    ("weak-kex", &[Weakness::Group1Sha1, Weakness::Sha1Kex]),
    ("weak-host-key", &[Weakness::SshDss, Weakness::Sha1Signatures]),
    (
        "weak-cipher",
        &[
            Weakness::NoEncryption,
            Weakness::Rc4,
            Weakness::Des,
            Weakness::TripleDes,
            Weakness::ShortBlock,
            Weakness::Cbc,
        ],
    ),
    ("weak-mac", &[Weakness::NoIntegrity, Weakness::Md5]),
];

/// A port state, service or finding that a run must not find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forbidden {
    name: &'static str,
    subject: Subject,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Open,
    Service(Service),
    /// At least one of these.
    Findings(Vec<Weakness>),
}

/// What an outcome proves about something forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Found,
    Absent,
    Inconclusive(Inconclusive),
}

impl Forbidden {
    /// Returns the item that `--forbid` calls by this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|item| item.name == name)
    }

    /// Returns everything that can be forbidden.
    pub(crate) fn all() -> Vec<Self> {
        let open = [Self { name: "open", subject: Subject::Open }];
        // `open` covers targets that are not probed.
        let services = Service::ALL.into_iter().filter(|&service| service != Service::NotProbed);
        let services = services.map(service);
        let findings = Weakness::ALL.into_iter().map(|weakness| Self {
            name: weakness.name(),
            subject: Subject::Findings(vec![weakness]),
        });
        let groups =
            GROUPS.map(|(name, list)| Self { name, subject: Subject::Findings(list.to_vec()) });
        open.into_iter().chain(services).chain(findings).chain(groups).collect()
    }

    /// Returns the name on the command line and in summaries.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the flag that keeps a run with this probing from detecting it.
    pub(crate) fn hidden_by(&self, probing: Probing) -> Option<&'static str> {
        match (probing, &self.subject) {
            (_, Subject::Open) => None,
            (Probing::ConnectOnly, _) => Some("--no-probe"),
            (Probing::Greeting, Subject::Findings(list)) if needs_kex_init(list) => {
                Some("--no-kex")
            }
            _ => None,
        }
    }

    /// Returns what the outcome proves.
    pub(crate) fn presence_in(&self, outcome: &Outcome) -> Presence {
        match outcome.verdict.state {
            PortState::Unresolved => Presence::Inconclusive(Inconclusive::Unresolved),
            PortState::Filtered => Presence::Inconclusive(Inconclusive::Filtered),
            PortState::Unchecked => Presence::Inconclusive(Inconclusive::Unchecked),
            PortState::Closed if outcome.verdict.reason == Reason::RefusedInPart => {
                Presence::Inconclusive(Inconclusive::RefusedInPart)
            }
            PortState::Closed => Presence::Absent,
            PortState::Open => match &self.subject {
                Subject::Open => Presence::Found,
                Subject::Service(wanted) => service_in(*wanted, outcome),
                Subject::Findings(wanted) => findings_in(wanted, outcome),
            },
        }
    }
}

/// Returns why the outcome is no verdict on the forbidden items; `None`: it is one.
///
/// Telnet always counts as forbidden, unless `open` alone is forbidden: then an accepted connection
/// is a verdict. A kind that is not in `allowed` takes precedence.
pub(crate) fn missing_verdict(
    forbidden: &[Forbidden],
    allowed: &[Inconclusive],
    outcome: &Outcome,
) -> Option<Inconclusive> {
    let is_only_open =
        !forbidden.is_empty() && forbidden.iter().all(|item| item.subject == Subject::Open);
    let telnet = service(Service::Telnet);
    let items = forbidden.iter().chain((!is_only_open).then_some(&telnet));
    // Then each prompt counts as found, which is a verdict.
    let are_prompts_forbidden = forbidden.contains(&service(Service::TelnetLikely));
    let reasons = items.filter_map(|item| match item.presence_in(outcome) {
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

fn service(service: Service) -> Forbidden {
    Forbidden { name: service.name(), subject: Subject::Service(service) }
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

fn findings_in(wanted: &[Weakness], outcome: &Outcome) -> Presence {
    let verdict = &outcome.verdict;
    let details = verdict.details.as_deref();
    let findings = details.map(|details| details.findings.as_slice()).unwrap_or_default();
    if findings.iter().any(|finding| wanted.contains(finding)) {
        return Presence::Found;
    }
    // SSH-1 sends no such list either, and has ciphers of its own.
    let has_no_kex_init = details.is_none_or(|details| details.key_exchange.kex_init().is_none());
    match verdict.service {
        None => Presence::Inconclusive(Inconclusive::Filtered),
        Some(Service::SshThrottled) => Presence::Inconclusive(Inconclusive::SshThrottled),
        Some(Service::Ssh) if has_no_kex_init && needs_kex_init(wanted) => {
            Presence::Inconclusive(Inconclusive::KexMissing)
        }
        Some(seen) => inconclusive(seen).map_or(Presence::Absent, Presence::Inconclusive),
    }
}

/// Returns whether detecting all of these findings requires the algorithms of the server.
fn needs_kex_init(findings: &[Weakness]) -> bool {
    findings.iter().any(|&finding| finding != Weakness::Ssh1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use portmuster::{
        Target, Verdict,
        outcome::{KexFailure, KeyExchange, ServiceDetails},
    };

    use super::*;

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
        Forbidden::named(name).expect("the name can be forbidden").presence_in(outcome)
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = Forbidden::all().iter().map(Forbidden::name).collect();
        assert_eq!(names.len(), Forbidden::all().len());
        assert_eq!(Forbidden::named("not-probed"), None);
    }

    #[test]
    fn groups_cover_every_weakness_of_an_algorithm_list() {
        let covered: BTreeSet<_> =
            GROUPS[1..].iter().flat_map(|(_, list)| list.iter().copied()).collect();
        let others = Weakness::ALL.into_iter().filter(|weakness| !covered.contains(weakness));
        assert_eq!(others.collect::<Vec<_>>(), [Weakness::Ssh1, Weakness::Terrapin]);
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
                    Inconclusive::named(seen.name()).expect("the service is inconclusive"),
                ),
            };
            assert_eq!(found, expected, "{service}");
        }
        assert_eq!(service(Service::Telnet), Presence::Found);
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

    /// Whether the outcome is no verdict if these are forbidden.
    fn lacks_verdict(names: &[&str], outcome: &Outcome) -> bool {
        let forbidden =
            names.iter().map(|name| Forbidden::named(name).expect("the name can be forbidden"));
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
        let forbidden = ["telnet", "weak"]
            .map(|name| Forbidden::named(name).expect("the name can be forbidden"));
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
        let mut details = ServiceDetails::default();
        details.key_exchange = key_exchange;
        let ssh = outcome(PortState::Open, Some(Service::Ssh), details);
        for (names, is_missing) in
            [(&[][..], false), (&["telnet"], false), (&["ssh-1"], false), (&["cbc"], true)]
        {
            assert_eq!(lacks_verdict(names, &ssh), is_missing, "{names:?}");
        }
    }

    #[test]
    fn flags_that_limit_probing_hide_what_they_skip() {
        let hidden = |name, probing| {
            Forbidden::named(name).expect("the name can be forbidden").hidden_by(probing)
        };
        assert_eq!(hidden("telnet", Probing::ConnectOnly), Some("--no-probe"));
        assert_eq!(hidden("open", Probing::ConnectOnly), None);
        assert_eq!(hidden("weak-kex", Probing::Greeting), Some("--no-kex"));
        assert_eq!(hidden("weak", Probing::Greeting), Some("--no-kex"));
        assert_eq!(hidden("ssh-1", Probing::Greeting), None);
        assert_eq!(hidden("telnet", Probing::Greeting), None);
        assert_eq!(hidden("weak", Probing::KeyExchange), None);
    }
}
