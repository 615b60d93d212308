//! Detects the format of an input from its beginning.

use std::{
    io::{self, BufRead, ErrorKind},
    net::{IpAddr, Ipv6Addr},
};

use super::{csv_header, known_hosts};
use crate::targets::input_format::InputFormat;

/// The maximum number of bytes to wait for if no line ends before.
const PEEK_MAX: usize = 4096;

/// Reads until the first line that is not blank is complete, and returns all bytes that have arrived.
pub(super) fn peek(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    loop {
        let read = match input.fill_buf() {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if read.is_empty() {
            return Ok(beginning);
        }
        beginning.extend_from_slice(read);
        let length = read.len();
        input.consume(length);
        let has_content = |line: &[u8]| !line.trim_ascii().is_empty();
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let is_complete = beginning
            .split_inclusive(is_end)
            .any(|line| has_content(line) && line.last().is_some_and(is_end));
        if is_complete || beginning.len() >= PEEK_MAX {
            return Ok(beginning);
        }
    }
}

/// Returns the format of an input with this beginning; a list if it matches no other format.
pub(super) fn detect(beginning: &[u8]) -> InputFormat {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let text = String::from_utf8_lossy(&beginning[..beginning.len().min(16 * PEEK_MAX)]);
    let lines = || text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines().next() else { return InputFormat::List };
    if first.starts_with("#masscan") {
        return InputFormat::Masscan;
    }
    if first.starts_with("# Nmap ") {
        return InputFormat::NmapGrep;
    }
    // Only the first line can be a header.
    if csv_header::is_header(first) {
        return InputFormat::Csv;
    }
    let is_comment = |line: &&str| line.starts_with('#') || line.starts_with(';');
    let Some(first) = lines().find(|line| !is_comment(line)) else { return InputFormat::List };
    detect_by_line(first, &text)
}

/// Returns whether an input with this beginning consists of the JSON rows that portmuster writes.
pub(super) fn are_rows(beginning: &[u8]) -> bool {
    let beginning = beginning.trim_ascii_start();
    let line = beginning.split(|&byte| byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"{\"schema\":") && line.windows(8).any(|field| field == b"\"host\":\"")
}

/// Detects the format from the first line that is not a comment.
fn detect_by_line(first: &str, text: &str) -> InputFormat {
    if first.starts_with('<') {
        return InputFormat::NmapXml;
    }
    if first.starts_with('{') {
        let is_record = first.contains("\"ip\"") && !text.contains("\"_meta\"");
        return if is_record { InputFormat::Masscan } else { InputFormat::Ansible };
    }
    if first
        .strip_prefix('[')
        .is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with(['{', ']']))
    {
        return InputFormat::Masscan;
    }
    if known_hosts::is_line(first) {
        return InputFormat::KnownHosts;
    }
    if is_section(first) || first.split_whitespace().skip(1).any(is_ansible_variable) {
        return InputFormat::Ansible;
    }
    if first.starts_with("Host: ") || first.starts_with("Timestamp: ") {
        return InputFormat::NmapGrep;
    }
    let words: Vec<_> = first.split_whitespace().take(4).collect();
    if let ["open" | "closed" | "banner", "tcp" | "udp" | "sctp", port, address] = words[..]
        && port.parse::<u16>().is_ok()
        && address.parse::<IpAddr>().is_ok()
    {
        return InputFormat::Masscan;
    }
    InputFormat::List
}

/// Returns whether the line is the header of an inventory section, such as `[web]` or `[web:vars]`. An
/// address in brackets is not.
fn is_section(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let inner = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let address = inner.split(['/', '%', '-']).next().unwrap_or(inner);
        let is_name_character = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
        !inner.is_empty()
            && inner.chars().all(is_name_character)
            && address.parse::<Ipv6Addr>().is_err()
            && inner.parse::<IpAddr>().is_err()
    })
}

fn is_ansible_variable(word: &str) -> bool {
    word.starts_with("ansible_") && word.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_detected_by_their_beginning() {
        use InputFormat::{Ansible, Csv, KnownHosts, List, Masscan, NmapGrep, NmapXml};
        for (beginning, expected) in [
            ("", List),
            ("# inventory\n10.0.0.1\n", List),
            ("10.0.0.1\n10.0.0.2\n", List),
            ("[::1]:22\n", List),
            ("[2001:db8::/64]\n", List),
            ("a.example core\n", List),
            ("a.example ssh-rsa gateway\n", List),
            ("10.0.0.1,22\n", List),
            ("127.0.9.1\t22\n", List),
            ("ip,port\n127.0.9.1,22\n", Csv),
            ("\u{feff}\"IP Address\";\"Port\"\r\n", Csv),
            ("name\thost\tport\n", Csv),
            ("<?xml version=\"1.0\"?>\n", NmapXml),
            ("<nmaprun>", NmapXml),
            ("# Nmap 7.93 scan initiated Mon\n", NmapGrep),
            ("Host: 127.0.0.1 (localhost)\tStatus: Up\n", NmapGrep),
            ("Timestamp: 17\tHost: 127.0.0.1 ()\tPorts: 22/open/tcp////\n", NmapGrep),
            ("#masscan\nopen tcp 22 127.0.9.1 17\n", Masscan),
            ("open tcp 22 127.0.9.1 1700000000\n", Masscan),
            ("[\n{   \"ip\": \"10.0.0.1\" }\n", Masscan),
            ("[", Masscan),
            ("[]\n", Masscan),
            ("[\"a\"]\n", List),
            ("{\"ip\": \"10.0.0.1\"}\n", Masscan),
            ("{\n    \"_meta\": {\n", Ansible),
            ("[servers]\n127.0.9.1\n", Ansible),
            ("; groups\n[web:vars] # all\n", Ansible),
            ("inst1 ansible_host=127.0.9.1 ansible_port=2222\n", Ansible),
            ("|1|abc=|def= ssh-rsa AAAAB3\n", KnownHosts),
            ("[db.example]:2222 ssh-ed25519 AAAAC3\n", KnownHosts),
            ("@revoked * ssh-rsa AAAAB3\n", KnownHosts),
            ("a.example,10.0.0.1 ecdsa-sha2-nistp256 AAAAE2\n", KnownHosts),
        ] {
            assert_eq!(detect(beginning.as_bytes()), expected, "{beginning:?}");
        }
    }

    #[test]
    fn rows_of_portmuster_are_no_list() {
        assert!(are_rows(b"\n{\"schema\":1,\"time\":\"x\",\"host\":\"a\",\"port\":22}\n"));
        for beginning in ["", "{\"_meta\": {\n", "{\"schema\":1}\n\"host\":\"a\"", "a.example\n"] {
            assert!(!are_rows(beginning.as_bytes()), "{beginning}");
        }
    }

    #[test]
    fn peek_reads_no_more_than_the_first_line() {
        for (input, length) in [(&b"a\nb\nc\n"[..], 2), (b"\n\na\rb\n", 4), (b"abc", 3), (b"", 0)] {
            let mut input = io::BufReader::with_capacity(1, input);
            assert_eq!(peek(&mut input).expect("reading from memory").len(), length);
        }
    }
}
