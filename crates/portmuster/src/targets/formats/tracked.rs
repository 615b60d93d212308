//! A reader that knows its line and column, and stops in a record that is too long.

use std::io::{self, BufRead, Read};

/// Where a reader stands: line and column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: usize,
}

/// Counts lines and columns of what is read, and the bytes of a record.
#[derive(Debug)]
pub(super) struct Tracked<R> {
    input: R,
    place: Place,
    follows_cr: bool,
    /// Bytes that a record may have, and how many of these are left.
    most: usize,
    left: usize,
}

impl<R: BufRead> Tracked<R> {
    /// Reads records of up to `most` bytes.
    pub(super) fn new(input: R, most: usize) -> Self {
        let place = Place { line: 1, column: 1 };
        Self { input, place, follows_cr: false, most, left: most }
    }

    /// Begins a record.
    pub(super) fn begin_record(&mut self) {
        self.left = self.most;
    }

    /// Where the next byte stands.
    pub(super) fn place(&self) -> Place {
        self.place
    }
}

impl Place {
    fn pass(&mut self, bytes: &[u8], follows_cr: &mut bool) {
        for &byte in bytes {
            match byte {
                b'\n' if *follows_cr => self.column = 1,
                b'\n' | b'\r' => {
                    self.line += 1;
                    self.column = 1;
                }
                // Further bytes of a character.
                0x80..=0xbf => {}
                _ => self.column += 1,
            }
            *follows_cr = byte == b'\r';
        }
    }
}

impl<R: BufRead> BufRead for Tracked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let read = self.input.fill_buf()?;
        if read.is_empty() {
            return Ok(read);
        }
        if self.left == 0 {
            return Err(io::Error::other(format!("a record is longer than {} bytes", self.most)));
        }
        Ok(&read[..read.len().min(self.left)])
    }

    fn consume(&mut self, length: usize) {
        // What is buffered is at hand: this reads nothing.
        if let Ok(read) = self.input.fill_buf() {
            let passed = &read[..length.min(read.len())];
            self.place.pass(passed, &mut self.follows_cr);
        }
        self.left = self.left.saturating_sub(length);
        self.input.consume(length);
    }
}

impl<R: BufRead> Read for Tracked<R> {
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
    fn lines_and_columns_are_counted_in_characters() {
        let mut tracked = Tracked::new("\u{fc}b\r\n\r\nc\rd".as_bytes(), 100);
        let mut places = Vec::new();
        while let Ok([_, ..]) = tracked.fill_buf() {
            places.push((tracked.place().line, tracked.place().column));
            tracked.consume(1);
        }
        let first =
            [(1, 1), (1, 2), (1, 2), (1, 3), (2, 1), (2, 1), (3, 1), (3, 1), (3, 2), (4, 1)];
        assert_eq!(places, first);
    }

    #[test]
    fn a_record_that_is_too_long_is_an_error() {
        let mut tracked = Tracked::new(&[b'a'; 10][..], 4);
        let mut text = Vec::new();
        assert!(tracked.read_to_end(&mut text).is_err());
        assert_eq!(text.len(), 4);
        tracked.begin_record();
        assert!(tracked.read_to_end(&mut text).is_err());
        assert_eq!(text.len(), 8);
    }
}
