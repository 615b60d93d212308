//! Characters that can't be seen.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory},
};

/// Whether a character does something other than to be seen where it stands: controls, separators
/// of lines, what turns the direction of text, what is drawn as nothing, and what no version of
/// Unicode that is known here says how to draw. Spaces are seen as such.
pub(crate) fn is_hidden(letter: char) -> bool {
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

/// Characters whose picture is empty, although no property says so: the pattern of Braille without
/// dots, the place of an object, Egyptian blanks, a note without a head, and the Khitan filler.
fn is_blank(letter: char) -> bool {
    matches!(
        letter,
        '\u{2800}' | '\u{fffc}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1d159}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unicode 17, written down once more: `Default_Ignorable_Code_Point`, then the category Cf and
    /// `Bidi_Control` where they are not in it.
    const HIDDEN: [(char, char); 28] = [
        ('\u{ad}', '\u{ad}'),
        ('\u{34f}', '\u{34f}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{202a}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{fff0}', '\u{fff8}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0000}', '\u{e0fff}'),
        ('\u{600}', '\u{605}'),
        ('\u{6dd}', '\u{6dd}'),
        ('\u{70f}', '\u{70f}'),
        ('\u{890}', '\u{891}'),
        ('\u{8e2}', '\u{8e2}'),
        ('\u{fff9}', '\u{fffb}'),
        ('\u{110bd}', '\u{110bd}'),
        ('\u{110cd}', '\u{110cd}'),
        ('\u{13430}', '\u{1343f}'),
        ('\u{2028}', '\u{2029}'),
        ('\u{2800}', '\u{2800}'),
    ];

    #[test]
    fn every_character_is_hidden_or_seen_by_its_properties() {
        let ignored = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let turns = CodePointSetData::new::<BidiControl>();
        let category = CodePointMapData::<GeneralCategory>::new();
        for letter in '\0'..=char::MAX {
            let is_listed = HIDDEN.iter().any(|&(first, last)| (first..=last).contains(&letter));
            let is_property = ignored.contains(letter) || turns.contains(letter);
            let by_category = match category.get(letter) {
                GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned => true,
                _ => matches!(letter, '\u{2028}' | '\u{2029}') || is_blank(letter),
            };
            assert_eq!(is_hidden(letter), is_property || by_category, "{letter:?}");
            assert!(is_hidden(letter) || !(is_listed || letter.is_control()), "{letter:?}");
        }
    }

    #[test]
    fn what_people_write_can_be_seen() {
        let text =
            "naïve Ελλάδα Москва مرحبا שלום हिन्दी ไทย 東京 かな 한국어 \u{a0}\u{3000}😀→─█e\u{301}";
        assert_eq!(text.chars().find(|&letter| is_hidden(letter)), None);
        for letter in ['\n', '\u{7f}', '\u{85}', '\u{2028}', '\u{2800}', '\u{fff9}', '\u{e000}'] {
            assert!(is_hidden(letter), "{letter:?}");
        }
    }
}
