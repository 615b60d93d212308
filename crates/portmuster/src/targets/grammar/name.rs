//! Host names: those of RFC 1123 with underscores, and international names in their `xn--` form.

use std::{borrow::Cow, sync::Arc};

use idna::AsciiDenyList;

use super::{error::ItemErrorKind, quote::excerpt};
use crate::characters::is_hidden;

/// Parses a host name. The index of an error is in characters from 0.
pub(super) fn parse(text: &str) -> Result<Arc<str>, (usize, ItemErrorKind)> {
    let name = to_ascii(text)?;
    let labels = name.strip_suffix('.').unwrap_or(&name);
    if labels.len() > 253 || labels.split('.').any(|label| !(1..=63).contains(&label.len())) {
        return Err((0, ItemErrorKind::Name(excerpt(text))));
    }
    if labels.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        return Err((0, ItemErrorKind::Hyphen(excerpt(text))));
    }
    Ok(name.into())
}

/// Converts a name to one of ASCII letters, digits, `-`, `_` and `.`.
fn to_ascii(text: &str) -> Result<Cow<'_, str>, (usize, ItemErrorKind)> {
    if let Some((index, character)) = text.chars().enumerate().find(|&(_, c)| !is_allowed(c)) {
        return Err((index, disallowed(character)));
    }
    if text.is_ascii() {
        return Ok(text.into());
    }
    let is_numeric = |name: &str| {
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or(name);
        last.bytes().all(|byte| byte.is_ascii_digit())
    };
    let first = text.chars().position(|character| !character.is_ascii()).unwrap_or_default();
    match idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::URL) {
        // A number in the digits of another script is not an address.
        Ok(name) if name.bytes().all(is_plain) && !is_numeric(&name) => {
            Ok(name.into_owned().into())
        }
        Ok(_) | Err(_) => Err((first, ItemErrorKind::International(excerpt(text)))),
    }
}

/// Returns the error for a character that a name can't contain.
fn disallowed(character: char) -> ItemErrorKind {
    if matches!(character, ',' | ';' | '"' | '|') {
        return ItemErrorKind::Separator(character);
    }
    ItemErrorKind::Character(character)
}

/// Returns whether a name, before its conversion to ASCII, may contain the character.
fn is_allowed(character: char) -> bool {
    if character.is_ascii() {
        return is_plain(character as u8);
    }
    // Words may contain joiners, but no dashes, quotes, arrows or invisible characters.
    let is_punctuation = matches!(character, '\u{2000}'..='\u{2bff}' | '\u{2e00}'..='\u{2e7f}');
    let is_joiner = matches!(character, '\u{200c}' | '\u{200d}');
    is_joiner || !(is_hidden(character) || character.is_whitespace() || is_punctuation)
}

/// Returns whether an ASCII name may contain the byte.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}
