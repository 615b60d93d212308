//! The text of a greeting as a terminal would show it, without control sequences.
//!
//! Invariant: at most [`BANNER_MAX`] bytes of the text are stored, and twice [`LAST_MAX`] of its last
//! line.

use super::limits::BANNER_MAX;

/// Number of bytes of the last line that are kept at least: more than a prompt has.
const LAST_MAX: usize = 128;

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// State of the parser of control sequences (ECMA-48 §5.3 to §5.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum EscapeState {
    #[default]
    Text,
    Escape,
    Sequence,
    String,
    StringEscape,
}

/// The text that a terminal would show.
#[derive(Debug, Default)]
pub(super) struct Screen {
    state: EscapeState,
    text: Vec<u8>,
    /// The last line that is not blank.
    last: Vec<u8>,
    /// Whether the last line is complete.
    last_ended: bool,
}

impl Screen {
    /// Reserves memory for a text of this length, up to the limits.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.text.reserve_exact(bytes.min(BANNER_MAX));
        self.last.reserve_exact(bytes.min(2 * LAST_MAX));
    }

    /// Processes the next byte of the text.
    pub(super) fn push(&mut self, byte: u8) {
        let (state, is_shown) = match (self.state, byte) {
            (EscapeState::Text, ESCAPE) | (EscapeState::Escape, 0x20..=0x2f) => {
                (EscapeState::Escape, false)
            }
            (EscapeState::Text, _) => (EscapeState::Text, is_shown(byte)),
            (EscapeState::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (EscapeState::String, false),
            (EscapeState::Escape, b'[') | (EscapeState::Sequence, 0x20..=0x3f) => {
                (EscapeState::Sequence, false)
            }
            (EscapeState::String, ESCAPE) => (EscapeState::StringEscape, false),
            // A line end terminates a string, because an unterminated one would hide the rest.
            (EscapeState::String, BELL | b'\n')
            | (EscapeState::Escape | EscapeState::Sequence | EscapeState::StringEscape, _) => {
                (EscapeState::Text, false)
            }
            (EscapeState::String, _) => (EscapeState::String, false),
        };
        // A cursor movement starts another line.
        self.last_ended |= self.state == EscapeState::Sequence && matches!(byte, b'H' | b'f');
        self.state = state;
        if is_shown {
            self.show(byte);
        }
    }

    /// Returns whether the latest control string is unfinished. Its bytes are not shown, also those that a server
    /// meant as text.
    pub(super) fn is_in_control_string(&self) -> bool {
        matches!(self.state, EscapeState::String | EscapeState::StringEscape)
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.text.capacity() + self.last.capacity()
    }

    /// Returns the text without surrounding white space.
    pub(super) fn text(&self) -> &[u8] {
        self.text.trim_ascii()
    }

    /// Returns the last line that is not blank, at most its last 256 bytes.
    pub(super) fn last_line(&self) -> &[u8] {
        &self.last
    }

    /// Returns whether the last line is complete, so that the cursor is on a later line.
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

/// Returns whether a byte is printable in ASCII, UTF-8 or a national code page, or white space.
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
    fn control_sequences_are_removed() {
        let sequences =
            b"\r\0\n\x1b[2J\x1b[1;1H\x1b]0;title\x07\x1b(BUser \x1b[1mName\x1b[0m: \x07";
        assert_eq!(screen(sequences).text(), b"User Name:");
        assert_eq!(screen(b"\x1bP1$r0m\x1b\\caf\xc3\xa9\x7f\0").text(), "café".as_bytes());
        assert_eq!(screen(b"\x1b]0;no end\nhost").text(), b"host");
    }

    #[test]
    fn endless_text_takes_bounded_memory() {
        let screen = screen(&b"x".repeat(100_000));
        assert!(screen.text.capacity() <= 2 * BANNER_MAX);
        assert!(screen.last.capacity() <= 4 * LAST_MAX);
    }
}
