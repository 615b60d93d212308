//! The result of one target in a run.

use serde::{Deserialize, Serialize};

use crate::{
    outcome::{Outcome, PortState},
    sink::{HostKeyRow, Row, RowText},
};

/// The result of one target in a run, as far as runs are compared.
///
/// It is read from a row, or created from an [`Outcome`] with the texts that its row has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TargetResult {
    /// The port state.
    pub state: PortState,
    /// The name of the reason for the state, as in rows.
    pub reason: Box<str>,
    /// The name of the service, as in rows; `None` unless the port is open. It may be one of a later
    /// version of portmuster, which [`Service`](crate::Service) lacks.
    pub service: Option<Box<str>>,
    /// The greeting, untrusted and unescaped.
    pub banner: Box<[u8]>,
    /// The version of the ssh protocol, as in rows.
    pub ssh_protocol: Option<Box<str>>,
    /// The software in the ssh identification, with its version, as in rows.
    pub ssh_software: Option<Box<str>>,
    /// The comment in the ssh identification, as in rows.
    pub ssh_comment: Option<Box<str>>,
    /// The protocol of the service `other`.
    pub protocol: Option<Box<str>>,
    /// Whether the algorithms of the ssh server are known.
    pub has_kex_init: bool,
    /// The names of the weaknesses, as in rows.
    pub findings: Box<[Box<str>]>,
    /// The host keys of the ssh server.
    pub host_keys: Box<[KnownHostKey]>,
}

/// A host key, as far as runs are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KnownHostKey {
    /// The type of the key, as in rows. It may be one of a later version of portmuster.
    #[serde(rename = "type")]
    pub key_type: Box<str>,
    /// The fingerprint, as in rows.
    pub sha256: Box<str>,
}

impl From<&Outcome> for TargetResult {
    fn from(outcome: &Outcome) -> Self {
        let row = Row::from(outcome);
        Self {
            state: outcome.verdict.state,
            reason: row.reason.into(),
            service: row.service.map(Into::into),
            banner: outcome.verdict.banner.as_slice().into(),
            ssh_protocol: row.ssh_protocol.map(Into::into),
            ssh_software: row.ssh_software.map(text),
            ssh_comment: row.ssh_comment.map(text),
            protocol: row.protocol.map(Into::into),
            has_kex_init: row.kex_algorithms.is_some(),
            findings: row.findings.unwrap_or_default().into_iter().map(Into::into).collect(),
            host_keys: row.host_keys.unwrap_or_default().iter().map(Into::into).collect(),
        }
    }
}

impl From<&HostKeyRow<'_>> for KnownHostKey {
    fn from(key: &HostKeyRow<'_>) -> Self {
        Self { key_type: key.key_type.into(), sha256: key.sha256.as_str().into() }
    }
}

fn text(text: RowText<'_>) -> Box<str> {
    match text {
        RowText::Utf8(text) => text.into(),
        RowText::Escaped(text) => text.into(),
    }
}
