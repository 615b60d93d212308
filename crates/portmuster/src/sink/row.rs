//! The one row type that every format is written from: schema 1.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Serialize;

use crate::outcome::{Outcome, Service};

/// The version of the row's fields. A version grows by adding fields; none changes its meaning.
pub const SCHEMA: u32 = 1;

/// One outcome as it is written. What does not apply is absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The host as it was named.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether a connection was accepted.
    pub open: bool,
    /// The port state.
    pub state: &'static str,
    /// Why it is in this state.
    pub reason: String,
    /// The address that the verdict is about. Absent: no connection was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the bytes prove. Absent unless open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'static str>,
    /// The greeting, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// The greeting, where it is not UTF-8: in base64 (RFC 4648 §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub banner_base64: Option<String>,
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
    pub label: Option<String>,
    /// Connections begun.
    pub attempts: u32,
    /// When the verdict was reached: UTC, RFC 3339, with milliseconds.
    pub time: String,
}

impl From<&Outcome> for Row {
    fn from(outcome: &Outcome) -> Self {
        let verdict = &outcome.verdict;
        let (banner, banner_base64) = banner(&verdict.banner);
        Self {
            schema: SCHEMA,
            host: outcome.target.host.to_string(),
            port: outcome.target.port,
            open: outcome.is_open(),
            state: verdict.state.name(),
            reason: verdict.reason.name().into_owned(),
            address: outcome.endpoint.map(|endpoint| endpoint.ip().to_string()),
            service: verdict.service.map(Service::name),
            banner,
            banner_base64,
            connect_ms: verdict.times.connect.map(milliseconds),
            first_byte_ms: verdict.times.first_byte.map(milliseconds),
            total_ms: outcome.endpoint.map(|_| milliseconds(verdict.times.total)),
            label: outcome.target.label.as_deref().map(str::to_owned),
            attempts: outcome.attempts,
            time: timestamp(outcome.time),
        }
    }
}

/// To the millisecond; the end of time for a clock beyond what RFC 3339 can write.
fn timestamp(time: SystemTime) -> String {
    format!("{:.3}", Timestamp::try_from(time).unwrap_or(Timestamp::MAX))
}

/// To the microsecond: finer is noise.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// The banner as text, or in base64 when it is none.
fn banner(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok("") => (None, None),
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}
