//! The question `reading`: the time and the memory that a list takes before its first target is checked.
//!
//! `--count` reads a list, finds duplicates, and ends where a run would start.

use std::{net::Ipv4Addr, path::Path, process::Command};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    arguments::at_least_one,
    candidate::Candidate,
    contest::{Demand, run_rounds},
    harness::Harness,
    list::{Expected, List},
    row::{Row, count},
    section::{Goal, Wanted},
    span::Span,
};

/// The most microseconds of CPU for a line of a list in random order.
const CPU_MAX: f64 = 0.4;
/// The most bytes of memory for a target without a label.
const BYTES_MAX: f64 = 16.0;
/// Lists with fewer lines take less memory than the program itself, whose peak varies.
const BYTES_LINES_MIN: usize = 1_000_000;

/// Options of the subcommand `reading`.
#[derive(Debug, Args)]
pub(crate) struct ReadingOptions {
    /// Lines of each list
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = at_least_one)]
    lines: usize,
    /// Rounds; each list is read once per round
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    rounds: usize,
}

/// Measures lists with the same targets.
pub(crate) fn run(options: &ReadingOptions, harness: &mut Harness) -> Result<()> {
    let &ReadingOptions { lines, rounds } = options;
    let portmuster = &harness.portmuster()?;
    let span = Span::refused(lines);
    let mut sorted: Vec<_> = addresses(lines).collect();
    sorted.sort_unstable();
    let plain = |address: Ipv4Addr| format!("{address}:22");
    let lists = [
        ("random order", List::with_lines(span, addresses(lines).map(plain))?),
        ("sorted", List::with_lines(span, sorted.into_iter().map(plain))?),
        ("random order, labels", List::with_lines(span, labelled(lines))?),
    ];
    let mut candidates: Vec<_> =
        lists.iter().map(|(name, list)| candidate(name, portmuster, list)).collect();
    let single = List::with_lines(Span::refused(1), addresses(1).map(plain))?;
    let unused = (candidate("one target", portmuster, &single).run)()?;
    let unused = unused.context("the memory of a list of one target is unknown")?;
    let title = format!("{lines} lines, each an address with a port");
    let mut section = run_rounds(title, &mut candidates, rounds, Demand::Exact)?;
    let random = &section.rows[0];
    let what = format!("microseconds of CPU for each line, {}", random.name);
    section.goals.push(Goal::number(what, random.cpu.median, Wanted::AtMost, CPU_MAX));
    if lines >= BYTES_LINES_MIN {
        for row in &section.rows {
            let bytes = bytes_of_target(row, unused);
            if row.name.contains("labels") {
                section
                    .notes
                    .push(format!("bytes of memory for each target, {}: {bytes:.1}", row.name));
                continue;
            }
            let what = format!("bytes of memory for each target, {}", row.name);
            section.goals.push(Goal::number(what, bytes, Wanted::AtMost, BYTES_MAX));
        }
    }
    harness.add(section)
}

fn candidate<'a>(name: &str, portmuster: &Path, list: &'a List) -> Candidate<'a> {
    let mut command = Command::new(portmuster);
    command.args(["check", "--count", "-i"]).arg(list.path());
    list.candidate(name, command, Expected::Line(list.span().targets.to_string()))
}

/// Returns the memory of a target beyond that of the program, which is `unused` KiB.
fn bytes_of_target(row: &Row, unused: u64) -> f64 {
    let peak = row.memory_mib.map_or(0.0, |memory| memory.median) * 1024.0;
    let unused = count(usize::try_from(unused).unwrap_or(usize::MAX));
    (peak - unused) * 1024.0 / count(row.pieces)
}

/// Returns different addresses in an order that looks random.
fn addresses(count: usize) -> impl Iterator<Item = Ipv4Addr> {
    // An odd factor permutes the numbers of 32 bits.
    (1_u32..).take(count).map(|number| {
        let mixed = number.wrapping_mul(0x9E37_79B1);
        Ipv4Addr::from((mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B))
    })
}

fn labelled(count: usize) -> impl Iterator<Item = String> {
    (1..).zip(addresses(count)).map(|(number, address)| format!("{address}:22 host{number}"))
}
