//! The program `portmuster`, which finds out which addresses support ssh or telnet.
//!
//! Results go to stdout, messages to stderr.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    iter,
    process::ExitCode,
};

use clap::Parser;
use portmuster::sink::row_schema;

mod args;
mod check;
mod clock;
mod closing;
mod collect;
mod command_line;
mod compare;
mod completions;
mod demo;
mod diff;
mod effective;
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
mod mistakes;
mod numbers;
mod output;
mod progress;
mod read_files;
mod reserved;
mod signals;
mod status;
mod summary;
mod terminal;
mod value_lists;
mod warnings;
mod workers;

use self::{
    args::{Command, Program},
    mistakes::Correction,
    status::Status,
};

fn main() -> ExitCode {
    harden::harden();
    signals::ignore_file_size_signal();
    let given: Vec<_> = env::args_os().skip(1).collect();
    let arguments = match effective::arguments(given.clone()) {
        Ok(arguments) => arguments,
        Err(error) => {
            terminal::error(&error);
            return Status::Usage.into();
        }
    };
    let name = iter::once("portmuster".into());
    let program = match Program::try_parse_from(name.chain(arguments.iter().cloned())) {
        Ok(program) if program.command.has_targets() && report_mistakes(&given) => {
            return Status::Usage.into();
        }
        Ok(program) => program,
        Err(error) if error.use_stderr() => {
            if report_mistakes(&given) {
                return Status::Usage.into();
            }
            error.exit();
        }
        Err(help) => {
            return terminal::status_of(help.print().and_then(|()| io::stdout().flush())).into();
        }
    };
    program.color.write_global();
    let status = match program.command {
        Command::Check(mut check) => {
            check.recorded = effective::recorded(&arguments);
            check::run(&check)
        }
        Command::Compare(compare) => compare::run(&compare),
        Command::Explain(explain) => explain::run(&explain),
        Command::Diff(diff) => diff::run(&diff),
        Command::Demo(demo) => Ok(demo::run(&demo)),
        Command::List(list) => Ok(value_lists::run(&list)),
        Command::Schema => Ok(terminal::print(&mut io::stdout(), row_schema().as_bytes())),
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

/// Prints what is wrong with the command line and what to type instead. Returns whether it contains a
/// known mistake.
fn report_mistakes(arguments: &[OsString]) -> bool {
    let correction = mistakes::correct(arguments);
    if let Some(Correction { reason, command }) = &correction {
        terminal::error_with_command(reason, command);
    }
    correction.is_some()
}
