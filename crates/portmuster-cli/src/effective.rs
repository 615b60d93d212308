//! The arguments of `check` together with those of its profile and its configuration file.
//!
//! The command line replaces options of the file, and both replace options of the profile. What is parsed
//! and recorded are the resulting arguments, so a run does not depend on the file afterwards.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use clap::{Command, CommandFactory, Parser, error::ErrorKind};

use crate::{
    args::{self, Program},
    command_line::{CommandLine, Role},
    mistakes,
};

/// The environment variable that names a configuration file.
pub(crate) const VARIABLE: &str = "PORTMUSTER_CONFIG";

/// Options that add up: those of the file count as well as those of the command line.
const ADDED: [&str; 5] = ["exclude", "exclude_file", "forbid", "allow", "known_hosts"];

/// Options that only select other options.
const SOURCES: [&str; 2] = ["config_file", "profile"];

/// An option with its value, as it is written in a file or in a profile.
#[derive(Debug, Clone)]
struct WrittenOption {
    words: Vec<String>,
    /// The names of its options in the definition of the command line; several for `-qv`.
    ids: Vec<String>,
    /// The line of the file, from 1.
    line: usize,
}

/// Returns the arguments to parse, without the name of the program.
///
/// # Errors
/// The configuration file can't be read, or one of its lines is invalid.
pub(crate) fn arguments(given: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    let lossy = given.iter().map(|word| word.to_string_lossy().into_owned());
    let line = CommandLine::new(lossy.collect());
    let Some(command) = line.command().filter(|_| line.command_name() == Some("check")) else {
        return Ok(given);
    };
    let asks_for_help = |(_, word): (_, &str)| ["-h", "--help"].contains(&word);
    if line.flags().any(asks_for_help) {
        return Ok(given);
    }
    let own_file = line.values("config_file").last().map(|(_, path)| OsString::from(path));
    let file = own_file.clone().or_else(|| env::var_os(VARIABLE).filter(|path| !path.is_empty()));
    let written = file.as_deref().map(Path::new).map(read).transpose()?.unwrap_or_default();
    let rules = Overriding::new();
    let on_line: Vec<_> = line.ids().map(str::to_owned).collect();
    let kept = |option: &WrittenOption, higher: &[String]| !rules.is_overridden(option, higher);
    let of_file: Vec<_> = written.into_iter().filter(|option| kept(option, &on_line)).collect();
    let higher: Vec<_> =
        of_file.iter().flat_map(|option| option.ids.clone()).chain(on_line).collect();
    let of_profile = profile(&line, &of_file);
    let of_profile = of_profile.iter().filter(|option| kept(option, &higher));
    let mut inserted: Vec<OsString> = Vec::new();
    if let Some(path) = file.filter(|_| own_file.is_none()) {
        inserted.push(joined("--config=", &path));
    }
    let options = of_profile.chain(&of_file);
    inserted.extend(options.flat_map(|option| &option.words).map(OsString::from));
    let mut merged = given;
    merged.splice(command + 1..=command, inserted);
    Ok(merged)
}

/// Returns the command line for the record of a run: arguments without those that select others, and
/// without the login of a proxy.
pub(crate) fn recorded(arguments: &[OsString]) -> String {
    let lossy = arguments.iter().map(|word| word.to_string_lossy().into_owned());
    let mut line = CommandLine::new(lossy.collect());
    while let Some(without) = SOURCES.iter().find_map(|id| {
        let (value, _) = line.values(id).next()?;
        Some(line.without_option(value, []))
    }) {
        line = CommandLine::new(without);
    }
    let line = line.without_logins();
    let words = line.words().iter().map(String::as_str);
    std::iter::once("portmuster").chain(words).collect::<Vec<_>>().join(" ")
}

fn joined(option: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(option);
    word.push(value);
    word
}

/// Returns the options of the profile that the command line or else the file selects.
fn profile(line: &CommandLine, of_file: &[WrittenOption]) -> Vec<WrittenOption> {
    let words = of_file.iter().flat_map(|option| option.words.clone());
    let file = CommandLine::new(std::iter::once("check".to_owned()).chain(words).collect());
    let name = line.values("profile").chain(file.values("profile")).next().map(|(_, name)| name);
    // Clap reports unknown names.
    let flags = name.and_then(args::profile_flags).unwrap_or_default();
    let option = |flag: &&str| {
        let line = CommandLine::new(vec!["check".to_owned(), (*flag).to_owned()]);
        let ids = line.ids().map(str::to_owned).collect();
        WrittenOption { words: vec![(*flag).to_owned()], ids, line: 0 }
    };
    flags.iter().map(option).collect()
}

/// Reads a configuration file: one argument a line, `#` starts a comment line.
///
/// # Errors
/// The file can't be read, or a line is not a valid option.
fn read(path: &Path) -> anyhow::Result<Vec<WrittenOption>> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .with_context(|| format!("reading the configuration file {name}"))?;
    parse(&text).map_err(|(line, error)| anyhow!("{name}, line {line}: {error}"))
}

/// Parses the text of a configuration file; an error has the number of its line.
fn parse(text: &str) -> Result<Vec<WrittenOption>, (usize, anyhow::Error)> {
    let lines = text.lines().map(str::trim).zip(1..);
    let lines: Vec<_> =
        lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')).collect();
    let words = lines.iter().map(|(word, _)| (*word).to_owned());
    let line = CommandLine::new(std::iter::once("check".to_owned()).chain(words).collect());
    let mut options: Vec<WrittenOption> = Vec::new();
    for (index, &(word, number)) in lines.iter().enumerate() {
        match (line.role_at(index + 1), options.last_mut()) {
            (Some(Role::Flag), _) => {
                let ids = line.ids_at(index + 1).map(str::to_owned).collect();
                options.push(WrittenOption { words: vec![word.to_owned()], ids, line: number });
            }
            (Some(Role::Value), Some(option)) => option.words.push(word.to_owned()),
            _ => return Err((number, anyhow!("{word:?}: {NOT_AN_OPTION}"))),
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    let rules = Overriding::new();
    for option in &options {
        validate(option, &seen, &rules).map_err(|error| (option.line, error))?;
        seen.extend(option.ids.iter().map(String::as_str));
    }
    Ok(options)
}

const NOT_AN_OPTION: &str = "each line is an option, or the value of the option on the line before it; \
                             targets belong on the command line or in a list (--input=FILE)";

/// # Errors
/// `check` does not have the option, its value is invalid, or the file has it already.
fn validate(option: &WrittenOption, seen: &[&str], rules: &Overriding) -> anyhow::Result<()> {
    if option.ids.iter().any(|id| id == "config_file") {
        bail!("a configuration file can't name another one");
    }
    let repeated = option.ids.iter().find(|id| seen.contains(&id.as_str()) && !rules.adds_up(id));
    if repeated.is_some() {
        bail!("{} is given twice", option.words[0]);
    }
    let words = ["portmuster", "check"].into_iter().chain(option.words.iter().map(String::as_str));
    match Program::try_parse_from(words) {
        Ok(_) => Ok(()),
        // Another line or the command line may have the option that this one requires.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => Ok(()),
        Err(error) if !error.use_stderr() => bail!("{} is not for files", option.words[0]),
        Err(error) => bail!("{}", mistakes::summary(&error)),
    }
}

/// Which options of the command line replace which of a file or a profile.
struct Overriding {
    check: Command,
}

impl Overriding {
    fn new() -> Self {
        let mut program = Program::command();
        program.build();
        let check = program.find_subcommand("check").cloned();
        Self { check: check.unwrap_or_default() }
    }

    /// Returns whether one of the options is the same as the written one, or conflicts with it.
    fn is_overridden(&self, option: &WrittenOption, by: &[String]) -> bool {
        let pairs = option.ids.iter().flat_map(|id| by.iter().map(move |other| (id, other)));
        let mut pairs = pairs.filter(|(id, _)| !ADDED.contains(&id.as_str()));
        pairs.any(|(id, other)| id == other || self.conflict(id, other) || self.conflict(other, id))
    }

    fn conflict(&self, id: &str, other: &str) -> bool {
        let argument = self.check.get_arguments().find(|arg| arg.get_id() == id);
        let by_argument = argument.is_some_and(|arg| {
            self.check.get_arg_conflicts_with(arg).iter().any(|arg| arg.get_id() == other)
        });
        let by_group = self.check.get_groups().any(|group| {
            let has = |id: &str| group.get_args().any(|member| member == id);
            !group.clone().is_multiple() && id != other && has(id) && has(other)
        });
        by_argument || by_group
    }

    /// Returns whether the option may be given several times.
    fn adds_up(&self, id: &str) -> bool {
        let argument = self.check.get_arguments().find(|arg| arg.get_id() == id);
        argument.is_some_and(|arg| matches!(arg.get_action(), clap::ArgAction::Append))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// Returns the arguments that result from a command line and the text of a file.
    fn merged(line: &str, text: &str) -> String {
        let folder = tempfile::tempdir().expect("temporary folders can be created");
        let path = folder.path().join("options");
        fs::write(&path, text).expect("the folder is writable");
        let mut given = words(line);
        given.push(joined("--config=", path.as_os_str()));
        recorded(&arguments(given).expect("the file is valid"))
    }

    #[test]
    fn profiles_stand_for_their_flags_and_explicit_flags_win() {
        for (line, expected) in [
            ("check a --profile gentle", "check --rate=200 --per-host=1 a"),
            ("check --profile=gentle a --rate 5", "check --per-host=1 a --rate 5"),
            ("check a --profile normal", "check --rate=10k --per-host=4 a"),
            (
                "check a --profile thorough --no-canaries",
                "check --patience=full --retries=3 a --no-canaries",
            ),
            ("check a --profile no-such", "check a"),
            ("--color never check a", "--color never check a"),
            ("explain a:22 --no-kex", "explain a:22 --no-kex"),
        ] {
            let parsed = arguments(words(line)).expect("there is no file");
            assert_eq!(recorded(&parsed), format!("portmuster {expected}"), "{line}");
        }
    }

    #[test]
    fn command_line_replaces_options_of_the_file_and_the_file_those_of_a_profile() {
        let file = "# pace\n--rate=2000\n\n--exclude\n10.0.0.9\n  -o=table\n--profile=gentle\n-4\n";
        for (line, expected) in [
            ("check a", "check --per-host=1 --rate=2000 --exclude 10.0.0.9 -o=table -4 a"),
            ("check a --rate 5", "check --per-host=1 --exclude 10.0.0.9 -o=table -4 a --rate 5"),
            (
                "check a -6 -ojsonl --exclude b",
                "check --per-host=1 --rate=2000 --exclude 10.0.0.9 a -6 -ojsonl --exclude b",
            ),
            (
                "check a --profile normal",
                "check --per-host=4 --rate=2000 --exclude 10.0.0.9 -o=table -4 a",
            ),
        ] {
            assert_eq!(merged(line, file), format!("portmuster {expected}"), "{line}");
        }
    }

    #[test]
    fn errors_of_a_file_have_the_line() {
        for (text, line, complaint) in [
            ("--rate=5\n10.0.0.1\n", 2, "targets belong on the command line"),
            ("# none\n\n--no-such\n", 3, "unexpected argument '--no-such' found"),
            ("--rate\nfew\n", 1, "'few' for '--rate <N>': expected a whole number"),
            ("-q\n--rate\n", 2, "a value is required for '--rate <N>'"),
            ("--rate=5\n--rate=6\n", 2, "--rate=6 is given twice"),
            ("--config=x\n", 1, "a configuration file can't name another one"),
            ("--help\n", 1, "--help is not for files"),
            ("--\n", 1, "each line is an option"),
        ] {
            let (number, error) = parse(text).expect_err(text);
            assert_eq!(number, line, "{text:?}");
            assert!(format!("{error:#}").contains(complaint), "{text:?}: {error:#}");
        }
        assert!(parse("--allow=filtered\n--resume\n-o=table\n-o=csv=a\n").is_ok());
    }
}
