//! Mistakes about commands, options and their values.

use std::path::Path;

use clap::{Arg, Command};

use super::{edit::Edit, targets};
use crate::{
    command_line::{CommandLine, Role, foreign, takes_value},
    formats,
};

/// The formats that file names of outputs suggest.
const EXTENSIONS: [(&str, &str); 11] = [
    ("jsonl", "jsonl"),
    ("ndjson", "jsonl"),
    ("json", "jsonl"),
    ("csv", "csv"),
    ("xml", "xml"),
    ("db", "sqlite"),
    ("sqlite", "sqlite"),
    ("sqlite3", "sqlite"),
    ("txt", "table"),
    ("log", "table"),
    ("out", "table"),
];

/// Options whose value is a number.
const NUMBERS: [&str; 6] = ["rate", "per_host", "in_flight", "workers", "threads", "retries"];

/// Finds a first word that is not a command but a target or an option of `check`.
pub(super) fn missing_command(line: &CommandLine) -> Option<Edit> {
    if line.command().is_some() {
        return None;
    }
    let program = line.program();
    let is_of_check = |word: &str| {
        let check = program.find_subcommand("check");
        let mut arguments = check.into_iter().flat_map(Command::get_arguments);
        foreign::find(word).is_some() || arguments.any(|arg| is_option(arg, word))
    };
    let of_program = |word: &str| {
        let mut arguments = program.get_arguments();
        arguments.any(|arg| is_option(arg, word))
            || ["-h", "--help", "-V", "--version"].contains(&word)
    };
    let is_value = |index| matches!(line.role_at(index), Some(Role::Value));
    let words = line.words().iter().enumerate();
    let mut words = words.filter(|&(index, word)| !is_value(index) && !of_program(word));
    let (index, word) = words.next()?;
    let is_mistake = match line.role_at(index)? {
        Role::Flag => is_of_check(word),
        Role::Operand => targets::looks_like(word) || targets::is_file(word),
        _ => false,
    };
    let words = line.replaced(index, 0, ["check".to_owned()]);
    let reason = format!("the command is missing before {word:?}");
    is_mistake.then_some(Edit { reason, words })
}

fn is_option(arg: &Arg, word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long.split('=').next().unwrap_or(long)),
        None => word.strip_prefix('-').is_some_and(|rest| {
            rest.chars().next().is_some_and(|letter| arg.get_short() == Some(letter))
        }),
    }
}

/// Finds `scan` in the place of `check`.
pub(super) fn other_word_for_check(line: &CommandLine) -> Option<Edit> {
    if line.command().is_some() {
        return None;
    }
    let (index, word) = line.operands().next().filter(|(_, word)| *word == "scan")?;
    let words = line.replaced(index, 1, ["check".to_owned()]);
    Some(Edit { reason: format!("there is no command {word:?}"), words })
}

/// Finds targets after `list`, which prints values.
pub(super) fn list_of_targets(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.command_name() == Some("list"))?;
    let (_, word) = line.operands().next()?;
    let is_input = line.values("inputs").next().is_some();
    if !is_input && !targets::looks_like(word) && !targets::is_file(word) {
        return None;
    }
    let words = line.replaced(command, 1, ["check".to_owned(), "--list".to_owned()]);
    Some(Edit { reason: "list prints values, and check --list prints targets".to_owned(), words })
}

/// Finds an option of nmap or masscan.
pub(super) fn foreign_option(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let (index, word, option) =
        line.flags().find_map(|(index, word)| Some((index, word, foreign::find(word)?)))?;
    let in_word = word.split_once('=').filter(|_| word.starts_with("--")).map(|(_, value)| value);
    let next = option.takes_next(word).then(|| line.words().get(index + 1)).flatten();
    let value = in_word.or(next.map(String::as_str));
    let count = 1 + usize::from(next.is_some());
    let (reason, words) = match option.instead(value, in_word.is_some()) {
        Ok(words) => (format!("{word} is an option of nmap or masscan"), words),
        Err(reason) => (format!("{word} is not needed: {reason}"), Vec::new()),
    };
    Some(Edit { reason, words: line.replaced(index, count, words) })
}

/// Finds `-p-`, which means all ports to nmap.
pub(super) fn all_ports(line: &CommandLine) -> Option<Edit> {
    let (value, text) = line.values("ports").find(|(_, text)| ["-", "*", "all"].contains(text))?;
    let reason = format!("{text:?} is not a list of ports: all ports are 1-65535");
    Some(Edit { reason, words: line.with_value(value, "1-65535") })
}

/// Finds `T:` in a list of ports, which means TCP to nmap.
pub(super) fn ports_of_tcp(line: &CommandLine) -> Option<Edit> {
    let (value, text) = line.values("ports").find(|(_, text)| text.contains("T:"))?;
    let words = line.with_value(value, &text.replace("T:", ""));
    Some(Edit {
        reason: format!("{text:?} is not a list of ports: all ports are TCP ports"),
        words,
    })
}

/// Finds a second `-p`.
pub(super) fn repeated_ports(line: &CommandLine) -> Option<Edit> {
    let mut values = line.values("ports");
    let (first, second) = (values.next()?, values.next()?);
    let joined = format!("{},{}", first.1, second.1);
    let without = CommandLine::new(line.without_option(second.0, []));
    let words = without.with_value(first.0, &joined);
    Some(Edit { reason: "-p is given twice: commas separate ports".to_owned(), words })
}

/// Finds a number with separators, such as 10,000 or `10_000`.
pub(super) fn separated_number(line: &CommandLine) -> Option<Edit> {
    let is_separated = |text: &str| {
        let parts: Vec<_> = text.split([',', '_', '\'']).collect();
        let is_number =
            |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
        parts.len() > 1 && parts.iter().all(is_number) && parts[1..].iter().all(|it| it.len() == 3)
    };
    let mut values = NUMBERS.iter().flat_map(|id| line.values(id));
    let (value, text) = values.find(|(_, text)| is_separated(text))?;
    let words = line.with_value(value, &text.replace([',', '_', '\''], ""));
    Some(Edit { reason: format!("{text:?} is not a number: write it without separators"), words })
}

/// Finds `json` in the place of `jsonl`.
pub(super) fn json_output(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| ["check", "compare", "diff"].contains(name))?;
    let (value, text) = line.outputs().find(|(_, text)| {
        *text == "json" || text.starts_with("json=") || text.starts_with("ndjson=")
    })?;
    let (name, file) =
        text.split_once('=').map_or((text, ""), |(name, _)| (name, &text[name.len()..]));
    let words = line.with_value(value, &format!("jsonl{file}"));
    Some(Edit {
        reason: format!("{name:?} is not a format: jsonl is one JSON object per line"),
        words,
    })
}

/// Finds an output that is a file without a format.
pub(super) fn output_without_format(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (value, text, format) = line.outputs().find_map(|(value, text)| {
        let is_format = formats::names().contains(&text) || text.contains('=');
        (!is_format).then_some((value, text, format_of(text)?))
    })?;
    let words = line.with_value(value, &format!("{format}={text}"));
    Some(Edit { reason: format!("the output {text:?} has no format"), words })
}

/// Finds an output whose file is a word of its own.
pub(super) fn output_as_two_words(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (value, format, file) = line.outputs().find_map(|(value, format)| {
        let next = value.word + 1;
        let file = line.words().get(next).filter(|_| line.role_at(next) == Some(Role::Operand))?;
        (formats::names().contains(&format) && format_of(file) == Some(format))
            .then_some((value, format, file))
    })?;
    let without = CommandLine::new(line.replaced(value.word + 1, 1, []));
    let words = without.with_value(value, &format!("{format}={file}"));
    Some(Edit { reason: format!("{file:?} is not a target: an output is FORMAT=FILE"), words })
}

/// Finds a summary that is a file without a format.
pub(super) fn summary_without_format(line: &CommandLine) -> Option<Edit> {
    let (value, text) = line
        .values("summary")
        .find(|(_, text)| !text.is_empty() && !text.contains('=') && *text != "json")?;
    let words = line.with_value(value, &format!("json={text}"));
    Some(Edit { reason: format!("the summary {text:?} has no format"), words })
}

/// Returns the format that the name of a file suggests; `None` if its extension is unknown.
fn format_of(file: &str) -> Option<&'static str> {
    let extension = Path::new(file).extension()?.to_str()?.to_ascii_lowercase();
    let known = EXTENSIONS.iter().find(|(known, _)| *known == extension).map(|(_, format)| *format);
    let same = formats::names().into_iter().find(|name| *name == extension);
    known.or(same)
}

/// Finds an option that only another command has.
pub(super) fn option_of_other_command(line: &CommandLine) -> Option<Edit> {
    let own = line.command_name().filter(|name| *name != "help")?;
    let program = line.program();
    let has = |command: &Command, word: &str| command.get_arguments().any(|arg| is_long(arg, word));
    let definition = program.find_subcommand(own)?;
    let is_known = |word: &str| {
        has(definition, word) || has(program, word) || ["--help", "--version"].contains(&word)
    };
    let mut others = program.get_subcommands().filter(|command| !command.is_hide_set());
    let (index, word) = line.flags().find(|(_, word)| word.starts_with("--") && !is_known(word))?;
    let name = word.split('=').next().unwrap_or(word);
    let other = others.find(|command| has(command, name))?;
    let reason = format!("{name} is an option of {}, not of {own}", other.get_name());
    let takes_targets = ["check", "compare", "explain"];
    if line.has_targets() && takes_targets.contains(&other.get_name()) {
        let words = line.replaced(line.command()?, 1, [other.get_name().to_owned()]);
        return Some(Edit { reason, words });
    }
    let argument = other.get_arguments().find(|arg| is_long(arg, name))?;
    let count = 1 + usize::from(takes_value(argument) && !word.contains('='));
    Some(Edit { reason, words: line.replaced(index, count, []) })
}

fn is_long(arg: &Arg, word: &str) -> bool {
    let name = word.strip_prefix("--").and_then(|long| long.split('=').next());
    !arg.is_hide_set() && name.is_some() && arg.get_long() == name
}
