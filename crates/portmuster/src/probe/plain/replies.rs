//! Patterns of protocols with replies of three digits and a text, like FTP and SMTP (RFC 959 §4.2,
//! RFC 5321 §4.2).
//!
//! If the words identify the protocol, one reply is enough. Otherwise, all bytes must be complete
//! replies, and none may ask for input.

use super::patterns::has_word;
use crate::probe::limits::BANNER_MAX;

/// The name of a protocol that may be FTP or SMTP.
pub(super) const EITHER: &str = "ftp-or-smtp";

/// A protocol, the codes of its first reply, and words one of which that reply contains.
type ReplyPattern = (&'static str, fn(u16) -> bool, &'static [&'static str]);

/// The patterns; the first match counts.
const PROTOCOLS: [ReplyPattern; 9] = [
    ("dict", |code| code == 220, &["dictd "]),
    ("hylafax", |code| code == 220, &["hylafax"]),
    ("lmtp", is_of_mail, &[" lmtp"]),
    ("vmware-auth", |code| code == 220, &["vmware authentication daemon"]),
    ("poppassd", |code| code == 200, &["poppassd"]),
    ("nntp", |code| matches!(code, 200 | 201 | 400 | 502), &["nntp", "nnrp", "news", "innd"]),
    (
        "smtp",
        is_of_mail,
        &["smtp", "simple mail transfer", "sendmail", "postfix", "qmail", "exim "],
    ),
    ("ftp", is_of_files, &["ftp", "filezilla"]),
    ("smtp", is_of_mail, &["mail server", "mail service", "mail-in-a-box", "e-mail", "groupwise"]),
];

fn is_of_mail(code: u16) -> bool {
    matches!(code, 214 | 220 | 421 | 450..=452 | 500..=599)
}

fn is_of_files(code: u16) -> bool {
    matches!(code, 120 | 211 | 214 | 220 | 421 | 500..=599)
}

/// Returns the name of the protocol that starts with this text, which has no leading white space.
pub(super) fn name(text: &[u8]) -> Option<&'static str> {
    let code = code(text)?;
    if ends_in_question(text) {
        return None;
    }
    let by_words = PROTOCOLS
        .iter()
        .find(|(_, codes, words)| codes(code) && words.iter().any(|word| has_word(text, word)));
    match by_words {
        Some(&(name, ..)) => Some(name),
        None if !is_whole(text) => None,
        None if has_enhanced_status(text) || is_masked(text) => Some("smtp"),
        None => (matches!(code, 120 | 220 | 421 | 530 | 550 | 554) && says_nothing_else(text))
            .then_some(EITHER),
    }
}

/// Iterates over the names of the protocols.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROTOCOLS.iter().map(|&(name, ..)| name).chain([EITHER])
}

/// Returns the code at the start of a line, before a space or a hyphen.
fn code(line: &[u8]) -> Option<u16> {
    let (code, [b' ' | b'-', ..]) = line.split_first_chunk::<3>()? else { return None };
    let is_code = matches!(code[0], b'1'..=b'5') && code.iter().all(u8::is_ascii_digit);
    is_code.then(|| code.iter().fold(0, |sum, digit| 10 * sum + u16::from(digit - b'0')))
}

/// Returns whether the last line is not a reply and ends like a prompt.
fn ends_in_question(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    let last = text.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    code(last).is_none()
        && matches!(last.last(), Some(b':' | b'>' | b'#' | b'$' | b'%' | b'?' | b']'))
}

/// Returns whether the text consists of complete replies. A reply of several lines ends with its code
/// and a space. A text that was cut off at [`BANNER_MAX`] may end anywhere.
fn is_whole(text: &[u8]) -> bool {
    let mut open = None;
    let is_cut = text.len() + 2 >= BANNER_MAX;
    if !is_cut && !text.ends_with(b"\n") {
        return false;
    }
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let is_printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | 0x80..);
        let begun = code(line);
        if !line.trim_ascii_end().iter().all(is_printable) || open.is_none() && begun.is_none() {
            return false;
        }
        let goes_on = line.get(3) == Some(&b'-');
        match open {
            None => open = begun.filter(|_| goes_on),
            Some(_) if begun == open && !goes_on => open = None,
            Some(_) => {}
        }
    }
    open.is_none() || is_cut
}

/// Returns whether an enhanced mail status follows the code of a refusal (RFC 3463 §2): `554 5.7.1 `.
fn has_enhanced_status(text: &[u8]) -> bool {
    matches!(text, [class @ (b'4' | b'5'), _, _, b' ' | b'-', same, b'.', subject, b'.', detail, b' ', ..]
        if class == same && subject.is_ascii_digit() && detail.is_ascii_digit())
}

/// Returns whether the text is an SMTP greeting that a firewall has masked with asterisks, as Cisco's
/// do.
fn is_masked(text: &[u8]) -> bool {
    text.strip_prefix(b"220 ").is_some_and(|text| {
        let text = text.trim_ascii();
        text.len() >= 8 && text.iter().all(|byte| matches!(byte, b'*' | b'2' | b'0' | b' '))
    })
}

/// Returns whether the reply has a text that neither asks for a login nor mentions telnet or ssh.
fn says_nothing_else(text: &[u8]) -> bool {
    const OTHERS: [&str; 6] = ["login:", "username:", "user name:", "password:", "telnet", "ssh-"];

    text.get(4..).is_some_and(|text| !text.trim_ascii().is_empty())
        && !OTHERS.iter().any(|word| has_word(text, word))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::name, *};

    #[test]
    fn each_protocol_is_recognised_by_words_of_its_replies() {
        let mut named = BTreeSet::new();
        for (text, expected) in [
            (&b"220 dict.example dictd 1.12.1/rf <auth.mime> <1@dict.example>\r\n"[..], "dict"),
            (b"220 fax.example server (HylaFAX (tm) Version 6.0.6) ready.\r\n", "hylafax"),
            (b"220 mail.example LMTP Postfix\r\n", "lmtp"),
            (b"220 VMware Authentication Daemon Version 1.10: SSL Required\r\n", "vmware-auth"),
            (b"200 poppassd v1.8.5 hello, who are you?\r\n", "poppassd"),
            (b"200 news.example InterNetNews NNRP server ready\r\n", "nntp"),
            (b"502 news.example: no permission to read\r\n", "nntp"),
            (b"220 mail.example ESMTP Postfix\r\n", "smtp"),
            (b"220-mail.example Microsoft ESMTP MAIL Service\r\n", "smtp"),
            (b"220 example Postfix\r\n", "smtp"),
            (b"220 *****2****0****\r\n", "smtp"),
            (b"554 5.7.1 no\r\n", "smtp"),
            (b"421 4.3.2 come again later\r\n", "smtp"),
            (b"220 (vsFTPd 3.0.3)\r\n", "ftp"),
            (b"220-FileZilla Server 1.7\r\n", "ftp"),
            (b"220 FTP server. Who are you?\r\n", "ftp"),
            (b"220-\r\nUse of this system: see below\r\n220 ftp.example\r\n", "ftp"),
            (b"421 Too many connections to this FTP server\r\n", "ftp"),
            (b"220 printer.example ready.\r\n", "ftp-or-smtp"),
            (b"220-printer.example\r\n be careful\r\n220 ready.\r\n", "ftp-or-smtp"),
            (b"220 printer.example ready.\r\n500 \r\n", "ftp-or-smtp"),
            (b"421 Too many connections\r\n", "ftp-or-smtp"),
            (b"554 No service for you\r\n", "ftp-or-smtp"),
        ] {
            assert_eq!(name(text), Some(expected), "{}", text.escape_ascii());
            named.insert(expected);
        }
        assert_eq!(named, names().collect(), "one of each");
        let long = [&b"220-"[..], &[b'x'; 300], b"\r\n"].concat().repeat(4);
        assert_eq!(name(&long[..BANNER_MAX]), Some(EITHER));
    }

    #[test]
    fn similar_replies_have_no_name() {
        for text in [
            &b"220 ready"[..],
            b"220 \r\n",
            b"220-ready\r\n",
            b"2200 smtp\r\n",
            b"220 ready\r\nmore\r\n",
            b"220 \x1b[2Jready\r\n",
            b"220-ready\r\n\r\n220 Password: \r\n",
            b"620 ftp\r\n",
            b"200 ready\r\n",
            b"500 unknown command\r\n",
        ] {
            assert_eq!(name(text), None, "{}", text.escape_ascii());
        }
    }
}
