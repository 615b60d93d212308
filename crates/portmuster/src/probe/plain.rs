//! Names protocols that are neither ssh nor telnet, where their first bytes say so.
//!
//! To add one: a row of the table.

/// How the first bytes of a protocol look.
type Sign = fn(&[u8]) -> bool;

/// Bytes in which a word is looked for; servers name themselves in their first lines.
const WORDS_WITHIN: usize = 512;

/// What speaks first or answers an empty line. The first that fits counts: what is told by fixed
/// bytes stands before what is told by words.
const PROTOCOLS: [(&str, Sign); 25] = [
    ("http", is_http),
    ("tls", is_tls),
    ("vnc", |bytes| bytes.starts_with(b"RFB ") && bytes.get(7) == Some(&b'.')),
    ("mysql", is_mysql),
    ("postgresql", is_postgresql),
    ("imap", |bytes| starts_with_any(bytes, &["* OK", "* PREAUTH", "* BYE"])),
    ("redis", is_redis),
    ("pop3", |bytes| starts_with_any(bytes, &["+OK", "-ERR"])),
    ("rtsp", |bytes| bytes.starts_with(b"RTSP/1.")),
    ("sip", |bytes| bytes.starts_with(b"SIP/2.0 ")),
    ("rsync", |bytes| bytes.starts_with(b"@RSYNCD: ")),
    ("amqp", |bytes| bytes.starts_with(b"AMQP")),
    ("svn", |bytes| bytes.starts_with(b"( success ( ")),
    ("managesieve", |bytes| bytes.starts_with(b"\"IMPLEMENTATION\" ")),
    ("xmpp", |bytes| bytes.starts_with(b"<?xml") && has_word(bytes, "stream:")),
    ("bgp", |bytes| bytes.starts_with(&[0xff; 16])),
    ("rdp", |bytes| bytes.starts_with(b"\x03\x00\x00") && bytes.get(5) == Some(&0xd0)),
    ("memcached", |bytes| bytes.starts_with(b"ERROR\r\n")),
    ("zabbix", |bytes| bytes.starts_with(b"ZBXD\x01")),
    ("adb", |bytes| bytes.starts_with(b"CNXN")),
    ("teamspeak", |bytes| bytes.starts_with(b"TS3\n")),
    ("irc", |bytes| has_words(bytes, &[":", "NOTICE "], &["NOTICE ", "ERROR :"])),
    ("smtp", |bytes| is_reply_with(bytes, &["smtp", "simple mail transfer"])),
    ("ftp", |bytes| is_reply_with(bytes, &["ftp", "filezilla"])),
    ("nntp", |bytes| is_reply_with(bytes, &["nntp", "news"])),
];

/// The name of the protocol that begins with these bytes.
pub(super) fn name(bytes: &[u8]) -> Option<&'static str> {
    let bytes = bytes.trim_ascii_start();
    PROTOCOLS.iter().find(|(_, fits)| fits(bytes)).map(|&(name, _)| name)
}

fn starts_with_any(bytes: &[u8], starts: &[&str]) -> bool {
    starts.iter().any(|start| bytes.starts_with(start.as_bytes()))
}

/// Whether it begins in one of these ways and its first line has one of these words.
fn has_words(bytes: &[u8], starts: &[&str], words: &[&str]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    starts_with_any(bytes, starts) && words.iter().any(|word| has_word(line, word))
}

/// Whether the first bytes have the word, in small letters or large.
fn has_word(bytes: &[u8], word: &str) -> bool {
    let bytes = &bytes[..bytes.len().min(WORDS_WITHIN)];
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether it begins with a reply of the family of SMTP and FTP, three digits and a blank or a
/// hyphen (RFC 959 §4.2, RFC 5321 §4.2), and has one of these words.
fn is_reply_with(bytes: &[u8], words: &[&str]) -> bool {
    let is_reply = bytes.split_first_chunk::<3>().is_some_and(|(code, rest)| {
        code.iter().all(u8::is_ascii_digit) && matches!(rest, [b' ' | b'-', ..])
    });
    is_reply && words.iter().any(|word| has_word(bytes, word))
}

fn is_http(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(14)];
    bytes.starts_with(b"HTTP/1.")
        || start.eq_ignore_ascii_case(b"<!doctype html")
        || start.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"<html"))
}

/// An alert or a handshake of SSL 3.0 to TLS 1.3 (RFC 8446 §5.1).
fn is_tls(bytes: &[u8]) -> bool {
    match bytes {
        [0x15, 3, 0..=4, 0, 2, 1 | 2, ..] => true,
        [0x16, 3, 0..=4, high, _, 0..=2, ..] => *high <= 0x40,
        _ => false,
    }
}

/// The first packet of `MySQL` and its kin: the handshake of version 10 with the server's version,
/// or an error in text (`HandshakeV10` and `ERR_Packet` of its reference).
fn is_mysql(bytes: &[u8]) -> bool {
    let text_follows = |bytes: &[u8]| {
        let text = &bytes[..bytes.len().min(3)];
        text.len() == 3 && text.iter().all(u8::is_ascii_graphic)
    };
    match bytes {
        [_, _, 0, 0, 10, version @ ..] => text_follows(version) && version[0].is_ascii_digit(),
        [_, _, 0, 0, 0xff, _, _, message @ ..] => text_follows(message),
        _ => false,
    }
}

/// An error: `E`, its length, and its severity as the first field.
fn is_postgresql(bytes: &[u8]) -> bool {
    matches!(bytes, [b'E', 0, 0, _, _, b'S', ..])
}

fn is_redis(bytes: &[u8]) -> bool {
    bytes.starts_with(b"-DENIED Redis")
        || starts_with_any(bytes, &["-NOAUTH ", "-ERR unknown command", "-ERR wrong number"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_by_their_first_bytes() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "http"),
            (b"<!DOCTYPE HTML PUBLIC", "http"),
            (b"<html><head>", "http"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "tls"),
            (b"\x16\x03\x03\x00\x4a\x02\x00", "tls"),
            (b"RFB 003.008\n", "vnc"),
            (b"\x4a\0\0\0\x0a5.5.62-log\0\x2b\0\0\0", "mysql"),
            (b"\x45\0\0\0\xff\x6a\x04Host '10.0.0.1' is not allowed", "mysql"),
            (b"E\0\0\0\x8cSFATAL\0", "postgresql"),
            (b"* OK [CAPABILITY IMAP4rev1] ready.\r\n", "imap"),
            (b"+OK Dovecot ready.\r\n", "pop3"),
            (b"-DENIED Redis is running in protected mode", "redis"),
            (b"220 mail.example ESMTP Postfix\r\n", "smtp"),
            (b"220-mail.example Microsoft ESMTP MAIL Service\r\n", "smtp"),
            (b"220 (vsFTPd 3.0.3)\r\n", "ftp"),
            (b"220-FileZilla Server 1.7\r\n", "ftp"),
            (b"200 news.example InterNetNews NNRP server ready\r\n", "nntp"),
            (b":irc.example NOTICE * :*** Looking up your hostname\r\n", "irc"),
            (b"@RSYNCD: 31.0\n", "rsync"),
            (b"AMQP\0\0\x09\x01", "amqp"),
            (b"\r\nRTSP/1.0 400 Bad Request\r\n", "rtsp"),
            (&[0xff; 19], "bgp"),
        ] {
            assert_eq!(name(bytes), Some(expected), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_only_looks_alike_has_no_name() {
        for bytes in [
            &b""[..],
            b"220",
            b"220 login: ok\r\n",
            b"Welcome to ftp.example\r\n",
            b"hello",
            b"\x16\x03\x03",
            b"\x4a\0\0\0\x0a\0\0\0",
            b"2200 smtp",
        ] {
            assert_eq!(name(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
