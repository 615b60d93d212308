//! Runs candidates side by side, in rounds.

use std::{io::Write, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    candidate::Candidate,
    cost::measure,
    row::{Measurement, Row},
    section::Section,
};

/// How accurate the answers must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A wrong answer ends the benchmark.
    Exact,
    /// The accuracy is one of the figures.
    Measured,
}

/// A candidate whose first run took longer runs in no further round.
const LONG_RUN: Duration = Duration::from_secs(30);

/// Columns of a candidate's name.
const NAME_WIDTH: usize = 44;

/// Runs each candidate once per round, prints the figures of each run, and returns a section with
/// a row per candidate, whose unit is the first.
///
/// # Errors
/// A candidate fails, or its answers do not meet the demand.
pub(crate) fn run_rounds(
    title: String,
    candidates: &mut [Candidate<'_>],
    rounds: usize,
    demand: Demand,
) -> Result<Section> {
    writeln!(anstream::stdout(), "{title}")?;
    let mut runs: Vec<Vec<Measurement>> = vec![Vec::new(); candidates.len()];
    for round in 1..=rounds {
        for (candidate, runs) in candidates.iter_mut().zip(&mut runs) {
            if runs.first().is_none_or(|first| first.cost.wall <= LONG_RUN) {
                runs.push(run_once(&format!("round {round}"), candidate, demand)?);
            }
        }
    }
    let rows = candidates.iter().zip(runs).map(|(candidate, runs)| Row {
        command: candidate.command.clone(),
        calls: candidate.calls,
        ..Row::new(&candidate.name, candidate.pieces, &runs)
    });
    let rows: Vec<Row> = rows.collect();
    let unit = rows.first().map(|first| first.name.clone());
    Ok(Section { title, rows, unit, ..Section::default() })
}

/// Runs every candidate of each group once and keeps the best of each group: the one that found
/// most open targets, or the fastest of those that found as many. Also returns a line about each run.
pub(crate) fn choose_best(
    groups: Vec<Vec<Candidate<'_>>>,
) -> Result<(Vec<Candidate<'_>>, Vec<String>)> {
    let (mut chosen, mut tried) = (Vec::new(), Vec::new());
    for group in groups {
        let mut best: Option<(Candidate<'_>, Measurement)> = None;
        for mut candidate in group {
            let run = run_once("setting", &mut candidate, Demand::Measured)?;
            tried.push(describe(&candidate, run));
            if best.as_ref().is_none_or(|(_, best)| is_better(run, *best)) {
                best = Some((candidate, run));
            }
        }
        chosen.extend(best.map(|(candidate, _)| candidate));
    }
    Ok((chosen, tried))
}

fn is_better(run: Measurement, best: Measurement) -> bool {
    let open = |run: Measurement| run.accuracy.map_or(0, |accuracy| accuracy.open);
    open(run) > open(best) || (open(run) == open(best) && run.cost.wall < best.cost.wall)
}

fn describe(candidate: &Candidate<'_>, run: Measurement) -> String {
    let command = candidate.command.as_deref().unwrap_or(&candidate.name);
    let found = run.accuracy.filter(|accuracy| accuracy.of > 0);
    let found = found.map(|found| format!(", found {} of {}", found.open, found.of));
    let seconds = run.cost.wall.as_secs_f64();
    format!("`{command}`: {seconds:.2} s{}", found.unwrap_or_default())
}

fn run_once(label: &str, candidate: &mut Candidate<'_>, demand: Demand) -> Result<Measurement> {
    let what = format!("running {}", candidate.name);
    (candidate.prepare)().with_context(|| what.clone())?;
    let (memory_kib, cost) = measure(&mut candidate.run).with_context(|| what.clone())?;
    let accuracy = (candidate.check)().with_context(|| what.clone())?;
    if let Some(accuracy) = accuracy {
        ensure!(demand == Demand::Measured || accuracy.is_exact(), "{what}: {accuracy}");
    }
    let run = Measurement { cost, memory_kib, accuracy };
    let (name, figures) = (&candidate.name, run.describe(candidate.pieces));
    let mut output = anstream::stdout();
    writeln!(output, "  {label}  {name:<NAME_WIDTH$}  {figures}")?;
    output.flush()?;
    Ok(run)
}
