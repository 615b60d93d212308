//! Figures, and how they are shown.

use std::fmt::{self, Display, Formatter, Write};

use crate::cost::Cost;

/// Columns of a contestant's name.
pub(crate) const NAME: usize = 44;

/// What the rounds of one contestant came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Pieces per second, in each round.
    paces: Vec<f64>,
    /// System calls for each piece, where they were counted.
    calls: Option<f64>,
    /// Pieces per second.
    pace: Spread,
    /// Microseconds of CPU for each.
    cpu: Spread,
    /// Seconds.
    wall: Spread,
}

/// The middle of several figures, and their ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    lowest: f64,
    highest: f64,
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} – {:.2})", self.median, self.lowest, self.highest)
    }
}

impl Spread {
    /// `figures` are at least one.
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let last = figures.len() - 1;
        let median = f64::midpoint(figures[last / 2], figures[figures.len() / 2]);
        Self { median, lowest: figures[0], highest: figures[last] }
    }
}

impl Row {
    /// `costs` are those of at least one round.
    pub(crate) fn new(name: &str, pieces: usize, calls: Option<f64>, costs: &[Cost]) -> Self {
        let all = |figure: fn(Cost, f64) -> f64| {
            costs.iter().map(move |&cost| figure(cost, count(pieces)))
        };
        Self {
            name: name.to_owned(),
            paces: all(pace).collect(),
            calls,
            pace: Spread::of(all(pace)),
            cpu: Spread::of(all(cpu)),
            wall: Spread::of(all(|cost, _| wall(cost))),
        }
    }

    /// Its pace as a multiple of another's, round by round: what else the machine does changes
    /// from round to round.
    pub(crate) fn times(&self, other: &Self) -> Spread {
        Spread::of(self.paces.iter().zip(&other.paces).map(|(mine, others)| mine / others))
    }
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
fn count(pieces: usize) -> f64 {
    pieces as f64
}

/// The figures of one run.
pub(crate) fn run(cost: Cost, pieces: usize) -> String {
    let pieces = count(pieces);
    format!(
        "{:>10.0}/s  {:>7.2} µs CPU each  {:>7.2} s wall  {:>7.2} s CPU",
        pace(cost, pieces),
        cpu(cost, pieces),
        wall(cost),
        cost.cpu.as_secs_f64()
    )
}

/// A table of all, with the pace of each as a multiple of that of `unit`.
pub(crate) fn summary(rows: &[Row], unit: &str) -> String {
    let unit = rows.iter().find(|row| row.name == unit).map(|row| row.pace.median);
    let mut table = format!(
        "  {:<NAME$}  {:>29}  {:>19}  {:>10}  {:>7}  {:>9}\n",
        "median (lowest – highest)",
        "per second",
        "µs CPU each",
        "calls each",
        "wall s",
        "× in pace"
    );
    for Row { name, pace, cpu, wall, calls, .. } in rows {
        let pace_text = format!("{:.0} ({:.0} – {:.0})", pace.median, pace.lowest, pace.highest);
        let (cpu, calls) = (cpu.to_string(), calls.map_or(String::new(), |c| format!("{c:.2}")));
        let ratio = unit.map_or(String::new(), |unit| format!("{:.2}", pace.median / unit));
        let _ = writeln!(
            table,
            "  {name:<NAME$}  {pace_text:>29}  {cpu:>19}  {calls:>10}  {:>7.2}  {ratio:>9}",
            wall.median
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cost(wall_ms: u64, cpu_ms: u64) -> Cost {
        Cost { wall: Duration::from_millis(wall_ms), cpu: Duration::from_millis(cpu_ms) }
    }

    #[test]
    fn a_row_has_the_middle_and_the_ends() {
        let row = Row::new("ours", 1000, None, &[cost(500, 1), cost(2000, 4), cost(1000, 3)]);
        assert_eq!(row.pace, Spread { median: 1000.0, lowest: 500.0, highest: 2000.0 });
        assert_eq!(row.cpu, Spread { median: 3.0, lowest: 1.0, highest: 4.0 });
        let even = Row::new("ours", 1000, None, &[cost(500, 1), cost(1000, 3)]);
        assert!((even.cpu.median - 2.0).abs() < 1e-9, "{even:?}");
    }

    #[test]
    fn ratios_are_to_the_one_that_is_named() {
        let rows = ["theirs", "ours"].map(|name| {
            let wall = if name == "ours" { 500 } else { 2000 };
            Row::new(name, 100, None, &[cost(wall, 1)])
        });
        let table = summary(&rows, "theirs");
        let ratios: Vec<_> =
            table.lines().skip(1).filter_map(|row| row.split(' ').next_back()).collect();
        assert_eq!(ratios, ["1.00", "4.00"]);
    }

    #[test]
    fn ratios_of_rounds_are_those_of_each_round() {
        let quiet_and_busy = |ms| [cost(ms, 1), cost(3 * ms, 1)];
        let ours = Row::new("ours", 100, Some(2.0), &quiet_and_busy(500));
        let theirs = Row::new("theirs", 100, None, &quiet_and_busy(1000));
        assert_eq!(ours.times(&theirs).to_string(), "2.00 (2.00 – 2.00)");
    }
}
