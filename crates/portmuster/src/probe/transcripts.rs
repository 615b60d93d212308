//! Runs the transcripts in `tests/transcripts/`: bytes from servers, and the expected judgement.
//!
//! Each is run whole, byte by byte, and split at every position. The judgement must be the same,
//! except that bytes after a prompt may be missing, because the probe does not wait for them.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;

use super::{EndOfInput, Judgement, Probe, ProbeStep};
use crate::{config::Probing, outcome::Weakness};

/// Minimum number of transcripts of real servers.
const REAL_MIN: usize = 60;
/// Limit of the positions at which one transcript is split, spread over its length.
const SPLITS_MAX: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TranscriptFile {
    transcript: Vec<Transcript>,
}

/// The bytes from one server, and the expected judgement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transcript {
    name: String,
    source: String,
    #[serde(default)]
    odd: bool,
    server: Vec<String>,
    ends: TranscriptEnd,
    expect: ExpectedJudgement,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TranscriptEnd {
    Quiet,
    Closed,
    Deadline,
}

/// The expected judgement. Absent fields are not compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedJudgement {
    service: String,
    rule: Option<String>,
    protocol: Option<String>,
    software: Option<String>,
    comment: Option<String>,
    plain: Option<String>,
    options: Option<Vec<String>>,
    findings: Option<Vec<String>>,
    banner: Option<String>,
}

/// Reads all transcripts.
pub(crate) fn all() -> Vec<Transcript> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder of transcripts exists")
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files.iter().flat_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<Transcript> {
    let text = fs::read_to_string(path).expect("a transcript is text");
    let file = toml::from_str(&text).map(|TranscriptFile { transcript }| transcript);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Transcript {
    /// Returns the bytes from the server.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let server = self.server.concat();
        parse_escapes(&server).unwrap_or_else(|| panic!("{}: invalid escape sequence", self.name))
    }

    /// Returns whether the server speaks ssh or telnet, or its text looks like that of one.
    pub(crate) fn is_of_ssh_or_telnet(&self) -> bool {
        let is_made_to_mislead = self.source.starts_with("made to look like another protocol");
        let services = ["ssh", "telnet"];
        let is_either = services.iter().any(|service| self.expect.service.starts_with(service));
        is_either && !is_made_to_mislead
    }

    /// Returns whether the server speaks a protocol that a rule names.
    pub(crate) fn is_of_another_protocol(&self) -> bool {
        self.expect.service == "other"
    }

    fn end(&self) -> EndOfInput {
        match self.ends {
            TranscriptEnd::Quiet => EndOfInput::Quiet,
            TranscriptEnd::Closed => EndOfInput::Closed,
            TranscriptEnd::Deadline => EndOfInput::Deadline,
        }
    }

    /// Judges the parts, received one after another.
    fn judge(&self, parts: &[&[u8]]) -> Judgement {
        let mut probe = Probe::new(Probing::KeyExchange);
        for part in parts {
            if let ProbeStep::Judged(judgement) = probe.receive(part) {
                return judgement;
            }
        }
        probe.finish(self.end())
    }

    /// Describes the differences from the expected judgement.
    fn differences(&self, judgement: &Judgement) -> Vec<String> {
        let Judgement { service, rule, banner, details } = judgement;
        let details = details.clone().unwrap_or_default();
        let identification = details.identification.as_ref();
        let join = |list: Vec<String>| list.join(", ");
        let options = details.options.iter().map(ToString::to_string).collect();
        let findings = details.findings.iter().map(ToString::to_string).collect();
        let expect = &self.expect;
        let fields = [
            ("service", Some(expect.service.clone()), service.to_string()),
            ("rule", expect.rule.clone(), rule.to_string()),
            ("protocol", expect.protocol.clone(), text(identification.map(|it| &it.protocol))),
            ("software", expect.software.clone(), text(identification.map(|it| &it.software))),
            (
                "comment",
                expect.comment.clone(),
                text(identification.and_then(|it| it.comment.as_ref())),
            ),
            ("plain", expect.plain.clone(), text(details.protocol.as_ref())),
            ("options", expect.options.clone().map(join), join(options)),
            ("findings", expect.findings.clone().map(join), join(findings)),
            ("banner", expect.banner.clone(), String::from_utf8_lossy(banner).into_owned()),
        ];
        let differs = |(field, expected, found): (&str, Option<String>, String)| {
            let expected = expected.filter(|expected| *expected != found)?;
            Some(format!("{}: {field} is {found:?}, not {expected:?}", self.name))
        };
        fields.into_iter().filter_map(differs).collect()
    }

    /// Returns whether the judgements differ only by bytes after a prompt.
    fn agrees(whole: &Judgement, split: &Judgement) -> bool {
        let mut details = split.details.clone().unwrap_or_default();
        let mut all = whole.details.clone().unwrap_or_default();
        let has_no_other_options = all.options.starts_with(&details.options);
        (details.options, all.options) = (Vec::new(), Vec::new());
        split.service == whole.service
            && details == all
            && has_no_other_options
            && whole.banner.starts_with(&split.banner)
    }
}

fn text(field: Option<&impl AsRef<[u8]>>) -> String {
    field.map(|field| String::from_utf8_lossy(field.as_ref()).into_owned()).unwrap_or_default()
}

/// Parses the escape sequences in a string; `None` if one is invalid.
fn parse_escapes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'e' => 0x1b,
            b'\\' => b'\\',
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

#[test]
fn escape_sequences_are_parsed() {
    assert_eq!(parse_escapes(r"a\r\n\t\0\e\\\xfFz").as_deref(), Some(&b"a\r\n\t\0\x1b\\\xffz"[..]));
    for broken in [r"\q", r"\x1", r"\", r"\xzz"] {
        assert_eq!(parse_escapes(broken), None, "{broken}");
    }
}

#[test]
fn transcripts_lead_to_the_expected_judgement() {
    let differences: Vec<_> = all()
        .iter()
        .flat_map(|transcript| transcript.differences(&transcript.judge(&[&transcript.bytes()])))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn split_transcripts_lead_to_the_same_judgement() {
    for transcript in all() {
        let bytes = transcript.bytes();
        let whole = transcript.judge(&[&bytes]);
        let single: Vec<_> = bytes.chunks(1).collect();
        let split = transcript.judge(&single);
        assert!(Transcript::agrees(&whole, &split), "{}: {whole:?} {split:?}", transcript.name);
        for position in (0..bytes.len()).step_by(1 + bytes.len() / SPLITS_MAX) {
            let (front, back) = bytes.split_at(position);
            let split = transcript.judge(&[front, back]);
            let agrees = Transcript::agrees(&whole, &split);
            assert!(agrees, "{} at {position}: {whole:?} {split:?}", transcript.name);
        }
    }
}

#[test]
fn each_transcript_has_a_source_and_a_unique_name() {
    let transcripts = all();
    let names: BTreeSet<_> = transcripts.iter().map(|transcript| &transcript.name).collect();
    assert_eq!(names.len(), transcripts.len(), "a name occurs twice");
    for transcript in &transcripts {
        assert!(!transcript.source.trim().is_empty(), "{} has no source", transcript.name);
        for finding in transcript.expect.findings.iter().flatten() {
            let is_known = Weakness::ALL.iter().any(|weakness| weakness.name() == finding);
            assert!(is_known, "{}: {finding} is not a finding", transcript.name);
        }
    }
    let real = transcripts.iter().filter(|transcript| !transcript.odd).count();
    assert!(real >= REAL_MIN, "{real} real greetings are fewer than {REAL_MIN}");
}
