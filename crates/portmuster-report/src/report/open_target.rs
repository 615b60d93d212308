//! The open targets as a list.

use serde::Serialize;

use crate::collect::Collector;

/// An open target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OpenTarget {
    /// The host and port as one text.
    pub target: String,
    /// The class.
    pub class: &'static str,
    /// The service.
    pub service: String,
    /// The software of an ssh server, or the protocol of another service; empty if unknown.
    pub software: String,
    /// The weaknesses.
    pub findings: Vec<String>,
    /// The label; empty if it has none.
    pub label: String,
    /// Milliseconds until the connection was accepted; `None`: unknown.
    pub connect_ms: Option<f32>,
    /// Milliseconds until the first byte arrived; `None`: none arrived, or unknown.
    pub first_byte_ms: Option<f32>,
}

/// Returns the open targets, ordered by host and port.
pub(super) fn list(rows: &Collector) -> Vec<OpenTarget> {
    let open = rows.targets.iter().filter_map(|entry| {
        let port = &rows.open[entry.open? as usize];
        let text = |id| rows.texts.get(id).to_owned();
        let protocol = text(port.protocol);
        Some(OpenTarget {
            target: entry.host.with_port(entry.port),
            class: entry.class.name(),
            service: text(port.service),
            software: if protocol.is_empty() { text(port.software) } else { protocol },
            findings: text(port.findings).split_whitespace().map(str::to_owned).collect(),
            label: text(entry.label),
            connect_ms: port.connect_ms,
            first_byte_ms: port.first_byte_ms,
        })
    });
    open.collect()
}
