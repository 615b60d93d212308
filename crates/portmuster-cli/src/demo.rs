//! `portmuster demo`: starts the lab's servers on loopback and checks them.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use portmuster::{
    Checker, Config, ConfigError, Outcome, Service, Verdict,
    sink::{escape_line, shorten},
};
use portmuster_lab::{Fixture, Lab};

use crate::{
    args::Demo,
    status::Status,
    terminal::{self, Screen},
    workers,
};

/// The most columns of a greeting.
const GREETING_MAX: usize = 32;

/// The columns of what a server is, if there is room.
const ABOUT_COLUMNS: usize = 46;

/// The fewest columns of a greeting.
const GREETING_MIN: usize = 12;

/// Terminals with fewer columns show neither the kind of a server nor its time.
const NARROW: usize = 100;

/// Starts the servers, checks them, prints the verdicts and stops the servers.
pub(crate) fn run(demo: &Demo) -> Status {
    match show(demo) {
        Ok(status) => status,
        Err(error) if is_closed_pipe(&error) => Status::Complete,
        Err(error) => {
            terminal::error(&error);
            Status::Incomplete
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn show(demo: &Demo) -> anyhow::Result<Status> {
    let lab = Lab::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let fixtures: HashMap<_, _> =
        lab.fixtures().map(|(fixture, endpoint)| (endpoint, fixture)).collect();
    let endpoints: Vec<_> = lab.fixtures().map(|(_, endpoint)| endpoint).collect();
    let checker = workers::with_this_program(Checker::new(config(demo)?), demo.method)?;
    let mut output = anstream::stdout();
    let mut wrong = 0;
    let width = Screen::stdout().width;
    let is_watched = io::stderr().is_terminal();
    if is_watched {
        let count = endpoints.len();
        terminal::note(format!("checking {count} servers on loopback, which takes 8 s"));
    }
    header(&mut output, width)?;
    for outcome in checker.check(endpoints)? {
        if let Some(fixture) = outcome.endpoint.and_then(|endpoint| fixtures.get(&endpoint)) {
            wrong += usize::from(!is_as_expected(fixture, &outcome));
            row(&mut output, width, fixture, &outcome)?;
        }
    }
    let all = fixtures.len();
    terminal::note(format!("{} of {all} servers judged correctly", all - wrong));
    if is_watched {
        terminal::note("next: portmuster check localhost --show all");
    }
    Ok(if wrong == 0 { Status::Complete } else { Status::Incomplete })
}

/// Returns a configuration with short time limits, so that the demo takes seconds.
///
/// All servers are on one host, so there is no limit per host.
fn config(demo: &Demo) -> Result<Config, ConfigError> {
    Config::builder()
        .method(demo.method)
        .per_host(None)
        // The servers are on this machine.
        .bypass_preload(true)
        .first_byte(Duration::from_secs(6))
        .deadline(Duration::from_secs(7))
        .build()
}

fn is_as_expected(fixture: &Fixture, outcome: &Outcome) -> bool {
    let verdict = &outcome.verdict;
    verdict.state.name() == fixture.state && verdict.service.map(Service::name) == fixture.service
}

fn header(output: &mut impl Write, width: Option<usize>) -> io::Result<()> {
    let bold = Style::new().bold();
    let header = ["SERVER", "WHICH", "STATE", "SERVICE", "MS", "GREETING OR REASON"];
    writeln!(output, "{bold}{}{bold:#}", line(width, header))
}

fn row(
    output: &mut impl Write,
    width: Option<usize>,
    fixture: &Fixture,
    outcome: &Outcome,
) -> io::Result<()> {
    let verdict = &outcome.verdict;
    let (style, last) = if is_as_expected(fixture, outcome) {
        (style(verdict), last_column(verdict))
    } else {
        let expected = [fixture.state, fixture.service.unwrap_or_default()].join(" ");
        (Style::new().bold(), format!("WRONG, not {}", expected.trim_end()))
    };
    let service = verdict.service.map_or("", Service::name);
    let ms = format!("{:.1}", verdict.times.total.as_secs_f64() * 1e3);
    let kind = fixture.kind.to_string();
    let cells = [&kind, fixture.about, verdict.state.name(), service, &ms, &last];
    writeln!(output, "{style}{}{style:#}", line(width, cells))?;
    output.flush()
}

/// Describes a server by its greeting and the number of its findings, or a port by the reason for its
/// state.
fn last_column(verdict: &Verdict) -> String {
    if verdict.service.is_none() {
        return verdict.reason.to_string();
    }
    let greeting = escape_line(&verdict.banner);
    match verdict.findings().len() {
        0 => greeting,
        count => {
            let findings = format!(" [{count} weak]");
            shorten(&greeting, GREETING_MAX - findings.len()).into_owned() + &findings
        }
    }
}

/// Returns the colours of a table.
fn style(verdict: &Verdict) -> Style {
    match verdict.service {
        Some(Service::Telnet | Service::TelnetLikely) => AnsiColor::Red.on_default(),
        Some(Service::Ssh) if verdict.findings().is_empty() => AnsiColor::Green.on_default(),
        Some(_) => AnsiColor::Yellow.on_default(),
        None => Style::new(),
    }
}

/// Formats a line in so many columns; `None`: as many as it needs.
fn line(width: Option<usize>, [kind, about, state, service, ms, last]: [&str; 6]) -> String {
    let cells = match width {
        Some(width) if width < NARROW => {
            let rest = format!(" {state:<7} {service:<13} ");
            let columns = width.saturating_sub(rest.len() + GREETING_MIN).min(ABOUT_COLUMNS);
            format!("{:<columns$}{rest}", shorten(about, columns))
        }
        _ => format!("{kind:<8} {about:<ABOUT_COLUMNS$} {state:<7} {service:<13} {ms:>7}  "),
    };
    let left = width.map_or(GREETING_MAX, |width| width.saturating_sub(cells.chars().count()));
    format!("{cells}{}", shorten(last, left.min(GREETING_MAX))).trim_end().to_owned()
}
