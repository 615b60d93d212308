//! Texts of servers in rows.

use serde::Serialize;

use super::text::escape;

/// A text chosen by the server, which need not be UTF-8. All formats write it alike; the banner
/// contains its original bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum RowText<'a> {
    /// A text in UTF-8.
    Utf8(&'a str),
    /// A text that is not UTF-8, written by [`escape`]: `\xNN` for an invalid byte, `\\` for a
    /// backslash.
    Escaped(String),
}

impl<'a> From<&'a [u8]> for RowText<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        str::from_utf8(bytes).map_or_else(|_| Self::Escaped(escape(bytes)), Self::Utf8)
    }
}
