//! A slow, lossy network of which most is silent, behind a link of `portmuster-lab`.
//!
//! The link and its hosts are a process of their own, whose CPU time is not that of a candidate.

use std::{
    cell::RefCell,
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use portmuster_lab::link::{Link, LinkSettings, Network};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::span::{HOSTS_SEED, NETWORK, PREFIX_MIN};

/// The device of the link, and the hardware address of its router; `ZMap` needs them.
pub(crate) const DEVICE: &str = "wire";
pub(crate) const ROUTER_MAC: &str = "02:00:00:00:00:01";

/// The time from a packet to its answer.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Options of the hidden subcommand `link`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LinkOptions {
    /// Percentage of the packets to and from hosts that are lost, in each direction
    #[arg(long, value_name = "N")]
    loss: u32,
}

/// Packets that a link carried and lost since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// SYNs of the candidate, with repetitions.
    pub(crate) syns: u64,
    /// The most of them in one second.
    pub(crate) peak: u64,
    /// Packets that were lost because the link could not keep up.
    pub(crate) overflow: u64,
}

/// A link that is started anew for each run, so that each candidate meets the same losses.
#[derive(Debug)]
pub(crate) struct FreshLink {
    loss: u32,
    running: RefCell<Option<RunningLink>>,
}

#[derive(Debug)]
struct RunningLink {
    process: Child,
    stdout: BufReader<ChildStdout>,
    /// The program and the arguments before a command that runs behind the link.
    prefix: Vec<String>,
}

impl FreshLink {
    /// A link that loses this percentage of the packets to and from hosts. It is not yet started.
    pub(crate) fn new(loss: u32) -> Self {
        Self { loss, running: RefCell::new(None) }
    }

    /// Ends the link of the last run, and starts another.
    pub(crate) fn restart(&self) -> Result<()> {
        drop(self.running.take());
        self.running.replace(Some(RunningLink::start(self.loss)?));
        Ok(())
    }

    /// The same command behind the link, which must be running.
    pub(crate) fn wrap(&self, command: &Command) -> Result<Command> {
        let running = self.running.borrow();
        let prefix = &running.as_ref().context("the link is not running")?.prefix;
        let (program, arguments) = prefix.split_first().context("the link has no command")?;
        let mut wrapped = Command::new(program);
        wrapped.args(arguments).arg(command.get_program()).args(command.get_args());
        Ok(wrapped)
    }

    /// The traffic of the run so far.
    pub(crate) fn traffic(&self) -> Result<Traffic> {
        let mut running = self.running.borrow_mut();
        let running = running.as_mut().context("the link is not running")?;
        let stdin = running.process.stdin.as_mut().context("its stdin is a pipe")?;
        stdin.write_all(b"\n").context("asking a link for its counts")?;
        read_line(&mut running.stdout)
    }
}

impl RunningLink {
    fn start(loss: u32) -> Result<Self> {
        let mut command = Command::new(env::current_exe().context("finding this program")?);
        command.args(["link", "--loss", &loss.to_string()]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("starting a link")?;
        let mut stdout = BufReader::new(process.stdout.take().context("its stdout is a pipe")?);
        let prefix = read_line(&mut stdout)?;
        Ok(Self { process, stdout, prefix })
    }
}

impl Drop for RunningLink {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn read_line<T: DeserializeOwned>(stdout: &mut BufReader<ChildStdout>) -> Result<T> {
    let mut line = String::new();
    stdout.read_line(&mut line).context("reading from a link")?;
    serde_json::from_str(&line).with_context(|| format!("the link printed {line:?}"))
}

/// Starts the link and prints the words before a command behind it; then prints the traffic for each
/// line of stdin, until that ends.
///
/// # Errors
/// This machine permits no link.
pub(crate) fn run(options: LinkOptions) -> Result<()> {
    // The hosts need a descriptor for each connection.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let network = Network::new(NETWORK.into(), PREFIX_MIN).context("making a network")?;
    let settings = LinkSettings::new(HOSTS_SEED)
        .network(network)
        .round_trip(ROUND_TRIP)
        .loss(f64::from(options.loss) / 100.0);
    let link = Link::start(settings).context("starting a link")?;
    let command = link.command("");
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let mut words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    // The program, which the caller names.
    words.pop();
    let mut stdout = anstream::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&words)?)?;
    for line in std::io::stdin().lines() {
        line.context("reading stdin")?;
        let counts = link.counts();
        let (syns, peak) = (counts.syns, counts.peak_syns_per_second());
        let traffic = Traffic { syns, peak, overflow: counts.overflow };
        writeln!(stdout, "{}", serde_json::to_string(&traffic)?)?;
    }
    Ok(())
}
