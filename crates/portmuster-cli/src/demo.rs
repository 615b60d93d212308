//! `portmuster demo`: starts the lab's servers on loopback and checks them.

use std::{
    collections::HashMap,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use portmuster::{Checker, Config, ConfigError, Outcome, Service, sink::escape_line};
use portmuster_lab::{Fixture, Lab};

use crate::{args::Demo, status::Status, terminal, workers};

/// Maximum number of characters of a greeting that are shown.
const GREETING_MAX: usize = 32;

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
    header(&mut output)?;
    for outcome in checker.check(endpoints)? {
        if let Some(fixture) = outcome.endpoint.and_then(|endpoint| fixtures.get(&endpoint)) {
            wrong += usize::from(!is_as_expected(fixture, &outcome));
            row(&mut output, fixture, &outcome)?;
        }
    }
    let all = fixtures.len();
    terminal::note(format!("{} of {all} servers judged correctly", all - wrong));
    Ok(if wrong == 0 { Status::Complete } else { Status::Incomplete })
}

/// Returns a configuration with short time limits, so that the demo takes seconds.
///
/// All servers are on one host, so there is no limit per host.
fn config(demo: &Demo) -> Result<Config, ConfigError> {
    Config::builder()
        .method(demo.method)
        .per_host(None)
        .first_byte(Duration::from_secs(6))
        .deadline(Duration::from_secs(7))
        .build()
}

fn is_as_expected(fixture: &Fixture, outcome: &Outcome) -> bool {
    let verdict = &outcome.verdict;
    verdict.state.name() == fixture.state && verdict.service.map(Service::name) == fixture.service
}

fn header(output: &mut impl Write) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(
        output,
        "{bold}{:<8} {:<46} {:<7} {:<13} {:>7}  GREETING OR REASON{bold:#}",
        "SERVER", "WHICH", "STATE", "SERVICE", "MS"
    )
}

fn row(output: &mut impl Write, fixture: &Fixture, outcome: &Outcome) -> io::Result<()> {
    let verdict = &outcome.verdict;
    let style =
        if is_as_expected(fixture, outcome) { Style::new() } else { AnsiColor::Red.on_default() };
    let last_column = match verdict.service {
        Some(_) => escape_line(&verdict.banner),
        None => verdict.reason.to_string(),
    };
    let last_column: String = last_column.chars().take(GREETING_MAX).collect();
    let service = verdict.service.map_or("", Service::name);
    let line = format!(
        "{:<8} {:<46} {:<7} {service:<13} {:>7.1}  {last_column}",
        fixture.kind,
        fixture.about,
        verdict.state,
        verdict.times.total.as_secs_f64() * 1e3,
    );
    writeln!(output, "{style}{}{style:#}", line.trim_end())?;
    output.flush()
}
