//! `portmuster completions`: generates completion scripts for shells.
//!
//! Clap generates the scripts. What it lacks is added here: the items of lists that commas separate, and
//! the formats of `--output`, which a file may follow.

use std::{fmt::Write, io};

use clap::{Arg, Command, CommandFactory, builder::PossibleValuesParser};
use clap_complete::aot;

use crate::{
    args::{Completions, Program, Shell},
    formats::{self, OUTPUT_FORMATS},
    status::Status,
    terminal,
};

/// A function for bash that completes a word, and its parts.
const BASH_WORDS: &str = include_str!("completions/words.bash");

/// What bash and zsh do at the end of a script of clap.
const BASH_END: &str = "if [[ \"${BASH_VERSINFO[0]}\" -eq 4";
const ZSH_END: &str = "if [ \"$funcstack[1]\" = \"_portmuster\" ]; then";

/// The name of the option for outputs in the definition of the command line.
const OUTPUTS: &str = "outputs";

/// Prints the completion script of a shell.
pub(crate) fn run(completions: &Completions) -> Status {
    let mut program = without_hidden(&Program::command());
    let script = match completions.shell {
        Shell::Bash => with_words(&generated(aot::Shell::Bash, &mut program)),
        Shell::Zsh => with_functions(&generated(aot::Shell::Zsh, &mut program), &program),
        Shell::Fish => generated(aot::Shell::Fish, &mut program) + &fish_lists(&program),
    };
    terminal::print(&mut io::stdout(), script.as_bytes())
}

fn generated(shell: aot::Shell, program: &mut Command) -> String {
    let mut script = Vec::new();
    aot::generate(shell, program, "portmuster", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Makes bash complete with the function that knows parts of words.
fn with_words(script: &str) -> String {
    let script = script.replacen(BASH_END, &format!("{BASH_WORDS}{BASH_END}"), 1);
    script.replace("complete -F _portmuster ", "complete -F _portmuster_words ")
}

/// Makes zsh complete lists, and files after the format of an output.
fn with_functions(script: &str, program: &Command) -> String {
    let formats: Vec<_> = output_values().collect();
    let outputs = format!(
        "_portmuster_outputs() {{\n    if compset -P '*='; then\n        _files\n    else\n        \
         compadd -S '' -- {}\n    fi\n}}\n\n{ZSH_END}",
        formats.join(" ")
    );
    let lists: Vec<_> = lists(program).map(|(_, argument)| argument).collect();
    let outputs_flags = ["'*--output=[", "'*-o+["];
    let line = |line: &str| {
        let is_list = |argument: &&&Arg| {
            let long = argument.get_long().unwrap_or_default();
            line.contains(&format!("--{long}=["))
        };
        let is_output = outputs_flags.iter().any(|flag| line.starts_with(flag));
        let spec = line.rsplit_once(":(").filter(|(_, words)| words.ends_with(")' \\"));
        match (spec, lists.iter().find(is_list)) {
            (Some((start, _)), _) if is_output => format!("{start}:_portmuster_outputs' \\\n"),
            (Some((start, words)), Some(argument)) => {
                let words = words.trim_end_matches(")' \\");
                format!("{start}:_values -s , {} {words}' \\\n", argument.get_id())
            }
            _ => format!("{line}\n"),
        }
    };
    let script: String = script.lines().map(line).collect();
    script.replacen(ZSH_END, &outputs, 1)
}

/// Returns lines for fish that complete the second and later items of lists.
fn fish_lists(program: &Command) -> String {
    lists(program).fold(String::new(), |mut script, (command, argument)| {
        let values = argument.get_possible_values();
        let words: Vec<_> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
        let long = argument.get_long().unwrap_or_default();
        let condition = format!(
            "__fish_portmuster_using_subcommand {}; and string match -q -- '*,*' (commandline -ct)",
            command.get_name()
        );
        // A String accepts every write.
        let _ = writeln!(
            script,
            "complete -c portmuster -n \"{condition}\" -l {long} -x -a \"(__fish_append , {})\"",
            words.join(" ")
        );
        script
    })
}

/// Iterates over the options whose value is a list of known words, with their commands.
fn lists(program: &Command) -> impl Iterator<Item = (&Command, &Arg)> {
    let arguments = |command| Command::get_arguments(command).map(move |arg| (command, arg));
    program.get_subcommands().flat_map(arguments).filter(|(_, argument)| {
        argument.get_value_delimiter() == Some(',') && !argument.get_possible_values().is_empty()
    })
}

/// Iterates over the beginnings of an output: formats, and formats with the sign before a file.
fn output_values() -> impl Iterator<Item = String> {
    let on_stdout = OUTPUT_FORMATS.iter().filter(|format| !format.is_database());
    let on_stdout = on_stdout.map(|format| format.name.to_owned());
    on_stdout.chain(formats::names().into_iter().map(|name| format!("{name}=")))
}

/// Returns the command without hidden subcommands and arguments, which shells would offer as well.
fn without_hidden(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    let with_formats = |argument: &Arg| match argument.get_id().as_str() {
        OUTPUTS => argument.clone().value_parser(PossibleValuesParser::new(output_values())),
        _ => argument.clone(),
    };
    let mut shown = Command::new(command.get_name().to_owned())
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(arguments.map(with_formats))
        .subcommands(subcommands.map(without_hidden));
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        shown = shown.version(version.to_owned());
    }
    shown
}
