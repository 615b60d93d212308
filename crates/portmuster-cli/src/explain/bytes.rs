//! A conversation's bytes, for a terminal.

use std::fmt::Write;

use portmuster::sink::escape;

/// Bytes in a row of a dump.
const ROW: usize = 16;
/// Rows of a dump that are shown; what is in the lists of an offer is told apart.
const ROWS_MAX: usize = 8;

/// The bytes as lines: those of a text, then a dump of what is none.
pub(super) fn lines(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let (line, rest) = bytes.split_at(end);
        if !is_mostly_text(line) {
            lines.extend(dump(bytes));
            break;
        }
        lines.push(escape(line));
        bytes = rest;
    }
    lines
}

/// Whether it has no NUL, and no more than one byte in four that is not text.
fn is_mostly_text(line: &[u8]) -> bool {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let others = line.iter().filter(|byte| !is_text(byte)).count();
    others * 4 <= line.len() && !line.contains(&0)
}

fn dump(bytes: &[u8]) -> Vec<String> {
    let mut lines: Vec<_> = bytes
        .chunks(ROW)
        .take(ROWS_MAX)
        .enumerate()
        .map(|(row, bytes)| dump_row(row * ROW, bytes))
        .collect();
    if let Some(more) = bytes.len().checked_sub(ROW * ROWS_MAX + 1) {
        lines.push(format!("and {} bytes more", more + 1));
    }
    lines
}

fn dump_row(offset: usize, bytes: &[u8]) -> String {
    let mut numbers = String::new();
    let mut letters = String::new();
    for &byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(numbers, "{byte:02x} ");
        let is_shown = byte.is_ascii_graphic() || byte == b' ';
        letters.push(if is_shown { byte.into() } else { '.' });
    }
    format!("{offset:04x}  {numbers:<48} {letters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_spelled_line_by_line() {
        assert_eq!(lines(b"one\r\ntwo\x1b[2J login: "), ["one\\r\\n", "two\\x1b[2J login: "]);
    }

    #[test]
    fn other_bytes_are_dumped_with_an_end() {
        assert_eq!(
            lines(b"\xff\xfd\x18\xff\xfb\x01a"),
            ["0000  ff fd 18 ff fb 01 61                             ......a"]
        );
        let long = lines(&[0; 200]);
        assert_eq!(long.len(), ROWS_MAX + 1);
        assert_eq!(long.last().map(String::as_str), Some("and 72 bytes more"));
        assert_eq!(lines(&[0; 128]).len(), ROWS_MAX);
    }

    #[test]
    fn a_packet_behind_a_line_is_dumped() {
        let told = lines(b"SSH-2.0-x\r\n\0\0\x04\xfcsntrup761x25519-sha512");
        assert_eq!(told[0], "SSH-2.0-x\\r\\n");
        assert!(told[1].starts_with("0000  00 00 04 fc 73 6e"), "{told:?}");
    }
}
