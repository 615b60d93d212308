//! A row of a run, as `portmuster check -o jsonl` writes it.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

/// The version of the fields that this crate reads.
const SCHEMA: u64 = 1;

/// A line that is no row of this version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row has another version.
    #[error("schema {0} is not supported; this program reads {SCHEMA}: use a newer version")]
    Schema(u64),
    /// The line is no row.
    #[error("not a row as portmuster check -o jsonl writes it: {0}")]
    NoRow(String),
}

/// The fields of a row that a report shows. Unknown fields are ignored: a later version may have more.
#[derive(Debug, Deserialize)]
pub(crate) struct Row<'a> {
    schema: u64,
    #[serde(borrow)]
    pub(crate) host: Cow<'a, str>,
    pub(crate) port: u16,
    #[serde(borrow)]
    pub(crate) state: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) reason: Cow<'a, str>,
    pub(crate) address: Option<String>,
    pub(crate) service: Option<String>,
    banner: Option<String>,
    banner_base64: Option<String>,
    pub(crate) ssh_protocol: Option<String>,
    pub(crate) ssh_software: Option<String>,
    pub(crate) ssh_comment: Option<String>,
    pub(crate) kex_algorithms: Option<Vec<String>>,
    pub(crate) host_key_algorithms: Option<Vec<String>>,
    pub(crate) ciphers_server_to_client: Option<Vec<String>>,
    pub(crate) macs_server_to_client: Option<Vec<String>>,
    pub(crate) kex_missing: Option<String>,
    pub(crate) telnet_options: Option<Vec<String>>,
    pub(crate) protocol: Option<String>,
    #[serde(default)]
    pub(crate) findings: Vec<String>,
    pub(crate) connect_ms: Option<f64>,
    pub(crate) first_byte_ms: Option<f64>,
    pub(crate) label: Option<String>,
    #[serde(default)]
    pub(crate) attempts: u32,
    pub(crate) time: Option<String>,
    pub(crate) evidence: Option<EvidenceRecord>,
    pub(crate) rule: Option<String>,
    vendor: Option<String>,
    product: Option<String>,
    version: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) cpe: Option<String>,
    pub(crate) fingerprint: Option<String>,
    telnet_daemon: Option<String>,
    telnet_daemon_confidence_percent: Option<u8>,
    pub(crate) telnet_encryption: Option<String>,
    #[serde(default)]
    pub(crate) host_keys: Vec<KeyRecord>,
    pub(crate) host_key_missing: Option<String>,
}

/// A host key of a row.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyRecord {
    #[serde(rename = "type")]
    pub(crate) key_type: String,
    pub(crate) bits: u32,
    pub(crate) sha256: String,
    pub(crate) proven: bool,
    pub(crate) unproven: Option<String>,
}

/// The recorded conversation of a row.
#[derive(Debug, Deserialize)]
pub(crate) struct EvidenceRecord {
    pub(crate) parts: Vec<PartRecord>,
    #[serde(default)]
    pub(crate) left_out_bytes: u64,
}

/// The bytes of one read or write.
#[derive(Debug, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) at_ms: f64,
    pub(crate) side: String,
    text: Option<String>,
    base64: Option<String>,
}

impl<'a> Row<'a> {
    /// Parses a line of JSON.
    ///
    /// # Errors
    /// The line is no row, or one of another version.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, RowError> {
        match serde_json::from_slice::<Self>(line) {
            Ok(row) if row.schema == SCHEMA => Ok(row),
            Ok(row) => Err(RowError::Schema(row.schema)),
            Err(error) => Err(explain(line, &error)),
        }
    }

    /// Returns the software that a fingerprint names, with its vendor and version; `None`: none does.
    pub(crate) fn named_software(&self) -> Option<String> {
        let product = self.product.as_deref()?;
        let parts = [self.vendor.as_deref(), Some(product), self.version.as_deref()];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }

    /// Returns the daemon of a telnet server, and how sure that is; `None`: it is not known.
    pub(crate) fn daemon(&self) -> Option<String> {
        let daemon = self.telnet_daemon.as_deref()?;
        let confidence = self.telnet_daemon_confidence_percent;
        Some(confidence.map_or_else(|| daemon.to_owned(), |it| format!("{daemon} ({it} % sure)")))
    }

    /// Returns the software in the words of the server, or else as its banner or its telnet options name
    /// it; `None`: it is not known.
    pub(crate) fn software(&self) -> Option<String> {
        let named = self.ssh_software.clone().or_else(|| self.named_software());
        named.or_else(|| self.telnet_daemon.clone())
    }

    /// Returns the bytes of the greeting; empty if there is none.
    pub(crate) fn banner(&self) -> Vec<u8> {
        decode(self.banner.as_deref(), self.banner_base64.as_deref())
    }
}

impl PartRecord {
    /// Returns the bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        decode(self.text.as_deref(), self.base64.as_deref())
    }
}

/// Returns bytes that are written as text or in base64. Invalid base64 is shown as it is.
fn decode(text: Option<&str>, base64: Option<&str>) -> Vec<u8> {
    let text = text.map(|text| text.as_bytes().to_vec());
    let decode = |encoded: &str| STANDARD.decode(encoded).unwrap_or_else(|_| encoded.into());
    text.or_else(|| base64.map(decode)).unwrap_or_default()
}

/// Returns why a line is no row. The fields of another version may have other types.
fn explain(line: &[u8], error: &serde_json::Error) -> RowError {
    let any: Option<Value> = serde_json::from_slice(line).ok();
    match any.as_ref().and_then(|value| value.get("schema")?.as_u64()) {
        Some(other) if other != SCHEMA => RowError::Schema(other),
        _ if !any.is_some_and(|value| value.is_object()) => {
            RowError::NoRow("it is not a JSON object".to_owned())
        }
        _ => RowError::NoRow(explain_field(error)),
    }
}

/// Returns what is wrong with a field, without its text, which is untrusted.
fn explain_field(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(field) => format!("it has no field {field}"),
        None => "the value of a field is invalid".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_is_text_or_base64() {
        let banner = |field: &str| {
            let line = format!(
                r#"{{"schema":1,"host":"a","port":1,"state":"open","reason":"accepted",{field}}}"#
            );
            Row::parse(line.as_bytes()).expect("it is a row").banner()
        };
        assert_eq!(banner(r#""banner":"a\n""#), b"a\n");
        assert_eq!(banner(r#""banner_base64":"/wA=""#), [0xff, 0]);
        assert_eq!(banner(r#""x":1"#), b"");
    }

    #[test]
    fn another_version_is_named() {
        let error = |line: &str| Row::parse(line.as_bytes()).expect_err("no row").to_string();
        assert!(error(r#"{"schema":2,"host":7}"#).starts_with("schema 2 is not supported"));
        assert!(error(r#"{"schema":1}"#).contains("it has no field host"));
        assert!(error("{").starts_with("not a row"));
    }
}
