//! A command line as words, each with its role, read even if it is not valid.

use clap::{Arg, Command, CommandFactory};

use crate::args::Program;

pub(crate) mod foreign;

/// What a word of the command line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The name of a command.
    Command,
    /// An option, with or without its value.
    Flag,
    /// The value of the option before it.
    Value,
    /// Anything else: a target, or a file of `diff`.
    Operand,
    /// `--`, after which all words are operands.
    Separator,
}

/// The value of an option, as part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionValue {
    /// The name of the option in the definition of the command line.
    pub(crate) id: String,
    /// The index of the word that contains the value.
    pub(crate) word: usize,
    /// The index of the value's first byte in that word.
    start: usize,
}

/// The words after `portmuster`, and what each of them is.
#[derive(Debug)]
pub(crate) struct CommandLine {
    program: Command,
    words: Vec<String>,
    roles: Vec<Role>,
    values: Vec<OptionValue>,
    /// The names of the options in the definition of the command line, each with the index of its word.
    ids: Vec<(usize, String)>,
    /// The index of the command's name; `None`: there is no command.
    command: Option<usize>,
}

impl CommandLine {
    pub(crate) fn new(words: Vec<String>) -> Self {
        let mut line = Self {
            program: Program::command(),
            roles: Vec::with_capacity(words.len()),
            values: Vec::new(),
            ids: Vec::new(),
            command: None,
            words: Vec::new(),
        };
        let mut value_of = None;
        for word in words {
            let (role, next) = line.role(&word, value_of.take());
            line.roles.push(role);
            line.words.push(word);
            value_of = next;
        }
        line
    }

    /// Returns the role of the next word, and the option whose value is the word after it.
    fn role(&mut self, word: &str, value_of: Option<String>) -> (Role, Option<String>) {
        let index = self.words.len();
        if let Some(id) = value_of {
            self.values.push(OptionValue { id, word: index, start: 0 });
            return (Role::Value, None);
        }
        if self.roles.contains(&Role::Separator) {
            return (Role::Operand, None);
        }
        if word == "--" {
            return (Role::Separator, None);
        }
        if word.len() > 1 && word.starts_with('-') {
            return (Role::Flag, self.option(word));
        }
        let names_command = self.command.is_none() && !self.roles.contains(&Role::Operand);
        if names_command && (word == "help" || self.program.find_subcommand(word).is_some()) {
            self.command = Some(index);
            return (Role::Command, None);
        }
        (Role::Operand, None)
    }

    /// Records the value that the word of an option contains; otherwise returns the name of the option
    /// if its value is the next word.
    fn option(&mut self, word: &str) -> Option<String> {
        let index = self.words.len();
        if let Some(row) = foreign::find(word) {
            return row.takes_next(word).then(|| row.name.to_owned());
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(a, b)| (a, Some(b)));
            let arg = self.long(name)?;
            let (id, has_value) = (arg.get_id().to_string(), takes_value(arg));
            self.ids.push((index, id.clone()));
            if !has_value {
                return None;
            }
            let Some(value) = value else { return Some(id) };
            self.values.push(OptionValue { id, word: index, start: word.len() - value.len() });
            return None;
        }
        for (start, letter) in word.char_indices().skip(1) {
            let arg = self.arguments().find(|arg| arg.get_short() == Some(letter))?;
            let (id, has_value) = (arg.get_id().to_string(), takes_value(arg));
            self.ids.push((index, id.clone()));
            if !has_value {
                continue;
            }
            let start = start + letter.len_utf8();
            if start == word.len() {
                return Some(id);
            }
            let equals = usize::from(word[start..].starts_with('='));
            self.values.push(OptionValue { id, word: index, start: start + equals });
            return None;
        }
        None
    }

    /// Returns the long option of this command or, if it has none of this name, of another one.
    fn long(&self, name: &str) -> Option<&Arg> {
        let has_name = |arg: &&Arg| arg.get_long() == Some(name);
        let others = self.program.get_subcommands().flat_map(Command::get_arguments);
        self.arguments().find(has_name).or_else(|| others.into_iter().find(has_name))
    }

    /// Returns the options of the command, of the program, and, without a command, of `check`.
    fn arguments(&self) -> impl Iterator<Item = &Arg> {
        let name = self.command_name().unwrap_or("check");
        let own = self.program.find_subcommand(name).into_iter().flat_map(Command::get_arguments);
        own.chain(self.program.get_arguments())
    }

    /// Returns the definition of the program.
    pub(crate) fn program(&self) -> &Command {
        &self.program
    }

    /// Returns the name of the command; `None`: there is none.
    pub(crate) fn command_name(&self) -> Option<&str> {
        self.command.map(|index| self.words[index].as_str())
    }

    /// Returns the index of the command's name; `None`: there is none.
    pub(crate) fn command(&self) -> Option<usize> {
        self.command
    }

    /// Returns whether the operands of the command are targets.
    pub(crate) fn has_targets(&self) -> bool {
        matches!(self.command_name(), Some("check" | "compare" | "explain"))
    }

    /// Returns whether the command reads lists of targets.
    pub(crate) fn has_lists(&self) -> bool {
        matches!(self.command_name(), Some("check" | "compare"))
    }

    /// Returns the words.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// Iterates over the options, each with its index.
    pub(crate) fn flags(&self) -> impl Iterator<Item = (usize, &str)> {
        self.with_role(Role::Flag)
    }

    /// Iterates over the operands, each with its index.
    pub(crate) fn operands(&self) -> impl Iterator<Item = (usize, &str)> {
        self.with_role(Role::Operand)
    }

    fn with_role(&self, role: Role) -> impl Iterator<Item = (usize, &str)> {
        let words = self.words.iter().map(String::as_str).enumerate();
        words.filter(move |&(index, _)| self.roles[index] == role)
    }

    /// Iterates over the names of all options in the definition of the command line.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter().map(|(_, id)| id.as_str())
    }

    /// Iterates over the names of the options that a word contains.
    pub(crate) fn ids_at(&self, index: usize) -> impl Iterator<Item = &str> {
        self.ids.iter().filter(move |(word, _)| *word == index).map(|(_, id)| id.as_str())
    }

    /// Returns the role of a word; `None` beyond the last.
    pub(crate) fn role_at(&self, index: usize) -> Option<Role> {
        self.roles.get(index).copied()
    }

    /// Iterates over the values of an option, each with its text.
    pub(crate) fn values(&self, id: &str) -> impl Iterator<Item = (&OptionValue, &str)> {
        let values = self.values.iter().filter(move |value| value.id == id);
        values.map(|value| (value, &self.words[value.word][value.start..]))
    }

    /// Iterates over the values of `--output`, each with its text.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&OptionValue, &str)> {
        self.values("outputs").chain(self.values("output"))
    }

    /// Returns the words with another value of an option.
    pub(crate) fn with_value(&self, value: &OptionValue, text: &str) -> Vec<String> {
        let word = format!("{}{text}", &self.words[value.word][..value.start]);
        self.replaced(value.word, 1, [word])
    }

    /// Returns the words without a value and without its option, and with other words in their place.
    pub(crate) fn without_option(
        &self,
        value: &OptionValue,
        instead: impl IntoIterator<Item = String>,
    ) -> Vec<String> {
        // A value that is a word of its own follows its option.
        let is_separate = self.roles[value.word] == Role::Value;
        let first = value.word - usize::from(is_separate);
        self.replaced(first, 1 + usize::from(is_separate), instead)
    }

    /// Returns the words with others in the place of `count` of them.
    pub(crate) fn replaced(
        &self,
        first: usize,
        count: usize,
        instead: impl IntoIterator<Item = String>,
    ) -> Vec<String> {
        let mut words = self.words.clone();
        words.splice(first..(first + count).min(self.words.len()), instead);
        words
    }

    /// Returns the whole command, quoted for a shell.
    pub(crate) fn quoted(&self) -> String {
        let words = self.words.iter().map(|word| quoted(word));
        std::iter::once("portmuster".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// Returns whether the option takes a value.
pub(crate) fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// Quotes a word so that a POSIX shell leaves it unchanged.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,@%+#".contains(letter);
    if !word.is_empty() && !word.starts_with('#') && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
