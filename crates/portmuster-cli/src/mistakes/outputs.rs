//! Mistakes about outputs.

use super::{edit::Edit, nearest::nearest_or_longer};
use crate::{
    command_line::{CommandLine, Role, foreign::ForeignOption},
    formats,
};

/// Other names of formats.
const SYNONYMS: [(&str, &str); 11] = [
    ("json", "jsonl"),
    ("ndjson", "jsonl"),
    ("json-lines", "jsonl"),
    ("excel", "csv"),
    ("text", "table"),
    ("txt", "table"),
    ("nmap", "xml"),
    ("nmap-xml", "xml"),
    ("db", "sqlite"),
    ("sqlite3", "sqlite"),
    ("page", "html"),
];

/// Finds the format and the file of one output in two options, such as `-o out.txt --json`.
pub(super) fn format_and_file(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (index, typed, option, value) = foreign(line)
        .find(|(_, word, option, value)| option.bare_format(word, *value).is_some())?;
    let format = option.bare_format(typed, value)?;
    let without = CommandLine::new(line.replaced(index, 1 + usize::from(value.is_some()), []));
    let own = without.outputs().find(|(_, text)| !is_output(text));
    let words = if let Some((value, file)) = own {
        without.with_value(value, &format!("{format}={file}"))
    } else {
        let mut others = foreign(&without).filter(|(_, _, option, _)| option.names_output());
        let (index, file) = others.find_map(|(index, _, _, file)| Some((index, file?)))?;
        without.replaced(index, 2, ["-o".to_owned(), format!("{format}={file}")])
    };
    Some(Edit::new(format!("{typed} is not an option of check: an output is FORMAT=FILE"), words))
}

/// Iterates over the options of other programs: the index of each, its word, and its value in the next
/// word.
fn foreign(
    line: &CommandLine,
) -> impl Iterator<Item = (usize, &str, &'static ForeignOption, Option<&str>)> {
    line.flags().filter_map(|(index, word)| {
        let next = line.words().get(index + 1).map(String::as_str);
        let option = line.foreign(word, next)?;
        Some((index, word, option, next.filter(|next| option.takes(word, next))))
    })
}

/// Returns whether a text begins with the name of a format.
fn is_output(text: &str) -> bool {
    formats::names().contains(&text.split('=').next().unwrap_or(text))
}

/// Finds `--json` of `diff`.
pub(super) fn json_of_diff(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "diff")?;
    let (index, word) =
        line.flags().find(|(_, word)| ["--json", "--jsonl", "-json", "-j"].contains(word))?;
    let instead = ["-o".to_owned(), "jsonl".to_owned()];
    let reason = format!("{word} is not an option of diff: use -o jsonl");
    Some(Edit::new(reason, line.replaced(index, 1, instead)))
}

/// Finds another name of a format, or a misspelled one.
pub(super) fn format_name(line: &CommandLine) -> Option<Edit> {
    let is_check = match line.command_name()? {
        "check" => true,
        "compare" | "diff" => false,
        _ => return None,
    };
    let names = || if is_check { formats::names().to_vec() } else { vec!["table", "jsonl"] };
    let (value, name, rest, meant) = line.outputs().find_map(|(value, text)| {
        let (name, rest) = text.split_at(text.find('=').unwrap_or(text.len()));
        if name.trim() != name && names().contains(&name.trim()) {
            let meant = names().into_iter().find(|known| *known == name.trim())?;
            let file = rest.strip_prefix('=').map_or("", str::trim);
            let separator = if file.is_empty() { "" } else { "=" };
            return Some((value, name, format!("{separator}{file}"), meant));
        }
        // A dot is part of the name of a file.
        if names().contains(&name) || name.contains('.') {
            return None;
        }
        let synonyms = SYNONYMS.iter().map(|(synonym, _)| *synonym);
        let found = nearest_or_longer(name, names().into_iter().chain(synonyms))?;
        let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == found);
        let meant = synonym.map_or(found, |(_, format)| format);
        names().contains(&meant).then_some((value, name, rest.to_owned(), meant))
    })?;
    if name.trim() == meant {
        let words = line.with_value(value, &format!("{meant}{rest}"));
        return Some(Edit::new("an output is FORMAT=FILE, without spaces", words));
    }
    let explained = if meant == "jsonl" { ": jsonl is one JSON object per line" } else { "" };
    let words = line.with_value(value, &format!("{meant}{rest}"));
    Some(Edit::new(format!("{name:?} is not a format{explained}"), words))
}

/// Finds an output that is a file without a format.
pub(super) fn output_without_format(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (value, text, format) = line.outputs().find_map(|(value, text)| {
        let is_format = formats::names().contains(&text) || text.contains('=');
        (!is_format).then_some((value, text, formats::of_file(text)?))
    })?;
    // `csv:a.csv` and `csv,a.csv` have the format.
    let file = text
        .split_once([':', ','])
        .filter(|(name, file)| formats::names().contains(name) && !file.is_empty())
        .map_or(text, |(_, file)| file);
    let words = line.with_value(value, &format!("{format}={file}"));
    Some(Edit::new(format!("the output {text:?} has no format: an output is FORMAT=FILE"), words))
}

/// Finds an output whose file is a word of its own.
pub(super) fn output_as_two_words(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (value, format, file) = line.outputs().find_map(|(value, format)| {
        let next = value.word + 1;
        let file = line.words().get(next).filter(|_| line.role_at(next) == Some(Role::Operand))?;
        let suits = formats::names().contains(&format)
            && formats::of_file(file).is_some_and(|it| it == format || it == "table");
        suits.then_some((value, format, file))
    })?;
    let without = CommandLine::new(line.replaced(value.word + 1, 1, []));
    let words = without.with_value(value, &format!("{format}={file}"));
    Some(Edit::new(format!("{file:?} is not a target: an output is FORMAT=FILE"), words))
}

/// Finds several outputs in one value.
pub(super) fn joined_outputs(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (value, text) =
        line.outputs().find(|(_, text)| text.contains(',') && text.split(',').all(is_output))?;
    let outputs = text.split(',').flat_map(|part| ["-o".to_owned(), part.to_owned()]);
    let words = line.without_option(value, outputs.collect::<Vec<_>>());
    Some(Edit::new(format!("{text:?} is several outputs: repeat -o for each"), words))
}

/// Finds a summary that is a file without a format.
pub(super) fn summary_without_format(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (value, text) = line
        .values("summary")
        .find(|(_, text)| !text.is_empty() && !text.contains('=') && *text != "json")?;
    let words = line.with_value(value, &format!("json={text}"));
    Some(Edit::new(format!("the summary {text:?} has no format"), words))
}
