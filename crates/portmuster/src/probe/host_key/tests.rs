//! Key exchanges with a server of the tests, honest and hostile.

use ed25519_dalek::{Signer, SigningKey};

use super::{
    ExchangeStep, HostKeyExchange, Preamble,
    agreement::{Agreement, PublicValue},
    algorithms::{AgreementKind, ModpGroup},
    exchange_hash::{ExchangeHash, HashKind},
    groups::DhGroup,
    nist::Curve,
    wire::{WireReader, packet, put_string, put_unsigned},
};
use crate::outcome::{
    HostKey, HostKeyFailure, KexInit, KeyProof, KeyType, KeyTypes, NameList, ProofFailure,
};

mod zoo;

const CLIENT_LINE: &[u8] = b"SSH-2.0-client";
const SERVER_LINE: &[u8] = b"SSH-2.0-server";
const SERVER_KEX_INIT: &[u8] = b"\x14 anything";

const METHODS: [(&str, AgreementKind, HashKind); 11] = [
    ("curve25519-sha256", AgreementKind::X25519, HashKind::Sha256),
    ("curve25519-sha256@libssh.org", AgreementKind::X25519, HashKind::Sha256),
    ("ecdh-sha2-nistp256", AgreementKind::Nist(Curve::P256), HashKind::Sha256),
    ("ecdh-sha2-nistp384", AgreementKind::Nist(Curve::P384), HashKind::Sha384),
    ("ecdh-sha2-nistp521", AgreementKind::Nist(Curve::P521), HashKind::Sha512),
    ("diffie-hellman-group1-sha1", AgreementKind::Modp(ModpGroup::Group1), HashKind::Sha1),
    ("diffie-hellman-group14-sha1", AgreementKind::Modp(ModpGroup::Group14), HashKind::Sha1),
    ("diffie-hellman-group14-sha256", AgreementKind::Modp(ModpGroup::Group14), HashKind::Sha256),
    ("diffie-hellman-group16-sha512", AgreementKind::Modp(ModpGroup::Group16), HashKind::Sha512),
    ("diffie-hellman-group-exchange-sha1", AgreementKind::GroupExchange, HashKind::Sha1),
    ("diffie-hellman-group-exchange-sha256", AgreementKind::GroupExchange, HashKind::Sha256),
];

fn list(names: &str) -> NameList {
    NameList::parse(names.as_bytes()).expect("names are printable")
}

fn offer(method: &str, host_keys: &str) -> KexInit {
    KexInit {
        kex: list(method),
        host_keys: list(host_keys),
        ciphers_client_to_server: list("aes128-ctr"),
        ciphers_server_to_client: list("aes256-ctr"),
        macs_client_to_server: list("hmac-sha2-256"),
        macs_server_to_client: list("hmac-sha1"),
        compression_client_to_server: list("zlib@openssh.com,none"),
        compression_server_to_client: list("zlib@openssh.com"),
    }
}

/// What a server of the tests does wrong.
#[derive(Debug, Clone, Default)]
struct Defects {
    /// The identification over which it signs, if it is another one than it sent.
    signed_line: Option<&'static [u8]>,
    /// Whether it signs a hash of another kind.
    other_hash: bool,
    /// Whether another key signs.
    other_signer: bool,
    /// The public value that it sends instead of its own.
    public: Option<Vec<u8>>,
    /// The name in its signature, if it is another one.
    signature_name: Option<&'static [u8]>,
    /// The group that it chooses, as prime and generator.
    group: Option<(Vec<u8>, Vec<u8>)>,
}

/// Begins an exchange and returns it with the payloads that it sends.
fn begin(offer: &KexInit) -> Result<(HostKeyExchange, Vec<Vec<u8>>), HostKeyFailure> {
    let preamble = Preamble {
        client_line: CLIENT_LINE,
        server_line: SERVER_LINE,
        server_kex_init: SERVER_KEX_INIT,
        offer,
    };
    let (exchange, sent) = HostKeyExchange::begin(&preamble, KeyTypes::default())?;
    Ok((exchange, payloads(&sent)))
}

/// Returns the payloads of packets.
fn payloads(mut packets: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while let Some((length, rest)) = packets.split_first_chunk() {
        let (packet, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        payloads.push(packet[1..packet.len() - usize::from(packet[0])].to_vec());
        packets = rest;
    }
    payloads
}

fn result(step: ExchangeStep) -> Result<HostKey, HostKeyFailure> {
    match step {
        ExchangeStep::Done(result) => result,
        step => panic!("the exchange goes on: {step:?}"),
    }
}

/// Runs an exchange with a server that has an Ed25519 key and these defects.
fn run(
    method: (&str, AgreementKind, HashKind),
    defects: &Defects,
) -> Result<HostKey, HostKeyFailure> {
    let (mut exchange, reply) = await_reply(method, defects)?;
    result(exchange.receive(&packet(&reply)))
}

/// Runs an exchange up to the reply of the server, which is returned, too.
fn await_reply(
    (method, kind, hash): (&str, AgreementKind, HashKind),
    defects: &Defects,
) -> Result<(HostKeyExchange, Vec<u8>), HostKeyFailure> {
    let (mut exchange, sent) = begin(&offer(method, "ssh-ed25519"))?;
    let [client_kex_init, mut message] = <[Vec<u8>; 2]>::try_from(sent).expect("two packets");
    let mut group = Vec::new();
    let agreement = if kind == AgreementKind::GroupExchange {
        let sizes = [1024_u32, 2048, 8192].map(u32::to_be_bytes).concat();
        assert_eq!(message, [&[34], &sizes[..]].concat());
        let known = DhGroup::known(ModpGroup::Group14);
        let own = || (known.prime.to_bytes_be(), vec![2]);
        let (prime, generator) = defects.group.clone().unwrap_or_else(own);
        let mut chosen = vec![31];
        put_unsigned(&mut chosen, &prime);
        put_unsigned(&mut chosen, &generator);
        group = [&sizes[..], &chosen[1..]].concat();
        message = match exchange.receive(&packet(&chosen)) {
            ExchangeStep::Write(bytes) => payloads(&bytes).remove(0),
            step => return Err(result(step).expect_err("the group is unusable")),
        };
        Agreement::draw_in(known)
    } else {
        Agreement::draw(kind)
    };
    let agreement = agreement.expect("there is randomness");
    let numbers = if kind == AgreementKind::GroupExchange { (32, 33) } else { (30, 31) };
    assert_eq!(message[0], numbers.0);
    let mut reader = WireReader::new(&message[1..]);
    let points = agreement.has_points();
    let client = if points { reader.string() } else { reader.unsigned() };
    let client = client.expect("the message has a public value");
    let own = agreement.public();
    let public = defects.public.as_ref().unwrap_or(&own);
    let value = |bytes| if points { PublicValue::Point(bytes) } else { PublicValue::Number(bytes) };

    let key = SigningKey::from_bytes(&[7; 32]);
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519");
    put_string(&mut blob, key.verifying_key().as_bytes());
    let other_hash = if hash == HashKind::Sha256 { HashKind::Sha512 } else { HashKind::Sha256 };
    let mut signed = ExchangeHash::new(if defects.other_hash { other_hash } else { hash });
    let line = defects.signed_line.unwrap_or(SERVER_LINE);
    for text in [CLIENT_LINE, line, &client_kex_init, SERVER_KEX_INIT, &blob] {
        signed.add_string(text);
    }
    signed.add(&group);
    let mut rest = Vec::new();
    for bytes in [client, public] {
        value(bytes).put(&mut rest);
    }
    put_unsigned(&mut rest, &agreement.agree(client).expect("the client's value is valid"));
    signed.add(&rest);
    let holder = if defects.other_signer { SigningKey::from_bytes(&[8; 32]) } else { key };
    let mut signature = Vec::new();
    put_string(&mut signature, defects.signature_name.unwrap_or(b"ssh-ed25519"));
    put_string(&mut signature, &holder.sign(&signed.finish()).to_bytes());
    let mut reply = vec![numbers.1];
    put_string(&mut reply, &blob);
    value(public).put(&mut reply);
    put_string(&mut reply, &signature);
    Ok((exchange, reply))
}

fn proof(method: (&str, AgreementKind, HashKind), defects: &Defects) -> KeyProof {
    run(method, defects).expect("the key is shown").proof
}

#[test]
fn each_method_proves_the_key_of_an_honest_server() {
    for method in METHODS {
        let key = run(method, &Defects::default()).expect("the server is honest");
        assert_eq!(key.proof, KeyProof::Proven, "{method:?}");
        assert_eq!((key.key_type, key.bits, key.certificate), (KeyType::Ed25519, 256, None));
    }
}

#[test]
fn key_is_not_proven_by_another_exchange_or_another_signer() {
    let wrong = KeyProof::Unproven(ProofFailure::WrongSignature);
    for method in METHODS {
        let other_line = Defects { signed_line: Some(b"SSH-2.0-serves"), ..Defects::default() };
        assert_eq!(proof(method, &other_line), wrong, "{method:?}");
        let other_signer = Defects { other_signer: true, ..Defects::default() };
        assert_eq!(proof(method, &other_signer), wrong, "{method:?}");
        let other_hash = Defects { other_hash: true, ..Defects::default() };
        assert_eq!(proof(method, &other_hash), wrong, "{method:?}");
    }
    let defects = Defects { signature_name: Some(b"ssh-rsa"), ..Defects::default() };
    let other = KeyProof::Unproven(ProofFailure::OtherAlgorithm);
    assert_eq!(proof(METHODS[0], &defects), other);
}

#[test]
fn invalid_public_values_prove_nothing() {
    for method in METHODS {
        for public in [vec![], vec![0], vec![1], vec![4; 65], vec![0; 32], vec![0xff; 3000]] {
            let defects = Defects { public: Some(public.clone()), ..Defects::default() };
            // A number beyond the packet is refused before.
            let invalid = KeyProof::Unproven(ProofFailure::InvalidExchange);
            let is_number = !matches!(method.1, AgreementKind::X25519 | AgreementKind::Nist(_));
            if is_number && [vec![4; 65], vec![0; 32]].contains(&public) {
                continue;
            }
            assert_eq!(proof(method, &defects), invalid, "{method:?} {public:x?}");
        }
    }
}

#[test]
fn unusable_groups_end_the_exchange() {
    let method = METHODS[10];
    let prime = DhGroup::known(ModpGroup::Group14).prime.to_bytes_be();
    let even = [&prime[..prime.len() - 1], &[0xfe]].concat();
    for group in [
        (vec![], vec![2]),
        (vec![1], vec![2]),
        (even, vec![2]),
        (vec![0xff; 100], vec![2]),
        (vec![0xff; 8192], vec![2]),
        (prime.clone(), vec![1]),
        (prime.clone(), prime),
    ] {
        let defects = Defects { group: Some(group), ..Defects::default() };
        assert_eq!(run(method, &defects), Err(HostKeyFailure::BadGroup));
    }
}

#[test]
fn offers_without_a_common_algorithm_get_no_exchange() {
    let failure = |offer: &KexInit| begin(offer).err();
    let good = offer("curve25519-sha256", "ssh-ed25519");
    assert_eq!(failure(&good), None);
    let quantum = KexInit { kex: list("mlkem768x25519-sha256"), ..good.clone() };
    assert_eq!(failure(&quantum), Some(HostKeyFailure::NoMethod));
    let other_key = KexInit { host_keys: list("ssh-ed448"), ..good.clone() };
    assert_eq!(failure(&other_key), Some(HostKeyFailure::NoKeyType));
    let long = "x".repeat(65);
    for cipher in ["", &long] {
        let offer = KexInit { ciphers_server_to_client: list(cipher), ..good.clone() };
        assert_eq!(failure(&offer), Some(HostKeyFailure::NoAlgorithms));
    }
}

#[test]
fn key_of_a_type_that_is_known_is_not_asked_for_again() {
    let offer = offer("curve25519-sha256", "ssh-rsa,ssh-ed25519,rsa-sha2-512,ssh-dss,ssh-ed448");
    let preamble = Preamble {
        client_line: CLIENT_LINE,
        server_line: SERVER_LINE,
        server_kex_init: SERVER_KEX_INIT,
        offer: &offer,
    };
    let mut known = KeyTypes::default();
    for (asked, others) in [
        ("ssh-ed25519", &[KeyType::Rsa, KeyType::Dss][..]),
        ("rsa-sha2-512", &[KeyType::Dss]),
        ("ssh-dss", &[]),
    ] {
        let (exchange, sent) = HostKeyExchange::begin(&preamble, known).expect("one is left");
        let expected = others.iter().fold(KeyTypes::default(), |types, &it| types.with(it));
        assert_eq!(exchange.others(), expected);
        let kex_init = &payloads(&sent)[0];
        let names =
            [&b"\0\0\0"[..], &[u8::try_from(asked.len()).expect("it is short")], asked.as_bytes()]
                .concat();
        assert!(kex_init.windows(names.len()).any(|window| window == names), "{asked}");
        known = exchange.others().complement();
    }
    let none = HostKeyExchange::begin(&preamble, known).err();
    assert_eq!(none, Some(HostKeyFailure::NoKeyType));
}

/// Replies of which any prefix, and any one changed byte of a length, is refused without a panic.
#[test]
fn replies_with_lying_lengths_are_malformed() {
    let (_, sent) = begin(&offer("curve25519-sha256", "ssh-ed25519")).expect("it begins");
    assert_eq!(sent.len(), 2);
    let mut reply = vec![31];
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519");
    put_string(&mut blob, &[9; 32]);
    put_string(&mut reply, &blob);
    put_string(&mut reply, &[9; 32]);
    put_string(&mut reply, b"\0\0\0\x0bssh-ed25519\0\0\0\x01x");
    let answer = |reply: &[u8]| {
        let (mut exchange, _) =
            begin(&offer("curve25519-sha256", "ssh-ed25519")).expect("it begins");
        result(exchange.receive(&packet(reply)))
    };
    assert!(answer(&reply).is_ok_and(|key| key.proof != KeyProof::Proven));
    for end in 1..reply.len() {
        assert_eq!(answer(&reply[..end]), Err(HostKeyFailure::Malformed), "cut off at {end}");
    }
    assert_eq!(answer(&[&reply[..], &[0]].concat()), Err(HostKeyFailure::Malformed));
    let lengths = [1, 5, 20, 56, 92];
    for at in lengths.into_iter().flat_map(|start| start..start + 4) {
        for byte in [0xff, 0x80, 1] {
            let mut lying = reply.clone();
            lying[at] ^= byte;
            let result = answer(&lying);
            assert!(!result.is_ok_and(|key| key.proof == KeyProof::Proven), "{at}");
        }
    }
    assert_eq!(answer(&[1, 0]), Err(HostKeyFailure::Disconnected));
    assert_eq!(answer(&[21]), Err(HostKeyFailure::OtherPacket));
}

#[test]
fn key_of_another_type_or_a_nested_certificate_is_malformed() {
    for (asked, name) in [
        ("ssh-ed25519", "ssh-rsa"),
        ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
        ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"),
        ("ssh-ed25519-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com"),
    ] {
        let (mut exchange, _) = begin(&offer("curve25519-sha256", asked)).expect("it begins");
        let mut blob = Vec::new();
        put_string(&mut blob, name.as_bytes());
        put_string(&mut blob, &[9; 32]);
        let mut reply = vec![31];
        put_string(&mut reply, &blob);
        put_string(&mut reply, &[9; 32]);
        put_string(&mut reply, b"");
        let result = result(exchange.receive(&packet(&reply)));
        assert_eq!(result, Err(HostKeyFailure::Malformed), "{name} for {asked}");
    }
}
