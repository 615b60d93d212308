//! Comma-separated values (RFC 4180), safe to open in a spreadsheet.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    io,
};

use super::{
    Ending, ResumePoint, Row, SeekableOutput, Sink,
    cells::{COLUMNS, Cell, cells},
    seekable,
    text::{escape, is_plain},
};
use crate::outcome::Outcome;

/// Bytes between two fields, or behind the last: the quote that closes the one before, and a comma
/// or the line's end.
const SEPARATOR_MAX: usize = 2;

/// Writes each outcome as one line of comma-separated values under a header.
///
/// The columns are the fields of a [`Row`], under their names in JSON and in the order there. What
/// is absent is empty, lists are joined by spaces, and the evidence is its JSON.
///
/// Invariant: a row is one line. Whatever can't be seen is written as [`escape`] writes it, and a
/// text that a spreadsheet would take for a formula stands behind an apostrophe.
#[derive(Debug)]
pub struct Csv<P> {
    place: P,
    line: Line,
}

impl<P: SeekableOutput> Csv<P> {
    /// Begins with the header.
    ///
    /// # Errors
    /// It could not be written.
    pub fn begin(mut place: P) -> io::Result<Self> {
        place.write_all(Self::header().as_bytes())?;
        Ok(Self::resume(place))
    }

    /// Goes on below the rows that are there, at the end of their last line.
    pub fn resume(place: P) -> Self {
        Self { place, line: Line::default() }
    }
}

impl<P> Csv<P> {
    /// The first line, with its end.
    #[must_use]
    pub fn header() -> String {
        COLUMNS.join(",") + "\n"
    }
}

impl<P: SeekableOutput> Sink for Csv<P> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.line.clear();
        for cell in cells(&Row::from(outcome)) {
            self.line.push(&cell);
        }
        self.place.write_all(self.line.end())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.place.flush()
    }

    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        seekable::checkpoint(&mut self.place)
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.place.flush()
    }
}

/// One line in the making.
#[derive(Default)]
struct Line {
    quoting: csv_core::Writer,
    bytes: Vec<u8>,
    number: String,
}

impl fmt::Debug for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Line").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Line {
    fn clear(&mut self) {
        self.bytes.clear();
    }

    fn push(&mut self, cell: &Cell<'_>) {
        if !self.bytes.is_empty() {
            self.with_room(SEPARATOR_MAX, |quoting, room| quoting.delimiter(room).1);
        }
        match cell {
            Cell::Empty => self.field(""),
            Cell::Truth(true) => self.field("true"),
            Cell::Truth(false) => self.field("false"),
            Cell::Word(word) => self.field(word),
            Cell::Text(text) => self.field(&harmless(text)),
            Cell::Spelled(text) => self.field(&without_formula((*text).into())),
            Cell::Json(json) => self.field(&without_formula(json.into())),
            Cell::Number(number) => self.number(number),
            Cell::Time(time) => self.number(time),
        }
    }

    fn number(&mut self, number: impl fmt::Display) {
        let mut text = std::mem::take(&mut self.number);
        text.clear();
        let _ = write!(text, "{number}");
        self.field(&text);
        self.number = text;
    }

    fn field(&mut self, text: &str) {
        // Each byte may be a quote, which is doubled, and two stand around them.
        let room = 2 * text.len() + 2;
        self.with_room(room, |quoting, room| quoting.field(text.as_bytes(), room).2);
    }

    /// The whole line.
    fn end(&mut self) -> &[u8] {
        self.with_room(SEPARATOR_MAX, |quoting, room| quoting.terminator(room).1);
        &self.bytes
    }

    /// Lets something be written of at most `room` bytes, which says how many they were.
    fn with_room(
        &mut self,
        room: usize,
        write: impl FnOnce(&mut csv_core::Writer, &mut [u8]) -> usize,
    ) {
        let end = self.bytes.len();
        self.bytes.resize(end + room, 0);
        let written = write(&mut self.quoting, &mut self.bytes[end..]);
        self.bytes.truncate(end + written);
    }
}

/// The text on one line, and nowhere a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    let text: Cow<'_, str> =
        if is_plain(text) { text.into() } else { escape(text.as_bytes()).into() };
    without_formula(text)
}

fn without_formula(text: Cow<'_, str>) -> Cow<'_, str> {
    if begins_formula(&text) || text.contains(';') { guarded(&text).into() } else { text }
}

/// An apostrophe in front of a formula, also of one behind a semicolon, which is where cells end
/// for the spreadsheets of half of Europe, whatever quotes stand around them.
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

/// Whether a spreadsheet takes it for a formula (OWASP, CSV injection): by the first character,
/// also a wide one. Tabs and line ends, which count too, are escaped before.
fn begins_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        characters::is_hidden,
        outcome::{
            Identification, KexInit, KeyExchange, NameList, PortState, Reason, TelnetOption, Verb,
        },
        sink::samples,
    };

    fn written(outcomes: &[Outcome]) -> String {
        let mut csv = Csv::begin(Vec::new()).expect("a vector takes everything");
        for outcome in outcomes {
            csv.write(outcome).expect("a vector takes everything");
        }
        String::from_utf8(csv.place).expect("it is text")
    }

    /// The fields of the rows, as any reader of the format takes them.
    fn read(text: &str) -> Vec<Vec<String>> {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().expect("there is a header"), &COLUMNS[..]);
        let rows = reader.records().map(|row| row.expect("as many fields as columns"));
        rows.map(|row| row.iter().map(str::to_owned).collect()).collect()
    }

    fn field(outcome: &Outcome, column: &str) -> String {
        let [row] = <[_; 1]>::try_from(read(&written(std::slice::from_ref(outcome))))
            .expect("one outcome is one row");
        let at = COLUMNS.iter().position(|&one| one == column).expect("it is a column");
        row[at].clone()
    }

    #[test]
    fn a_row_is_one_line_under_the_header_and_what_does_not_apply_is_empty() {
        let refused = samples::not_open(PortState::Closed, Reason::Refused);
        let text = written(&[refused, samples::unresolved()]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                Csv::<Vec<u8>>::header().trim_end(),
                "1,db.example,22,false,closed,refused,10.0.0.5,,,,,,,,,,,,,,,,,,,,,3,,1,\
                 2026-11-18T11:06:40.120Z,,",
                "1,db.example,22,false,unresolved,no-such-name,,,,,,,,,,,,,,,,,,,,,,,,0,\
                 2026-11-18T11:06:40.120Z,,",
            ]
        );
    }

    #[test]
    fn whatever_a_row_can_have_comes_back() {
        let outcome = samples::everything();
        for (column, expected) in [
            ("banner", "SSH-2.0-OpenSSH_7.4 a comment"),
            ("kex_algorithms", "kex-a kex-b"),
            ("telnet_options", "will echo do terminal-type"),
            ("findings", "3des md5"),
            ("label", "core, \"sw1\""),
            ("connect_ms", "0.412"),
            ("rule", "identification"),
        ] {
            assert_eq!(field(&outcome, column), expected);
        }
        let evidence: serde_json::Value =
            serde_json::from_str(&field(&outcome, "evidence")).expect("it is JSON");
        assert_eq!(evidence["parts"][0]["text"], "SSH-2.0-OpenSSH_7.4\r\n\u{1b}[2J");
        assert_eq!(field(&samples::binary(), "banner_base64"), "//sB");
    }

    #[test]
    fn no_spreadsheet_takes_a_strangers_text_for_a_formula() {
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
    fn base64_is_no_formula_either() {
        for first in 0xf8..=0xfb {
            let outcome = samples::open(&[first, 0xff, 0xff], None);
            let shown = field(&outcome, "banner_base64");
            assert!(shown.starts_with("'+"), "{shown}");
        }
    }

    #[test]
    fn identification_that_is_not_utf8_is_spelled_as_in_every_format() {
        let outcome = samples::no_utf8();
        assert_eq!(field(&outcome, "ssh_software"), r"Caf\xe9_1.2\\x");
        assert_eq!(field(&outcome, "ssh_comment"), r"'=\xff \x1b[2J");
    }

    #[test]
    fn rows_are_added_below_without_another_header() {
        let mut csv = Csv::resume(Vec::new());
        csv.write(&samples::binary()).expect("a vector takes everything");
        let text = String::from_utf8(csv.place).expect("it is text");
        assert!(text.starts_with("1,db.example,") && text.lines().count() == 1, "{text}");
    }

    /// Bytes of which every other text begins as a formula does, in itself or in base64.
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

    /// A list of names that begin in every way.
    fn names() -> impl Strategy<Value = NameList> {
        "[=+@;-]?[!-+.-~-]{1,9}(,[=+@-][!-+.-~-]{0,9}){0,2}"
            .prop_map(|names| NameList::parse(names.as_bytes()).expect("it is printable"))
    }

    prop_compose! {
        /// Everything that a stranger, or whoever wrote the list, can choose.
        fn chosen()(
            (host, label, banner) in (string(), string(), bytes()),
            (protocol, software, comment) in (string(), bytes(), bytes()),
            [a, b, c, d] in [names(), names(), names(), names()],
            [e, f, g, h] in [names(), names(), names(), names()],
            (named, numbers) in (string(), any::<Vec<u8>>()),
            said in bytes(),
        ) -> Outcome {
            let mut outcome = samples::everything();
            outcome.target = crate::Target::from((host, 22));
            outcome.target.label = Some(label.into());
            outcome.verdict.banner = banner;
            let details = outcome.verdict.details.as_mut().expect("it has everything");
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
            details.protocol = Some(named);
            details.evidence.as_mut().expect("it has everything").parts[0].bytes = said;
            outcome
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_no_cell_begins_a_formula(outcome in chosen()) {
            let rows = read(&written(&[outcome]));
            for (column, cell) in COLUMNS.into_iter().zip(&rows[0]) {
                prop_assert!(!begins_formula(cell), "{column}: {cell}");
                let mut parts = cell.split(';').skip(1);
                let is_formula = |part: &str| begins_formula(part.trim_start_matches([' ', '"']));
                prop_assert!(!parts.any(is_formula), "{column}: {cell}");
            }
        }

        #[test]
        fn a_strangers_text_stays_on_its_line_and_shows_all_it_has(banner: String, label: String) {
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
