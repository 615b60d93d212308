//! Patterns of text protocols.

use super::patterns::{Pattern, first_line, has_word, starts_with_any};

/// Names and patterns of protocols; the first match counts. The patterns apply to the text without
/// leading white space.
pub(super) const PROTOCOLS: [(&str, Pattern); 35] = [
    ("http", is_http),
    ("shoutcast", |text| text.starts_with(b"ICY ") && is_status(&text[4..])),
    ("rtsp", |text| text.starts_with(b"RTSP/1.") || text.starts_with(b"RTSP/2.")),
    ("sip", |text| text.starts_with(b"SIP/2.0 ")),
    ("acap", |text| text.starts_with(b"* ACAP (IMPLEMENTATION ")),
    ("imap", is_imap),
    ("nats", |text| starts_with_any(text, &["INFO {\"", "-ERR 'Unknown Protocol Operation'"])),
    ("redis", is_redis),
    ("pop3", is_pop3),
    ("irc", is_irc),
    ("rsync", |text| text.starts_with(b"@RSYNCD: ")),
    ("svn", |text| text.starts_with(b"( success ( ")),
    ("managesieve", |text| text.starts_with(b"\"IMPLEMENTATION\" ")),
    ("xmpp", is_xmpp),
    ("pjl", |text| text.starts_with(b"@PJL ")),
    ("pjlink", |text| starts_with_any(text, &["PJLINK 0\r", "PJLINK 1 ", "PJLINK ERRA\r"])),
    ("asterisk-manager", |text| text.starts_with(b"Asterisk Call Manager/")),
    ("openvpn-management", |text| text.starts_with(b">INFO:OpenVPN Management Interface ")),
    ("freeswitch", |text| text.starts_with(b"Content-Type: auth/request")),
    ("gearman", |text| text.starts_with(b"ERR UNKNOWN_COMMAND Unknown+server+command")),
    ("nut", |text| starts_with_any(text, &["ERR UNKNOWN-COMMAND\n", "ERR INVALID-ARGUMENT\n"])),
    ("stomp", is_stomp),
    ("mpd", |text| text.starts_with(b"OK MPD 0.")),
    ("munin", |text| text.starts_with(b"# munin node at ")),
    ("check-mk", |text| text.starts_with(b"<<<check_mk>>>")),
    ("ganglia", |text| text.starts_with(b"<?xml") && has_word(text, "<!DOCTYPE GANGLIA_XML")),
    ("gpsd", |text| text.starts_with(b"{\"class\":\"VERSION\",")),
    ("spamd", |text| text.starts_with(b"SPAMD/1.")),
    ("dovecot-auth", |text| text.starts_with(b"VERSION\t1\t")),
    ("cvs", |text| text.starts_with(b"cvs [pserver aborted]: bad auth protocol start")),
    ("git", is_git),
    ("gopher", is_gopher),
    ("ident", is_ident),
    ("tarantool", |text| text.starts_with(b"Tarantool ") && has_word(text, " (Binary) ")),
    ("ceph", |text| starts_with_any(text, &["ceph v0", "ceph v2\n"])),
];

/// Returns whether the text is a status of HTTP or a similar protocol: three digits, and optionally a
/// reason.
fn is_status(text: &[u8]) -> bool {
    matches!(text, [b'1'..=b'5', second, third, rest @ ..]
        if second.is_ascii_digit() && third.is_ascii_digit()
            && matches!(rest, [] | [b' ' | b'\r' | b'\n', ..]))
}

/// Matches a status line; one without a version, which some printers send, also after bytes of their
/// own; or a page without a status line.
fn is_http(text: &[u8]) -> bool {
    const PAGES: [&[u8]; 5] = [b"<!doctype html", b"<html", b"<head", b"<title", b"<body"];
    const FIELDS: [&str; 6] =
        ["Content-Type: ", "Content-Length: ", "Server: ", "Date: ", "Connection: ", "Location: "];

    let text = text.strip_prefix(b"\xff\xf0 ").unwrap_or(text);
    let is_page = |start: &&[u8]| {
        let (page, rest) = text.split_at_checked(start.len()).unwrap_or_default();
        page.eq_ignore_ascii_case(start) && matches!(rest, [] | [b'>' | b' ' | b'\r' | b'\n', ..])
    };
    let has_field = || {
        let line = first_line(text).map_or(0, <[u8]>::len);
        let fields = text[line..].trim_ascii_start();
        is_status(text) && line > 0 && starts_with_any(fields, &FIELDS)
    };
    matches!(text, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', ..])
        || text.strip_prefix(b"HTTP ").is_some_and(is_status)
        || PAGES.iter().any(is_page)
        || has_field()
}

/// Returns whether every line starts with one of these texts. The last line may be cut off.
fn is_lines_of(text: &[u8], starts: &[&str]) -> bool {
    let (whole, last) =
        text.split_at(text.iter().rposition(|&it| it == b'\n').map_or(0, |it| it + 1));
    let mut whole = whole.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_start);
    whole.all(|line| line.is_empty() || starts_with_any(line, starts))
        && (starts_with_any(last, starts)
            || starts.iter().any(|start| start.as_bytes().starts_with(last)))
}

/// Matches untagged responses (RFC 3501 §7.1).
fn is_imap(text: &[u8]) -> bool {
    starts_with_any(text, &["* OK ", "* PREAUTH ", "* BYE "])
        && is_lines_of(text, &["* OK ", "* PREAUTH ", "* BYE ", "* BAD ", "* NO ", "* CAPABILITY "])
}

/// Matches a status indicator (RFC 1939 §3), and the response to an empty line after it.
fn is_pop3(text: &[u8]) -> bool {
    const INDICATORS: [&str; 4] = ["+OK ", "+OK\r\n", "-ERR ", "-ERR\r\n"];

    starts_with_any(text, &INDICATORS) && is_lines_of(text, &INDICATORS)
}

fn is_redis(text: &[u8]) -> bool {
    starts_with_any(
        text,
        &[
            "-DENIED Redis",
            "-NOAUTH ",
            "-LOADING ",
            "-MISCONF ",
            "-NOPERM ",
            "-ERR unknown command",
            "-ERR wrong number",
            "-ERR Protocol error",
            "-ERR max number of clients",
        ],
    )
}

/// Matches a message of a server: source, command or number, recipient, and text (RFC 2812 §2.3.1).
/// Some servers omit the source during the connection setup.
fn is_irc(text: &[u8]) -> bool {
    let Some(line) = first_line(text) else { return false };
    let mut words = line.split(|&byte| byte == b' ').peekable();
    let source = words.next_if(|word| matches!(word, [b':', it, ..] if it.is_ascii_alphanumeric()));
    let is_number = |word: &[u8]| word.len() == 3 && word.iter().all(u8::is_ascii_digit);
    let command = words.next().unwrap_or_default();
    let first = words.next().unwrap_or_default();
    match command {
        b"ERROR" => first.starts_with(b":Closing") || first.starts_with(b":Trying"),
        b"NOTICE" => {
            (source.is_some() || matches!(first, b"AUTH" | b"*"))
                && words.next().is_some_and(|word| word.starts_with(b":"))
        }
        number => source.is_some() && is_number(number) && !first.is_empty(),
    }
}

fn is_xmpp(text: &[u8]) -> bool {
    starts_with_any(text, &["<stream:stream", "<stream:error"])
        || text.starts_with(b"<?xml") && has_word(text, "<stream:")
}

/// Matches an error frame: its command and headers.
fn is_stomp(text: &[u8]) -> bool {
    let headers = text.strip_prefix(b"ERROR\n").unwrap_or_default();
    starts_with_any(headers, &["message:", "content-type:", "version:", "content-length:"])
}

/// Matches a line after its length in four hexadecimal digits: an error, the version, or the first
/// reference (gitprotocol-common(5)).
fn is_git(text: &[u8]) -> bool {
    let Some((length, line)) = text.split_first_chunk::<4>() else { return false };
    let is_hexadecimal =
        |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_reference =
        || line.get(..41).is_some_and(|it| is_hexadecimal(&it[..40]) && it[40] == b' ');
    is_hexadecimal(length) && (starts_with_any(line, &["ERR ", "version "]) || is_reference())
}

/// Matches an error or an informational line: a text, and three fields, the last of which is a port
/// (RFC 1436 §3.8).
fn is_gopher(text: &[u8]) -> bool {
    let Some([b'3' | b'i', line @ ..]) = first_line(text) else { return false };
    let fields: Vec<_> = line.split(|&byte| byte == b'\t').take(5).collect();
    matches!(fields[..], [_, _, host, port] if !host.is_empty() && !port.is_empty()
        && port.iter().all(u8::is_ascii_digit))
}

/// Matches two ports and an error (RFC 1413 §4).
fn is_ident(text: &[u8]) -> bool {
    let Some(line) = first_line(text) else { return false };
    let mut fields = line.split(|&byte| byte == b':').map(<[u8]>::trim_ascii);
    let ports = fields.next().unwrap_or_default();
    let are_ports = ports.iter().all(|byte| matches!(byte, b'0'..=b'9' | b',' | b' '));
    are_ports
        && ports.contains(&b',')
        && fields.next() == Some(b"ERROR")
        && matches!(
            fields.next(),
            Some(b"INVALID-PORT" | b"NO-USER" | b"HIDDEN-USER" | b"UNKNOWN-ERROR")
        )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::name, *};

    #[test]
    fn each_protocol_is_recognised_by_its_first_line() {
        let mut named = BTreeSet::new();
        for (text, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "http"),
            (b"HTTP/0.9 200 OK\r\n", "http"),
            (b"HTTP 400 Bad Request\r\n", "http"),
            (b"400 Bad Request\r\nContent-Type: text/html\r\n", "http"),
            (b"\xff\xf0 400 Bad Request\r\nContent-Type: text/html\r\n", "http"),
            (b"<!DOCTYPE HTML PUBLIC", "http"),
            (b"<html><head>", "http"),
            (b"<TITLE>Error</TITLE>", "http"),
            (b"ICY 200 OK\r\n", "shoutcast"),
            (b"\r\nRTSP/1.0 400 Bad Request\r\n", "rtsp"),
            (b"SIP/2.0 400 Bad Request\r\n", "sip"),
            (b"* ACAP (IMPLEMENTATION \"x\")\r\n", "acap"),
            (b"* OK [CAPABILITY IMAP4rev1] ready.\r\n", "imap"),
            (b"* BYE too many connections\r\n", "imap"),
            (b"* OK ready\r\n* BAD invalid tag\r\n", "imap"),
            (b"INFO {\"server_id\":\"x\"}\r\n", "nats"),
            (b"-DENIED Redis is running in protected mode", "redis"),
            (b"-NOAUTH Authentication required.\r\n", "redis"),
            (b"+OK Dovecot ready.\r\n", "pop3"),
            (b"-ERR too many connections\r\n", "pop3"),
            (b":irc.example NOTICE * :*** Looking up your hostname\r\n", "irc"),
            (b"NOTICE AUTH :*** Checking Ident\r\n", "irc"),
            (b":irc.example 001 x :Welcome\r\n", "irc"),
            (b"ERROR :Closing Link: 192.0.2.1 (no)\r\n", "irc"),
            (b"@RSYNCD: 31.0\n", "rsync"),
            (b"( success ( 2 2 ( ) ( edit-pipeline ) ) ) ", "svn"),
            (b"\"IMPLEMENTATION\" \"Dovecot\"\r\n", "managesieve"),
            (b"<?xml version='1.0'?><stream:stream xmlns", "xmpp"),
            (b"<stream:error>", "xmpp"),
            (b"@PJL INFO ID\r\n\"x\"\r\n", "pjl"),
            (b"PJLINK 0\r", "pjlink"),
            (b"Asterisk Call Manager/5.0.1\r\n", "asterisk-manager"),
            (b">INFO:OpenVPN Management Interface Version 3 -- type", "openvpn-management"),
            (b"Content-Type: auth/request\n\n", "freeswitch"),
            (b"ERR UNKNOWN_COMMAND Unknown+server+command\r\n", "gearman"),
            (b"ERR UNKNOWN-COMMAND\n", "nut"),
            (b"ERROR\nmessage:Bad command\n\n\0", "stomp"),
            (b"OK MPD 0.23.5\n", "mpd"),
            (b"# munin node at host\n", "munin"),
            (b"<<<check_mk>>>\nVersion: 2.1\n", "check-mk"),
            (b"<?xml version=\"1.0\"?>\n<!DOCTYPE GANGLIA_XML [", "ganglia"),
            (b"{\"class\":\"VERSION\",\"release\":\"3.22\"}\r\n", "gpsd"),
            (b"SPAMD/1.0 76 Bad header line\r\n", "spamd"),
            (b"VERSION\t1\t2\nPID\t1\n", "dovecot-auth"),
            (b"cvs [pserver aborted]: bad auth protocol start: \n", "cvs"),
            (b"003aERR no such repository", "git"),
            (b"3'' doesn't exist!\t\terror.host\t1\r\n", "gopher"),
            (b"0 , 0 : ERROR : INVALID-PORT\r\n", "ident"),
            (b"Tarantool 2.10.0 (Binary) 5c5a6b66\n", "tarantool"),
            (b"ceph v2\n\x10\0", "ceph"),
        ] {
            assert_eq!(name(text), Some(expected), "{}", text.escape_ascii());
            named.insert(expected);
        }
        assert_eq!(named, PROTOCOLS.iter().map(|&(name, _)| name).collect(), "one of each");
    }

    #[test]
    fn similar_texts_have_no_name() {
        for text in [
            &b"<htmlx"[..],
            b"400 Bad Request\r\n",
            b"\xff\xf0 400 Bad Request\r\nlogin: ",
            b"+OKAY\r\n",
            b"ERR\r\n",
            b"ERROR :\r\n",
            b": 001 \r\n",
            b"ICY weather\r\n",
            b"Content-Type: text\r\n",
            b"3 users\r\n",
        ] {
            assert_eq!(name(text), None, "{}", text.escape_ascii());
        }
    }
}
