//! Mistakes about targets.

use std::{fs, net::IpAddr};

use portmuster::targets::{Excludes, ItemErrorKind, Ports, TargetSet};

use super::edit::Edit;
use crate::command_line::{CommandLine, Role};

/// Returns whether a word can only be a target: an address, a network, a range, a URL, a name with a
/// dot, or one of these with a user name.
pub(super) fn looks_like(word: &str) -> bool {
    let has_mark = word.contains(['.', ':', '/', '@']) || word == "localhost";
    has_mark
        && (error(word).is_none()
            || word.contains("://")
            || word.contains('@')
            || word.contains(','))
}

/// Returns the error of a word as a target; `None` if it is one.
fn error(word: &str) -> Option<ItemErrorKind> {
    if word.parse::<IpAddr>().is_ok() {
        return None;
    }
    let mut set = TargetSet::new(&Excludes::new());
    set.add(word, None, &Ports::ssh_and_telnet()).err().map(|error| error.kind().clone())
}

/// Returns whether the word names an existing file that is not a directory, and is no address.
pub(super) fn is_file(word: &str) -> bool {
    let is_numeric = |byte: u8| byte.is_ascii_digit() || b".,-*:".contains(&byte);
    let is_address = word.bytes().all(is_numeric) || word.contains("://");
    !is_address && fs::metadata(word).is_ok_and(|file| !file.is_dir())
}

/// Returns whether a word that follows a host is a list of ports.
pub(super) fn is_port_list(word: &str) -> bool {
    let is_number = word.starts_with(|first: char| first.is_ascii_digit());
    (is_number || ["ssh", "telnet"].contains(&word)) && word.parse::<Ports>().is_ok()
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
    Some(Edit { reason: format!("there is no file {text:?}, and a target needs no -i"), words })
}

/// Returns whether the text is an address, a network or a range.
fn is_address(text: &str) -> bool {
    let is_numeric = |byte: u8| byte.is_ascii_hexdigit() || b".,-*:/[]".contains(&byte);
    text.bytes().all(is_numeric) && error(text).is_none()
}

/// Finds a file in the place of an address to exclude.
pub(super) fn exclude_as_file(line: &CommandLine) -> Option<Edit> {
    let (value, text) = line.values("exclude").find(|(_, text)| is_file(text))?;
    let instead = ["--exclude-file".to_owned(), text.to_owned()];
    let reason =
        format!("{text:?} is a file; if it is a host, write its name with a dot at the end");
    Some(Edit { reason, words: line.without_option(value, instead) })
}

/// Finds a file in the place of a target.
pub(super) fn file_as_target(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    let (index, word) = line.operands().find(|(_, word)| is_file(word))?;
    let reason =
        format!("{word:?} is a file; if it is a host, write its ports after it ({word}:22,23)");
    let words = line.replaced(index, 1, ["-i".to_owned(), word.to_owned()]);
    Some(Edit { reason, words })
}

/// Finds the first operand whose error the function changes into other words.
fn edited(
    line: &CommandLine,
    change: impl Fn(&str, &ItemErrorKind) -> Option<(String, Vec<String>)>,
) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let (index, (reason, instead)) = line
        .operands()
        .filter(|(_, word)| word.contains(['/', '@', ',', ';', '|']))
        .find_map(|(index, word)| Some((index, change(word, &error(word)?)?)))?;
    Some(Edit { reason, words: line.replaced(index, 1, instead) })
}

/// Finds a URL of a scheme other than ssh and telnet.
pub(super) fn other_scheme(line: &CommandLine) -> Option<Edit> {
    edited(line, |word, error| {
        let ItemErrorKind::Scheme { .. } = error else { return None };
        let (_, rest) = word.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
        let reason = format!("target {word:?}: only ssh:// and telnet:// URLs are supported");
        Some((reason, vec![authority.to_owned()]))
    })
}

/// Finds a URL that has a path.
pub(super) fn path_of_url(line: &CommandLine) -> Option<Edit> {
    edited(line, |word, error| {
        let ItemErrorKind::UrlPath(_) = error else { return None };
        let (scheme, rest) = word.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let reason = format!("the URL {word:?} must end after the host and port");
        Some((reason, vec![format!("{scheme}://{authority}")]))
    })
}

/// Finds a user name.
pub(super) fn user_name(line: &CommandLine) -> Option<Edit> {
    edited(line, |word, error| {
        let ItemErrorKind::User(_) = error else { return None };
        let (_, host) = word.rsplit_once('@').filter(|(_, host)| !host.is_empty())?;
        Some((format!("the target {word:?} has a user name"), vec![host.to_owned()]))
    })
}

/// Finds several targets in one word.
pub(super) fn joined_targets(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_lists())?;
    edited(line, |word, error| {
        let has_user = word.contains('@') && word.contains(',');
        if !(matches!(error, ItemErrorKind::Several { .. }) || has_user) {
            return None;
        }
        let parts = word.split([',', ';', '|']).map(|part| part.trim().to_owned()).collect();
        Some((format!("{word:?} contains several targets, which spaces separate"), parts))
    })
}

/// Finds a port that follows the value of `-p`.
pub(super) fn ports_after_ports(line: &CommandLine) -> Option<Edit> {
    let mut values = line.values("ports");
    let (value, text) = values.find(|(value, _)| {
        let next = line.words().get(value.word + 1);
        line.role_at(value.word + 1) == Some(Role::Operand)
            && next.is_some_and(|next| is_port_list(next))
    })?;
    let port = &line.words()[value.word + 1];
    let without = CommandLine::new(line.replaced(value.word + 1, 1, []));
    let words = without.with_value(value, &format!("{text},{port}"));
    Some(Edit { reason: format!("{port:?} is not a target: commas separate ports"), words })
}

/// Finds a list of ports after the only host.
pub(super) fn port_after_host(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let operands: Vec<_> = line.operands().collect();
    let [(first, host), (second, ports)] = operands[..] else { return None };
    if !is_port_list(ports) || !is_host_without_port(host) {
        return None;
    }
    let host = if host.parse::<IpAddr>().is_ok_and(|it| it.is_ipv6()) {
        format!("[{host}]:{ports}")
    } else {
        format!("{host}:{ports}")
    };
    let reason = format!("{ports:?} is a port, not a target: a colon separates host and port");
    let without = CommandLine::new(line.replaced(second, 1, []));
    Some(Edit { reason, words: without.replaced(first, 1, [host]) })
}

fn is_host_without_port(word: &str) -> bool {
    let with_port = format!("{word}:22");
    !is_port_list(word)
        && error(word).is_none()
        && (word.contains(':') || error(&with_port).is_none())
}

/// Finds a list of ports among several hosts.
pub(super) fn port_after_hosts(line: &CommandLine) -> Option<Edit> {
    let command = line.command().filter(|_| line.has_lists())?;
    let mut values = line.values("ports");
    let mut operands = line.operands();
    let _host = operands.next()?;
    let (index, port) = operands.find(|(_, word)| is_port_list(word))?;
    let without = CommandLine::new(line.replaced(index, 1, []));
    let words = match values.next() {
        Some((value, text)) if value.word < index => {
            without.with_value(value, &format!("{text},{port}"))
        }
        Some(_) => return None,
        None => without.replaced(command + 1, 0, ["-p".to_owned(), port.to_owned()]),
    };
    Some(Edit { reason: format!("{port:?} is a port, not a target"), words })
}

/// Finds a target of `explain` that has no port.
pub(super) fn explain_without_port(line: &CommandLine) -> Option<Edit> {
    line.command_name().filter(|name| *name == "explain")?;
    let operands: Vec<_> = line.operands().collect();
    let [(index, host)] = operands[..] else { return None };
    let is_v6 = host.parse::<IpAddr>().is_ok_and(|it| it.is_ipv6());
    if host.contains(['/', ':', '*', ',']) && !is_v6 || error(host).is_some() {
        return None;
    }
    let target = if is_v6 { format!("[{host}]:22") } else { format!("{host}:22") };
    let reason = format!("{host:?} has no port, and explain checks one port");
    Some(Edit { reason, words: line.replaced(index, 1, [target]) })
}
