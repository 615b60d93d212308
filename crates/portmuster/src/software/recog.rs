//! Reads fingerprints in the format of the [Recog](https://github.com/rapid7/recog) project.
//!
//! A folder has an XML file for each kind of banner. Those of ssh and telnet are read, and the others
//! are ignored. Patterns have the syntax of Ruby, in which `^` and `$` match at every line.
//!
//! Invariant: the memory of each file and each pattern is bounded.

use std::{
    fmt, fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use self::params::Params;
use super::{
    banner::BannerKind,
    patterns::Patterns,
    statement::{FingerprintTable, Statement},
};
use crate::{fingerprint::Fingerprint as Digest, sink::shorten};

mod params;

/// Limit of the size of a file, in bytes. The largest of Recog has 400 KiB.
const FILE_MAX: u64 = 8 << 20;
/// Limit of the fingerprints of a file. The largest of Recog has 700.
const FINGERPRINTS_MAX: usize = 10_000;
/// Limit of the files of a folder. Recog has 50.
const FILES_MAX: usize = 1_000;
/// Limit of the length of a pattern in an error, in columns.
const PATTERN_COLUMNS: usize = 60;
/// Limit of the length of a description in the name of a fingerprint, in characters.
const DESCRIPTION_MAX: usize = 120;

/// Fingerprints of Recog can't be read.
#[derive(Debug)]
pub struct RecogError {
    /// The folder or the file.
    path: PathBuf,
    kind: RecogErrorKind,
}

#[derive(Debug)]
enum RecogErrorKind {
    /// The folder or the file can't be read.
    Read(io::Error),
    /// The folder has no fingerprints of ssh or telnet banners.
    NoFingerprints,
    /// The folder has more files than [`FILES_MAX`].
    ManyFiles,
    /// A file is larger than [`FILE_MAX`].
    LargeFile,
    /// What is wrong, and in which line, from 1. `None`: in the whole file.
    Invalid { line: Option<usize>, why: String },
}

impl fmt::Display for RecogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            RecogErrorKind::Read(_) => write!(formatter, "reading fingerprints of Recog in {path}"),
            RecogErrorKind::NoFingerprints => write!(
                formatter,
                "{path} has no fingerprints of ssh or telnet banners: give the directory xml of \
                 github.com/rapid7/recog"
            ),
            RecogErrorKind::ManyFiles => write!(
                formatter,
                "{path} has more than {FILES_MAX} XML files: give the directory xml of \
                 github.com/rapid7/recog"
            ),
            RecogErrorKind::LargeFile => {
                write!(formatter, "{path} is larger than {} MiB", FILE_MAX >> 20)
            }
            RecogErrorKind::Invalid { line: Some(line), why } => {
                write!(formatter, "{path}, line {line}: {why}")
            }
            RecogErrorKind::Invalid { line: None, why } => write!(formatter, "{path}: {why}"),
        }
    }
}

impl RecogError {
    /// Returns the folder or the file that can't be read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl std::error::Error for RecogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            RecogErrorKind::Read(error) => Some(error),
            _ => None,
        }
    }
}

/// The fingerprints of a folder.
#[derive(Debug, Default)]
pub(super) struct RecogFiles {
    pub(super) ssh: FingerprintTable,
    pub(super) telnet: FingerprintTable,
    /// The files with these fingerprints.
    pub(super) paths: Vec<PathBuf>,
    /// A hash of their content.
    pub(super) digest: u64,
}

/// Reads the fingerprints of ssh and telnet banners in a folder.
///
/// # Errors
/// As for [`Fingerprints::with_recog`](super::fingerprints::Fingerprints::with_recog).
pub(super) fn read(folder: &Path) -> Result<RecogFiles, RecogError> {
    let (mut digest, mut paths) = (Digest::default(), Vec::new());
    let (mut ssh, mut telnet) = (RecogList::default(), RecogList::default());
    for path in xml_files(folder)? {
        let text = read_file(&path)?;
        let invalid = |(line, why)| RecogError {
            path: path.clone(),
            kind: RecogErrorKind::Invalid { line: Some(line), why },
        };
        let Some((kind, fingerprints)) = parse(&text).map_err(invalid)? else { continue };
        digest.add(text.as_bytes());
        let list = if kind == BannerKind::Ssh { &mut ssh } else { &mut telnet };
        list.0.extend(fingerprints.into_iter().map(|it| (path.clone(), it)));
        paths.push(path);
    }
    if ssh.0.is_empty() && telnet.0.is_empty() {
        let kind = RecogErrorKind::NoFingerprints;
        return Err(RecogError { path: folder.to_owned(), kind });
    }
    let (ssh, telnet) = (ssh.compile(folder)?, telnet.compile(folder)?);
    Ok(RecogFiles { ssh, telnet, paths, digest: digest.sum() })
}

/// Returns the XML files of a folder, by name.
fn xml_files(folder: &Path) -> Result<Vec<PathBuf>, RecogError> {
    let failed = |kind| RecogError { path: folder.to_owned(), kind };
    let entries = fs::read_dir(folder).map_err(|error| failed(RecogErrorKind::Read(error)))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(RecogErrorKind::Read(error)))?.path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(failed(RecogErrorKind::ManyFiles));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read_file(path: &Path) -> Result<String, RecogError> {
    let failed = |kind| RecogError { path: path.to_owned(), kind };
    let read = || -> io::Result<Option<String>> {
        let mut text = String::new();
        // A pipe would block.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let length = fs::File::open(path)?.take(FILE_MAX + 1).read_to_string(&mut text)?;
        Ok((length as u64 <= FILE_MAX).then_some(text))
    };
    let text = read().map_err(|error| failed(RecogErrorKind::Read(error)))?;
    text.ok_or_else(|| failed(RecogErrorKind::LargeFile))
}

/// The fingerprints of one kind of banner, each with its file.
#[derive(Debug, Default)]
struct RecogList(Vec<(PathBuf, RecogFingerprint)>);

impl RecogList {
    fn compile(self, folder: &Path) -> Result<FingerprintTable, RecogError> {
        let patterns = self.0.iter().map(|(_, it)| it.pattern.clone()).collect();
        let patterns = Patterns::compile(patterns).map_err(|(index, why)| {
            let Some(index) = index else {
                let why = format!("the patterns together are too large: {why}");
                let kind = RecogErrorKind::Invalid { line: None, why };
                return RecogError { path: folder.to_owned(), kind };
            };
            let (path, RecogFingerprint { line, .. }) = &self.0[index];
            let translated = &self.0[index].1.pattern;
            // The flags at the start are not in the file.
            let pattern = translated.split_once(')').map_or(&**translated, |(_, pattern)| pattern);
            let pattern = shorten(pattern, PATTERN_COLUMNS);
            let why = format!("the pattern {pattern} is not valid: {why}");
            let kind = RecogErrorKind::Invalid { line: Some(*line), why };
            RecogError { path: path.clone(), kind }
        })?;
        let statements = self.0.into_iter().map(|(_, it)| it.statement).collect();
        Ok(FingerprintTable::new(patterns, statements))
    }
}

/// A fingerprint of a file.
#[derive(Debug)]
pub(super) struct RecogFingerprint {
    /// The pattern in the syntax of the crate `regex`.
    pub(super) pattern: String,
    /// The line of the pattern in its file, from 1.
    line: usize,
    pub(super) statement: Statement,
}

/// What is wrong with a file, and in which line.
type ParseError = (usize, String);

/// Parses a file; `None`: it has no fingerprints of ssh or telnet banners.
fn parse(text: &str) -> Result<Option<(BannerKind, Vec<RecogFingerprint>)>, ParseError> {
    let mut file = FileReader { reader: Reader::from_str(text), text };
    let Some(kind) = file.banner_kind()? else { return Ok(None) };
    let mut fingerprints = Vec::new();
    loop {
        match file.next()? {
            Event::Start(element) if element.name().as_ref() == "fingerprint" => {
                fingerprints.push(file.fingerprint(&element)?);
            }
            Event::End(element) if element.name().as_ref() == "fingerprints" => break,
            Event::Eof => return Err(file.error("the file ends within its fingerprints")),
            _ => {}
        }
        if fingerprints.len() > FINGERPRINTS_MAX {
            let why = format!("the file has more than {FINGERPRINTS_MAX} fingerprints");
            return Err(file.error(why));
        }
    }
    file.expect_end()?;
    Ok(Some((kind, fingerprints)))
}

struct FileReader<'a> {
    reader: Reader<&'a [u8]>,
    text: &'a str,
}

impl<'a> FileReader<'a> {
    fn next(&mut self) -> Result<Event<'a>, ParseError> {
        let event = self.reader.read_event();
        let event = event.map_err(|error| self.broken(&error))?;
        if let Event::Start(element) | Event::Empty(element) = &event {
            for attribute in element.attributes() {
                attribute.map_err(|error| self.broken(&error))?;
            }
        }
        Ok(event)
    }

    /// Reads what follows the root element: only comments, instructions and white space may.
    fn expect_end(&mut self) -> Result<(), ParseError> {
        loop {
            match self.next()? {
                Event::Eof => return Ok(()),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Text(text) if text.trim_ascii().is_empty() => {}
                _ => return Err(self.error("broken XML: something follows the fingerprints")),
            }
        }
    }

    fn broken(&self, error: &dyn fmt::Display) -> ParseError {
        self.error(format!("broken XML: {error}"))
    }

    fn error(&self, why: impl Into<String>) -> ParseError {
        (self.line(), why.into())
    }

    /// Returns the current line, from 1.
    fn line(&self) -> usize {
        let position = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        let read = &self.text.as_bytes()[..position.min(self.text.len())];
        1 + memchr::memchr_iter(b'\n', read).count()
    }

    /// Reads the root element; `None`: the file has other fingerprints, or none.
    fn banner_kind(&mut self) -> Result<Option<BannerKind>, ParseError> {
        let root = loop {
            match self.next()? {
                Event::Start(root) => break root,
                Event::Empty(_) | Event::Eof => return Ok(None),
                _ => {}
            }
        };
        if root.name().as_ref() != "fingerprints" {
            return Ok(None);
        }
        let matches = self.attribute(&root, "matches")?;
        let protocol = self.attribute(&root, "protocol")?;
        Ok(match (matches.as_deref(), protocol.as_deref()) {
            (Some("ssh.banner"), _) | (None, Some("ssh")) => Some(BannerKind::Ssh),
            (Some("telnet.banner"), _) | (None, Some("telnet")) => Some(BannerKind::Telnet),
            _ => None,
        })
    }

    /// Reads a fingerprint after its start.
    fn fingerprint(&mut self, start: &BytesStart<'_>) -> Result<RecogFingerprint, ParseError> {
        let line = self.line();
        let pattern = self.attribute(start, "pattern")?;
        let pattern = pattern.ok_or_else(|| self.error("a fingerprint has no pattern"))?;
        let flags = self.attribute(start, "flags")?.unwrap_or_default();
        let (mut description, mut params) = (String::new(), Params::default());
        loop {
            match self.next()? {
                Event::Start(element) if element.name().as_ref() == "description" => {
                    description = self.element_text("description")?;
                }
                Event::Start(param) | Event::Empty(param) if param.name().as_ref() == "param" => {
                    self.param(&param, &mut params)?;
                }
                Event::End(element) if element.name().as_ref() == "fingerprint" => break,
                Event::Eof => return Err(self.error("the file ends within a fingerprint")),
                _ => {}
            }
        }
        let words: Vec<_> = description.split_whitespace().collect();
        let description = words.join(" ").chars().take(DESCRIPTION_MAX).collect::<String>();
        let statement = params.statement(format!("recog: {description}"));
        Ok(RecogFingerprint { pattern: translate(&pattern, &flags), line, statement })
    }

    fn param(&self, element: &BytesStart<'_>, params: &mut Params) -> Result<(), ParseError> {
        let attribute = |name| self.attribute(element, name);
        let (name, position, value) = (attribute("name")?, attribute("pos")?, attribute("value")?);
        let (Some(name), Some(position)) = (name, position) else {
            return Err(self.error("a param has no name or no pos"));
        };
        let Ok(position) = position.parse() else {
            return Err(self.error(format!("the pos of a param is no number: {position:?}")));
        };
        params.add(name, position, value.unwrap_or_default());
        Ok(())
    }

    /// Returns the value of an attribute; `None`: the element does not have it.
    fn attribute(
        &self,
        element: &BytesStart<'_>,
        name: &str,
    ) -> Result<Option<String>, ParseError> {
        let found = element.try_get_attribute(name).map_err(|error| self.broken(&error))?;
        let Some(found) = found else { return Ok(None) };
        let value =
            found.normalized_value(XmlVersion::Implicit1_0).map_err(|error| self.broken(&error))?;
        Ok(Some(value.into_owned()))
    }

    /// Returns the text up to the end of the element, without its references.
    fn element_text(&mut self, name: &str) -> Result<String, ParseError> {
        let mut text = String::new();
        loop {
            match self.next()? {
                Event::Text(part) => text.push_str(&part),
                Event::End(element) if element.name().as_ref() == name => return Ok(text),
                Event::Eof => return Err(self.error("the file ends within a text")),
                _ => {}
            }
        }
    }
}

/// Translates a pattern with its flags to the syntax of the crate `regex`.
///
/// In Ruby `^` and `$` match at every line, and the flags that Recog calls `REG_MULTILINE` and
/// `REG_DOT_NEWLINE` make `.` match a line feed (`lib/recog/fingerprint/regexp_factory.rb`).
fn translate(pattern: &str, flags: &str) -> String {
    let mut letters = String::from("m");
    for flag in flags.split([',', ' ']) {
        match flag {
            "REG_MULTILINE" | "REG_DOT_NEWLINE" => letters.push('s'),
            "REG_ICASE" => letters.push('i'),
            _ => {}
        }
    }
    format!("(?{letters}){pattern}")
}

#[cfg(test)]
mod tests;
