//! The part `contest`: the time that portmuster and other programs take for a network.

use std::path::Path;

use anyhow::Result;

use super::{
    behind::{WatchedLink, portmuster},
    options::{PREFIX, SilentOptions},
    scanner::{Scanner, network},
};
use crate::{
    candidate::Candidate,
    contest::{Demand, run_rounds},
    list::List,
    program::Depth,
    row::{Row, count},
    section::{Goal, Section, Times, Wanted},
    span::Span,
};

/// Settings of portmuster, and the least that each must do.
const DEFAULTS: &[&str] = &[];
const NO_CANARIES: &[&str] = &["--no-canaries"];
const MAX: &[&str] = &["--rate", "max"];
const MAX_NO_CANARIES: &[&str] = &["--rate", "max", "--no-canaries"];

/// The most seconds at the defaults, and the most that asking silent targets again may add.
const SECONDS_MAX: f64 = 46.0;
const CANARIES_MAX: f64 = 12.0;

/// The most time at the defaults, as a multiple of that of `nmap -sT -T4`.
const NMAP_MAX: f64 = 0.1;

/// The most time at the defaults where packets get lost, as a multiple of that without loss.
const LOSS_MAX: f64 = 2.0;

/// At a higher loss, only portmuster runs, with its defaults.
const OTHERS_LOSS_MAX: u32 = 2;

/// The largest network for `nmap -sT -T4` where packets get lost, by prefix length. It takes ten minutes
/// for the whole one.
const NMAP_PREFIX: u8 = 20;

/// The terms of a contest.
#[derive(Debug)]
pub(super) struct Contest<'a> {
    pub(super) options: &'a SilentOptions,
    pub(super) program: &'a Path,
    /// Percentage of lost packets, in each direction.
    pub(super) loss: u32,
}

impl Contest<'_> {
    /// Runs all candidates. `lossless` has the figures of the defaults without loss.
    pub(super) fn run(&self, lossless: Option<&Row>) -> Result<Section> {
        let prefix = self.options.prefix;
        let whole = List::new(Span::network(prefix))?;
        let part = List::new(Span::network(prefix.max(NMAP_PREFIX)))?;
        let link = WatchedLink::new(self.loss);
        let (others, absent) = self.others(&link, &whole, &part);
        let mut candidates = self.ours(&link, &whole);
        candidates.extend(others);
        let (network, targets) = (network(whole.span()), whole.span().targets);
        let title = format!(
            "{network}, ports 22 and 23: {targets} targets, a host at 1 of 64 addresses, {} % of its packets lost each way",
            self.loss
        );
        let mut section =
            run_rounds(title, &mut candidates, self.options.rounds, Demand::Measured)?;
        drop(candidates);
        section.unit = None;
        section.times = Some(Times::Pieces(targets));
        section.goals = self.goals(&section.rows, lossless);
        (section.notes, section.absent) = (link.notes(), absent);
        section.settings = link.settings();
        Ok(section)
    }

    fn ours<'a>(&self, link: &'a WatchedLink, list: &'a List) -> Vec<Candidate<'a>> {
        let settings = [DEFAULTS, NO_CANARIES, MAX, MAX_NO_CANARIES];
        let settings = &settings[..if self.loss > OTHERS_LOSS_MAX { 1 } else { settings.len() }];
        let candidate = |&setting: &&[&str]| {
            let targets = [network(list.span()).as_str(), "-p", "22,23"].map(str::to_owned);
            let command = portmuster(self.program, &targets, setting);
            link.candidate(list, name(setting), command, Depth::Connect.expected())
        };
        settings.iter().map(candidate).collect()
    }

    /// The candidates of other programs, and a line for each that is not installed.
    fn others<'a>(
        &self,
        link: &'a WatchedLink,
        whole: &'a List,
        part: &'a List,
    ) -> (Vec<Candidate<'a>>, Vec<String>) {
        let (mut candidates, mut absent) = (Vec::new(), Vec::new());
        let selected = &self.options.peers;
        let takes_part = |scanner| selected.is_empty() || selected.contains(scanner);
        for scanner in Scanner::ALL.iter().filter(|&scanner| takes_part(scanner)) {
            if self.loss > OTHERS_LOSS_MAX {
                break;
            }
            let is_slow = *scanner == Scanner::NmapConnect && self.loss > 0;
            let (list, note) = if is_slow {
                (part, format!(", {} only", network(part.span())))
            } else {
                (whole, String::new())
            };
            match scanner.command(list) {
                Ok((command, expected)) => {
                    let name = scanner.name().to_owned() + &note;
                    candidates.push(link.candidate(list, name, command, expected));
                }
                Err(error) => absent.push(error.to_string()),
            }
        }
        (candidates, absent)
    }

    fn goals(&self, rows: &[Row], lossless: Option<&Row>) -> Vec<Goal> {
        let mut goals = Vec::new();
        for row in rows {
            let Some(accuracy) = row.accuracy.filter(|_| is_ours(row)) else { continue };
            let missing = count(accuracy.of - accuracy.open);
            let what = format!("open targets not found, {}", row.name);
            goals.push(Goal::number(what, missing, Wanted::AtMost, 0.0));
            let what = format!("false positives, {}", row.name);
            goals.push(Goal::number(what, count(accuracy.false_open), Wanted::AtMost, 0.0));
        }
        if self.options.prefix == PREFIX && self.loss == 0 {
            goals.extend(times(rows));
        }
        let defaults = find(rows, DEFAULTS);
        if let (Some(ours), Some(lossless)) = (defaults, lossless) {
            let what = format!("time, {} to itself without loss", ours.name);
            goals.push(Goal::at_most(what, ours.wall_ratio(lossless), LOSS_MAX));
        }
        goals
    }
}

/// The goals for times without loss.
fn times(rows: &[Row]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    if let Some(ours) = find(rows, DEFAULTS) {
        let what = format!("seconds, {}", ours.name);
        goals.push(Goal::number(what, ours.wall.median, Wanted::AtMost, SECONDS_MAX));
    }
    for (setting, other, most) in [
        (DEFAULTS, Scanner::NmapConnect, NMAP_MAX),
        (MAX_NO_CANARIES, Scanner::Masscan, 1.0),
        (MAX_NO_CANARIES, Scanner::Zmap, 1.0),
    ] {
        if let (Some(ours), Some(other)) = (find(rows, setting), row(other.name())) {
            let what = format!("time, {} to {}", ours.name, other.name);
            goals.push(Goal::at_most(what, ours.wall_ratio(other), most));
        }
    }
    for (with, without) in [(DEFAULTS, NO_CANARIES), (MAX, MAX_NO_CANARIES)] {
        if let (Some(with), Some(without)) = (find(rows, with), find(rows, without)) {
            let added = with.wall.median - without.wall.median;
            let what = format!("seconds that canaries add, {}", with.name);
            goals.push(Goal::number(what, added, Wanted::AtMost, CANARIES_MAX));
        }
    }
    goals
}

fn name(setting: &[&str]) -> String {
    [&["portmuster"], setting].concat().join(" ")
}

fn find<'a>(rows: &'a [Row], setting: &[&str]) -> Option<&'a Row> {
    rows.iter().find(|row| row.name == name(setting))
}

fn is_ours(row: &Row) -> bool {
    row.name.starts_with("portmuster")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::row;

    #[test]
    fn each_time_has_its_goal() {
        let seconds = |name: &str, seconds: u64| row(name, 131_072, &[(seconds * 1000, 1)]);
        let rows = [
            seconds(&name(NO_CANARIES), 27),
            seconds(&name(DEFAULTS), 40),
            seconds(&name(MAX_NO_CANARIES), 13),
            seconds(&name(MAX), 20),
            seconds(Scanner::Masscan.name(), 14),
            seconds(Scanner::Zmap.name(), 12),
            seconds(Scanner::NmapConnect.name(), 400),
        ];
        let missed: Vec<_> = times(&rows).into_iter().filter(|goal| !goal.is_reached()).collect();
        let missed: Vec<_> = missed.iter().map(|goal| goal.what.as_str()).collect();
        assert_eq!(
            missed,
            [
                "time, portmuster --rate max --no-canaries to ZMap, 100,000/s, a run for each port",
                "seconds that canaries add, portmuster"
            ]
        );
        assert_eq!(times(&rows).len(), 6);
        assert_eq!(times(&rows[1..2]).len(), 1);
    }
}
