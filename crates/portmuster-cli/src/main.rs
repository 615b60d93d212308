//! The program `portmuster`, which finds out which addresses support ssh or telnet.
//!
//! Results go to stdout, messages to stderr.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

mod args;
mod check;
mod clock;
mod closing;
mod collect;
mod compare;
mod completions;
mod demo;
mod diff;
mod explain;
mod file_identity;
mod formats;
mod gate;
mod harden;
mod input;
mod journal;
mod listing;
mod man;
mod measure;
mod numbers;
mod output;
mod progress;
mod read_files;
mod reserved;
mod signals;
mod status;
mod summary;
mod terminal;
mod warnings;
mod workers;

use self::{
    args::{Command, Program},
    status::Status,
};

fn main() -> ExitCode {
    harden::harden();
    signals::ignore_file_size_signal();
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => {
            return terminal::status_of(help.print().and_then(|()| io::stdout().flush())).into();
        }
    };
    program.color.write_global();
    let status = match program.command {
        Command::Check(check) => check::run(&check),
        Command::Compare(compare) => compare::run(&compare),
        Command::Explain(explain) => explain::run(&explain),
        Command::Diff(diff) => diff::run(&diff),
        Command::Demo(demo) => Ok(demo::run(&demo)),
        Command::Completions(completions) => Ok(completions::run(&completions)),
        Command::Man(man) => man::run(&man),
        Command::Worker => return portmuster::worker_main(),
    };
    status
        .unwrap_or_else(|error| {
            terminal::error(&error);
            Status::Usage
        })
        .into()
}
