//! Reads `known_hosts` files of OpenSSH (sshd(8), section `SSH_KNOWN_HOSTS FILE FORMAT`).

use std::{collections::VecDeque, io::BufRead, mem};

use super::{
    entry::{InputEntry, with_ports, without_ports},
    skipped_records::{RecordKind, SkipCounter, SkippedRecords},
};
use crate::targets::{
    grammar,
    input_format::InputFormat,
    line_error::{LineError, LineErrorKind},
    raw_lines::RawLines,
};

/// The maximum number of bytes of a line, which contains the names of a host and a key.
const LINE_MAX: usize = 64 * 1024;

const HASHED: RecordKind =
    ("hashed name, which can't be read", "hashed names, which can't be read");
const MARKED: RecordKind =
    ("line marked @revoked or @cert-authority", "lines marked @revoked or @cert-authority");
const PATTERNS: RecordKind = ("pattern (*, ?, !)", "patterns (*, ?, !)");

/// Reads the hosts of a `known_hosts` file.
#[derive(Debug)]
pub(super) struct KnownHostsReader<R> {
    lines: RawLines<R>,
    /// The targets of the current line that are not returned yet.
    entries: VecDeque<InputEntry>,
    /// The names of the previous line, to skip further lines with other keys of the same host.
    last_names: String,
    skipped: SkipCounter,
}

/// Returns whether a line can only belong to a `known_hosts` file.
pub(super) fn is_line(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    if first.starts_with("|1|") || matches!(first, "@revoked" | "@cert-authority") {
        return true;
    }
    let [key_type, key] = [words.next(), words.next()].map(Option::unwrap_or_default);
    // Every key begins with the length of its type's name, which is this in base64.
    is_key_type(key_type) && key.starts_with("AAAA")
}

/// Returns whether the word is the name of a key type of SSH 2.
fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "rsa-sha2-"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

impl<R: BufRead> KnownHostsReader<R> {
    /// Creates a reader.
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: RawLines::new(input, LINE_MAX),
            entries: VecDeque::new(),
            last_names: String::new(),
            skipped: SkipCounter::default(),
        }
    }

    /// Counts the skipped records.
    pub(super) fn skipped_records(&self) -> &[SkippedRecords] {
        self.skipped.counts()
    }

    /// Reads the next target; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<InputEntry>, LineError> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Ok(Some(entry));
            }
            if !self.lines.advance()? {
                return Ok(None);
            }
            self.read_line()?;
        }
    }

    /// Parses the current line.
    fn read_line(&mut self) -> Result<(), LineError> {
        let text = self.lines.text()?;
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(());
        }
        if trimmed.starts_with('@') {
            self.skipped.add(1, MARKED);
            return Ok(());
        }
        let mut words = trimmed.split_whitespace();
        let names = words.next().unwrap_or_default();
        // A key of SSH 1 begins with its number of bits instead of a type.
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let has_key = words.next().is_some_and(|word| is_key_type(word) || is_number(word))
            && words.next().is_some();
        let start = text.chars().take_while(|character| character.is_whitespace()).count() + 1;
        if !has_key {
            let why = "a key type and a key must follow the names".to_owned();
            let kind = LineErrorKind::Record { format: InputFormat::KnownHosts, why };
            return Err(self.lines.error(start + names.chars().count(), kind));
        }
        if mem::replace(&mut self.last_names, names.to_owned()) == names {
            return Ok(());
        }
        let names = self.last_names.clone();
        let mut column = start;
        for name in names.split(',') {
            self.add(name, column)?;
            column += name.chars().count() + 1;
        }
        Ok(())
    }

    /// Adds the target of a name at this column of the current line.
    fn add(&mut self, name: &str, column: usize) -> Result<(), LineError> {
        if name.starts_with('|') {
            self.skipped.add_hidden(1, HASHED);
            return Ok(());
        }
        if name.contains(['*', '?', '!']) {
            self.skipped.add_hidden(1, PATTERNS);
            return Ok(());
        }
        let (host, port) = match name.strip_prefix('[').and_then(|name| name.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => (name, None),
        };
        if !grammar::is_single_host(host) {
            let why = format!("{:?} is neither a name nor an address", grammar::excerpt(name));
            let kind = LineErrorKind::Record { format: InputFormat::KnownHosts, why };
            return Err(self.lines.error(column, kind));
        }
        let item = port.map_or_else(|| without_ports(host), |port| with_ports(host, port));
        let line = self.lines.line();
        self.entries.push_back(InputEntry { item, label: None, line, column });
        Ok(())
    }
}
