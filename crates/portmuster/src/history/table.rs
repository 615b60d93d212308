//! Changes as a table for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{
    change::{Change, ChangeKind, ChangeSide},
    target_result::KnownHostKey,
};
use crate::{
    outcome::{PortState, Service},
    sink::{Paint, columns, describe, escape_line, pad, shorten, shorten_target},
};

/// Limit of the length of an old result, in characters.
const BEFORE_MAX: usize = 36;
/// The characters of a fingerprint that are shown: its kind and 48 bits.
const FINGERPRINT_SHOWN: usize = "SHA256:".len() + 8;

/// The most columns of a new result without its findings.
const NOW_MAX: usize = 100;

/// The columns of the target and of the kinds of a change, and of the target on a narrow terminal.
const TARGET_COLUMNS: usize = 26;
const TARGET_COLUMNS_NARROW: usize = 21;
const KINDS_COLUMNS: usize = 20;

/// Terminals with fewer columns are narrow.
const NARROW: usize = 80;

/// The fewest columns of a result.
const RESULT_COLUMNS_MIN: usize = 8;

/// Writes each change as one row of a table under a header.
#[derive(Debug)]
pub struct ChangeTable<W> {
    output: W,
    paint: Paint,
    /// The most columns of a row. `None`: as many as it needs.
    width: Option<usize>,
    has_header: bool,
}

impl<W: Write> ChangeTable<W> {
    /// Creates a table that is written to `output`.
    pub fn new(output: W, paint: Paint) -> Self {
        Self { output, paint, width: None, has_header: false }
    }

    /// Limits rows to the width of a terminal, in columns; `None`, the default: no limit.
    ///
    /// Results are shortened first, then targets, each with an ellipsis.
    #[must_use]
    pub fn width(self, width: Option<usize>) -> Self {
        Self { width, ..self }
    }

    /// Writes one change.
    ///
    /// # Errors
    /// The change could not be written.
    pub fn write(&mut self, change: &Change) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_header, true) {
            let now = |columns| shorten("NOW", columns).into_owned();
            self.row(Style::new().bold(), ["TARGET", "CHANGE", "BEFORE"], now)?;
        }
        let mut kinds: Vec<_> = change.kinds.iter().copied().map(short_name).collect();
        kinds.dedup();
        let before = change.old.as_ref().map_or_else(String::new, result);
        let now = change.new.as_ref().map_or_else(String::new, result);
        let (findings, what) = findings(change);
        let now = |columns| describe(&shorten(&now, NOW_MAX), &findings, what, columns);
        self.row(style(change), [&target(change), &kinds.join(","), &before], now)
    }

    /// Writes one row. `now` formats its last column, whose width is what the others leave.
    fn row(
        &mut self,
        style: Style,
        [target, kinds, before]: [&str; 3],
        now: impl FnOnce(usize) -> String,
    ) -> io::Result<()> {
        let style = match self.paint {
            Paint::Plain => Style::new(),
            Paint::Ansi => style,
        };
        let cells = self.cells(target, kinds, before);
        let left = self.width.map_or(usize::MAX, |width| width.saturating_sub(columns(&cells)));
        let row = cells + &now(left);
        writeln!(self.output, "{style}{}{style:#}", row.trim_end())
    }

    /// Formats all columns of a row but the last.
    fn cells(&self, target: &str, kinds: &str, before: &str) -> String {
        let before_in = |columns: usize| pad(&shorten(before, columns), columns);
        let Some(width) = self.width else {
            let (target, kinds) = (pad(target, TARGET_COLUMNS), pad(kinds, KINDS_COLUMNS));
            return format!("{target} {kinds} {} ", before_in(BEFORE_MAX));
        };
        let is_narrow = width < NARROW;
        let target_columns = if is_narrow { TARGET_COLUMNS_NARROW } else { TARGET_COLUMNS };
        // A long target takes the place of the padding, and is shortened only if that is not enough.
        let is_long = columns(target) > target_columns;
        let kinds = if is_long { kinds.to_owned() } else { pad(kinds, KINDS_COLUMNS) };
        let target_max = width.saturating_sub(columns(&kinds) + 3 + 2 * RESULT_COLUMNS_MIN);
        let target = pad(&shorten_target(target, target_max.max(target_columns)), target_columns);
        let results = width.saturating_sub(columns(&target) + columns(&kinds) + 3);
        format!("{target} {kinds} {} ", before_in((results / 2).min(BEFORE_MAX)))
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
fn result(ChangeSide { result, .. }: &ChangeSide) -> String {
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

/// Lists the findings that appeared or disappeared, or else all findings of the new run, and says what
/// they are.
fn findings(change: &Change) -> (Vec<String>, &'static str) {
    let signed = |sign: &'static str, findings: &[Box<str>]| -> Vec<String> {
        findings.iter().map(|finding| escape_line(format!("{sign}{finding}").as_bytes())).collect()
    };
    let mut changed = signed("+", &change.new_findings);
    changed.extend(signed("-", &change.gone_findings));
    if change.kinds.contains(&ChangeKind::HostKey) {
        changed.extend(host_keys("+", change.new.as_ref()));
        changed.extend(host_keys("-", change.old.as_ref()));
    }
    match &change.new {
        Some(new) if changed.is_empty() => (signed("", &new.result.findings), "weak"),
        _ => (changed, "changed"),
    }
}

/// Lists the host keys of a result by the start of their fingerprints.
fn host_keys(sign: &str, side: Option<&ChangeSide>) -> Vec<String> {
    let keys = side.into_iter().flat_map(|side| &side.result.host_keys);
    let short = |key: &KnownHostKey| {
        let start: String = key.sha256.chars().take(FINGERPRINT_SHOWN).collect();
        escape_line(format!("{sign}{start}…").as_bytes())
    };
    keys.map(short).collect()
}

/// Returns the style of a change: telnet that is new is red, other ports and findings that are new are
/// yellow, what is gone is green, and what could not be told is magenta.
fn style(change: &Change) -> Style {
    let has = |kinds: &[ChangeKind]| change.kinds.iter().any(|kind| kinds.contains(kind));
    let was_telnet = change.old.as_ref().is_some_and(is_telnet);
    let is_telnet = change.new.as_ref().is_some_and(is_telnet);
    let is_open = |side: &ChangeSide| side.result.state == PortState::Open;
    let came = has(&[ChangeKind::Came]) && change.new.as_ref().is_some_and(is_open);
    let colour = if is_telnet && !was_telnet {
        AnsiColor::Red
    } else if came
        || has(&[
            ChangeKind::Opened,
            ChangeKind::Answers,
            ChangeKind::NewFindings,
            ChangeKind::HostKey,
        ])
    {
        AnsiColor::Yellow
    } else if has(&[ChangeKind::NoAnswer, ChangeKind::Went]) {
        AnsiColor::Magenta
    } else if has(&[ChangeKind::Closed, ChangeKind::GoneFindings]) || (was_telnet && !is_telnet) {
        AnsiColor::Green
    } else {
        return Style::new();
    };
    colour.on_default()
}

fn is_telnet(ChangeSide { result, .. }: &ChangeSide) -> bool {
    let names = [Service::Telnet, Service::TelnetLikely].map(Service::name);
    result.service.as_deref().is_some_and(|service| names.contains(&service))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        history::TargetResult,
        outcome::{Outcome, Reason, Verdict},
        targets::Target,
    };

    #[test]
    fn colours_tell_the_direction_of_a_change() {
        use ChangeKind::{Answers, Came, Closed, GoneFindings, NewFindings, NoAnswer, Opened};

        let side = |state, service| {
            let mut verdict = Verdict::new(state, Reason::Accepted);
            verdict.service = service;
            let outcome = Outcome::new(Target::new("192.0.2.1", 22), verdict);
            ChangeSide { address: None, result: Arc::new(TargetResult::from(&outcome)) }
        };
        let (closed, ssh) =
            (side(PortState::Closed, None), side(PortState::Open, Some(Service::Ssh)));
        let telnet = side(PortState::Open, Some(Service::Telnet));
        let silent = side(PortState::Filtered, None);
        for (kind, old, new, colour) in [
            (Opened, Some(&closed), Some(&telnet), Some(AnsiColor::Red)),
            (Opened, Some(&closed), Some(&ssh), Some(AnsiColor::Yellow)),
            (Answers, Some(&silent), Some(&telnet), Some(AnsiColor::Red)),
            (ChangeKind::Service, Some(&ssh), Some(&telnet), Some(AnsiColor::Red)),
            (ChangeKind::Service, Some(&telnet), Some(&ssh), Some(AnsiColor::Green)),
            (Closed, Some(&telnet), Some(&closed), Some(AnsiColor::Green)),
            (NoAnswer, Some(&telnet), Some(&silent), Some(AnsiColor::Magenta)),
            (NewFindings, Some(&ssh), Some(&ssh), Some(AnsiColor::Yellow)),
            (GoneFindings, Some(&ssh), Some(&ssh), Some(AnsiColor::Green)),
            (ChangeKind::Version, Some(&ssh), Some(&ssh), None),
            (ChangeKind::Banner, Some(&telnet), Some(&telnet), None),
            (Came, None, Some(&ssh), Some(AnsiColor::Yellow)),
            (Came, None, Some(&closed), None),
        ] {
            let change = Change {
                target: Target::new("192.0.2.1", 22),
                kinds: vec![kind],
                old: old.cloned(),
                new: new.cloned(),
                new_findings: Vec::new(),
                gone_findings: Vec::new(),
            };
            let expected = colour.map_or(Style::new(), AnsiColor::on_default);
            assert_eq!(style(&change), expected, "{kind}");
        }
    }
}
