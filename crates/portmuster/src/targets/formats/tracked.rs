//! A reader that tracks its line and column and limits the length of records.

use std::io::{self, BufRead, Read};

/// A position in a text: line, and column in characters, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextPosition {
    pub(super) line: u64,
    pub(super) column: usize,
}

/// A reader that tracks the position of the next byte, and fails in a record that is too long.
#[derive(Debug)]
pub(super) struct TrackedReader<R> {
    input: R,
    position: TextPosition,
    /// Whether the previous byte was a CR. A following LF then belongs to the same line end.
    follows_cr: bool,
    /// The maximum number of bytes of a record.
    record_max: usize,
    /// How many bytes the current record may still have.
    remaining: usize,
}

impl<R: BufRead> TrackedReader<R> {
    /// Creates a reader of records of up to `record_max` bytes.
    pub(super) fn new(input: R, record_max: usize) -> Self {
        let position = TextPosition { line: 1, column: 1 };
        Self { input, position, follows_cr: false, record_max, remaining: record_max }
    }

    /// Begins a record: the next byte is its first.
    pub(super) fn begin_record(&mut self) {
        self.remaining = self.record_max;
    }

    /// Returns the position of the next byte.
    pub(super) fn position(&self) -> TextPosition {
        self.position
    }
}

impl TextPosition {
    /// Moves the position past some bytes.
    fn advance(&mut self, bytes: &[u8], follows_cr: &mut bool) {
        for &byte in bytes {
            match byte {
                b'\n' if *follows_cr => self.column = 1,
                b'\n' | b'\r' => {
                    self.line += 1;
                    self.column = 1;
                }
                // The continuation bytes of a character.
                0x80..=0xbf => {}
                _ => self.column += 1,
            }
            *follows_cr = byte == b'\r';
        }
    }
}

impl<R: BufRead> BufRead for TrackedReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let read = self.input.fill_buf()?;
        if read.is_empty() {
            return Ok(read);
        }
        if self.remaining == 0 {
            let message = format!("a record is longer than {} bytes", self.record_max);
            return Err(io::Error::other(message));
        }
        Ok(&read[..read.len().min(self.remaining)])
    }

    fn consume(&mut self, length: usize) {
        // The consumed bytes are still buffered, so this does not read.
        if let Ok(read) = self.input.fill_buf() {
            let consumed = &read[..length.min(read.len())];
            self.position.advance(consumed, &mut self.follows_cr);
        }
        self.remaining = self.remaining.saturating_sub(length);
        self.input.consume(length);
    }
}

impl<R: BufRead> Read for TrackedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = self.fill_buf()?;
        let length = read.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let mut tracked = TrackedReader::new("\u{fc}b\r\n\r\nc\rd".as_bytes(), 100);
        let mut positions = Vec::new();
        while let Ok([_, ..]) = tracked.fill_buf() {
            positions.push((tracked.position().line, tracked.position().column));
            tracked.consume(1);
        }
        let expected =
            [(1, 1), (1, 2), (1, 2), (1, 3), (2, 1), (2, 1), (3, 1), (3, 1), (3, 2), (4, 1)];
        assert_eq!(positions, expected);
    }

    #[test]
    fn a_record_that_is_too_long_is_an_error() {
        let mut tracked = TrackedReader::new(&[b'a'; 10][..], 4);
        let mut text = Vec::new();
        assert!(tracked.read_to_end(&mut text).is_err());
        assert_eq!(text.len(), 4);
        tracked.begin_record();
        assert!(tracked.read_to_end(&mut text).is_err());
        assert_eq!(text.len(), 8);
    }
}
