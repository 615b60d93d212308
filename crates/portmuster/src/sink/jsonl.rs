//! JSON lines: one row per line.

use std::io::{self, Write};

use super::{
    first_error::StopAfterError,
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    json::push_json_line,
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
    row::Row,
};
use crate::outcome::Outcome;

/// Writes each outcome as one line of JSON: a [`Row`].
///
/// Invisible characters are escaped, so that a line is safe to show on a terminal.
///
/// ```
/// use portmuster::sink::{Jsonl, Sink};
///
/// let mut sink = Jsonl::new(std::io::stdout());
/// for outcome in portmuster::check_ports([("127.0.0.1", 1)]) {
///     sink.write(&outcome)?;
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Jsonl<W> {
    output: StopAfterError<W>,
    line: Vec<u8>,
}

impl<W: Write> Jsonl<W> {
    /// Creates a sink that writes to `output`, one whole line at a time.
    pub fn new(output: W) -> Self {
        Self { output: StopAfterError::new(output), line: Vec::new() }
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }
}

impl<W: ResumableOutput> Jsonl<W> {
    /// Resumes an output from the resume point, and removes later rows.
    ///
    /// # Errors
    /// The output could not be truncated, it is shorter than at the resume point, or the resume
    /// point is of another format.
    pub fn resume(mut output: W, resume_point: ResumePoint) -> io::Result<Self> {
        resume_lines(&mut output, resume_point)?;
        Ok(Self::new(output))
    }
}

impl<W: Write> Sink for Jsonl<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.line.clear();
        push_json_line(&mut self.line, &Row::from(outcome))?;
        self.output.write_all(&self.line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: ResumableOutput> ResumableSink for Jsonl<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.output.attempt(checkpoint_lines)
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
        sink::{
            first_error::tests::{FailsOnce, assert_earlier},
            samples,
        },
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
    fn resume_removes_rows_after_the_checkpoint() {
        let mut sink = Jsonl::new(Vec::new());
        sink.write(&samples::binary()).expect("writing to a vector cannot fail");
        let resume_point = sink.checkpoint().expect("a vector has a length");
        let rows = sink.get_ref().clone();
        sink.write(&samples::unresolved()).expect("writing to a vector cannot fail");

        let mut sink = Jsonl::resume(sink.get_ref().clone(), resume_point).expect("it is longer");
        assert_eq!(*sink.get_ref(), rows);
        sink.write(&samples::binary()).expect("writing to a vector cannot fail");
        assert_eq!(*sink.get_ref(), rows.repeat(2));
    }

    #[test]
    fn calls_after_an_error_fail_and_write_nothing() {
        let mut sink = Jsonl::new(FailsOnce::after(10));
        let error = sink.write(&samples::binary()).expect_err("there is room for ten bytes");
        assert_eq!(error.to_string(), "no room");
        assert_earlier(sink.write(&samples::binary()));
        assert_earlier(sink.flush());
        assert_earlier(sink.finish(&samples::ending()));
        assert_eq!(sink.get_ref().written.len(), 10);
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
