//! Changes as a table for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::change::{Change, ChangeKind, ChangeSide};
use crate::{
    outcome::{PortState, Service},
    sink::{Paint, escape_line},
};

/// Limit of the length of an old result, in characters.
const BEFORE_MAX: usize = 36;
/// Limit of the length of a new result, in characters.
const NOW_MAX: usize = 100;

/// Writes each change as one row of a table under a header.
#[derive(Debug)]
pub struct ChangeTable<W> {
    output: W,
    paint: Paint,
    has_header: bool,
}

impl<W: Write> ChangeTable<W> {
    /// Creates a table that is written to `output`.
    pub fn new(output: W, paint: Paint) -> Self {
        Self { output, paint, has_header: false }
    }

    /// Writes one change.
    ///
    /// # Errors
    /// The change could not be written.
    pub fn write(&mut self, change: &Change) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_header, true) {
            self.row(Style::new().bold(), ["TARGET", "CHANGE", "BEFORE", "NOW"])?;
        }
        let mut kinds: Vec<_> = change.kinds.iter().copied().map(short_name).collect();
        kinds.dedup();
        let before = change.old.as_ref().map_or_else(String::new, describe);
        let mut now = shortened(change.new.as_ref().map_or_else(String::new, describe), NOW_MAX);
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

/// Returns the name of the kind in the table. The list of findings shows which are new.
fn short_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::NewFindings | ChangeKind::GoneFindings => "findings",
        kind => kind.name(),
    }
}

/// Formats the target, with the addresses if it is a name.
fn target(change: &Change) -> String {
    let target = escape_line(change.target.to_string().as_bytes());
    let address = |side: &Option<ChangeSide>| side.as_ref().and_then(|side| side.address);
    match (address(&change.old), address(&change.new)) {
        (None, None) => target,
        (Some(old), Some(new)) if old != new => format!("{target} ({old} → {new})"),
        (Some(address), _) | (None, Some(address)) => format!("{target} ({address})"),
    }
}

/// Describes a result in short.
fn describe(ChangeSide { result, .. }: &ChangeSide) -> String {
    let Some(service) = &result.service else {
        return escape_line(format!("{} ({})", result.state, result.reason).as_bytes());
    };
    let greeting = match (&result.ssh_software, &result.ssh_comment) {
        (Some(software), Some(comment)) => format!("{software} {comment}").into_bytes(),
        (Some(software), None) => software.as_bytes().to_vec(),
        (None, _) => result.banner.to_vec(),
    };
    let service = match &result.protocol {
        Some(protocol) => format!("{service} ({protocol})"),
        None => service.to_string(),
    };
    escape_line(&[service.as_bytes(), b" ", &greeting].concat())
}

/// Shortens the text to `max` characters, the last of which is an ellipsis.
fn shortened(mut text: String, max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max) {
        let end = text[..end].char_indices().next_back().map_or(0, |(last, _)| last);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Lists the findings that appeared or disappeared, or else all findings of the new run; `None` if
/// there is nothing to list.
fn findings(change: &Change) -> Option<String> {
    let signed = |sign: &'static str, findings: &[Box<str>]| -> Vec<String> {
        findings.iter().map(|finding| escape_line(format!("{sign}{finding}").as_bytes())).collect()
    };
    let mut names = signed("+", &change.new_findings);
    names.extend(signed("-", &change.gone_findings));
    if names.is_empty()
        && let Some(new) = &change.new
    {
        names = signed("", &new.result.findings);
    }
    (!names.is_empty()).then(|| names.join(", "))
}

/// Returns the style of the new result, as in the table of a run.
fn style(change: &Change) -> Style {
    let Some(ChangeSide { result, .. }) = &change.new else { return Style::new() };
    if result.state != PortState::Open {
        return Style::new();
    }
    let is = |service: Service| result.service.as_deref() == Some(service.name());
    let colour = if is(Service::Telnet) || is(Service::TelnetLikely) {
        AnsiColor::Red
    } else if is(Service::Ssh) && change.new_findings.is_empty() {
        AnsiColor::Green
    } else {
        AnsiColor::Yellow
    };
    colour.on_default()
}
