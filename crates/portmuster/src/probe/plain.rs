//! Names protocols other than ssh and telnet by their first bytes.
//!
//! A name excludes ssh and telnet. Each pattern is therefore a fixed start or a well-formed first
//! line, and none matches a notice, a menu or a prompt: bytes that are ambiguous have no name.
//!
//! To add a protocol, add a row to the table of its family, a line to the test of that table, and its
//! name and what it means to `meanings` and to `docs/protocols.md`.

use self::patterns::{Pattern, starts_with_any};

mod binary;
mod meanings;
mod messages;
mod patterns;
mod replies;
mod text;

/// Returns the name of the protocol that starts with these bytes.
pub(super) fn name(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    let in_table = |table: &[(&'static str, Pattern)], bytes| {
        table.iter().find(|(_, matches)| matches(bytes)).map(|&(name, _)| name)
    };
    in_table(&binary::PROTOCOLS, bytes)
        .or_else(|| in_table(&text::PROTOCOLS, text))
        .or_else(|| replies::name(text))
}

/// Returns how many of the first bytes are complete messages of a named protocol, of `received` in all, of
/// which `bytes` are the first. 0: they have no lengths, or the first one is incomplete.
///
/// Messages may contain any bytes, so each message is recognised by its start.
pub(super) fn messages_length(protocol: &str, bytes: &[u8], received: usize) -> usize {
    let is_message = |bytes: &[u8]| name(bytes) == Some(protocol);
    messages::length(protocol, bytes, received, is_message)
}

/// Returns whether the name says little more than the form of the first bytes.
pub(super) fn is_weak(name: &str) -> bool {
    name == replies::EITHER
}

/// Returns whether the first bytes are a status line with a version, or a page. No notice or menu
/// starts like that.
pub(super) fn is_fixed(bytes: &[u8]) -> bool {
    starts_with_any(bytes.trim_ascii_start(), &["HTTP/1.", "RTSP/1.", "RTSP/2.", "SIP/2.0 ", "<"])
}

/// Iterates over the protocols that [`ServiceDetails::protocol`](crate::outcome::ServiceDetails::protocol) can
/// name, in alphabetical order, each once.
pub fn known_protocols() -> impl Iterator<Item = &'static str> {
    let by_bytes = binary::PROTOCOLS.iter().chain(&text::PROTOCOLS).map(|&(name, _)| name);
    let mut names: Vec<_> = by_bytes.chain(replies::names()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// Returns what a protocol is that [`known_protocols`] names; `None` for any other name.
///
/// ```
/// assert_eq!(portmuster::protocol_meaning("ftp"), Some("FTP (RFC 959)"));
/// assert_eq!(portmuster::protocol_meaning("ssh"), None, "it is a service of its own");
/// ```
#[must_use]
pub fn protocol_meaning(name: &str) -> Option<&'static str> {
    let index = meanings::MEANINGS.binary_search_by_key(&name, |&(name, _)| name);
    index.ok().map(|index| meanings::MEANINGS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::transcripts;

    #[test]
    fn every_protocol_has_a_meaning() {
        let names: Vec<_> = meanings::MEANINGS.iter().map(|&(name, _)| name).collect();
        assert_eq!(known_protocols().collect::<Vec<_>>(), names);
    }

    /// Texts of telnet servers before their commands, or without any.
    #[test]
    fn telnet_and_ssh_greetings_have_no_protocol_name() {
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
}
