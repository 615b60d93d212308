//! The comparison as a table or as JSON Lines.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{run::Run, series::Series};

/// The version of the fields. A field never changes its meaning within a version; new ones may be
/// added.
const SCHEMA: u32 = 1;

/// The figures of one method: medians over its runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    schema: u32,
    method: &'static str,
    rounds: usize,
    targets: u64,
    /// Targets per second: median, minimum and maximum.
    targets_per_s: f64,
    targets_per_s_min: f64,
    targets_per_s_max: f64,
    wall_s: f64,
    cpu_s: f64,
    /// Peak memory of all processes together, in KiB.
    peak_memory_kib: u64,
    context_switches: u64,
    peak_in_flight: usize,
    workers: usize,
    /// Jain's fairness index of the attempts per worker, from 1/workers to 1.
    fairness: f64,
    /// Number of targets whose result differs from the first method's.
    differing: u64,
}

impl From<&Series> for Row {
    fn from(series: &Series) -> Self {
        let runs = &series.runs;
        let rates = sorted(runs, rate);
        Self {
            schema: SCHEMA,
            method: series.method.name(),
            rounds: runs.len(),
            targets: runs.first().map_or(0, |run| run.measured.targets),
            targets_per_s: median(&rates),
            targets_per_s_min: rates.first().copied().unwrap_or_default(),
            targets_per_s_max: rates.last().copied().unwrap_or_default(),
            wall_s: median(&sorted(runs, |run| run.wall.as_secs_f64())),
            cpu_s: median(&sorted(runs, |run| run.measured.cpu_s)),
            peak_memory_kib: middle(runs, |run| run.peak_kib),
            context_switches: middle(runs, |run| run.measured.context_switches),
            peak_in_flight: middle(runs, |run| run.measured.peak_in_flight),
            workers: middle(runs, |run| run.measured.shares.len()),
            fairness: median(&sorted(runs, |run| fairness(&run.measured.shares))),
            differing: series.differing,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs fewer than 16 digits")]
fn rate(run: &Run) -> f64 {
    run.measured.targets as f64 / run.wall.as_secs_f64()
}

/// Returns Jain's fairness index, (Σx)² / (n Σx²) (Jain, Chiu and Hawe, 1984).
///
/// It is 1 if all shares are equal, also if all are 0, and 1/n if one worker did everything.
#[expect(clippy::cast_precision_loss, reason = "an index needs fewer than 16 digits")]
fn fairness(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|&share| share as f64).sum();
    let squares: f64 = shares.iter().map(|&share| (share as f64).powi(2)).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

/// Returns a figure of all runs in ascending order.
fn sorted(runs: &[Run], figure: impl Fn(&Run) -> f64) -> Vec<f64> {
    let mut figures: Vec<_> = runs.iter().map(figure).collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures
}

/// Returns the median; of an even number of figures, the mean of the middle two.
fn median(sorted: &[f64]) -> f64 {
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

/// Returns the median of an integer figure; of an even number, the upper of the middle two.
fn middle<T: Ord + Default>(runs: &[Run], figure: impl Fn(&Run) -> T) -> T {
    let mut figures: Vec<_> = runs.iter().map(figure).collect();
    figures.sort_unstable();
    let middle = figures.len() / 2;
    figures.into_iter().nth(middle).unwrap_or_default()
}

/// Writes the rows as JSON Lines to stdout.
pub(super) fn jsonl(rows: &[Row]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for row in rows {
        serde_json::to_writer(&mut output, row)?;
        writeln!(output)?;
    }
    output.flush()
}

/// Writes the rows as a table to stdout.
pub(super) fn table(rows: &[Row]) -> io::Result<()> {
    let mut output = anstream::stdout();
    let bold = Style::new().bold();
    writeln!(
        output,
        "{bold}{:<19} {:>9} {:>19} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7} {:>5}  ANSWERS{bold:#}",
        "METHOD",
        "TARGETS/S",
        "[LEAST-MOST]",
        "WALL S",
        "CPU S",
        "MEM MIB",
        "SWITCHES",
        "IN FLIGHT",
        "WORKERS",
        "FAIR"
    )?;
    for row in rows {
        let (style, answers) = if row.differing == 0 {
            (Style::new(), "same".to_owned())
        } else {
            (AnsiColor::Red.on_default(), format!("{} differ", row.differing))
        };
        let spread = format!("[{:.0}-{:.0}]", row.targets_per_s_min, row.targets_per_s_max);
        writeln!(
            output,
            "{style}{:<19} {:>9.0} {spread:>19} {:>8.3} {:>8.3} {:>8.1} {:>9} {:>9} {:>7} \
             {:>4.0}%  {answers}{style:#}",
            row.method,
            row.targets_per_s,
            row.wall_s,
            row.cpu_s,
            mebibytes(row.peak_memory_kib),
            row.context_switches,
            row.peak_in_flight,
            row.workers,
            row.fairness * 100.0,
        )?;
    }
    output.flush()
}

#[expect(clippy::cast_precision_loss, reason = "memory needs fewer than 16 digits")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_for_equal_shares_and_less_otherwise() {
        for (shares, index) in [
            (&[5, 5, 5][..], 1.0),
            (&[9, 0, 0], 1.0 / 3.0),
            (&[0, 0], 1.0),
            (&[], 1.0),
            (&[4, 0], 0.5),
        ] {
            assert!((fairness(shares) - index).abs() < 1e-9, "{shares:?}");
        }
    }

    #[test]
    fn median_is_the_middle_or_the_mean_of_two() {
        for (figures, middle) in
            [(&[][..], 0.0), (&[3.0], 3.0), (&[1.0, 2.0], 1.5), (&[1.0, 2.0, 9.0], 2.0)]
        {
            assert!((median(figures) - middle).abs() < 1e-9, "{figures:?}");
        }
    }
}
