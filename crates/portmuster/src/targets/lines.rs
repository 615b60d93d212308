//! One item a line, `#` comments, blank lines; from a file or from a stream without end.

use std::io::{BufRead, ErrorKind};

use memchr::memchr2;
use thiserror::Error;

use super::{ItemError, LabelError, formats::InputFormat, grammar, labels};

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
    /// The line is longer than so many bytes.
    #[error("the line is longer than {0} bytes; one target stands on a line")]
    TooLong(usize),
    /// The line is not text.
    #[error("this is not text (UTF-8)")]
    NotText,
    /// The item can't be read.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// What follows the item can't be taken for a label.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A record is not as its format has it.
    #[error("this can't be read as {format}: {why}")]
    Record {
        /// The format.
        format: InputFormat,
        /// What is wrong.
        why: String,
    },
    /// The document is broken, so that nothing behind this place can be read.
    #[error("this can't be read as {format}: {why}")]
    Document {
        /// The format.
        format: InputFormat,
        /// What is wrong.
        why: String,
    },
}

impl LineErrorKind {
    /// Whether nothing more can be read behind it.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Io(_) | Self::TooLong(_) | Self::Document { .. })
    }
}

/// What follows a target on its line, behind white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineRule {
    /// A label; what reads as a target, a port, a range or an option is an error.
    #[default]
    Label,
    /// A label, whatever it reads as.
    AnyLabel,
    /// More targets.
    Targets,
}

/// Lines of bytes, which end at LF, CR or CRLF.
///
/// A line is handed over when its end has come, whatever comes behind it or not.
#[derive(Debug)]
pub(super) struct RawLines<R> {
    input: R,
    most: usize,
    line: u64,
    buffer: Vec<u8>,
    /// The line before ended at a CR, to which an LF would belong.
    follows_cr: bool,
}

impl<R: BufRead> RawLines<R> {
    /// Reads lines of up to `most` bytes.
    pub(super) fn new(input: R, most: usize) -> Self {
        Self { input, most, line: 0, buffer: Vec::new(), follows_cr: false }
    }

    /// Reads a line into the buffer; false at the end of the input.
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
            if self.buffer.len() + length > self.most {
                return Err(self.error(self.most + 1, LineErrorKind::TooLong(self.most)));
            }
            self.buffer.extend_from_slice(&read[..length]);
            self.follows_cr = end.is_some_and(|end| read[end] == b'\r');
            self.input.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    /// The line, without its end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Which line it is, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The line as text, without a byte order mark.
    pub(super) fn text(&self) -> Result<&str, LineError> {
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

    /// An error of this line.
    pub(super) fn error(&self, column: usize, kind: LineErrorKind) -> LineError {
        LineError { line: self.line, column, kind }
    }
}

/// Reads the items of a list, a line at a time, in bounded memory.
#[derive(Debug)]
pub struct Lines<R> {
    raw: RawLines<R>,
    rule: LineRule,
    /// How many bytes of the line were read; `None`: all.
    read: Option<usize>,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `input`, one target and its label a line.
    pub fn new(input: R) -> Self {
        Self::with_rule(input, LineRule::default())
    }

    /// Reads from `input` lines on which the rule says what follows a target.
    pub fn with_rule(input: R, rule: LineRule) -> Self {
        Self { raw: RawLines::new(input, LINE_MAX), rule, read: None }
    }

    /// The line that was read last, counted from 1; 0 before the first.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.raw.line()
    }

    /// The next item and its label, which is what follows it behind white space; without comment;
    /// `None` at the end.
    /// `read` makes something of it; where it can't, its column becomes one of the line.
    ///
    /// # Errors
    /// What can't be read, and where. After a [final](LineErrorKind::is_final) error nothing more
    /// comes.
    pub fn next_item<T>(
        &mut self,
        mut read: impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        loop {
            if let Some(start) = self.read.take()
                && let Some(item) = self.next_of_line(start, &mut read)?
            {
                return Ok(Some(item));
            }
            if !self.raw.advance()? {
                return Ok(None);
            }
            if let Some(item) = numbers(self.raw.bytes()) {
                return match read(item, None) {
                    Ok(value) => Ok(Some(value)),
                    Err(error) => Err(self.raw.error(error.column, error.into())),
                };
            }
            if self.rule == LineRule::Targets {
                self.read = Some(0);
                continue;
            }
            if let Some(item) = self.labelled(&mut read)? {
                return Ok(Some(item));
            }
        }
    }

    /// The item of the line, which has a label.
    fn labelled<T>(
        &self,
        read: &mut impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        let content = without_comment(self.raw.text()?);
        let trimmed = content.trim();
        if trimmed.is_empty() {
            return Ok(None);
        }
        let (item, label) = match trimmed.split_once(char::is_whitespace) {
            Some((item, label)) => (item, Some(label.trim_start())),
            None => (trimmed, None),
        };
        let column_of = |part: &str| {
            let at = part.as_ptr().addr() - content.as_ptr().addr();
            content[..at].chars().count()
        };
        if let Some(label) = label
            && self.rule == LineRule::Label
            && let Err((at, error)) = labels::check(item, label)
            // What is no target comes first.
            && grammar::parse(item).is_ok()
        {
            return Err(self.raw.error(column_of(label) + at + 1, error.into()));
        }
        let error = |error: ItemError| self.raw.error(column_of(item) + error.column, error.into());
        read(item, label).map(Some).map_err(error)
    }

    /// The next item of the line that begins at this byte or behind it.
    fn next_of_line<T>(
        &mut self,
        start: usize,
        read: &mut impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        let content = without_comment(self.raw.text()?);
        let Some((at, item)) = labels::words(&content[start..]).next() else { return Ok(None) };
        let at = start + at;
        let column = content[..at].chars().count();
        let is_dash = is_yaml_dash(item) && at == content.len() - content.trim_start().len();
        let end = at + item.len();
        let error = if let Some((at, error)) = mark_between(item).filter(|_| !is_dash) {
            Err(self.raw.error(column + at, error))
        } else {
            read(item, None)
                .map(Some)
                .map_err(|error| self.raw.error(column + error.column, error.into()))
        };
        self.read = Some(end);
        error
    }
}

/// What stands between targets and is none.
fn mark_between(item: &str) -> Option<(usize, LineErrorKind)> {
    let error = if item == "-" || item == "to" {
        LabelError::NoRange { sign: item.to_owned() }
    } else if item.starts_with('-') && item.len() > 1 && !is_yaml_dash(item) {
        LabelError::Option(grammar::excerpt(item))
    } else {
        return None;
    };
    Some((1, error.into()))
}

fn is_yaml_dash(item: &str) -> bool {
    item.bytes().all(|byte| byte == b'-')
}

fn without_comment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default()
}

/// The line, if all of it is digits, dots and colons: then it has no comment, label or white space
/// to be looked for.
fn numbers(line: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b':');
    if line.is_empty() || !line.iter().all(is_plain) {
        return None;
    }
    std::str::from_utf8(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{Order, Ports, Shard, TargetSet};

    fn read_by(input: &[u8], rule: LineRule) -> (TargetSet, Option<LineError>) {
        let mut set = TargetSet::default();
        let mut lines = Lines::with_rule(input, rule);
        loop {
            match lines.next_item(|item, label| set.add(item, label, &Ports::ssh_and_telnet())) {
                Ok(Some(())) => {}
                Ok(None) => return (set, None),
                Err(error) => return (set, Some(error)),
            }
        }
    }

    fn read(input: &[u8]) -> (TargetSet, Option<LineError>) {
        read_by(input, LineRule::Label)
    }

    fn error(input: &[u8]) -> String {
        read(input).1.expect("a line that can't be read").to_string()
    }

    fn shown(set: TargetSet) -> Vec<String> {
        let targets = set.into_targets(Order::Given, Shard::WHOLE);
        targets.map(|target| target.to_string()).collect()
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
    fn lines_end_at_lf_cr_and_crlf() {
        let ends = |input: &[u8]| {
            let (set, error) = read(input);
            (shown(set), error.map(|error| error.line))
        };
        let two = || vec!["127.0.9.1:1".to_owned(), "127.0.9.2:2".to_owned()];
        assert_eq!(ends(b"127.0.9.1:1\r127.0.9.2:2\r"), (two(), None));
        assert_eq!(ends(b"127.0.9.1:1\r\n127.0.9.2:2\r\n-"), (two(), Some(3)));
        assert_eq!(ends(b"127.0.9.1:1\r\r\n127.0.9.2:2\n\r-"), (two(), Some(5)));
        assert_eq!(ends(b"\r\n\n\r\r\r\n\n"), (vec![], None));
    }

    #[test]
    fn a_line_is_handed_over_when_its_end_has_come() {
        struct Once(&'static [u8]);
        impl std::io::Read for Once {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                assert!(!self.0.is_empty(), "it waits for more than the line");
                let length = self.0.read(buffer)?;
                Ok(length)
            }
        }
        for end in [&b"a:1\n"[..], b"a:1\r", b"a:1\r\n"] {
            let mut lines = Lines::new(std::io::BufReader::new(Once(end)));
            let item = lines.next_item(|item, _| Ok(item.to_owned())).expect("a line");
            assert_eq!(item.as_deref(), Some("a:1"));
        }
    }

    #[test]
    fn a_label_that_may_be_a_target_is_an_error_unless_it_is_said_to_be_a_label() {
        for (line, place) in [
            ("127.0.9.1\t2222", "line 1, column 11: \"2222\" reads as a port"),
            (" a  b:23", "line 1, column 5: \"b:23\" reads as another target"),
            ("\u{fc} to b", "line 1, column 3: \"to\" reads as the sign of a range"),
            ("- 127.0.9.1", "line 1, column 1: the dash marks a list item in YAML"),
            ("[servers]", "line 1, column 2: \"servers\" is not an IPv6 address"),
            ("10.0.0.300 22", "line 1, column 1: \"10.0.0.300\" is not an IPv4 address"),
        ] {
            assert!(
                error(line.as_bytes()).starts_with(place),
                "{line}: {}",
                error(line.as_bytes())
            );
        }
        let (set, error) = read_by(b"127.0.9.1:1\t2222\na:1 b:23", LineRule::AnyLabel);
        assert!(error.is_none(), "{error:?}");
        let label = |place| set.get(place).expect("a target").label;
        assert_eq!((label(0).as_deref(), label(1).as_deref()), (Some("2222"), Some("b:23")));
    }

    #[test]
    fn several_targets_stand_on_a_line_where_that_is_said() {
        let (set, error) = read_by(b"a:22 b:23\n10.0.0.1:1\tc:1 # d\n\n", LineRule::Targets);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(shown(set), ["a:22", "b:23", "10.0.0.1:1", "c:1"]);
        for (line, place) in [
            ("a:22 b:0 c", "line 1, column 8: port 0"),
            ("\u{fc}:1 - b", "line 1, column 5: \"-\" reads as the sign of a range"),
            ("a -p 22", "line 1, column 3: \"-p\" reads as an option"),
            ("- a", "line 1, column 1: the dash marks a list item in YAML"),
            ("a 22", "line 1, column 3: \"22\" is not an IPv4 address"),
        ] {
            let error = read_by(line.as_bytes(), LineRule::Targets).1.expect(line).to_string();
            assert!(error.starts_with(place), "{line}: {error}");
        }
    }

    #[test]
    fn a_bad_target_on_a_line_is_passed_over_alone() {
        let mut lines = Lines::with_rule(&b"a b:0 c\nd"[..], LineRule::Targets);
        let mut set = TargetSet::default();
        let mut next = || {
            lines.next_item(|item, _| {
                set.add(item, None, &Ports::ssh_and_telnet()).map(|()| item.to_owned())
            })
        };
        assert_eq!(next().expect("an item").as_deref(), Some("a"));
        assert!(next().is_err());
        assert_eq!(next().expect("an item").as_deref(), Some("c"));
        assert_eq!(next().expect("an item").as_deref(), Some("d"));
        assert_eq!(next().expect("the end"), None);
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'1'));
        let mut lines = Lines::new(&mut endless);
        let error = lines.next_item(|_, _| Ok(())).expect_err("it has no end");
        assert!(matches!(error.kind, LineErrorKind::TooLong(LINE_MAX)));
        let longest = [vec![b'#'; LINE_MAX], b"\r\na".to_vec()].concat();
        assert_eq!(read(&longest).0.len(), 2);
    }
}
