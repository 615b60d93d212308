//! Names protocols that are neither ssh nor telnet, where their first bytes say so.
//!
//! A name excludes ssh and telnet, so each rule is a fixed start or a well-formed first line, and
//! none of them fits a notice, a menu or a prompt: what only may be a protocol has no name.
//!
//! To add one: a row in the table of its family, a line in that table's test, and its name in
//! `docs/protocols.md`.

mod binary;
mod replies;
mod text;

/// How the first bytes of a protocol look.
type Sign = fn(&[u8]) -> bool;

/// Bytes in which a word is looked for; servers name themselves in their first lines.
const WORDS_WITHIN: usize = 512;

/// The name of the protocol that begins with these bytes.
pub(super) fn name(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    let in_table = |table: &[(&'static str, Sign)], bytes| {
        table.iter().find(|(_, fits)| fits(bytes)).map(|&(name, _)| name)
    };
    in_table(&binary::PROTOCOLS, bytes)
        .or_else(|| in_table(&text::PROTOCOLS, text))
        .or_else(|| replies::name(text))
}

/// Whether the name says little more than the form of the first bytes.
pub(super) fn is_weak(name: &str) -> bool {
    name == replies::EITHER
}

/// Whether the first bytes are a status line with its version, or a page: no prompt begins so, and
/// what follows may end in any word.
pub(super) fn is_fixed(bytes: &[u8]) -> bool {
    starts_with_any(bytes.trim_ascii_start(), &["HTTP/1.", "RTSP/1.", "RTSP/2.", "SIP/2.0 ", "<"])
}

/// The protocols that an open port's [`protocol`](crate::ServiceDetails::protocol) may name, in alphabetical
/// order, each once.
pub fn known_protocols() -> impl Iterator<Item = &'static str> {
    let by_bytes = binary::PROTOCOLS.iter().chain(&text::PROTOCOLS).map(|&(name, _)| name);
    let mut names: Vec<_> = by_bytes.chain(replies::names()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

fn starts_with_any(bytes: &[u8], starts: &[&str]) -> bool {
    starts.iter().any(|start| bytes.starts_with(start.as_bytes()))
}

/// Whether the first bytes have the word, in small letters or large.
fn has_word(bytes: &[u8], word: &str) -> bool {
    let bytes = &bytes[..bytes.len().min(WORDS_WITHIN)];
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// The first line, without its end; `None` before that has come.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some(bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::probe::transcripts;

    /// What telnet servers say where they send no commands, or before them: it is never named.
    #[test]
    fn what_telnet_and_ssh_servers_say_has_no_name() {
        for bytes in [
            &b""[..],
            b"hello",
            b"login: ",
            b"\r\nERROR\r\n",
            b"ERROR\r\n",
            b"OK\r\n",
            b"# ",
            b"220",
            b"220 login: ok\r\n",
            b"220 Main Street Library\r\nlogin: ",
            b"220 Main Street Library\r\n\r\nPassword:\r\n",
            b"220 Welcome to the ftp archive\r\nlogin: ",
            b"220 Telnet Server ready\r\n",
            b"220-notice\r\nSSH-2.0-x\r\n",
            b"200 news of today\r\n\r\nUsername: ",
            b"Welcome to ftp.example\r\n",
            b":::: NOTICE to all users ::::\r\nlogin: ",
            b"NOTICE This system sends an ERROR : to strangers\r\n",
            b"* OK Networks Inc. *\r\n* Authorised users only *\r\nlogin: ",
            b"+OK Corral Inc.\r\nlogin: ",
            b"400 Main Street\r\nServer room\r\nlogin: ",
            b"AMQP gateway\r\nlogin: ",
            b"RFB 12 printer\r\n",
            b"\xff\xfb\x01\xff\xfd\x18",
            b"\xff\xf0\xff\xfb\x01login: ",
            b"\r\n\0\0\xff\xfd\x18login: ",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"Permission denied.\n",
        ] {
            assert_eq!(name(bytes), None, "{}", bytes.escape_ascii());
        }
        for transcript in transcripts::all() {
            if transcript.is_of_ssh_or_telnet() {
                let bytes = transcript.bytes();
                for end in 0..=bytes.len() {
                    assert_eq!(name(&bytes[..end]), None, "{}", bytes[..end].escape_ascii());
                }
            }
        }
    }

    #[test]
    fn the_page_lists_every_name_once() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocols.md");
        let page = fs::read_to_string(page).expect("there is a page on protocols");
        let listed: Vec<_> =
            page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(listed, known_protocols().collect::<Vec<_>>());
        let names: BTreeSet<_> = listed.iter().collect();
        assert_eq!(names.len(), listed.len());
    }
}
