//! Mistakes about targets, and about lists of them.

use std::{fs, net::IpAddr, path::Path};

use portmuster::{
    Target,
    targets::{Excludes, ItemErrorKind, Ports, TargetSet},
};

use super::edit::Edit;
use crate::command_line::{CommandLine, extension};

/// Returns whether a word can only be a target: an address, a network, a range, a URL, a name with a
/// dot, or one of these with a user name.
pub(super) fn looks_like(word: &str) -> bool {
    let has_mark = word.contains(['.', ':', '/', '@']) || word == "localhost";
    let is_numeric = word.contains('.') && word.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    has_mark
        && (error(word).is_none()
            || is_numeric
            || word.contains("://")
            || word.contains('@')
            || word.contains(','))
}

/// Returns the error of a word as a target; `None` if it is one.
pub(super) fn error(word: &str) -> Option<ItemErrorKind> {
    let mut set = TargetSet::new(&Excludes::new());
    set.add(word, None, &Ports::ssh_and_telnet()).err().map(|error| error.kind().clone())
}

/// Returns whether a word is a target that lists its ports.
pub(super) fn has_ports(word: &str) -> bool {
    let number_of_targets = |ports: &str| {
        let mut set = TargetSet::new(&Excludes::new());
        set.add(word, None, &ports.parse().ok()?).ok()?;
        Some(set.len())
    };
    // Ports of the target itself replace these.
    number_of_targets("1").is_some_and(|one| Some(one) == number_of_targets("1-2"))
}

/// Returns a host with more ports.
pub(super) fn with_ports(host: &str, list: &str) -> String {
    if host.parse::<IpAddr>().is_ok_and(|it| it.is_ipv6()) {
        return format!("[{host}]:{list}");
    }
    let separator = if has_ports(host) { ',' } else { ':' };
    format!("{host}{separator}{list}")
}

/// Returns whether the word names an existing file that is not a directory, and is no address.
pub(super) fn is_file(word: &str) -> bool {
    let is_numeric = |byte: u8| byte.is_ascii_digit() || b".,-*:".contains(&byte);
    let is_address = word.bytes().all(is_numeric) || word.contains("://");
    !is_address && fs::metadata(word).is_ok_and(|file| !file.is_dir())
}

/// Finds a target in the place of a file with targets.
pub(super) fn target_as_file(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let is_target = |text: &str| {
        let starts_as_address =
            text.starts_with(|first: char| first.is_ascii_digit() || first == '[');
        starts_as_address && fs::metadata(text).is_err() && text.contains(['.', ':'])
    };
    let mut values = line.values("inputs");
    let (value, text) = values.find(|(_, text)| is_target(text) && is_address(text))?;
    let words = line.without_option(value, [text.to_owned()]);
    Some(Edit::new(format!("there is no file {text:?}, and a target needs no -i"), words))
}

/// Returns whether the text is an address, a network or a range.
fn is_address(text: &str) -> bool {
    let is_numeric = |byte: u8| byte.is_ascii_hexdigit() || b".,-*:/[]".contains(&byte);
    text.bytes().all(is_numeric) && error(text).is_none()
}

/// Finds several files in one value of `-i`.
pub(super) fn joined_files(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let (value, text) = line.values("inputs").find(|(_, text)| {
        let are_files = || text.split(',').all(is_file);
        text.contains(',') && fs::metadata(text).is_err() && are_files()
    })?;
    let inputs = text.split(',').flat_map(|part| ["-i".to_owned(), part.to_owned()]);
    let words = line.without_option(value, inputs.collect::<Vec<_>>());
    Some(Edit::new(format!("{text:?} names several files: repeat -i for each"), words))
}

/// Finds a file in the place of an address to exclude.
pub(super) fn exclude_as_file(line: &CommandLine) -> Option<Edit> {
    let (value, text) = line.values("exclude").find(|(_, text)| is_file(text))?;
    let instead = ["--exclude-file".to_owned(), text.to_owned()];
    let reason =
        format!("{text:?} is a file; if it is a host, write its name with a dot at the end");
    Some(Edit::new(reason, line.without_option(value, instead)))
}

/// Finds a second entry to exclude, separated by a space, so that it would be a target: one that the
/// other targets contain already.
pub(super) fn exclude_after_exclude(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let operands: Vec<_> = line.operands().collect();
    let (index, word) = line.values("exclude").find_map(|(value, _)| {
        operands.iter().find(|(index, _)| *index == value.word + 1).copied()
    })?;
    let ports = Ports::ssh_and_telnet();
    let mut set = TargetSet::new(&Excludes::new());
    for (_, target) in operands.iter().filter(|(other, _)| *other != index) {
        set.add(target, None, &ports).ok()?;
    }
    let before = set.exact_len()?;
    set.add(word, None, &ports).ok()?;
    if before == 0 || set.exact_len() != Some(before) {
        return None;
    }
    let reason = format!(
        "{word:?} is among the other targets, so it would be checked: repeat --exclude for each entry"
    );
    Some(Edit::new(reason, line.replaced(index, 0, ["--exclude".to_owned()])))
}

/// Finds `-`, which is not a target but a list.
pub(super) fn stdin_as_target(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "check")?;
    let (index, _) = line.operands().find(|(_, word)| *word == "-")?;
    let words = line.replaced(index, 1, ["-i".to_owned(), "-".to_owned()]);
    Some(Edit::new("\"-\" is not a target: to read a list from stdin, use -i -", words))
}

/// Finds a file in the place of a target.
pub(super) fn file_as_target(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.has_targets())?;
    let bare = |word: &str| {
        let of_curl = word.strip_prefix('@').filter(|file| is_file(file));
        of_curl.map(str::to_owned).or_else(|| is_file(word).then(|| word.to_owned()))
    };
    let (index, word, file) =
        line.operands().find_map(|(index, word)| Some((index, word, bare(word)?)))?;
    let reason =
        format!("{word:?} is a file; if it is a host, write its ports after it ({word}:22,23)");
    let words = line.replaced(index, 1, ["-i".to_owned(), file]);
    if line.command_name() != Some("explain") {
        return Some(Edit::new(reason, words));
    }
    let checked = CommandLine::new(words).replaced(command, 1, ["check".to_owned()]);
    Some(Edit::new(format!("{word:?} is a file, and explain checks one target"), checked))
}

/// Finds the name of a file that does not exist, or of a folder, in the place of a target.
pub(super) fn missing_file(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let is_path = |word: &str| ["/", "./", "../", "~/"].iter().any(|it| word.starts_with(it));
    let reason = line.operands().find_map(|(_, word)| {
        if is_path(word) || word == "." || word == ".." {
            let is_folder = Path::new(word).is_dir();
            let problem = if is_folder { "is a directory" } else { "is no file that exists" };
            return Some(format!("{word:?} {problem}: name a list of targets with -i FILE"));
        }
        if let Some(label) = last_letter(word) {
            return Some(format!(
                "{word:?} is no host: .{label} is no top-level domain; all addresses of a network are \
                 127.0.0.* or 127.0.0.0/24, and a host of this name has its ports after it \
                 ({word}:22,23)"
            ));
        }
        let extension = extension(word)?;
        Some(format!(
            "there is no file {word:?}, and .{extension} is no top-level domain: read a list with \
             -i FILE; for a host of this name, write its ports after it ({word}:22,23)"
        ))
    })?;
    Some(Edit::unknown(reason))
}

/// Returns the last label of a name if it is a single letter, which no top-level domain is.
fn last_letter(word: &str) -> Option<&str> {
    let (before, label) = word.rsplit_once('.')?;
    let is_letter = label.len() == 1 && label.bytes().all(|it| it.is_ascii_alphabetic());
    (is_letter && !before.is_empty()).then_some(label)
}

/// Finds a target of `explain` that has no port.
pub(super) fn explain_without_port(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "explain")?;
    let operands: Vec<_> = line.operands().collect();
    let [(index, host)] = operands[..] else { return None };
    let is_single = host.parse::<IpAddr>().is_ok() || !host.contains(['/', '*', ',']);
    let target = with_ports(host, "22");
    if !is_single || has_ports(host) || error(host).is_some() || target.parse::<Target>().is_err() {
        return None;
    }
    let reason = format!("{host:?} has no port, and explain checks one port");
    Some(Edit::new(reason, line.replaced(index, 1, [target])))
}

/// Finds several targets after `explain`.
pub(super) fn explain_of_several(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.command_name() == Some("explain"))?;
    let mut set = TargetSet::new(&Excludes::new());
    for (_, word) in line.operands() {
        set.add(word, None, &Ports::new([22])?).ok()?;
    }
    let has_several = set.len() > 1;
    let words = line.replaced(command, 1, ["check".to_owned()]);
    has_several.then(|| Edit::new("explain checks only one target; use check for several", words))
}
