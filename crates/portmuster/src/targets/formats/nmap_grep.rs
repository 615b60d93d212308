//! Reads the output of `nmap -oG` and `masscan -oG`: lines of hosts, with fields separated by tabs.

use std::{io::BufRead, net::IpAddr};

use super::{
    entry::{InputEntry, with_ports, without_ports},
    nmap_xml,
    skipped_records::{SkipCounter, SkippedRecords},
};
use crate::targets::{
    grammar,
    input_format::InputFormat,
    line_error::{LineError, LineErrorKind},
    ports::Ports,
    raw_lines::RawLines,
};

/// The maximum number of bytes of a line, which may list 65,535 ports with their services.
const LINE_MAX: usize = 8 << 20;

/// Reads the open ports of a scan, or its hosts that are up.
#[derive(Debug)]
pub(super) struct NmapGrepReader<R> {
    lines: RawLines<R>,
    hosts_up: bool,
    /// The host of the previous line, and whether it is done: a target of it was returned, or it is
    /// down.
    last: Option<(IpAddr, bool)>,
    skipped: SkipCounter,
}

/// The fields of a line.
struct HostLine<'a> {
    host: &'a str,
    /// The column of the host, in characters from 1.
    column: usize,
    name: &'a str,
    status: Option<&'a str>,
    /// Every list of ports of the line: at most one is valid.
    ports: Vec<&'a str>,
}

impl<R: BufRead> NmapGrepReader<R> {
    /// Creates a reader of the hosts that are up, or else of the open ports.
    pub(super) fn new(input: R, hosts_up: bool) -> Self {
        let lines = RawLines::new(input, LINE_MAX);
        Self { lines, hosts_up, last: None, skipped: SkipCounter::default() }
    }

    /// Counts the skipped records.
    pub(super) fn skipped_records(&self) -> &[SkippedRecords] {
        self.skipped.counts()
    }

    /// Reads the next target; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Result<Option<InputEntry>, LineError> {
        loop {
            if !self.lines.advance()? {
                self.finish_host();
                return Ok(None);
            }
            if let Some(entry) = self.entry()? {
                return Ok(Some(entry));
            }
        }
    }

    /// Returns the target of the current line, if it has one.
    fn entry(&mut self) -> Result<Option<InputEntry>, LineError> {
        let text = self.lines.text()?;
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(None);
        }
        let error = |column, why: String| {
            let kind = LineErrorKind::Record { format: InputFormat::NmapGrep, why };
            Err(self.lines.error(column, kind))
        };
        let Some(line) = parse_fields(text) else {
            let why = if trimmed.contains("scan report for") || trimmed.starts_with("Starting Nmap")
            {
                "this is nmap's normal output; use that of nmap -oG or -oX"
            } else {
                "the line does not begin with \"Host: \""
            };
            return error(1, why.to_owned());
        };
        let Ok(address) = line.host.parse::<IpAddr>() else {
            return error(
                line.column,
                format!("{:?} is not an address", grammar::excerpt(line.host)),
            );
        };
        let label = (!line.name.is_empty()).then(|| line.name.to_owned());
        // A scan that only lists hosts (-sL) does not know whether they are up.
        let is_up = line.status != Some("Down");
        let column_of =
            |part: &str| text[..part.as_ptr().addr() - text.as_ptr().addr()].chars().count() + 1;
        let open = match *line.ports {
            [] => None,
            [list] => match open_ports(list) {
                Ok(open) => open,
                Err(entry) => {
                    let why = format!(
                        "{:?} is not an entry such as 22/open/tcp//ssh///",
                        grammar::excerpt(entry)
                    );
                    return error(column_of(entry), why);
                }
            },
            [_, second, ..] => {
                return error(column_of(second), "the line has two lists of ports".to_owned());
            }
        };
        let (line_number, column) = (self.lines.line(), line.column);
        let entry = |item| InputEntry { item, label, line: line_number, column };
        if self.last.is_none_or(|(last, _)| last != address) {
            self.finish_host();
            self.last = Some((address, false));
        }
        let Some((_, is_done)) = &mut self.last else { return Ok(None) };
        if self.hosts_up {
            let is_new = is_up && !std::mem::replace(is_done, *is_done || is_up);
            return Ok(is_new.then(|| entry(without_ports(&address.to_string()))));
        }
        // A host that is down has no open port. Another line may list the ports of one that is up.
        *is_done |= !is_up;
        let Some(ports) = open else { return Ok(None) };
        *is_done = true;
        Ok(Some(entry(with_ports(&address.to_string(), ports))))
    }

    /// Counts the previous host as skipped if no target of it was returned.
    fn finish_host(&mut self) {
        if self.last.take().is_some_and(|(_, is_done)| !is_done) && !self.hosts_up {
            self.skipped.add(1, nmap_xml::NOTHING_OPEN);
        }
    }
}

/// Splits a line into its fields; `None` if it has no host.
fn parse_fields(text: &str) -> Option<HostLine<'_>> {
    let mut line = HostLine { host: "", column: 0, name: "", status: None, ports: Vec::new() };
    for field in text.split('\t') {
        let (key, value) = field.split_once(": ").unwrap_or((field, ""));
        match key.trim() {
            "Host" if !value.is_empty() => {
                let (host, name) = value.split_once(' ').unwrap_or((value, ""));
                let start = host.as_ptr().addr() - text.as_ptr().addr();
                line.column = text[..start].chars().count() + 1;
                line.host = host;
                line.name = name.trim().trim_start_matches('(').trim_end_matches(')');
            }
            "Status" => line.status = Some(value.trim()),
            "Ports" => line.ports.push(value),
            _ => {}
        }
    }
    (!line.host.is_empty()).then_some(line)
}

/// Returns the ports that may be open in a list such as
/// `22/open/tcp//ssh//OpenSSH 9.2/, 23/closed/tcp//telnet///`; `None` if there are none.
///
/// Each entry has seven fields, each of which a slash ends: port, state, protocol, owner, service, RPC
/// and version. The last slash of the list may be missing. A version may contain a comma, and nmap writes
/// `|` for a slash in it.
///
/// # Errors
/// An entry can't be read: the rest of the list from its start.
fn open_ports(list: &str) -> Result<Option<Ports>, &str> {
    let mut open = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let entry = rest;
        let mut fields = [""; 6];
        for field in &mut fields {
            (*field, rest) = rest.split_once('/').ok_or(entry)?;
        }
        rest = rest.split_once('/').map_or("", |(_version, rest)| rest);
        rest = match rest.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => next.trim_start(),
            None if rest.is_empty() => rest,
            _ => return Err(entry),
        };
        let [number, state, protocol, ..] = fields;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or(entry)?;
        if nmap_xml::may_be_open(state) && protocol == "tcp" {
            open.push(number);
        }
    }
    Ok(Ports::from_numbers(open.into_iter()))
}
