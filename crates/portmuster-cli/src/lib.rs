//! The program `portmuster`, which finds out which addresses support ssh or telnet.
//!
//! Results go to stdout, messages to stderr. The executable calls [`run`]; so does the Python package,
//! whose extension module contains the program.

use std::{
    ffi::OsString,
    io::{self, Write},
    iter,
    process::ExitCode,
};

use clap::{CommandFactory, Parser, error::ContextKind};
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
mod keys;
mod listing;
mod man;
mod measure;
mod mistakes;
mod numbers;
mod output;
mod progress;
mod read_files;
mod report;
mod reserved;
mod run_source;
mod signals;
mod status;
mod summary;
mod terminal;
mod value_lists;
mod warnings;
mod workers;

pub use self::workers::SelfCommand;
use self::{
    args::{Command, Program},
    mistakes::{Correction, Suggestion},
    status::Status,
};

/// Runs the program with the arguments that follow its name, and returns its exit status.
///
/// Call it once in a process that has no other purpose: it lowers the limit of core dumps, installs
/// handlers of signals, and a second Ctrl-C ends the process. `this` starts another process of the same
/// program, for methods with worker processes and for `compare`; `None`: the executable of this process.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>, this: Option<SelfCommand>) -> u8 {
    harden::harden();
    if let Err(error) = harden::ensure_stack() {
        terminal::error(&error);
        return Status::Incomplete.code();
    }
    signals::ignore_file_size_signal();
    workers::set_this_program(this);
    let given = help_after_command(arguments.into_iter().collect());
    let arguments = match effective::arguments(given.clone()) {
        Ok(arguments) => arguments,
        Err(error) => {
            terminal::error(&error);
            return Status::Usage.code();
        }
    };
    let name = iter::once("portmuster".into());
    let program = match Program::try_parse_from(name.chain(arguments.iter().cloned())) {
        Ok(program) if program.command.takes_any_word() && report_mistakes(&given) => {
            return Status::Usage.code();
        }
        Ok(program) => program,
        Err(error) if error.use_stderr() => {
            if !report_mistakes(&given) {
                print_usage_error(error);
            }
            return Status::Usage.code();
        }
        Err(_) if !asks_for_help(&given) && report_mistakes(&given) => {
            return Status::Usage.code();
        }
        Err(help) => {
            return terminal::status_of(help.print().and_then(|()| io::stdout().flush())).code();
        }
    };
    program.color.write_global();
    run_command(program.command, &arguments)
}

/// Runs a command and returns the exit status. `arguments` are the command line of the program.
fn run_command(command: Command, arguments: &[OsString]) -> u8 {
    let status = match command {
        Command::Check(mut check) => {
            check.recorded = effective::recorded(arguments);
            check::run(&check)
        }
        Command::Compare(compare) => compare::run(&compare),
        Command::Explain(explain) => explain::run(&explain),
        Command::Diff(diff) => diff::run(&diff),
        Command::Keys(keys) => keys::run(&keys),
        Command::Report(report) => report::run(&report),
        Command::Demo(demo) => Ok(demo::run(&demo)),
        Command::List(list) => Ok(value_lists::run(&list)),
        Command::Schema => Ok(terminal::print(&mut io::stdout(), row_schema().as_bytes())),
        Command::Completions(completions) => Ok(completions::run(&completions)),
        Command::Man(man) => man::run(&man),
        Command::Worker => return worker_code(portmuster::worker_main()),
    };
    status
        .unwrap_or_else(|error| {
            terminal::error(&error);
            Status::Usage
        })
        .code()
}

/// Returns the number of the exit status of a worker, which is not readable otherwise.
fn worker_code(status: ExitCode) -> u8 {
    (0..=u8::MAX).find(|&code| ExitCode::from(code) == status).unwrap_or(1)
}

/// Prints what is wrong with the command line and what to type instead. Returns whether it contains a
/// known mistake.
fn report_mistakes(arguments: &[OsString]) -> bool {
    let correction = mistakes::correct(arguments);
    match &correction {
        Some(Correction { reason, suggestion: Some(Suggestion { command, is_whole }) }) => {
            let what = if *is_whole { "did you mean" } else { "without it" };
            terminal::error_with_command(reason, what, command);
        }
        Some(Correction { reason, suggestion: None }) => {
            terminal::error(&anyhow::Error::msg(reason.clone()));
        }
        None => {}
    }
    correction.is_some()
}

/// Prints an error of the parser, without its suggestions: those of [`mistakes`] are better.
fn print_usage_error(mut error: clap::Error) {
    for kind in [
        ContextKind::Suggested,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedCommand,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ] {
        error.remove(kind);
    }
    // If stderr is closed, no reader is left for the message or for the error.
    let _ = error.print();
}

/// Returns whether a word asks for help or for the version. The parser takes `-host` for `-h`, too.
fn asks_for_help(arguments: &[OsString]) -> bool {
    let options = ["-h", "--help", "-help", "help", "-V", "--version"];
    arguments.iter().any(|word| options.iter().any(|option| word == option))
}

/// Moves `--help` behind the command after it, so that it prints the help of the command.
fn help_after_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let [option, command] = &arguments[..]
        && (option == "-h" || option == "--help")
        && command.to_str().is_some_and(|name| Program::command().find_subcommand(name).is_some())
    {
        arguments.swap(0, 1);
    }
    arguments
}
