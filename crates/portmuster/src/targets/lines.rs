//! One item a line, `#` comments, blank lines; from a file or from a stream without end.

use std::io::{BufRead, Read};

use thiserror::Error;

use super::ItemError;

/// Bytes that a line may have. The longest item, a name with many ports, is far shorter.
pub const LINE_MAX: usize = 4096;

/// A line that can't be read, and where it stands.
#[derive(Debug, Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct LineError {
    /// Counted from 1.
    pub line: u64,
    /// The character of the line at which it can't be read, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: LineErrorKind,
}

/// Why a line can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineErrorKind {
    /// The system could not read on.
    #[error("reading failed: {0}")]
    Io(#[from] std::io::Error),
    /// The line is longer than [`LINE_MAX`].
    #[error("the line is longer than {LINE_MAX} bytes; one target stands on a line")]
    TooLong,
    /// The line is not text.
    #[error("this is not text (UTF-8)")]
    NotText,
    /// The item can't be read.
    #[error(transparent)]
    Item(#[from] ItemError),
}

/// Reads the items of a list, a line at a time, in bounded memory.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, line: 0, buffer: Vec::new() }
    }

    /// The line that was read last, counted from 1; 0 before the first.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next item and its label, which is what follows it behind white space; without comment;
    /// `None` at the end.
    /// `read` makes something of it; where it can't, its column becomes one of the line.
    ///
    /// # Errors
    /// What can't be read, and where. After an error from the system nothing more comes.
    pub fn next_item<T>(
        &mut self,
        mut read: impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        while self.next_line()? {
            if let Some(item) = self.numbers() {
                return read(item, None)
                    .map(Some)
                    .map_err(|error| self.error(error.column, error.into()));
            }
            let text = self.text()?;
            let content = text.split('#').next().unwrap_or_default();
            let content_trimmed = content.trim();
            if content_trimmed.is_empty() {
                continue;
            }
            let (item, label) = match content_trimmed.split_once(char::is_whitespace) {
                Some((item, label)) => (item, Some(label.trim_start())),
                None => (content_trimmed, None),
            };
            let indent = content.chars().take_while(|letter| letter.is_whitespace()).count();
            return match read(item, label) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(self.error(indent + error.column, error.into())),
            };
        }
        Ok(None)
    }

    /// Reads a line into the buffer; false at the end of the input.
    fn next_line(&mut self) -> Result<bool, LineError> {
        self.buffer.clear();
        self.line += 1;
        // Two more, so that a longest line still shows its CRLF.
        let mut line = self.input.by_ref().take(LINE_MAX as u64 + 2);
        if let Err(error) = line.read_until(b'\n', &mut self.buffer) {
            return Err(self.error(1, error.into()));
        }
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LINE_MAX {
            return Err(self.error(LINE_MAX + 1, LineErrorKind::TooLong));
        }
        Ok(!self.buffer.is_empty())
    }

    /// The line, if all of it is digits, dots and colons: then it has no comment, label or white
    /// space to be looked for.
    fn numbers(&self) -> Option<&str> {
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b':');
        if line.is_empty() || !line.iter().all(is_plain) {
            return None;
        }
        std::str::from_utf8(line).ok()
    }

    fn text(&self) -> Result<&str, LineError> {
        // A byte order mark is what some editors put before the first line.
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

    fn error(&self, column: usize, kind: LineErrorKind) -> LineError {
        LineError { line: self.line, column, kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{Ports, TargetSet};

    fn read(input: &[u8]) -> (TargetSet, Option<LineError>) {
        let mut set = TargetSet::default();
        let mut lines = Lines::new(input);
        loop {
            match lines.next_item(|item, label| set.add(item, label, &Ports::ssh_and_telnet())) {
                Ok(Some(())) => {}
                Ok(None) => return (set, None),
                Err(error) => return (set, Some(error)),
            }
        }
    }

    fn error(input: &[u8]) -> String {
        read(input).1.expect("a line that can't be read").to_string()
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        let input =
            b"\xef\xbb\xbf# inventory\n\n 10.0.0.5 # core\r\n\t\n10.0.0.6:22 \t core sw 1 # x";
        let (set, error) = read(input);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(set.len(), 3);
        let label = |place| set.get(place).expect("a target").label;
        assert_eq!((label(0), label(2).as_deref()), (None, Some("core sw 1")));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_line_and_column() {
        assert!(
            error(b"10.0.0.5\n\n  10.0.0.300\n").starts_with("line 3, column 3: \"10.0.0.300\"")
        );
        assert!(error(b"a\n10.0.0.5:0").starts_with("line 2, column 10: port 0"));
        assert_eq!(error(b"a\n\xff\xfe\x00"), "line 2, column 1: this is not text (UTF-8)");
        assert_eq!(error(b"ab\0c"), "line 1, column 3: this is not text (UTF-8)");
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'1'));
        let mut lines = Lines::new(&mut endless);
        let error = lines.next_item(|_, _| Ok(())).expect_err("it has no end");
        assert!(matches!(error.kind, LineErrorKind::TooLong));
        let longest = [vec![b'#'; LINE_MAX], b"\r\na".to_vec()].concat();
        assert_eq!(read(&longest).0.len(), 2);
    }
}
