//! A million attempts under way at the same time, none of which is ever answered.

use std::{
    fs::File,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use portmuster::Method;
use serde::Deserialize;

use crate::{
    answers::{self, Coverage},
    contest::{Candidate, Run},
    limit::baseline::{self, Late, Mode},
    list::List,
    mixed,
    namespace::{Namespace, sh},
    program,
    section::{Goal, Section, Wanted},
    span::{SILENT_PORT, Span},
    table::{Row, count},
    watch::{self, Seen},
};

/// Where the targets begin.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);

/// Bytes of its own that an attempt may take.
const BYTES_MOST: f64 = 300.0;

/// How many times the baseline's CPU it may take.
const CPU_MOST: f64 = 1.3;

/// How many times as late as the idle timer 99 of 100 deadlines may be noticed.
const LATE_MOST: f64 = 2.0;

/// Descriptors of a table that are left to all that is no socket.
const RESERVE: u64 = 64;

/// The time that one target takes with which memory at rest is seen.
const REST: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Targets, all of them under way at the same time
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = crate::at_least_one)]
    in_flight: usize,
    /// How long each may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    timeout_ms: u64,
    /// The hard limit of descriptors
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    descriptors: u64,
    /// The portmuster that is measured [default: built from this source]
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// Runs both, and says what each attempt takes.
///
/// # Errors
/// Somebody can't be started, or does not find every target silent.
pub(crate) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut output = anstream::stdout().lock();
    let mut namespace = Namespace::prepare()?;
    sh("ip route add local 10.0.0.0/8 dev lo")?;
    namespace.silence(SILENT_PORT)?;
    namespace.limit_descriptors(options.descriptors)?;
    let title = format!(
        "{} targets that never answer, all of them under way at once; {} ms for each, {} descriptors",
        options.in_flight, options.timeout_ms, options.descriptors
    );
    writeln!(output, "{title}")?;

    let program = options.program.clone().map_or_else(|| program::beside("portmuster"), Ok)?;
    let list = List::new(Span::silent(FIRST, options.in_flight))?;
    let timeout = Duration::from_millis(options.timeout_ms);
    let (theirs, theirs_late) = baseline(options, &list, timeout)?;
    writeln!(output, "  the baseline has run")?;
    let at_rest = {
        let one = List::new(Span::silent(FIRST, 1))?;
        let rest = timeout.min(REST);
        watch::run(&mut command(&program, &one, options.in_flight, rest, None), rest)?
    };
    let (ours, shown) = {
        let answers = Some(list.answers());
        let mut command = command(&program, &list, options.in_flight, timeout, answers.as_deref());
        (watch::run(&mut command, timeout)?, list.as_typed(&command))
    };
    let rows = read(&list, timeout)?;
    let each = bytes_each(ours.own_kib, at_rest.own_kib, options.in_flight);
    let names = ["the baseline, with deadlines", "portmuster"];
    let candidates = [(names[0], &theirs, None), (names[1], &ours, Some(shown))];
    let table: Vec<Row> = candidates
        .into_iter()
        .map(|(name, seen, command)| row(name, seen, command, options.in_flight))
        .collect();
    let goals = goals(&ours, &rows, each, &table, options.in_flight);
    let notes = vec![
        late("portmuster noticed deadlines", rows.late),
        late("an idle timer in the same time", ours.idle_timer),
        late("the baseline noticed deadlines", theirs_late),
        late("an idle timer in the same time", theirs.idle_timer),
        format!("sockets of the baseline at the peak: {}", theirs.sockets),
        format!(
            "memory of portmuster's own: {} KiB at rest, with one target under way, {} KiB at the peak",
            at_rest.own_kib, ours.own_kib
        ),
    ];
    let settings = namespace.settings;
    let section = Section { title, rows: table, goals, notes, settings, ..Section::default() };
    writeln!(output, "{section}").context("telling the figures")?;
    Ok(vec![section])
}

fn goals(ours: &Seen, rows: &Rows, each: f64, table: &[Row], in_flight: usize) -> Vec<Goal> {
    let number = Goal::number;
    let late = f64::from(rows.late.most) / f64::from(ours.idle_timer.most.max(1));
    let open = usize::try_from(ours.sockets).unwrap_or(usize::MAX);
    vec![
        number("attempts open at the peak", count(open), Wanted::AtLeast, count(in_flight)),
        number("bytes of its own for each attempt", each, Wanted::AtMost, BYTES_MOST),
        Goal::at_most(
            "CPU, portmuster to the baseline".into(),
            table[1].cpu_times(&table[0]),
            CPU_MOST,
        ),
        number("given up before their time", count(rows.early), Wanted::AtMost, 0.0),
        number(
            "how late 99 of 100 deadlines are noticed at most, to the same of an idle timer",
            late,
            Wanted::AtMost,
            LATE_MOST,
        ),
    ]
}

/// What the baseline needs for the same, and how late it was.
fn baseline(options: &Options, list: &List, timeout: Duration) -> Result<(Seen, Late)> {
    let window = usize::try_from(options.descriptors.saturating_sub(RESERVE)).unwrap_or(usize::MAX);
    let threads = options.in_flight.div_ceil(window.max(1));
    let mut command = baseline::command(Mode::Timed, threads, list.span())?;
    mixed::under_way(&mut command, options.in_flight, options.timeout_ms);
    let answers = File::create(list.answers()).context("making a file for answers")?;
    let seen = watch::run(command.stdin(Stdio::null()).stdout(answers), timeout)?;
    let told = std::fs::read_to_string(list.answers()).context("reading answers")?;
    let expected = baseline::expected(list.span());
    anyhow::ensure!(told.starts_with(&expected), "{told:?} instead of {expected:?}");
    Ok((seen, Late::read(&told).context("the baseline has not said how late it was")?))
}

fn command(
    program: &Path,
    list: &List,
    in_flight: usize,
    timeout: Duration,
    answers: Option<&Path>,
) -> Command {
    let mut command = program::check(program, list, Method::EventLoop);
    command.args(["--no-probe", "--in-flight", &in_flight.to_string()]);
    command.args(["--timeout", &format!("{}ms", timeout.as_millis())]);
    let output = answers.map_or_else(|| "/dev/null".into(), |path| path.display().to_string());
    command.args(["--force", "--output", &format!("jsonl={output}")]).stdin(Stdio::null());
    command
}

/// What the rows say.
struct Rows {
    /// Given up before their time.
    early: usize,
    late: Late,
}

#[derive(Deserialize)]
struct Times {
    total_ms: f64,
}

/// Reads the rows: every target is to be silent, and to have had its time.
fn read(list: &List, timeout: Duration) -> Result<Rows> {
    let text = std::fs::read_to_string(list.answers()).context("reading rows")?;
    let heard = program::parse(&text, list.span())?;
    let found = answers::judge(&heard, list.span(), Coverage::All)?;
    anyhow::ensure!(found.is_exact(), "some targets are said to be open or refused: {found:?}");
    let (mut early, mut late) = (0, Vec::with_capacity(heard.said.len()));
    let timeout_ms = timeout.as_secs_f64() * 1e3;
    for line in text.lines() {
        let Times { total_ms } = serde_json::from_str(line).context("a row has no time")?;
        early += usize::from(total_ms < timeout_ms);
        late.push(micros((total_ms - timeout_ms) * 1e3));
    }
    Ok(Rows { early, late: Late::of(late).context("there are rows")? })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
fn micros(figure: f64) -> u32 {
    figure.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Bytes for each attempt, of what is there at the peak and not at rest.
fn bytes_each(peak_kib: u64, rest_kib: u64, in_flight: usize) -> f64 {
    let kib = usize::try_from(peak_kib.saturating_sub(rest_kib)).unwrap_or(usize::MAX);
    count(kib) * 1024.0 / count(in_flight)
}

fn row(name: &str, seen: &Seen, command: Option<String>, pieces: usize) -> Row {
    let run = Box::new(|| anyhow::bail!("it has run"));
    let candidate = Candidate { name: name.to_owned(), pieces, calls: None, command, run };
    let run = Run { cost: seen.cost, memory_kib: Some(seen.memory_kib), found: None };
    Row::new(&candidate, &[run])
}

fn late(who: &str, Late { median, most, last }: Late) -> String {
    format!(
        "{who} {} ms late in the middle, 99 of 100 at most {} ms, the last {} ms",
        ms(median),
        ms(most),
        ms(last)
    )
}

fn ms(micros: u32) -> String {
    format!("{:.3}", f64::from(micros) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_at_rest_is_no_attempts() {
        assert!((bytes_each(300, 100, 1024) - 200.0).abs() < 1e-9);
        assert_eq!((micros(-3.0), micros(1.6)), (0, 2));
    }
}
