//! The algorithms of the key exchange that this program has, and the choice among those that a server
//! offers.

use super::{
    exchange_hash::HashKind,
    signature::{Curve, SignatureAlgorithm},
    wire::put_string,
};
use crate::outcome::{HostKeyFailure, KexInit, KeyType, KeyTypes, NameList};

const SSH_MSG_KEXINIT: u8 = 20;

/// The size of the random bytes in an `SSH_MSG_KEXINIT`.
pub(super) const COOKIE_SIZE: usize = 16;

/// Limit of the length of a name that is repeated to the server (RFC 4251 §6).
const NAME_MAX: usize = 64;

/// The name of no compression, which every server has (RFC 4253 §6.2).
const NO_COMPRESSION: &str = "none";

/// A key exchange method.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExchangeMethod {
    pub(super) name: &'static str,
    pub(super) agreement: AgreementKind,
    pub(super) hash: HashKind,
}

/// How both sides agree on a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgreementKind {
    /// X25519 (RFC 8731).
    X25519,
    /// Elliptic curve Diffie-Hellman (RFC 5656 §4).
    Nist(Curve),
    /// Diffie-Hellman in a known group (RFC 4253 §8, RFC 8268).
    Modp(ModpGroup),
    /// Diffie-Hellman in a group that the server chooses (RFC 4419).
    GroupExchange,
}

/// A known group of Diffie-Hellman.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModpGroup {
    /// 1,024 bits (RFC 2409 §6.2, where it is the second group).
    Group1,
    /// 2,048 bits (RFC 3526 §3).
    Group14,
    /// 4,096 bits (RFC 3526 §5).
    Group16,
}

/// The methods, those first that take the least time.
const METHODS: [ExchangeMethod; 11] = [
    method("curve25519-sha256", AgreementKind::X25519, HashKind::Sha256),
    method("curve25519-sha256@libssh.org", AgreementKind::X25519, HashKind::Sha256),
    method("ecdh-sha2-nistp256", AgreementKind::Nist(Curve::P256), HashKind::Sha256),
    method("ecdh-sha2-nistp384", AgreementKind::Nist(Curve::P384), HashKind::Sha384),
    method("ecdh-sha2-nistp521", AgreementKind::Nist(Curve::P521), HashKind::Sha512),
    method(
        "diffie-hellman-group14-sha256",
        AgreementKind::Modp(ModpGroup::Group14),
        HashKind::Sha256,
    ),
    method("diffie-hellman-group14-sha1", AgreementKind::Modp(ModpGroup::Group14), HashKind::Sha1),
    method("diffie-hellman-group1-sha1", AgreementKind::Modp(ModpGroup::Group1), HashKind::Sha1),
    method(
        "diffie-hellman-group16-sha512",
        AgreementKind::Modp(ModpGroup::Group16),
        HashKind::Sha512,
    ),
    method("diffie-hellman-group-exchange-sha256", AgreementKind::GroupExchange, HashKind::Sha256),
    method("diffie-hellman-group-exchange-sha1", AgreementKind::GroupExchange, HashKind::Sha1),
];

const fn method(name: &'static str, agreement: AgreementKind, hash: HashKind) -> ExchangeMethod {
    ExchangeMethod { name, agreement, hash }
}

/// A host key algorithm: the type of a key, and how it signs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HostKeyAlgorithm {
    pub(super) name: &'static str,
    pub(super) key_type: KeyType,
    /// Whether the server sends the key in a certificate.
    pub(super) is_certificate: bool,
    pub(super) signature: SignatureAlgorithm,
}

/// The host key algorithms. A certificate contains the key, so it comes before the plain key.
const HOST_KEY_ALGORITHMS: [HostKeyAlgorithm; 20] = [
    certified("ssh-ed25519-cert-v01@openssh.com", SignatureAlgorithm::Ed25519),
    plain(SignatureAlgorithm::Ed25519),
    certified("ecdsa-sha2-nistp256-cert-v01@openssh.com", SignatureAlgorithm::EcdsaP256),
    plain(SignatureAlgorithm::EcdsaP256),
    certified("ecdsa-sha2-nistp384-cert-v01@openssh.com", SignatureAlgorithm::EcdsaP384),
    plain(SignatureAlgorithm::EcdsaP384),
    certified("ecdsa-sha2-nistp521-cert-v01@openssh.com", SignatureAlgorithm::EcdsaP521),
    plain(SignatureAlgorithm::EcdsaP521),
    certified("rsa-sha2-512-cert-v01@openssh.com", SignatureAlgorithm::RsaSha512),
    certified("rsa-sha2-256-cert-v01@openssh.com", SignatureAlgorithm::RsaSha256),
    plain(SignatureAlgorithm::RsaSha512),
    plain(SignatureAlgorithm::RsaSha256),
    certified("ssh-rsa-cert-v01@openssh.com", SignatureAlgorithm::RsaSha1),
    plain(SignatureAlgorithm::RsaSha1),
    certified("sk-ssh-ed25519-cert-v01@openssh.com", SignatureAlgorithm::SkEd25519),
    plain(SignatureAlgorithm::SkEd25519),
    certified("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", SignatureAlgorithm::SkEcdsaP256),
    plain(SignatureAlgorithm::SkEcdsaP256),
    certified("ssh-dss-cert-v01@openssh.com", SignatureAlgorithm::Dss),
    plain(SignatureAlgorithm::Dss),
];

const fn plain(signature: SignatureAlgorithm) -> HostKeyAlgorithm {
    let (name, key_type) = (signature.name(), signature.key_type());
    HostKeyAlgorithm { name, key_type, is_certificate: false, signature }
}

const fn certified(name: &'static str, signature: SignatureAlgorithm) -> HostKeyAlgorithm {
    let key_type = signature.key_type();
    HostKeyAlgorithm { name, key_type, is_certificate: true, signature }
}

/// What both sides use, of what the server offers.
#[derive(Debug)]
pub(super) struct AgreedAlgorithms<'a> {
    pub(super) method: &'static ExchangeMethod,
    pub(super) host_key: &'static HostKeyAlgorithm,
    /// The first cipher, MAC and compression of the server, each in both directions. They are never
    /// used, because the connection ends before.
    others: [&'a str; 6],
}

impl<'a> AgreedAlgorithms<'a> {
    /// Chooses a method, and a host key of a type that is not among `known`.
    pub(super) fn choose(offer: &'a KexInit, known: KeyTypes) -> Result<Self, HostKeyFailure> {
        let method = METHODS.iter().find(|method| offer.kex.contains(method.name));
        let host_key = algorithms(offer).find(|algorithm| !known.contains(algorithm.key_type));
        let ciphers = [&offer.ciphers_client_to_server, &offer.ciphers_server_to_client];
        let macs = [&offer.macs_client_to_server, &offer.macs_server_to_client];
        let compressions =
            [&offer.compression_client_to_server, &offer.compression_server_to_client];
        let mut others = [""; 6];
        for (other, list) in others.iter_mut().zip([ciphers, macs, compressions].concat()) {
            *other = usable_name(list).ok_or(HostKeyFailure::NoAlgorithms)?;
        }
        Ok(Self {
            method: method.ok_or(HostKeyFailure::NoMethod)?,
            host_key: host_key.ok_or(HostKeyFailure::NoKeyType)?,
            others,
        })
    }

    /// Returns the payload of an `SSH_MSG_KEXINIT` that offers these algorithms only.
    pub(super) fn kex_init(&self, cookie: [u8; COOKIE_SIZE]) -> Vec<u8> {
        let mut payload = vec![SSH_MSG_KEXINIT];
        payload.extend_from_slice(&cookie);
        let languages = ["", ""];
        for name in
            [self.method.name, self.host_key.name].iter().chain(&self.others).chain(&languages)
        {
            put_string(&mut payload, name.as_bytes());
        }
        let no_guess_follows = [0];
        let reserved = [0; 4];
        payload.extend_from_slice(&no_guess_follows);
        payload.extend_from_slice(&reserved);
        payload
    }
}

/// The most bytes of a packet with our `SSH_MSG_KEXINIT`.
pub(super) const KEX_INIT_MAX: usize = 1 + COOKIE_SIZE + 10 * 4 + 8 * NAME_MAX + 5 + 16;

/// Returns the algorithms that the server offers and this program has, the preferred one first.
fn algorithms(offer: &KexInit) -> impl Iterator<Item = &'static HostKeyAlgorithm> {
    HOST_KEY_ALGORITHMS.iter().filter(|algorithm| offer.host_keys.contains(algorithm.name))
}

/// Returns the types of the host keys that the server offers and this program has.
pub(super) fn offered_key_types(offer: &KexInit) -> KeyTypes {
    algorithms(offer).fold(KeyTypes::default(), |types, it| types.with(it.key_type))
}

/// Returns the name of one of the host key algorithms, for fuzzers.
#[cfg(any(test, feature = "__fuzzing"))]
pub(in crate::probe) fn algorithm_name(number: u8) -> &'static str {
    HOST_KEY_ALGORITHMS[usize::from(number) % HOST_KEY_ALGORITHMS.len()].name
}

/// Returns the first name of a list that may be repeated to the server. Some servers can't compress.
fn usable_name(list: &NameList) -> Option<&str> {
    if list.contains(NO_COMPRESSION) {
        return Some(NO_COMPRESSION);
    }
    list.iter().find(|name| name.len() <= NAME_MAX)
}
