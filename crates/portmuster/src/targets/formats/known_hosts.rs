//! The `known_hosts` of OpenSSH (sshd(8), section `SSH_KNOWN_HOSTS FILE FORMAT`).

use std::{collections::VecDeque, io::BufRead, mem};

use super::{Entry, InputFormat, PassedOver, Tally, with_ports};
use crate::targets::{LineError, LineErrorKind, grammar, lines::RawLines};

/// Bytes that a line may have: the key of a host, and its names.
const LINE_MAX: usize = 64 * 1024;

const HASHED: &str = "hashed names, which can't be read";
const MARKED: &str = "lines marked @revoked or @cert-authority";
const PATTERNS: &str = "patterns (*, ?, !)";

/// Reads the hosts whose keys are known.
#[derive(Debug)]
pub(super) struct KnownHosts<R> {
    lines: RawLines<R>,
    entries: VecDeque<Entry>,
    /// The names of the line before: a host has a line for each of its keys.
    last_names: String,
    passed_over: Tally,
}

/// Whether a line can only be one of `known_hosts`.
pub(super) fn is_line(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    if first.starts_with("|1|") || matches!(first, "@revoked" | "@cert-authority") {
        return true;
    }
    let [kind, key] = [words.next(), words.next()].map(Option::unwrap_or_default);
    // The base64 of the length of a kind's name, which every key begins with.
    is_kind(kind) && key.starts_with("AAAA")
}

/// The name of a kind of keys; the first version of the protocol had numbers.
fn is_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "rsa-sha2-"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

impl<R: BufRead> KnownHosts<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: RawLines::new(input, LINE_MAX),
            entries: VecDeque::new(),
            last_names: String::new(),
            passed_over: Tally::default(),
        }
    }

    pub(super) fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over.0
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, LineError> {
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

    fn read_line(&mut self) -> Result<(), LineError> {
        let text = self.lines.text()?;
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(());
        }
        if trimmed.starts_with('@') {
            self.passed_over.add(1, MARKED);
            return Ok(());
        }
        let mut words = trimmed.split_whitespace();
        let names = words.next().unwrap_or_default();
        let has_key = words
            .next()
            .is_some_and(|kind| is_kind(kind) || kind.bytes().all(|byte| byte.is_ascii_digit()))
            && words.next().is_some();
        let start = text.chars().take_while(|letter| letter.is_whitespace()).count() + 1;
        if !has_key {
            let why = "behind the names come the kind of a key and the key".to_owned();
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

    fn add(&mut self, name: &str, column: usize) -> Result<(), LineError> {
        if name.starts_with('|') {
            self.passed_over.lose(1, HASHED);
            return Ok(());
        }
        if name.contains(['*', '?', '!']) {
            self.passed_over.lose(1, PATTERNS);
            return Ok(());
        }
        let (host, port) = match name.strip_prefix('[').and_then(|name| name.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => (name, None),
        };
        if !grammar::is_one_host(host) {
            let why = format!("{:?} is neither a name nor an address", grammar::excerpt(name));
            let kind = LineErrorKind::Record { format: InputFormat::KnownHosts, why };
            return Err(self.lines.error(column, kind));
        }
        let item = port.map_or_else(|| host.to_owned(), |port| with_ports(host, port));
        let line = self.lines.line();
        self.entries.push_back(Entry { item, label: None, line, column });
        Ok(())
    }
}
