//! The program `portmuster`: which of these addresses support ssh or telnet?
//!
//! Results go to stdout, all else to stderr.

use std::process::ExitCode;

use clap::Parser;

mod args;
mod check;
mod demo;
mod explain;
mod input;
mod listing;
mod output;
mod progress;
mod signals;
mod status;
mod summary;
mod terminal;
mod warnings;

use self::{
    args::{Command, Program},
    status::Status,
};

fn main() -> ExitCode {
    let program = Program::parse();
    program.color.write_global();
    let status = match program.command {
        Command::Check(check) => check::run(&check),
        Command::Explain(explain) => explain::run(&explain),
        Command::Demo(demo) => Ok(demo::run(&demo)),
    };
    status
        .unwrap_or_else(|error| {
            terminal::error(&error);
            Status::Usage
        })
        .into()
}
