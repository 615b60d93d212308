//! JSON lines: one row per line.

use std::io;

use super::{
    interface::{Ending, ResumePoint, Sink},
    json::push_json_line,
    row::Row,
    seekable::{self, SeekableOutput},
};
use crate::outcome::Outcome;

/// Writes each outcome as one line of JSON: a [`Row`].
///
/// Invisible characters are escaped, so that a line is safe to show on a terminal.
#[derive(Debug)]
pub struct Jsonl<P> {
    output: P,
    line: Vec<u8>,
}

impl<P: SeekableOutput> Jsonl<P> {
    /// Creates a sink that writes to `output`, one whole line at a time.
    pub fn new(output: P) -> Self {
        Self { output, line: Vec::new() }
    }
}

impl<P: SeekableOutput> Sink for Jsonl<P> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.line.clear();
        push_json_line(&mut self.line, &Row::from(outcome))?;
        self.output.write_all(&self.line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        seekable::checkpoint(&mut self.output)
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::STANDARD};

    use super::*;
    use crate::{
        characters::is_hidden,
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
        Jsonl::new(&mut lines).write(&outcome).expect("writing to a vector cannot fail");
        String::from_utf8(lines).expect("JSON is UTF-8")
    }

    #[test]
    fn row_is_one_line_without_absent_fields() {
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
    fn untrusted_text_stays_on_one_line_and_is_read_back() {
        let banner = "a\"\\\n\u{1b}]0;x\u{7f}\u{9b}\u{202e}\u{e0041}é";
        let line = line(banner.as_bytes());
        assert!(!line.trim_end().contains(is_hidden), "{line}");
        let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(row["banner"], banner);
    }

    #[test]
    fn identification_that_is_not_utf8_is_escaped_as_in_every_format() {
        let outcome = samples::no_utf8();
        let mut lines = Vec::new();
        Jsonl::new(&mut lines).write(&outcome).expect("writing to a vector cannot fail");
        let row: serde_json::Value = serde_json::from_slice(&lines).expect("JSON");
        assert_eq!(row["ssh_software"], r"Caf\xe9_1.2\\x");
        assert_eq!(row["ssh_comment"], r"=\xff \x1b[2J");
        assert_eq!(row["banner_base64"], STANDARD.encode(&outcome.verdict.banner));
    }

    #[test]
    fn banner_that_is_not_utf8_is_base64() {
        let row: serde_json::Value = serde_json::from_str(&line(b"\xff\xfb\x01")).expect("JSON");
        assert_eq!(row["banner_base64"], "//sB");
        assert_eq!(row.get("banner"), None);
    }
}
