//! Figures, and how they are shown on a terminal.

use std::fmt::{self, Display, Formatter, Write};

use serde::{Deserialize, Serialize};

use crate::{
    answers::Found,
    contest::{Candidate, Run},
    cost::Cost,
};

/// Columns of a candidate's name.
pub(crate) const NAME: usize = 44;

/// KiB of a MiB.
const KIB: f64 = 1024.0;

/// What the rounds of one candidate came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// What a person types to have the same.
    pub(crate) command: Option<String>,
    /// How many pieces of work, or targets, each round did.
    pub(crate) pieces: usize,
    /// Pieces per second, in each round.
    paces: Vec<f64>,
    /// Microseconds of CPU for each, in each round.
    cpus: Vec<f64>,
    /// System calls for each piece, where they were counted.
    pub(crate) calls: Option<f64>,
    /// Pieces per second.
    pub(crate) pace: Spread,
    /// Microseconds of CPU for each.
    pub(crate) cpu: Spread,
    /// Seconds.
    pub(crate) wall: Spread,
    /// The most memory of the largest process, in MiB.
    pub(crate) memory_mib: Option<Spread>,
    /// How well targets were found: in all rounds together.
    pub(crate) found: Option<Found>,
}

/// The middle of several figures, and their ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} – {:.2})", self.median, self.lowest, self.highest)
    }
}

impl Spread {
    /// `figures` are at least one.
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len() - 1;
        let median = f64::midpoint(figures[last / 2], figures[figures.len() / 2]);
        Self { median, lowest: figures[0], highest: figures[last] }
    }

    /// One figure.
    pub(crate) fn one(figure: f64) -> Self {
        Self { median: figure, lowest: figure, highest: figure }
    }
}

impl Row {
    /// `runs` are those of at least one round.
    pub(crate) fn new(candidate: &Candidate<'_>, runs: &[Run]) -> Self {
        let pieces = count(candidate.pieces);
        let all = |figure: fn(Cost, f64) -> f64| {
            runs.iter().map(move |run| figure(run.cost, pieces)).collect::<Vec<_>>()
        };
        let (paces, cpus) = (all(pace), all(cpu));
        let memory: Option<Vec<f64>> = runs.iter().map(|run| run.memory_kib.map(mib)).collect();
        Self {
            name: candidate.name.clone(),
            command: candidate.command.clone(),
            pieces: candidate.pieces,
            calls: candidate.calls,
            pace: Spread::of(paces.iter().copied()),
            cpu: Spread::of(cpus.iter().copied()),
            wall: Spread::of(all(|cost, _| wall(cost)).into_iter()),
            memory_mib: memory.map(|memory| Spread::of(memory.into_iter())),
            found: runs.iter().filter_map(|run| run.found).reduce(sum),
            paces,
            cpus,
        }
    }

    /// Its pace as a multiple of another's, round by round: what else the machine does changes
    /// from round to round.
    pub(crate) fn times(&self, other: &Self) -> Spread {
        ratios(&self.paces, &other.paces)
    }

    /// Its time on the wall for each piece as a multiple of another's, round by round.
    pub(crate) fn wall_times(&self, other: &Self) -> Spread {
        ratios(&other.paces, &self.paces)
    }

    /// Its CPU for each piece as a multiple of another's, round by round.
    pub(crate) fn cpu_times(&self, other: &Self) -> Spread {
        ratios(&self.cpus, &other.cpus)
    }
}

fn ratios(mine: &[f64], others: &[f64]) -> Spread {
    Spread::of(mine.iter().zip(others).map(|(mine, others)| mine / others))
}

fn sum(one: Found, other: Found) -> Found {
    Found {
        open: one.open + other.open,
        of: one.of + other.of,
        false_open: one.false_open + other.false_open,
        mistaken: one.mistaken + other.mistaken,
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 KiB")]
fn mib(kib: u64) -> f64 {
    kib as f64 / KIB
}

/// Pieces per second.
fn pace(cost: Cost, pieces: f64) -> f64 {
    pieces / wall(cost)
}

/// Microseconds of CPU for each piece.
fn cpu(cost: Cost, pieces: f64) -> f64 {
    cost.cpu.as_secs_f64() * 1e6 / pieces
}

/// Seconds.
fn wall(cost: Cost) -> f64 {
    cost.wall.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^53 pieces")]
pub(crate) fn count(pieces: usize) -> f64 {
    pieces as f64
}

/// A share in per cent; all of nothing is all of it.
pub(crate) fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 100.0 } else { count(part) * 100.0 / count(of) }
}

/// The figures of one run.
pub(crate) fn run(run: Run, pieces: usize) -> String {
    let (cost, pieces) = (run.cost, count(pieces));
    let mut figures = format!(
        "{:>10.0}/s  {:>7.2} µs CPU each  {:>7.2} s wall  {:>7.2} s CPU",
        pace(cost, pieces),
        cpu(cost, pieces),
        wall(cost),
        cost.cpu.as_secs_f64()
    );
    if let Some(kib) = run.memory_kib {
        let _ = write!(figures, "  {:>7.1} MiB", mib(kib));
    }
    if let Some(of) = run.found.filter(|of| of.of > 0 || !of.is_exact()) {
        let _ = write!(figures, "  {}", found(of));
    }
    figures
}

/// How well targets were found.
pub(crate) fn found(Found { open, of, false_open, mistaken }: Found) -> String {
    let mut text = format!("found {open} of {of}");
    if false_open > 0 {
        let _ = write!(text, ", {false_open} false");
    }
    if mistaken > 0 {
        let _ = write!(text, ", {mistaken} mistaken");
    }
    text
}

/// A table of all, with the pace of each as a multiple of that of `unit`.
pub(crate) fn summary(rows: &[Row], unit: Option<&str>) -> String {
    let unit = rows.iter().find(|row| Some(&*row.name) == unit).map(|row| row.pace.median);
    let mut table = format!(
        "  {:<NAME$}  {:>29}  {:>19}  {:>10}  {:>7}  {:>8}  {:>9}\n",
        "median (lowest – highest)",
        "per second",
        "µs CPU each",
        "calls each",
        "wall s",
        "MiB",
        "× in pace"
    );
    for Row { name, pace, cpu, wall, calls, memory_mib, .. } in rows {
        let pace_text = format!("{:.0} ({:.0} – {:.0})", pace.median, pace.lowest, pace.highest);
        let (cpu, calls) = (cpu.to_string(), calls.map_or(String::new(), |c| format!("{c:.2}")));
        let memory = memory_mib.map_or(String::new(), |memory| format!("{:.1}", memory.median));
        let ratio = unit.map_or(String::new(), |unit| format!("{:.2}", pace.median / unit));
        let _ = writeln!(
            table,
            "  {name:<NAME$}  {pace_text:>29}  {cpu:>19}  {calls:>10}  {:>7.2}  {memory:>8}  {ratio:>9}",
            wall.median
        );
    }
    table
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    /// A row of runs that took so many milliseconds, on the wall and of the processors.
    pub(crate) fn row(name: &str, pieces: usize, costs: &[(u64, u64)]) -> Row {
        let run = Box::new(|| anyhow::bail!("it has run"));
        let candidate = Candidate { name: name.into(), pieces, calls: None, command: None, run };
        let run = |&(wall_ms, cpu_ms): &(u64, u64)| Run {
            cost: Cost { wall: Duration::from_millis(wall_ms), cpu: Duration::from_millis(cpu_ms) },
            memory_kib: Some(2048),
            found: None,
        };
        Row::new(&candidate, &costs.iter().map(run).collect::<Vec<_>>())
    }

    #[test]
    fn a_row_has_the_middle_and_the_ends() {
        let ours = row("ours", 1000, &[(500, 1), (2000, 4), (1000, 3)]);
        assert_eq!(ours.pace, Spread { median: 1000.0, lowest: 500.0, highest: 2000.0 });
        assert_eq!(ours.cpu, Spread { median: 3.0, lowest: 1.0, highest: 4.0 });
        assert_eq!(ours.memory_mib, Some(Spread::one(2.0)));
        let even = row("ours", 1000, &[(500, 1), (1000, 3)]);
        assert!((even.cpu.median - 2.0).abs() < 1e-9, "{even:?}");
    }

    #[test]
    fn ratios_are_to_the_one_that_is_named() {
        let rows = [row("theirs", 100, &[(2000, 1)]), row("ours", 100, &[(500, 1)])];
        let table = summary(&rows, Some("theirs"));
        let ratios: Vec<_> =
            table.lines().skip(1).filter_map(|row| row.split(' ').next_back()).collect();
        assert_eq!(ratios, ["1.00", "4.00"]);
    }

    #[test]
    fn ratios_of_rounds_are_those_of_each_round() {
        let quiet_and_busy = |ms| [(ms, 1), (3 * ms, 2)];
        let ours = row("ours", 100, &quiet_and_busy(500));
        let theirs = row("theirs", 100, &quiet_and_busy(1000));
        assert_eq!(ours.times(&theirs).to_string(), "2.00 (2.00 – 2.00)");
        assert_eq!(ours.wall_times(&theirs).to_string(), "0.50 (0.50 – 0.50)");
        assert_eq!(ours.cpu_times(&theirs).to_string(), "1.00 (1.00 – 1.00)");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = Found { open: 3, of: 4, false_open: 1, mistaken: 2 };
        assert_eq!(found(wrong), "found 3 of 4, 1 false, 2 mistaken");
        assert!((share(1, 4) - 25.0).abs() < 1e-9 && (share(0, 0) - 100.0).abs() < 1e-9);
    }
}
