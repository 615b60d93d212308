//! Comma-separated values (RFC 4180), safe to open in a spreadsheet.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use csv_core::{WriteResult, Writer};

use super::{
    columns::{COLUMNS, ColumnValue, column_values},
    first_error::StopAfterError,
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
    row::Row,
    text::{escape, is_plain},
};
use crate::outcome::Outcome;

/// The character before a text by which Excel recognises UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Writes each outcome as one line of comma-separated values under a header.
///
/// The columns are the fields of a [`Row`], with the names and the order of JSON. Absent fields are
/// empty, lists are joined by spaces, and the evidence is JSON.
///
/// Invariant: a row is one line. Invisible characters are written as by [`escape`], and a text that a
/// spreadsheet would take for a formula is preceded by an apostrophe.
#[derive(Debug)]
pub struct Csv<W> {
    output: StopAfterError<W>,
    line: Line,
}

/// A line, quoted as necessary.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    writer: Writer,
}

impl<W: Write> Csv<W> {
    /// Starts an output with the header.
    ///
    /// # Errors
    /// The header could not be written.
    pub fn begin(mut output: W) -> io::Result<Self> {
        output.write_all(header().as_bytes())?;
        Ok(Self::without_header(output))
    }

    /// Starts an output with a byte order mark and the header, so that Excel takes it for UTF-8.
    ///
    /// # Errors
    /// They could not be written.
    pub fn begin_for_excel(mut output: W) -> io::Result<Self> {
        output.write_all(BYTE_ORDER_MARK.as_bytes())?;
        Self::begin(output)
    }

    /// Continues an output that has the header, at the end of its last line.
    pub fn without_header(output: W) -> Self {
        Self { output: StopAfterError::new(output), line: Line::default() }
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }
}

impl Csv<()> {
    /// Returns the header line, including its line end.
    #[must_use]
    pub fn header() -> String {
        header()
    }

    /// Returns the byte order mark and the header line, including its line end.
    #[must_use]
    pub fn header_for_excel() -> String {
        BYTE_ORDER_MARK.to_owned() + &header()
    }
}

impl<W: ResumableOutput> Csv<W> {
    /// Resumes an output from the resume point, and removes later rows.
    ///
    /// # Errors
    /// The output could not be truncated, it is shorter than at the resume point, or the resume
    /// point is of another format.
    pub fn resume(mut output: W, resume_point: ResumePoint) -> io::Result<Self> {
        resume_lines(&mut output, resume_point)?;
        Ok(Self::without_header(output))
    }
}

impl<W: Write> Sink for Csv<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.line.bytes.clear();
        for (column, value) in column_values(&Row::from(outcome)).iter().enumerate() {
            if column > 0 {
                self.line.push(1, Writer::delimiter);
            }
            self.line.push_value(value)?;
        }
        self.line.push(1, Writer::terminator);
        self.output.write_all(&self.line.bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: ResumableOutput> ResumableSink for Csv<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.output.attempt(checkpoint_lines)
    }
}

/// Returns the header line, including its line end.
fn header() -> String {
    COLUMNS.join(",") + "\n"
}

impl Line {
    fn push_value(&mut self, value: &ColumnValue<'_>) -> io::Result<()> {
        match value {
            ColumnValue::Empty => {}
            ColumnValue::Bool(value) => write!(self.bytes, "{value}")?,
            ColumnValue::Number(number) => write!(self.bytes, "{number}")?,
            ColumnValue::Milliseconds(number) => write!(self.bytes, "{number}")?,
            ColumnValue::Word(word) => self.push_field(word),
            ColumnValue::Text(text) => self.push_field(&escape_and_guard(text)),
            ColumnValue::Escaped(text) => self.push_field(&guard_formulas((*text).into())),
            ColumnValue::Json(json) => self.push_field(&guard_formulas(json.into())),
        }
        Ok(())
    }

    fn push_field(&mut self, field: &str) {
        // Every byte may be a quote, which is doubled.
        self.push(2 * field.len(), |writer, output| {
            let (result, _, written) = writer.field(field.as_bytes(), output);
            (result, written)
        });
    }

    /// Appends what `write` writes: at most `most` bytes and a quote at each end.
    fn push(
        &mut self,
        most: usize,
        write: impl FnOnce(&mut Writer, &mut [u8]) -> (WriteResult, usize),
    ) {
        let start = self.bytes.len();
        self.bytes.resize(start + most + 2, 0);
        let (result, written) = write(&mut self.writer, &mut self.bytes[start..]);
        debug_assert_eq!(result, WriteResult::InputEmpty);
        self.bytes.truncate(start + written);
    }
}

/// Escapes the text, so that it is one visible line, and guards formulas in it.
fn escape_and_guard(text: &str) -> Cow<'_, str> {
    let text: Cow<'_, str> =
        if is_plain(text) { text.into() } else { escape(text.as_bytes()).into() };
    guard_formulas(text)
}

/// Inserts an apostrophe before every formula in the text.
fn guard_formulas(text: Cow<'_, str>) -> Cow<'_, str> {
    if begins_formula(&text) || text.contains(';') { guarded(&text).into() } else { text }
}

/// Inserts an apostrophe before a formula at the start or after a semicolon. In many European locales
/// a spreadsheet starts a new cell at each semicolon, even within quotes.
fn guarded(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len() + 2);
    for (position, cell) in text.split(';').enumerate() {
        if position > 0 {
            guarded.push(';');
        }
        if begins_formula(cell.trim_start_matches([' ', '"'])) {
            guarded.push('\'');
        }
        guarded.push_str(cell);
    }
    guarded
}

/// Returns whether a spreadsheet takes the text for a formula (OWASP, CSV injection): by its first
/// character, which may be a full-width one. Tabs and line ends count, too.
fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        characters::is_hidden,
        outcome::{
            Identification, KexInit, KeyExchange, NameList, PortState, Reason, Software,
            TelnetOption, Verb,
        },
        sink::{
            first_error::tests::{FailsOnce, assert_earlier},
            samples,
        },
    };

    fn written(outcomes: &[Outcome]) -> String {
        let mut csv = Csv::begin(Vec::new()).expect("writing to a vector cannot fail");
        for outcome in outcomes {
            csv.write(outcome).expect("writing to a vector cannot fail");
        }
        text_of(&csv)
    }

    fn text_of(csv: &Csv<Vec<u8>>) -> String {
        String::from_utf8(csv.get_ref().clone()).expect("the rows are UTF-8")
    }

    /// Parses the rows as any reader of the format does.
    fn read(text: &str) -> Vec<Vec<String>> {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().expect("the file has a header"), &COLUMNS[..]);
        let rows = reader.records().map(|row| row.expect("every row has all columns"));
        rows.map(|row| row.iter().map(str::to_owned).collect()).collect()
    }

    fn field(outcome: &Outcome, column: &str) -> String {
        let [row] = <[_; 1]>::try_from(read(&written(std::slice::from_ref(outcome))))
            .expect("one outcome is one row");
        let at = COLUMNS.iter().position(|&one| one == column).expect("it is a column");
        row[at].clone()
    }

    #[test]
    fn row_is_one_line_and_absent_fields_are_empty() {
        let refused = samples::not_open(PortState::Closed, Reason::Refused);
        let text = written(&[refused, samples::unresolved()]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                Csv::header().trim_end(),
                "1,db.example,22,false,closed,refused,10.0.0.5,,,,,,,,,,,,,,,,,,,,,3,,1,\
                 2026-11-18T11:06:40.120Z,,,,,,,,,,,,,,",
                "1,db.example,22,false,unresolved,no-such-name,,,,,,,,,,,,,,,,,,,,,,,,0,\
                 2026-11-18T11:06:40.120Z,,,,,,,,,,,,,,",
            ]
        );
    }

    #[test]
    fn every_field_is_read_back() {
        let outcome = samples::everything();
        for (column, expected) in [
            ("banner", "SSH-2.0-OpenSSH_7.4 a comment"),
            ("kex_algorithms", "kex-a kex-b"),
            ("telnet_options", "will echo do terminal-type"),
            ("findings", "3des md5"),
            ("label", "core, \"sw1\""),
            ("connect_ms", "0.412"),
            ("rule", "identification"),
            ("os", "Debian 9"),
            ("fingerprint", "openssh-debian"),
        ] {
            assert_eq!(field(&outcome, column), expected);
        }
        let evidence: serde_json::Value =
            serde_json::from_str(&field(&outcome, "evidence")).expect("evidence is JSON");
        assert_eq!(evidence["parts"][0]["text"], "SSH-2.0-OpenSSH_7.4\r\n\u{1b}[2J");
        assert_eq!(field(&samples::binary(), "banner_base64"), "//sB");
    }

    #[test]
    fn untrusted_formulas_are_guarded_by_an_apostrophe() {
        for (banner, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("a;=1", "a;'=1"),
            ("a;b; \"=1", "a;b;' \"=1"),
            ("a=1-2", "a=1-2"),
        ] {
            assert_eq!(field(&samples::open(banner.as_bytes(), None), "banner"), expected);
        }
        let mut outcome = samples::unresolved();
        outcome.target = crate::Target::from(("-host", 22));
        outcome.target.label = Some("@label".into());
        assert_eq!(field(&outcome, "host"), "'-host");
        assert_eq!(field(&outcome, "label"), "'@label");
    }

    #[test]
    fn base64_that_begins_like_a_formula_is_guarded() {
        for first in 0xf8..=0xfb {
            let outcome = samples::open(&[first, 0xff, 0xff], None);
            let shown = field(&outcome, "banner_base64");
            assert!(shown.starts_with("'+"), "{shown}");
        }
    }

    #[test]
    fn identification_that_is_not_utf8_is_escaped_as_in_every_format() {
        let outcome = samples::no_utf8();
        assert_eq!(field(&outcome, "ssh_software"), r"Caf\xe9_1.2\\x");
        assert_eq!(field(&outcome, "ssh_comment"), r"'=\xff \x1b[2J");
    }

    #[test]
    fn output_that_has_the_header_gets_no_second_one() {
        let mut csv = Csv::without_header(Vec::new());
        csv.write(&samples::binary()).expect("writing to a vector cannot fail");
        let text = text_of(&csv);
        assert!(text.starts_with("1,db.example,") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn calls_after_an_error_fail_and_write_nothing() {
        let mut csv = Csv::without_header(FailsOnce::after(10));
        let error = csv.write(&samples::binary()).expect_err("there is room for ten bytes");
        assert_eq!(error.to_string(), "no room");
        assert_earlier(csv.write(&samples::binary()));
        assert_earlier(csv.flush());
        assert_earlier(csv.finish(&samples::ending()));
        assert_eq!(csv.get_ref().written.len(), 10);
    }

    /// Generates bytes, half of which begin like a formula, as text or in base64.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let starts =
            ["", "=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", ";=", "; \"+"];
        let start = prop_oneof![
            prop::sample::select(starts.to_vec()).prop_map(|start| start.as_bytes().to_vec()),
            (0xf8_u8..=0xfb).prop_map(|start| vec![start]),
        ];
        (start, any::<Vec<u8>>()).prop_map(|(start, rest)| [start, rest].concat())
    }

    fn string() -> impl Strategy<Value = String> {
        bytes().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Generates a list of names, some of which begin like a formula.
    fn names() -> impl Strategy<Value = NameList> {
        "[=+@;-]?[!-+.-~-]{1,9}(,[=+@-][!-+.-~-]{0,9}){0,2}"
            .prop_map(|names| NameList::parse(names.as_bytes()).expect("the names are printable"))
    }

    prop_compose! {
        /// Generates an outcome with arbitrary untrusted text in every field.
        fn untrusted_outcome()(
            (host, label, banner) in (string(), string(), bytes()),
            (protocol, software, comment) in (string(), bytes(), bytes()),
            [a, b, c, d] in [names(), names(), names(), names()],
            [e, f, g, h] in [names(), names(), names(), names()],
            (other_protocol, numbers) in (string(), any::<Vec<u8>>()),
            part in bytes(),
            (version, fingerprint) in (string(), string()),
        ) -> Outcome {
            let mut outcome = samples::everything();
            outcome.target = crate::Target::from((host, 22));
            outcome.target.label = Some(label.into());
            outcome.verdict.banner = banner;
            let details = outcome.verdict.details.as_mut().expect("the sample has details");
            let comment = Some(comment);
            details.identification = Some(Identification { protocol, software, comment });
            details.key_exchange = KeyExchange::Offered(Box::new(KexInit {
                kex: a,
                host_keys: b,
                ciphers_client_to_server: c,
                ciphers_server_to_client: d,
                macs_client_to_server: e,
                macs_server_to_client: f,
                compression_client_to_server: g,
                compression_server_to_client: h,
            }));
            let option = |number| TelnetOption { verb: Verb::Will, number };
            details.options = numbers.into_iter().map(option).collect();
            let version = Some(version);
            let named = Software { version, fingerprint, ..Software::default() };
            details.software = Some(Arc::new(named));
            details.protocol = Some(other_protocol);
            details.evidence.as_mut().expect("the sample has evidence").parts[0].bytes = part;
            outcome
        }
    }

    proptest! {
        #[test]
        fn no_field_begins_a_formula(outcome in untrusted_outcome()) {
            let rows = read(&written(&[outcome]));
            for (column, cell) in COLUMNS.into_iter().zip(&rows[0]) {
                prop_assert!(!begins_formula(cell), "{column}: {cell}");
                let mut parts = cell.split(';').skip(1);
                let is_formula = |part: &str| begins_formula(part.trim_start_matches([' ', '"']));
                prop_assert!(!parts.any(is_formula), "{column}: {cell}");
            }
        }

        #[test]
        fn untrusted_text_stays_on_one_line_and_is_complete(banner: String, label: String) {
            let mut outcome = samples::open(banner.as_bytes(), None);
            outcome.target.label = Some(label.as_str().into());
            let text = written(&[outcome.clone()]);
            prop_assert_eq!(text.lines().count(), 2);
            prop_assert!(!text.lines().any(|line| line.contains(is_hidden)));
            prop_assert!(!begins_formula(&field(&outcome, "banner")));
            let shown = field(&outcome, "label");
            prop_assert!(!begins_formula(&shown));
            prop_assert_eq!(shown.replace('\'', ""), escape(label.as_bytes()).replace('\'', ""));
        }
    }
}
