//! `portmuster check`: the main job.

use portmuster::{Account, Checker, Outcomes, PortState, Service};

use crate::{
    args::{Check, ShowProgress},
    input::Input,
    output::{Failure, Outputs},
    progress::Progress,
    signals::{self, Interrupted},
    status::Status,
    terminal,
};

/// Rows after which they are flushed and progress is shown, when there is no pause before.
const UPDATE_EVERY: usize = 4096;

/// Checks the targets and writes the rows.
///
/// # Errors
/// The arguments or the input can't be read; nothing was sent.
pub(crate) fn run(check: &Check) -> anyhow::Result<Status> {
    let config = check.config()?;
    let input = Input::read(check)?;
    let mut outputs = Outputs::open(check)?;
    let total = input.len();
    let (targets, bad_line) = input.into_targets();
    let started = Checker::new(config)?.check(targets).map_err(anyhow::Error::from);
    let running = started.and_then(|outcomes| {
        let interrupted = signals::watch(outcomes.stopper(), check.quiet)?;
        Ok((outcomes, interrupted))
    });
    let (outcomes, interrupted) = match running {
        Ok(running) => running,
        Err(error) => {
            terminal::error(&error.context("this machine can't start the run"));
            return Ok(Status::Incomplete);
        }
    };
    let show = if check.quiet { ShowProgress::Never } else { check.progress };
    let mut progress = Progress::start(show, total);
    let (account, failure) = harvest(outcomes, &mut outputs, &mut progress);
    progress.finish();
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
        && let Some(error) = bad_line.take()
    {
        terminal::error(&error);
        status = status.min(Status::Usage);
    }
    if !check.quiet {
        summarize(&account, total);
    }
    Ok(status)
}

/// Writes the rows as they become known; the account, and how the outputs fared.
fn harvest(
    mut outcomes: Outcomes,
    outputs: &mut Outputs,
    progress: &mut Progress,
) -> (Account, Result<(), Failure>) {
    let mut written = Ok(());
    let mut since_update = 0;
    while written.is_ok()
        && let Some(outcome) = outcomes.next()
    {
        written = outputs.write(&outcome);
        since_update += 1;
        if outcomes.would_wait() || since_update == UPDATE_EVERY {
            since_update = 0;
            progress.update(&outcomes.account());
            written = written.and_then(|()| progress.aside(|| outputs.flush()));
        }
    }
    let finished = progress.aside(|| outputs.finish());
    (outcomes.account(), written.and(finished))
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

/// Says what became of every target.
fn summarize(account: &Account, total: Option<u128>) {
    terminal::note(equation(account, total));
    let services: Vec<_> = Service::ALL
        .into_iter()
        .filter(|&service| account.service(service) > 0)
        .map(|service| format!("{} {service}", account.service(service)))
        .collect();
    if !services.is_empty() {
        terminal::note(format!("open: {}", services.join(", ")));
    }
    if account.found_on_retry > 0 {
        terminal::note(format!(
            "{} found on a retry; if these are many, lower --rate",
            account.found_on_retry
        ));
    }
    if let Some(fault) = account.last_fault {
        let times = account.faults;
        terminal::note(format!(
            "this machine was short of something {times} times, last of {fault}"
        ));
    }
}

/// The sum over all targets.
fn equation(account: &Account, total: Option<u128>) -> String {
    let settled = u128::from(account.settled());
    let total = total.unwrap_or_else(|| account.targets.into()).max(settled);
    let states: Vec<_> = PortState::ALL
        .into_iter()
        .map(|state| format!("{} {state}", account.state(state)))
        .collect();
    format!(
        "{total} targets = {} + {} left, in {:.2} s",
        states.join(" + "),
        total - settled,
        account.elapsed.as_secs_f64()
    )
}
