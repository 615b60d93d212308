//! Reads an input line by line, as bytes.

use std::io::{BufRead, ErrorKind};

use memchr::memchr2;

use super::line_error::{LineError, LineErrorKind};

/// Reads lines of bytes that end at LF, CR or CRLF, each of bounded length.
///
/// A line is returned as soon as its end has arrived, without waiting for the next byte.
#[derive(Debug)]
pub(super) struct RawLines<R> {
    input: R,
    /// The maximum number of bytes of a line.
    length_max: usize,
    line: u64,
    buffer: Vec<u8>,
    /// Whether the previous line ended at a CR. A following LF then belongs to that line end.
    follows_cr: bool,
}

impl<R: BufRead> RawLines<R> {
    /// Creates a reader of lines of up to `length_max` bytes.
    pub(super) fn new(input: R, length_max: usize) -> Self {
        Self { input, length_max, line: 0, buffer: Vec::new(), follows_cr: false }
    }

    /// Reads the next line. Returns false at the end of the input.
    pub(super) fn advance(&mut self) -> Result<bool, LineError> {
        self.buffer.clear();
        self.line += 1;
        loop {
            let read = match self.input.fill_buf() {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.error(1, error.into())),
            };
            if self.follows_cr && !read.is_empty() {
                self.follows_cr = false;
                if read[0] == b'\n' {
                    self.input.consume(1);
                    continue;
                }
            }
            if read.is_empty() {
                return Ok(!self.buffer.is_empty());
            }
            let end = memchr2(b'\n', b'\r', read);
            let length = end.unwrap_or(read.len());
            if self.buffer.len() + length > self.length_max {
                let kind = LineErrorKind::TooLong(self.length_max);
                return Err(self.error(self.length_max + 1, kind));
            }
            self.buffer.extend_from_slice(&read[..length]);
            self.follows_cr = end.is_some_and(|end| read[end] == b'\r');
            self.input.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// Returns the current line, without its line end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Returns the number of the current line, counted from 1; 0 before the first.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Returns the current line as text, without a byte order mark.
    ///
    /// # Errors
    /// The line is not UTF-8, or it contains a NUL.
    pub(super) fn text(&self) -> Result<&str, LineError> {
        // Some editors put a byte order mark before the first line.
        let bytes = match self.buffer.strip_prefix(b"\xef\xbb\xbf") {
            Some(bytes) if self.line == 1 => bytes,
            _ => &self.buffer,
        };
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => return Ok(text),
            Ok(text) => text.find('\0').unwrap_or_default(),
            Err(error) => error.valid_up_to(),
        };
        let column = String::from_utf8_lossy(&bytes[..valid]).chars().count() + 1;
        Err(self.error(column, LineErrorKind::NotText))
    }

    /// Creates an error in the current line.
    pub(super) fn error(&self, column: usize, kind: LineErrorKind) -> LineError {
        LineError { line: self.line, column, kind }
    }
}
