//! The text of a greeting as a person would read it: without what steers a terminal.
//!
//! Invariant: at most [`BANNER_MAX`] bytes of the text are kept, and [`LAST_MAX`] of its last line.

use super::BANNER_MAX;

/// Bytes of the last line that are kept: more than a prompt has.
const LAST_MAX: usize = 128;

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// Where in a control sequence the text is (ECMA-48 §5.3 to §5.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    Escape,
    Sequence,
    String,
    StringEscape,
}

/// What a terminal would show.
#[derive(Debug, Default)]
pub(super) struct Screen {
    place: Place,
    text: Vec<u8>,
    /// The last line that is not blank.
    last: Vec<u8>,
    last_ended: bool,
}

impl Screen {
    /// Makes room for a text of so many bytes, or for a longest one.
    pub(super) fn make_room(&mut self, bytes: usize) {
        self.text.reserve_exact(bytes.min(BANNER_MAX));
        self.last.reserve_exact(bytes.min(2 * LAST_MAX));
    }

    /// Takes the next byte of the text.
    pub(super) fn push(&mut self, byte: u8) {
        let (place, is_shown) = match (self.place, byte) {
            (Place::Text, ESCAPE) | (Place::Escape, 0x20..=0x2f) => (Place::Escape, false),
            (Place::Text, _) => (Place::Text, is_shown(byte)),
            (Place::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (Place::String, false),
            (Place::Escape, b'[') | (Place::Sequence, 0x20..=0x3f) => (Place::Sequence, false),
            (Place::String, ESCAPE) => (Place::StringEscape, false),
            // A string that is not ended would take the rest of the text with it.
            (Place::String, BELL | b'\n') | (Place::Escape | Place::Sequence, _) => {
                (Place::Text, false)
            }
            (Place::StringEscape, _) => (Place::Text, false),
            (Place::String, _) => (Place::String, false),
        };
        // Where the cursor is moved to another place, another line begins.
        self.last_ended |= self.place == Place::Sequence && matches!(byte, b'H' | b'f');
        self.place = place;
        if is_shown {
            self.show(byte);
        }
    }

    pub(super) fn held(&self) -> usize {
        self.text.capacity() + self.last.capacity()
    }

    /// The text without the white space around it.
    pub(super) fn text(&self) -> &[u8] {
        self.text.trim_ascii()
    }

    /// The last line that is not blank, at most its last 256 bytes.
    pub(super) fn last_line(&self) -> &[u8] {
        &self.last
    }

    /// Whether the last line was ended, so that the cursor does not wait behind it.
    pub(super) fn is_last_line_ended(&self) -> bool {
        self.last_ended
    }

    fn show(&mut self, byte: u8) {
        if self.text.len() < BANNER_MAX {
            self.text.push(byte);
        }
        match byte {
            b'\n' => self.last_ended = true,
            _ if self.last_ended && byte.is_ascii_whitespace() => {}
            _ => {
                if std::mem::take(&mut self.last_ended) {
                    self.last.clear();
                }
                self.last.push(byte);
            }
        }
        if self.last.len() >= 2 * LAST_MAX {
            self.last.drain(..LAST_MAX);
        }
    }
}

/// Anything printable in ASCII, UTF-8 or a national code page, and white space.
fn is_shown(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | 0x80..=0xff | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(bytes: &[u8]) -> Screen {
        let mut screen = Screen::default();
        for &byte in bytes {
            screen.push(byte);
        }
        screen
    }

    #[test]
    fn what_steers_a_terminal_is_not_read() {
        let steering = b"\r\0\n\x1b[2J\x1b[1;1H\x1b]0;title\x07\x1b(BUser \x1b[1mName\x1b[0m: \x07";
        assert_eq!(screen(steering).text(), b"User Name:");
        assert_eq!(screen(b"\x1bP1$r0m\x1b\\caf\xc3\xa9\x7f\0").text(), "café".as_bytes());
        assert_eq!(screen(b"\x1b]0;no end\nhost").text(), b"host");
    }

    #[test]
    fn text_without_end_takes_bounded_memory() {
        let screen = screen(&b"x".repeat(100_000));
        assert!(screen.text.capacity() <= 2 * BANNER_MAX);
        assert!(screen.last.capacity() <= 4 * LAST_MAX);
    }
}
