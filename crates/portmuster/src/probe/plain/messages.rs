//! The lengths of the messages of binary protocols.
//!
//! A message may contain any bytes, so the telnet commands and the words in it say nothing. Those after the
//! messages do.

/// Returns how many of the first bytes of a connection are complete messages of a protocol, of `received` in
/// all, of which `bytes` are the first.
///
/// `is_message` returns whether bytes start like a message of the protocol. It is needed because most bytes, also
/// those of a prompt, can be read as the length of a message.
///
/// 0: the first message is incomplete, or the messages of the protocol do not say how long they are.
pub(super) fn length(
    name: &str,
    bytes: &[u8],
    received: usize,
    is_message: impl Fn(&[u8]) -> bool,
) -> usize {
    let mut end = 0;
    while let Some(rest) = bytes.get(end..)
        && is_message(rest)
        && let Some(length) = message_length(name, rest)
        && length > 0
        && length <= received - end
    {
        end += length;
    }
    end
}

/// Returns the length that a message announces, in bytes; `None` if it announces none.
fn message_length(name: &str, bytes: &[u8]) -> Option<usize> {
    // The length of what follows the header, or of what follows the length, is added to the second number.
    let (content, header) = match name {
        "adb" => (little_endian(bytes, 12, 4)?, 24),
        "bgp" => (big_endian(bytes, 16, 2)?, 0),
        "cassandra" if bytes.first()? & 0x7f < 3 => (big_endian(bytes, 4, 4)?, 8),
        "cassandra" => (big_endian(bytes, 5, 4)?, 9),
        "dce-rpc" if bytes.get(4)? & 0x10 != 0 => (little_endian(bytes, 8, 2)?, 0),
        "dce-rpc" => (big_endian(bytes, 8, 2)?, 0),
        "dns" => (big_endian(bytes, 0, 2)?, 2),
        "gearman" => (big_endian(bytes, 8, 4)?, 12),
        "kerberos" => (big_endian(bytes, 0, 4)?, 4),
        "ldap" => ber_length(bytes)?,
        "mongodb" => (little_endian(bytes, 0, 4)?, 0),
        "mqtt" => (usize::from(*bytes.get(1)?), 2),
        "mssql" | "rdp" => (big_endian(bytes, 2, 2)?, 0),
        "mysql" => (little_endian(bytes, 0, 3)?, 4),
        "mysqlx" => (little_endian(bytes, 0, 4)?, 4),
        "netbios-session" => (big_endian(bytes, 2, 2)?, 4),
        "opc-ua" => (little_endian(bytes, 4, 4)?, 0),
        "oracle-tns" | "pptp" => (big_endian(bytes, 0, 2)?, 0),
        "postgresql" => (big_endian(bytes, 1, 4)?, 1),
        "smb" => (big_endian(bytes, 1, 3)?, 4),
        "socks4" => (8, 0),
        "socks5" => (2, 0),
        "spice" => (little_endian(bytes, 12, 4)?, 16),
        "tls" if matches!(bytes, [0x14..=0x17, 3, ..]) => (big_endian(bytes, 3, 2)?, 5),
        "x11" if bytes.get(2) == Some(&11) => (4 * little_endian(bytes, 6, 2)?, 8),
        "x11" => (4 * big_endian(bytes, 6, 2)?, 8),
        "zabbix" => (little_endian(bytes, 5, 4)?, 13),
        _ => return None,
    };
    Some(content + header)
}

fn big_endian(bytes: &[u8], start: usize, count: usize) -> Option<usize> {
    let number = bytes.get(start..start + count)?;
    Some(number.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
}

fn little_endian(bytes: &[u8], start: usize, count: usize) -> Option<usize> {
    let number = bytes.get(start..start + count)?;
    Some(number.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
}

/// Returns the length of the content and of the header of an element (X.690 §8.1.3).
fn ber_length(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        short @ 0..=0x7f => Some((usize::from(short), 2)),
        long @ 0x81..=0x84 => {
            let octets = usize::from(long & 0x7f);
            Some((big_endian(bytes, 2, octets)?, 2 + octets))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_messages_are_counted() {
        for (name, bytes, expected) in [
            ("tls", &b"\x15\x03\x01\0\x02\x02\x46"[..], 7),
            ("tls", b"\x15\x03\x01\0\x02\x02\x46\x15\x03\x01\0\x02\x01\0more", 14),
            ("tls", b"\x15\x03\x01\0\x03\x02\x46", 0),
            ("tls", b"\x15\x03\x01\0", 0),
            ("mysql", b"\x05\0\0\0\xff\x6a\x04x!\xff\xfb\x01", 9),
            ("x11", b"\0\x16\x0b\0\0\0\x01\0No p", 12),
            ("x11", b"\0\x16\0\x0b\0\0\0\x01No plogin: ", 12),
            ("ldap", b"0\x0c\x02\x01\x01a\x07\x0a\x01\0\x04\0\x04\0login: ", 14),
            ("ldap", b"0\x84\0\0\0\x05\x02\x01\0x\x84", 11),
            ("ldap", b"0\x85\0\0\0\0\x01", 0),
            ("socks5", b"\x05\xff", 2),
            ("zabbix", b"ZBXD\x01\x02\0\0\0\0\0\0\0ok?", 15),
            ("bgp", &[&[0xff; 16][..], b"\0\x15\x03\x06\x05login: "].concat(), 21),
            ("ftp", b"220 login: ", 0),
            ("mysql", b"", 0),
        ] {
            assert_eq!(
                length(name, bytes, bytes.len(), |rest| !rest.starts_with(b"l")),
                expected,
                "{name} {}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn message_that_ends_after_the_stored_bytes_is_complete() {
        let bytes = [&b"\x16\x03\x03\x40\0"[..], &[0; 1000]].concat();
        assert_eq!(length("tls", &bytes, 0x4005, |_| true), 0x4005);
        assert_eq!(length("tls", &bytes, 0x4004, |_| true), 0);
    }
}
