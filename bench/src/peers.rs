//! Portmuster beside other programs, each as fast as it can be.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::{
    answers::Found,
    contest::{self, Demand},
    greeter::{Greeter, Place},
    list::List,
    namespace::Namespace,
    peer::{self, Asked, Peer},
    program::{self, TERMS},
    remote::Remote,
    section::{Goal, Section, Wanted},
    span::Span,
    table::{Row, count},
};

/// Ports of each address where targets refuse: nmap and `RustScan` take all ports of all addresses,
/// and are fastest with many ports of few.
const PORTS: u16 = 1000;

/// Of so many targets behind the wire one is open.
const FEW: usize = 50;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is measured; repeatable
    #[arg(long = "part", value_name = "PART", default_values = ["refused", "open", "wire"])]
    parts: Vec<Part>,
    /// Who takes part; repeatable [default: all who are installed]
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<Peer>,
    /// Targets that refuse, and targets behind the wire, of which 2 % are open
    #[arg(long, value_name = "N", default_value_t = 512_000, value_parser = crate::at_least_one)]
    targets: usize,
    /// Targets that are open
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = crate::at_least_one)]
    open: usize,
    /// Rounds, in each of which everybody runs once with the best setting
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = crate::at_least_one)]
    rounds: usize,
    /// The portmuster that is measured [default: built from this source]
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
}

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Targets on loopback where nothing listens
    Refused,
    /// Targets on loopback where somebody listens
    Open,
    /// Targets at the other end of a wire, for those who make packets themselves
    Wire,
}

/// How many times the pace of a peer portmuster is to have.
const REFUSED_LEAST: &[(Peer, f64)] =
    &[(Peer::Nmap, 4.0), (Peer::Rustscan, 6.0), (Peer::Python, 4.0)];
const OPEN_LEAST: &[(Peer, f64)] = &[(Peer::Nmap, 2.0)];

/// The settings of portmuster that are tried, as those of others are.
const OURS: [&[&str]; 3] = [&[], &["--in-flight", "1024"], &["--in-flight", "256"]];

/// Runs the parts that are asked for.
///
/// # Errors
/// Somebody can't be started, or has no answer for a target.
pub(crate) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut namespace = Namespace::prepare()?;
    let program = options.program.clone().map_or_else(|| program::beside("portmuster"), Ok)?;
    let mut sections = Vec::new();
    for part in &options.parts {
        let bench = Bench { options, program: &program };
        sections.push(match part {
            Part::Refused => {
                let ports = u16::try_from(options.targets).unwrap_or(PORTS).min(PORTS);
                let span = Span { ports, ..Span::refused(options.targets) };
                let title =
                    format!("{} targets that refuse, {ports} ports of each address", span.targets);
                bench.run_rounds(title, span, &Peer::CONNECTING, REFUSED_LEAST, &namespace)?
            }
            Part::Open => {
                let greeter = Greeter::start(&Place::default())?;
                let span = Span::open(greeter.port, options.open);
                let title =
                    format!("{} targets that are open, each with its own address", span.targets);
                bench.run_rounds(title, span, &Peer::CONNECTING, OPEN_LEAST, &namespace)?
            }
            Part::Wire => {
                let open = (options.targets / FEW).max(1);
                let span = Remote::span(options.targets, open);
                let far = Remote::start(&mut namespace, span)?;
                let title = format!("{} targets behind a wire, {open} of them open", span.targets);
                let section = bench.run_rounds(title, span, &Peer::RAW, &[], &namespace)?;
                drop(far);
                section
            }
        });
    }
    Ok(sections)
}

/// Terms of a part.
struct Bench<'a> {
    options: &'a Options,
    program: &'a Path,
}

impl Bench<'_> {
    fn run_rounds(
        &self,
        title: String,
        span: Span,
        peers: &[Peer],
        least: &[(Peer, f64)],
        namespace: &Namespace,
    ) -> Result<Section> {
        let mut output = anstream::stdout().lock();
        writeln!(output, "{title}: settings")?;
        let list = List::new(span)?;
        let ours = OURS.map(|setting| {
            let arguments = [&TERMS[..], &["--no-probe"], setting].concat();
            peer::portmuster(self.program, &list, "portmuster --no-probe", &arguments)
        });
        let (mut several, mut absent) = (vec![Vec::from(ours)], Vec::new());
        for &peer in peers {
            if !self.options.peers.is_empty() && !self.options.peers.contains(&peer) {
                continue;
            }
            match peer.candidates(&list, Asked::Fast) {
                Ok(candidates) => several.push(candidates),
                Err(error) => absent.push(error.to_string()),
            }
        }
        let mut notes = Vec::new();
        let mut best = contest::choose(&mut output, several, &mut notes)?;
        let rounds = self.options.rounds;
        let rows = contest::run_rounds(&mut output, &title, &mut best, rounds, Demand::Measured)?;
        let goals = goals(&rows, least);
        let unit = Some(rows[0].name.clone());
        let settings = namespace.settings.clone();
        drop(best);
        let section = Section { title, rows, unit, goals, notes, absent, settings };
        writeln!(output, "{section}").context("telling the figures")?;
        Ok(section)
    }
}

fn goals(rows: &[Row], least: &[(Peer, f64)]) -> Vec<Goal> {
    let ours = &rows[0];
    let wrong = ours
        .found
        .map_or(0, |Found { open, of, false_open, mistaken }| of - open + false_open + mistaken);
    let what = "targets of which portmuster did not say what is true";
    let mut goals = vec![Goal::number(what, count(wrong), Wanted::AtMost, 0.0)];
    for &(peer, least) in least {
        if let Some(theirs) = rows.iter().find(|row| row.name == peer.name()) {
            let what = format!("pace of portmuster over {}", peer.name());
            goals.push(Goal::at_least(what, ours.times(theirs), least));
        }
    }
    goals
}
