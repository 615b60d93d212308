//! Other programs that tell open ports from others, and how each is run.
//!
//! To add one: a variant, where it is found, its settings, and what its answers look like.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::process::{Resource, getrlimit};

use crate::{
    answers::{Coverage, Heard, Parser},
    contest::Candidate,
    list::List,
    program, reference,
    remote::{FAR_MAC, NEAR, NEAR_ADDRESS, NEAR_MAC},
    span::{Span, State},
};

/// Another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// `nmap -sT`
    Nmap,
    /// `RustScan`
    Rustscan,
    /// The reference in Python
    Python,
    /// A plain program with tokio
    Tokio,
    /// masscan, which makes packets itself
    Masscan,
    /// `ZMap`, which makes packets itself
    Zmap,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To be as fast as it can.
    Fast,
    /// To find what is there, as people usually ask it to.
    Usual,
}

/// Where packages put programs, though an ordinary user's PATH does not have it.
const FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Where `cargo xtask bench` has cargo put programs, beside the folders of profiles.
const CARGO_FOLDER: &str = "../peers/bin";

/// Descriptors that a program may ask for, if there are so many.
const DESCRIPTORS: u64 = 20_000;

impl Peer {
    /// Those that connect.
    pub(crate) const CONNECTING: [Self; 4] =
        [Self::Nmap, Self::Rustscan, Self::Python, Self::Tokio];
    /// Those that make packets themselves, and so need a wire.
    pub(crate) const RAW: [Self; 2] = [Self::Masscan, Self::Zmap];

    /// What it is called in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nmap => "nmap -sT",
            Self::Rustscan => "RustScan",
            Self::Python => "the reference in Python",
            Self::Tokio => "plain tokio",
            Self::Masscan => "masscan",
            Self::Zmap => "ZMap",
        }
    }

    /// What the program is called, and what installs it.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Nmap => ("nmap", "apt-get install nmap"),
            Self::Rustscan => {
                ("rustscan", "cargo xtask bench, or: cargo install --locked rustscan")
            }
            Self::Python => ("python3", "apt-get install python3"),
            Self::Tokio => ("plain_tokio", "cargo build --release --package portmuster-bench"),
            Self::Masscan => ("masscan", "apt-get install masscan"),
            Self::Zmap => ("zmap", "apt-get install zmap"),
        }
    }

    /// Where it is.
    ///
    /// # Errors
    /// It is not installed; the message says how it is.
    pub(crate) fn find(self) -> Result<PathBuf> {
        let (name, how) = self.program();
        let own = env::current_exe().ok();
        let own = own.as_deref().and_then(Path::parent);
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = own
            .into_iter()
            .flat_map(|own| [own.to_path_buf(), own.join(CARGO_FOLDER)])
            .chain(env::split_paths(&path))
            .chain(FOLDERS.map(PathBuf::from));
        let found =
            folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
        found.with_context(|| format!("{} is not installed ({how})", self.name()))
    }

    /// What it says its version is, where it says so.
    pub(crate) fn version(self) -> Option<String> {
        if self == Self::Tokio {
            return None;
        }
        let output = Command::new(self.find().ok()?).arg("--version").stdin(Stdio::null()).output();
        let text = output.ok()?.stdout;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
        Some(line.trim().to_owned())
    }

    /// It with each setting that is tried.
    ///
    /// # Errors
    /// It is not installed.
    pub(crate) fn candidates(self, list: &List, asked: Asked) -> Result<Vec<Candidate<'_>>> {
        let program = self.find()?;
        let (coverage, parser) = self.answers();
        let candidates = self.settings(asked).iter().map(|setting| {
            let mut command = Command::new(&program);
            self.arguments(&mut command, list, setting);
            let name = match asked {
                Asked::Fast => self.name().to_owned(),
                Asked::Usual => format!("{} {}", self.name(), setting.join(" ")),
            };
            list.candidate(name.trim_end().to_owned(), command, coverage, parser)
        });
        Ok(candidates.collect())
    }

    /// The settings that are tried: of those who are to be fast at least three.
    fn settings(self, asked: Asked) -> &'static [&'static [&'static str]] {
        match (self, asked) {
            (Self::Nmap, Asked::Fast) => &[
                &["--max-retries", "0"],
                &["--max-retries", "0", "-T5", "--min-hostgroup", "512"],
                &["--max-retries", "0", "--min-rate", "1000000", "--min-hostgroup", "4096"],
            ],
            (Self::Nmap, Asked::Usual) => &[&["-T4"]],
            (Self::Rustscan, Asked::Fast) => &[
                &["-b", "500", "-t", "1000"],
                &["-b", "3000", "-t", "1000"],
                &["-b", "15000", "-t", "1000"],
            ],
            (Self::Rustscan, Asked::Usual) => &[&[]],
            (Self::Python, Asked::Fast) => {
                &[&["processes"], &["processes", "--workers=64"], &["process-threads"]]
            }
            (Self::Python, Asked::Usual) => &[&["process-threads"]],
            (Self::Tokio, Asked::Fast) => {
                &[&["1000", "10000"], &["4000", "10000"], &["16000", "10000"]]
            }
            (Self::Tokio, Asked::Usual) => &[&["4000", "3000"]],
            (Self::Masscan, Asked::Fast) => &[
                &["--rate", "50000", "--wait", "3"],
                &["--rate", "200000", "--wait", "3"],
                &["--rate", "100000", "--retries", "1", "--wait", "3"],
            ],
            (Self::Masscan, Asked::Usual) => &[&["--rate", "10000"]],
            (Self::Zmap, Asked::Fast) => &[
                &["-r", "100000", "-c", "2"],
                &["-r", "300000", "-c", "2"],
                &["-r", "1000000", "-c", "2"],
            ],
            (Self::Zmap, Asked::Usual) => &[&["-r", "10000"]],
        }
    }

    fn arguments(self, command: &mut Command, list: &List, setting: &[&str]) {
        let span = list.span();
        match self {
            Self::Nmap => command
                .args(["-sT", "-n", "-Pn"])
                .args(setting)
                .args(["-p", &span.port_range(), "-oG", "-", "-iL"])
                .arg(list.addresses()),
            Self::Rustscan => command
                .args(["--no-config", "--no-banner", "--greppable", "--scripts", "none"])
                .args(["--ulimit", &descriptors().to_string()])
                .args(setting)
                .args(["--range", &span.port_range(), "--addresses"])
                .arg(list.addresses()),
            Self::Python => command.arg(reference::PROGRAM).args(setting).arg(list.path()),
            Self::Tokio => command.arg(list.path()).args(setting),
            Self::Masscan => command
                .args(["--interface", NEAR, "--adapter-ip", NEAR_ADDRESS])
                .args(["--adapter-mac", NEAR_MAC, "--router-mac", FAR_MAC])
                .args(setting)
                .args(["-p", &span.port_range(), "-oL", "-", "-iL"])
                .arg(list.addresses()),
            Self::Zmap => command
                .args(["-i", NEAR, "-S", NEAR_ADDRESS, "-G", FAR_MAC])
                .args(setting)
                .args(["-p", &span.port.to_string(), "-b"])
                .arg(list.nothing())
                .arg("-w")
                .arg(list.addresses()),
        };
    }

    fn answers(self) -> (Coverage, Parser) {
        match self {
            Self::Nmap => (Coverage::All, parse_nmap),
            Self::Python | Self::Tokio => (Coverage::All, reference::parse),
            Self::Rustscan => (Coverage::Opens, parse_rustscan),
            Self::Masscan => (Coverage::Opens, parse_masscan),
            Self::Zmap => (Coverage::Opens, parse_zmap),
        }
    }
}

/// Portmuster as it is, but for these arguments.
pub(crate) fn portmuster<'a>(
    program: &Path,
    list: &'a List,
    name: &str,
    arguments: &[&str],
) -> Candidate<'a> {
    let mut command = Command::new(program);
    command.args(["check", "--progress", "never", "--quiet"]).args(arguments);
    command.args(["--output", "jsonl", "--input"]).arg(list.path());
    list.candidate(name.to_owned(), command, Coverage::All, program::parse)
}

fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS)
}

fn opens(targets: impl Iterator<Item = Option<SocketAddr>>) -> Option<Vec<(SocketAddr, State)>> {
    targets.map(|target| Some((target?, State::Open))).collect()
}

/// `Host: 127.1.0.0 ()\tPorts: 22/open/tcp//ssh///, …\tIgnored State: closed (999)`
fn parse_nmap(text: &str, _: Span) -> Result<Heard> {
    let mut heard = Heard::default();
    for line in text.lines().filter(|line| line.contains("\tPorts: ")) {
        let what = || format!("this is not nmap's line for a host: {line}");
        let mut fields = line.split('\t');
        let host = fields.next().and_then(|host| host.strip_prefix("Host: "));
        let host: IpAddr =
            host.and_then(|host| host.split(' ').next()?.parse().ok()).with_context(what)?;
        for field in fields {
            if let Some(ports) = field.strip_prefix("Ports: ") {
                for port in ports.split(", ").filter(|port| !port.trim().is_empty()) {
                    let said = nmap_port(port).with_context(what)?;
                    heard.said.push((SocketAddr::new(host, said.0), said.1));
                }
            } else if let Some(ignored) = field.strip_prefix("Ignored State: ") {
                let count = ignored.rsplit('(').next().and_then(|count| count.strip_suffix(')'));
                heard.counted +=
                    count.and_then(|count| count.parse::<usize>().ok()).with_context(what)?;
            }
        }
    }
    Ok(heard)
}

fn nmap_port(port: &str) -> Option<(u16, State)> {
    let mut words = port.trim().split('/');
    let number = words.next()?.parse().ok()?;
    let state = match words.next()? {
        "open" => State::Open,
        "closed" => State::Refused,
        "filtered" => State::Silent,
        _ => return None,
    };
    Some((number, state))
}

/// `10.64.0.1 -> [22,23]`
fn parse_rustscan(text: &str, _: Span) -> Result<Heard> {
    let mut heard = Heard::default();
    for line in text.lines() {
        let Some((host, ports)) = line.split_once(" -> [") else { continue };
        let said = (|| {
            let host: IpAddr = host.parse().ok()?;
            let ports = ports.strip_suffix(']')?.split(',');
            opens(ports.map(|port| Some(SocketAddr::new(host, port.trim().parse().ok()?))))
        })();
        heard.said.extend(said.with_context(|| format!("this is not RustScan's answer: {line}"))?);
    }
    Ok(heard)
}

/// `open tcp 22 10.64.0.1 1790000000`
fn parse_masscan(text: &str, _: Span) -> Result<Heard> {
    let lines = text.lines().filter(|line| line.starts_with("open "));
    let targets = lines.map(|line| {
        let mut words = line.split(' ').skip(2);
        let port = words.next()?.parse().ok()?;
        Some(SocketAddr::new(words.next()?.parse().ok()?, port))
    });
    let said = opens(targets).context("masscan's list can't be read")?;
    Ok(Heard { said, counted: 0 })
}

/// `10.64.0.1`, after a line that names the field.
fn parse_zmap(text: &str, span: Span) -> Result<Heard> {
    let lines = text.lines().filter(|&line| line != "saddr");
    let targets =
        lines.map(|line| Some(SocketAddr::from((line.parse::<Ipv4Addr>().ok()?, span.port))));
    let said = opens(targets).context("ZMap's list can't be read")?;
    Ok(Heard { said, counted: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(heard: &Heard) -> Vec<(String, State)> {
        heard.said.iter().map(|(target, state)| (target.to_string(), *state)).collect()
    }

    #[test]
    fn answers_of_peers_are_read() {
        let span = Span { port: 22, ..Span::refused(3) };
        let open = vec![("10.64.0.1:22".to_owned(), State::Open)];
        let rustscan = parse_rustscan("10.64.0.1 -> [22]\n", span).expect("it is an answer");
        let masscan = "#masscan\nopen tcp 22 10.64.0.1 1790000000\n# end\n";
        let masscan = parse_masscan(masscan, span).expect("it is a list");
        let zmap = parse_zmap("saddr\n10.64.0.1\n", span).expect("it is a list");
        for heard in [rustscan, masscan, zmap] {
            assert_eq!(said(&heard), open);
        }
        assert!(parse_rustscan("10.64.0.1 -> [22", span).is_err());
        assert!(parse_zmap("nonsense\n", span).is_err());
    }

    #[test]
    fn nmap_names_ports_or_counts_them() {
        let text = "# Nmap\nHost: 10.64.0.1 ()\tStatus: Up\n\
            Host: 10.64.0.1 ()\tPorts: 22/open/tcp//ssh///, 23/filtered/tcp//telnet///\tIgnored State: closed (998)\n\
            Host: 10.64.0.2 ()\tPorts: \tIgnored State: closed (1000)\n";
        let heard = parse_nmap(text, Span::refused(1)).expect("it is nmap's");
        assert_eq!(heard.counted, 1998);
        let expected = [("10.64.0.1:22", State::Open), ("10.64.0.1:23", State::Silent)];
        assert_eq!(said(&heard), expected.map(|(target, state)| (target.to_owned(), state)));
    }

    #[test]
    fn whoever_is_to_be_fast_has_three_settings() {
        for peer in Peer::CONNECTING.into_iter().chain(Peer::RAW) {
            assert!(peer.settings(Asked::Fast).len() >= 3, "{peer:?}");
            assert!(!peer.settings(Asked::Usual).is_empty(), "{peer:?}");
        }
    }
}
