//! Mistakes about the name of the command.

use clap::{Arg, Command};

use super::{edit::Edit, nearest::nearest_or_longer, targets};
use crate::command_line::{CommandLine, Role};

/// The commands, the most used first.
pub(super) const COMMANDS: [&str; 11] = [
    "check",
    "explain",
    "diff",
    "report",
    "demo",
    "list",
    "compare",
    "completions",
    "schema",
    "man",
    "help",
];

/// Other words for commands, such as the names of other programs.
const SYNONYMS: [(&str, &str); 34] = [
    ("scan", "check"),
    ("run", "check"),
    ("chk", "check"),
    ("test", "check"),
    ("probe", "check"),
    ("find", "check"),
    ("audit", "check"),
    ("detect", "check"),
    ("ssh", "check"),
    ("telnet", "check"),
    ("nmap", "check"),
    ("masscan", "check"),
    ("naabu", "check"),
    ("zmap", "check"),
    ("rustscan", "check"),
    ("nc", "check"),
    ("ncat", "check"),
    ("netcat", "check"),
    ("ssh-audit", "check"),
    ("ssh-keyscan", "check"),
    ("curl", "check"),
    ("target", "check"),
    ("targets", "check"),
    ("debug", "explain"),
    ("describe", "explain"),
    ("why", "explain"),
    ("compare-runs", "diff"),
    ("changes", "diff"),
    ("html", "report"),
    ("bench", "compare"),
    ("benchmark", "compare"),
    ("example", "demo"),
    ("usage", "help"),
    ("version", "--version"),
];

/// Words that ask for help or for the version, and nothing else.
const ALONE: [(&str, &str); 7] = [
    ("-v", "--version"),
    ("-version", "--version"),
    ("-?", "--help"),
    ("--?", "--help"),
    ("?", "--help"),
    ("/?", "--help"),
    ("--usage", "--help"),
];

/// Finds a single word that asks for help or for the version in the way of another program.
pub(super) fn help_or_version(line: &CommandLine) -> Option<Edit> {
    let (_, option) = match line.words() {
        [word] => ALONE.iter().find(|(name, _)| name == word)?,
        _ => return None,
    };
    let word = &line.words()[0];
    Some(Edit::new(format!("there is no option {word}"), vec![(*option).to_owned()]))
}

/// Finds `--version` after a command, and `help` after one.
pub(super) fn help_after_command(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.command_name() != Some("help"))?;
    if let Some((_, word)) = line.flags().find(|(_, word)| ["--version", "-V"].contains(word)) {
        let reason = format!("{word} is an option of portmuster, not of its commands");
        return Some(Edit::new(reason, vec!["--version".to_owned()]));
    }
    let operands: Vec<_> = line.operands().collect();
    let (index, word) = match operands[..] {
        [(index, "help")] if index == command + 1 => (index, "--help"),
        _ => {
            let (index, _) = line.flags().find(|(_, word)| ["-?", "--usage"].contains(word))?;
            (index, "--help")
        }
    };
    let reason = format!("{:?} is no argument of {}", line.words()[index], line.words()[command]);
    Some(Edit::new(reason, line.replaced(index, 1, [word.to_owned()])))
}

/// Finds `help -h`.
pub(super) fn help_of_help(line: &CommandLine) -> Option<Edit> {
    let is_it = line.words().len() == 2
        && line.words()[0] == "help"
        && ["-h", "--help", "-help"].contains(&line.words()[1].as_str());
    is_it.then(|| Edit::new("help has no options", vec!["--help".to_owned()]))
}

/// Finds options of a command before its name.
pub(super) fn options_before_command(line: &CommandLine) -> Option<Edit> {
    let words = line.words();
    let of_program = |word: &str| {
        let mut arguments = line.program().get_arguments();
        arguments.any(|arg| is_option(arg, word))
            || ["-h", "--help", "-V", "--version"].contains(&word)
    };
    let is_flag = |index: usize| matches!(line.role_at(index), Some(Role::Flag));
    let command = line.command().filter(|_| line.has_targets())?;
    let mut before = words.iter().enumerate().take(command);
    let (first, _) = before
        .find(|&(index, word)| is_flag(index) && !of_program(word) && is_of_check(line, index))?;
    let reason = format!("options of {} come after its name", words[command]);
    let mut moved = words.to_vec();
    moved[first..=command].rotate_right(1);
    Some(Edit::new(reason, moved))
}

/// Finds a first word that is not a command but a target or an option of `check`.
pub(super) fn missing_command(line: &CommandLine) -> Option<Edit> {
    if line.command().is_some() {
        return None;
    }
    let of_program = |word: &str| {
        let mut arguments = line.program().get_arguments();
        arguments.any(|arg| is_option(arg, word))
            || ["-h", "--help", "-V", "--version"].contains(&word)
    };
    let is_value = |index| matches!(line.role_at(index), Some(Role::Value));
    let words = line.words().iter().enumerate();
    let mut words = words.filter(|&(index, word)| !is_value(index) && !of_program(word));
    let (index, word) = words.next()?;
    let is_target = |word: &str| targets::looks_like(word) || targets::is_file(word);
    let is_mistake = match line.role_at(index)? {
        Role::Flag => is_of_check(line, index) || line.operands().any(|(_, it)| is_target(it)),
        Role::Operand => is_target(word),
        _ => false,
    };
    let reason = format!("the command is missing before {word:?}");
    is_mistake.then(|| Edit::new(reason, line.replaced(index, 0, ["check".to_owned()])))
}

/// Returns whether a word is an option of `check`, or one of another program.
fn is_of_check(line: &CommandLine, index: usize) -> bool {
    let word = &line.words()[index];
    let next = line.words().get(index + 1).map(String::as_str);
    let check = line.program().find_subcommand("check");
    let mut arguments = check.into_iter().flat_map(Command::get_arguments);
    line.foreign(word, next).is_some() || arguments.any(|arg| is_option(arg, word))
}

fn is_option(arg: &Arg, word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long.split('=').next().unwrap_or(long)),
        None => word.strip_prefix('-').is_some_and(|rest| {
            rest.chars().next().is_some_and(|letter| arg.get_short() == Some(letter))
        }),
    }
}

/// Finds another word for a command, or a misspelled command.
pub(super) fn unknown_command(line: &CommandLine) -> Option<Edit> {
    if line.command_name().is_some_and(|name| !["help", "man"].contains(&name)) {
        return None;
    }
    let (index, word) = line.operands().next()?;
    let is_command = line.program().find_subcommand(word).is_some() || word == "help";
    if is_command {
        return None;
    }
    let Some(meant) = command_like(word) else {
        return Some(Edit::unknown(format!(
            "there is no command {word:?}: to check a host, use portmuster check HOST; for all commands, \
             portmuster --help"
        )));
    };
    let words = line.replaced(index, 1, [meant.to_owned()]);
    Some(Edit::new(format!("there is no command {word:?}"), words))
}

/// Returns the command that a word probably means; `None`: none is near.
fn command_like(word: &str) -> Option<&'static str> {
    let word = word.strip_prefix("portmuster-").unwrap_or(word);
    let synonyms = SYNONYMS.iter().map(|(synonym, _)| *synonym);
    let found = nearest_or_longer(word, COMMANDS.into_iter().chain(synonyms))?;
    let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == found);
    Some(synonym.map_or(found, |(_, command)| command))
}

/// Finds targets after `list`, which prints values.
pub(super) fn list_of_targets(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.command_name() == Some("list"))?;
    let is_target = |word: &str| targets::looks_like(word) || targets::is_file(word);
    let has_input = line.values("inputs").next().is_some();
    if !has_input && !line.operands().next().is_some_and(|(_, word)| is_target(word)) {
        return None;
    }
    let words = line.replaced(command, 1, ["check".to_owned(), "--list".to_owned()]);
    Some(Edit::new("list prints values, and check --list prints targets", words))
}

/// Finds targets after `demo`, which starts its own.
pub(super) fn targets_of_demo(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.command_name() == Some("demo"))?;
    let is_target = |word: &str| targets::looks_like(word) || targets::is_file(word);
    line.operands().find(|(_, word)| is_target(word))?;
    let words = line.replaced(command, 1, ["check".to_owned()]);
    Some(Edit::new("demo checks servers that it starts, and check checks targets", words))
}

/// Finds a single argument of `diff`, which compares two runs.
pub(super) fn diff_of_one(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "diff")?;
    let operands: Vec<_> = line.operands().collect();
    let [(index, word)] = operands[..] else { return None };
    let is_database = [".db", ".sqlite", ".sqlite3"].iter().any(|it| word.ends_with(it));
    let runs = if is_database {
        vec![format!("{word}#-2"), format!("{word}#last")]
    } else {
        word.split(',').map(str::to_owned).collect()
    };
    (runs.len() == 2).then(|| Edit::new("diff compares two runs", line.replaced(index, 1, runs)))
}

/// Finds two files of rows after `compare`, which compares methods.
pub(super) fn runs_of_compare(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.command_name() == Some("compare"))?;
    let operands: Vec<_> = line.operands().map(|(_, word)| word).collect();
    let is_run =
        |word: &&str| [".jsonl", ".json", ".db", ".sqlite"].iter().any(|it| word.ends_with(it));
    let has_runs = operands.len() == 2 && operands.iter().all(is_run);
    let words = line.replaced(command, 1, ["diff".to_owned()]);
    has_runs.then(|| Edit::new("compare measures methods, and diff compares runs", words))
}

/// Finds the name of a command, or another word for one, among the targets.
pub(super) fn command_as_target(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.has_targets())?;
    let own = line.command_name()?;
    let (index, word) = line.operands().find(|(_, word)| {
        COMMANDS.contains(word) || [Some("scan"), Some("nmap")].contains(&Some(word))
    })?;
    let reason = format!(
        "{word:?} is a command, not a target; for a host of this name, write its ports after it \
         ({word}:22,23)"
    );
    if index == command + 1 && (word == own || !COMMANDS.contains(&word)) {
        return Some(Edit::new(reason, line.replaced(index, 1, [])));
    }
    Some(Edit::unknown(reason))
}
