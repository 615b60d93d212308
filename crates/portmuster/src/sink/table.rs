//! A table for people, written row by row.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{
    first_error::StopAfterError,
    fit::{columns, describe, pad, shorten, shorten_target},
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
    text::escape_line,
};
use crate::{
    outcome::{Outcome, PortState, Service, Verdict, Weakness},
    targets::Host,
};

/// The most columns of a greeting.
const GREETING_MAX: usize = 100;

/// The columns of the target, and on a narrow terminal: enough for any IPv4 address with its port.
const TARGET_COLUMNS: usize = 26;
const TARGET_COLUMNS_NARROW: usize = 21;

/// Terminals with fewer columns are narrow.
const NARROW: usize = 80;

/// The fewest columns that a long target leaves to the last column.
const LAST_COLUMNS_MIN: usize = 12;

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
    /// The most columns of a row. `None`: as many as it needs.
    width: Option<usize>,
    has_header: bool,
}

impl<W: Write> Table<W> {
    /// Creates a table. The header is written before the first row.
    pub fn new(output: W, paint: Paint) -> Self {
        Self { output: StopAfterError::new(output), paint, width: None, has_header: false }
    }

    /// Limits rows to the width of a terminal, in columns; `None`, the default: no limit.
    ///
    /// Greetings are shortened first, then findings, then targets, each with an ellipsis. A terminal of
    /// less than 80 columns does not show the times.
    #[must_use]
    pub fn width(self, width: Option<usize>) -> Self {
        Self { width, ..self }
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
        let cells = self.cells("TARGET", "STATE", "SERVICE", "MS");
        let last = self.fit(&cells, |columns| shorten("GREETING OR REASON", columns).into_owned());
        writeln!(self.output, "{bold}{cells}{last}{bold:#}")
    }

    /// Formats all columns of a row but the last.
    fn cells(&self, target: &str, state: &str, service: &str, ms: &str) -> String {
        let is_narrow = self.width.is_some_and(|width| width < NARROW);
        let (target_columns, ms) = if is_narrow {
            (TARGET_COLUMNS_NARROW, String::new())
        } else {
            (TARGET_COLUMNS, format!(" {ms:>9}"))
        };
        let rest = format!(" {state:<10} {service:<13}{ms}  ");
        let Some(width) = self.width else { return pad(target, target_columns) + &rest };
        // A long target takes the place of the padding, and is shortened only if that is not enough.
        let wanted = columns(target) + columns(&rest);
        if columns(target) <= target_columns || wanted + LAST_COLUMNS_MIN <= width {
            return pad(target, target_columns) + &rest;
        }
        let rest = format!(" {state} {service} ");
        shorten_target(target, width.saturating_sub(columns(&rest))).into_owned() + &rest
    }

    /// Formats the last column of a row, whose width is what the others leave.
    fn fit(&self, cells: &str, last: impl FnOnce(usize) -> String) -> String {
        last(self.width.map_or(usize::MAX, |width| width.saturating_sub(columns(cells))))
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
        let style = self.style(style(verdict));
        let target = target(outcome);
        let service = verdict.service.map_or("", Service::name);
        let total_ms = match outcome.endpoint {
            Some(_) => format!("{:.1}", verdict.times.total.as_secs_f64() * 1e3),
            None => String::new(),
        };
        let cells = self.cells(&target, verdict.state.name(), service, &total_ms);
        let last = self.fit(&cells, |columns| last_column(verdict, columns));
        let row = if last.is_empty() { cells.trim_end() } else { &cells };
        writeln!(self.output, "{style}{row}{last}{style:#}")
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
fn last_column(verdict: &Verdict, columns: usize) -> String {
    if verdict.state != PortState::Open {
        return shorten(&verdict.reason.to_string(), columns).into_owned();
    }
    let greeting = escape_line(&verdict.banner);
    let findings: Vec<_> = findings(verdict).iter().map(|it| it.name()).collect();
    describe(&shorten(&greeting, GREETING_MAX), &findings, "weak", columns)
}

fn findings(verdict: &Verdict) -> &[Weakness] {
    verdict.details.as_ref().map_or(&[], |details| &details.findings)
}

/// What is forbidden or weak stands out, and so does what could not be told.
fn style(verdict: &Verdict) -> Style {
    let colour = match (verdict.state, verdict.service) {
        (PortState::Open, Some(Service::Telnet | Service::TelnetLikely)) => AnsiColor::Red,
        (PortState::Open, Some(Service::Ssh)) if findings(verdict).is_empty() => AnsiColor::Green,
        (PortState::Open, _) => AnsiColor::Yellow,
        (PortState::Unchecked, _) => AnsiColor::Magenta,
        _ => return Style::new(),
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Reason, sink::samples, targets::Target};

    /// Returns an ssh server with many findings that is named so.
    fn weak(host: Host, port: u16) -> Outcome {
        Outcome { target: Target { host, port, label: None }, ..samples::everything() }
    }

    fn lines(outcomes: &[Outcome], width: Option<usize>) -> Vec<String> {
        let mut table = Table::new(Vec::new(), Paint::Plain).width(width);
        for outcome in outcomes {
            table.write(outcome).expect("vectors accept any write");
        }
        let text = String::from_utf8(table.get_ref().clone()).expect("tables are UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn rows_fit_the_terminal() {
        let name = "a-very-long-name.of-a-host.in-the-domain.of-a-company.example.com";
        let v6 = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().expect("an address");
        let v4 = "192.168.100.200".parse().expect("an address");
        let mut outcomes = vec![
            weak(Host::Address(v4), 65_535),
            weak(Host::Address(v6), 65_535),
            weak(Host::Name(name.into()), 65_535),
            weak(Host::Name("日本語.example".into()), 22),
            samples::binary(),
            samples::no_utf8(),
            samples::open(&[b'x'; 500], None),
            samples::not_open(PortState::Filtered, Reason::NoAnswer),
            samples::unresolved(),
        ];
        for width in 50..300 {
            let lines = lines(&outcomes, Some(width));
            assert_eq!(lines.len(), outcomes.len() + 1);
            for line in &lines {
                assert!(columns(line) <= width, "{width}: {line}");
            }
            if width >= 60 {
                // The address of IPv6 is whole, and the port of the name is shown.
                assert!(lines[2].starts_with(&format!("[{v6}]:65535 ")), "{}", lines[2]);
                assert!(lines[1..4].iter().all(|line| line.contains(":65535 ")), "{lines:?}");
            }
        }
        outcomes.truncate(1);
        let whole = lines(&outcomes, None);
        assert!(!whole[1].contains('…') && whole[1].contains("[3des, md5]"), "{}", whole[1]);
        assert_eq!(lines(&outcomes, Some(500)), whole);
    }
}
