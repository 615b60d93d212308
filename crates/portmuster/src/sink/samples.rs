//! Sample outcomes for the tests of all formats.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    outcome::{
        Account, Certificate, Evidence, HostKey, HostKeys, Identification, KexInit, KeyExchange,
        KeyProof, KeyType, NameList, Outcome, Part, PortState, ProofFailure, Reason, Rule, Service,
        ServiceDetails, Side, Software, TelnetDaemon, TelnetOption, Times, Verb, Verdict, Weakness,
    },
    sink::interface::Ending,
    targets::Target,
};

/// Returns an open port with this banner.
pub(crate) fn open(banner: &[u8], details: Option<ServiceDetails>) -> Outcome {
    Outcome {
        target: Target::from(("db.example", 22)),
        endpoint: Some(([10, 0, 0, 5], 22).into()),
        verdict: Verdict {
            state: PortState::Open,
            reason: Reason::Accepted,
            service: Some(Service::Ssh),
            rule: Some(Rule::Identification),
            banner: banner.to_vec(),
            details: details.map(Box::new),
            times: Times {
                connect: Some(Duration::from_nanos(412_345)),
                first_byte: Some(Duration::from_millis(2)),
                total: Duration::from_millis(6),
            },
            syns_lost: 0,
        },
        attempts: 1,
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_120),
        position: 7,
    }
}

/// Returns an outcome in which every field of a row is set, which no real server causes.
pub(crate) fn everything() -> Outcome {
    let name = |name: &str| NameList::parse(name.as_bytes()).expect("the name is printable");
    let details = ServiceDetails {
        identification: Some(Identification {
            protocol: "2.0".into(),
            software: "OpenSSH_7.4".into(),
            comment: Some("a comment".into()),
        }),
        key_exchange: KeyExchange::Offered(Box::new(KexInit {
            kex: name("kex-a,kex-b"),
            host_keys: name("ssh-rsa"),
            ciphers_client_to_server: name("3des-cbc,aes128-ctr"),
            ciphers_server_to_client: name("aes128-ctr"),
            macs_client_to_server: name("hmac-md5"),
            macs_server_to_client: name("hmac-sha2-256"),
            compression_client_to_server: name("none"),
            compression_server_to_client: name("none,zlib"),
        })),
        host_keys: HostKeys { keys: vec![plain_key(), certified_key()], ..HostKeys::default() },
        options: vec![
            TelnetOption { verb: Verb::Will, number: 1 },
            TelnetOption { verb: Verb::Do, number: 24 },
        ],
        protocol: Some("http".into()),
        answers_empty_line: false,
        findings: vec![Weakness::TripleDes, Weakness::Md5],
        evidence: Some(Evidence {
            parts: vec![
                part(Side::Server, b"SSH-2.0-OpenSSH_7.4\r\n\x1b[2J"),
                part(Side::Portmuster, b"\xff"),
            ],
            left_out: 3,
        }),
        software: Some(Arc::new(software())),
        telnet_daemon: Some(TelnetDaemon { name: "netkit", confidence_percent: 90 }),
    };
    let mut outcome = open(b"SSH-2.0-OpenSSH_7.4 a comment", Some(details));
    outcome.target.label = Some("core, \"sw1\"".into());
    outcome
}

/// Returns software of which everything is known.
fn software() -> Software {
    let text = |text: &str| Some(text.to_owned());
    Software {
        vendor: text("OpenBSD"),
        product: text("OpenSSH"),
        version: text("7.4"),
        os: text("Debian 9"),
        device: text("router"),
        cpe: text("cpe:/a:openbsd:openssh:7.4"),
        fingerprint: "openssh-debian".to_owned(),
    }
}

/// Returns a proven host key without a certificate.
pub(crate) fn plain_key() -> HostKey {
    HostKey {
        key_type: KeyType::Ed25519,
        bits: 256,
        sha256: [0x5a; 32],
        proof: KeyProof::Proven,
        certificate: None,
        blob: b"\0\0\0\x0bssh-ed25519".to_vec(),
    }
}

/// Returns a host key without proof, in a certificate with a name that needs escaping.
pub(crate) fn certified_key() -> HostKey {
    let certificate = Certificate {
        ca_sha256: [0xff; 32],
        ca_proof: KeyProof::Proven,
        principals: vec![b"db.example".to_vec(), b"\x1b[2J\xff".to_vec()],
        valid_after: 0,
        valid_before: 1_795_000_000,
    };
    let proof = KeyProof::Unproven(ProofFailure::WrongSignature);
    let certificate = Some(Box::new(certificate));
    HostKey { key_type: KeyType::Rsa, bits: 1024, proof, certificate, ..plain_key() }
}

fn part(side: Side, bytes: &[u8]) -> Part {
    Part { at: Duration::from_micros(412), side, bytes: bytes.to_vec() }
}

/// Returns an open port whose banner is not UTF-8.
pub(crate) fn binary() -> Outcome {
    open(b"\xff\xfb\x01", None)
}

/// Returns an ssh server whose identification is not UTF-8 and contains characters that need escaping.
pub(crate) fn no_utf8() -> Outcome {
    let identification = Identification {
        protocol: "2.0".into(),
        software: b"Caf\xe9_1.2\\x".to_vec(),
        comment: Some(b"=\xff \x1b[2J".to_vec()),
    };
    let details =
        ServiceDetails { identification: Some(identification), ..ServiceDetails::default() };
    open(b"SSH-2.0-Caf\xe9_1.2\\x =\xff \x1b[2J", Some(details))
}

/// Returns a target that is not open.
pub(crate) fn not_open(state: PortState, reason: Reason) -> Outcome {
    let mut outcome = open(b"", None);
    outcome.verdict = Verdict::unconnected(state, reason, Duration::from_millis(3));
    outcome
}

/// Returns the outcome of a name that does not exist.
pub(crate) fn unresolved() -> Outcome {
    let mut outcome = not_open(PortState::Unresolved, Reason::NoSuchName);
    outcome.endpoint = None;
    outcome.attempts = 0;
    outcome
}

/// Returns the ending of a run without targets.
pub(crate) fn ending() -> Ending {
    Ending::new(Account::default(), 0, SystemTime::UNIX_EPOCH)
}
