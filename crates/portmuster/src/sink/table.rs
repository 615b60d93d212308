//! A table for people, a row as soon as it is known.

use std::io;

use anstyle::{AnsiColor, Style};

use super::{Ending, ResumePoint, SeekableOutput, Sink, escape_line, seekable};
use crate::{
    outcome::{Outcome, PortState, Service, Verdict},
    targets::Host,
};

/// Characters of a greeting that are shown.
const GREETING_MAX: usize = 100;

/// Whether rows are painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// They are plain text.
    Plain,
    /// In ANSI's colours, telnet in red.
    Ansi,
}

/// Writes each outcome as one row of a table, under a header. The columns have fixed widths,
/// because rows are shown before the next are known.
#[derive(Debug)]
pub struct Table<P> {
    place: P,
    paint: Paint,
    begun: bool,
}

impl<P: SeekableOutput> Table<P> {
    /// Begins with a header, once there is a row.
    pub fn begin(place: P, paint: Paint) -> Self {
        Self { place, paint, begun: false }
    }

    /// Goes on below the rows that are there.
    pub fn resume(place: P, paint: Paint) -> Self {
        let begun = place.length().is_some_and(|length| length > 0);
        Self { place, paint, begun }
    }

    fn style(&self, style: Style) -> Style {
        match self.paint {
            Paint::Plain => Style::new(),
            Paint::Ansi => style,
        }
    }

    fn write_header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let bold = self.style(Style::new().bold());
        writeln!(
            self.place,
            "{bold}{:<26} {:<10} {:<13} {:>9}  GREETING OR REASON{bold:#}",
            "TARGET", "STATE", "SERVICE", "MS"
        )
    }
}

impl<P: SeekableOutput> Sink for Table<P> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.write_header()?;
        let verdict = &outcome.verdict;
        let style = self.style(style(verdict.state, verdict.service));
        let target = target(outcome);
        let service = verdict.service.map_or("", Service::name);
        let took = match outcome.endpoint {
            Some(_) => format!("{:.1}", verdict.times.total.as_secs_f64() * 1e3),
            None => String::new(),
        };
        let row = format!("{target:<26} {:<10} {service:<13} {took:>9}  ", verdict.state);
        let told = told(outcome);
        let row = if told.is_empty() { row.trim_end() } else { &row };
        writeln!(self.place, "{style}{row}{told}{style:#}")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.place.flush()
    }

    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        seekable::checkpoint(&mut self.place)
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.place.flush()
    }
}

/// The target, and the address of a name.
fn target(outcome: &Outcome) -> String {
    let named = escape_line(outcome.target.to_string().as_bytes());
    match (&outcome.target.host, outcome.endpoint) {
        (Host::Name(_), Some(endpoint)) => format!("{named} ({})", endpoint.ip()),
        _ => named,
    }
}

/// The greeting and what is weak, or else why the target is in its state.
fn told(outcome: &Outcome) -> String {
    let verdict = &outcome.verdict;
    if verdict.state != PortState::Open {
        return verdict.reason.to_string();
    }
    let mut greeting = escape_line(&verdict.banner);
    if let Some((end, _)) = greeting.char_indices().nth(GREETING_MAX) {
        greeting.truncate(end);
        greeting.push('…');
    }
    match findings(verdict) {
        Some(findings) => format!("{greeting} [{findings}]"),
        None => greeting,
    }
}

fn findings(verdict: &Verdict) -> Option<String> {
    let findings = &verdict.details.as_ref()?.findings;
    let names: Vec<_> = findings.iter().map(|weakness| weakness.name()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn style(state: PortState, service: Option<Service>) -> Style {
    let colour = match (state, service) {
        (PortState::Open, Some(Service::Telnet | Service::TelnetLikely)) => AnsiColor::Red,
        (PortState::Open, Some(Service::Ssh)) => AnsiColor::Green,
        (PortState::Open, _) => AnsiColor::Yellow,
        (PortState::Unchecked, _) => AnsiColor::Magenta,
        _ => return Style::new(),
    };
    colour.on_default()
}
