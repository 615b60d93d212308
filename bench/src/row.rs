//! Figures of the runs of one candidate.

use serde::{Deserialize, Serialize};

use crate::{answers::Accuracy, cost::Cost};

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    pub(crate) cost: Cost,
    /// Peak memory of the largest process, in KiB; `None` when the run started no process.
    pub(crate) memory_kib: Option<u64>,
    pub(crate) accuracy: Option<Accuracy>,
}

/// The figures of all runs of one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The command line to repeat a run by hand.
    pub(crate) command: Option<String>,
    /// Pieces of work, or targets, of each run.
    pub(crate) pieces: usize,
    /// Pieces per second, of each run.
    pub(crate) paces: Vec<f64>,
    /// Microseconds of CPU per piece, of each run.
    pub(crate) cpus: Vec<f64>,
    /// System calls per piece; `None` when they were not counted.
    pub(crate) calls: Option<f64>,
    /// Pieces per second.
    pub(crate) pace: Spread,
    /// Microseconds of CPU per piece.
    pub(crate) cpu: Spread,
    /// Wall-clock seconds of a run.
    pub(crate) wall: Spread,
    /// Peak memory of the largest process, in MiB.
    pub(crate) memory_mib: Option<Spread>,
    /// Answers of all runs together.
    #[serde(rename = "found")]
    pub(crate) accuracy: Option<Accuracy>,
}

/// The median of several figures, with the lowest and the highest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// The spread of at least one figure.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len() - 1;
        let median = f64::midpoint(figures[last / 2], figures[figures.len() / 2]);
        Self { median, lowest: figures[0], highest: figures[last] }
    }

    /// Formats the figures with `decimals` digits: `median (lowest – highest)`.
    pub(crate) fn to_fixed(self, decimals: usize) -> String {
        let Self { median, lowest, highest } = self;
        if lowest < highest {
            format!("{median:.decimals$} ({lowest:.decimals$} – {highest:.decimals$})")
        } else {
            format!("{median:.decimals$}")
        }
    }
}

impl Row {
    /// The figures of at least one run, without a command line and counted system calls.
    pub(crate) fn new(name: &str, pieces: usize, runs: &[Measurement]) -> Self {
        let paces: Vec<_> = runs.iter().map(|run| run.pace(pieces)).collect();
        let cpus: Vec<_> = runs.iter().map(|run| run.cpu(pieces)).collect();
        let memory: Option<Vec<f64>> = runs.iter().map(|run| Some(mib(run.memory_kib?))).collect();
        Self {
            name: name.to_owned(),
            command: None,
            pieces,
            calls: None,
            pace: Spread::of(paces.iter().copied()),
            cpu: Spread::of(cpus.iter().copied()),
            wall: Spread::of(runs.iter().map(|run| run.cost.wall.as_secs_f64())),
            memory_mib: memory.map(Spread::of),
            accuracy: runs.iter().filter_map(|run| run.accuracy).reduce(sum),
            paces,
            cpus,
        }
    }

    /// The pace as a multiple of another's, per round, because the machine's other load changes
    /// from round to round.
    pub(crate) fn pace_ratio(&self, other: &Self) -> Spread {
        ratios(&self.paces, &other.paces)
    }

    /// The wall-clock time per piece as a multiple of another's, per round.
    pub(crate) fn wall_ratio(&self, other: &Self) -> Spread {
        ratios(&other.paces, &self.paces)
    }

    /// The CPU time per piece as a multiple of another's, per round.
    pub(crate) fn cpu_ratio(&self, other: &Self) -> Spread {
        ratios(&self.cpus, &other.cpus)
    }
}

impl Measurement {
    /// Pieces per second.
    fn pace(&self, pieces: usize) -> f64 {
        count(pieces) / self.cost.wall.as_secs_f64()
    }

    /// Microseconds of CPU per piece.
    fn cpu(&self, pieces: usize) -> f64 {
        self.cost.cpu.as_secs_f64() * 1e6 / count(pieces)
    }

    /// The figures of a run of `pieces` pieces, in one line.
    pub(crate) fn describe(&self, pieces: usize) -> String {
        let (wall, cpu) = (self.cost.wall.as_secs_f64(), self.cost.cpu.as_secs_f64());
        let memory = self.memory_kib.map(|kib| format!("  {:>7.1} MiB", mib(kib)));
        let accuracy = self.accuracy.filter(|of| of.of > 0 || !of.is_exact());
        format!(
            "{:>10.0}/s  {:>7.2} µs CPU each  {wall:>7.2} s wall  {cpu:>7.2} s CPU{}{}",
            self.pace(pieces),
            self.cpu(pieces),
            memory.unwrap_or_default(),
            accuracy.map_or(String::new(), |accuracy| format!("  {accuracy}"))
        )
    }
}

/// The quotient of the figures of each round that both have.
fn ratios(figures: &[f64], others: &[f64]) -> Spread {
    Spread::of(figures.iter().zip(others).map(|(figure, other)| figure / other))
}

fn sum(one: Accuracy, other: Accuracy) -> Accuracy {
    Accuracy {
        open: one.open + other.open,
        of: one.of + other.of,
        false_open: one.false_open + other.false_open,
        mistaken: one.mistaken + other.mistaken,
    }
}

#[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 KiB")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// A number of pieces as a float.
#[expect(clippy::cast_precision_loss, reason = "no benchmark has 2^53 pieces")]
pub(crate) fn count(pieces: usize) -> f64 {
    pieces as f64
}

/// A part of a whole in percent; 100 when the whole is empty.
pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 100.0 } else { count(part) * 100.0 / count(whole) }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    /// A row of runs that took these milliseconds of wall-clock and CPU time.
    pub(crate) fn row(name: &str, pieces: usize, costs: &[(u64, u64)]) -> Row {
        let measurement = |&(wall_ms, cpu_ms): &(u64, u64)| Measurement {
            cost: Cost { wall: Duration::from_millis(wall_ms), cpu: Duration::from_millis(cpu_ms) },
            memory_kib: Some(2048),
            accuracy: None,
        };
        Row::new(name, pieces, &costs.iter().map(measurement).collect::<Vec<_>>())
    }

    #[test]
    fn row_has_median_lowest_and_highest() {
        let ours = row("ours", 1000, &[(500, 1), (2000, 4), (1000, 3)]);
        assert_eq!(ours.pace, Spread { median: 1000.0, lowest: 500.0, highest: 2000.0 });
        assert_eq!(ours.cpu.to_fixed(1), "3.0 (1.0 – 4.0)");
        assert_eq!(ours.memory_mib.map(|memory| memory.to_fixed(0)).as_deref(), Some("2"));
        let even = row("ours", 1000, &[(500, 1), (1000, 3)]);
        assert!((even.cpu.median - 2.0).abs() < 1e-9, "{even:?}");
    }

    #[test]
    fn ratios_compare_runs_of_the_same_round() {
        let quiet_and_busy = |ms| [(ms, 1), (3 * ms, 2)];
        let ours = row("ours", 100, &quiet_and_busy(500));
        let theirs = row("theirs", 100, &quiet_and_busy(1000));
        let ratios = [ours.pace_ratio(&theirs), ours.wall_ratio(&theirs), ours.cpu_ratio(&theirs)];
        assert_eq!(ratios.map(|ratio| ratio.to_fixed(2)), ["2.00", "0.50", "1.00"]);
    }
}
