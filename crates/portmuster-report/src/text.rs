//! Text from strangers as visible text, and numbers as people read them.

use std::fmt::Write;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory},
};
use jiff::Timestamp;

/// Converts bytes to one line of visible text.
///
/// White space becomes single spaces. Invalid UTF-8 becomes `\xNN`; control characters, characters that
/// change the direction of text, and other invisible ones become `\u{NNNN}`.
pub(crate) fn visible(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|letter| push(&mut line, letter));
        for &byte in chunk.invalid() {
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    line.truncate(line.trim_end().len());
    line
}

fn push(line: &mut String, letter: char) {
    match letter {
        ' ' | '\t' | '\r' | '\n' if line.is_empty() || line.ends_with(' ') => {}
        ' ' | '\t' | '\r' | '\n' => line.push(' '),
        _ if letter.is_ascii_control() => {
            let _ = write!(line, "\\x{:02x}", letter as u32);
        }
        _ if is_hidden(letter) => line.extend(letter.escape_unicode()),
        _ => line.push(letter),
    }
}

/// Returns whether a character has no glyph of its own, or changes how others are displayed.
fn is_hidden(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(letter);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    ) || is_blank(letter)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
        || CodePointSetData::new::<BidiControl>().contains(letter)
}

/// Returns whether the glyph of a character is empty although no Unicode property says so: the same
/// characters that `portmuster` escapes in rows.
fn is_blank(letter: char) -> bool {
    matches!(
        letter,
        '\u{2800}' | '\u{fffc}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1d159}'
    )
}

/// Shortens a text to at most `limit` characters, of which the last is then `…`.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// Formats a number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number with its noun: `1 target`, `2 targets`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Formats a share as a percentage: whole from 10 %, else with one decimal. A part that is neither
/// nothing nor everything is never shown as 0 % or 100 %.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0 %".to_owned();
    }
    let share = ratio(part, whole) * 100.0;
    match share {
        _ if part >= whole => "100 %".to_owned(),
        99.0.. => "> 99 %".to_owned(),
        10.0.. => format!("{share:.0} %"),
        0.05.. => format!("{share:.1} %"),
        _ => "< 0.1 %".to_owned(),
    }
}

/// Returns the share of a part; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Formats milliseconds with two or three digits and their unit.
pub(crate) fn milliseconds(time: f64) -> String {
    match time {
        ..0.995 => format!("{time:.2} ms"),
        ..9.95 => format!("{time:.1} ms"),
        ..999.5 => format!("{time:.0} ms"),
        ..9_995.0 => format!("{:.2} s", time / 1e3),
        _ => format!("{:.1} s", time / 1e3),
    }
}

/// Formats a duration in milliseconds as hours, minutes and seconds.
pub(crate) fn duration(time: f64) -> String {
    if time < 60_000.0 {
        return milliseconds(time);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let seconds = (time / 1e3).round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours} h {minutes} min")
    } else {
        format!("{minutes} min {seconds} s")
    }
}

/// Formats a time of RFC 3339 in UTC for people: to the second, or as it is if it has another form.
pub(crate) fn moment(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(parsed) => parsed.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_an_empty_glyph_are_escaped() {
        for letter in ['\u{2800}', '\u{fffc}', '\u{13441}', '\u{13442}', '\u{16fe4}', '\u{1d159}'] {
            assert!(is_hidden(letter), "{letter:?}");
        }
    }

    #[test]
    fn hostile_bytes_become_visible_ascii() {
        assert_eq!(visible(b" a\r\n\tb \x00\x1b[2J\xff "), r"a b \x00\x1b[2J\xff");
        assert_eq!(visible("\u{202e}x\u{200b}é東".as_bytes()), r"\u{202e}x\u{200b}é東");
        assert_eq!(visible("\u{2028}\u{e000}".as_bytes()), r"\u{2028}\u{e000}");
    }

    #[test]
    fn numbers_are_grouped_and_shares_are_rounded() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let shares = [(0, 9), (1, 100_000), (1, 100), (1, 8), (999, 1_000), (5, 5), (1, 0)];
        let shares = shares.map(|(part, whole)| percent(part, whole));
        assert_eq!(shares, ["0 %", "< 0.1 %", "1.0 %", "12 %", "> 99 %", "100 %", "0 %"]);
    }

    #[test]
    fn times_have_two_or_three_digits() {
        let times = [0.123, 4.5, 44.6, 999.6, 12_345.0].map(milliseconds);
        assert_eq!(times, ["0.12 ms", "4.5 ms", "45 ms", "1.00 s", "12.3 s"]);
        assert_eq!(
            [59_000.0, 61_000.0, 7_260_000.0].map(duration),
            ["59.0 s", "1 min 1 s", "2 h 1 min"]
        );
    }

    #[test]
    fn moments_are_in_utc_to_the_second() {
        assert_eq!(moment("2026-11-18T11:06:40.120Z"), "2026-11-18 11:06:40 UTC");
        assert_eq!(moment("2026-11-18T13:06:40+02:00"), "2026-11-18 11:06:40 UTC");
        assert_eq!(moment("yesterday"), "yesterday");
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        assert_eq!(shorten("ééé", 3), "ééé");
        assert_eq!(shorten("éééé", 3), "éé…");
    }
}
