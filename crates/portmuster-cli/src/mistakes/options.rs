//! Mistakes about options.

use std::{env, path::Path};

use clap::{Arg, ArgAction};

use super::{edit::Edit, nearest::nearest_or_longer, targets};
use crate::command_line::{
    CommandLine, extension,
    foreign::{Substitute, timing},
    takes_value,
};

/// Dashes that editors and web pages write in the place of `-` and `--`.
const DASHES: [char; 6] = ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}'];

/// The environment variable that names a configuration file.
const CONFIG: &str = "PORTMUSTER_CONFIG";

/// The fewest letters of a long option after one dash. Fewer are several short options.
const LONG_MIN: usize = 3;

/// Finds an option that begins with a typographic dash.
pub(super) fn typographic_dash(line: &CommandLine) -> Option<Edit> {
    let (index, word) = line.operands().find(|(_, word)| word.starts_with(DASHES))?;
    let rest = word.trim_start_matches(|it| it == '-' || DASHES.contains(&it));
    let name = rest.split('=').next().unwrap_or(rest);
    let is_long = line.arguments().any(|arg| arg.get_long() == Some(name)) || name.len() > 4;
    let dashes = if is_long { "--" } else { "-" };
    let reason = format!("{word:?} begins with a typographic dash");
    Some(Edit::new(reason, line.replaced(index, 1, [format!("{dashes}{rest}")])))
}

/// Finds an option of another program.
pub(super) fn foreign_option(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let next = |index: usize| line.words().get(index + 1).map(String::as_str);
    let (index, word, option) = line
        .flags()
        .find_map(|(index, word)| Some((index, word, line.foreign(word, next(index))?)))?;
    let in_next = next(index).filter(|next| option.takes(word, next));
    let value = option.value_in(word).or(in_next);
    let reason = option.reason(word);
    let replaced = |words| line.replaced(index, 1 + usize::from(in_next.is_some()), words);
    Some(match option.substitute(word, value) {
        Substitute::Words(words) => Edit::new(reason, replaced(words)),
        Substitute::Lost => Edit::partial(reason, replaced(Vec::new())),
        Substitute::NoValue => Edit::unknown(reason),
    })
}

/// Finds a long option after one dash, as programs in Go accept it.
pub(super) fn long_after_one_dash(line: &CommandLine) -> Option<Edit> {
    line.command()?;
    let (index, word, meant) = line.flags().find_map(|(index, word)| {
        let rest = word.strip_prefix('-')?;
        let (name, value) = rest.split_at(rest.find('=').unwrap_or(rest.len()));
        let mut longs = line.arguments().filter_map(Arg::get_long);
        let long = longs.find(|long| *long == name || long.strip_suffix('s') == Some(name))?;
        // `-input` may be meant as `-i nput`.
        let is_file = rest.strip_prefix('i').is_some_and(|rest| Path::new(rest).exists());
        (name.len() >= LONG_MIN && !is_file).then(|| (index, word, format!("--{long}{value}")))
    })?;
    let reason = format!("{word} has one dash: long options have two");
    Some(Edit::new(reason, line.replaced(index, 1, [meant])))
}

/// Settings of `check` that `compare` makes itself.
const SET_BY_COMPARE: [&str; 6] =
    ["rate", "per-host", "retries", "max-missed", "no-probe", "workers"];

/// Finds an option of `check` after `compare`, which has settings of its own.
pub(super) fn check_option_of_compare(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "compare")?;
    let (index, word) = line.flags().find(|(_, word)| !is_known(line, word))?;
    let (name, own) = word.split_once('=').map_or((word, None), |(a, b)| (a, Some(b)));
    if ["--runs", "--round", "--repeat", "-r", "-n"].contains(&name) {
        let value = own.map_or_else(String::new, |value| format!("={value}"));
        let reason = format!("compare has no option {name}: use --rounds N");
        return Some(Edit::new(reason, line.replaced(index, 1, [format!("--rounds{value}")])));
    }
    let check = line.program().find_subcommand("check")?;
    let argument = option_in(check.get_arguments(), word)?;
    if argument.get_long() == Some("method") {
        let meant = word.replacen("--method", "--methods", 1);
        let reason = "compare has no option --method: use --methods";
        return Some(Edit::new(reason, line.replaced(index, 1, [meant])));
    }
    let is_set = argument.get_long().is_some_and(|long| SET_BY_COMPARE.contains(&long));
    let reason = if is_set {
        format!("compare sets {name} itself")
    } else {
        format!("{name} is an option of check, not of compare")
    };
    let is_separate = takes_value(argument) && own.is_none() && is_alone(word);
    Some(Edit::partial(reason, line.replaced(index, 1 + usize::from(is_separate), [])))
}

/// Finds `--methods` with a single method after `check`.
pub(super) fn methods_of_check(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (index, word) =
        line.flags().find(|(_, word)| word.split('=').next() == Some("--methods"))?;
    let next = line.words().get(index + 1).map(String::as_str);
    let value = word.split_once('=').map(|(_, value)| value).or(next)?;
    let is_single = !value.contains(',') && !line.ids().any(|id| id == "rounds");
    let meant = word.replacen("--methods", "--method", 1);
    let reason = "check has no option --methods: use --method";
    is_single.then(|| Edit::new(reason, line.replaced(index, 1, [meant])))
}

/// Returns whether an option that takes a value has it in the next word, unless the word contains `=`.
fn is_alone(word: &str) -> bool {
    word.starts_with("--") || word.len() == 2
}

/// Finds `-T N`, which is a template to nmap and a time limit in seconds to ssh-keyscan.
pub(super) fn template_or_time_limit(line: &CommandLine) -> Option<Edit> {
    if line.command().is_some() && !line.has_targets() {
        return None;
    }
    let (index, number) = line.flags().find_map(|(index, word)| {
        let next = line.words().get(index + 1)?;
        let is_template = next.len() == 1 && next.bytes().all(|it| (b'0'..=b'5').contains(&it));
        (word == "-T" && is_template).then_some((index, next))
    })?;
    let seconds = ["--timeout".to_owned(), format!("{number}s")];
    let profile = timing(number)?;
    let next = |index: usize| line.words().get(index + 1).map(String::as_str);
    let has_of = |origin: &str| {
        let mut others = line.flags().filter(|(other, _)| *other != index);
        let named = line.operands().next().is_some_and(|(_, word)| word == origin);
        named
            || others.any(|(at, word)| {
                line.foreign(word, next(at)).is_some_and(|option| option.origin() == origin)
            })
    };
    if has_of("ssh-keyscan") && number != "0" {
        let reason = "-T is an option of ssh-keyscan: use --timeout TIME";
        return Some(Edit::new(reason, line.replaced(index, 2, seconds)));
    }
    let profile_words = line.replaced(index, 2, profile.clone());
    if has_of("nmap") || number == "0" {
        let reason = "-T is an option of nmap: use --profile NAME";
        return Some(Edit::new(reason, profile_words));
    }
    let reason = format!(
        "-T {number} is a template of nmap ({}) or a time limit of ssh-keyscan ({})",
        profile.join(" "),
        seconds.join(" ")
    );
    Some(Edit::new(reason, profile_words))
}

/// Finds an option that only another command has.
pub(super) fn option_of_other_command(line: &CommandLine) -> Option<Edit> {
    let own = line.command_name().filter(|name| *name != "help")?;
    let (index, word) = line.flags().find(|(_, word)| !is_known(line, word))?;
    let others = line.program().get_subcommands().filter(|command| !command.is_hide_set());
    let (other, argument) = others
        .into_iter()
        .find_map(|command| Some((command, option_in(command.get_arguments(), word)?)))?;
    let name = word.split('=').next().unwrap_or(word);
    let reason = format!("{name} is an option of {}, not of {own}", other.get_name());
    let takes_targets = ["check", "compare", "explain"];
    if line.has_targets() && takes_targets.contains(&other.get_name()) {
        let words = line.replaced(line.command()?, 1, [other.get_name().to_owned()]);
        return Some(Edit::new(reason, words));
    }
    let is_separate =
        takes_value(argument) && !word.contains('=') && (word.starts_with("--") || word.len() == 2);
    let words = line.replaced(index, 1 + usize::from(is_separate), []);
    Some(Edit::partial(reason, words))
}

/// Finds a misspelled long option.
pub(super) fn misspelled_option(line: &CommandLine) -> Option<Edit> {
    let own = line.command_name().unwrap_or("portmuster");
    let is_long = |word: &str| word.starts_with("--") && word.len() > 2;
    let mut flags = line.flags();
    let (index, word) = flags.find(|(_, word)| is_long(word) && !is_known(line, word))?;
    let name = word[2..].split('=').next()?;
    let shown: Vec<_> = line.arguments().filter(|arg| !arg.is_hide_set()).collect();
    let meant = nearest_or_longer(name, shown.iter().filter_map(|arg| arg.get_long()))?;
    let corrected = format!("--{meant}{}", &word[2 + name.len()..]);
    let reason = format!("{own} has no option --{name}");
    Some(Edit::new(reason, line.replaced(index, 1, [corrected])))
}

/// Finds an option that no command has.
pub(super) fn unknown_option(line: &CommandLine) -> Option<Edit> {
    let own = line.command_name().filter(|name| *name != "help")?;
    let (_, word) = line.flags().find(|(_, word)| !is_known(line, word))?;
    let name = word.split('=').next().unwrap_or(word);
    Some(Edit::unknown(format!("{own} has no option {name}: see portmuster {own} --help")))
}

/// Finds a value after an option that has none.
pub(super) fn value_of_flag(line: &CommandLine) -> Option<Edit> {
    line.command()?;
    let (index, name) = line.flags().find_map(|(index, word)| {
        let (name, value) = word.strip_prefix("--")?.split_once('=')?;
        let argument = line.arguments().find(|arg| arg.get_long() == Some(name))?;
        let is_yes = ["true", "yes", "on", "1"].contains(&value);
        (is_yes && !takes_value(argument)).then_some((index, name))
    })?;
    let reason = format!("--{name} has no value");
    Some(Edit::new(reason, line.replaced(index, 1, [format!("--{name}")])))
}

/// Finds an option without a value that is given twice.
pub(super) fn repeated_flag(line: &CommandLine) -> Option<Edit> {
    line.command()?;
    let is_set = |id: &str| {
        let argument = line.definition(id);
        argument.is_some_and(|arg| matches!(arg.get_action(), ArgAction::SetTrue))
    };
    let mut seen: Vec<&str> = Vec::new();
    let (index, word) = line.flags().find(|&(index, _)| {
        line.ids_at(index).filter(|id| is_set(id)).any(|id| {
            let is_repeated = seen.contains(&id);
            seen.push(id);
            is_repeated
        })
    })?;
    let first = word.chars().nth(1)?;
    let once = if word.starts_with("--") { word.to_owned() } else { format!("-{first}") };
    let reason = format!("{once} can be given only once");
    let is_one_letter = !word.starts_with("--") && word.chars().skip(1).all(|it| it == first);
    let is_before = |(before, other): (usize, &str)| {
        before < index
            && line.ids_at(before).any(|id| line.ids_at(index).any(|it| it == id))
            && !other.is_empty()
    };
    if is_one_letter && word.len() > 2 && !line.flags().any(is_before) {
        return Some(Edit::new(reason, line.replaced(index, 1, [format!("-{first}")])));
    }
    let is_alone = word.starts_with("--") || is_one_letter;
    is_alone.then(|| Edit::new(reason, line.replaced(index, 1, [])))
}

/// Finds `--resume` without a journal.
pub(super) fn resume_without_journal(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    // A configuration file may name the journal.
    let has_file = line.ids().any(|id| id == "config_file") || env::var_os(CONFIG).is_some();
    if let Some((_, journal)) = line.values("journal").next() {
        let is_resume = |index: usize| line.ids_at(index).any(|id| id == "resume");
        let repeated =
            |&(index, word): &(usize, &str)| word == journal && index > 0 && is_resume(index - 1);
        let (index, _) = line.operands().find(repeated)?;
        return Some(Edit::new("--resume has no value", line.replaced(index, 1, [])));
    }
    if has_file || line.ids().any(|id| id == "journal") {
        return None;
    }
    let (index, word) =
        line.flags().find(|(index, _)| line.ids_at(*index).any(|it| it == "resume"))?;
    let next = line.words().get(index + 1);
    let after = word.strip_prefix("--resume=").or(next.map(String::as_str));
    let is_file = |word: &&str| {
        targets::is_file(word) || extension(word).is_some() || word.ends_with(".journal")
    };
    let Some(file) = after.filter(is_file) else {
        return Some(Edit::unknown(
            "--resume needs the journal of the run: --journal FILE --resume",
        ));
    };
    let count = if word.contains('=') { 1 } else { 2 };
    let has_output = line.outputs().next().is_some();
    let output = ["-o".to_owned(), "jsonl=FILE".to_owned()].into_iter().filter(|_| !has_output);
    let instead = ["--journal".to_owned(), file.to_owned(), "--resume".to_owned()];
    let instead = instead.into_iter().chain(output);
    Some(Edit::new(
        "--resume has no value: --journal names the file",
        line.replaced(index, count, instead),
    ))
}

/// Returns whether the command or the program has the option or, of several short ones, the first.
fn is_known(line: &CommandLine, word: &str) -> bool {
    let of_program = ["--help", "--version", "-h", "-V"].contains(&word);
    of_program || line.arguments().any(|arg| is_in(arg, word))
}

/// Returns whether a word is an option, or begins with it if it consists of short ones.
fn is_in(arg: &Arg, word: &str) -> bool {
    match word.strip_prefix("--").and_then(|long| long.split('=').next()) {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some() && arg.get_short() == word.chars().nth(1),
    }
}

/// Finds the shown option that a word is among the arguments; of several short ones, the first.
fn option_in<'a>(mut arguments: impl Iterator<Item = &'a Arg>, word: &str) -> Option<&'a Arg> {
    arguments.find(|arg| !arg.is_hide_set() && is_in(arg, word))
}
