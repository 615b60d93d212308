//! The question `peers`: portmuster beside other programs, each at its best setting.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{
    arguments::at_least_one,
    contest::{Demand, choose_best, run_rounds},
    greeter::Greeter,
    harness::Harness,
    list::List,
    namespace::Namespace,
    peer::{self, Peer, Tuning},
    program::{self, FASTEST},
    remote::Remote,
    row::{Row, count},
    section::{Goal, Wanted},
    span::Span,
};

/// Ports of each address where targets refuse. nmap and `RustScan` check all ports of all
/// addresses, and are fastest with many ports of few addresses.
const PORTS: u16 = 1000;

/// Targets behind the link per open one.
const TARGETS_PER_OPEN: usize = 50;

/// Options of the subcommand `peers`.
#[derive(Debug, Args)]
pub(crate) struct PeersOptions {
    /// What to measure; repeatable
    #[arg(long = "part", value_name = "PART", default_values = ["refused", "open", "link"])]
    parts: Vec<PeersPart>,
    /// Peers that take part; repeatable [default: all that are installed]
    #[arg(long = "peer", value_name = "PEER")]
    peers: Vec<Peer>,
    /// Targets that refuse, and targets behind the link, 2 % of which are open
    #[arg(long, value_name = "N", default_value_t = 512_000, value_parser = at_least_one)]
    targets: usize,
    /// Targets that are open
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = at_least_one)]
    open: usize,
    /// Rounds; each candidate runs once per round, with its best setting
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PeersPart {
    /// Targets on loopback where no server listens
    Refused,
    /// Targets on loopback where a server listens
    Open,
    /// Targets at the other end of a link, for raw scanners
    Link,
}

/// The least pace of portmuster as a multiple of a peer's.
const REFUSED_MIN: &[(Peer, f64)] =
    &[(Peer::Nmap, 4.0), (Peer::Rustscan, 6.0), (Peer::Python, 4.0)];
const OPEN_MIN: &[(Peer, f64)] = &[(Peer::Nmap, 2.0)];

/// The settings of portmuster that are tried.
const PORTMUSTER_SETTINGS: [&[&str]; 3] = [&[], &["--in-flight", "1024"], &["--in-flight", "256"]];

/// Runs the selected comparisons and adds their sections to the report of `harness`.
pub(crate) fn run(options: &PeersOptions, harness: &mut Harness) -> Result<()> {
    let mut namespace = Namespace::prepare()?;
    for part in &options.parts {
        // The server of the targets, which ends when this is dropped.
        let (mut greeter, mut remote) = (None, None);
        let (title, span, peers, goals): (_, _, &[Peer], _) = match part {
            PeersPart::Refused => {
                let targets = options.targets;
                let ports = u16::try_from(targets).unwrap_or(PORTS).min(PORTS);
                let title = format!("{targets} targets that refuse, {ports} ports of each address");
                let span = Span { ports, ..Span::refused(targets) };
                (title, span, &Peer::CONNECTING, REFUSED_MIN)
            }
            PeersPart::Open => {
                let port = greeter.insert(Greeter::start()?).port;
                let title =
                    format!("{} targets that are open, each with its own address", options.open);
                (title, Span::open(port, options.open), &Peer::CONNECTING, OPEN_MIN)
            }
            PeersPart::Link => {
                let open = (options.targets / TARGETS_PER_OPEN).max(1);
                let span = Remote::span(options.targets, open);
                remote = Some(Remote::start(&mut namespace, open)?);
                let title = format!("{} targets behind a link, {open} of them open", span.targets);
                (title, span, &Peer::RAW, &[][..])
            }
        };
        measure(options, harness, &namespace, (title, span), (peers, goals))?;
        drop((greeter, remote));
    }
    Ok(())
}

fn measure(
    options: &PeersOptions,
    harness: &mut Harness,
    namespace: &Namespace,
    (title, span): (String, Span),
    (peers, minima): (&[Peer], &[(Peer, f64)]),
) -> Result<()> {
    let program = harness.portmuster()?;
    let list = List::new(span)?;
    let ours = PORTMUSTER_SETTINGS.map(|setting| {
        let arguments = [&FASTEST[..], &["--no-probe"], setting].concat();
        program::candidate(&program, &list, "portmuster --no-probe", &arguments)
    });
    let (mut groups, absent) = peer::candidates(peers, &options.peers, &list, Tuning::Fast);
    groups.insert(0, ours.into());
    let (mut best, notes) = choose_best(groups)?;
    let mut section = run_rounds(title, &mut best, options.rounds, Demand::Measured)?;
    section.goals = goals(&section.rows, minima);
    (section.notes, section.absent) = (notes, absent);
    section.settings.clone_from(&namespace.settings);
    harness.add(section)
}

fn goals(rows: &[Row], minima: &[(Peer, f64)]) -> Vec<Goal> {
    let ours = &rows[0];
    let wrong = ours.accuracy.map_or(0, |of| of.of - of.open + of.false_open + of.mistaken);
    let what = "targets with a wrong state, portmuster";
    let mut goals = vec![Goal::number(what, count(wrong), Wanted::AtMost, 0.0)];
    for &(peer, least) in minima {
        if let Some(theirs) = rows.iter().find(|row| row.name == peer.name()) {
            let what = format!("pace of portmuster over {}", peer.name());
            goals.push(Goal::at_least(what, ours.pace_ratio(theirs), least));
        }
    }
    goals
}
