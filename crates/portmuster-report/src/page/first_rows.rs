//! The first open targets as markup: those that are shown without the script and in print.

use serde_json::Value;

use crate::{
    class::Class,
    collect::{Collector, Entry},
    text::{milliseconds, shorten},
};

/// The most rows.
const ROWS_MAX: usize = 200;

/// The most characters of each text of the evidence.
const TEXT_MAX: usize = 400;

/// The most lines of evidence.
const LINES_MAX: usize = 12;

/// An open target.
pub(super) struct FirstRow<'a> {
    pub(super) target: String,
    pub(super) class: Class,
    pub(super) service: &'a str,
    /// The software or protocol.
    pub(super) software: &'a str,
    pub(super) findings: &'a str,
    pub(super) label: &'a str,
    pub(super) connect: String,
    pub(super) first_byte: String,
    /// Names and texts of the evidence.
    pub(super) evidence: Vec<(String, String)>,
}

/// Returns the open targets that need attention most.
pub(super) fn list(rows: &Collector) -> Vec<FirstRow<'_>> {
    let mut open: Vec<_> = rows.targets.iter().filter(|entry| entry.open.is_some()).collect();
    // The sort is stable: within a class the order of the targets remains.
    open.sort_by_key(|entry| entry.class);
    open.into_iter().take(ROWS_MAX).filter_map(|entry| row(rows, entry)).collect()
}

fn row<'a>(rows: &'a Collector, entry: &Entry) -> Option<FirstRow<'a>> {
    let port = &rows.open[entry.open? as usize];
    let text = |id| rows.texts.get(id);
    let software = if port.protocol > 0 { port.protocol } else { port.software };
    let time = |ms: Option<f32>| ms.map(|ms| milliseconds(ms.into())).unwrap_or_default();
    let mut evidence = vec![
        ("rule".to_owned(), text(port.rule).to_owned()),
        ("greeting".to_owned(), shorten(text(port.banner), TEXT_MAX)),
    ];
    evidence.extend(pairs(text(port.host_keys)));
    evidence.extend(pairs(text(port.offer)));
    evidence.extend(conversation(text(port.evidence)));
    evidence.retain(|(_, text)| !text.is_empty());
    Some(FirstRow {
        target: entry.host.with_port(entry.port),
        class: entry.class,
        service: text(port.service),
        software: text(software),
        findings: text(port.findings),
        label: text(entry.label),
        connect: time(port.connect_ms),
        first_byte: time(port.first_byte_ms),
        evidence,
    })
}

/// Returns the pairs of a JSON array of `[name, text]`.
fn pairs(json: &str) -> Vec<(String, String)> {
    let pairs: Vec<(String, String)> = serde_json::from_str(json).unwrap_or_default();
    let short = |(name, text): (String, String)| (name, shorten(&text, TEXT_MAX));
    pairs.into_iter().map(short).collect()
}

/// Returns the first parts of a conversation, each with its time and sender.
fn conversation(json: &str) -> Vec<(String, String)> {
    let parts: Vec<(Option<f64>, String, String)> =
        serde_json::from_str::<Value>(json).and_then(serde_json::from_value).unwrap_or_default();
    let line = |(ms, side, text): (Option<f64>, String, String)| {
        let time = ms.map(milliseconds).unwrap_or_default();
        (format!("{time} {side}"), shorten(&text, TEXT_MAX))
    };
    parts.into_iter().take(LINES_MAX).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_targets_come_first_with_their_evidence() {
        let mut rows = Collector::default();
        for (host, more) in [
            ("10.0.0.1", r#""service":"ssh","kex_algorithms":["a","b"]"#),
            (
                "10.0.0.2",
                r#""service":"telnet","rule":"telnet-command","banner":"login:","evidence":{"parts":[{"at_ms":1.5,"side":"server","text":"login:"}],"left_out_bytes":3}"#,
            ),
        ] {
            let row = format!(
                r#"{{"schema":1,"host":"{host}","port":23,"state":"open","reason":"x",{more}}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        rows.sort();
        let list = list(&rows);
        assert_eq!([&*list[0].target, &*list[1].target], ["10.0.0.2:23", "10.0.0.1:23"]);
        let lines: Vec<_> =
            list[0].evidence.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(
            lines,
            [
                ("rule", "telnet-command"),
                ("greeting", "login:"),
                ("1.5 ms server", "login:"),
                (" ", "0 parts and 3 bytes more")
            ]
        );
        assert_eq!(list[1].evidence, [("key exchange".to_owned(), "a, b".to_owned())]);
    }
}
