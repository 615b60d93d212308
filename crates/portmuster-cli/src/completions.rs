//! `portmuster completions`: generates completion scripts for shells.

use std::io;

use clap::{Command, CommandFactory};
use clap_complete::aot;

use crate::{
    args::{Completions, Program, Shell},
    status::Status,
    terminal,
};

/// Prints the completion script of a shell.
pub(crate) fn run(completions: &Completions) -> Status {
    let shell = match completions.shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let mut script = Vec::new();
    aot::generate(shell, &mut without_hidden(&Program::command()), "portmuster", &mut script);
    terminal::print(&mut io::stdout(), &script)
}

/// Returns the command without hidden subcommands and arguments, which shells would offer as well.
fn without_hidden(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    let mut shown = Command::new(command.get_name().to_owned())
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(arguments.cloned())
        .subcommands(subcommands.map(without_hidden));
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        shown = shown.version(version.to_owned());
    }
    shown
}
