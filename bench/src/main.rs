//! What portmuster's methods cost, beside others that do the same.
//!
//! Each subcommand is one question, in a file of its own. What contends for the answer is a
//! [`Contestant`](contest::Contestant): all of them run once in every round, one after the other,
//! so that whatever else the machine does meets them alike.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod contest;
mod cost;
mod limit;
mod list;
mod program;
mod queue;
mod reference;
mod table;

/// What portmuster's methods cost, beside others that do the same.
#[derive(Debug, Parser)]
#[command(name = "portmuster-bench", arg_required_else_help = true, max_term_width = 100)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The queue between processes, with work that costs nothing and with refused targets
    Queue(queue::Options),
    /// How near portmuster comes to what the system allows: connecting and nothing else
    Limit(limit::Options),
    /// The inside of a worker process
    #[command(hide = true)]
    Worker { job: queue::Job },
    /// The inside of a process that does nothing but connect
    #[command(hide = true)]
    Yardstick(limit::yardstick::Options),
    /// The inside of the process that greets
    #[command(hide = true)]
    Greeter,
}

fn main() -> anyhow::Result<ExitCode> {
    match Program::parse().command {
        Command::Queue(options) => queue::run(&options)?,
        Command::Limit(options) => limit::run(&options)?,
        Command::Worker { job } => return Ok(job.serve()),
        Command::Yardstick(options) => limit::yardstick::run(&options)?,
        Command::Greeter => limit::greeter::serve()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
