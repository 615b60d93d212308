//! The comparison as a table or as JSON Lines.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{run::Run, series::Series};
use crate::terminal;

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

/// A column of the table.
struct Column {
    name: &'static str,
    width: usize,
    /// On a narrow terminal, columns with the highest rank are left out.
    rank: u8,
    text: fn(&Row) -> String,
}

const COLUMNS: [Column; 10] = [
    Column { name: "METHOD", width: 19, rank: 0, text: |row| row.method.to_owned() },
    Column {
        name: "TARGETS/S",
        width: 9,
        rank: 0,
        text: |row| format!("{:.0}", row.targets_per_s),
    },
    Column {
        name: "[LEAST-MOST]",
        width: 19,
        rank: 8,
        text: |row| format!("[{:.0}-{:.0}]", row.targets_per_s_min, row.targets_per_s_max),
    },
    Column { name: "WALL S", width: 8, rank: 3, text: |row| format!("{:.3}", row.wall_s) },
    Column { name: "CPU S", width: 8, rank: 1, text: |row| format!("{:.3}", row.cpu_s) },
    Column {
        name: "MEM MIB",
        width: 8,
        rank: 2,
        text: |row| format!("{:.1}", mebibytes(row.peak_memory_kib)),
    },
    Column { name: "SWITCHES", width: 9, rank: 6, text: |row| row.context_switches.to_string() },
    Column { name: "IN FLIGHT", width: 9, rank: 5, text: |row| row.peak_in_flight.to_string() },
    Column { name: "WORKERS", width: 7, rank: 7, text: |row| row.workers.to_string() },
    Column { name: "FAIR", width: 5, rank: 4, text: |row| format!("{:.0}%", row.fairness * 100.0) },
];

/// The columns of the last column and of the spaces before it.
const ANSWERS_COLUMNS: usize = 2 + "12345 differ".len();

/// Writes the rows as a table to stdout, which has so many columns; `None`: it is no terminal.
pub(super) fn table(rows: &[Row], width: Option<usize>) -> io::Result<()> {
    let mut output = anstream::stdout();
    let (shown, hidden) = fitting(width);
    let line = |cell: &dyn Fn(&Column) -> String| {
        let cells = shown.iter().map(|column| match column.name {
            "METHOD" => format!("{:<1$}", cell(column), column.width),
            _ => format!("{:>1$}", cell(column), column.width),
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    let bold = Style::new().bold();
    writeln!(output, "{bold}{}  ANSWERS{bold:#}", line(&|column| column.name.to_owned()))?;
    for row in rows {
        let (style, answers) = if row.differing == 0 {
            (Style::new(), "same".to_owned())
        } else {
            (AnsiColor::Red.on_default(), format!("{} differ", row.differing))
        };
        writeln!(output, "{style}{}  {answers}{style:#}", line(&|column| (column.text)(row)))?;
    }
    output.flush()?;
    if !hidden.is_empty() {
        let hidden = hidden.join(", ");
        terminal::note(format!("the terminal is too narrow for {hidden}: see -o jsonl"));
    }
    Ok(())
}

/// Returns the columns that fit, and the names of the others.
fn fitting(width: Option<usize>) -> (Vec<&'static Column>, Vec<&'static str>) {
    let columns_up_to = |rank: u8| COLUMNS.iter().filter(move |column| column.rank <= rank);
    let total = |rank| {
        let widths = columns_up_to(rank).map(|column| column.width + 1);
        widths.sum::<usize>() + ANSWERS_COLUMNS - 1
    };
    let fits = |rank: &u8| width.is_none_or(|width| total(*rank) <= width);
    let last = COLUMNS.iter().map(|column| column.rank).filter(fits).max().unwrap_or_default();
    let hidden = COLUMNS.iter().filter(|column| column.rank > last).map(|column| column.name);
    (columns_up_to(last).collect(), hidden.collect())
}

#[expect(clippy::cast_precision_loss, reason = "memory needs fewer than 16 digits")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_are_left_out() {
        let names = |width| {
            let (shown, hidden) = fitting(width);
            (shown.iter().map(|column| column.name).collect::<Vec<_>>(), hidden)
        };
        assert_eq!(names(None).0.len(), COLUMNS.len());
        assert_eq!(names(Some(200)), names(None));
        for width in [60, 80, 100] {
            let (shown, hidden) = names(Some(width));
            assert_eq!(shown.len() + hidden.len(), COLUMNS.len());
            let columns = COLUMNS.iter().filter(|column| shown.contains(&column.name));
            let used: usize = columns.map(|column| column.width + 1).sum();
            assert!(used - 1 + ANSWERS_COLUMNS <= width, "{width}: {shown:?}");
        }
        let narrow = ["METHOD", "TARGETS/S", "CPU S", "MEM MIB"];
        assert_eq!(names(Some(62)).0, narrow);
    }

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
