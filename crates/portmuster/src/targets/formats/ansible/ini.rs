//! Reads inventories in INI.

use std::io::BufRead;

use super::{
    error::{document_error, record_error},
    inventory::{CONNECTION_VARIABLES, Inventory, VariableValue, is_connection_variable},
};
use crate::targets::{
    formats::tracked::{TextPosition, TrackedReader},
    grammar,
    line_error::LineError,
    raw_lines::RawLines,
};

/// The maximum number of bytes of a line.
const LINE_MAX: usize = 64 * 1024;
/// The maximum number of hosts that a pattern may expand to.
const PATTERN_MAX: usize = 65_536;

/// The maximum number of lines that can't be read.
const ERRORS_MAX: usize = 65_536;

/// The maximum number of bytes of a pattern.
const NAME_MAX: usize = 512;

/// The current section, with the index of its group.
#[derive(Debug, Clone, Copy)]
enum Section {
    /// Hosts of a group; `None` before the first section header.
    Hosts(Option<usize>),
    /// Variables of a group.
    Variables(usize),
    /// Groups that are children of a group.
    Children(usize),
    /// Lines after a header that can't be read. They may be about this group or, if it is `all`, about
    /// any.
    Unknown(usize),
}

/// A word of a line without its quotes, and its column in characters from 1.
struct Word {
    text: String,
    column: usize,
}

/// Reads an inventory. The errors of the lines that can't be read are appended to `errors`; after a
/// [final](crate::targets::LineErrorKind::is_final) one, the inventory is incomplete.
pub(super) fn read<R: BufRead>(
    input: &mut TrackedReader<R>,
    errors: &mut Vec<LineError>,
) -> Inventory {
    let lines_before = input.position().line - 1;
    let mut lines = RawLines::new(input, LINE_MAX);
    let mut reader = IniReader { inventory: Inventory::default(), section: Section::Hosts(None) };
    loop {
        let read = match lines.advance() {
            Ok(false) => break,
            Ok(true) => lines.text().map(|text| (text, lines.line() + lines_before)),
            Err(error) => Err(error),
        };
        let shift = |error: LineError| LineError { line: error.line + lines_before, ..error };
        let read = read.map_err(shift).and_then(|(text, line)| reader.read_line(text, line));
        let Err(error) = read else { continue };
        let start = TextPosition { line: error.line, column: 1 };
        let is_final = error.kind.is_final();
        errors.push(error);
        if is_final {
            break;
        }
        let text = String::from_utf8_lossy(lines.bytes());
        let distrusted = reader.distrust(&text, start).and_then(|()| check_errors(errors, start));
        if let Err(error) = distrusted {
            errors.push(error);
            break;
        }
    }
    reader.inventory
}

/// Checks that the number of errors is within its limit.
fn check_errors(errors: &[LineError], position: TextPosition) -> Result<(), LineError> {
    if errors.len() < ERRORS_MAX {
        return Ok(());
    }
    Err(document_error(position, format!("{ERRORS_MAX} of the lines can't be read")))
}

/// The inventory while it is being read.
struct IniReader {
    inventory: Inventory,
    section: Section,
}

impl IniReader {
    /// Reads a line. One that is not valid changes nothing.
    fn read_line(&mut self, text: &str, line: u64) -> Result<(), LineError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            return Ok(());
        }
        let start = TextPosition { line, column: 1 };
        if trimmed == "---" || trimmed.starts_with("- ") || is_yaml_key(trimmed) {
            let why = "this is YAML; use the JSON output of `ansible-inventory -i FILE --list`";
            return Err(document_error(start, why.into()));
        }
        if let Some(header) = section_header(trimmed) {
            return self.begin_section(header, start);
        }
        let words = words(text, start)?;
        let Some((first, rest)) = words.split_first() else { return Ok(()) };
        let position = TextPosition { line, column: first.column };
        let inventory = &mut self.inventory;
        match self.section {
            Section::Hosts(group) => add_hosts(inventory, group, first, rest, line),
            Section::Children(parent) => {
                let child = inventory.group(&first.text, position)?;
                inventory.add_child(child, parent, position)
            }
            Section::Variables(group) => {
                let Some((key, value)) = trimmed.split_once('=') else {
                    let why = "a variable is written KEY=VALUE".into();
                    return Err(record_error(position, why));
                };
                let start = value.trim_start().as_ptr().addr() - text.as_ptr().addr();
                let column = text[..start].chars().count() + 1;
                let position = TextPosition { line, column };
                let value = VariableValue::new(unquoted(value.trim()), position);
                inventory.set_group_variable(group, key.trim(), value);
                Ok(())
            }
            Section::Unknown(_) => {
                Err(record_error(position, "the header of its section can't be read".into()))
            }
        }
    }

    /// Begins the section of a header.
    fn begin_section(&mut self, header: &str, position: TextPosition) -> Result<(), LineError> {
        let (name, kind) = header.split_once(':').unwrap_or((header, "hosts"));
        let group = self.inventory.group(name.trim(), position)?;
        self.section = match kind.trim() {
            "hosts" => Section::Hosts(Some(group)),
            "vars" => Section::Variables(group),
            "children" => Section::Children(group),
            _ => {
                let why = format!(
                    "[{}] is not a section: write [group], [group:vars] or [group:children]",
                    grammar::excerpt(header)
                );
                return Err(record_error(position, why));
            }
        };
        Ok(())
    }

    /// Marks the hosts and groups whose addresses and ports a line that can't be read may determine.
    fn distrust(&mut self, text: &str, position: TextPosition) -> Result<(), LineError> {
        let inventory = &mut self.inventory;
        let first = text.split_whitespace().next().unwrap_or_default();
        let names = expand(pattern_and_port(first.trim_matches(['"', '\''])).0);
        let header = section_header(text.trim());
        if header.is_some() || first.starts_with('[') && names.is_err() {
            // The name of the group is certain if only the kind of the section is wrong.
            let name = header.filter(|header| !header.contains(char::REPLACEMENT_CHARACTER));
            let name = name.and_then(|header| header.split(':').next()).unwrap_or("all");
            self.section = Section::Unknown(inventory.group(name.trim(), position)?);
            return Ok(());
        }
        let sets_variable = CONNECTION_VARIABLES.iter().any(|name| text.contains(name));
        match self.section {
            Section::Variables(group) | Section::Unknown(group) if sets_variable => {
                inventory.distrust_group(group);
            }
            Section::Variables(_) => return Ok(()),
            Section::Hosts(_) | Section::Children(_) | Section::Unknown(_) => {}
        }
        names.into_iter().flatten().try_for_each(|name| inventory.distrust(name, position))
    }
}

/// Returns whether the line is a key of YAML, such as `all:`.
fn is_yaml_key(line: &str) -> bool {
    let key = line.strip_suffix(':');
    key.is_some_and(|key| !key.is_empty() && !key.contains([' ', '=', '[']))
}

/// Returns the text in the brackets of a section header; `None` if the line is not one.
fn section_header(line: &str) -> Option<&str> {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    (!inner.contains([']', '['])).then_some(inner.trim())
}

/// Adds the hosts of a line, with the variables in the words after them.
fn add_hosts(
    inventory: &mut Inventory,
    group: Option<usize>,
    first: &Word,
    rest: &[Word],
    line: u64,
) -> Result<(), LineError> {
    let position = TextPosition { line, column: first.column };
    let (pattern, port) = pattern_and_port(&first.text);
    let names = expand(pattern).map_err(|why| record_error(position, why))?;
    let mut variables = Vec::new();
    if let Some(port) = port {
        let column = first.column + pattern.chars().count() + 1;
        variables.push(("ansible_port", VariableValue::new(port, TextPosition { line, column })));
    }
    for word in rest {
        let Some((key, value)) = word.text.split_once('=') else {
            let position = TextPosition { line, column: word.column };
            let word = grammar::excerpt(&word.text);
            let why = format!("only variables, KEY=VALUE, may follow a host, not {word:?}");
            return Err(record_error(position, why));
        };
        if is_connection_variable(key) {
            let column = word.column + key.chars().count() + 1;
            variables.push((key, VariableValue::new(value, TextPosition { line, column })));
        }
    }
    for name in names {
        let host = inventory.host(&name, position)?;
        if let Some(group) = group {
            inventory.add_host(host, group, position)?;
        }
        for (key, value) in &variables {
            inventory.set_host_variable(host, key, value.clone());
        }
    }
    Ok(())
}

/// Splits the port off a pattern such as `host:2222` or `[2001:db8::1]:2222`. Other colons belong
/// to the host.
fn pattern_and_port(text: &str) -> (&str, Option<&str>) {
    let Some((host, port)) = text.rsplit_once(':') else { return (text, None) };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // A colon in brackets belongs to an address or a range.
    let is_outside = host.matches('[').count() == host.matches(']').count();
    if is_port && is_outside && (!host.contains(':') || host.contains('[')) {
        return (host, Some(port));
    }
    (text, None)
}

/// Expands a pattern such as `web[01:50].example` or `db[a:f]` to the names of its hosts.
///
/// # Errors
/// The pattern is not valid; the error says why.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    if let Some(address) = pattern.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && address.parse::<std::net::Ipv6Addr>().is_ok()
    {
        return Ok(vec![address.to_owned()]);
    }
    if pattern.len() > NAME_MAX {
        return Err("the pattern is longer than a host name".to_owned());
    }
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('[') {
        let (range, after) = after
            .split_once(']')
            .ok_or_else(|| "the bracket of a range is not closed".to_owned())?;
        let members = range_members(range).ok_or_else(|| {
            let range = grammar::excerpt(range);
            format!("[{range}] is not a range: write [1:50], [01:50], [a:f] or [1:50:2]")
        })?;
        if names.len().saturating_mul(members.len()) > PATTERN_MAX {
            return Err(format!(
                "the pattern stands for more than {PATTERN_MAX} hosts; split it into several"
            ));
        }
        let next = |name: &String| {
            let name = format!("{name}{before}");
            members.iter().map(move |member| format!("{name}{member}"))
        };
        names = names.iter().flat_map(next).collect();
        rest = after;
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

/// Returns the members of a range such as `1:50`, `01:50`, `a:f` or `1:50:2`; `None` if it is not
/// valid.
///
/// A range with more than [`PATTERN_MAX`] members is not expanded: the result has one element more
/// than that, each an empty text.
fn range_members(range: &str) -> Option<Vec<String>> {
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
        return Some(
            (*first..=*last).step_by(step).map(|byte| char::from(byte).to_string()).collect(),
        );
    }
    // A missing first number is 0.
    let first = if first.is_empty() { "0" } else { first };
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok())?
    };
    let (low, high) = (number(first)?, number(last)?);
    let count = high.checked_sub(low)? as usize / step;
    if count > PATTERN_MAX {
        return Some(vec![String::new(); PATTERN_MAX + 1]);
    }
    // If the first number has leading zeros, all numbers are padded to its width.
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 64 {
        return None;
    }
    Some((low..=high).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

/// Splits a line into words, without quotes and comment. The position is that of an error.
fn words(text: &str, position: TextPosition) -> Result<Vec<Word>, LineError> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    for (column, character) in (1..).zip(text.chars()) {
        match (quote, character) {
            (Some(open), character) if character == open => quote = None,
            (None, '#') if word.is_none() => break,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert(Word { text: String::new(), column });
            }
            (None, character) if character.is_whitespace() => words.extend(word.take()),
            (_, character) => {
                word.get_or_insert(Word { text: String::new(), column }).text.push(character);
            }
        }
    }
    if quote.is_some() {
        return Err(record_error(position, "a quote is not closed".into()));
    }
    words.extend(word);
    Ok(words)
}

/// Returns a value without its comment and quotes.
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
    fn patterns_expand_to_host_names() {
        let names = |pattern| expand(pattern).expect(pattern);
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
            assert!(expand(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn ports_are_distinguished_from_other_colons() {
        assert_eq!(pattern_and_port("a:22"), ("a", Some("22")));
        assert_eq!(pattern_and_port("a[1:5]:22"), ("a[1:5]", Some("22")));
        assert_eq!(pattern_and_port("a[1:5]"), ("a[1:5]", None));
        assert_eq!(pattern_and_port("[2001:db8::1]:22"), ("[2001:db8::1]", Some("22")));
        assert_eq!(pattern_and_port("2001:db8::1"), ("2001:db8::1", None));
    }
}
