//! The known word that a misspelled word is nearest to.

use strsim::osa_distance;

/// The fewest letters of a beginning that stands for the whole word.
const BEGINNING_MIN: usize = 3;

/// Returns the candidate that was probably meant: the first of those with the fewest edits, or one that
/// the word is the beginning of. `None`: no candidate is near.
///
/// An edit inserts, removes or replaces a letter, or swaps two neighbours. A word of three to five
/// letters may have one, a longer word two.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let most = match length {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let distances = candidates.clone().map(|candidate| (osa_distance(&word, candidate), candidate));
    let near = distances.filter(|(distance, _)| *distance <= most);
    let near = near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate);
    let mut longer = candidates.filter(|it| length >= BEGINNING_MIN && it.starts_with(&word));
    near.or_else(|| longer.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word_has_the_fewest_edits_and_comes_first() {
        let commands = ["check", "explain", "diff", "schema", "man", "list"];
        for (word, expected) in [
            ("chekc", Some("check")),
            ("CHECK", Some("check")),
            ("explian", Some("explain")),
            ("exp", Some("explain")),
            ("nmap", None),
            ("sacn", None),
            ("ma", None),
            ("", None),
            ("listt", Some("list")),
        ] {
            assert_eq!(nearest(word, commands.into_iter()), expected, "{word}");
        }
        assert_eq!(nearest("bat", ["cat", "bar"].into_iter()), Some("cat"));
    }
}
