//! The row that every format is written from: schema 1.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use compact_str::{CompactString, ToCompactString};
use serde::Serialize;

use super::{
    host_key_row::{self, HostKeyRow},
    row_text::RowText,
    short_text::ShortText,
    timestamp::timestamp,
};
use crate::{
    outcome::{
        Evidence, KexFailure, KeyExchange, NameList, Outcome, Part, Rule, Service, ServiceDetails,
        Side, TelnetEncryption, Verdict, Weakness,
    },
    targets::Host,
};

/// The version of the fields of a row. A version may gain fields; the meaning of a field never
/// changes.
pub const SCHEMA: u32 = 1;

/// One outcome in the form in which formats write it. Fields that do not apply are absent.
///
/// It borrows from the outcome and stores short texts inline, so a row without a banner needs no
/// allocation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row<'a> {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// The host, as the user named it.
    pub host: ShortText,
    /// The port.
    pub port: u16,
    /// Whether a connection was accepted.
    pub open: bool,
    /// The port state.
    pub state: &'static str,
    /// The reason for the state.
    pub reason: Cow<'static, str>,
    /// The address that the verdict is about. Absent if no connection was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<ShortText>,
    /// The service that the bytes prove. Absent unless open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'static str>,
    /// The greeting, if it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<&'a str>,
    /// The greeting in base64 (RFC 4648 §4), if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_base64: Option<String>,
    /// The version of the ssh protocol: `2.0`, `1.99` for versions 1 and 2, `1.5` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_protocol: Option<&'a str>,
    /// The software in the ssh identification, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_software: Option<RowText<'a>>,
    /// The comment in the ssh identification, after the software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_comment: Option<RowText<'a>>,
    /// The ssh key exchange methods, including signalled extensions. This list and the following ones
    /// are in the order of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kex_algorithms: Option<Vec<&'a str>>,
    /// The ssh host key algorithms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key_algorithms: Option<Vec<&'a str>>,
    /// The ssh ciphers from client to server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphers_client_to_server: Option<Vec<&'a str>>,
    /// The ssh ciphers from server to client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphers_server_to_client: Option<Vec<&'a str>>,
    /// The ssh message authentication codes from client to server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs_client_to_server: Option<Vec<&'a str>>,
    /// The ssh message authentication codes from server to client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs_server_to_client: Option<Vec<&'a str>>,
    /// The ssh compression methods from client to server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_client_to_server: Option<Vec<&'a str>>,
    /// The ssh compression methods from server to client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_server_to_client: Option<Vec<&'a str>>,
    /// Why the ssh lists are absent, although the probe asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kex_missing: Option<&'static str>,
    /// The telnet options: `will echo` if the server offers the option, `do terminal-type` if it asks
    /// for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telnet_options: Option<Vec<String>>,
    /// The protocol of the service `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'a str>,
    /// The weaknesses of the ssh or telnet server, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<&'static str>>,
    /// Milliseconds until the connection was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// Milliseconds until the first byte arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// Milliseconds until the verdict. Absent if no connection was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<f64>,
    /// The label that the user gave the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    /// Number of connections started.
    pub attempts: u32,
    /// The time of the verdict: UTC, RFC 3339, with milliseconds.
    pub time: ShortText,
    /// The recorded conversation. Absent unless recording was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRow<'a>>,
    /// The rule that decided on the service. Absent unless open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// The maker of the software, or of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<&'a str>,
    /// The software of the server, as a fingerprint names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<&'a str>,
    /// The version of the software, as the server states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'a str>,
    /// The operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<&'a str>,
    /// The kind or the model of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<&'a str>,
    /// The name in the Common Platform Enumeration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpe: Option<&'a str>,
    /// The fingerprint that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<&'a str>,
    /// Which daemon the telnet server is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telnet_daemon: Option<&'static str>,
    /// How certain the daemon is, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telnet_daemon_confidence_percent: Option<u8>,
    /// Whether the telnet server offers to encrypt the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telnet_encryption: Option<&'static str>,
    /// The host keys of the ssh server. Absent unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_keys: Option<Vec<HostKeyRow<'a>>>,
    /// Why a host key is absent, although it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key_missing: Option<&'static str>,
}

/// The recorded conversation that led to a verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EvidenceRow<'a> {
    /// The rule that decided on the service.
    pub rule: &'static str,
    /// The recorded parts, in order.
    pub parts: Vec<PartRow<'a>>,
    /// Number of bytes after these that were not recorded.
    pub left_out_bytes: u64,
}

/// The bytes of one read or write.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PartRow<'a> {
    /// Milliseconds from the start of the attempt.
    pub at_ms: f64,
    /// The sender: `server` or `portmuster`.
    pub side: &'static str,
    /// The bytes, if they are UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    /// The bytes in base64 (RFC 4648 §4), if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// The details of a verdict without any.
static NO_DETAILS: LazyLock<ServiceDetails> = LazyLock::new(ServiceDetails::default);

impl<'a> From<&'a Outcome> for Row<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let verdict = &outcome.verdict;
        let (banner, banner_base64) = text(&verdict.banner);
        let details = verdict.details.as_deref().unwrap_or(&NO_DETAILS);
        let identification = details.identification.as_ref();
        let kex_init = details.key_exchange.kex_init();
        let software = details.software.as_deref();
        let host = host(&outcome.target.host);
        let address = outcome.endpoint.map(|endpoint| match outcome.target.host {
            Host::Address(ip) if ip == endpoint.ip() => host.clone(),
            Host::Address(_) | Host::Name(_) => address(endpoint.ip()),
        });
        Self {
            schema: SCHEMA,
            host,
            port: outcome.target.port,
            open: outcome.is_open(),
            state: verdict.state.name(),
            reason: verdict.reason.name(),
            address,
            service: verdict.service.map(Service::name),
            banner,
            banner_base64,
            ssh_protocol: identification.map(|it| &*it.protocol),
            ssh_software: identification.map(|it| (&*it.software).into()),
            ssh_comment: identification.and_then(|it| it.comment.as_deref()).map(Into::into),
            kex_algorithms: kex_init.map(|it| names(&it.kex)),
            host_key_algorithms: kex_init.map(|it| names(&it.host_keys)),
            ciphers_client_to_server: kex_init.map(|it| names(&it.ciphers_client_to_server)),
            ciphers_server_to_client: kex_init.map(|it| names(&it.ciphers_server_to_client)),
            macs_client_to_server: kex_init.map(|it| names(&it.macs_client_to_server)),
            macs_server_to_client: kex_init.map(|it| names(&it.macs_server_to_client)),
            compression_client_to_server: kex_init
                .map(|it| names(&it.compression_client_to_server)),
            compression_server_to_client: kex_init
                .map(|it| names(&it.compression_server_to_client)),
            kex_missing: kex_failure(&details.key_exchange).map(KexFailure::name),
            telnet_options: non_empty(details.options.iter().map(ToString::to_string)),
            protocol: details.protocol.as_deref(),
            findings: non_empty(details.findings.iter().copied().map(Weakness::name)),
            connect_ms: verdict.times.connect.map(milliseconds),
            first_byte_ms: verdict.times.first_byte.map(milliseconds),
            total_ms: outcome.has_time().then(|| milliseconds(verdict.times.total)),
            label: outcome.target.label.as_deref(),
            attempts: outcome.attempts,
            time: timestamp(outcome.time),
            evidence: details.evidence.as_ref().and_then(|it| evidence(verdict, it)),
            rule: verdict.rule.map(Rule::name),
            vendor: software.and_then(|it| it.vendor.as_deref()),
            product: software.and_then(|it| it.product.as_deref()),
            version: software.and_then(|it| it.version.as_deref()),
            os: software.and_then(|it| it.os.as_deref()),
            device: software.and_then(|it| it.device.as_deref()),
            cpe: software.and_then(|it| it.cpe.as_deref()),
            fingerprint: software.map(|it| &*it.fingerprint),
            telnet_daemon: details.telnet_daemon.map(|it| it.name),
            telnet_daemon_confidence_percent: details.telnet_daemon.map(|it| it.confidence_percent),
            telnet_encryption: verdict.telnet_encryption().map(TelnetEncryption::name),
            host_keys: host_key_row::host_keys(details),
            host_key_missing: host_key_row::host_key_missing(details),
        }
    }
}

fn host(host: &Host) -> ShortText {
    match host {
        Host::Address(ip) => address(*ip),
        Host::Name(name) => (&**name).into(),
    }
}

/// Formats an address.
fn address(address: IpAddr) -> ShortText {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => ShortText(address.to_compact_string()),
    }
}

/// Formats an IPv4 address in a tenth of the time of the standard library. Every row contains two.
fn v4(address: Ipv4Addr) -> ShortText {
    let mut text = [0; 15];
    let mut end = 0;
    for octet in address.octets() {
        let mut number = itoa::Buffer::new();
        let digits = number.format(octet).as_bytes();
        text[end..end + digits.len()].copy_from_slice(digits);
        end += digits.len();
        if let Some(dot) = text.get_mut(end) {
            *dot = b'.';
        }
        end += 1;
    }
    let text = CompactString::from_utf8(&text[..end - 1]);
    ShortText(text.expect("digits and dots are text"))
}

fn names(list: &NameList) -> Vec<&str> {
    list.iter().collect()
}

/// Collects the list; `None` if it is empty.
fn non_empty<T>(list: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let list: Vec<_> = list.collect();
    (!list.is_empty()).then_some(list)
}

fn kex_failure(key_exchange: &KeyExchange) -> Option<KexFailure> {
    match *key_exchange {
        KeyExchange::Missing(failure) => Some(failure),
        KeyExchange::NotAsked | KeyExchange::Offered(_) => None,
    }
}

fn evidence<'a>(verdict: &Verdict, evidence: &'a Evidence) -> Option<EvidenceRow<'a>> {
    Some(EvidenceRow {
        rule: verdict.rule.map(Rule::name)?,
        parts: evidence.parts.iter().map(part).collect(),
        left_out_bytes: evidence.left_out,
    })
}

fn part(Part { at, side, bytes }: &Part) -> PartRow<'_> {
    let (text, base64) = text(bytes);
    PartRow { at_ms: milliseconds(*at), side: Side::name(*side), text, base64 }
}

/// Converts to milliseconds, rounded to the microsecond because finer digits are noise.
fn milliseconds(duration: Duration) -> f64 {
    Duration::from_micros(microseconds(duration)).div_duration_f64(Duration::from_millis(1))
}

/// Converts to microseconds, rounded and saturating.
fn microseconds(duration: Duration) -> u64 {
    u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)
}

/// Converts bytes to text if they are UTF-8, and to base64 otherwise; to neither if there are none.
fn text(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok("") => (None, None),
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn v4_matches_the_standard_library(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let text = v4(address);
            prop_assert_eq!(text.as_str(), address.to_string());
        }
    }
}
