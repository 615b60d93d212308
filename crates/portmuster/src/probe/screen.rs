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
        self.place = place;
        if is_shown {
            self.show(byte);
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn held(&self) -> usize {
        self.text.capacity() + self.last.capacity()
    }

    /// The text without the white space around it.
    pub(super) fn text(&self) -> &[u8] {
        self.text.trim_ascii()
    }

    /// Whether the text ends by asking who one is.
    pub(super) fn asks_who(&self) -> bool {
        const PROMPTS: [&[u8]; 11] = [
            b"login:",
            b"login as:",
            b"login name:",
            b"username:",
            b"user name:",
            b"user:",
            b"user id:",
            b"userid:",
            b"account:",
            b"password:",
            b"passcode:",
        ];
        let last = self.last.trim_ascii_end();
        PROMPTS.iter().any(|prompt| {
            last.len().checked_sub(prompt.len()).is_some_and(|at| has_at(last, at, prompt))
        })
    }

    /// Whether the text ends by asking for a key.
    pub(super) fn asks_for_a_key(&self) -> bool {
        const WORDS: [&[u8]; 6] =
            [b"press any key", b"press enter", b"press return", b"press <", b"press [", b"hit any"];
        let last = &self.last;
        WORDS.iter().any(|words| (0..last.len()).any(|at| has_at(last, at, words)))
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

/// Whether the words stand there, in small letters or large.
fn has_at(text: &[u8], at: usize, words: &[u8]) -> bool {
    text.get(at..at + words.len()).is_some_and(|part| part.eq_ignore_ascii_case(words))
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
    fn a_prompt_is_at_the_end_however_it_is_drawn() {
        for prompt in [
            &b"host login: "[..],
            b"LOGIN:",
            b"\x1b[24;1HUsername: \x1b[?25h\x1b[24;11H",
            b"Login:\r\n",
            b"a\n\n  User ID: \0",
        ] {
            assert!(screen(prompt).asks_who(), "{}", prompt.escape_ascii());
        }
        let long = [&b"\x1b[1;1Hnotice".repeat(500)[..], b"login: "].concat();
        assert!(screen(&long).asks_who());
        for text in [&b"login: ok"[..], b"login:\r\nwelcome", b"", b"ogin:"] {
            assert!(!screen(text).asks_who(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_key_may_be_asked_for() {
        assert!(screen(b"\n\nPress RETURN to get started.\r\n\n\n").asks_for_a_key());
        assert!(screen(b"Press any key to continue").asks_for_a_key());
        assert!(!screen(b"Press any key to continue\r\nlogin: ").asks_for_a_key());
    }

    #[test]
    fn text_without_end_takes_bounded_memory() {
        let screen = screen(&b"x".repeat(100_000));
        assert!(screen.text.capacity() <= 2 * BANNER_MAX);
        assert!(screen.last.capacity() <= 4 * LAST_MAX);
    }
}
