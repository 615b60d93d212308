//! Parses the key in the reply of a server, plain or in a certificate (OpenSSH's `PROTOCOL.certkeys`).
//!
//! Invariant: a certificate contains plain keys only, so nothing is nested.

use super::{
    algorithms::HostKeyAlgorithm,
    exchange_hash::HashKind,
    public_key::ParsedKey,
    signature::{self, SignatureAlgorithm},
    wire::WireReader,
};
use crate::outcome::{Certificate, HostKey, KeyProof, KeyType, ProofFailure};

/// Limit of the names in a certificate, as in OpenSSH (`SSHKEY_CERT_MAX_PRINCIPALS`).
const PRINCIPALS_MAX: usize = 256;

/// The type of a certificate of a host (OpenSSH's `SSH2_CERT_TYPE_HOST`).
const HOST_CERTIFICATE: u32 = 2;

/// The host key in a reply, parsed.
#[derive(Debug)]
pub(super) struct ReceivedKey<'a> {
    key: ParsedKey<'a>,
    certificate: Option<Certificate>,
    algorithm: &'static HostKeyAlgorithm,
}

impl<'a> ReceivedKey<'a> {
    /// Parses the key or certificate of this algorithm; `None` if it is another one, or malformed.
    pub(super) fn parse(blob: &'a [u8], algorithm: &'static HostKeyAlgorithm) -> Option<Self> {
        let mut reader = WireReader::new(blob);
        let name = reader.string()?;
        if !algorithm.is_certificate {
            let key = ParsedKey::parse(blob).filter(|key| key.key_type == algorithm.key_type)?;
            return Some(Self { key, certificate: None, algorithm });
        }
        if !is_certificate_name(name, algorithm.key_type) {
            return None;
        }
        let _nonce = reader.string()?;
        let key = ParsedKey::read(algorithm.key_type, &mut reader)?;
        let certificate = read_certificate(blob, &mut reader)?;
        reader.is_empty().then_some(Self { key, certificate: Some(certificate), algorithm })
    }

    /// Verifies the signature over the hash of a key exchange.
    pub(super) fn verify(&self, signed: &[u8], hash: &[u8]) -> Result<(), ProofFailure> {
        signature::verify(self.algorithm.signature, &self.key.public, signed, hash)
    }

    /// Returns the host key, as it is reported.
    pub(super) fn with_proof(self, proof: Result<(), ProofFailure>) -> HostKey {
        let blob = self.key.blob();
        HostKey {
            key_type: self.key.key_type,
            bits: self.key.bits(),
            sha256: sha256(&blob),
            proof: proof.map_or_else(KeyProof::Unproven, |()| KeyProof::Proven),
            certificate: self.certificate.map(Box::new),
            blob,
        }
    }
}

/// Returns the SHA-256 hash of a key.
fn sha256(blob: &[u8]) -> [u8; 32] {
    HashKind::Sha256.hash(blob).try_into().expect("SHA-256 has 32 bytes")
}

/// Returns whether the name is the one of a certificate for keys of this type: the name of the type with
/// `-cert-v01` before the domain.
fn is_certificate_name(name: &[u8], key_type: KeyType) -> bool {
    let plain = key_type.name().trim_end_matches("@openssh.com").as_bytes();
    name.strip_prefix(plain) == Some(b"-cert-v01@openssh.com")
}

/// Reads a certificate after its key, and verifies the signature of its authority. `blob` is the whole
/// certificate.
fn read_certificate(blob: &[u8], reader: &mut WireReader<'_>) -> Option<Certificate> {
    let _serial = reader.uint64()?;
    let kind = reader.uint32()?;
    let _key_id = reader.string()?;
    let principals = read_principals(reader.string()?);
    let (valid_after, valid_before) = (reader.uint64()?, reader.uint64()?);
    let _critical_options = reader.string()?;
    let _extensions = reader.string()?;
    let _reserved = reader.string()?;
    let authority = reader.string()?;
    let signed = &blob[..blob.len() - reader.left()];
    let signature = reader.string()?;
    let proof = match &principals {
        Some(_) if kind == HOST_CERTIFICATE => verify_authority(authority, signature, signed),
        _ => Err(ProofFailure::NotForHosts),
    };
    Some(Certificate {
        ca_sha256: sha256(authority),
        ca_proof: proof.map_or_else(KeyProof::Unproven, |()| KeyProof::Proven),
        principals: principals.unwrap_or_default(),
        valid_after,
        valid_before,
    })
}

/// Reads names from a list; `None` if a length is wrong or there are too many.
fn read_principals(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = WireReader::new(list);
    let mut principals = Vec::new();
    while !reader.is_empty() {
        if principals.len() == PRINCIPALS_MAX {
            return None;
        }
        principals.push(reader.string()?.to_vec());
    }
    Some(principals)
}

/// Verifies the signature of an authority over a certificate.
fn verify_authority(authority: &[u8], signature: &[u8], signed: &[u8]) -> Result<(), ProofFailure> {
    let key = ParsedKey::parse(authority).ok_or(ProofFailure::InvalidKey)?;
    let name = WireReader::new(signature).string().ok_or(ProofFailure::WrongSignature)?;
    let algorithm = SignatureAlgorithm::of_key(key.key_type, name);
    let algorithm = algorithm.ok_or(ProofFailure::OtherAlgorithm)?;
    signature::verify(algorithm, &key.public, signature, signed)
}
