//! The host keys of an ssh server, and what is known of each.
//!
//! Invariant: a key is [proven](KeyProof::Proven) only if the signature of the server over a fresh key
//! exchange was verified with it.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::named_enum::named_enum;

named_enum! {
    /// The type of a host key, without its certificate. The order is the one in which types are asked for.
    #[non_exhaustive]
    pub enum KeyType: "type of a host key" {
        /// Ed25519 (RFC 8709).
        Ed25519 = "ssh-ed25519",
        /// ECDSA on the curve nistp256 (RFC 5656).
        EcdsaP256 = "ecdsa-sha2-nistp256",
        /// ECDSA on the curve nistp384 (RFC 5656).
        EcdsaP384 = "ecdsa-sha2-nistp384",
        /// ECDSA on the curve nistp521 (RFC 5656).
        EcdsaP521 = "ecdsa-sha2-nistp521",
        /// RSA (RFC 4253 §6.6).
        Rsa = "ssh-rsa",
        /// Ed25519 on a FIDO token (OpenSSH's `PROTOCOL.u2f`).
        SkEd25519 = "sk-ssh-ed25519@openssh.com",
        /// ECDSA on the curve nistp256, on a FIDO token (OpenSSH's `PROTOCOL.u2f`).
        SkEcdsaP256 = "sk-ecdsa-sha2-nistp256@openssh.com",
        /// DSA (RFC 4253 §6.6).
        Dss = "ssh-dss",
    }
}

/// A set of types of host keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct KeyTypes(u8);

const _: () = assert!(KeyType::ALL.len() <= u8::BITS as usize, "the set has a bit for each type");

#[cfg_attr(not(feature = "host-keys"), expect(dead_code, reason = "no key exchange begins"))]
impl KeyTypes {
    /// Returns the set with this type in it.
    pub(crate) fn with(self, key_type: KeyType) -> Self {
        Self(self.0 | 1 << key_type as u8)
    }

    pub(crate) fn contains(self, key_type: KeyType) -> bool {
        self.0 & 1 << key_type as u8 != 0
    }

    /// Returns the types that `other` lacks.
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns all types but these.
    pub(crate) fn complement(self) -> Self {
        Self(!self.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Which host key an ssh server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyRequest {
    /// The types that it is not asked for.
    pub(crate) known: KeyTypes,
    /// Whether the server is to be asked for every type that it offers.
    pub(crate) all: bool,
}

named_enum! {
    /// Why the host key of an ssh server is unknown although it was asked for.
    #[non_exhaustive]
    pub enum HostKeyFailure: "failure to get a host key" {
        /// The server closed the connection before its reply.
        HungUp = "hung-up",
        /// The server did not reply in time.
        Silence = "silence",
        /// The deadline of the conversation passed before the reply.
        Deadline = "deadline",
        /// The server ended the connection with `SSH_MSG_DISCONNECT`.
        Disconnected = "disconnected",
        /// The bytes are not a packet: its length or padding is invalid (RFC 4253 §6).
        NoPacket = "no-packet",
        /// The server sent another kind of packet.
        OtherPacket = "other-packet",
        /// The packets before the reply exceed the size limit.
        TooMuch = "too-much",
        /// A length in the reply is wrong, or its key has a type that was not asked for.
        Malformed = "malformed",
        /// The server offers no key exchange method that this program has.
        NoMethod = "no-method",
        /// The server offers no host key algorithm that this program has.
        NoKeyType = "no-key-type",
        /// The server offers no cipher, no MAC or no compression.
        NoAlgorithms = "no-algorithms",
        /// The group that the server chose is unusable: its prime is even, or shorter or longer than
        /// allowed, or its generator is out of range.
        BadGroup = "bad-group",
        /// The server reads what was sent before as a part of the client's identification.
        Spoiled = "spoiled",
        /// This machine gave no random numbers.
        NoRandomness = "no-randomness",
        /// The offer of the server is missing; the reason for that is known.
        NoOffer = "no-offer",
        /// The identification of the server is one that RFC 4253 does not allow.
        OddIdentification = "odd-identification",
        /// The server does not speak version 2 of the protocol.
        Version1 = "version-1",
    }
}

named_enum! {
    /// Why it is not proven that an ssh server has the private key of a host key that it sent.
    #[non_exhaustive]
    pub enum ProofFailure: "failure of a proof" {
        /// The signature is not one of this key over this key exchange.
        WrongSignature = "wrong-signature",
        /// The signature has another algorithm than the one that was agreed on.
        OtherAlgorithm = "other-algorithm",
        /// The key is invalid: its point is not on the curve, or a number is out of range.
        InvalidKey = "invalid-key",
        /// A number of the key is too large to be computed with.
        TooLarge = "too-large",
        /// The certificate is one of a user, or has no names that can be read.
        NotForHosts = "not-for-hosts",
        /// The server's part of the key exchange is invalid: its point is not on the curve or at
        /// infinity, or its number is out of range.
        InvalidExchange = "invalid-exchange",
    }
}

/// Whether a server has proven that it has the private key of a host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyProof {
    /// Its signature over the key exchange of this connection was verified.
    Proven,
    /// The signature was not verified, for this reason. Anybody can send a public key.
    Unproven(ProofFailure),
}

impl KeyProof {
    /// Returns why there is no proof; `None` if there is one.
    #[must_use]
    pub fn failure(self) -> Option<ProofFailure> {
        match self {
            Self::Proven => None,
            Self::Unproven(failure) => Some(failure),
        }
    }
}

/// A host key that an ssh server sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostKey {
    /// The type of the key.
    pub key_type: KeyType,
    /// The size of the key in bits: of the modulus of RSA, of the prime of DSA, of the field of a
    /// curve.
    pub bits: u32,
    /// The SHA-256 hash of the key, without its certificate.
    pub sha256: [u8; 32],
    /// Whether the server has proven that it has the private key.
    pub proof: KeyProof,
    /// The certificate in which the server sent the key; `None` if it sent the plain key.
    pub certificate: Option<Box<Certificate>>,
    /// The public key as ssh encodes it (RFC 4253 §6.6), without its certificate.
    pub blob: Vec<u8>,
}

impl HostKey {
    /// The least size of an RSA key that is not weak, in bits (NIST SP 800-131A Rev. 2 §3).
    pub const RSA_BITS_MIN: u32 = 2048;

    /// Returns the fingerprint as OpenSSH prints it: `SHA256:` and the hash in base64 without padding.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        key_fingerprint(&self.sha256)
    }

    /// Returns a lower bound of the memory that the key occupies, in bytes.
    pub(super) fn size(&self) -> usize {
        let certificate = self.certificate.as_ref().map_or(0, |certificate| certificate.size());
        size_of::<Self>() + self.blob.len() + certificate
    }
}

/// Returns the fingerprint of a key with this SHA-256 hash, as OpenSSH prints it: `SHA256:` and the hash in
/// base64 without padding.
#[must_use]
pub fn key_fingerprint(sha256: &[u8; 32]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256))
}

/// The certificate of a host key (OpenSSH's `PROTOCOL.certkeys`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The SHA-256 hash of the public key of the authority that issued it.
    pub ca_sha256: [u8; 32],
    /// Whether the authority's signature was verified. It says nothing about whether the authority is
    /// trustworthy.
    pub ca_proof: KeyProof,
    /// The names of hosts for which the certificate is valid. They are untrusted bytes, unescaped. A
    /// certificate without names is valid for every host.
    pub principals: Vec<Vec<u8>>,
    /// The start of its validity, in seconds since 1970; 0 if it has no start.
    pub valid_after: u64,
    /// The end of its validity, in seconds since 1970; `u64::MAX` if it has no end.
    pub valid_before: u64,
}

impl Certificate {
    /// Returns the fingerprint of the authority's key as OpenSSH prints it.
    #[must_use]
    pub fn ca_fingerprint(&self) -> String {
        key_fingerprint(&self.ca_sha256)
    }

    /// Returns the start of its validity; `None` if it has none.
    #[must_use]
    pub fn starts(&self) -> Option<SystemTime> {
        (self.valid_after > 0).then(|| since_1970(self.valid_after))
    }

    /// Returns the end of its validity; `None` if it has none.
    #[must_use]
    pub fn ends(&self) -> Option<SystemTime> {
        (self.valid_before < u64::MAX).then(|| since_1970(self.valid_before))
    }

    fn size(&self) -> usize {
        let principals = self.principals.iter().map(|name| size_of::<Vec<u8>>() + name.len());
        size_of::<Self>() + principals.sum::<usize>()
    }
}

/// Returns a time. One that the system can't represent becomes the latest that it surely can.
fn since_1970(seconds: u64) -> SystemTime {
    let time = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time(seconds).or_else(|| time(u32::MAX.into())).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The host keys that an ssh server sent, and why one is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostKeys {
    /// The keys, each type once, in the order of [`KeyType::ALL`].
    pub keys: Vec<HostKey>,
    /// Why a key that was asked for is missing; `None` if none is.
    pub missing: Option<HostKeyFailure>,
    /// The types that the server offers and that are still to be asked for.
    pub(crate) others: KeyTypes,
}

impl HostKeys {
    /// Returns whether there is a key without proof.
    pub(crate) fn has_unproven(&self) -> bool {
        self.keys.iter().any(|key| key.proof != KeyProof::Proven)
    }

    /// Returns whether there is an RSA key that is too short.
    pub(crate) fn has_short(&self) -> bool {
        let is_short =
            |key: &HostKey| key.key_type == KeyType::Rsa && key.bits < HostKey::RSA_BITS_MIN;
        self.keys.iter().any(is_short)
    }

    /// Adds the keys of another connection to the same server.
    pub(super) fn merge(&mut self, other: Self) {
        for key in other.keys {
            if self.keys.iter().all(|it| it.key_type != key.key_type) {
                self.keys.push(key);
            }
        }
        self.keys.sort_by_key(|key| key.key_type);
        self.missing = self.missing.or(other.missing);
    }

    /// Returns a lower bound of the memory that the keys occupy, in bytes.
    pub(super) fn size(&self) -> usize {
        self.keys.iter().map(HostKey::size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_without_limits_has_no_times() {
        let mut certificate = Certificate {
            ca_sha256: [0; 32],
            ca_proof: KeyProof::Proven,
            principals: Vec::new(),
            valid_after: 0,
            valid_before: u64::MAX,
        };
        assert_eq!((certificate.starts(), certificate.ends()), (None, None));
        (certificate.valid_after, certificate.valid_before) = (7, u64::MAX - 1);
        assert_eq!(certificate.starts(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)));
        assert!(certificate.ends() > certificate.starts());
    }
}
