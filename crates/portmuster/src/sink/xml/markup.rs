//! Writes XML elements and attributes in ASCII.

use std::{borrow::Cow, fmt::Write as _};

use quick_xml::{
    Writer,
    events::{self, BytesEnd, BytesStart, BytesText, Event},
    name::QName,
};

use crate::sink::text::{escape, is_plain};

/// A writer of XML markup into a buffer.
pub(super) struct Markup(Writer<Vec<u8>>);

/// The name and the value of an attribute. Untrusted values are [escaped](escape_for_xml).
pub(super) type Attribute<'a> = (&'a str, &'a str);

impl Default for Markup {
    fn default() -> Self {
        Self::append_to(Vec::new())
    }
}

impl Markup {
    /// Creates a writer that appends to `bytes`.
    pub(super) fn append_to(bytes: Vec<u8>) -> Self {
        Self(Writer::new(bytes))
    }

    /// Returns the buffer.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }

    /// Writes a start tag.
    pub(super) fn open(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.write(Event::Start(start(name, attributes)));
    }

    /// Writes an element without content.
    pub(super) fn empty(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.write(Event::Empty(start(name, attributes)));
    }

    /// Writes an element that contains text.
    pub(super) fn text(&mut self, name: &str, attributes: &[Attribute<'_>], text: &str) {
        self.open(name, attributes);
        self.write(Event::Text(BytesText::from_escaped(to_ascii(text))));
        self.close(name);
    }

    /// Writes an end tag.
    pub(super) fn close(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    /// Writes a line end.
    pub(super) fn line_end(&mut self) {
        self.0.get_mut().push(b'\n');
    }

    fn write(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("writing to a vector cannot fail");
    }
}

fn start<'a>(name: &'a str, attributes: &[Attribute<'a>]) -> BytesStart<'a> {
    let attributes = attributes.iter().map(|&(key, value)| events::attributes::Attribute {
        key: QName(key),
        value: to_ascii(value),
    });
    BytesStart::new(name).with_attributes(attributes)
}

/// Escapes invisible characters and those that XML forbids.
pub(super) fn escape_for_xml(text: &str) -> Cow<'_, str> {
    if is_plain(text) && !text.contains(is_forbidden) {
        text.into()
    } else {
        escape_all(text.as_bytes()).into()
    }
}

/// Like [`escape_for_xml`], for bytes that need not be UTF-8.
pub(super) fn escape_bytes_for_xml(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| escape_all(bytes).into(), escape_for_xml)
}

/// Escapes the bytes with [`escape`], and the characters that XML forbids.
fn escape_all(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for letter in escape(bytes).chars() {
        if is_forbidden(letter) {
            escaped.extend(letter.escape_unicode());
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// Returns whether XML 1.0 (§2.2) forbids a character that is not a control character.
fn is_forbidden(letter: char) -> bool {
    matches!(letter, '\u{fffe}' | '\u{ffff}')
}

/// Escapes the syntax characters of XML by name, and line ends and non-ASCII characters by number.
fn to_ascii(text: &str) -> Cow<'_, str> {
    let escaped = quick_xml::escape::escape(text);
    if escaped.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return escaped;
    }
    let mut ascii = String::with_capacity(2 * escaped.len());
    for letter in escaped.chars() {
        if matches!(letter, ' '..='~') {
            ascii.push(letter);
        } else {
            let _ = write!(ascii, "&#{};", u32::from(letter));
        }
    }
    ascii.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_xml_forbids_are_escaped() {
        assert_eq!(escape_for_xml("a\u{1b}[2J\0\r\n\u{fffe}é"), "a\\x1b[2J\\x00\\r\\n\\u{fffe}é");
        assert_eq!(escape_for_xml("plain"), "plain");
        assert_eq!(escape_bytes_for_xml(b"caf\xc3\xa9"), "café");
        assert_eq!(escape_bytes_for_xml(b"caf\xe9\\ \xef\xbf\xbf"), r"caf\xe9\\ \u{ffff}");
    }

    #[test]
    fn markup_escapes_syntax_characters_and_is_ascii() {
        let mut markup = Markup::default();
        markup.empty("e", &[("a", "<&>'\"é\u{1f600}\n")]);
        markup.text("t", &[], "?>]]>é");
        assert_eq!(
            String::from_utf8(markup.into_bytes()).expect("markup is ASCII"),
            "<e a=\"&lt;&amp;&gt;&apos;&quot;&#233;&#128512;&#10;\"/><t>?&gt;]]&gt;&#233;</t>"
        );
    }
}
