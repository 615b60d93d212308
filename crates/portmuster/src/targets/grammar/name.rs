//! Host names: RFC 1123, with underscores, and international ones in their xn-- form.

use std::{borrow::Cow, sync::Arc};

use idna::AsciiDenyList;

use super::{ItemErrorKind, excerpt};
use crate::letters::is_hidden;

/// Reads a name; an error comes with its place in characters from 0.
pub(super) fn parse(text: &str) -> Result<Arc<str>, (usize, ItemErrorKind)> {
    let name = ascii(text)?;
    let parts = name.strip_suffix('.').unwrap_or(&name);
    if parts.len() > 253 || parts.split('.').any(|part| !(1..=63).contains(&part.len())) {
        return Err((0, ItemErrorKind::Name(excerpt(text))));
    }
    if parts.split('.').any(|part| part.starts_with('-') || part.ends_with('-')) {
        return Err((0, ItemErrorKind::Hyphen(excerpt(text))));
    }
    Ok(name.into())
}

/// The name in letters, digits, `-`, `_` and `.`.
fn ascii(text: &str) -> Result<Cow<'_, str>, (usize, ItemErrorKind)> {
    if let Some((at, letter)) = text.chars().enumerate().find(|&(_, letter)| !is_allowed(letter)) {
        return Err((at, of_character(letter)));
    }
    if text.is_ascii() {
        return Ok(text.into());
    }
    let is_numeric = |name: &str| {
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or(name);
        last.bytes().all(|byte| byte.is_ascii_digit())
    };
    let place = text.chars().position(|letter| !letter.is_ascii()).unwrap_or_default();
    match idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::URL) {
        // Digits of other scripts are no address.
        Ok(name) if name.bytes().all(is_plain) && !is_numeric(&name) => {
            Ok(name.into_owned().into())
        }
        Ok(_) | Err(_) => Err((place, ItemErrorKind::International(excerpt(text)))),
    }
}

fn of_character(letter: char) -> ItemErrorKind {
    if matches!(letter, ',' | ';' | '"' | '|') {
        return ItemErrorKind::Separator(letter);
    }
    ItemErrorKind::Character(letter)
}

fn is_allowed(letter: char) -> bool {
    if letter.is_ascii() {
        return is_plain(letter as u8);
    }
    // Dashes, quotes, arrows and what can't be seen are no part of words; joiners are.
    let is_punctuation = matches!(letter, '\u{2000}'..='\u{2bff}' | '\u{2e00}'..='\u{2e7f}');
    let is_joiner = matches!(letter, '\u{200c}' | '\u{200d}');
    is_joiner || !(is_hidden(letter) || letter.is_whitespace() || is_punctuation)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)
}
