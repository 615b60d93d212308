//! Changes as JSON lines.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{
    change::{Change, ChangeKind, ChangeSide},
    target_result::KnownHostKey,
};
use crate::sink;

/// The version of the fields of a change. A version may gain fields; the meaning of a field never
/// changes.
pub const SCHEMA: u32 = 1;

/// A change in the form in which it is written. Fields that do not apply are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangeRow<'a> {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The host. A name is in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The [kinds](ChangeKind) of change.
    pub changes: Vec<&'static str>,
    /// New weaknesses.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub new_findings: &'a [Box<str>],
    /// Weaknesses that have disappeared.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub gone_findings: &'a [Box<str>],
    /// The result in the old run. Absent if it lacks the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<TargetResultRow<'a>>,
    /// The result in the new run. Absent if it lacks the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<TargetResultRow<'a>>,
}

/// The result of a target in a run, with the field names of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TargetResultRow<'a> {
    /// The port state.
    pub state: &'static str,
    /// The reason for the state.
    pub reason: &'a str,
    /// The address, if the host is a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The service that the bytes prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    /// The greeting, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<&'a str>,
    /// The greeting in base64 (RFC 4648 §4), if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_base64: Option<String>,
    /// The version of the ssh protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_protocol: Option<&'a str>,
    /// The software in the ssh identification, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_software: Option<&'a str>,
    /// The comment in the ssh identification, after the software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_comment: Option<&'a str>,
    /// The protocol of the service `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'a str>,
    /// The weaknesses.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub findings: &'a [Box<str>],
    /// The host keys.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub host_keys: &'a [KnownHostKey],
}

impl<'a> From<&'a Change> for ChangeRow<'a> {
    fn from(change: &'a Change) -> Self {
        Self {
            schema: SCHEMA,
            host: change.target.host.to_string(),
            port: change.target.port,
            changes: change.kinds.iter().copied().map(ChangeKind::name).collect(),
            new_findings: &change.new_findings,
            gone_findings: &change.gone_findings,
            old: change.old.as_ref().map(Into::into),
            new: change.new.as_ref().map(Into::into),
        }
    }
}

impl<'a> From<&'a ChangeSide> for TargetResultRow<'a> {
    fn from(ChangeSide { address, result }: &'a ChangeSide) -> Self {
        let text = std::str::from_utf8(&result.banner);
        Self {
            state: result.state.name(),
            reason: &result.reason,
            address: address.map(|address| address.to_string()),
            service: result.service.as_deref(),
            banner: text.ok().filter(|text| !text.is_empty()),
            banner_base64: text.is_err().then(|| STANDARD.encode(&result.banner)),
            ssh_protocol: result.ssh_protocol.as_deref(),
            ssh_software: result.ssh_software.as_deref(),
            ssh_comment: result.ssh_comment.as_deref(),
            protocol: result.protocol.as_deref(),
            findings: &result.findings,
            host_keys: &result.host_keys,
        }
    }
}

/// Writes each change as one line of JSON: a [`ChangeRow`].
#[derive(Debug)]
pub struct ChangesJsonl<W> {
    output: W,
    line: Vec<u8>,
}

impl<W: Write> ChangesJsonl<W> {
    /// Creates a writer to `output`, which writes one whole line at a time.
    pub fn new(output: W) -> Self {
        Self { output, line: Vec::new() }
    }

    /// Writes one change.
    ///
    /// # Errors
    /// The change could not be written.
    pub fn write(&mut self, change: &Change) -> io::Result<()> {
        self.line.clear();
        sink::push_json_line(&mut self.line, &ChangeRow::from(change))?;
        self.output.write_all(&self.line)
    }
}
