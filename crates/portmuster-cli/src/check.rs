//! `portmuster check`: the main job.

use std::time::Duration;

use anyhow::Context;
use portmuster::{Account, Checker, Next, Outcomes, PortState, WorkersReport};

use crate::{
    args::Check,
    input::Input,
    listing,
    measure::Measured,
    output::{Failure, Outputs},
    progress::Progress,
    signals::{self, Interrupted},
    status::Status,
    summary, terminal, warnings, workers,
};

/// Rows after which they are flushed and progress is shown, when there is no pause before.
const UPDATE_EVERY: usize = 4096;

/// How long the outcomes are waited for before progress is shown again.
const TICK: Duration = Duration::from_millis(200);

/// Checks the targets and writes the rows, or prints what would be checked.
///
/// # Errors
/// The arguments or the input can't be read; nothing was sent.
pub(crate) fn run(check: &Check) -> anyhow::Result<Status> {
    let checker = Checker::new(check.config())?;
    let input = Input::read(check)?;
    if check.selection.instead.count || check.selection.instead.list {
        return listing::print(check.selection.instead, input);
    }
    let mut outputs = Outputs::open(check)?;
    if !check.quiet {
        warnings::say(check, &input);
    }
    let (total, left_out, bad_lines) = (input.len(), input.left_out(), input.bad_lines());
    let streamed_left_out = input.streamed_left_out();
    let checker = checker.excluding(input.excludes());
    let running = workers::named(checker, check.method).and_then(|checker| {
        let outcomes = checker.check(input.into_targets())?;
        let watched = signals::watch(outcomes.stopper(), check.quiet);
        Ok((outcomes, watched.context("signals can't be watched for")?))
    });
    let (outcomes, interrupted) = match running {
        Ok(running) => running,
        Err(error) => {
            terminal::error(&error.context("this machine can't start the run"));
            return Ok(Status::Incomplete);
        }
    };
    if let Some(in_flight) = outcomes.in_flight().filter(|_| !check.quiet) {
        warnings::say_in_flight(check, in_flight, total);
    }
    let mut progress = Progress::start(check, total);
    let (account, ran_by, failure) = harvest(outcomes, total, &mut outputs, &mut progress);
    progress.finish();
    interrupted.wait_for_note();
    if let Some(file) = &check.measure {
        Measured::now(&account, &ran_by)?.write(file)?;
    }
    let mut status = status(&account, &interrupted);
    match failure {
        Ok(()) => {}
        Err(Failure::ClosedPipe) => return Ok(Status::Complete),
        Err(Failure::Broken(error)) => {
            terminal::error(&error);
            status = status.min(Status::Incomplete);
        }
    }
    // The same Ctrl-C ends who writes the list, in the middle of a line or before the first.
    if !interrupted.is_set()
        && let Some(error) = bad_lines.fatal()
    {
        terminal::error(&error);
        status = status.min(Status::Usage);
    }
    let left_out = left_out.with(streamed_left_out.sum());
    if !check.quiet && (account.targets > 0 || !left_out.is_empty()) {
        summary::say(&account, total, left_out, bad_lines.skipped());
        summary::say_workers(&ran_by, check.verbose);
    }
    Ok(status)
}

/// Writes the rows as they become known; the account, and how workers and outputs fared.
fn harvest(
    mut outcomes: Outcomes,
    total: Option<u128>,
    outputs: &mut Outputs,
    progress: &mut Progress,
) -> (Account, WorkersReport, Result<(), Failure>) {
    let mut written = Ok(());
    let mut since_update = 0;
    while written.is_ok() {
        let is_pause = match outcomes.next_within(TICK) {
            Next::Over => break,
            Next::NotYet => true,
            Next::Outcome(outcome) => {
                written = outputs.write(&outcome);
                since_update += 1;
                outcomes.would_wait()
            }
        };
        if is_pause || since_update == UPDATE_EVERY {
            since_update = 0;
            progress.update(&outcomes.account());
            written = written.and_then(|()| progress.aside(|| outputs.flush()));
        }
    }
    let account = outcomes.account();
    let finished = progress.aside(|| outputs.finish(&summary::ending(&account, total)));
    (account, outcomes.workers().clone(), written.and(finished))
}

fn status(account: &Account, interrupted: &Interrupted) -> Status {
    let mut status = Status::Complete;
    if account.state(PortState::Unchecked) > 0 {
        status = status.min(Status::Incomplete);
    }
    if interrupted.is_set() {
        status = status.min(Status::Interrupted);
    }
    status
}
