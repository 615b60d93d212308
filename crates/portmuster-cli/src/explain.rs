//! `portmuster explain`: one check, told step by step with its evidence.

use std::{
    io::{self, Write},
    time::Duration,
};

use anstyle::Style;
use anyhow::{anyhow, bail};
use portmuster::{
    Checker, HeldBy, Host, Next, Outcome, Outcomes, PortState, Target,
    sink::escaped,
    targets::{Excludes, Ports, TargetSet},
};

use crate::{args::Explain, signals, status::Status, terminal};

mod bytes;
mod story;

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
    let harvest = harvest(outcomes);
    interrupted.wait_for_note();
    if interrupted.is_set() {
        return Ok(Status::Interrupted);
    }
    match tell(&target, &harvest) {
        Ok(()) => Ok(harvest.status()),
        Err(error) => Ok(terminal::printed(Err(error))),
    }
}

/// What came of the check.
#[derive(Default)]
struct Harvest {
    outcomes: Vec<Outcome>,
    /// A host asked for fewer connections and rested.
    rested: bool,
}

impl Harvest {
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
fn harvest(mut run: Outcomes) -> Harvest {
    let mut harvest = Harvest::default();
    let mut told = None;
    loop {
        match run.next_within(TICK) {
            Next::Over => return harvest,
            Next::Outcome(outcome) => harvest.outcomes.push(outcome),
            Next::NotYet => {
                let held_by = run.account().held_by.filter(|held_by| lasts(*held_by));
                harvest.rested |= held_by == Some(HeldBy::Throttled);
                if held_by != told
                    && let Some(held_by) = held_by
                {
                    terminal::note(format!("waiting for {held_by}"));
                }
                told = held_by;
            }
        }
    }
}

/// Whether it holds a run of one target back for longer than anybody wonders about.
fn lasts(held_by: HeldBy) -> bool {
    matches!(held_by, HeldBy::Throttled | HeldBy::Retries | HeldBy::Names)
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

fn tell(target: &Target, harvest: &Harvest) -> io::Result<()> {
    let outcomes = &harvest.outcomes;
    let rested = harvest.rested();
    let bold = Style::new().bold();
    let mut output = anstream::stdout().lock();
    writeln!(output, "{bold}{}{bold:#}", escaped(target.to_string().as_bytes()))?;
    if let Host::Name(_) = target.host {
        writeln!(output, "{}", resolved(outcomes))?;
    }
    if harvest.rested && rested.is_none() {
        writeln!(
            output,
            "one of these asked for fewer connections, and rested before it was tried once more"
        )?;
    }
    for outcome in outcomes {
        let rested = rested.is_some_and(|rested| std::ptr::eq(rested, outcome));
        write!(output, "\n{}", story::told(outcome, rested))?;
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
