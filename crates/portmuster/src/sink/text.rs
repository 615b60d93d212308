//! Escapes untrusted bytes, so that they are safe to show on terminals and pages.

use std::fmt::Write;

use crate::characters::is_hidden;

/// Returns whether [`escape`] leaves the text unchanged.
pub(super) fn is_plain(text: &str) -> bool {
    // Most texts are ASCII. Comparing bytes takes a quarter of the time of classifying characters.
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\')
        || !text.contains(|letter| letter == '\\' || is_hidden(letter))
}

/// Converts bytes to one line of visible text. It collapses white space to single spaces, and writes
/// invalid UTF-8 and invisible characters as `\xNN` or `\u{NNNN}`.
#[must_use]
pub fn escape_line(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                ' ' | '\t' | '\r' | '\n' if line.is_empty() || line.ends_with(' ') => {}
                ' ' | '\t' | '\r' | '\n' => line.push(' '),
                '\0'..='\x7f' if is_hidden(letter) => push_byte(&mut line, letter as u8),
                _ if is_hidden(letter) => line.extend(letter.escape_unicode()),
                _ => line.push(letter),
            }
        }
        for &byte in chunk.invalid() {
            push_byte(&mut line, byte);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Converts bytes to one line of visible text without losing information. It writes `\r`, `\n`, `\t`
/// and `\\` as these escapes, and invalid UTF-8 and other invisible characters as `\xNN` or
/// `\u{NNNN}`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\r' | '\n' | '\t' | '\\' => line.extend(letter.escape_default()),
                '\0'..='\x7f' if is_hidden(letter) => push_byte(&mut line, letter as u8),
                _ if is_hidden(letter) => line.extend(letter.escape_unicode()),
                _ => line.push(letter),
            }
        }
        for &byte in chunk.invalid() {
            push_byte(&mut line, byte);
        }
    }
    line
}

/// Reverses [`escape`]. Backslashes that [`escape`] cannot have written stay as they are.
#[cfg(feature = "sqlite")]
pub(crate) fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((plain, sequence)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = push_unescaped(sequence, &mut bytes).unwrap_or_else(|| {
            bytes.push(b'\\');
            sequence
        });
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Pushes the bytes of the escape sequence at the start of the text, which follows a backslash, and
/// returns the rest of the text; `None` if it is not an escape sequence.
#[cfg(feature = "sqlite")]
fn push_unescaped<'a>(sequence: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    if let Some(hex) = sequence.strip_prefix("u{") {
        let (digits, rest) = hex.split_once('}')?;
        let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        return Some(rest);
    }
    if let Some(hex) = sequence.strip_prefix('x') {
        bytes.push(u8::from_str_radix(hex.get(..2)?, 16).ok()?);
        return hex.get(2..);
    }
    let mut letters = sequence.chars();
    bytes.push(match letters.next()? {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '\\' => b'\\',
        _ => return None,
    });
    Some(letters.as_str())
}

fn push_byte(line: &mut String, byte: u8) {
    let _ = write!(line, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_line_collapses_space_and_escapes_hidden_characters() {
        assert_eq!(escape_line(b"\r\nDebian 12\r\n\r\nhost login: "), "Debian 12 host login:");
        assert_eq!(escape_line(b"a\x1b[2J\x07\0\x7f"), "a\\x1b[2J\\x07\\x00\\x7f");
        assert_eq!(escape_line(b"caf\xc3\xa9 \x9b1m \xff"), "café \\x9b1m \\xff");
        assert_eq!(escape_line("a\u{202e}b\u{9b}".as_bytes()), "a\\u{202e}b\\u{9b}");
    }

    #[test]
    fn escape_keeps_every_byte() {
        assert_eq!(escape(b" a\r\n\tb\\\x1b[2J\xff "), " a\\r\\n\\tb\\\\\\x1b[2J\\xff ");
    }

    proptest! {
        #[test]
        fn escaped_text_has_no_hidden_characters(bytes: Vec<u8>) {
            prop_assert!(!escape_line(&bytes).contains(is_hidden));
            prop_assert!(!escape(&bytes).contains(is_hidden));
        }

        #[test]
        fn unescape_reverses_escape(bytes: Vec<u8>, text: String) {
            prop_assert_eq!(unescape(&escape(&bytes)), bytes);
            prop_assert_eq!(unescape(&escape(text.as_bytes())), text.into_bytes());
        }

        #[test]
        fn unescape_accepts_any_text(text in r"(\\|u|\{|\}|x|[0-9a-f]|é|n){0,20}") {
            let _ = unescape(&text);
        }
    }
}
