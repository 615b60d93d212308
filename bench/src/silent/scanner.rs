//! The programs that scan the network, and the settings of each.

use std::{path::Path, process::Command};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    answers::Coverage,
    link::{DEVICE, ROUTER_MAC},
    list::{Expected, List},
    parsers,
    peer::{Peer, descriptors},
    span::Span,
};

/// Another program, with the settings that people choose for a network of which most is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scanner {
    /// `nmap -sT -T4`, which connects
    NmapConnect,
    /// `nmap -sS -T4 --min-rate 10000`, which sends SYNs of its own
    NmapSyn,
    /// `ZMap`, once for each port
    Zmap,
    /// masscan
    Masscan,
    /// `RustScan`
    Rustscan,
}

impl Scanner {
    /// All of them, in the order of the page.
    pub(crate) const ALL: [Self; 5] =
        [Self::NmapConnect, Self::NmapSyn, Self::Zmap, Self::Masscan, Self::Rustscan];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NmapConnect => "nmap -sT -T4",
            Self::NmapSyn => "nmap -sS -T4 --min-rate 10000",
            Self::Zmap => "ZMap, 100,000/s, a run for each port",
            Self::Masscan => "masscan, 100,000/s",
            Self::Rustscan => "RustScan",
        }
    }

    /// The command that scans the network of `list`, and what it prints.
    ///
    /// # Errors
    /// The program is not installed; the message says how to install it.
    pub(crate) fn command(self, list: &List) -> Result<(Command, Expected)> {
        let peer = match self {
            Self::NmapConnect | Self::NmapSyn => Peer::Nmap,
            Self::Zmap => Peer::Zmap,
            Self::Masscan => Peer::Masscan,
            Self::Rustscan => Peer::Rustscan,
        };
        let (program, network) = (peer.find()?, network(list.span()));
        let (line, expected) = match self {
            Self::NmapConnect => (
                format!("-sT -n -Pn -T4 -p 22,23 -oG - {network}"),
                Expected::Answers(parsers::nmap, Coverage::EveryTarget),
            ),
            Self::NmapSyn => (
                format!("-sS -n -Pn -T4 --min-rate 10000 -p 22,23 -oG - {network}"),
                Expected::Answers(parsers::nmap, Coverage::EveryTarget),
            ),
            Self::Masscan => (
                format!("--rate 100000 -p 22,23 -oL - {network}"),
                Expected::Answers(parsers::masscan, Coverage::OpenOnly),
            ),
            Self::Rustscan => (
                format!(
                    "--no-config --no-banner --greppable --scripts none --ulimit {} --ports 22,23 --addresses {network}",
                    descriptors()
                ),
                Expected::Answers(parsers::rustscan, Coverage::OpenOnly),
            ),
            Self::Zmap => {
                let output = Expected::Answers(parsers::zmap_ports, Coverage::OpenOnly);
                return Ok((zmap(&program, list, &network), output));
            }
        };
        let mut command = Command::new(program);
        command.args(line.split(' '));
        Ok((command, expected))
    }
}

/// Two runs of `ZMap`, which checks one port. Its usual list of networks to leave out contains this one.
fn zmap(program: &Path, list: &List, network: &str) -> Command {
    let (program, nothing) = (program.display(), list.empty());
    let nothing = nothing.display();
    let run = |port: u16| {
        format!(
            "{program} -i {DEVICE} -G {ROUTER_MAC} -P 2 -r 100000 -p {port} -f saddr,sport --output-filter \"success = 1 && repeat = 0\" -b {nothing} {network}"
        )
    };
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{} && {}", run(22), run(23)));
    command
}

/// The addresses of a span, whose number is a power of two.
pub(crate) fn network(span: Span) -> String {
    let addresses = span.targets / usize::from(span.ports);
    format!("{}/{}", span.first, 32 - addresses.ilog2())
}
