//! A table for people, written row by row.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{
    first_error::StopAfterError,
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
    text::escape_line,
};
use crate::{
    outcome::{Outcome, PortState, Service, Verdict},
    targets::Host,
};

/// Number of characters of a greeting that the table shows.
const GREETING_MAX: usize = 100;

/// Whether a table uses colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI colours, with telnet in red.
    Ansi,
}

/// Writes each outcome as one row of a table under a header. The columns have fixed widths, because
/// each row is shown before the next one is known.
#[derive(Debug)]
pub struct Table<W> {
    output: StopAfterError<W>,
    paint: Paint,
    has_header: bool,
}

impl<W: Write> Table<W> {
    /// Creates a table. The header is written before the first row.
    pub fn new(output: W, paint: Paint) -> Self {
        Self { output: StopAfterError::new(output), paint, has_header: false }
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }

    fn style(&self, style: Style) -> Style {
        match self.paint {
            Paint::Plain => Style::new(),
            Paint::Ansi => style,
        }
    }

    fn write_header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        let bold = self.style(Style::new().bold());
        writeln!(
            self.output,
            "{bold}{:<26} {:<10} {:<13} {:>9}  GREETING OR REASON{bold:#}",
            "TARGET", "STATE", "SERVICE", "MS"
        )
    }
}

impl<W: ResumableOutput> Table<W> {
    /// Resumes a table from the resume point, and removes later rows.
    ///
    /// # Errors
    /// The output could not be truncated, it is shorter than at the resume point, or the resume
    /// point is of another format.
    pub fn resume(mut output: W, paint: Paint, resume_point: ResumePoint) -> io::Result<Self> {
        let has_header = resume_lines(&mut output, resume_point)? > 0;
        Ok(Self { has_header, ..Self::new(output, paint) })
    }
}

impl<W: Write> Sink for Table<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.write_header()?;
        let verdict = &outcome.verdict;
        let style = self.style(style(verdict.state, verdict.service));
        let target = target(outcome);
        let service = verdict.service.map_or("", Service::name);
        let total_ms = match outcome.endpoint {
            Some(_) => format!("{:.1}", verdict.times.total.as_secs_f64() * 1e3),
            None => String::new(),
        };
        let row = format!("{target:<26} {:<10} {service:<13} {total_ms:>9}  ", verdict.state);
        let description = describe(outcome);
        let row = if description.is_empty() { row.trim_end() } else { &row };
        writeln!(self.output, "{style}{row}{description}{style:#}")
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: ResumableOutput> ResumableSink for Table<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.output.attempt(checkpoint_lines)
    }
}

/// Formats the target, with the address if it is a name.
fn target(outcome: &Outcome) -> String {
    let target = escape_line(outcome.target.to_string().as_bytes());
    match (&outcome.target.host, outcome.endpoint) {
        (Host::Name(_), Some(endpoint)) => format!("{target} ({})", endpoint.ip()),
        _ => target,
    }
}

/// Describes an open port by its greeting and findings, and any other by the reason for its state.
fn describe(outcome: &Outcome) -> String {
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
