//! The question `million`: what a million connection attempts at the same time cost.

use std::{
    fs::{self, File},
    io::Write,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;

use crate::{
    answers::{Coverage, assess},
    arguments::{at_least_one, cores},
    baseline,
    harness::Harness,
    lateness::Lateness,
    list::List,
    namespace::{Namespace, sh},
    parsers,
    program::Depth,
    row::{Measurement, Row, count},
    section::{Goal, Section, Wanted},
    span::{SILENT_PORT, Span},
    watch::{self, Observation},
};

/// The first target's address.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);

/// The most private memory of an attempt, in bytes.
const BYTES_MAX: f64 = 300.0;

/// The most CPU time, as a multiple of the baseline's.
const CPU_MAX: f64 = 1.3;

/// The most lateness of 99 of 100 deadlines, as a multiple of the idle timer's.
const LATENESS_MAX: f64 = 2.0;

/// Descriptors of a table that are reserved for other files than sockets.
const RESERVE: u64 = 64;

/// Timeout of the one target with which memory at rest is measured.
const REST: Duration = Duration::from_secs(2);

/// Options of the subcommand `million`.
#[derive(Debug, Args)]
pub(crate) struct MillionOptions {
    /// Targets, all of them in flight at the same time
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = at_least_one)]
    in_flight: usize,
    /// Timeout of each target in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    timeout_ms: u64,
    /// The hard limit of descriptors
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    descriptors: u64,
}

/// Runs the baseline, then portmuster with one target, then portmuster with all.
pub(crate) fn run(options: &MillionOptions, harness: &mut Harness) -> Result<()> {
    let &MillionOptions { in_flight, timeout_ms, descriptors } = options;
    let mut namespace = Namespace::prepare()?;
    sh("ip route add local 10.0.0.0/8 dev lo")?;
    namespace.silence(SILENT_PORT)?;
    namespace.limit_descriptors(descriptors)?;
    let title = format!(
        "{in_flight} targets that never answer, all in flight at the same time; {timeout_ms} ms for each, {descriptors} descriptors"
    );
    writeln!(anstream::stdout(), "{title}")?;

    let list = List::new(Span::silent(FIRST, in_flight))?;
    let (theirs, their_lateness) = run_baseline(options, &list)?;
    writeln!(anstream::stdout(), "  the baseline has run")?;
    let program = harness.portmuster()?;
    let timeout = Duration::from_millis(timeout_ms);
    let at_rest = {
        let (one, rest) = (List::new(Span::silent(FIRST, 1))?, timeout.min(REST));
        let mut command = command(&program, &one, in_flight, rest);
        watch::run(&mut command, rest)?
    };
    let mut command = command(&program, &list, in_flight, timeout);
    let ours = watch::run(&mut command, timeout)?;
    let (early, our_lateness) = deadlines(&list, timeout)?;
    let rows = vec![
        row("the baseline, with deadlines", &theirs, in_flight),
        Row { command: Some(list.as_typed(&command)), ..row("portmuster", &ours, in_flight) },
    ];
    let goals = vec![
        Goal::number(
            "attempts in flight at the peak",
            number(ours.sockets),
            Wanted::AtLeast,
            count(in_flight),
        ),
        Goal::number(
            "private bytes of each attempt",
            number(ours.private_kib.saturating_sub(at_rest.private_kib)) * 1024.0
                / count(in_flight),
            Wanted::AtMost,
            BYTES_MAX,
        ),
        Goal::at_most("CPU, portmuster to the baseline", rows[1].cpu_ratio(&rows[0]), CPU_MAX),
        Goal::number("given up before their deadline", count(early), Wanted::AtMost, 0.0),
        Goal::number(
            "lateness of 99 of 100 deadlines, to that of an idle timer",
            f64::from(our_lateness.p99) / f64::from(ours.idle_timer.p99.max(1)),
            Wanted::AtMost,
            LATENESS_MAX,
        ),
    ];
    let notes = vec![
        describe("deadlines of portmuster", our_lateness),
        describe("an idle timer in the same time", ours.idle_timer),
        describe("deadlines of the baseline", their_lateness),
        describe("an idle timer in the same time", theirs.idle_timer),
        format!("sockets of the baseline at the peak: {}", theirs.sockets),
        format!(
            "private memory of portmuster: {} KiB with one target in flight, {} KiB at the peak",
            at_rest.private_kib, ours.private_kib
        ),
    ];
    let settings = namespace.settings;
    harness.add(Section { title, rows, goals, notes, settings, ..Section::default() })
}

/// Runs the baseline, with as many threads as the limit of descriptors requires.
fn run_baseline(options: &MillionOptions, list: &List) -> Result<(Observation, Lateness)> {
    let &MillionOptions { in_flight, timeout_ms, descriptors } = options;
    let window = usize::try_from(descriptors.saturating_sub(RESERVE)).unwrap_or(usize::MAX);
    let threads = in_flight.div_ceil(window.max(1));
    let mut command = baseline::timed_command(threads, list.span(), in_flight, timeout_ms)?;
    let answers = File::create(list.answers()).context("making a file for answers")?;
    command.stdin(Stdio::null()).stdout(answers);
    let observation = watch::run(&mut command, Duration::from_millis(timeout_ms))?;
    let output = fs::read_to_string(list.answers()).context("reading answers")?;
    Ok((observation, baseline::lateness(&output, list.span())?))
}

/// A check of the list with these limits.
fn command(program: &Path, list: &List, in_flight: usize, timeout: Duration) -> Command {
    let mut command = Depth::Connect.command(program, list, cores());
    command.arg("--in-flight").arg(in_flight.to_string());
    command.arg("--timeout").arg(format!("{}ms", timeout.as_millis())).stdin(Stdio::null());
    command
}

/// The field of a row that tells when the target was given up.
#[derive(Deserialize)]
struct TotalTime {
    total_ms: f64,
}

/// Reads the rows: how many targets were given up before their deadline, and how late the others.
fn deadlines(list: &List, timeout: Duration) -> Result<(usize, Lateness)> {
    let text = fs::read_to_string(list.answers()).context("reading rows")?;
    let answers = parsers::portmuster(&text, list.span())?;
    let accuracy = assess(&answers, list.span(), Coverage::EveryTarget)?;
    ensure!(accuracy.is_exact(), "some targets are not reported silent: {accuracy}");
    let (mut early, mut lateness) = (0, Vec::with_capacity(answers.states.len()));
    for line in text.lines() {
        let TotalTime { total_ms } = serde_json::from_str(line).context("a row has no time")?;
        let late_ms = total_ms - timeout.as_secs_f64() * 1e3;
        early += usize::from(late_ms < 0.0);
        lateness.push(micros(late_ms));
    }
    Ok((early, Lateness::of(lateness).context("there are no rows")?))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
fn micros(ms: f64) -> u32 {
    (ms * 1e3).round().clamp(0.0, f64::from(u32::MAX)) as u32
}

fn number(figure: u64) -> f64 {
    count(usize::try_from(figure).unwrap_or(usize::MAX))
}

fn row(name: &str, observation: &Observation, pieces: usize) -> Row {
    let Observation { cost, memory_kib, .. } = *observation;
    let memory_kib = Some(memory_kib);
    Row::new(name, pieces, &[Measurement { cost, memory_kib, accuracy: None }])
}

fn describe(whose: &str, Lateness { median, p99, max }: Lateness) -> String {
    let [median, p99, max] = [median, p99, max].map(|micros| f64::from(micros) / 1e3);
    format!("lateness of {whose}: median {median:.3} ms, 99 of 100 {p99:.3} ms, last {max:.3} ms")
}
