//! `portmuster check`: the main job.

use anyhow::Context;
use portmuster::{Account, Checker, Outcomes, PortState, WorkersReport};

use crate::{
    args::Check,
    collect::{Collected, Collector, Journaled},
    gate::{Ended, Gate},
    input::Input,
    journal::{self, Opened},
    listing,
    measure::Measured,
    output::{Failure, Outputs, ReadFiles, Unopened, refuse_reserved},
    progress::Progress,
    signals::{self, Interrupted},
    status::Status,
    summary, terminal, warnings, workers,
};

/// Checks the targets and writes the rows, or prints what would be checked.
///
/// # Errors
/// The arguments or the input can't be read; nothing was sent.
pub(crate) fn run(check: &Check) -> anyhow::Result<Status> {
    let checker = Checker::new(check.config())?;
    let gate = Gate::new(check)?;
    let input = Input::read(check)?;
    let reads = ReadFiles::of(check);
    if writes_to_stdout(check) {
        reads.refuse_stdout()?;
    }
    if check.selection.dry_run.count || check.selection.dry_run.list {
        return listing::print(check.selection.dry_run, input);
    }
    refuse_reserved(check, &reads)?;
    let opened = journal::open(check, &input)?;
    let gate = match &opened {
        Some(Opened::GoesOn(_, journal)) => {
            let outcomes = journal.account.settled();
            gate.map(|gate| gate.resuming(journal.found.clone(), outcomes)).transpose()?
        }
        Some(Opened::Begins(_)) | None => gate,
    };
    match opened {
        Some(Opened::GoesOn(_, journal)) if journal.complete => {
            Outputs::inspect(check, &journal)?;
            if !check.quiet {
                terminal::note("the journal says that this run is complete: nothing is left to do");
            }
            let ended = Ended {
                account: journal.account,
                targets: summary::ending(&journal.account, input.len()).targets,
                skipped: input.skipped(),
                bad_lines: input.bad_lines().unread(),
                is_cut_short: false,
            };
            let judged = judged(check, gate.as_ref(), &ended);
            Ok(judged.min(completeness(&journal.account)))
        }
        opened => run_kept(check, checker, input, gate, opened),
    }
}

/// Checks the targets and writes the rows.
fn run_kept(
    check: &Check,
    checker: Checker,
    input: Input,
    gate: Option<Gate>,
    mut opened: Option<Opened>,
) -> anyhow::Result<Status> {
    let mut outputs = match open_outputs(check, &mut opened) {
        Ok(outputs) => outputs,
        Err(Unopened::Refused(error)) => return Err(error),
        Err(Unopened::Failed(error)) => return Ok(failed(&error)),
    };
    let begins = check.journaling.resume && matches!(opened, Some(Opened::Begins(_)));
    let kept = opened.map(|opened| Journaled::start(opened, check, &input, &mut outputs));
    let (journaled, settled) = match kept.transpose() {
        Ok(kept) => kept.unzip(),
        Err(error) => return Ok(failed(&error)),
    };
    let settled = settled.unwrap_or_default();
    let (total, skipped, bad_lines) = (input.len(), input.skipped(), input.bad_lines());
    if !check.quiet {
        warnings::say(check, &input);
        if begins {
            terminal::note("there is no journal to resume from: the run begins");
        }
        summary::say_resumed(&settled, total);
    }
    let streamed_skipped = input.streamed_skipped();
    let checker = checker.excluding(input.excludes()).resuming(settled);
    let checker = if journaled.is_some() { checker.resumable() } else { checker };
    let (outcomes, interrupted) = match start(check, checker, input) {
        Ok(running) => running,
        Err(error) => return Ok(failed(&error.context("this machine can't start the run"))),
    };
    if let Some(in_flight) = outcomes.in_flight().filter(|_| !check.quiet) {
        warnings::say_in_flight(check, in_flight, total);
    }
    let mut progress = Progress::start(check, total);
    let (outputs, progress) = (&mut outputs, &mut progress);
    let collector = Collector { outcomes, outputs, progress, total, gate, journaled };
    let Collected { account, gate, workers, written } = collector.run();
    progress.finish();
    interrupted.wait_for_note();
    let mut status = status(&account, &interrupted).min(measure(check, &account, &workers));
    match written {
        Ok(()) => {}
        Err(Failure::ClosedPipe) => return Ok(Status::Complete),
        Err(Failure::Broken(error)) => status = status.min(failed(&error)),
    }
    // The same Ctrl-C ends who writes the list, in the middle of a line or before the first.
    let mut is_cut_short = interrupted.is_set() && total.is_none();
    if !interrupted.is_set()
        && let Some(error) = bad_lines.fatal()
    {
        terminal::error(&error);
        status = status.min(Status::Usage);
        is_cut_short = true;
    }
    let skipped = skipped.with(streamed_skipped.sum());
    if !check.quiet && (account.targets > 0 || !skipped.is_empty()) {
        summary::say(&account, total, skipped, bad_lines.skipped());
        summary::say_workers(&workers, check.verbose);
    }
    let targets = summary::ending(&account, total).targets;
    let bad_lines = bad_lines.unread();
    let ended = Ended { account, targets, skipped, bad_lines, is_cut_short };
    Ok(status.min(judged(check, gate.as_ref(), &ended)))
}

fn open_outputs(check: &Check, opened: &mut Option<Opened>) -> Result<Outputs, Unopened> {
    match opened {
        Some(Opened::GoesOn(_, journal)) => Outputs::resume(check, journal),
        // Before an output is emptied: a journal that names what it had must not outlast that.
        Some(Opened::Begins(journal)) => Outputs::open(check, || journal.empty()),
        None => Outputs::open(check, || Ok(())),
    }
}

fn start(check: &Check, checker: Checker, input: Input) -> anyhow::Result<(Outcomes, Interrupted)> {
    let outcomes = workers::named(checker, check.method)?.check(input.into_targets())?;
    let watched = signals::watch(outcomes.stopper(), check.quiet);
    Ok((outcomes, watched.context("signals can't be watched for")?))
}

/// Writes what the run cost, if that is asked for.
fn measure(check: &Check, account: &Account, workers: &WorkersReport) -> Status {
    let Some(file) = &check.measure else { return Status::Complete };
    let written = Measured::now(account, workers).and_then(|measured| measured.write(file));
    written.map_or_else(|error| failed(&error), |()| Status::Complete)
}

/// Whether anything goes to standard output.
fn writes_to_stdout(check: &Check) -> bool {
    let dry_run = check.selection.dry_run;
    dry_run.count || dry_run.list || check.outputs.iter().any(|output| output.file().is_none())
}

/// Says what failed: an output, the journal, or this machine.
fn failed(error: &anyhow::Error) -> Status {
    terminal::error(error);
    Status::Incomplete
}

/// What the gate makes of the run, which it says.
fn judged(check: &Check, gate: Option<&Gate>, ended: &Ended) -> Status {
    let Some(gate) = gate else { return Status::Complete };
    if !check.quiet {
        gate.say(ended);
    }
    if gate.is_shut(ended) { Status::Finding } else { Status::Complete }
}

fn status(account: &Account, interrupted: &Interrupted) -> Status {
    if interrupted.is_set() { Status::Interrupted } else { completeness(account) }
}

fn completeness(account: &Account) -> Status {
    if account.state(PortState::Unchecked) > 0 { Status::Incomplete } else { Status::Complete }
}
