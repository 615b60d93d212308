//! Other programs that tell open ports from others, and the settings of each.
//!
//! To add one: a variant, its [`Specification`], and its parser in `parsers.rs`.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::process::{Resource, getrlimit};

use crate::{
    answers::{Coverage, Parser},
    candidate::Candidate,
    list::{Expected, List},
    parsers,
    remote::{NEAR, NEAR_ADDRESS, NEAR_MAC, REMOTE_MAC},
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
    /// masscan, a raw scanner
    Masscan,
    /// `ZMap`, a raw scanner
    Zmap,
}

/// Which settings a peer runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tuning {
    /// Three settings for speed.
    Fast,
    /// The setting that people usually choose.
    Usual,
}

/// How a peer is found, run and read.
struct Specification {
    /// Its name in tables.
    name: &'static str,
    /// Its file name.
    program: &'static str,
    /// The command that installs it.
    install: &'static str,
    /// Its arguments, separated by spaces; [`expand`] replaces the names in braces.
    arguments: &'static str,
    /// Values of `{setting}` for [`Tuning::Fast`].
    fast: [&'static str; 3],
    /// The value of `{setting}` for [`Tuning::Usual`].
    usual: &'static str,
    output: (Parser, Coverage),
}

/// The reference in Python.
pub(crate) const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reference.py");

/// Folders of packaged programs that an ordinary user's PATH lacks.
const FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The folder of programs that `cargo xtask bench` installs, relative to this program's.
const CARGO_FOLDER: &str = "../peers/bin";

/// Descriptors that `RustScan` is allowed, if the system allows as many.
const DESCRIPTORS: u64 = 20_000;

impl Peer {
    /// Peers that connect by the system's sockets.
    pub(crate) const CONNECTING: [Self; 4] =
        [Self::Nmap, Self::Rustscan, Self::Python, Self::Tokio];
    /// Peers that send packets of their own, and therefore need a link.
    pub(crate) const RAW: [Self; 2] = [Self::Masscan, Self::Zmap];

    fn specification(self) -> Specification {
        match self {
            Self::Nmap => Specification {
                name: "nmap -sT",
                program: "nmap",
                install: "apt-get install nmap",
                arguments: "-sT -n -Pn {setting} -p {ports} -oG - -iL {addresses}",
                fast: [
                    "--max-retries 0",
                    "--max-retries 0 -T5 --min-hostgroup 512",
                    "--max-retries 0 --min-rate 1000000 --min-hostgroup 4096",
                ],
                usual: "-T4",
                output: (parsers::nmap, Coverage::EveryTarget),
            },
            Self::Rustscan => Specification {
                name: "RustScan",
                program: "rustscan",
                install: "cargo xtask bench, or: cargo install --locked rustscan",
                arguments: "--no-config --no-banner --greppable --scripts none --ulimit {descriptors} {setting} --range {ports} --addresses {addresses}",
                fast: ["-b 500 -t 1000", "-b 3000 -t 1000", "-b 15000 -t 1000"],
                usual: "",
                output: (parsers::rustscan, Coverage::OpenOnly),
            },
            Self::Python => Specification {
                name: "the reference in Python",
                program: "python3",
                install: "apt-get install python3",
                arguments: "{reference} {setting} {targets}",
                fast: ["processes", "processes --workers=64", "process-threads"],
                usual: "process-threads",
                output: (parsers::words, Coverage::EveryTarget),
            },
            Self::Tokio => Specification {
                name: "plain tokio",
                program: "plain_tokio",
                install: "cargo build --profile dist --package portmuster-bench",
                arguments: "{targets} {setting}",
                fast: ["1000 10000", "4000 10000", "16000 10000"],
                usual: "4000 3000",
                output: (parsers::words, Coverage::EveryTarget),
            },
            Self::Masscan => Specification {
                name: "masscan",
                program: "masscan",
                install: "apt-get install masscan",
                arguments: "--interface {near} --adapter-ip {near-ip} --adapter-mac {near-mac} --router-mac {remote-mac} {setting} -p {ports} -oL - -iL {addresses}",
                fast: [
                    "--rate 50000 --wait 3",
                    "--rate 200000 --wait 3",
                    "--rate 100000 --retries 1 --wait 3",
                ],
                usual: "--rate 10000",
                output: (parsers::masscan, Coverage::OpenOnly),
            },
            Self::Zmap => Specification {
                name: "ZMap",
                program: "zmap",
                install: "apt-get install zmap",
                arguments: "-i {near} -S {near-ip} -G {remote-mac} {setting} -p {port} -b {empty} -w {addresses}",
                fast: ["-r 100000 -c 2", "-r 300000 -c 2", "-r 1000000 -c 2"],
                usual: "-r 10000",
                output: (parsers::zmap, Coverage::OpenOnly),
            },
        }
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        self.specification().name
    }

    /// Finds the program: beside this one, in PATH, or where packages put it.
    pub(crate) fn find(self) -> Result<PathBuf> {
        let Specification { name, program, install, .. } = self.specification();
        let this = env::current_exe().unwrap_or_default();
        let folder = this.parent().unwrap_or(Path::new("."));
        let path = env::var_os("PATH").unwrap_or_default();
        let mut candidates = [folder.to_path_buf(), folder.join(CARGO_FOLDER)]
            .into_iter()
            .chain(env::split_paths(&path))
            .chain(FOLDERS.map(PathBuf::from))
            .map(|folder| folder.join(program));
        let found = candidates.find(|path| path.is_file());
        found.with_context(|| format!("{name} is not installed ({install})"))
    }

    /// The line of `--version` that has a digit; `None` when there is no such line.
    pub(crate) fn version(self) -> Option<String> {
        let output = Command::new(self.find().ok()?).arg("--version").stdin(Stdio::null()).output();
        let text = output.ok()?.stdout;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
        Some(line.trim().to_owned())
    }

    /// A candidate for each of its settings. Fails when the peer is not installed.
    fn candidates(self, list: &List, tuning: Tuning) -> Result<Vec<Candidate<'_>>> {
        let program = self.find()?;
        let Specification { name, arguments, fast, usual, output, .. } = self.specification();
        let settings = if tuning == Tuning::Fast { &fast[..] } else { &[usual] };
        let candidates = settings.iter().map(|setting| {
            let mut command = Command::new(&program);
            for word in arguments.replace("{setting}", setting).split_whitespace() {
                command.arg(expand(word, list));
            }
            let name = match tuning {
                Tuning::Fast => name.to_owned(),
                Tuning::Usual => format!("{name} {setting}").trim_end().to_owned(),
            };
            list.candidate(name, command, Expected::Answers(output.0, output.1))
        });
        Ok(candidates.collect())
    }
}

/// The value of an argument in braces; other arguments stay as they are.
fn expand(word: &str, list: &List) -> OsString {
    let span = list.span();
    match word {
        "{targets}" => list.path().into(),
        "{addresses}" => list.addresses().into(),
        "{empty}" => list.empty().into(),
        "{port}" => span.port.to_string().into(),
        "{ports}" => span.port_range().into(),
        "{descriptors}" => descriptors().to_string().into(),
        "{reference}" => REFERENCE.into(),
        "{near}" => NEAR.into(),
        "{near-ip}" => NEAR_ADDRESS.into(),
        "{near-mac}" => NEAR_MAC.into(),
        "{remote-mac}" => REMOTE_MAC.into(),
        _ => word.into(),
    }
}

/// The candidates of each peer in `peers` that `selection` names, and a line for each peer that is
/// not installed. An empty selection names all.
pub(crate) fn candidates<'a>(
    peers: &[Peer],
    selection: &[Peer],
    list: &'a List,
    tuning: Tuning,
) -> (Vec<Vec<Candidate<'a>>>, Vec<String>) {
    let (mut groups, mut absent) = (Vec::new(), Vec::new());
    for peer in peers {
        if selection.is_empty() || selection.contains(peer) {
            match peer.candidates(list, tuning) {
                Ok(candidates) => groups.push(candidates),
                Err(error) => absent.push(error.to_string()),
            }
        }
    }
    (groups, absent)
}

/// Descriptors that a peer may be allowed.
pub(crate) fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS)
}
