//! A list of patterns, of which the first that matches counts.

use std::sync::OnceLock;

use regex::bytes::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Limit of the memory of one compiled pattern, in bytes. The largest of Recog takes a tenth of it.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Limit of the memory of all patterns of a list compiled together, in bytes.
const LIST_BYTES_MAX: usize = 32 << 20;
/// Limit of the memory that a search in all patterns of a list caches, in bytes.
const CACHE_BYTES_MAX: usize = 8 << 20;
/// Limit of how deeply groups of a pattern are nested.
const NESTING_MAX: u32 = 32;

/// Patterns over bytes, in their order. Letters, digits and white space are those of ASCII.
///
/// The set of all patterns finds the first one that matches in one pass over the text; only this one is
/// then matched for its groups.
#[derive(Debug)]
pub(super) struct Patterns {
    texts: Vec<String>,
    set: OnceLock<RegexSet>,
    regexes: Vec<OnceLock<Regex>>,
}

impl Patterns {
    /// Takes patterns that are known to be valid. They are compiled when they are needed.
    pub(super) fn known(texts: Vec<String>) -> Self {
        let regexes = texts.iter().map(|_| OnceLock::new()).collect();
        Self { texts, set: OnceLock::new(), regexes }
    }

    /// Compiles patterns that may be invalid.
    ///
    /// # Errors
    /// One is invalid or too large: its place, and what is wrong with it. The place is `None` if each is
    /// valid, but all of them together are too large.
    pub(super) fn compile(texts: Vec<String>) -> Result<Self, (Option<usize>, String)> {
        let regexes = texts.iter().enumerate().map(|(index, text)| {
            let regex = regex(text).map_err(|error| (Some(index), reason(&error)))?;
            Ok(OnceLock::from(regex))
        });
        let regexes = regexes.collect::<Result<_, _>>()?;
        let set = set(&texts).map_err(|error| (None, reason(&error)))?;
        Ok(Self { texts, set: OnceLock::from(set), regexes })
    }

    /// Returns the place of the first pattern that matches, and its groups.
    pub(super) fn first_match<'a>(&self, banner: &'a [u8]) -> Option<(usize, Captures<'a>)> {
        const VALID: &str = "the patterns were compiled before, or a test compiles them";

        if self.texts.is_empty() {
            return None;
        }
        let set = self.set.get_or_init(|| set(&self.texts).expect(VALID));
        let index = set.matches(banner).iter().next()?;
        let regex = self.regexes[index].get_or_init(|| regex(&self.texts[index]).expect(VALID));
        Some((index, regex.captures(banner)?))
    }
}

/// Returns what is wrong, in one line: the crate draws the place of a syntax error in the lines before it.
fn reason(error: &regex::Error) -> String {
    let message = error.to_string();
    let last = message.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

fn regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(PATTERN_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
}

fn set(texts: &[String]) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(texts)
        .unicode(false)
        .size_limit(LIST_BYTES_MAX)
        .dfa_size_limit(CACHE_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
}
