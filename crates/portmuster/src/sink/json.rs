//! JSON in which every invisible character is escaped, so that it is safe to show on a terminal.
//!
//! JSON itself requires this only of ASCII control characters.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::characters::is_hidden;

/// Serializes the value as compact JSON with invisible characters escaped.
pub(super) fn to_escaped_json(value: &impl Serialize) -> String {
    let mut json = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut json, EscapeHidden));
    written.expect("writing to a vector cannot fail, and every key of a row is a string");
    String::from_utf8(json).expect("JSON is UTF-8")
}

/// Appends the value as one line of compact JSON with invisible characters escaped.
///
/// # Errors
/// The value cannot be serialized as JSON.
pub(crate) fn push_json_line(line: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    let start = line.len();
    // The common case: one pass over the whole line is faster than one over each text.
    value.serialize(&mut Serializer::new(&mut *line))?;
    if !is_printable_ascii(&line[start..]) {
        line.truncate(start);
        value.serialize(&mut Serializer::with_formatter(&mut *line, EscapeHidden))?;
    }
    line.push(b'\n');
    Ok(())
}

fn is_printable_ascii(bytes: &[u8]) -> bool {
    // Without an early exit, so that the compiler vectorises the loop.
    bytes.iter().fold(true, |printable, byte| printable & matches!(byte, b' '..=b'~'))
}

/// Formats compact JSON and escapes invisible characters.
struct EscapeHidden;

impl Formatter for EscapeHidden {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, letter)) = rest.char_indices().find(|&(_, letter)| is_hidden(letter)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + letter.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}
