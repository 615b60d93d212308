//! Schema 1 of JSON rows, declared independently of the program. Every row must match it.

use std::{collections::BTreeSet, net::IpAddr};

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) schema: u32,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) open: bool,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) address: Option<IpAddr>,
    pub(crate) service: Option<String>,
    pub(crate) banner: Option<String>,
    pub(crate) banner_base64: Option<String>,
    pub(crate) ssh_protocol: Option<String>,
    pub(crate) ssh_software: Option<String>,
    pub(crate) ssh_comment: Option<String>,
    pub(crate) kex_algorithms: Option<Vec<String>>,
    pub(crate) host_key_algorithms: Option<Vec<String>>,
    pub(crate) ciphers_client_to_server: Option<Vec<String>>,
    pub(crate) ciphers_server_to_client: Option<Vec<String>>,
    pub(crate) macs_client_to_server: Option<Vec<String>>,
    pub(crate) macs_server_to_client: Option<Vec<String>>,
    pub(crate) compression_client_to_server: Option<Vec<String>>,
    pub(crate) compression_server_to_client: Option<Vec<String>>,
    pub(crate) kex_missing: Option<String>,
    pub(crate) telnet_options: Option<Vec<String>>,
    pub(crate) protocol: Option<String>,
    pub(crate) findings: Option<Vec<String>>,
    pub(crate) connect_ms: Option<f64>,
    pub(crate) first_byte_ms: Option<f64>,
    pub(crate) total_ms: Option<f64>,
    pub(crate) label: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) time: String,
    pub(crate) evidence: Option<Evidence>,
    pub(crate) rule: Option<String>,
    pub(crate) vendor: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) cpe: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) telnet_daemon: Option<String>,
    pub(crate) telnet_daemon_confidence_percent: Option<u8>,
    pub(crate) telnet_encryption: Option<String>,
    pub(crate) host_keys: Option<Vec<HostKey>>,
    pub(crate) host_key_missing: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostKey {
    #[serde(rename = "type")]
    pub(crate) key_type: String,
    pub(crate) bits: u32,
    pub(crate) sha256: String,
    pub(crate) proven: bool,
    pub(crate) unproven: Option<String>,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    pub(crate) ca_sha256: String,
    pub(crate) ca_proven: bool,
    pub(crate) ca_unproven: Option<String>,
    pub(crate) principals: Vec<String>,
    pub(crate) valid_after: Option<String>,
    pub(crate) valid_before: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evidence {
    pub(crate) rule: String,
    pub(crate) parts: Vec<Part>,
    pub(crate) left_out_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) at_ms: f64,
    pub(crate) side: String,
    pub(crate) text: Option<String>,
    pub(crate) base64: Option<String>,
}

impl Row {
    /// Returns state and reason, for targets that are not open.
    pub(crate) fn verdict(&self) -> (&str, &str) {
        (&self.state, &self.reason)
    }

    /// Asserts the invariants of every row.
    fn assert_contract(&self) {
        assert_eq!(self.schema, 1, "{self:?}");
        assert_eq!(self.open, self.state == "open", "{self:?}");
        assert_eq!(self.open, self.reason == "accepted", "{self:?}");
        assert_eq!(self.open, self.service.is_some(), "{self:?}");
        assert_eq!(self.open, self.rule.is_some(), "{self:?}");
        assert_eq!(self.open, self.connect_ms.is_some(), "{self:?}");
        // A proxy may have looked the name up, so that its address is unknown.
        let has_address = self.address.is_some() || self.host.parse::<IpAddr>().is_err();
        assert!(self.address.is_none() || self.attempts > 0, "{self:?}");
        assert!(self.attempts == 0 || has_address, "{self:?}");
        assert_eq!(self.attempts > 0, self.total_ms.is_some(), "{self:?}");
        assert!(self.banner.is_none() || self.banner_base64.is_none(), "{self:?}");
        let times: Vec<_> =
            [self.connect_ms, self.first_byte_ms, self.total_ms].into_iter().flatten().collect();
        assert!(times.is_sorted() && times.iter().all(|&time| time >= 0.0), "{self:?}");
        let has_banner = self.banner.is_some() || self.banner_base64.is_some();
        assert!(self.first_byte_ms.is_some() || !has_banner, "{self:?}");
        self.assert_details_contract();
        assert!(self.time.parse::<jiff::Timestamp>().is_ok(), "{self:?}");
        assert!(self.time.len() == "2026-11-22T10:00:00.123Z".len(), "{self:?}");
    }

    fn assert_details_contract(&self) {
        let service = self.service.as_deref();
        assert_eq!(service == Some("ssh"), self.ssh_protocol.is_some(), "{self:?}");
        assert_eq!(self.ssh_protocol.is_some(), self.ssh_software.is_some(), "{self:?}");
        let lists = [
            &self.kex_algorithms,
            &self.host_key_algorithms,
            &self.ciphers_client_to_server,
            &self.ciphers_server_to_client,
            &self.macs_client_to_server,
            &self.macs_server_to_client,
            &self.compression_client_to_server,
            &self.compression_server_to_client,
        ];
        let has_kexinit = self.kex_algorithms.is_some();
        assert!(lists.iter().all(|list| list.is_some() == has_kexinit), "{self:?}");
        assert!(!(has_kexinit && self.kex_missing.is_some()), "{self:?}");
        assert!(!has_kexinit || service == Some("ssh"), "{self:?}");
        assert!(self.telnet_options.is_none() || service == Some("telnet"), "{self:?}");
        assert_eq!(self.protocol.is_some(), service == Some("other"), "{self:?}");
        assert!(self.findings.is_none() || matches!(service, Some("ssh" | "telnet")), "{self:?}");
        let facts = [&self.vendor, &self.product, &self.version, &self.os, &self.device];
        let has_facts = facts.iter().any(|fact| fact.is_some());
        assert_eq!(has_facts, self.fingerprint.is_some(), "{self:?}");
        assert!(self.cpe.is_none() || has_facts, "{self:?}");
        assert_eq!(service == Some("telnet"), self.telnet_encryption.is_some(), "{self:?}");
        assert!(self.telnet_daemon.is_none() || service == Some("telnet"), "{self:?}");
        let confidence = self.telnet_daemon_confidence_percent;
        assert_eq!(self.telnet_daemon.is_some(), confidence.is_some(), "{self:?}");
        assert!(confidence.is_none_or(|percent| (1..=100).contains(&percent)), "{self:?}");
        let is_named = matches!(service, Some("ssh" | "telnet" | "telnet-likely"));
        assert!(!has_facts || is_named, "{self:?}");
        assert!(self.host_keys.is_none() || has_kexinit, "{self:?}");
        assert!(self.host_key_missing.is_none() || service == Some("ssh"), "{self:?}");
        for key in self.host_keys.iter().flatten() {
            assert_eq!(key.proven, key.unproven.is_none(), "{self:?}");
            assert_eq!(key.key.is_some(), self.evidence.is_some(), "{self:?}");
        }
        if let Some(evidence) = &self.evidence {
            assert_eq!(self.rule.as_ref(), Some(&evidence.rule), "{self:?}");
        }
        for part in self.evidence.iter().flat_map(|evidence| &evidence.parts) {
            assert!(part.text.is_some() != part.base64.is_some(), "{self:?}");
            assert!(["server", "portmuster"].contains(&part.side.as_str()), "{self:?}");
            assert!(self.total_ms.is_some_and(|total| part.at_ms <= total), "{self:?}");
        }
    }
}

/// Parses JSON lines and asserts the invariants of each row.
pub(crate) fn read(lines: &str) -> Vec<Row> {
    assert!(lines.is_empty() || lines.ends_with('\n'), "the last line is cut off: {lines}");
    lines.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Row {
    let fields: serde_json::Map<String, Value> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(!fields.values().any(Value::is_null), "an absent value is null: {line}");
    let row: Row = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    row.assert_contract();
    row
}

/// Returns the targets of the rows, and asserts that each has one row.
pub(crate) fn targets(rows: &[Row]) -> BTreeSet<(&str, u16)> {
    let targets: BTreeSet<_> = rows.iter().map(|row| (row.host.as_str(), row.port)).collect();
    assert_eq!(targets.len(), rows.len(), "a target has several rows");
    targets
}
