//! The known word that a misspelled word is nearest to.

use strsim::osa_distance;

/// The fewest letters of a beginning that stands for the whole word.
const BEGINNING_MIN: usize = 3;

/// Returns the candidate that was probably meant: the first of those with the fewest edits. `None`: no
/// candidate is near.
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
    let distances = candidates.map(|candidate| (osa_distance(&word, candidate), candidate));
    let near = distances.filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Returns the nearest candidate, or else the only one that begins with the word.
pub(super) fn nearest_or_longer<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let is_long_enough = word.chars().count() >= BEGINNING_MIN;
    let mut longer = candidates.clone().filter(|it| is_long_enough && it.starts_with(word));
    nearest(word, candidates).or_else(|| longer.next().filter(|_| longer.next().is_none()))
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
            ("exp", None),
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

    #[test]
    fn only_candidate_that_begins_with_a_word_is_meant() {
        let options = ["exclude", "exclude-file", "timeout", "ports"];
        for (word, expected) in
            [("time", Some("timeout")), ("exc", None), ("prots", Some("ports")), ("ti", None)]
        {
            assert_eq!(nearest_or_longer(word, options.into_iter()), expected, "{word}");
        }
    }
}
