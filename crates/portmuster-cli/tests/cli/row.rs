//! Schema 1 as the documentation has it, declared once more: what the program writes must fit.

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
    pub(crate) connect_ms: Option<f64>,
    pub(crate) first_byte_ms: Option<f64>,
    pub(crate) total_ms: Option<f64>,
    pub(crate) label: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) time: String,
}

impl Row {
    /// State and reason, for a target that is not open.
    pub(crate) fn verdict(&self) -> (&str, &str) {
        (&self.state, &self.reason)
    }

    /// What no row may break.
    fn hold_to_the_contract(&self) {
        assert_eq!(self.schema, 1, "{self:?}");
        assert_eq!(self.open, self.state == "open", "{self:?}");
        assert_eq!(self.open, self.reason == "accepted", "{self:?}");
        assert_eq!(self.open, self.service.is_some(), "{self:?}");
        assert_eq!(self.open, self.connect_ms.is_some(), "{self:?}");
        assert_eq!(self.address.is_some(), self.attempts > 0, "{self:?}");
        assert_eq!(self.address.is_some(), self.total_ms.is_some(), "{self:?}");
        assert!(self.banner.is_none() || self.banner_base64.is_none(), "{self:?}");
        let times: Vec<_> =
            [self.connect_ms, self.first_byte_ms, self.total_ms].into_iter().flatten().collect();
        assert!(times.is_sorted() && times.iter().all(|&time| time >= 0.0), "{self:?}");
        let has_banner = self.banner.is_some() || self.banner_base64.is_some();
        assert!(self.first_byte_ms.is_some() || !has_banner, "{self:?}");
        assert!(self.time.parse::<jiff::Timestamp>().is_ok(), "{self:?}");
        assert!(self.time.len() == "2026-11-22T10:00:00.123Z".len(), "{self:?}");
    }
}

/// The rows of some JSON lines, each held to the contract.
pub(crate) fn read(lines: &str) -> Vec<Row> {
    assert!(lines.is_empty() || lines.ends_with('\n'), "the last line is cut off: {lines}");
    lines.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Row {
    let fields: serde_json::Map<String, Value> =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(!fields.values().any(Value::is_null), "what is absent is null: {line}");
    let row: Row = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    row.hold_to_the_contract();
    row
}

/// The targets of the rows, each once.
pub(crate) fn targets(rows: &[Row]) -> BTreeSet<(&str, u16)> {
    let targets: BTreeSet<_> = rows.iter().map(|row| (row.host.as_str(), row.port)).collect();
    assert_eq!(targets.len(), rows.len(), "a target has several rows");
    targets
}
