//! What portmuster's methods cost, beside others that do the same.
//!
//! Each subcommand is one question, in a file of its own. What contends for the answer is a
//! [`Candidate`](contest::Candidate): all of them run once in every round, one after the other,
//! so that whatever else the machine does meets them alike. What they come to is a
//! [`Section`] each, printed here and gathered into a page by `page`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

mod answers;
mod contest;
mod cost;
mod found;
mod greeter;
mod limit;
mod list;
mod million;
mod mixed;
mod namespace;
mod page;
mod peer;
mod peers;
mod program;
mod queue;
mod reference;
mod remote;
mod section;
mod span;
mod table;
mod watch;

use section::Section;

/// What portmuster's methods cost, beside others that do the same.
#[derive(Debug, Parser)]
#[command(name = "portmuster-bench", arg_required_else_help = true, max_term_width = 100)]
struct Program {
    /// Also write the figures to this file, as JSON
    #[arg(long, global = true, value_name = "FILE")]
    report: Option<PathBuf>,
    /// This runs in namespaces of its own
    #[arg(long, hide = true)]
    inside: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The queue between processes, with work that costs nothing and with refused targets
    Queue(queue::Options),
    /// How near portmuster comes to what the system allows: connecting and nothing else
    Limit(limit::Options),
    /// The same with targets of all kinds, of which some never answer
    Mixed(mixed::Options),
    /// A million attempts under way at the same time, none of which is ever answered
    Million(million::Options),
    /// How many of the open targets are found when packets get lost, by portmuster and by others
    Found(found::Options),
    /// Other programs that do the same, each with the best of several settings
    Peers(peers::Options),
    /// All of these, as a page with a picture
    Page(page::Options),
    /// The inside of a worker process
    #[command(hide = true)]
    Worker { job: queue::Job },
    /// The inside of a process that does nothing but connect
    #[command(hide = true)]
    Baseline(limit::baseline::Options),
    /// The inside of the process that greets
    #[command(hide = true)]
    Greeter(greeter::Place),
    /// The inside of the process that sees how much memory another takes
    #[command(hide = true)]
    Peak(cost::PeakOptions),
}

fn main() -> Result<ExitCode> {
    let program = Program::parse();
    if let Some(measured) = program.command.apart().filter(|_| !program.inside) {
        return go_inside(measured);
    }
    let sections = match &program.command {
        Command::Queue(options) => queue::run(options)?,
        Command::Limit(options) => limit::run(options)?,
        Command::Mixed(options) => mixed::run(options)?,
        Command::Million(options) => million::run(options)?,
        Command::Found(options) => found::run(options)?,
        Command::Peers(options) => peers::run(options)?,
        Command::Page(options) => return page::run(options).map(done),
        Command::Worker { job } => return Ok(job.serve()),
        Command::Baseline(options) => return limit::baseline::run(options).map(done),
        Command::Greeter(place) => return greeter::serve(place).map(done),
        Command::Peak(options) => return cost::run(options),
    };
    if let Some(path) = &program.report {
        report(path, &sections)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Which portmuster is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    Named,
    Built,
}

impl Command {
    /// Of those that run in a network of their own: which portmuster is measured.
    fn apart(&self) -> Option<Measured> {
        let program = match self {
            Self::Mixed(options) => &options.program,
            Self::Million(options) => &options.program,
            Self::Found(options) => &options.program,
            Self::Peers(options) => &options.program,
            _ => return None,
        };
        Some(if program.is_some() { Measured::Named } else { Measured::Built })
    }
}

/// Starts this program inside, when all is built that takes part, while there still is a network to
/// fetch it from.
fn go_inside(measured: Measured) -> Result<ExitCode> {
    if measured == Measured::Built {
        program::build()?;
        program::build_plain_tokio()?;
    }
    namespace::again()
}

fn report(path: &PathBuf, sections: &[Section]) -> Result<()> {
    let text = serde_json::to_string_pretty(sections).context("writing a report")?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
