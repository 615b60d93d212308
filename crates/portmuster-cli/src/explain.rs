//! `portmuster explain`: one check, told step by step with its evidence.

use std::{
    io::{self, Write},
    time::Duration,
};

use anstyle::Style;
use anyhow::{anyhow, bail};
use portmuster::{
    Checker, Host, Next, Outcome, Outcomes, PortState, Target, Throttle,
    sink::escape_line,
    targets::{Excludes, Ports, TargetSet},
};

use crate::{args::Explain, signals, status::Status, terminal};

mod bytes;
mod render;

/// How long an outcome is waited for before it is said what for.
const TICK: Duration = Duration::from_secs(1);

/// Checks the target and tells how.
///
/// # Errors
/// The arguments can't be read; nothing was sent.
pub(crate) fn run(explain: &Explain) -> anyhow::Result<Status> {
    let checker = Checker::new(explain.config())?;
    let target = target(&explain.target)?;
    let mut excludes = Excludes::new();
    if let Some(family) = explain.family.other() {
        excludes.add(family)?;
    }
    let started = checker.excluding(excludes).check([target.clone()]).map_err(anyhow::Error::from);
    let running = started.and_then(|outcomes| {
        let interrupted = signals::watch(outcomes.stopper(), false)?;
        Ok((outcomes, interrupted))
    });
    let (outcomes, interrupted) = match running {
        Ok(running) => running,
        Err(error) => {
            terminal::error(&error.context("this machine can't start the run"));
            return Ok(Status::Incomplete);
        }
    };
    let explained = collect(outcomes);
    interrupted.wait_for_note();
    if interrupted.is_set() {
        return Ok(Status::Interrupted);
    }
    match tell(&target, &explained) {
        Ok(()) => Ok(explained.status()),
        Err(error) => Ok(terminal::printed(Err(error))),
    }
}

/// What came of the check.
#[derive(Default)]
struct Explained {
    outcomes: Vec<Outcome>,
    /// A host asked for fewer connections and rested.
    rested: bool,
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

    /// The one whose host rested; `None` where that is not known, for a rest is the run's.
    fn rested(&self) -> Option<&Outcome> {
        let mut again = self.outcomes.iter().filter(|outcome| outcome.attempts > 1);
        match (again.next(), again.next()) {
            (Some(only), None) if self.rested => Some(only),
            _ => None,
        }
    }
}

/// Waits for the outcomes, and says what a wait is for that lasts.
fn collect(mut run: Outcomes) -> Explained {
    let mut explained = Explained::default();
    let mut told = None;
    loop {
        match run.next_timeout(TICK) {
            Next::Ended => return explained,
            Next::Outcome(outcome) => explained.outcomes.push(outcome),
            Next::TimedOut => {
                let throttle = run.account().throttle.filter(|throttle| lasts(*throttle));
                explained.rested |= throttle == Some(Throttle::Throttled);
                if throttle != told
                    && let Some(throttle) = throttle
                {
                    terminal::note(format!("waiting for {throttle}"));
                }
                told = throttle;
            }
        }
    }
}

/// Whether it holds a run of one target back for longer than anybody wonders about.
fn lasts(throttle: Throttle) -> bool {
    matches!(throttle, Throttle::Throttled | Throttle::Retries | Throttle::Names)
}

/// The one target that the text names.
fn target(text: &str) -> anyhow::Result<Target> {
    let mut set = TargetSet::new(&Excludes::new());
    set.add(text, None, &Ports::ssh_and_telnet())
        .map_err(|error| anyhow!("target {text:?}, column {}: {error}", error.column))?;
    match (set.len(), set.get(0)) {
        (1, Some(target)) => Ok(target),
        _ => bail!("{text:?} is not one target: name one host and one port, as in db.example:22"),
    }
}

fn tell(target: &Target, explained: &Explained) -> io::Result<()> {
    let outcomes = &explained.outcomes;
    let rested = explained.rested();
    let bold = Style::new().bold();
    let mut output = anstream::stdout().lock();
    writeln!(output, "{bold}{}{bold:#}", escape_line(target.to_string().as_bytes()))?;
    if let Host::Name(_) = target.host {
        writeln!(output, "{}", resolved(outcomes))?;
    }
    if explained.rested && rested.is_none() {
        writeln!(
            output,
            "one of these asked for fewer connections, and rested before it was tried once more"
        )?;
    }
    for outcome in outcomes {
        let rested = rested.is_some_and(|rested| std::ptr::eq(rested, outcome));
        write!(output, "\n{}", render::describe(outcome, rested))?;
    }
    if outcomes.is_empty() {
        writeln!(output, "no address of it is left to check")?;
    }
    output.flush()
}

/// What the resolver said.
fn resolved(outcomes: &[Outcome]) -> String {
    let addresses: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.endpoint)
        .map(|it| it.ip().to_string())
        .collect();
    match addresses.as_slice() {
        [] => "resolved to nothing that can be connected to".to_owned(),
        addresses => format!("resolved to {}", addresses.join(", ")),
    }
}
