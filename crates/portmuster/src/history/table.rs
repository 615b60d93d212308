//! Changes in a table for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Change, ChangeKind, Side};
use crate::{
    outcome::{PortState, Service},
    sink::{Paint, escape_line},
};

/// Characters that are shown of what was, and of what is.
const BEFORE_MAX: usize = 36;
const NOW_MAX: usize = 100;

/// Writes each change as one row of a table, under a header.
#[derive(Debug)]
pub struct ChangeTable<W> {
    output: W,
    paint: Paint,
    begun: bool,
}

impl<W: Write> ChangeTable<W> {
    /// Writes to `output`.
    pub fn new(output: W, paint: Paint) -> Self {
        Self { output, paint, begun: false }
    }

    /// Takes one change.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&mut self, change: &Change) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.row(Style::new().bold(), ["TARGET", "CHANGE", "BEFORE", "NOW"])?;
        }
        let mut kinds: Vec<_> = change.kinds.iter().copied().map(in_short).collect();
        kinds.dedup();
        let before = change.old.as_ref().map_or_else(String::new, told);
        let mut now = shortened(change.new.as_ref().map_or_else(String::new, told), NOW_MAX);
        if let Some(findings) = findings(change) {
            now = format!("{now} [{findings}]");
        }
        let before = shortened(before, BEFORE_MAX);
        self.row(style(change), [&target(change), &kinds.join(","), &before, &now])
    }

    fn row(&mut self, style: Style, [target, kinds, before, now]: [&str; 4]) -> io::Result<()> {
        let style = match self.paint {
            Paint::Plain => Style::new(),
            Paint::Ansi => style,
        };
        let row = format!("{target:<26} {kinds:<20} {before:<BEFORE_MAX$} {now}");
        writeln!(self.output, "{style}{}{style:#}", row.trim_end())
    }
}

/// Of findings the row shows which are new.
fn in_short(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::NewFindings | ChangeKind::GoneFindings => "findings",
        kind => kind.name(),
    }
}

/// The target, and the addresses of a name.
fn target(change: &Change) -> String {
    let named = escape_line(change.target.to_string().as_bytes());
    let address = |side: &Option<Side>| side.as_ref().and_then(|side| side.address);
    match (address(&change.old), address(&change.new)) {
        (None, None) => named,
        (Some(old), Some(new)) if old != new => format!("{named} ({old} → {new})"),
        (Some(address), _) | (None, Some(address)) => format!("{named} ({address})"),
    }
}

/// What a run knows, in short.
fn told(Side { known, .. }: &Side) -> String {
    let Some(service) = &known.service else {
        return escape_line(format!("{} ({})", known.state, known.reason).as_bytes());
    };
    let said = match &known.identification {
        [_, Some(software), Some(comment)] => format!("{software} {comment}").into_bytes(),
        [_, Some(software), None] => software.as_bytes().to_vec(),
        _ => known.banner.to_vec(),
    };
    let service = match &known.protocol {
        Some(protocol) => format!("{service} ({protocol})"),
        None => service.to_string(),
    };
    escape_line(&[service.as_bytes(), b" ", &said].concat())
}

fn shortened(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        let end = text[..end].char_indices().next_back().map_or(0, |(last, _)| last);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What is weak: where both runs know, what changed of it.
fn findings(change: &Change) -> Option<String> {
    let signed = |sign: &'static str, findings: &[Box<str>]| -> Vec<String> {
        findings.iter().map(|finding| escape_line(format!("{sign}{finding}").as_bytes())).collect()
    };
    let mut names = signed("+", &change.new_findings);
    names.extend(signed("-", &change.gone_findings));
    if names.is_empty()
        && let Some(new) = &change.new
    {
        names = signed("", &new.known.findings);
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// As the table of a run paints what is there now.
fn style(change: &Change) -> Style {
    let Some(Side { known, .. }) = &change.new else { return Style::new() };
    if known.state != PortState::Open {
        return Style::new();
    }
    let is = |service: Service| known.service.as_deref() == Some(service.name());
    let colour = if is(Service::Telnet) || is(Service::TelnetLikely) {
        AnsiColor::Red
    } else if is(Service::Ssh) && change.new_findings.is_empty() {
        AnsiColor::Green
    } else {
        AnsiColor::Yellow
    };
    colour.on_default()
}
