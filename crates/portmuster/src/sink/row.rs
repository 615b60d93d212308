//! The one row type that every format is written from: schema 1.

use std::{
    borrow::Cow,
    cell::RefCell,
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use compact_str::{CompactString, ToCompactString};
use jiff::{
    Timestamp,
    fmt::{StdFmtWrite, temporal::DateTimePrinter},
};
use serde::Serialize;

use super::escape;
use crate::{
    outcome::{
        Evidence, KexFailure, KeyExchange, NameList, Outcome, Part, Rule, Service, ServiceDetails,
        Side, Verdict, Weakness,
    },
    targets::Host,
};

/// The version of the row's fields. A version grows by adding fields; none changes its meaning.
pub const SCHEMA: u32 = 1;

/// One outcome as it is written. What does not apply is absent.
///
/// It borrows what the outcome has, and short texts stand in it: nothing is allocated for a row
/// without a banner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The host as it was named.
    pub host: CompactString,
    /// The port.
    pub port: u16,
    /// Whether a connection was accepted.
    pub open: bool,
    /// The port state.
    pub state: &'static str,
    /// Why it is in this state.
    pub reason: Cow<'static, str>,
    /// The address that the verdict is about. Absent: no connection was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<CompactString>,
    /// What the bytes prove. Absent unless open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'static str>,
    /// The greeting, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<&'a str>,
    /// The greeting, where it is not UTF-8: in base64 (RFC 4648 §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_base64: Option<String>,
    /// The version of ssh's protocol: `2.0`, `1.99` for both, `1.5` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_protocol: Option<&'a str>,
    /// The software that ssh names, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_software: Option<RowText<'a>>,
    /// What ssh's identification says behind the software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_comment: Option<RowText<'a>>,
    /// What ssh offers for the key exchange, and what it signals there; this and the lists that
    /// follow in the server's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kex_algorithms: Option<Vec<&'a str>>,
    /// The algorithms of ssh's host keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_key_algorithms: Option<Vec<&'a str>>,
    /// Ciphers that ssh offers for what the client sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphers_client_to_server: Option<Vec<&'a str>>,
    /// Ciphers that ssh offers for what the server sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphers_server_to_client: Option<Vec<&'a str>>,
    /// Message authentication codes for what the client sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs_client_to_server: Option<Vec<&'a str>>,
    /// Message authentication codes for what the server sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs_server_to_client: Option<Vec<&'a str>>,
    /// Compression of what the client sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_client_to_server: Option<Vec<&'a str>>,
    /// Compression of what the server sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_server_to_client: Option<Vec<&'a str>>,
    /// Why the lists are not there although they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kex_missing: Option<&'static str>,
    /// Telnet's options, as `will echo` where the server offers to do it and `do terminal-type`
    /// where it asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telnet_options: Option<Vec<String>>,
    /// What `other` speaks, where its first bytes say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'a str>,
    /// What is weak in ssh, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<&'static str>>,
    /// Milliseconds until the connection was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// Milliseconds until the first byte came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// Milliseconds until the verdict. Absent: no connection was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<f64>,
    /// What the user calls the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    /// Connections begun.
    pub attempts: u32,
    /// When the verdict was reached: UTC, RFC 3339, with milliseconds.
    pub time: CompactString,
    /// How the verdict came about. Absent unless it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceRow<'a>>,
    /// The rule that decided on the service. Absent unless open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
}

/// A text that a server chose, and that need not be UTF-8. All formats spell it alike; the banner
/// has its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RowText<'a> {
    /// All of it is UTF-8.
    Utf8(&'a str),
    /// Some of it is not: the whole text as [`escape`] writes it, with `\xNN` for a byte that is
    /// no text and `\\` for a backslash.
    Spelled(String),
}

impl<'a> From<&'a [u8]> for RowText<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        str::from_utf8(bytes).map_or_else(|_| Self::Spelled(escape(bytes)), Self::Utf8)
    }
}

/// How a verdict came about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceRow<'a> {
    /// The rule that decided.
    pub rule: &'static str,
    /// What was said, in its order.
    pub parts: Vec<PartRow<'a>>,
    /// Bytes of the conversation behind these that were not kept.
    pub left_out_bytes: u64,
}

/// What was read or written at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartRow<'a> {
    /// Milliseconds from the start of the attempt.
    pub at_ms: f64,
    /// Who said it: `server` or `portmuster`.
    pub side: &'static str,
    /// The bytes, where they are UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    /// The bytes, where they are not UTF-8: in base64 (RFC 4648 §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// What is said of a server that said nothing.
static NOTHING: LazyLock<ServiceDetails> = LazyLock::new(ServiceDetails::default);

impl<'a> From<&'a Outcome> for Row<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let verdict = &outcome.verdict;
        let (banner, banner_base64) = text(&verdict.banner);
        let details = verdict.details.as_deref().unwrap_or(&NOTHING);
        let identification = details.identification.as_ref();
        let offer = details.key_exchange.kex_init();
        Self {
            schema: SCHEMA,
            host: host(&outcome.target.host),
            port: outcome.target.port,
            open: outcome.is_open(),
            state: verdict.state.name(),
            reason: verdict.reason.name(),
            address: outcome.endpoint.map(|endpoint| address(endpoint.ip())),
            service: verdict.service.map(Service::name),
            banner,
            banner_base64,
            ssh_protocol: identification.map(|it| &*it.protocol),
            ssh_software: identification.map(|it| (&*it.software).into()),
            ssh_comment: identification.and_then(|it| it.comment.as_deref()).map(Into::into),
            kex_algorithms: offer.map(|offer| names(&offer.kex)),
            host_key_algorithms: offer.map(|offer| names(&offer.host_keys)),
            ciphers_client_to_server: offer.map(|offer| names(&offer.ciphers_client_to_server)),
            ciphers_server_to_client: offer.map(|offer| names(&offer.ciphers_server_to_client)),
            macs_client_to_server: offer.map(|offer| names(&offer.macs_client_to_server)),
            macs_server_to_client: offer.map(|offer| names(&offer.macs_server_to_client)),
            compression_client_to_server: offer
                .map(|offer| names(&offer.compression_client_to_server)),
            compression_server_to_client: offer
                .map(|offer| names(&offer.compression_server_to_client)),
            kex_missing: missing(&details.key_exchange).map(KexFailure::name),
            telnet_options: some(details.options.iter().map(ToString::to_string)),
            protocol: details.protocol.as_deref(),
            findings: some(details.findings.iter().copied().map(Weakness::name)),
            connect_ms: verdict.times.connect.map(milliseconds),
            first_byte_ms: verdict.times.first_byte.map(milliseconds),
            total_ms: outcome.endpoint.map(|_| milliseconds(verdict.times.total)),
            label: outcome.target.label.as_deref(),
            attempts: outcome.attempts,
            time: timestamp(outcome.time),
            evidence: details.evidence.as_ref().and_then(|it| evidence(verdict, it)),
            rule: verdict.rule.map(Rule::name),
        }
    }
}

fn host(host: &Host) -> CompactString {
    match host {
        Host::Address(of) => address(*of),
        Host::Name(name) => CompactString::from(&**name),
    }
}

pub(super) fn address(address: IpAddr) -> CompactString {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => address.to_compact_string(),
    }
}

/// In a tenth of what the standard library takes: it is in every row, and twice.
fn v4(address: Ipv4Addr) -> CompactString {
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
    CompactString::from_utf8(&text[..end - 1]).expect("digits and dots are text")
}

fn names(list: &NameList) -> Vec<&str> {
    list.iter().collect()
}

/// The list, unless it is empty.
fn some<T>(list: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let list: Vec<_> = list.collect();
    (!list.is_empty()).then_some(list)
}

fn missing(key_exchange: &KeyExchange) -> Option<KexFailure> {
    match *key_exchange {
        KeyExchange::Missing(reason) => Some(reason),
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

/// To the millisecond; the end of time for a clock beyond what RFC 3339 can write.
pub(super) fn timestamp(time: SystemTime) -> CompactString {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

    thread_local! {
        /// Outcomes that became known together have the same time.
        static LAST: RefCell<(SystemTime, CompactString)> =
            const { RefCell::new((SystemTime::UNIX_EPOCH, CompactString::const_new(""))) };
    }

    LAST.with_borrow_mut(|(last, text)| {
        if *last != time || text.is_empty() {
            let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
            text.clear();
            PRINTER
                .print_timestamp(&timestamp, StdFmtWrite(&mut *text))
                .expect("a string takes everything");
            *last = time;
        }
        text.clone()
    })
}

/// To the microsecond: finer is noise.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    Duration::from_micros(microseconds(duration)).div_duration_f64(Duration::from_millis(1))
}

/// Rounded; saturates.
pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)
}

/// The bytes as text, or in base64 when they are none.
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

    #[test]
    fn times_are_told_to_the_millisecond_also_again_and_in_between() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_000_000_120, "2026-11-18T11:06:40.120Z"),
            (1_795_000_000_120, "2026-11-18T11:06:40.120Z"),
            (0, "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(at(milliseconds)), expected);
        }
    }

    proptest! {
        #[test]
        fn addresses_are_written_as_everywhere(bits: u32) {
            let address = Ipv4Addr::from(bits);
            prop_assert_eq!(v4(address), address.to_string());
        }
    }
}
