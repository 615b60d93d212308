//! Several that do the same, measured side by side.

use std::{io::Write, time::Duration};

use anyhow::{Context, Result};

use crate::{
    answers::Found,
    cost::{Cost, measure},
    table::{self, Row},
};

/// One that is measured.
pub(crate) struct Candidate<'a> {
    pub(crate) name: String,
    /// How many pieces of work, or targets, each run does.
    pub(crate) pieces: usize,
    /// System calls for each piece, where they were counted.
    pub(crate) calls: Option<f64>,
    /// What a person types to have the same, where it is another program.
    pub(crate) command: Option<String>,
    /// Does them all once.
    pub(crate) run: Box<dyn FnMut() -> Result<Ran> + 'a>,
}

/// A run that has ended.
pub(crate) struct Ran {
    /// Looks, when the time has been taken, whether all were done.
    pub(crate) check: Check,
    /// The most memory of the largest process, where it was another one.
    pub(crate) memory_kib: Option<u64>,
}

/// Looks whether a run did what it was to do, and how well targets were found, where there are any.
pub(crate) type Check = Box<dyn FnOnce() -> Result<Option<Found>>>;

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) cost: Cost,
    pub(crate) memory_kib: Option<u64>,
    pub(crate) found: Option<Found>,
}

/// How well targets must be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Every one as it is: the figures of a run that errs would be worth nothing.
    Exact,
    /// As well as they can: how well is one of the figures.
    Measured,
}

/// Who took longer in the first round runs in no other: the rest would wait for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs all of them in each round, prints what each run came to, and gives back what the rounds
/// together did.
///
/// # Errors
/// One does not do what it should: its figures would be worth nothing.
pub(crate) fn run_rounds(
    output: &mut impl Write,
    title: &str,
    candidates: &mut [Candidate<'_>],
    rounds: usize,
    demand: Demand,
) -> Result<Vec<Row>> {
    writeln!(output, "{title}")?;
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); candidates.len()];
    for round in 1..=rounds {
        for (candidate, runs) in candidates.iter_mut().zip(&mut runs) {
            if runs.first().is_some_and(|first| first.cost.wall > PATIENCE) {
                continue;
            }
            runs.push(once(output, &format!("round {round}"), candidate, demand)?);
        }
    }
    Ok(candidates.iter().zip(runs).map(|(candidate, runs)| Row::new(candidate, &runs)).collect())
}

/// Runs each setting of each of them once, and keeps the best: the one that found most of what is
/// open, and of those that found as many the fastest. What it tried is told.
///
/// # Errors
/// One does not do what it should.
pub(crate) fn choose<'a>(
    output: &mut impl Write,
    several: Vec<Vec<Candidate<'a>>>,
    tried: &mut Vec<String>,
) -> Result<Vec<Candidate<'a>>> {
    let mut chosen = Vec::new();
    for mut settings in several {
        if settings.len() > 1 {
            let mut best: Option<(usize, Run)> = None;
            for (nth, candidate) in settings.iter_mut().enumerate() {
                let run = once(output, "setting", candidate, Demand::Measured)?;
                tried.push(told(candidate, run));
                if best.is_none_or(|(_, before)| is_better(run, before)) {
                    best = Some((nth, run));
                }
            }
            let (nth, _) = best.context("there is a setting")?;
            settings.swap(0, nth);
        }
        settings.truncate(1);
        chosen.append(&mut settings);
    }
    Ok(chosen)
}

fn is_better(run: Run, before: Run) -> bool {
    let open = |run: Run| run.found.map_or(0, |found| found.open);
    if open(run) == open(before) {
        run.cost.wall < before.cost.wall
    } else {
        open(run) > open(before)
    }
}

fn told(candidate: &Candidate<'_>, run: Run) -> String {
    let command = candidate.command.as_deref().unwrap_or(&candidate.name);
    let found = run.found.filter(|found| found.of > 0);
    let found =
        found.map_or(String::new(), |Found { open, of, .. }| format!(", found {open} of {of}"));
    format!("`{command}`: {:.2} s{found}", run.cost.wall.as_secs_f64())
}

fn once(
    output: &mut impl Write,
    which: &str,
    candidate: &mut Candidate<'_>,
    demand: Demand,
) -> Result<Run> {
    let what = || format!("running {}", candidate.name);
    let (ran, cost) = measure(&mut candidate.run).with_context(what)?;
    let found = (ran.check)().with_context(what)?;
    if demand == Demand::Exact
        && let Some(found) = found
    {
        anyhow::ensure!(found.is_exact(), "running {}: {}", candidate.name, table::found(found));
    }
    let run = Run { cost, memory_kib: ran.memory_kib, found };
    let figures = table::run(run, candidate.pieces);
    writeln!(output, "  {which}  {:<w$}  {figures}", candidate.name, w = table::NAME)?;
    output.flush()?;
    Ok(run)
}
