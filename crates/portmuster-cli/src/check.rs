//! `portmuster check`: checks targets, writes rows and decides the exit status.

use anyhow::{Context, anyhow, bail};
use portmuster::{
    Account, Checker, Outcomes, PortState,
    config::Proxy,
    gates::{GateReport, Gates, RunTotals},
    journal::JournaledRun,
    method::WorkersReport,
    targets::Shard,
};

use crate::{
    args::Check,
    clock,
    closing::{ClosingOutputs, RunEnd},
    collect::{Collected, Collector},
    formats::Labels,
    gate,
    input::{ALL_EXCLUDED, Input, ReadInput, known_keys},
    journal::{self, OpenJournal, SavedState},
    listing,
    measure::Measured,
    output::{OpenError, Outputs, WriteError},
    progress::Progress,
    read_files::ReadFiles,
    reserved::refuse_reserved,
    signals::{self, Interrupted},
    status::Status,
    summary::{self, Found, SoftwareCounts, UncheckedReasons},
    terminal, warnings, workers,
};

/// Checks the targets and writes their rows, or lists the targets.
///
/// # Errors
/// The arguments or the input are invalid; nothing was sent.
pub(crate) fn run(check: &Check) -> anyhow::Result<Status> {
    let checker = Checker::new(check.config()?).preflight().map_err(workers::explained)?;
    let checker = checker.identifying(check.recog.fingerprints()?);
    let checker = match known_keys::read(&check.host_keys.known_hosts)? {
        Some(known_keys) => checker.knowing_keys(known_keys),
        None => checker,
    };
    let gates = gate::create(check)?;
    let input = Input::read(check)?;
    refuse_names_at_proxy(check, &input)?;
    let reads = ReadFiles::of(check);
    let dry_run = check.selection.dry_run;
    if dry_run.is_set() || check.outputs.iter().any(|output| output.file().is_none()) {
        reads.refuse_stdout()?;
    }
    if dry_run.is_set() {
        return listing::print(dry_run, input);
    }
    refuse_reserved(check, &reads)?;
    let closing = match ClosingOutputs::open(check, &reads) {
        Ok(closing) => closing,
        Err(OpenError::Refused(error)) => return Err(error),
        Err(OpenError::Failed(error)) => return Ok(fail(&error)),
    };
    signals::exit_on_truncated_mapping(check.databases());
    let journal = journal::open(check, &input)?;
    let Some(state) = journal.as_ref().and_then(OpenJournal::state) else {
        return check_targets(check, checker, input, gates, journal, closing);
    };
    let outcomes = state.account.settled();
    let resume = |gates| gate::resume(gates, state.gates.as_ref(), outcomes);
    let gates = gates.map(resume).transpose()?;
    if state.complete {
        return report_complete(check, &input, gates.as_ref(), state, closing);
    }
    check_targets(check, checker, input, gates, journal, closing)
}

/// Refuses a proxy that looks names up if their addresses are needed here.
///
/// # Errors
/// The proxy may connect to an excluded address, or an output needs addresses.
fn refuse_names_at_proxy(check: &Check, input: &Input) -> anyhow::Result<()> {
    let proxy = check.proxy.proxy().filter(Proxy::looks_up_names);
    let has_xml = check.outputs.iter().any(|output| output.name() == "xml");
    if let Some(proxy) = proxy.as_ref().filter(|_| has_xml) {
        bail!(
            "each host of -o xml has an address, and {proxy} looks names up: use --proxy socks5://, or \
             another format"
        );
    }
    match proxy.filter(|_| !input.excludes().is_empty()) {
        None => Ok(()),
        Some(proxy) => bail!(
            "{proxy} looks names up, so it may connect to an address that is excluded: use --proxy \
             socks5://, so that names are looked up here, or exclude nothing (--exclude, -4 and -6)"
        ),
    }
}

/// Reports a run that its journal says is complete.
///
/// # Errors
/// An output does not contain the rows of the run.
fn report_complete(
    check: &Check,
    input: &Input,
    gates: Option<&Gates>,
    state: &SavedState,
    closing: ClosingOutputs,
) -> anyhow::Result<Status> {
    Outputs::inspect(check, &state.outputs)?;
    if !check.quiet {
        terminal::note("the journal says that this run is complete: nothing is left to do");
    }
    let mut totals = RunTotals::new(state.account, input.len());
    totals.skipped = input.skipped();
    totals.bad_lines = input.bad_lines().unread();
    totals.certainty = check.max_missed().map(|_| state.silent.certainty());
    let mut status = completeness(&state.account);
    if is_all_excluded(check, !input.set().is_empty(), &totals) {
        terminal::error(&anyhow!("there is no target: {ALL_EXCLUDED}"));
        status = status.min(Status::Usage);
    }
    let reached = Reached { status, is_stopped: false, are_written: false };
    Ok(close(check, gates, &totals, closing, reached))
}

/// Starts or resumes the run, and waits for its end.
///
/// # Errors
/// An output was refused; nothing was sent.
fn check_targets(
    check: &Check,
    checker: Checker,
    input: Input,
    gates: Option<Gates>,
    mut journal: Option<OpenJournal>,
    mut closing: ClosingOutputs,
) -> anyhow::Result<Status> {
    let labels = input.labels();
    let mut outputs = match open_outputs(check, labels, &mut journal, &mut closing) {
        Ok(outputs) => outputs,
        Err(OpenError::Refused(error)) => return Err(error),
        Err(OpenError::Failed(error)) => return Ok(fail(&error)),
    };
    let has_no_journal_yet =
        check.journal.resume && journal.as_ref().is_some_and(|journal| journal.state().is_none());
    let settled = journal.as_ref().map(OpenJournal::settled).unwrap_or_default();
    let silent = journal.as_ref().map(OpenJournal::silent).unwrap_or_default();
    let journaled = journal.map(|journal| start_journal(journal, check, &input, &mut outputs));
    let journaled = match journaled.transpose() {
        Ok(journaled) => journaled,
        Err(error) => return Ok(fail(&error)),
    };
    if !check.quiet {
        warnings::print(check, &input);
        if has_no_journal_yet {
            terminal::note("there is no journal to resume from: starting the run");
        }
        summary::print_resumed(&settled, input.len());
    }
    let before = settled.len();
    let checker = checker.excluding(input.excludes().clone());
    let checker = checker.resuming(settled).resuming_silent(silent);
    let checker = if journaled.is_some() { checker.resumable() } else { checker };
    let read = input.read_parts();
    let (outcomes, interrupted) = match start(check, checker, input) {
        Ok(running) => running,
        Err(error) => return Ok(fail(&error.context("starting the run"))),
    };
    if let Some(in_flight) = outcomes.in_flight().filter(|_| !check.quiet) {
        warnings::print_in_flight(check, in_flight, read.total);
    }
    let mut progress = Progress::start(check, &check.config()?, read.total, before);
    let (outputs, progress) = (&mut outputs, &mut progress);
    let (input, interrupted) = (&read, &interrupted);
    // The journal has no software.
    let software = (before == 0).then(SoftwareCounts::default);
    let unchecked = UncheckedReasons::default();
    let collector = Collector {
        outcomes,
        outputs,
        progress,
        input,
        gates,
        software,
        unchecked,
        journaled,
        interrupted,
    };
    let collected = collector.run();
    progress.finish();
    interrupted.wait_for_message();
    Ok(finish(check, &read, collected, interrupted, closing))
}

/// Prints and writes the summary of a run that has ended, and returns its status.
fn finish(
    check: &Check,
    input: &ReadInput,
    collected: Collected,
    interrupted: &Interrupted,
    closing: ClosingOutputs,
) -> Status {
    let Collected { account, certainty, is_stopped, gates, written, .. } = collected;
    let reached = if interrupted.is_set() { Status::Interrupted } else { completeness(&account) };
    let mut status = reached.min(write_cost(check, &account, &collected.workers));
    let are_written = written.is_ok();
    let is_unread = matches!(written, Err(WriteError::ClosedPipe));
    if let Err(WriteError::Failed(error)) = written {
        status = status.min(fail(&error));
    }
    // Ctrl-C also ends the program that writes the list, possibly in the middle of a line, so an
    // interrupted stream is not an error of the input.
    let mut is_cut_short = interrupted.is_set() && input.total.is_none();
    if !interrupted.is_set()
        && !is_unread
        && let Some(error) = input.bad_lines.take_fatal()
    {
        terminal::error(&error);
        status = status.min(Status::Usage);
        is_cut_short = true;
    }
    let mut totals = input.totals(&account, certainty.as_ref());
    totals.is_cut_short = is_cut_short;
    let is_read = !is_stopped && !is_unread && !is_cut_short;
    if is_read && is_all_excluded(check, input.has_targets(), &totals) {
        terminal::error(&anyhow!("there is no target: {ALL_EXCLUDED}"));
        status = status.min(Status::Usage);
    }
    if is_unread {
        // The run has neither gates nor a reader.
        let status = Status::Complete;
        return status.min(write_closing(closing, &totals, None, (status, is_stopped)));
    }
    if !check.quiet {
        let counts = (collected.software.as_ref(), &collected.unchecked);
        print_summary(check, input, &totals, &collected.workers, counts);
        if check.verbose {
            summary::print_network_losses(&collected.network_losses);
        }
    }
    let reached = Reached { status, is_stopped, are_written };
    close(check, gates.as_ref(), &totals, closing, reached)
}

/// Returns whether nothing was checked because everything is excluded: what the input names, or all
/// addresses of its targets. `has_targets` says whether the input names anything that is not excluded.
fn is_all_excluded(check: &Check, has_targets: bool, totals: &RunTotals) -> bool {
    let RunTotals { account, skipped, .. } = totals;
    let left = totals.targets.saturating_sub(account.excluded.into());
    let is_input_excluded = !has_targets && !skipped.is_empty();
    // Other parts may have targets whose addresses are not excluded.
    let is_run_excluded = account.excluded > 0 && check.selection.shard == Shard::WHOLE;
    left == 0 && (is_input_excluded || is_run_excluded)
}

/// Prints what the run has found in all: the software of all ssh servers, if it is known, and why targets
/// were not checked.
fn print_summary(
    check: &Check,
    input: &ReadInput,
    totals: &RunTotals,
    workers: &WorkersReport,
    (software, unchecked): (Option<&SoftwareCounts>, &UncheckedReasons),
) {
    let RunTotals { account, skipped, .. } = totals;
    let shard = check.selection.shard;
    let is_empty_part = shard != Shard::WHOLE && input.total.is_none_or(|total| total == 0);
    let is_empty_part = is_empty_part && account.targets == 0 && !totals.is_cut_short;
    if account.targets == 0 && skipped.is_empty() && !is_empty_part {
        return;
    }
    if is_empty_part {
        let why = "there are fewer targets than parts";
        terminal::note(format!("part {shard} has no target: {why}"));
    }
    let found = Found {
        account,
        total: input.total,
        skipped: *skipped,
        lines_skipped: input.bad_lines.skipped(),
        software,
        unchecked,
    };
    found.print();
    if let Some(proxy) = check.proxy.proxy() {
        summary::print_proxy(&proxy);
    }
    if let Some(max_missed) = check.max_missed() {
        summary::print_certainty(account, totals.certainty.as_ref(), max_missed);
    }
    summary::print_workers(workers, check.verbose);
}

/// What a run has reached before its gates are judged.
#[derive(Debug, Clone, Copy)]
struct Reached {
    status: Status,
    /// Whether the run was stopped before its end.
    is_stopped: bool,
    /// Whether this process has written the rows of all outputs.
    are_written: bool,
}

/// Judges the gates and writes the files of the end of the run. Returns the status of the program.
fn close(
    check: &Check,
    gates: Option<&Gates>,
    totals: &RunTotals,
    closing: ClosingOutputs,
    reached: Reached,
) -> Status {
    let report = gates.map(|gates| gates.report(totals));
    let Reached { mut status, is_stopped, are_written } = reached;
    if let Some(report) = &report {
        if !check.quiet {
            gate::print(report);
        }
        if report.is_violated() {
            status = status.min(Status::Finding);
        }
    }
    let closed = write_closing(closing, totals, report.as_ref(), (status, is_stopped));
    if are_written && closed == Status::Complete && !check.quiet {
        summary::print_files(check);
    }
    status.min(closed)
}

/// Writes the files that are written at the end of the run.
fn write_closing(
    closing: ClosingOutputs,
    totals: &RunTotals,
    report: Option<&GateReport>,
    (status, is_stopped): (Status, bool),
) -> Status {
    let end = RunEnd { time: clock::now(), is_stopped, status };
    let failed = closing.write(totals, report, end);
    failed.iter().map(fail).min().unwrap_or(Status::Complete)
}

/// Opens the outputs, and empties the files of the end of the run before any of them is changed.
fn open_outputs(
    check: &Check,
    labels: Labels,
    journal: &mut Option<OpenJournal>,
    closing: &mut ClosingOutputs,
) -> Result<Outputs, OpenError> {
    let mut begin_closing = || closing.begin();
    match journal {
        Some(journal) => match journal.state() {
            Some(state) => {
                Outputs::resume(check, labels, (&state.outputs, &state.run), begin_closing)
            }
            // Cleared before any output is emptied, so that no journal names rows that are gone.
            None => Outputs::open(check, labels, || {
                journal.clear().map_err(journal::explained)?;
                begin_closing()
            }),
        },
        None => Outputs::open(check, labels, begin_closing),
    }
}

/// Writes the first checkpoint of this process. From here on the run can be resumed.
///
/// # Errors
/// The journal can't be written.
fn start_journal(
    journal: OpenJournal,
    check: &Check,
    input: &Input,
    outputs: &mut Outputs,
) -> anyhow::Result<JournaledRun> {
    let resume_points = outputs.resume_points().map_err(WriteError::into_error)?;
    journal::start(journal, check, input, outputs.take_journaled(), resume_points)
}

fn start(check: &Check, checker: Checker, input: Input) -> anyhow::Result<(Outcomes, Interrupted)> {
    let checker = workers::with_this_program(checker, check.speed.method)?;
    let outcomes = checker.check(input.into_targets()).map_err(workers::explained)?;
    let interrupted = signals::stop_on_signal(outcomes.stopper(), check.quiet);
    Ok((outcomes, interrupted.context("installing the signal handlers")?))
}

/// Writes the cost of the run to the file of `--measure`, if it is given.
fn write_cost(check: &Check, account: &Account, workers: &WorkersReport) -> Status {
    let Some(file) = &check.measure else { return Status::Complete };
    let written = Measured::now(account, workers).and_then(|measured| measured.write(file));
    written.map_or_else(|error| fail(&error), |()| Status::Complete)
}

/// Prints the failure of an output, the journal or this machine; returns the status.
fn fail(error: &anyhow::Error) -> Status {
    terminal::error(error);
    Status::Incomplete
}

fn completeness(account: &Account) -> Status {
    if account.state(PortState::Unchecked) > 0 { Status::Incomplete } else { Status::Complete }
}
