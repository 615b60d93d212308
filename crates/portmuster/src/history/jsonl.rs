//! Changes in JSON lines.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{Change, ChangeKind, Side};
use crate::sink;

/// The version of the fields of a change. A version grows by adding fields; none changes its
/// meaning.
pub const SCHEMA: u32 = 1;

/// A change as it is written. What does not apply is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeRow<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The host; a name is in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The [kinds](ChangeKind) of change.
    pub changes: Vec<&'static str>,
    /// What is weak and was not.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub new_findings: &'a [Box<str>],
    /// What was weak and is no longer.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub gone_findings: &'a [Box<str>],
    /// What the old run knew. Absent: it did not have the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<KnownRow<'a>>,
    /// What the new run knows. Absent: it does not have the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<KnownRow<'a>>,
}

/// What a run knows of a target, in the words of its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownRow<'a> {
    /// The port state.
    pub state: &'static str,
    /// Why it is in this state.
    pub reason: &'a str,
    /// The address of a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the bytes prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    /// The greeting, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<&'a str>,
    /// The greeting, where it is not UTF-8: in base64 (RFC 4648 §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_base64: Option<String>,
    /// The version of ssh's protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_protocol: Option<&'a str>,
    /// The software that ssh names, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_software: Option<&'a str>,
    /// What ssh's identification says behind the software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_comment: Option<&'a str>,
    /// What `other` speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'a str>,
    /// What is weak.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub findings: &'a [Box<str>],
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

impl<'a> From<&'a Side> for KnownRow<'a> {
    fn from(Side { address, known }: &'a Side) -> Self {
        let text = std::str::from_utf8(&known.banner);
        let [ssh_protocol, ssh_software, ssh_comment] =
            known.identification.each_ref().map(Option::as_deref);
        Self {
            state: known.state.name(),
            reason: &known.reason,
            address: address.map(|address| address.to_string()),
            service: known.service.as_deref(),
            banner: text.ok().filter(|text| !text.is_empty()),
            banner_base64: text.is_err().then(|| STANDARD.encode(&known.banner)),
            ssh_protocol,
            ssh_software,
            ssh_comment,
            protocol: known.protocol.as_deref(),
            findings: &known.findings,
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
    /// Writes to `output`, a whole line at a time.
    pub fn new(output: W) -> Self {
        Self { output, line: Vec::new() }
    }

    /// Takes one change.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&mut self, change: &Change) -> io::Result<()> {
        self.line.clear();
        sink::push_json_line(&mut self.line, &ChangeRow::from(change))?;
        self.output.write_all(&self.line)
    }
}
