//! Patterns of binary protocols, and of protocols that start with fixed bytes.

use super::patterns::{Pattern, starts_with_any};

/// Names and patterns of protocols. The patterns apply to all bytes, because leading white space may
/// be a length.
pub(super) const PROTOCOLS: [(&str, Pattern); 39] = [
    ("adb", |bytes| bytes.starts_with(b"CNXN\0") || bytes.starts_with(b"AUTH\x01\0\0\0")),
    ("amqp", |bytes| matches!(bytes, [b'A', b'M', b'Q', b'P', 0..=3, 0..=9, ..])),
    ("bgp", is_bgp),
    ("bittorrent", |bytes| bytes.starts_with(b"\x13BitTorrent protocol")),
    ("cassandra", is_cassandra),
    ("dce-rpc", |bytes| matches!(bytes, [5, 0 | 1, 2..=19, _, 0x10 | 0, 0, 0, 0, ..])),
    ("dns", is_dns),
    ("gearman", |bytes| bytes.starts_with(b"\0RES\0\0\0")),
    ("java-serialization", |bytes| bytes.starts_with(b"\xac\xed\x00\x05")),
    ("jdwp", |bytes| bytes == b"JDWP-Handshake"),
    ("kerberos", is_kerberos),
    ("ldap", is_ldap),
    ("mongodb", is_mongodb),
    ("mqtt", |bytes| matches!(bytes, [0x20, 2, 0 | 1, 0..=5])),
    ("mssql", is_mssql),
    ("mysql", is_mysql),
    ("mysqlx", |bytes| bytes.starts_with(b"\x05\0\0\0\x0b\x08\x05\x1a\0")),
    ("nbd", |bytes| bytes.starts_with(b"NBDMAGIC")),
    ("netbios-session", |bytes| matches!(bytes, [0x83, 0, 0, 1, 0x80..=0x8f])),
    ("opc-ua", |bytes| bytes.starts_with(b"ERRF") && bytes.get(6..8) == Some(&[0, 0])),
    ("oracle-tns", is_oracle_tns),
    ("postgresql", is_postgresql),
    ("pptp", |bytes| matches!(bytes, [0, _, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, ..])),
    ("rdp", |bytes| matches!(bytes, [3, 0, 0, _, _, 0xd0, 0, 0, ..])),
    ("rexec", |bytes| is_refusal_of(bytes, &["rexecd: "])),
    ("rlogin", |bytes| is_refusal_of(bytes, &["rlogind: ", "in.rlogind: "])),
    ("routeros-api", |bytes| bytes.starts_with(b"\x06!fatal")),
    ("rsh", |bytes| {
        is_refusal_of(bytes, &["Permission denied", "rshd: ", "in.rshd: ", "remshd: "])
    }),
    ("smb", |bytes| matches!(bytes, [0, 0, _, _, 0xfe | 0xff, b'S', b'M', b'B', ..])),
    ("socks4", |bytes| matches!(bytes, [0, 0x5a..=0x5d, _, _, _, _, _, _])),
    ("socks5", |bytes| matches!(bytes, [5, 0 | 2 | 0xff])),
    ("spice", |bytes| bytes.starts_with(b"REDQ\x02\0\0\0")),
    ("teamspeak", |bytes| bytes.starts_with(b"TS3\n")),
    ("tls", is_tls),
    ("vnc", is_vnc),
    ("x11", is_x11),
    ("zabbix", |bytes| bytes.starts_with(b"ZBXD\x01")),
    ("zmtp", |bytes| matches!(bytes, [0xff, 0, 0, 0, 0, 0, 0, 0, 0 | 1, 0x7f, ..])),
    ("zookeeper", |bytes| bytes.starts_with(b"This ZooKeeper instance is not currently serving")),
];

fn big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte))
}

/// Returns whether all bytes are printable ASCII or beyond ASCII.
fn is_printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | 0x80..))
}

/// Matches a marker, a length and a type (RFC 4271 §4.1).
fn is_bgp(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff; 16])
        && matches!(bytes[16..], [high, low, 1..=4, ..] if (19..=4096).contains(&big_endian(&[high, low])))
}

/// Matches an error of versions 1 to 5 of the native protocol: version, flags, stream, operation 0 and
/// a length.
fn is_cassandra(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x81 | 0x82, 0, _, 0, 0, 0, _, _, 0, 0, ..]
            | [0x83..=0x85, 0..=0x10, _, _, 0, 0, 0, _, _, 0, 0, ..]
    )
}

/// Matches a single response of the announced length (RFC 1035 §4.1.1 and §4.2.2).
fn is_dns(bytes: &[u8]) -> bool {
    let Some((length, message)) = bytes.split_first_chunk::<2>() else { return false };
    message.len() >= 12
        && big_endian(length) == message.len()
        && message[2] & 0xf8 == 0x80
        && message[4..6] <= [0, 1][..]
}

/// Matches an error: a length, and application tag 30 around a sequence (RFC 4120 §5.9.1 and §7.2.2).
fn is_kerberos(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0, 0, _, _, 0x7e, 0..=0x7f, 0x30, ..]
            | [0, 0, _, _, 0x7e, 0x81, _, 0x30, ..]
            | [0, 0, _, _, 0x7e, 0x82, _, _, 0x30, ..]
    )
}

/// Matches a message from a server: a sequence, a message id, and the tag of a response (RFC 4511
/// §4.1.1).
fn is_ldap(bytes: &[u8]) -> bool {
    let content = match bytes {
        [0x30, length @ 0..=0x7f, content @ ..] if *length >= 5 => content,
        [0x30, 0x81, _, content @ ..]
        | [0x30, 0x82, _, _, content @ ..]
        | [0x30, 0x84, 0, 0, _, _, content @ ..] => content,
        _ => return false,
    };
    let [2, size @ 1..=4, rest @ ..] = content else { return false };
    let tag = rest.get(usize::from(*size));
    matches!(tag, Some(0x61 | 0x64 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x73 | 0x78 | 0x79))
}

/// Matches a reply of the announced length: little-endian length, two ids, and operation 1 or 2013.
fn is_mongodb(bytes: &[u8]) -> bool {
    let operation = bytes.get(12..16);
    matches!(operation, Some([1, 0, 0, 0] | [0xdd, 7, 0, 0]))
        && matches!(bytes, [low, high, 0, 0, ..] if big_endian(&[*high, *low]) == bytes.len())
}

/// Matches a single tabular result of the announced length that starts with an error, a notice or the
/// response to a prelogin ([MS-TDS] §2.2.3.1).
fn is_mssql(bytes: &[u8]) -> bool {
    matches!(bytes, [4, 1, high, low, _, _, _, 0, 0 | 0xaa | 0xab, ..]
        if big_endian(&[*high, *low]) == bytes.len())
}

/// Matches the first packet of `MySQL` and its forks: the handshake of version 9 or 10 with the version
/// of the server, or an error with text (`HandshakeV10` and `ERR_Packet` of the reference).
fn is_mysql(bytes: &[u8]) -> bool {
    match bytes {
        [_, 0 | 1, 0, 0, 9 | 10, version @ ..] => {
            let start = &version[..version.len().min(3)];
            start.len() == 3 && start[0].is_ascii_digit() && start.iter().all(u8::is_ascii_graphic)
        }
        [low, high @ 0..=2, 0, 0, 0xff, code_low, code_high, message @ ..] => {
            let length = big_endian(&[*high, *low]);
            let code = big_endian(&[*code_high, *code_low]);
            (1000..5000).contains(&code)
                && (3..=length.saturating_sub(3)).contains(&message.len())
                && is_printable(message)
        }
        _ => false,
    }
}

/// Matches a refusal, a redirection or a request to resend: length, checksum, type, and content.
fn is_oracle_tns(bytes: &[u8]) -> bool {
    matches!(bytes, [high, low, 0, 0, 2 | 4 | 5 | 11, 0, 0, 0, ..]
        if big_endian(&[*high, *low]) >= bytes.len())
}

/// Matches an error: `E`, a length, and the severity as the first field; in protocol version 2, `E`
/// and text.
fn is_postgresql(bytes: &[u8]) -> bool {
    matches!(bytes, [b'E', 0, 0, _, _, b'S', ..])
        || starts_with_any(bytes, &["EFATAL:  ", "EERROR:  "])
}

/// Matches a refusal of the r-commands: a byte that is not 0, and one of the texts (rcmd(3)).
fn is_refusal_of(bytes: &[u8], words: &[&str]) -> bool {
    bytes.strip_prefix(b"\x01").is_some_and(|text| starts_with_any(text, words))
}

/// Matches an alert or a handshake of SSL 3.0 to TLS 1.3 (RFC 8446 §5.1).
fn is_tls(bytes: &[u8]) -> bool {
    match bytes {
        [0x15, 3, 0..=4, 0, 2, 1 | 2, ..] => true,
        [0x16, 3, 0..=4, high, _, 0..=2, ..] => *high <= 0x40,
        _ => false,
    }
}

/// Matches a protocol version (RFC 6143 §7.1.1).
fn is_vnc(bytes: &[u8]) -> bool {
    let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    bytes.strip_prefix(b"RFB ").and_then(|version| version.first_chunk::<8>()).is_some_and(
        |version| is_number(&version[..3]) && version[3] == b'.' && is_number(&version[4..7]),
    )
}

/// Matches a refusal or an acceptance with protocol version 11.0 in either byte order.
fn is_x11(bytes: &[u8]) -> bool {
    matches!(bytes, [0..=2, _, 11, 0, 0, 0, _, _, ..] | [0..=2, _, 0, 11, 0, 0, _, _, ..])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::name, *};

    #[test]
    fn each_protocol_is_recognised_by_its_first_bytes() {
        let mut named = BTreeSet::new();
        for (bytes, expected) in [
            (&b"CNXN\0\0\0\x01\0\0\x10\0"[..], "adb"),
            (b"AMQP\0\0\x09\x01", "amqp"),
            (b"AMQP\x03\x01\0\0", "amqp"),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x15\x03\x06\x05",
                "bgp",
            ),
            (b"\x13BitTorrent protocol\0\0", "bittorrent"),
            (b"\x84\0\0\0\0\0\0\0\x5e\0\0\0\x0a\0\x58Invalid", "cassandra"),
            (b"\x81\0\0\0\0\0\0\x2a\0\0\0\x0a\0\x24Invalid", "cassandra"),
            (b"\x05\0\x0d\x03\x10\0\0\0\x18\0\0\0", "dce-rpc"),
            (b"\0\x0c\x0d\x0a\x80\x01\0\0\0\0\0\0\0\0", "dns"),
            (b"\0RES\0\0\0\x13\0\0\0\0", "gearman"),
            (b"\xac\xed\x00\x05sr", "java-serialization"),
            (b"JDWP-Handshake", "jdwp"),
            (b"\0\0\0\x5b\x7e\x59\x30\x57\xa0\x03", "kerberos"),
            (b"\0\0\0\x8b\x7e\x81\x88\x30\x81\x85", "kerberos"),
            (b"0\x0c\x02\x01\x01a\x07\x0a\x01\0\x04\0\x04\0", "ldap"),
            (b"0\x84\0\0\0\x5d\x02\x01\0x\x84\0\0\0\x54\x0a\x01\x02", "ldap"),
            (b"0\x30\x02\x01\0\x78\x2b\x0a\x01\x02", "ldap"),
            (b"\x14\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", "mongodb"),
            (b"\x20\x02\0\x01", "mqtt"),
            (b"\x04\x01\0\x0c\0\0\x01\0\xaa\x01\0\0", "mssql"),
            (b"\x4a\0\0\0\x0a5.5.62-log\0\x2b\0\0\0", "mysql"),
            (b"\x20\0\0\0\xff\x6a\x04(proxy) all backends are down", "mysql"),
            (b"\x45\0\0\0\xff\x6a\x04Host '10.0.0.1' is not allowed", "mysql"),
            (b"\x0f\0\0\0\xff\x6a\x04\xc3\x9c\xce\x9f\xd0\xa5text..", "mysql"),
            (b"\x05\0\0\0\x0b\x08\x05\x1a\0", "mysqlx"),
            (b"NBDMAGICIHAVEOPT\0\x03", "nbd"),
            (b"\x83\0\0\x01\x8f", "netbios-session"),
            (b"ERRF\x10\0\0\0\0\0\x7e\x80", "opc-ua"),
            (b"\0\x0c\0\0\x04\0\0\0\"\0\0\0", "oracle-tns"),
            (b"E\0\0\0\x8cSFATAL\0", "postgresql"),
            (b"EFATAL:  invalid length of startup packet\n\0", "postgresql"),
            (b"\0\x9c\0\x01\x1a\x2b\x3c\x4d\0\x02", "pptp"),
            (b"\x03\0\0\x0b\x06\xd0\0\0\x12\x34\0", "rdp"),
            (b"\x01rexecd: Login incorrect.\n", "rexec"),
            (b"\x01rlogind: Permission denied.\r\n", "rlogin"),
            (b"\x06!fatal\x0dnot logged in\0", "routeros-api"),
            (b"\x01Permission denied.\n", "rsh"),
            (b"\0\0\0\x55\xffSMBr", "smb"),
            (b"\0\x5b\0\0\0\0\0\0", "socks4"),
            (b"\x05\xff", "socks5"),
            (b"REDQ\x02\0\0\0\x02\0\0\0", "spice"),
            (b"TS3\n\rWelcome", "teamspeak"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "tls"),
            (b"\x16\x03\x03\x00\x4a\x02\x00", "tls"),
            (b"RFB 003.008\n", "vnc"),
            (b"\0\x16\x0b\0\0\0\x06\0No protocol specified\n", "x11"),
            (b"\x01\0\0\x0b\0\0\0\x2c", "x11"),
            (b"ZBXD\x01\0", "zabbix"),
            (b"\xff\0\0\0\0\0\0\0\0\x7f", "zmtp"),
            (b"This ZooKeeper instance is not currently serving requests\n", "zookeeper"),
        ] {
            assert_eq!(name(bytes), Some(expected), "{}", bytes.escape_ascii());
            named.insert(expected);
        }
        assert_eq!(named, PROTOCOLS.iter().map(|&(name, _)| name).collect(), "one of each");
    }

    #[test]
    fn similar_bytes_have_no_name() {
        for bytes in [
            &b"\x16\x03\x03"[..],
            b"\x4a\0\0\0\x0a\0\0\0",
            b"\x0a\0\0\0\xff\xfd\x18a text that is longer than that",
            b"0 items\r\n",
            b"0\x0c\x02\x01\x01`\x07\x02",
            b"\0\x0c\x0d\x0a\x80\x01\0\0\0\0\0\0\0\0more",
            b"\x05\0more",
            &[0xff; 32],
        ] {
            assert_eq!(name(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
