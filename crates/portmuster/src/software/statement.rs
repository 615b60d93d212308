//! What a fingerprint says: texts into which groups of its pattern are inserted.

use std::fmt::Write;

use regex::bytes::Captures;

use super::patterns::Patterns;
use crate::{outcome::Software, sink::escape};

/// A fingerprint without its pattern.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    pub(super) name: String,
    pub(super) vendor: Template,
    pub(super) product: Template,
    pub(super) version: Template,
    pub(super) os: Template,
    pub(super) device: Template,
    pub(super) cpe: Template,
}

/// A text with places for groups of the pattern; empty: the fingerprint does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Piece>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The text itself.
    Text(String),
    /// The text of the group with this number.
    Group(usize),
}

/// How the text of a group is inserted.
#[derive(Debug, Clone, Copy)]
enum Insertion {
    /// As it is, or [escaped](escape) if it is not UTF-8.
    Plain,
    /// As a component of a CPE in the form of a URI: other characters are percent-encoded, and an empty
    /// text is `-`, which stands for "not applicable" (NISTIR 7695 §6.1.2).
    Cpe,
}

/// Fingerprints in their order.
#[derive(Debug)]
pub(super) struct FingerprintTable {
    patterns: Patterns,
    statements: Vec<Statement>,
}

impl Default for FingerprintTable {
    fn default() -> Self {
        Self::new(Patterns::known(Vec::new()), Vec::new())
    }
}

impl FingerprintTable {
    /// Creates a table of one pattern for each statement.
    pub(super) fn new(patterns: Patterns, statements: Vec<Statement>) -> Self {
        Self { patterns, statements }
    }

    /// Returns what the first fingerprint that matches says; `None`: none matches, or it says nothing.
    pub(super) fn identify(&self, banner: &[u8]) -> Option<Software> {
        let (index, groups) = self.patterns.first_match(banner)?;
        let software = self.statements[index].software(&groups);
        (software.facts() > 0).then_some(software)
    }

    /// Returns the fingerprints without their patterns.
    #[cfg(test)]
    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

impl Statement {
    pub(super) fn software(&self, groups: &Captures<'_>) -> Software {
        let text = |template: &Template| template.expand(groups, Insertion::Plain);
        Software {
            vendor: text(&self.vendor),
            product: text(&self.product),
            version: text(&self.version),
            os: text(&self.os),
            device: text(&self.device),
            cpe: self.cpe.expand(groups, Insertion::Cpe),
            fingerprint: self.name.clone(),
        }
    }
}

impl Template {
    /// Parses a text in which `$1` stands for the first group, up to `$9`.
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = text.split('$');
        let first = parts.next().unwrap_or_default();
        let mut pieces = vec![Piece::Text(first.to_owned())];
        for part in parts {
            let number = part.get(..1).and_then(|digit| digit.parse().ok());
            match number {
                Some(number) => {
                    pieces.extend([Piece::Group(number), Piece::Text(part[1..].to_owned())]);
                }
                None => pieces.push(Piece::Text(format!("${part}"))),
            }
        }
        Self(pieces)
    }

    /// Returns the text without white space at its ends; `None` if nothing is left.
    fn expand(&self, groups: &Captures<'_>, insertion: Insertion) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Group(number) => {
                    let group = groups.get(*number).map_or(&b""[..], |group| group.as_bytes());
                    insertion.push(&mut text, group);
                }
            }
        }
        let text = text.trim();
        let end = text.floor_char_boundary(Software::TEXT_MAX);
        (!text.is_empty()).then(|| text[..end].to_owned())
    }
}

impl Insertion {
    fn push(self, text: &mut String, group: &[u8]) {
        match self {
            Self::Plain => match str::from_utf8(group) {
                Ok(group) => text.push_str(group),
                Err(_) => text.push_str(&escape(group)),
            },
            Self::Cpe if group.is_empty() => text.push('-'),
            Self::Cpe => group.iter().for_each(|&byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                    text.push(char::from(byte));
                }
                _ => {
                    let _ = write!(text, "%{byte:02x}");
                }
            }),
        }
    }
}
