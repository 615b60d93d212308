//! The host keys of a row, and their JSON Schema.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Value, json};

use super::{row_text::RowText, short_text::ShortText, timestamp::timestamp};
use crate::outcome::{
    Certificate, HostKey, HostKeyFailure, KeyProof, KeyType, ProofFailure, ServiceDetails,
};

/// A host key of an ssh server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostKeyRow<'a> {
    /// The type of the key.
    #[serde(rename = "type")]
    pub key_type: &'static str,
    /// The size of the key in bits.
    pub bits: u32,
    /// The fingerprint as OpenSSH prints it: `SHA256:` and the hash in base64 without padding.
    pub sha256: String,
    /// Whether the server has proven that it has the private key.
    pub proven: bool,
    /// Why it has not. Absent if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unproven: Option<&'static str>,
    /// The certificate of the key. Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateRow<'a>>,
    /// The key as ssh encodes it, in base64. Absent unless recording was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The certificate of a host key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CertificateRow<'a> {
    /// The fingerprint of the authority's key.
    pub ca_sha256: String,
    /// Whether the authority's signature was verified.
    pub ca_proven: bool,
    /// Why it was not. Absent if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_unproven: Option<&'static str>,
    /// The names of hosts for which it is valid.
    pub principals: Vec<RowText<'a>>,
    /// The start of its validity: UTC, RFC 3339. Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_after: Option<ShortText>,
    /// The end of its validity. Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_before: Option<ShortText>,
}

/// Returns the host keys; `None` if there are none.
pub(super) fn host_keys(details: &ServiceDetails) -> Option<Vec<HostKeyRow<'_>>> {
    let keys = &details.host_keys.keys;
    let with_key = details.evidence.is_some();
    (!keys.is_empty()).then(|| keys.iter().map(|key| host_key(key, with_key)).collect())
}

/// Returns why a host key is missing.
pub(super) fn host_key_missing(details: &ServiceDetails) -> Option<&'static str> {
    details.host_keys.missing.map(HostKeyFailure::name)
}

fn host_key(key: &HostKey, with_key: bool) -> HostKeyRow<'_> {
    HostKeyRow {
        key_type: key.key_type.name(),
        bits: key.bits,
        sha256: key.fingerprint(),
        proven: key.proof == KeyProof::Proven,
        unproven: key.proof.failure().map(ProofFailure::name),
        certificate: key.certificate.as_deref().map(certificate),
        key: with_key.then(|| STANDARD.encode(&key.blob)),
    }
}

fn certificate(certificate: &Certificate) -> CertificateRow<'_> {
    CertificateRow {
        ca_sha256: certificate.ca_fingerprint(),
        ca_proven: certificate.ca_proof == KeyProof::Proven,
        ca_unproven: certificate.ca_proof.failure().map(ProofFailure::name),
        principals: certificate.principals.iter().map(|name| name[..].into()).collect(),
        valid_after: certificate.starts().map(timestamp),
        valid_before: certificate.ends().map(timestamp),
    }
}

/// Returns the schema of the host keys.
pub(super) fn host_keys_schema() -> Value {
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let fingerprint = json!({ "type": "string", "pattern": "^SHA256:[A-Za-z0-9+/]{43}$" });
    let failure = json!({ "enum": ProofFailure::ALL.map(ProofFailure::name) });
    let certificate = json!({
        "type": "object",
        "properties": {
            "ca_sha256": fingerprint,
            "ca_proven": { "type": "boolean" },
            "ca_unproven": failure,
            "principals": { "type": "array", "items": text },
            "valid_after": time,
            "valid_before": time,
        },
        "required": ["ca_sha256", "ca_proven", "principals"],
        "additionalProperties": false,
    });
    let key = json!({
        "type": "object",
        "properties": {
            "type": { "enum": KeyType::ALL.map(KeyType::name) },
            "bits": { "type": "integer", "minimum": 0 },
            "sha256": fingerprint,
            "proven": { "type": "boolean" },
            "unproven": failure,
            "certificate": certificate,
            "key": { "type": "string", "contentEncoding": "base64" },
        },
        "required": ["type", "bits", "sha256", "proven"],
        "additionalProperties": false,
    });
    json!({ "type": "array", "items": key })
}

/// Returns the schema of the reason for a missing host key.
pub(super) fn host_key_missing_schema() -> Value {
    json!({ "enum": HostKeyFailure::ALL.map(HostKeyFailure::name) })
}
