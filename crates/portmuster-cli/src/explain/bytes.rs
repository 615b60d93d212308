//! Formats the bytes of a conversation for a terminal.

use std::fmt::Write;

use portmuster::sink::escape;

/// Number of bytes per line of a hex dump, and on a narrow terminal.
const ROW: usize = 16;
const ROW_NARROW: usize = 8;
/// Maximum number of lines of a hex dump. Algorithm lists are shown elsewhere.
const ROWS_MAX: usize = 8;

/// Formats leading lines of text with escapes. From the first line that is not text, the rest is a hex
/// dump, which fits into so many columns if there are at least 39.
pub(super) fn lines(mut bytes: &[u8], columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let (line, rest) = bytes.split_at(end);
        if !is_mostly_text(line) {
            lines.extend(dump(bytes, columns));
            break;
        }
        lines.push(escape(line));
        bytes = rest;
    }
    lines
}

/// Returns whether the line has no NUL, and at most a quarter of its bytes is no text.
fn is_mostly_text(line: &[u8]) -> bool {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let others = line.iter().filter(|byte| !is_text(byte)).count();
    others * 4 <= line.len() && !line.contains(&0)
}

/// Formats the bytes as a hex dump of limited length.
fn dump(bytes: &[u8], columns: usize) -> Vec<String> {
    let row = if columns < dump_columns(ROW) { ROW_NARROW } else { ROW };
    let mut lines: Vec<_> = bytes
        .chunks(row)
        .take(ROWS_MAX)
        .enumerate()
        .map(|(index, bytes)| dump_row(index * row, bytes, row))
        .collect();
    if let Some(more) = bytes.len().checked_sub(row * ROWS_MAX + 1) {
        lines.push(format!("and {} more bytes", more + 1));
    }
    lines
}

/// Returns the columns of a line with so many bytes: the offset, the numbers and the characters.
fn dump_columns(bytes: usize) -> usize {
    "0000  ".len() + bytes * "00 ".len() + 1 + bytes
}

fn dump_row(offset: usize, bytes: &[u8], row: usize) -> String {
    let mut numbers = String::new();
    let mut letters = String::new();
    for &byte in bytes {
        // Writing to a string never fails.
        let _ = write!(numbers, "{byte:02x} ");
        let is_shown = byte.is_ascii_graphic() || byte == b' ';
        letters.push(if is_shown { byte.into() } else { '.' });
    }
    let columns = row * "00 ".len();
    format!("{offset:04x}  {numbers:<columns$} {letters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_line_by_line() {
        assert_eq!(lines(b"one\r\ntwo\x1b[2J login: ", 80), ["one\\r\\n", "two\\x1b[2J login: "]);
    }

    #[test]
    fn hex_dump_is_limited() {
        assert_eq!(
            lines(b"\xff\xfd\x18\xff\xfb\x01a", 80),
            ["0000  ff fd 18 ff fb 01 61                             ......a"]
        );
        let long = lines(&[0; 200], 80);
        assert_eq!(long.len(), ROWS_MAX + 1);
        assert_eq!(long.last().map(String::as_str), Some("and 72 more bytes"));
        assert_eq!(lines(&[0; 128], 80).len(), ROWS_MAX);
    }

    #[test]
    fn hex_dump_is_narrower_on_a_narrow_terminal() {
        for (columns, widest) in [(80, 71), (71, 71), (70, 39), (39, 39)] {
            let lines = lines(&[b'a', 0, 0].repeat(40), columns);
            assert_eq!(lines.iter().map(String::len).max(), Some(widest), "{columns}");
        }
    }

    #[test]
    fn packet_after_a_line_is_dumped() {
        let lines = lines(b"SSH-2.0-x\r\n\0\0\x04\xfcsntrup761x25519-sha512", 80);
        assert_eq!(lines[0], "SSH-2.0-x\\r\\n");
        assert!(lines[1].starts_with("0000  00 00 04 fc 73 6e"), "{lines:?}");
    }
}
