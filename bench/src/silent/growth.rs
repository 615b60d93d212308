//! The part `growth`: the time and the memory that ever larger networks take at the defaults.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    behind::{WatchedLink, portmuster},
    scanner::network,
};
use crate::{
    answers::{Coverage, assess},
    list::List,
    parsers,
    row::{Measurement, Row, count},
    section::{Goal, Section, Times, Wanted},
    span::Span,
    watch,
};

/// Runs portmuster with its defaults against the network of each prefix length.
pub(super) fn run(program: &Path, prefixes: &[u8]) -> Result<Section> {
    let title = "Ever larger networks at the defaults, without loss".to_owned();
    writeln!(anstream::stdout(), "{title}")?;
    let link = WatchedLink::new(0);
    let (mut rows, mut goals, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for &prefix in prefixes {
        let list = List::new(Span::network(prefix))?;
        let (row, note) = measure(program, &list, &link)?;
        if let Some(accuracy) = row.accuracy {
            let wrong = accuracy.of - accuracy.open + accuracy.false_open + accuracy.mistaken;
            let what = format!("targets with a wrong state, {}", row.name);
            goals.push(Goal::number(what, count(wrong), Wanted::AtMost, 0.0));
        }
        writeln!(anstream::stdout(), "  {note}; {:.2} s", row.wall.median)?;
        memory.push(note);
        rows.push(row);
    }
    let notes = [memory, link.notes()].concat();
    let (settings, times) = (link.settings(), Some(Times::Own));
    Ok(Section { title, rows, goals, notes, settings, times, ..Section::default() })
}

/// Runs portmuster once. Returns its figures, and a line about its memory.
fn measure(program: &Path, list: &List, link: &WatchedLink) -> Result<(Row, String)> {
    let span = list.span();
    let name = format!("portmuster, {} targets", span.targets);
    let targets = [network(span).as_str(), "-p", "22,23"].map(str::to_owned);
    let command = portmuster(program, &targets, &[]);
    link.link.restart()?;
    let answers = File::create(list.answers()).context("making a file for answers")?;
    let mut wrapped = link.link.wrap(&command)?;
    wrapped.stdin(Stdio::null()).stdout(answers);
    let observation = watch::run(&mut wrapped, Duration::ZERO)?;
    link.note(&name, span.targets)?;
    let text = fs::read_to_string(list.answers()).context("reading answers")?;
    let answers = parsers::portmuster(&text, span)?;
    let accuracy = Some(assess(&answers, span, Coverage::EveryTarget)?);
    let memory_kib = Some(observation.memory_kib);
    let run = Measurement { cost: observation.cost, memory_kib, accuracy };
    let note = format!(
        "memory of {name}: {} KiB private, and {} KiB of the kernel's; {} sockets",
        observation.private_kib, observation.kernel_kib, observation.sockets
    );
    let typed = Some(list.as_typed(&command));
    Ok((Row { command: typed, ..Row::new(&name, span.targets, &[run]) }, note))
}
