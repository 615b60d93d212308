//! Benchmarks portmuster beside other programs that do the same.
//!
//! Each subcommand is a question, in a file of its own. Its [`Candidate`](candidate::Candidate)s run
//! once per round, one after the other, so that other load of the machine affects all alike. Their
//! figures are a [`Section`](section::Section), which is printed; `page` gathers all of them. A
//! question fails when a candidate can't be started or its answers are wrong.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

mod answers;
mod arguments;
mod baseline;
mod calls;
mod candidate;
mod contest;
mod cost;
mod found;
mod greeter;
mod growth;
mod harness;
mod host_keys;
mod key_server;
mod lateness;
mod limit;
mod link;
mod list;
mod million;
mod mixed;
mod namespace;
mod page;
mod parsers;
mod peer;
mod peers;
mod program;
mod python;
mod queue;
mod reading;
mod remote;
mod row;
mod section;
mod silent;
mod software;
mod span;
mod watch;

use harness::Harness;

/// Benchmarks portmuster beside other programs that do the same.
#[derive(Debug, Parser)]
#[command(name = "portmuster-bench", arg_required_else_help = true, max_term_width = 100)]
struct CommandLine {
    /// The portmuster to measure [default: built from this source]
    #[arg(long, global = true, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Also write the figures to this file, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    report: Option<PathBuf>,
    /// This process runs in namespaces of its own
    #[arg(long, hide = true)]
    inside: bool,
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Measure the queue between processes, with costless work and with targets that refuse
    Queue(queue::QueueOptions),
    /// Compare the pace with a process that connects and does nothing else
    Limit(limit::LimitOptions),
    /// Compare the pace where most targets refuse, some are silent and few are open
    Mixed(mixed::MixedOptions),
    /// Measure a million attempts at the same time, none of which is answered
    Million(million::MillionOptions),
    /// Compare the time for a network of which most is silent, at the defaults
    Silent(silent::SilentOptions),
    /// Count the open targets that portmuster and its peers find when packets get lost
    Found(found::FoundOptions),
    /// Measure the time and the memory that lists of targets take before a run starts
    Reading(reading::ReadingOptions),
    /// Measure silent networks up to 100,000,000 targets, in virtual time
    Growth(growth::GrowthOptions),
    /// Measure what naming the software of a server costs
    Software(software::SoftwareOptions),
    /// Measure what the host keys of servers cost, beside ssh-keyscan
    HostKeys(host_keys::HostKeysOptions),
    /// Compare the pace of the Python package with that of Python's own library
    Python(python::PythonOptions),
    /// Compare the pace with that of other programs, each at its best setting
    Peers(peers::PeersOptions),
    /// Ask all of these, and write a page with a picture
    Page(page::PageOptions),
    /// A worker process of `queue`
    #[command(hide = true)]
    Worker { job: queue::Job },
    /// The process that connects and does nothing else
    #[command(hide = true)]
    Baseline(baseline::BaselineOptions),
    /// The server that answers key exchanges
    #[command(hide = true)]
    KeyServer,
    /// The server that greets all clients
    #[command(hide = true)]
    Greeter(greeter::GreeterOptions),
    /// One run of `growth`
    #[command(hide = true)]
    Simulated(growth::SimulatedOptions),
    /// The link of `silent`
    #[command(hide = true)]
    Link(link::LinkOptions),
    /// Run a command and write its peak of memory
    #[command(hide = true)]
    Peak(cost::PeakOptions),
}

impl BenchCommand {
    /// Whether this question needs a network namespace.
    fn needs_namespace(&self) -> bool {
        matches!(
            self,
            Self::Mixed(_)
                | Self::Million(_)
                | Self::Silent(_)
                | Self::Found(_)
                | Self::Peers(_)
                | Self::Python(_)
        )
    }
}

fn main() -> Result<ExitCode> {
    let CommandLine { program, report, inside, command } = CommandLine::parse();
    if command.needs_namespace() && !inside {
        if program.is_none() {
            // A namespace has no network to fetch dependencies from.
            program::build()?;
            program::build_plain_tokio()?;
        }
        return namespace::run_inside();
    }
    let mut harness = Harness::new(program, inside);
    match &command {
        BenchCommand::Queue(options) => queue::run(options, &mut harness)?,
        BenchCommand::Limit(options) => limit::run(options, &mut harness)?,
        BenchCommand::Mixed(options) => mixed::run(options, &mut harness)?,
        BenchCommand::Million(options) => million::run(options, &mut harness)?,
        BenchCommand::Silent(options) => silent::run(options, &mut harness)?,
        BenchCommand::Found(options) => found::run(options, &mut harness)?,
        BenchCommand::Reading(options) => reading::run(options, &mut harness)?,
        BenchCommand::Growth(options) => growth::run(options, &mut harness)?,
        BenchCommand::Software(options) => software::run(options, &mut harness)?,
        BenchCommand::HostKeys(options) => host_keys::run(options, &mut harness)?,
        BenchCommand::Python(options) => python::run(options, &mut harness)?,
        BenchCommand::Peers(options) => peers::run(options, &mut harness)?,
        BenchCommand::Page(options) => page::run(options, &harness)?,
        BenchCommand::Worker { job } => return Ok(job.serve()),
        BenchCommand::Baseline(options) => baseline::run(options)?,
        BenchCommand::KeyServer => key_server::run()?,
        BenchCommand::Greeter(options) => greeter::run(options)?,
        BenchCommand::Simulated(options) => growth::simulated(options)?,
        BenchCommand::Link(options) => link::run(*options)?,
        BenchCommand::Peak(options) => return cost::run(options),
    }
    if let Some(path) = &report {
        harness.write_report(path)?;
    }
    Ok(ExitCode::SUCCESS)
}
