//! Reads our own fingerprints, which are part of the program.
//!
//! A paragraph is a fingerprint: its name, then lines of a key and its value. `fingerprints/ssh.txt`
//! describes the keys.

use super::{
    patterns::Patterns,
    statement::{FingerprintTable, Statement, Template},
};

/// A fingerprint of a table of our own.
#[derive(Debug, Default)]
pub(super) struct OwnFingerprint {
    pub(super) pattern: String,
    pub(super) statement: Statement,
    pub(super) source: &'static str,
    pub(super) examples: Vec<&'static str>,
}

/// The fingerprints of a table.
#[derive(Debug)]
pub(super) struct OwnFingerprints(pub(super) Vec<OwnFingerprint>);

/// Parses a table.
///
/// # Panics
/// It has a line without a known key. A test parses every table.
pub(super) fn parse(text: &'static str) -> OwnFingerprints {
    let paragraphs = text.split("\n\n").filter_map(|paragraph| {
        let mut lines = paragraph.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let name = lines.next()?.to_owned();
        let statement = Statement { name, ..Statement::default() };
        let fingerprint = OwnFingerprint { statement, ..OwnFingerprint::default() };
        Some(lines.fold(fingerprint, OwnFingerprint::with_line))
    });
    OwnFingerprints(paragraphs.collect())
}

impl OwnFingerprint {
    fn with_line(mut self, line: &'static str) -> Self {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let statement = &mut self.statement;
        let template = match key {
            "pattern" => {
                value.clone_into(&mut self.pattern);
                return self;
            }
            "source" => {
                self.source = value;
                return self;
            }
            "example" => {
                self.examples.push(value);
                return self;
            }
            "vendor" => &mut statement.vendor,
            "product" => &mut statement.product,
            "version" => &mut statement.version,
            "os" => &mut statement.os,
            "device" => &mut statement.device,
            "cpe" => &mut statement.cpe,
            _ => panic!("{}: a fingerprint has no key {key:?}", statement.name),
        };
        *template = Template::parse(value);
        self
    }
}

impl From<OwnFingerprints> for FingerprintTable {
    fn from(fingerprints: OwnFingerprints) -> Self {
        let all = fingerprints.0.into_iter().map(|it| (it.pattern, it.statement));
        let (patterns, statements) = all.unzip();
        Self::new(Patterns::known(patterns), statements)
    }
}
