//! Several that do the same, measured side by side.

use std::io::Write;

use anyhow::{Context, Result};

use crate::{
    cost::{Cost, measure},
    table::{self, Row},
};

/// One that is measured.
pub(crate) struct Contestant<'a> {
    pub(crate) name: String,
    /// How many pieces of work, or targets, each run does.
    pub(crate) pieces: usize,
    /// System calls for each piece, where they were counted.
    pub(crate) calls: Option<f64>,
    /// Does them all once. What it gives back looks, when the time has been taken, whether all
    /// were done, each as it should.
    pub(crate) run: Box<dyn FnMut() -> Result<Check> + 'a>,
}

/// Looks whether a run did what it was to do.
pub(crate) type Check = Box<dyn FnOnce() -> Result<()>>;

/// Runs all of them in each round, and prints what each run and the rounds together came to, which
/// it also gives back; ratios are to the contestant of this name.
///
/// # Errors
/// One does not do what it should: its figures would be worth nothing.
pub(crate) fn hold(
    output: &mut impl Write,
    title: &str,
    contestants: &mut [Contestant<'_>],
    rounds: usize,
    unit: &str,
) -> Result<Vec<Row>> {
    writeln!(output, "{title}")?;
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); contestants.len()];
    for round in 1..=rounds {
        for (contestant, costs) in contestants.iter_mut().zip(&mut costs) {
            let what = || format!("running {}", contestant.name);
            let (check, cost) = measure(&mut contestant.run).with_context(what)?;
            check().with_context(what)?;
            costs.push(cost);
            let figures = table::run(cost, contestant.pieces);
            writeln!(
                output,
                "  round {round}  {:<w$}  {figures}",
                contestant.name,
                w = table::NAME
            )?;
        }
    }
    let rows = contestants.iter().zip(costs);
    let rows: Vec<_> = rows
        .map(|(contestant, costs)| {
            Row::new(&contestant.name, contestant.pieces, contestant.calls, &costs)
        })
        .collect();
    writeln!(output, "\n{}", table::summary(&rows, unit))?;
    Ok(rows)
}
