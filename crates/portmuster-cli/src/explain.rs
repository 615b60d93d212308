//! `portmuster explain`: checks one target and shows each step with its evidence.

use std::{
    io::{self, Write},
    time::Duration,
};

use anstyle::Style;
use anyhow::bail;
use portmuster::{
    Checker, Host, Next, Outcome, Outcomes, PortState, Target,
    config::Proxy,
    outcome::Throttle,
    sink::escape_line,
    targets::{Excludes, Ports, TargetSet},
};

use crate::{
    args::Explain,
    input::describe_argument,
    signals,
    status::Status,
    terminal::{self, Screen},
    workers,
};

mod bytes;
mod host_keys;
mod render;

/// How long to wait for an outcome before a message says what the wait is for.
const TICK: Duration = Duration::from_secs(1);

/// Checks the target and prints the steps.
///
/// # Errors
/// The arguments are invalid; nothing was sent.
pub(crate) fn run(explain: &Explain) -> anyhow::Result<Status> {
    let checker = Checker::new(explain.config()?);
    let checker = checker.identifying(explain.recog.fingerprints()?);
    let target = target(&explain.target)?;
    let mut excludes = Excludes::new();
    if let Some(family) = explain.family.other() {
        excludes.add(family)?;
    }
    let started = checker.excluding(excludes).check([target.clone()]).map_err(workers::explained);
    let running = started.and_then(|outcomes| {
        let interrupted = signals::stop_on_signal(outcomes.stopper(), false)?;
        Ok((outcomes, interrupted))
    });
    let (outcomes, interrupted) = match running {
        Ok(running) => running,
        Err(error) => {
            terminal::error(&error.context("starting the run"));
            return Ok(Status::Incomplete);
        }
    };
    let explained = collect(outcomes);
    interrupted.wait_for_message();
    if interrupted.is_set() {
        return Ok(Status::Interrupted);
    }
    match print(&target, &explained, explain.proxy.proxy().as_ref()) {
        Ok(()) => Ok(explained.status()),
        Err(error) => Ok(terminal::status_of(Err(error))),
    }
}

/// The outcomes of the check.
#[derive(Default)]
struct Explained {
    outcomes: Vec<Outcome>,
    /// Whether a host rejected a connection for load, so that the run paused.
    paused: bool,
}

impl Explained {
    fn status(&self) -> Status {
        let is_unchecked = |outcome: &Outcome| outcome.verdict.state == PortState::Unchecked;
        if self.outcomes.is_empty() || self.outcomes.iter().any(is_unchecked) {
            Status::Incomplete
        } else {
            Status::Complete
        }
    }

    /// Returns the outcome before which the run paused; `None`: no pause, or the outcome is
    /// unknown.
    fn paused_outcome(&self) -> Option<&Outcome> {
        let mut again = self.outcomes.iter().filter(|outcome| outcome.attempts > 1);
        match (again.next(), again.next()) {
            (Some(only), None) if self.paused => Some(only),
            _ => None,
        }
    }
}

/// Collects the outcomes, and prints a message about each long wait.
fn collect(mut run: Outcomes) -> Explained {
    let mut explained = Explained::default();
    let mut announced = None;
    loop {
        match run.next_timeout(TICK) {
            Next::Ended => return explained,
            Next::Outcome(outcome) => explained.outcomes.push(outcome),
            Next::TimedOut => {
                let throttle = run.account().throttle.filter(|throttle| is_long_wait(*throttle));
                explained.paused |= throttle == Some(Throttle::Throttled);
                if throttle != announced
                    && let Some(throttle) = throttle
                {
                    terminal::note(format!("waiting for {throttle}"));
                }
                announced = throttle;
            }
        }
    }
}

/// Returns whether the throttle delays a run of one target noticeably.
fn is_long_wait(throttle: Throttle) -> bool {
    matches!(throttle, Throttle::Throttled | Throttle::Retries | Throttle::Names)
}

/// Parses the argument, which must name exactly one target.
fn target(text: &str) -> anyhow::Result<Target> {
    let mut set = TargetSet::new(&Excludes::new());
    set.add(text, None, &Ports::ssh_and_telnet())
        .map_err(|error| anyhow::Error::msg(describe_argument("target", text, &error)))?;
    match (set.len(), set.get(0)) {
        (1, Some(target)) => Ok(target),
        _ => bail!(
            "{text:?} is not exactly one target: name one host and one port, such as db.example:22"
        ),
    }
}

/// Prints the target, its addresses and the steps of each outcome.
fn print(target: &Target, explained: &Explained, proxy: Option<&Proxy>) -> io::Result<()> {
    let outcomes = &explained.outcomes;
    let paused = explained.paused_outcome();
    let bold = Style::new().bold();
    let columns = Screen::stdout().width;
    let mut output = anstream::stdout().lock();
    writeln!(output, "{bold}{}{bold:#}", escape_line(target.to_string().as_bytes()))?;
    match (&target.host, proxy) {
        (Host::Name(_), Some(proxy)) if proxy.looks_up_names() => {
            writeln!(output, "the proxy looks the name up")?;
        }
        (Host::Name(_), _) => writeln!(output, "{}", resolved(outcomes))?,
        (Host::Address(_), _) => {}
    }
    if explained.paused && paused.is_none() {
        writeln!(output, "one of these asked for fewer connections and was retried after a pause")?;
    }
    for outcome in outcomes {
        let after_pause = paused.is_some_and(|paused| std::ptr::eq(paused, outcome));
        write!(output, "\n{}", render::describe(outcome, proxy, after_pause, columns))?;
    }
    if outcomes.is_empty() {
        writeln!(output, "it has no address to check")?;
    }
    output.flush()
}

/// Describes the addresses of a name.
fn resolved(outcomes: &[Outcome]) -> String {
    let addresses: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.endpoint)
        .map(|endpoint| endpoint.ip().to_string())
        .collect();
    match addresses.as_slice() {
        [] => "resolved to no usable address".to_owned(),
        addresses => format!("resolved to {}", addresses.join(", ")),
    }
}
