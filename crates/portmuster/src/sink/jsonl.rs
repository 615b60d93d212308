//! JSON lines: one row a line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::{Ending, ResumePoint, Row, SeekableOutput, Sink, seekable};
use crate::characters::is_hidden;
use crate::outcome::Outcome;

mod plain;

/// Writes each outcome as one line of JSON: a [`Row`].
///
/// JSON itself only wants ASCII's controls escaped; here everything is that can't be seen, so
/// that a line may be shown on a terminal.
#[derive(Debug)]
pub struct Jsonl<P> {
    place: P,
    line: Vec<u8>,
}

impl<P: SeekableOutput> Jsonl<P> {
    /// Writes to `place`, a whole line at a time.
    pub fn new(place: P) -> Self {
        Self { place, line: Vec::new() }
    }
}

impl<P: SeekableOutput> Sink for Jsonl<P> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.line.clear();
        if plain::write(outcome, &mut self.line) {
            self.line.push(b'\n');
        } else {
            push_json_line(&mut self.line, &Row::from(outcome))?;
        }
        self.place.write_all(&self.line)
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

/// The value as JSON in which everything can be seen.
pub(super) fn visible(value: &impl Serialize) -> String {
    let mut json = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut json, Visible));
    written.expect("a vector takes everything, and rows have no keys but names");
    String::from_utf8(json).expect("JSON is UTF-8")
}

/// Appends the value as one line of JSON in which everything that can't be seen is escaped.
///
/// # Errors
/// The value can't be written as JSON.
pub(crate) fn push_json_line(line: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *line, Visible))?;
    line.push(b'\n');
    Ok(())
}

/// Compact JSON in which everything that can't be seen is escaped.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Most are; looking at bytes takes a quarter of what looking at letters does.
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((at, letter)) = rest.char_indices().find(|&(_, letter)| is_hidden(letter)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + letter.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::{
        outcome::{
            Evidence, Identification, KexInit, KeyExchange, NameList, Part, ServiceDetails, Side,
            Weakness,
        },
        sink::samples,
    };

    fn line(banner: &[u8]) -> String {
        line_with(banner, None)
    }

    fn line_with(banner: &[u8], details: Option<ServiceDetails>) -> String {
        let mut outcome = samples::open(banner, details);
        outcome.verdict.times.first_byte = None;
        let mut lines = Vec::new();
        Jsonl::new(&mut lines).write(&outcome).expect("a vector takes everything");
        String::from_utf8(lines).expect("JSON is UTF-8")
    }

    #[test]
    fn a_row_is_one_line_and_what_does_not_apply_is_absent() {
        assert_eq!(
            line(b"SSH-2.0-x"),
            concat!(
                r#"{"schema":1,"host":"db.example","port":22,"open":true,"state":"open","#,
                r#""reason":"accepted","address":"10.0.0.5","service":"ssh","#,
                r#""banner":"SSH-2.0-x","connect_ms":0.412,"total_ms":6.0,"attempts":1,"#,
                r#""time":"2026-11-18T11:06:40.120Z","rule":"identification"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn lists_are_arrays_and_evidence_is_text_or_base64() {
        let identification =
            Identification { protocol: "2.0".into(), software: "x".into(), comment: None };
        let kex = NameList::parse(b"b,a").expect("names are printable");
        let part = |side, bytes: &[u8]| Part {
            at: Duration::from_micros(412),
            side,
            bytes: bytes.to_vec(),
        };
        let details = ServiceDetails {
            identification: Some(identification),
            key_exchange: KeyExchange::Offered(Box::new(KexInit { kex, ..KexInit::default() })),
            findings: vec![Weakness::Ssh1, Weakness::TripleDes],
            evidence: Some(Evidence {
                parts: vec![part(Side::Server, b"SSH\r\n"), part(Side::Portmuster, b"\xff")],
                left_out: 3,
            }),
            ..ServiceDetails::default()
        };
        let line = line_with(b"SSH-2.0-x", Some(details));
        for expected in [
            r#""ssh_protocol":"2.0","ssh_software":"x","kex_algorithms":["b","a"],"#,
            r#""host_key_algorithms":[],"#,
            r#""findings":["ssh-1","3des"],"#,
            r#""evidence":{"rule":"identification","parts":["#,
            r#"{"at_ms":0.412,"side":"server","text":"SSH\r\n"},"#,
            r#"{"at_ms":0.412,"side":"portmuster","base64":"/w=="}],"left_out_bytes":3},"rule":"identification"}"#,
        ] {
            assert!(line.contains(expected), "{expected} in {line}");
        }
    }

    #[test]
    fn a_strangers_bytes_stay_on_their_line_and_come_back_whole() {
        let banner = "a\"\\\n\u{1b}]0;x\u{7f}\u{9b}\u{202e}\u{e0041}é";
        let line = line(banner.as_bytes());
        assert!(!line.trim_end().contains(is_hidden), "{line}");
        let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(row["banner"], banner);
    }

    #[test]
    fn identification_that_is_not_utf8_is_spelled_as_in_every_format() {
        let outcome = samples::no_utf8();
        let mut lines = Vec::new();
        Jsonl::new(&mut lines).write(&outcome).expect("a vector takes everything");
        let row: serde_json::Value = serde_json::from_slice(&lines).expect("JSON");
        assert_eq!(row["ssh_software"], r"Caf\xe9_1.2\\x");
        assert_eq!(row["ssh_comment"], r"=\xff \x1b[2J");
        assert_eq!(row["banner_base64"], STANDARD.encode(&outcome.verdict.banner));
    }

    #[test]
    fn what_is_no_text_goes_in_base64() {
        let row: serde_json::Value = serde_json::from_str(&line(b"\xff\xfb\x01")).expect("JSON");
        assert_eq!(row["banner_base64"], "//sB");
        assert_eq!(row.get("banner"), None);
    }
}
