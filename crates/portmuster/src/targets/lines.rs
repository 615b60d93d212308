//! Reads plain lists: items by lines or white space, labels, `#` comments and blank lines.

use std::io::BufRead;

use super::{
    grammar::{self, ItemError},
    labels::{self, LabelErrorKind},
    limits::LINE_MAX,
    line_error::{LineError, LineErrorKind},
    raw_lines::RawLines,
};

/// The meaning of the text after a target on its line, separated by white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LineRule {
    /// A label. Text that looks like a target, a port, a range or an option is an error.
    #[default]
    Label,
    /// A label. Any text is accepted.
    AnyLabel,
    /// More targets.
    Targets,
}

/// Reads the items of a list line by line, in bounded memory. A line has at most 4,096 bytes.
#[derive(Debug)]
pub struct Lines<R> {
    raw: RawLines<R>,
    rule: LineRule,
    /// The number of bytes of the line that were parsed; `None` if the whole line was.
    parsed: Option<usize>,
}

impl<R: BufRead> Lines<R> {
    /// Creates a reader of lists with one target and its label per line.
    pub fn new(input: R) -> Self {
        Self::with_rule(input, LineRule::default())
    }

    /// Creates a reader of lists in which `rule` tells what follows a target on its line.
    pub fn with_rule(input: R, rule: LineRule) -> Self {
        Self { raw: RawLines::new(input, LINE_MAX), rule, parsed: None }
    }

    /// Returns the number of the current line, counted from 1; 0 before the first.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.raw.line()
    }

    /// Passes the next item and its label to `read`, and returns the result; `None` at the end.
    ///
    /// A label contains no comment. The column of an error of `read` is converted to one of the
    /// line.
    ///
    /// # Errors
    /// The line or the item can't be read. After a [final](LineErrorKind::is_final) error, do not
    /// call this again.
    pub fn next_item<T>(
        &mut self,
        mut read: impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        loop {
            if let Some(start) = self.parsed.take()
                && let Some(item) = self.next_in_line(start, &mut read)?
            {
                return Ok(Some(item));
            }
            if !self.raw.advance()? {
                return Ok(None);
            }
            if let Some(item) = numeric_line(self.raw.bytes()) {
                return match read(item, None) {
                    Ok(value) => Ok(Some(value)),
                    Err(error) => Err(self.raw.error(error.column, error.kind.into())),
                };
            }
            if self.rule == LineRule::Targets {
                self.parsed = Some(0);
                continue;
            }
            if let Some(item) = self.labelled_item(&mut read)? {
                return Ok(Some(item));
            }
        }
    }

    /// Reads the item of a line that may have a label; `None` if the line is blank.
    fn labelled_item<T>(
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
            let start = part.as_ptr().addr() - content.as_ptr().addr();
            content[..start].chars().count()
        };
        if let Some(label) = label
            && self.rule == LineRule::Label
            && let Err((index, error)) = labels::check(item, label)
            // An invalid target is reported first.
            && grammar::parse(item).is_ok()
        {
            return Err(self.raw.error(column_of(label) + index + 1, error.into()));
        }
        let error =
            |error: ItemError| self.raw.error(column_of(item) + error.column, error.kind.into());
        read(item, label).map(Some).map_err(error)
    }

    /// Reads the next item of the line that begins at byte `start` or later.
    fn next_in_line<T>(
        &mut self,
        start: usize,
        read: &mut impl FnMut(&str, Option<&str>) -> Result<T, ItemError>,
    ) -> Result<Option<T>, LineError> {
        let content = without_comment(self.raw.text()?);
        let Some((index, item)) = labels::words(&content[start..]).next() else { return Ok(None) };
        let start = start + index;
        let column = content[..start].chars().count();
        // The item parser reports the dash of a YAML list, which begins a line.
        let is_dash = is_dashes(item) && start == content.len() - content.trim_start().len();
        let end = start + item.len();
        let result = if let Some(kind) = misplaced_sign(item).filter(|_| !is_dash) {
            Err(self.raw.error(column + 1, kind))
        } else {
            read(item, None)
                .map(Some)
                .map_err(|error| self.raw.error(column + error.column, error.kind.into()))
        };
        self.parsed = Some(end);
        result
    }
}

/// Returns the error for a word that is the sign of a range or an option instead of a target.
fn misplaced_sign(item: &str) -> Option<LineErrorKind> {
    let error = if item == "-" || item == "to" {
        LabelErrorKind::NoRange { sign: item.to_owned() }
    } else if item.starts_with('-') && item.len() > 1 && !is_dashes(item) {
        LabelErrorKind::Option(grammar::excerpt(item))
    } else {
        return None;
    };
    Some(error.into())
}

fn is_dashes(item: &str) -> bool {
    item.bytes().all(|byte| byte == b'-')
}

fn without_comment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default()
}

/// Returns the line if it consists of digits, dots and colons only. Such a line is a single item
/// without comment, label or white space.
fn numeric_line(line: &[u8]) -> Option<&str> {
    let is_numeric = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b':');
    // Most lines are numeric, so testing all bytes, many at a time, is faster than stopping early.
    let are_numeric = line.iter().fold(true, |are_numeric, byte| are_numeric & is_numeric(byte));
    if line.is_empty() || !are_numeric {
        return None;
    }
    std::str::from_utf8(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::{
        ports::Ports,
        set::TargetSet,
        walk::{Order, Shard},
    };

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

    fn displayed(set: TargetSet) -> Vec<String> {
        let targets = set.into_targets(Order::Given, Shard::WHOLE);
        targets.map(|target| target.to_string()).collect()
    }

    #[test]
    fn comments_and_blank_lines_are_ignored() {
        let input =
            b"\xef\xbb\xbf# inventory\n\n 10.0.0.5 # core\r\n\t\n10.0.0.6:22 \t core sw 1 # x";
        let (set, error) = read(input);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(set.len(), 3);
        let label = |index| set.get(index).expect("a target").label;
        assert_eq!((label(0), label(2).as_deref()), (None, Some("core sw 1")));
    }

    #[test]
    fn errors_have_the_line_and_column_of_the_problem() {
        assert!(
            error(b"10.0.0.5\n\n  10.0.0.300\n").starts_with("line 3, column 3: \"10.0.0.300\"")
        );
        assert!(error(b"a\n10.0.0.5:0").starts_with("line 2, column 10: port 0"));
        assert_eq!(error(b"a\n\xff\xfe\x00"), "line 2, column 1: this is not text (UTF-8)");
        assert_eq!(error(b"ab\0c"), "line 1, column 3: this is not text (UTF-8)");
    }

    #[test]
    fn lines_end_at_lf_cr_and_crlf() {
        let read_targets = |input: &[u8]| {
            let (set, error) = read(input);
            (displayed(set), error.map(|error| error.line))
        };
        let two = || vec!["127.0.9.1:1".to_owned(), "127.0.9.2:2".to_owned()];
        assert_eq!(read_targets(b"127.0.9.1:1\r127.0.9.2:2\r"), (two(), None));
        assert_eq!(read_targets(b"127.0.9.1:1\r\n127.0.9.2:2\r\n-"), (two(), Some(3)));
        assert_eq!(read_targets(b"127.0.9.1:1\r\r\n127.0.9.2:2\n\r-"), (two(), Some(5)));
        assert_eq!(read_targets(b"\r\n\n\r\r\r\n\n"), (vec![], None));
    }

    #[test]
    fn a_line_is_returned_as_soon_as_its_end_has_arrived() {
        struct Once(&'static [u8]);
        impl std::io::Read for Once {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                assert!(!self.0.is_empty(), "the reader waits for more than the line");
                let length = self.0.read(buffer)?;
                Ok(length)
            }
        }
        for line in [&b"a:1\n"[..], b"a:1\r", b"a:1\r\n"] {
            let mut lines = Lines::new(std::io::BufReader::new(Once(line)));
            let item = lines.next_item(|item, _| Ok(item.to_owned())).expect("a line");
            assert_eq!(item.as_deref(), Some("a:1"));
        }
    }

    #[test]
    fn a_label_that_looks_like_a_target_is_an_error_unless_any_label_is_allowed() {
        for (line, start) in [
            ("127.0.9.1\t2222", "line 1, column 11: \"2222\" looks like a port"),
            (" a  b:23", "line 1, column 5: \"b:23\" looks like another target"),
            ("\u{fc} to b", "line 1, column 3: \"to\" looks like the sign of a range"),
            ("- 127.0.9.1", "line 1, column 1: the dash marks a list item of YAML"),
            ("[servers]", "line 1, column 2: \"servers\" is not an IPv6 address"),
            ("10.0.0.300 22", "line 1, column 1: \"10.0.0.300\" is not an IPv4 address"),
        ] {
            assert!(
                error(line.as_bytes()).starts_with(start),
                "{line}: {}",
                error(line.as_bytes())
            );
        }
        let (set, error) = read_by(b"127.0.9.1:1\t2222\na:1 b:23", LineRule::AnyLabel);
        assert!(error.is_none(), "{error:?}");
        let label = |index| set.get(index).expect("a target").label;
        assert_eq!((label(0).as_deref(), label(1).as_deref()), (Some("2222"), Some("b:23")));
    }

    #[test]
    fn several_targets_on_a_line_are_read_under_the_rule_for_targets() {
        let (set, error) = read_by(b"a:22 b:23\n10.0.0.1:1\tc:1 # d\n\n", LineRule::Targets);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(displayed(set), ["a:22", "b:23", "10.0.0.1:1", "c:1"]);
        for (line, start) in [
            ("a:22 b:0 c", "line 1, column 8: port 0"),
            ("\u{fc}:1 - b", "line 1, column 5: \"-\" looks like the sign of a range"),
            ("a -p 22", "line 1, column 3: \"-p\" looks like an option"),
            ("- a", "line 1, column 1: the dash marks a list item of YAML"),
            ("a 22", "line 1, column 3: \"22\" is not an IPv4 address"),
        ] {
            let error = read_by(line.as_bytes(), LineRule::Targets).1.expect(line).to_string();
            assert!(error.starts_with(start), "{line}: {error}");
        }
    }

    #[test]
    fn reading_continues_after_an_invalid_target_on_the_same_line() {
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
    fn a_line_that_is_too_long_is_an_error() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'1'));
        let mut lines = Lines::new(&mut endless);
        let error = lines.next_item(|_, _| Ok(())).expect_err("an endless line");
        assert!(matches!(error.kind, LineErrorKind::TooLong(LINE_MAX)));
        let longest = [vec![b'#'; LINE_MAX], b"\r\na".to_vec()].concat();
        assert_eq!(read(&longest).0.len(), 2);
    }
}
