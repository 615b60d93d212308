//! Inventories in INI.

use std::io::BufRead;

use super::{
    Place,
    inventory::{Inventory, Value, is_wanted},
    record,
};
use crate::targets::{
    LineError, LineErrorKind,
    formats::{InputFormat, tracked::Tracked},
    grammar,
    lines::RawLines,
};

/// Bytes that a line may have.
const LINE_MAX: usize = 64 * 1024;
/// Hosts that a line may stand for, by its ranges.
const PATTERN_MAX: usize = 65_536;

/// Bytes that a host may have, with its ranges.
const NAME_MAX: usize = 512;

/// What the lines of a section are.
#[derive(Debug, Clone, Copy)]
enum Section {
    /// Hosts of a group; `None` before the first section.
    Hosts(Option<usize>),
    Variables(usize),
    Children(usize),
}

/// A word of a line, and its column in characters from 1.
struct Word {
    text: String,
    column: usize,
}

/// Reads an inventory.
pub(super) fn read<R: BufRead>(input: &mut Tracked<R>) -> Result<Inventory, LineError> {
    let before = input.place().line - 1;
    let mut lines = RawLines::new(input, LINE_MAX);
    let mut inventory = Inventory::default();
    let mut section = Section::Hosts(None);
    while lines.advance().map_err(|error| moved(error, before))? {
        let text = lines.text().map_err(|error| moved(error, before))?;
        let line = lines.line() + before;
        let place = |column| Place { line, column };
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if trimmed == "---" || trimmed.starts_with("- ") || is_yaml(trimmed) {
            let why = "this is YAML; `ansible-inventory -i FILE --list` writes it as the JSON that \
                       is read here";
            let kind = LineErrorKind::Document { format: InputFormat::Ansible, why: why.into() };
            return Err(LineError { line, column: 1, kind });
        }
        if let Some(head) = head(trimmed) {
            section = begin(&mut inventory, head, place(1))?;
            continue;
        }
        let words = words(text, place(1))?;
        let Some((first, rest)) = words.split_first() else { continue };
        match section {
            Section::Hosts(group) => {
                add_hosts(&mut inventory, group, first, rest, line)?;
            }
            Section::Children(parent) => {
                let child = inventory.group(&first.text, place(first.column))?;
                inventory.join_group(child, parent, place(first.column))?;
            }
            Section::Variables(group) => {
                let Some((key, value)) = trimmed.split_once('=') else {
                    let why = "a variable is written KEY=VALUE".to_owned();
                    return Err(record(place(first.column), why));
                };
                let at = value.trim_start().as_ptr().addr() - text.as_ptr().addr();
                let column = text[..at].chars().count() + 1;
                let value = Value::new(unquoted(value.trim()), place(column));
                inventory.set_group(group, key.trim(), value);
            }
        }
    }
    Ok(inventory)
}

/// The error, with the lines that were passed before.
fn moved(error: LineError, before: u64) -> LineError {
    LineError { line: error.line + before, ..error }
}

/// A key of YAML: `all:`.
fn is_yaml(line: &str) -> bool {
    let key = line.strip_suffix(':');
    key.is_some_and(|key| !key.is_empty() && !key.contains([' ', '=', '[']))
}

/// What stands in the brackets of a section's head.
fn head(line: &str) -> Option<&str> {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    (!inner.contains([']', '['])).then_some(inner.trim())
}

fn begin(inventory: &mut Inventory, head: &str, place: Place) -> Result<Section, LineError> {
    let (name, kind) = head.split_once(':').unwrap_or((head, "hosts"));
    let group = inventory.group(name.trim(), place)?;
    match kind.trim() {
        "hosts" => Ok(Section::Hosts(Some(group))),
        "vars" => Ok(Section::Variables(group)),
        "children" => Ok(Section::Children(group)),
        _ => {
            let why = format!(
                "[{}] is no section: [group], [group:vars] or [group:children]",
                grammar::excerpt(head)
            );
            Err(record(place, why))
        }
    }
}

fn add_hosts(
    inventory: &mut Inventory,
    group: Option<usize>,
    first: &Word,
    rest: &[Word],
    line: u64,
) -> Result<(), LineError> {
    let place = Place { line, column: first.column };
    let (pattern, port) = pattern_and_port(&first.text);
    let names = expanded(pattern).map_err(|why| record(place, why))?;
    for name in names {
        let host = inventory.host(&name, place)?;
        if let Some(group) = group {
            inventory.join(host, group, place)?;
        }
        if let Some(port) = port {
            let column = first.column + pattern.chars().count() + 1;
            let value = Value::new(port, Place { line, column });
            inventory.set_host(host, "ansible_port", value);
        }
        for word in rest {
            let Some((key, value)) = word.text.split_once('=') else {
                let place = Place { line, column: word.column };
                let word = grammar::excerpt(&word.text);
                return Err(record(place, format!("behind a host come KEY=VALUE, not {word:?}")));
            };
            if is_wanted(key) {
                let place = Place { line, column: word.column + key.chars().count() + 1 };
                inventory.set_host(host, key, Value::new(value, place));
            }
        }
    }
    Ok(())
}

/// Splits `host:2222` and `[2001:db8::1]:2222`; other colons belong to the host.
fn pattern_and_port(text: &str) -> (&str, Option<&str>) {
    let Some((host, port)) = text.rsplit_once(':') else { return (text, None) };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // The colons of an address or of a range belong together.
    let is_whole = host.matches('[').count() == host.matches(']').count();
    if is_port && is_whole && (!host.contains(':') || host.contains('[')) {
        return (host, Some(port));
    }
    (text, None)
}

/// The names of a pattern such as `web[01:50].example` or `db[a:f]`; what is wrong with it.
fn expanded(pattern: &str) -> Result<Vec<String>, String> {
    if let Some(address) = pattern.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && address.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return Ok(vec![address.to_owned()]);
    }
    if pattern.len() > NAME_MAX {
        return Err("it is longer than a host name".to_owned());
    }
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('[') {
        let (range, behind) = behind
            .split_once(']')
            .ok_or_else(|| "the bracket of a range is not closed".to_owned())?;
        let parts = range_parts(range).ok_or_else(|| {
            format!("[{}] is no range: [1:50], [01:50], [a:f] or [1:50:2]", grammar::excerpt(range))
        })?;
        if names.len().saturating_mul(parts.len()) > PATTERN_MAX {
            return Err(format!(
                "it stands for more than {PATTERN_MAX} hosts; write it as several"
            ));
        }
        let next = |name: &String| {
            let name = format!("{name}{before}");
            parts.iter().map(move |part| format!("{name}{part}"))
        };
        names = names.iter().flat_map(next).collect();
        rest = behind;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

/// The members of `1:50`, `01:50`, `a:f` and `1:50:2`; `None` when it is none of them or has more
/// than a pattern may have.
fn range_parts(range: &str) -> Option<Vec<String>> {
    let mut parts = range.split(':');
    let (first, last) = (parts.next()?, parts.next()?);
    let step: usize = parts.next().map_or(Some(1), |step| step.parse().ok())?;
    if parts.next().is_some() || step == 0 {
        return None;
    }
    if let ([first], [last]) = (first.as_bytes(), last.as_bytes())
        && first <= last
        && (first.is_ascii_lowercase() && last.is_ascii_lowercase()
            || first.is_ascii_uppercase() && last.is_ascii_uppercase())
    {
        return Some((*first..=*last).step_by(step).map(|it| char::from(it).to_string()).collect());
    }
    // Without a beginning it begins at 0.
    let first = if first.is_empty() { "0" } else { first };
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok())?
    };
    let (low, high) = (number(first)?, number(last)?);
    let count = high.checked_sub(low)? as usize / step;
    if count > PATTERN_MAX {
        // One more than a pattern may have: who asks sees that it is too many.
        return Some(vec![String::new(); PATTERN_MAX + 1]);
    }
    // Leading zeros fill all numbers up to the width of the first.
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 64 {
        return None;
    }
    Some((low..=high).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// The words of a line, without quotes and comment.
fn words(text: &str, place: Place) -> Result<Vec<Word>, LineError> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    for (column, letter) in (1..).zip(text.chars()) {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '#') if word.is_none() => break,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert(Word { text: String::new(), column });
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => {
                word.get_or_insert(Word { text: String::new(), column }).text.push(letter);
            }
        }
    }
    if quote.is_some() {
        return Err(record(place, "a quote is not closed".into()));
    }
    words.extend(word);
    Ok(words)
}

fn unquoted(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or(value).trim_end();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_their_hosts() {
        let names = |pattern| expanded(pattern).expect(pattern);
        assert_eq!(
            names("web[08:11].example"),
            ["web08.example", "web09.example", "web10.example", "web11.example"]
        );
        assert_eq!(names("db[a:c]"), ["dba", "dbb", "dbc"]);
        assert_eq!(names("a[1:5:2]b[0:1]"), ["a1b0", "a1b1", "a3b0", "a3b1", "a5b0", "a5b1"]);
        assert_eq!(names("10.0.0.[9:10]"), ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(names("[2001:db8::1]"), ["2001:db8::1"]);
        for pattern in
            ["a[1:", "a[1]", "a[5:1]", "a[1:2:0]", "a[1:99999999]", "a[x:1]", "a[b:a]", "a[A:z]"]
        {
            assert!(expanded(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn ports_are_told_from_other_colons() {
        assert_eq!(pattern_and_port("a:22"), ("a", Some("22")));
        assert_eq!(pattern_and_port("a[1:5]:22"), ("a[1:5]", Some("22")));
        assert_eq!(pattern_and_port("a[1:5]"), ("a[1:5]", None));
        assert_eq!(pattern_and_port("[2001:db8::1]:22"), ("[2001:db8::1]", Some("22")));
        assert_eq!(pattern_and_port("2001:db8::1"), ("2001:db8::1", None));
    }
}
