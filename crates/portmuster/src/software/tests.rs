use std::{collections::BTreeSet, sync::LazyLock, time::SystemTime};

use proptest::prelude::*;

use super::{
    fingerprints::{OWN_SSH, OWN_TELNET},
    own_table::{OwnFingerprint, parse},
    statement::FingerprintTable,
    *,
};
use crate::{
    outcome::{
        Identification, Outcome, PortState, Reason, Service, ServiceDetails, Software, Verdict,
    },
    targets::Target,
};

fn own_tables() -> [(&'static LazyLock<FingerprintTable>, Vec<OwnFingerprint>); 2] {
    [
        (&OWN_SSH, parse(include_str!("../../fingerprints/ssh.txt")).0),
        (&OWN_TELNET, parse(include_str!("../../fingerprints/telnet.txt")).0),
    ]
}

/// Replaces the escapes of an example.
fn unescaped(example: &str) -> Vec<u8> {
    example.replace("\\r", "\r").replace("\\n", "\n").replace("\\x07", "\x07").into_bytes()
}

/// Returns an ssh server with this identification, after `SSH-2.0-`.
fn ssh(software: &[u8]) -> Outcome {
    let mut parts = software.splitn(2, |&byte| byte == b' ');
    let mut identification = Identification::new("2.0", parts.next().unwrap_or_default());
    identification.comment = parts.next().map(<[u8]>::to_vec);
    let identification = Some(identification);
    let details = ServiceDetails { identification, ..ServiceDetails::default() };
    open(Service::Ssh, b"", Some(details))
}

fn open(service: Service, banner: &[u8], details: Option<ServiceDetails>) -> Outcome {
    let mut verdict = Verdict::new(PortState::Open, Reason::Accepted);
    verdict.service = Some(service);
    verdict.banner = banner.to_vec();
    verdict.details = details.map(Box::new);
    Outcome::new(Target::new("192.0.2.1", 22), verdict)
}

fn identify(outcome: &Outcome) -> Software {
    Fingerprints::built_in().identify(outcome).expect("the software is known")
}

#[test]
fn every_own_fingerprint_has_a_source_and_matches_its_examples_first() {
    for (table, fingerprints) in own_tables() {
        let mut names = BTreeSet::new();
        for OwnFingerprint { statement, source, examples, .. } in fingerprints {
            let name = statement.name;
            assert!(names.insert(name.clone()), "{name} is there twice");
            assert!(!source.is_empty() && !examples.is_empty(), "{name}");
            assert!(
                name.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
            );
            for example in examples {
                let found = table.identify(&unescaped(example)).map(|it| it.fingerprint);
                assert_eq!(found.as_deref(), Some(&*name), "{example}");
            }
        }
    }
}

/// Each pattern is compiled when it matches first, which is no time to fail.
#[test]
fn own_patterns_are_valid() {
    for (_, fingerprints) in own_tables() {
        let patterns = fingerprints.into_iter().map(|it| it.pattern).collect();
        patterns::Patterns::compile(patterns).expect("they are valid");
    }
}

#[test]
fn openssh_is_named_with_its_version_and_its_distribution() {
    let software = identify(&ssh(b"OpenSSH_9.2p1 Debian-2+deb12u3"));
    assert_eq!(software.vendor.as_deref(), Some("OpenBSD"));
    assert_eq!(software.product.as_deref(), Some("OpenSSH"));
    assert_eq!(software.version.as_deref(), Some("9.2p1"));
    assert_eq!(software.os.as_deref(), Some("Debian 12"));
    assert_eq!(software.cpe.as_deref(), Some("cpe:/a:openbsd:openssh:9.2p1"));
    assert_eq!(software.fingerprint, "openssh-debian-release");
    let hpn = identify(&ssh(b"OpenSSH_6.6.1_hpn13v11 FreeBSD-20140420"));
    assert_eq!((hpn.version.as_deref(), hpn.os.as_deref()), (Some("6.6.1"), Some("FreeBSD")));
}

#[test]
fn telnet_is_named_by_its_text_and_other_services_are_not() {
    for service in [Service::Telnet, Service::TelnetLikely] {
        let software = identify(&open(service, b"\r\nMikroTik v6.42.3 (stable)\r\nLogin: ", None));
        assert_eq!(software.os.as_deref(), Some("MikroTik RouterOS 6.42.3"));
    }
    let other = open(Service::Other, b"MikroTik v6.42.3 (stable)\r\nLogin: ", None);
    assert_eq!(Fingerprints::built_in().identify(&other), None);
    assert_eq!(Fingerprints::built_in().identify(&ssh(b"no-such-software")), None);
}

#[test]
fn texts_of_a_server_are_bounded_and_utf8() {
    let long = [b"paramiko_".to_vec(), vec![0xff; 500]].concat();
    let software = identify(&ssh(&long));
    let version = software.version.expect("it has a version");
    assert!(version.starts_with("\\xff") && version.len() <= Software::TEXT_MAX, "{version}");
    let cpe = software.cpe.expect("it has a CPE");
    assert!(cpe.starts_with("cpe:/a:paramiko:paramiko:%ff") && cpe.is_ascii(), "{cpe}");
}

#[test]
fn identifier_remembers_a_bounded_number_of_banners() {
    let mut identifier = Identifier::default();
    for nth in 0..5000 {
        let mut outcome = ssh(format!("OpenSSH_9.{nth}").as_bytes());
        identifier.identify(&mut outcome);
        let version = outcome.verdict.software().and_then(|it| it.version.clone());
        assert_eq!(version, Some(format!("9.{nth}")));
    }
    let mut closed = Outcome::new(
        Target::new("192.0.2.1", 22),
        Verdict::new(PortState::Closed, Reason::Refused),
    );
    closed.time = SystemTime::UNIX_EPOCH;
    identifier.identify(&mut closed);
    assert_eq!(closed.verdict.details, None);
}

proptest! {
    /// Whatever a server claims.
    #[test]
    fn any_banner_is_identified_without_a_panic(
        start in prop::sample::select(vec!["", "OpenSSH_", "dropbear_", "MikroTik v", "$1"]),
        rest: Vec<u8>,
    ) {
        let banner = [start.as_bytes(), &rest].concat();
        for outcome in [ssh(&banner), open(Service::Telnet, &banner, None)] {
            if let Some(software) = Fingerprints::built_in().identify(&outcome) {
                prop_assert!(software.facts() > 0 && !software.fingerprint.is_empty());
            }
        }
    }
}
