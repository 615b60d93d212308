//! What `nmap -oG` and `masscan -oG` write: a line for each host, with fields between tabs.

use std::{io::BufRead, net::IpAddr};

use super::{Entry, InputFormat, PassedOver, Tally, nmap_xml, with_ports};
use crate::targets::{LineError, LineErrorKind, Ports, grammar, lines::RawLines};

/// Bytes that a line may have: each of 65,535 ports with its service.
const LINE_MAX: usize = 8 << 20;

/// Reads the open ports of a scan, or its hosts.
#[derive(Debug)]
pub(super) struct NmapGrep<R> {
    lines: RawLines<R>,
    hosts_up: bool,
    /// The host of the line before, and whether it was handed over.
    last: Option<(IpAddr, bool)>,
    passed_over: Tally,
}

/// What a line says.
struct Line<'a> {
    host: &'a str,
    /// Where the host begins, in characters from 1.
    column: usize,
    name: &'a str,
    status: Option<&'a str>,
    ports: Option<&'a str>,
}

impl<R: BufRead> NmapGrep<R> {
    pub(super) fn new(input: R, hosts_up: bool) -> Self {
        let lines = RawLines::new(input, LINE_MAX);
        Self { lines, hosts_up, last: None, passed_over: Tally::default() }
    }

    pub(super) fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over.0
    }

    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, LineError> {
        loop {
            if !self.lines.advance()? {
                self.forget_last();
                return Ok(None);
            }
            if let Some(entry) = self.entry()? {
                return Ok(Some(entry));
            }
        }
    }

    fn entry(&mut self) -> Result<Option<Entry>, LineError> {
        let text = self.lines.text()?;
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(None);
        }
        let error = |column, why: String| {
            let kind = LineErrorKind::Record { format: InputFormat::NmapGrep, why };
            Err(self.lines.error(column, kind))
        };
        let Some(line) = fields(text) else {
            let why = if trimmed.contains("scan report for") || trimmed.starts_with("Starting Nmap")
            {
                "this is nmap's output for people; give what -oG or -oX writes"
            } else {
                "a line begins with \"Host: \""
            };
            return error(1, why.to_owned());
        };
        let Ok(address) = line.host.parse::<IpAddr>() else {
            return error(line.column, format!("{:?} is no address", grammar::excerpt(line.host)));
        };
        let label = (!line.name.is_empty()).then(|| line.name.to_owned());
        // A scan that only lists them (-sL) knows nothing of them.
        let is_up = line.status != Some("Down");
        let open = line.ports.map(open_ports);
        let (place, column) = (self.lines.line(), line.column);
        let entry = |item| Entry { item, label, line: place, column };
        if self.last.is_none_or(|(last, _)| last != address) {
            self.forget_last();
            self.last = Some((address, false));
        }
        let Some((_, is_taken)) = &mut self.last else { return Ok(None) };
        if self.hosts_up {
            let is_new = is_up && !std::mem::replace(is_taken, *is_taken || is_up);
            return Ok(is_new.then(|| entry(address.to_string())));
        }
        // A host that is down has nothing open; another line may say more of one that is up.
        *is_taken |= !is_up;
        let Some(ports) = open.flatten() else { return Ok(None) };
        *is_taken = true;
        Ok(Some(entry(with_ports(&address.to_string(), ports))))
    }

    /// Counts the last host, when it was not handed over.
    fn forget_last(&mut self) {
        if self.last.take().is_some_and(|(_, is_taken)| !is_taken) && !self.hosts_up {
            self.passed_over.add(1, nmap_xml::NOTHING_OPEN);
        }
    }
}

fn fields(text: &str) -> Option<Line<'_>> {
    let mut line = Line { host: "", column: 0, name: "", status: None, ports: None };
    for field in text.split('\t') {
        let (key, value) = field.split_once(": ").unwrap_or((field, ""));
        match key.trim() {
            "Host" if !value.is_empty() => {
                let (host, name) = value.split_once(' ').unwrap_or((value, ""));
                let at = host.as_ptr().addr() - text.as_ptr().addr();
                line.column = text[..at].chars().count() + 1;
                line.host = host;
                line.name = name.trim().trim_start_matches('(').trim_end_matches(')');
            }
            "Status" => line.status = Some(value.trim()),
            "Ports" => line.ports = Some(value),
            _ => {}
        }
    }
    (!line.host.is_empty()).then_some(line)
}

/// The ports that may be open: `22/open/tcp//ssh//OpenSSH 9.2/, 23/closed/tcp//telnet///`.
fn open_ports(text: &str) -> Option<Ports> {
    let open = text.split(", ").filter_map(|port| {
        // What is behind a comma in the text of a version is no port.
        let mut parts = port.trim().split('/');
        let number: u16 = parts.next()?.parse().ok().filter(|number| *number > 0)?;
        let (state, protocol) = (parts.next()?, parts.next()?);
        (nmap_xml::may_be_open(state) && protocol == "tcp").then_some(number)
    });
    Ports::of_numbers(open)
}
