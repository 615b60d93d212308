//! A command line as words, each with its role, read even if it is not valid.

use clap::{Arg, Command, CommandFactory};

use crate::args::{Program, without_login};

mod file_name;
pub(crate) mod foreign;

pub(crate) use self::file_name::extension;
use self::foreign::ForeignOption;

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

impl OptionValue {
    /// Returns the value after `count` words before it were removed.
    pub(crate) fn moved_back(&self, count: usize) -> Self {
        Self { word: self.word - count, ..self.clone() }
    }
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

/// The option whose value the next word may be.
#[derive(Clone)]
enum Awaiting {
    Own {
        id: String,
        allows_hyphen: bool,
    },
    /// An option of another program, in this word.
    Foreign(&'static ForeignOption, String),
}

impl Awaiting {
    fn takes(&self, word: &str) -> bool {
        match self {
            Self::Own { allows_hyphen: true, .. } => true,
            // A number or a range may begin with a dash, too.
            Self::Own { .. } => {
                let rest = word.strip_prefix('-').unwrap_or_default();
                rest.is_empty() || rest.starts_with(|first: char| first.is_ascii_digit())
            }
            Self::Foreign(option, before) => option.takes(before, word),
        }
    }
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
        let mut awaiting = None;
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let next = words.peek().map(String::as_str);
            let (role, expected) = line.role(&word, next, awaiting.take());
            line.roles.push(role);
            line.words.push(word);
            awaiting = expected;
        }
        line
    }

    /// Returns the role of a word, and the option whose value the word after it may be.
    fn role(
        &mut self,
        word: &str,
        next: Option<&str>,
        awaiting: Option<Awaiting>,
    ) -> (Role, Option<Awaiting>) {
        let index = self.words.len();
        if let Some(awaiting) = awaiting.filter(|awaiting| awaiting.takes(word)) {
            if let Awaiting::Own { id, .. } = awaiting {
                self.values.push(OptionValue { id, word: index, start: 0 });
            }
            return (Role::Value, None);
        }
        if self.roles.contains(&Role::Separator) {
            return (Role::Operand, None);
        }
        if word == "--" {
            return (Role::Separator, None);
        }
        if word.len() > 1 && word.starts_with('-') {
            return (Role::Flag, self.option(word, next));
        }
        let names_command = self.command.is_none() && !self.roles.contains(&Role::Operand);
        if names_command && (word == "help" || self.program.find_subcommand(word).is_some()) {
            self.command = Some(index);
            return (Role::Command, None);
        }
        (Role::Operand, None)
    }

    /// Records the value that the word of an option contains; otherwise returns the option if its value
    /// may be the next word.
    fn option(&mut self, word: &str, next: Option<&str>) -> Option<Awaiting> {
        let index = self.words.len();
        if let Some(option) = self.foreign(word, next) {
            return Some(Awaiting::Foreign(option, word.to_owned()));
        }
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(a, b)| (a, Some(b)));
            let (id, awaiting) = described(self.long(name)?);
            self.ids.push((index, id.clone()));
            let Some(value) = value else { return awaiting };
            if awaiting.is_some() {
                self.values.push(OptionValue { id, word: index, start: word.len() - value.len() });
            }
            return None;
        }
        for (start, letter) in word.char_indices().skip(1) {
            let (id, awaiting) = described(self.short(letter)?);
            self.ids.push((index, id.clone()));
            if awaiting.is_none() {
                continue;
            }
            let start = start + letter.len_utf8();
            if start == word.len() {
                return awaiting;
            }
            let equals = usize::from(word[start..].starts_with('='));
            self.values.push(OptionValue { id, word: index, start: start + equals });
            return None;
        }
        None
    }

    /// Returns the option of another program that a word is, where `next` is the word after it; `None`
    /// if the command has an option of this name, or takes no targets.
    pub(crate) fn foreign(&self, word: &str, next: Option<&str>) -> Option<&'static ForeignOption> {
        if self.command.is_some() && !self.has_targets() {
            return None;
        }
        // To benchmarks, `-n` and `-r` are the number of rounds.
        if ["-n", "-r"].contains(&word) && self.command_name() == Some("compare") {
            return None;
        }
        let long = word.strip_prefix("--").and_then(|long| long.split('=').next());
        let is_own =
            long.is_some_and(|long| self.arguments().any(|it| it.get_long() == Some(long)));
        foreign::find(word, next).filter(|_| !is_own)
    }

    /// Returns the long option of this command or, if it has none of this name, of another one.
    fn long(&self, name: &str) -> Option<&Arg> {
        self.argument(|arg| arg.get_long() == Some(name))
    }

    /// Returns the short option of this command or, if it has none of this letter, of another one.
    fn short(&self, letter: char) -> Option<&Arg> {
        self.argument(|arg| arg.get_short() == Some(letter))
    }

    fn argument(&self, is_it: impl Fn(&Arg) -> bool) -> Option<&Arg> {
        let others = self.program.get_subcommands().flat_map(Command::get_arguments);
        self.arguments()
            .find(|arg| is_it(arg))
            .or_else(|| others.into_iter().find(|arg| is_it(arg)))
    }

    /// Returns the definition of an option or operand of the command; `None`: it has none of this name.
    pub(crate) fn definition(&self, id: &str) -> Option<&Arg> {
        self.arguments().find(|arg| arg.get_id() == id)
    }

    /// Returns the options of the command, of the program, and, without a command, of `check`.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Arg> {
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

    /// Iterates over all values of options, each with its text.
    pub(crate) fn all_values(&self) -> impl Iterator<Item = (&OptionValue, &str)> {
        self.values.iter().map(|value| (value, &self.words[value.word][value.start..]))
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

    /// Returns the line without the user names and passwords of proxies.
    pub(crate) fn without_logins(&self) -> Self {
        let logins = self.values("proxy").find_map(|(value, text)| {
            let shown = without_login(text);
            (shown != text).then(|| self.with_value(value, &shown))
        });
        match logins {
            Some(words) => Self::new(words).without_logins(),
            None => Self::new(self.words.clone()),
        }
    }

    /// Returns the whole command, quoted for a shell, without the logins of proxies.
    pub(crate) fn quoted(&self) -> String {
        let shown = self.without_logins();
        let words = shown.words.iter().map(|word| quoted(word));
        std::iter::once("portmuster".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// Returns the name of an option, and the option itself if it takes a value.
fn described(arg: &Arg) -> (String, Option<Awaiting>) {
    let id = arg.get_id().to_string();
    let allows_hyphen = arg.is_allow_hyphen_values_set();
    let awaiting = takes_value(arg).then(|| Awaiting::Own { id: id.clone(), allows_hyphen });
    (id, awaiting)
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
