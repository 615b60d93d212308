//! What can be forbidden, and what an outcome says about it. Pure.
//!
//! Invariant: what does not prove that a thing is absent never counts as its absence.

use portmuster::{Outcome, PortState, Probing, Reason, Service, Weakness};

use super::Doubt;

/// Findings that can be forbidden together.
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

/// Something that must not be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forbidden {
    name: &'static str,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Open,
    Service(Service),
    /// Any of them.
    Findings(Vec<Weakness>),
}

/// What an outcome says about a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Found,
    Absent,
    Unknown(Doubt),
}

impl Forbidden {
    /// The thing of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|thing| thing.name == name)
    }

    /// Everything that can be forbidden.
    pub(crate) fn all() -> Vec<Self> {
        let open = [Self { name: "open", what: What::Open }];
        // What is not probed is only open.
        let services = Service::ALL.into_iter().filter(|&service| service != Service::NotProbed);
        let services = services.map(service);
        let findings = Weakness::ALL
            .into_iter()
            .map(|weakness| Self { name: weakness.name(), what: What::Findings(vec![weakness]) });
        let groups = GROUPS.map(|(name, list)| Self { name, what: What::Findings(list.to_vec()) });
        open.into_iter().chain(services).chain(findings).chain(groups).collect()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What keeps a run that asks so much from seeing it.
    pub(super) fn hidden_by(&self, probing: Probing) -> Option<&'static str> {
        match (probing, &self.what) {
            (_, What::Open) => None,
            (Probing::ConnectOnly, _) => Some("--no-probe"),
            (Probing::Greeting, What::Findings(list)) if needs_offer(list) => Some("--no-kex"),
            _ => None,
        }
    }

    pub(super) fn said_by(&self, outcome: &Outcome) -> Says {
        match outcome.verdict.state {
            PortState::Unresolved => Says::Unknown(Doubt::Unresolved),
            PortState::Filtered => Says::Unknown(Doubt::Filtered),
            PortState::Unchecked => Says::Unknown(Doubt::Unchecked),
            PortState::Closed if outcome.verdict.reason == Reason::RefusedInPart => {
                Says::Unknown(Doubt::RefusedInPart)
            }
            PortState::Closed => Says::Absent,
            PortState::Open => match &self.what {
                What::Open => Says::Found,
                What::Service(wanted) => service_said_by(*wanted, outcome),
                What::Findings(wanted) => findings_said_by(wanted, outcome),
            },
        }
    }
}

/// Why one of the forbidden things may yet be there, or telnet, whatever is forbidden, unless that
/// kind is allowed. Where `open` alone is forbidden an accepted connection is a verdict.
pub(super) fn missing_verdict(
    things: &[Forbidden],
    allowed: &[Doubt],
    outcome: &Outcome,
) -> Option<Doubt> {
    let is_open_all = !things.is_empty() && things.iter().all(|thing| thing.what == What::Open);
    let telnet = service(Service::Telnet);
    let asked = things.iter().chain((!is_open_all).then_some(&telnet));
    // Each is found.
    let are_prompts_forbidden = things.contains(&service(Service::TelnetLikely));
    let doubts = asked.filter_map(|thing| match thing.said_by(outcome) {
        Says::Unknown(Doubt::TelnetLikely) if are_prompts_forbidden => None,
        Says::Unknown(doubt) => Some(doubt),
        Says::Found | Says::Absent => None,
    });
    let mut last = None;
    for doubt in doubts {
        if !allowed.contains(&doubt) {
            return Some(doubt);
        }
        last = Some(doubt);
    }
    last
}

fn service(service: Service) -> Forbidden {
    Forbidden { name: service.name(), what: What::Service(service) }
}

/// Why a service proves nothing about what else may be there; `None`: it is proof.
fn doubt_about(service: Service) -> Option<Doubt> {
    match service {
        Service::Ssh | Service::SshThrottled | Service::Telnet | Service::Other => None,
        Service::Silent => Some(Doubt::Silent),
        Service::ClosedEarly => Some(Doubt::ClosedEarly),
        Service::Tarpit => Some(Doubt::Tarpit),
        Service::TelnetLikely => Some(Doubt::TelnetLikely),
        Service::SshBroken => Some(Doubt::SshBroken),
        Service::NotProbed => Some(Doubt::NotProbed),
        // What this program does not know is no proof either.
        _ => Some(Doubt::Unknown),
    }
}

/// Whether a service is what a server does rather than what it speaks: one that does something else
/// does not do this.
fn is_behaviour(service: Service) -> bool {
    let behaviours = [Service::Silent, Service::ClosedEarly, Service::Tarpit, Service::Unknown];
    behaviours.contains(&service)
}

fn service_said_by(wanted: Service, outcome: &Outcome) -> Says {
    let Some(seen) = outcome.verdict.service else { return Says::Unknown(Doubt::Filtered) };
    let is_it = seen == wanted || (wanted, seen) == (Service::Ssh, Service::SshThrottled);
    if is_it {
        return Says::Found;
    }
    if is_behaviour(wanted) && seen != Service::NotProbed {
        return Says::Absent;
    }
    doubt_about(seen).map_or(Says::Absent, Says::Unknown)
}

fn findings_said_by(wanted: &[Weakness], outcome: &Outcome) -> Says {
    let verdict = &outcome.verdict;
    let details = verdict.details.as_deref();
    let findings = details.map(|details| details.findings.as_slice()).unwrap_or_default();
    if findings.iter().any(|finding| wanted.contains(finding)) {
        return Says::Found;
    }
    // Also the old protocol makes none, and has its own ciphers.
    let has_no_offer = details.is_none_or(|details| details.key_exchange.kex_init().is_none());
    match verdict.service {
        None => Says::Unknown(Doubt::Filtered),
        Some(Service::SshThrottled) => Says::Unknown(Doubt::SshThrottled),
        Some(Service::Ssh) if has_no_offer && needs_offer(wanted) => {
            Says::Unknown(Doubt::KexMissing)
        }
        Some(seen) => doubt_about(seen).map_or(Says::Absent, Says::Unknown),
    }
}

/// Whether it takes more than the identification to see all of these.
fn needs_offer(findings: &[Weakness]) -> bool {
    findings.iter().any(|&finding| finding != Weakness::Ssh1)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        time::{Duration, SystemTime},
    };

    use portmuster::{KexFailure, KeyExchange, ServiceDetails, Target, Times, Verdict};

    use super::*;

    fn outcome(state: PortState, service: Option<Service>, details: ServiceDetails) -> Outcome {
        Outcome {
            target: Target::from(("192.0.2.1", 22)),
            endpoint: None,
            verdict: Verdict {
                state,
                reason: Reason::Accepted,
                service,
                rule: None,
                banner: Vec::new(),
                details: Some(Box::new(details)),
                times: Times { connect: None, first_byte: None, total: Duration::ZERO },
            },
            attempts: 1,
            time: SystemTime::UNIX_EPOCH,
            position: 0,
        }
    }

    fn open(service: Service) -> Outcome {
        outcome(PortState::Open, Some(service), ServiceDetails::default())
    }

    fn says(name: &str, outcome: &Outcome) -> Says {
        Forbidden::named(name).expect("it can be forbidden").said_by(outcome)
    }

    #[test]
    fn every_thing_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Forbidden::all().iter().map(Forbidden::name).collect();
        assert_eq!(names.len(), Forbidden::all().len());
        assert_eq!(Forbidden::named("not-probed"), None);
    }

    #[test]
    fn groups_cover_what_an_offer_can_have_but_for_what_belongs_to_no_list() {
        let covered: BTreeSet<_> =
            GROUPS[1..].iter().flat_map(|(_, list)| list.iter().copied()).collect();
        let others = Weakness::ALL.into_iter().filter(|weakness| !covered.contains(weakness));
        assert_eq!(others.collect::<Vec<_>>(), [Weakness::Ssh1, Weakness::Terrapin]);
    }

    #[test]
    fn only_a_refusal_ssh_or_a_named_protocol_proves_that_there_is_no_telnet() {
        let state = |state| says("telnet", &outcome(state, None, ServiceDetails::default()));
        assert_eq!(state(PortState::Closed), Says::Absent);
        assert_eq!(state(PortState::Unresolved), Says::Unknown(Doubt::Unresolved));
        assert_eq!(state(PortState::Filtered), Says::Unknown(Doubt::Filtered));
        assert_eq!(state(PortState::Unchecked), Says::Unknown(Doubt::Unchecked));

        let service = |service| says("telnet", &open(service));
        for service in Service::ALL {
            let said = says("telnet", &open(service));
            let expected = match service {
                Service::Telnet => Says::Found,
                Service::Ssh | Service::SshThrottled | Service::Other => Says::Absent,
                seen => Says::Unknown(Doubt::named(seen.name()).expect("it is a doubt")),
            };
            assert_eq!(said, expected, "{service}");
        }
        assert_eq!(service(Service::Telnet), Says::Found);
    }

    #[test]
    fn a_service_is_found_by_its_name_and_a_throttled_ssh_as_ssh_too() {
        assert_eq!(says("ssh", &open(Service::SshThrottled)), Says::Found);
        assert_eq!(says("ssh-throttled", &open(Service::Ssh)), Says::Absent);
        assert_eq!(says("telnet-likely", &open(Service::TelnetLikely)), Says::Found);
        assert_eq!(says("telnet-likely", &open(Service::Telnet)), Says::Absent);
        assert_eq!(says("silent", &open(Service::ClosedEarly)), Says::Absent);
        assert_eq!(says("unknown", &open(Service::Unknown)), Says::Found);
        assert_eq!(says("ssh-broken", &open(Service::SshBroken)), Says::Found);
        assert_eq!(says("open", &open(Service::ClosedEarly)), Says::Found);
    }

    #[test]
    fn findings_are_absent_only_where_the_offer_is_known() {
        let ssh = |key_exchange, findings: &[Weakness]| {
            let details = ServiceDetails {
                key_exchange,
                findings: findings.to_vec(),
                ..ServiceDetails::default()
            };
            outcome(PortState::Open, Some(Service::Ssh), details)
        };
        let missing = KeyExchange::Missing(KexFailure::HungUp);
        let offered = KeyExchange::Offered(Box::default());
        let cbc = ssh(offered.clone(), &[Weakness::Cbc]);
        assert_eq!(says("weak-cipher", &cbc), Says::Found);
        assert_eq!(says("weak", &cbc), Says::Found);
        assert_eq!(says("weak-kex", &cbc), Says::Absent);
        assert_eq!(says("weak-kex", &ssh(offered, &[])), Says::Absent);
        assert_eq!(says("weak-kex", &ssh(missing.clone(), &[])), Says::Unknown(Doubt::KexMissing));
        assert_eq!(says("ssh-1", &ssh(missing.clone(), &[])), Says::Absent);
        let old = ssh(KeyExchange::NotAsked, &[Weakness::Ssh1]);
        assert_eq!(says("weak-cipher", &old), Says::Unknown(Doubt::KexMissing));
        assert_eq!(says("ssh-1", &old), Says::Found);
        assert_eq!(says("weak", &ssh(missing, &[Weakness::Ssh1])), Says::Found);
        assert_eq!(says("cbc", &open(Service::SshThrottled)), Says::Unknown(Doubt::SshThrottled));
        assert_eq!(says("cbc", &open(Service::Silent)), Says::Unknown(Doubt::Silent));
        assert_eq!(says("cbc", &open(Service::Telnet)), Says::Absent);
    }

    /// Whether a verdict is lacking where these are forbidden.
    fn lacks(names: &[&str], outcome: &Outcome) -> bool {
        let things = names.iter().map(|name| Forbidden::named(name).expect("it can be forbidden"));
        missing_verdict(&things.collect::<Vec<_>>(), &[], outcome).is_some()
    }

    #[test]
    fn whatever_is_forbidden_a_verdict_rules_telnet_out_or_finds_it() {
        for names in [&[][..], &["telnet"], &["ssh"], &["open", "ssh-1"], &["weak"], &["silent"]] {
            for service in Service::ALL {
                let lacking = match service {
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
                    // Its offer was not asked for.
                    Service::Ssh => names.contains(&"weak"),
                    _ => false,
                };
                assert_eq!(lacks(names, &open(service)), lacking, "{names:?}: {service}");
            }
            for state in PortState::ALL.into_iter().filter(|&state| state != PortState::Open) {
                let lacking = state != PortState::Closed;
                let outcome = outcome(state, None, ServiceDetails::default());
                assert_eq!(lacks(names, &outcome), lacking, "{names:?}: {state}");
            }
        }
    }

    #[test]
    fn where_open_alone_is_forbidden_a_connection_is_a_verdict() {
        for service in Service::ALL {
            assert!(!lacks(&["open"], &open(service)), "{service}");
        }
        let filtered = outcome(PortState::Filtered, None, ServiceDetails::default());
        assert!(lacks(&["open"], &filtered));
    }

    #[test]
    fn a_login_prompt_is_a_verdict_where_login_prompts_are_forbidden() {
        let prompt = open(Service::TelnetLikely);
        for (names, lacking) in [
            (&["telnet-likely"][..], false),
            (&["telnet", "telnet-likely"], false),
            (&["telnet"], true),
            (&["open", "telnet"], true),
        ] {
            assert_eq!(lacks(names, &prompt), lacking, "{names:?}");
        }
        assert!(lacks(&["telnet-likely"], &open(Service::Silent)));
    }

    #[test]
    fn what_is_no_ssh_for_certain_leaves_ssh_in_doubt() {
        for (service, doubt) in [
            (Service::Unknown, Doubt::Unknown),
            (Service::TelnetLikely, Doubt::TelnetLikely),
            (Service::SshBroken, Doubt::SshBroken),
        ] {
            for name in ["ssh", "telnet", "weak"] {
                assert_eq!(says(name, &open(service)), Says::Unknown(doubt), "{name}: {service}");
            }
        }
    }

    #[test]
    fn an_allowed_kind_is_told_only_where_no_other_is_missing() {
        let things = ["telnet", "weak"].map(|name| Forbidden::named(name).expect("it is one"));
        let throttled = open(Service::SshThrottled);
        for (allowed, expected) in
            [(&[][..], Doubt::SshThrottled), (&[Doubt::SshThrottled], Doubt::SshThrottled)]
        {
            assert_eq!(missing_verdict(&things, allowed, &throttled), Some(expected));
        }
    }

    #[test]
    fn an_offer_that_did_not_come_lacks_a_verdict_only_where_it_would_tell() {
        let key_exchange = KeyExchange::Missing(KexFailure::HungUp);
        let details = ServiceDetails { key_exchange, ..ServiceDetails::default() };
        let ssh = outcome(PortState::Open, Some(Service::Ssh), details);
        for (names, lacking) in
            [(&[][..], false), (&["telnet"], false), (&["ssh-1"], false), (&["cbc"], true)]
        {
            assert_eq!(lacks(names, &ssh), lacking, "{names:?}");
        }
    }

    #[test]
    fn what_a_run_does_not_ask_for_cannot_be_forbidden() {
        let hidden = |name, probing| Forbidden::named(name).expect("it is one").hidden_by(probing);
        assert_eq!(hidden("telnet", Probing::ConnectOnly), Some("--no-probe"));
        assert_eq!(hidden("open", Probing::ConnectOnly), None);
        assert_eq!(hidden("weak-kex", Probing::Greeting), Some("--no-kex"));
        assert_eq!(hidden("weak", Probing::Greeting), Some("--no-kex"));
        assert_eq!(hidden("ssh-1", Probing::Greeting), None);
        assert_eq!(hidden("telnet", Probing::Greeting), None);
        assert_eq!(hidden("weak", Probing::KeyExchange), None);
    }
}
