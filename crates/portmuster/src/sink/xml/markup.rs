//! Elements and attributes, all in ASCII.

use std::{borrow::Cow, fmt::Write as _};

use quick_xml::{
    Writer,
    events::{BytesEnd, BytesStart, BytesText, Event, attributes::Attribute},
    name::QName,
};

use crate::sink::{escape, text::is_plain};

/// Markup in the making.
pub(super) struct Markup(Writer<Vec<u8>>);

/// A name and its value. Whatever a stranger chose was made [`visible`].
pub(super) type Pair<'a> = (&'a str, &'a str);

impl Default for Markup {
    fn default() -> Self {
        Self::behind(Vec::new())
    }
}

impl Markup {
    /// More behind what is there.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        Self(Writer::new(bytes))
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }

    pub(super) fn open(&mut self, name: &str, pairs: &[Pair<'_>]) {
        self.write(Event::Start(start(name, pairs)));
    }

    pub(super) fn empty(&mut self, name: &str, pairs: &[Pair<'_>]) {
        self.write(Event::Empty(start(name, pairs)));
    }

    /// An element that holds nothing but text.
    pub(super) fn text(&mut self, name: &str, pairs: &[Pair<'_>], text: &str) {
        self.open(name, pairs);
        self.write(Event::Text(BytesText::from_escaped(ascii(text))));
        self.close(name);
    }

    pub(super) fn close(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    pub(super) fn line_end(&mut self) {
        self.0.get_mut().push(b'\n');
    }

    fn write(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("a vector takes everything");
    }
}

fn start<'a>(name: &'a str, pairs: &[Pair<'a>]) -> BytesStart<'a> {
    let pairs =
        pairs.iter().map(|&(key, value)| Attribute { key: QName(key), value: ascii(value) });
    BytesStart::new(name).with_attributes(pairs)
}

/// The text in characters that XML can hold, in which everything can be seen.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if is_plain(text) && !text.contains(is_forbidden) { text.into() } else { all(text.as_bytes()) }
}

/// As [`visible`], of bytes that need not be UTF-8.
pub(super) fn visible_bytes(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| all(bytes), visible)
}

/// The bytes as [`escape`] writes them, without what XML has no place for.
fn all<'a>(bytes: &[u8]) -> Cow<'a, str> {
    let mut visible = String::with_capacity(bytes.len());
    for letter in escape(bytes).chars() {
        if is_forbidden(letter) {
            visible.extend(letter.escape_unicode());
        } else {
            visible.push(letter);
        }
    }
    visible.into()
}

/// Whether XML 1.0 has no place for a character that is no control (§2.2).
fn is_forbidden(letter: char) -> bool {
    matches!(letter, '\u{fffe}' | '\u{ffff}')
}

/// The text with what means something to XML escaped; line ends and what is beyond ASCII by number.
fn ascii(text: &str) -> Cow<'_, str> {
    let escape_line = quick_xml::escape::escape(text);
    if escape_line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return escape_line;
    }
    let mut ascii = String::with_capacity(2 * escape_line.len());
    for letter in escape_line.chars() {
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
    fn what_xml_has_no_place_for_is_spelled_out() {
        assert_eq!(visible("a\u{1b}[2J\0\r\n\u{fffe}é"), "a\\x1b[2J\\x00\\r\\n\\u{fffe}é");
        assert_eq!(visible("plain"), "plain");
        assert_eq!(visible_bytes(b"caf\xc3\xa9"), "café");
        assert_eq!(visible_bytes(b"caf\xe9\\ \xef\xbf\xbf"), r"caf\xe9\\ \u{ffff}");
    }

    #[test]
    fn what_means_something_to_xml_is_escaped_and_all_is_ascii() {
        let mut markup = Markup::default();
        markup.empty("e", &[("a", "<&>'\"é\u{1f600}\n")]);
        markup.text("t", &[], "?>]]>é");
        assert_eq!(
            String::from_utf8(markup.bytes()).expect("it is ASCII"),
            "<e a=\"&lt;&amp;&gt;&apos;&quot;&#233;&#128512;&#10;\"/><t>?&gt;]]&gt;&#233;</t>"
        );
    }
}
