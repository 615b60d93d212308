//! Detects characters that are invisible or change how text is displayed.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory},
};

/// Returns whether a character must be escaped before it is displayed.
///
/// Hidden are control characters, line and paragraph separators, characters that change the
/// direction of text, characters without a visible glyph, and those that the Unicode version of
/// `icu_properties` leaves unassigned or private. Spaces are not hidden.
pub(crate) fn is_hidden(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    ) || is_blank(character)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || CodePointSetData::new::<BidiControl>().contains(character)
}

/// Returns whether the glyph of a character is empty although no Unicode property says so.
///
/// These are the Braille pattern without dots, the object replacement character, the Egyptian
/// blanks, the note without a head, and the Khitan filler.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{2800}' | '\u{fffc}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1d159}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranges of Unicode 17, as an independent copy: `Default_Ignorable_Code_Point`, then those of
    /// category Cf and `Bidi_Control` that are not in it.
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
    fn every_character_is_classified_by_its_unicode_properties() {
        let ignored = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let bidi = CodePointSetData::new::<BidiControl>();
        let category = CodePointMapData::<GeneralCategory>::new();
        for character in '\0'..=char::MAX {
            let is_listed = HIDDEN.iter().any(|&(first, last)| (first..=last).contains(&character));
            let is_property = ignored.contains(character) || bidi.contains(character);
            let by_category = match category.get(character) {
                GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned => true,
                _ => matches!(character, '\u{2028}' | '\u{2029}') || is_blank(character),
            };
            assert_eq!(is_hidden(character), is_property || by_category, "{character:?}");
            assert!(
                is_hidden(character) || !(is_listed || character.is_control()),
                "{character:?}"
            );
        }
    }

    #[test]
    fn text_in_common_scripts_is_visible() {
        let text =
            "naïve Ελλάδα Москва مرحبا שלום हिन्दी ไทย 東京 かな 한국어 \u{a0}\u{3000}😀→─█e\u{301}";
        assert_eq!(text.chars().find(|&character| is_hidden(character)), None);
        for character in ['\n', '\u{7f}', '\u{85}', '\u{2028}', '\u{2800}', '\u{fff9}', '\u{e000}']
        {
            assert!(is_hidden(character), "{character:?}");
        }
    }
}
