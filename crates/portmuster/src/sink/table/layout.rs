//! The columns of a table, and how they fit a terminal.

use std::net::IpAddr;

use anstyle::{AnsiColor, Style};

use crate::{
    outcome::{HostKey, HostKeys, KeyType, Outcome, PortState, Service, Verdict},
    sink::{
        fit::{columns, describe, pad, shorten, shorten_target},
        text::escape_line,
    },
    targets::Host,
};

/// The most columns of a greeting.
const GREETING_MAX: usize = 100;

/// The columns of the target, and on a narrow terminal: enough for any IPv4 address with its port.
const TARGET_COLUMNS: usize = 26;
const TARGET_COLUMNS_NARROW: usize = 21;

/// The columns of the label, and on a narrow terminal.
pub(super) const LABEL_COLUMNS: usize = 16;
pub(super) const LABEL_COLUMNS_NARROW: usize = 10;

/// Terminals with fewer columns beside the label are narrow.
pub(super) const NARROW: usize = 80;

/// Terminals with this many columns beside the label have a column for the software.
const WIDE: usize = 120;

/// The columns of the software.
const SOFTWARE_COLUMNS: usize = 30;

/// The columns of the host key in a terminal, and with a whole fingerprint.
const KEY_COLUMNS: usize = 24;
const KEY_COLUMNS_WHOLE: usize = 60;

/// The fewest columns that a long target leaves to the last column.
const LAST_COLUMNS_MIN: usize = 12;

/// Whether a table uses colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI colours: telnet is red, a server with weaknesses yellow, other ssh servers green.
    Ansi,
}

impl Paint {
    /// Returns the style, or no style for plain text.
    pub(in crate::sink) fn style(self, style: Style) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Ansi => style,
        }
    }
}

/// How a table formats its header and its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) paint: Paint,
    /// The most columns of a row. `None`: as many as it needs.
    pub(super) width: Option<usize>,
    /// Whether there is a column for labels.
    pub(super) has_labels: bool,
    /// Whether servers were asked for host keys, so that there is a column for them.
    pub(super) has_host_keys: bool,
}

/// The columns of a row before the last one.
struct Cells<'a> {
    target: &'a str,
    label: &'a str,
    state: &'a str,
    service: &'a str,
    ms: &'a str,
    software: &'a str,
    host_key: &'a str,
}

impl Layout {
    /// Returns the layout without labels, host keys and a limit of its width.
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint, width: None, has_labels: false, has_host_keys: false }
    }

    /// Returns the header, without a line end.
    pub(super) fn header(&self) -> String {
        let (state, service) = if self.is_narrow() { ("RESULT", "") } else { ("STATE", "SERVICE") };
        let cells = Cells {
            target: "TARGET",
            label: "LABEL",
            state,
            service,
            ms: "MS",
            software: "SOFTWARE",
            host_key: "HOST KEY",
        };
        let cells = self.cells(&cells);
        let last = self.fit(&cells, |columns| shorten("GREETING OR REASON", columns).into_owned());
        let bold = self.paint.style(Style::new().bold());
        format!("{bold}{cells}{last}{bold:#}")
    }

    /// Returns the row of an outcome, without a line end.
    pub(super) fn row(&self, outcome: &Outcome) -> String {
        let verdict = &outcome.verdict;
        let ms = if outcome.has_time() {
            format!("{:.1}", verdict.times.total.as_secs_f64() * 1e3)
        } else {
            String::new()
        };
        let label = outcome.target.label.as_deref().unwrap_or_default();
        let cells = self.cells(&Cells {
            target: &target(outcome),
            label: &escape_line(label.as_bytes()),
            state: verdict.state.name(),
            service: verdict.service.map_or("", Service::name),
            ms: &ms,
            software: &software(verdict),
            host_key: &self.host_key(verdict),
        });
        let last = self.fit(&cells, |columns| last_column(verdict, columns));
        let row = if last.is_empty() { cells.trim_end() } else { &cells };
        let style = self.paint.style(style(verdict));
        format!("{style}{row}{last}{style:#}")
    }

    fn is_narrow(&self) -> bool {
        self.width.is_some_and(|width| width < NARROW + self.label_columns())
    }

    /// Returns whether there is a column for the software. The column for the host key comes before, because
    /// somebody asked for it.
    fn has_software(&self) -> bool {
        let keys = if self.has_host_keys { KEY_COLUMNS + 2 } else { 0 };
        self.width.is_some_and(|width| width >= WIDE + keys + self.label_columns())
    }

    /// Returns the width of the column for the host key; `None`: there is none.
    fn key_columns(&self) -> Option<usize> {
        let columns = match self.width {
            None => Some(KEY_COLUMNS_WHOLE),
            Some(width) => (width >= WIDE + self.label_columns()).then_some(KEY_COLUMNS),
        };
        columns.filter(|_| self.has_host_keys)
    }

    /// Describes the host keys of a server so that they fit their column: the first one, and how many more
    /// there are. Without a key it says why.
    fn host_key(&self, verdict: &Verdict) -> String {
        let Some((details, columns)) = verdict.details.as_deref().zip(self.key_columns()) else {
            return String::new();
        };
        let HostKeys { keys, missing, .. } = &details.host_keys;
        let Some(first) = keys.first() else {
            return missing.map_or_else(String::new, |failure| format!("none: {failure}"));
        };
        let more = match keys.len() {
            1 => String::new(),
            many => format!(" +{}", many - 1),
        };
        shorten(&describe_key(first), columns - more.len()).into_owned() + &more
    }

    fn label_columns(&self) -> usize {
        if self.has_labels { LABEL_COLUMNS + 1 } else { 0 }
    }

    /// Formats all columns of a row but the last. A narrow terminal shows neither the time nor that a
    /// port with a service is open.
    fn cells(&self, cells: &Cells<'_>) -> String {
        let Cells { target, label, state, service, ms, software, host_key } = cells;
        let (target_columns, label_columns, mut result) = if self.is_narrow() {
            let result = if service.is_empty() { state } else { service };
            (TARGET_COLUMNS_NARROW, LABEL_COLUMNS_NARROW, format!("{result:<13} "))
        } else {
            (TARGET_COLUMNS, LABEL_COLUMNS, format!("{state:<10} {service:<13} {ms:>9}  "))
        };
        if self.has_software() {
            result += &pad(&shorten(software, SOFTWARE_COLUMNS), SOFTWARE_COLUMNS);
            result += "  ";
        }
        if let Some(columns) = self.key_columns() {
            result += &pad(&shorten(host_key, columns), columns);
            result += "  ";
        }
        let label = match (self.has_labels, self.width) {
            (false, _) => String::new(),
            (true, None) => format!(" {}", pad(label, label_columns)),
            (true, Some(_)) => format!(" {}", pad(&shorten(label, label_columns), label_columns)),
        };
        let rest = format!("{label} {result}");
        let Some(width) = self.width else { return pad(target, target_columns) + &rest };
        // A long target takes the place of the padding, and is shortened only if that is not enough.
        let wanted = columns(target) + columns(&rest);
        if columns(target) <= target_columns || wanted + LAST_COLUMNS_MIN <= width {
            return pad(target, target_columns) + &rest;
        }
        let label = label.trim_end();
        let rest = if self.is_narrow() {
            format!("{label} {} ", result.trim_end())
        } else {
            format!("{label} {state} {service} ")
        };
        shorten_target(target, width.saturating_sub(columns(&rest))).into_owned() + &rest
    }

    /// Formats the last column of a row, whose width is what the others leave.
    fn fit(&self, cells: &str, last: impl FnOnce(usize) -> String) -> String {
        last(self.width.map_or(usize::MAX, |width| width.saturating_sub(columns(cells))))
    }
}

/// Formats the target, with the address if it is a name.
fn target(outcome: &Outcome) -> String {
    let target = escape_line(outcome.target.to_string().as_bytes());
    match address_of_name(outcome) {
        Some(address) => format!("{target} ({address})"),
        None => target,
    }
}

/// Returns the address behind a name; `None`: the target is an address, or the name has none.
pub(super) fn address_of_name(outcome: &Outcome) -> Option<IpAddr> {
    match (&outcome.target.host, outcome.endpoint) {
        (Host::Name(_), Some(endpoint)) => Some(endpoint.ip()),
        _ => None,
    }
}

/// Names the daemon of a telnet server and the software; empty if neither is known.
fn software(verdict: &Verdict) -> String {
    let details = verdict.details.as_deref();
    let daemon = details.and_then(|details| details.telnet_daemon).map(|daemon| daemon.name);
    let software = verdict.software().map(|it| escape_line(it.describe().as_bytes()));
    let known = [daemon.map(str::to_owned), software].into_iter().flatten();
    known.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Names the type and the fingerprint of a host key. The size of RSA and DSA keys varies.
fn describe_key(key: &HostKey) -> String {
    let kind = match key.key_type {
        KeyType::Ed25519 => "ed25519".to_owned(),
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => {
            format!("ecdsa-{}", key.bits)
        }
        KeyType::Rsa => format!("rsa-{}", key.bits),
        KeyType::SkEd25519 => "sk-ed25519".to_owned(),
        KeyType::SkEcdsaP256 => "sk-ecdsa".to_owned(),
        KeyType::Dss => format!("dsa-{}", key.bits),
    };
    let fingerprint = key.fingerprint();
    format!("{kind} {}", fingerprint.trim_start_matches("SHA256:"))
}

/// Describes an open port by its greeting and findings, and any other by the reason for its state.
fn last_column(verdict: &Verdict, columns: usize) -> String {
    if verdict.state != PortState::Open {
        return shorten(&verdict.reason.to_string(), columns).into_owned();
    }
    let greeting = escape_line(&verdict.banner);
    let findings: Vec<_> = verdict.findings().iter().map(|it| it.name()).collect();
    describe(&shorten(&greeting, GREETING_MAX), &findings, "weak", columns)
}

/// What is forbidden or weak stands out, and so does what could not be told.
fn style(verdict: &Verdict) -> Style {
    colour(verdict).map_or(Style::new(), AnsiColor::on_default)
}

/// Returns the colour of an outcome; `None`: it has none.
pub(super) fn colour(verdict: &Verdict) -> Option<AnsiColor> {
    match (verdict.state, verdict.service) {
        (PortState::Open, Some(Service::Telnet | Service::TelnetLikely)) => Some(AnsiColor::Red),
        (PortState::Open, Some(Service::Ssh))
            if verdict.findings().iter().all(|finding| finding.is_advice()) =>
        {
            Some(AnsiColor::Green)
        }
        (PortState::Open, _) => Some(AnsiColor::Yellow),
        (PortState::Unchecked, _) => Some(AnsiColor::Magenta),
        _ => None,
    }
}
