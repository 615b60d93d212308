//! How many of the open targets are found when packets get lost.

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    contest::{self, Demand},
    list::List,
    namespace::Namespace,
    peer::{self, Asked, Peer},
    program,
    remote::Remote,
    section::{Goal, Section, Wanted},
    table::{Row, count, share},
};

/// Portmuster in a hurry.
const HURRY: [&str; 4] = ["--timeout", "1s", "--retries", "2"];

/// Of a hundred open targets it is to find so many then, where `HURRY_LOSS` of a hundred packets get
/// lost.
const HURRY_LEAST: f64 = 99.9;
const HURRY_LOSS: u32 = 2;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Open targets; as many again refuse
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = crate::at_least_one)]
    targets: usize,
    /// Packets of a hundred that get lost, in each direction
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [2, 10])]
    loss: Vec<u32>,
    /// Who takes part; repeatable [default: all who are installed]
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<Peer>,
    /// The portmuster that is measured [default: built from this source]
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// Runs everybody once with each loss.
///
/// # Errors
/// Somebody can't be started, or has no answer for a target.
pub(crate) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut output = anstream::stdout().lock();
    let mut namespace = Namespace::prepare()?;
    let program = options.program.clone().map_or_else(|| program::beside("portmuster"), Ok)?;
    let span = Remote::span(2 * options.targets, options.targets);
    let far = Remote::start(&mut namespace, span)?;
    let list = List::new(span)?;
    let mut sections = Vec::new();
    for &loss in &options.loss {
        far.lose(loss)?;
        let mut candidates = vec![
            peer::portmuster(&program, &list, "portmuster", &[]),
            peer::portmuster(&program, &list, &format!("portmuster {}", HURRY.join(" ")), &HURRY),
        ];
        let mut absent = Vec::new();
        for peer in Peer::CONNECTING.into_iter().chain(Peer::RAW) {
            if !options.peers.is_empty() && !options.peers.contains(&peer) {
                continue;
            }
            match peer.candidates(&list, Asked::Usual) {
                Ok(mut settings) => candidates.append(&mut settings),
                Err(error) => absent.push(error.to_string()),
            }
        }
        let title = format!(
            "{} open targets and as many that refuse, {loss} % of packets lost in each direction",
            options.targets
        );
        let rows = contest::run_rounds(&mut output, &title, &mut candidates, 1, Demand::Measured)?;
        let goals = goals(&rows, loss);
        let mut settings = namespace.settings.clone();
        settings.push(format!("nft: numgen random mod 100 < {loss} drop, at the far end"));
        let section =
            Section { title, rows, unit: None, goals, notes: Vec::new(), absent, settings };
        writeln!(output, "{section}").context("telling the figures")?;
        sections.push(section);
    }
    Ok(sections)
}

fn goals(rows: &[Row], loss: u32) -> Vec<Goal> {
    let mut goals = Vec::new();
    let wanted = [100.0, if loss == HURRY_LOSS { HURRY_LEAST } else { 0.0 }];
    for (row, least) in rows.iter().zip(wanted) {
        let Some(found) = row.found else { continue };
        if least > 0.0 {
            let what = format!("found of the open in %, {}", row.name);
            let value = share(found.open, found.of);
            goals.push(Goal::number(&what, value, Wanted::AtLeast, least));
        }
        let what = format!("said to be open and not, {}", row.name);
        goals.push(Goal::number(&what, count(found.false_open), Wanted::AtMost, 0.0));
    }
    goals
}
