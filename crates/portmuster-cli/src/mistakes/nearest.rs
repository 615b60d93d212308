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

/// Returns the only candidate that differs by one slip of the fingers: neighbours swapped, a letter or
/// sign missing, a letter doubled, or another case or underscore. `None`: there is none, or there are
/// several.
///
/// A digit is never added, dropped or replaced, because it is what tells names such as `ssh-1` apart.
pub(super) fn slip<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    if let Some(same) = candidates.clone().find(|candidate| *candidate == word) {
        return Some(same);
    }
    let mut slips = candidates.filter(|candidate| is_slip(&word, candidate));
    slips.next().filter(|_| slips.next().is_none())
}

/// Returns whether a word is another one with a single slip.
fn is_slip(word: &str, meant: &str) -> bool {
    if osa_distance(word, meant) != 1 || digits(word) != digits(meant) {
        return false;
    }
    let sorted = |text: &str| {
        let mut letters: Vec<_> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let (length, length_meant) = (word.chars().count(), meant.chars().count());
    length < length_meant
        || length == length_meant && sorted(word) == sorted(meant)
        || without_doubled(word) == without_doubled(meant)
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Returns a text with each run of the same letter as one letter.
fn without_doubled(text: &str) -> String {
    let mut letters: Vec<_> = text.chars().collect();
    letters.dedup();
    letters.into_iter().collect()
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

    #[test]
    fn slips_keep_digits_and_the_other_letters() {
        let values = ["ssh", "ssh-1", "telnet", "weak", "weak-kex", "rc4", "3des", "des"];
        for (word, expected) in [
            ("ssh1", Some("ssh-1")),
            ("SSH_1", Some("ssh-1")),
            ("ssh2", None),
            ("ssh-2", None),
            ("shs", Some("ssh")),
            ("tellnet", Some("telnet")),
            ("telnets", None),
            ("teln", None),
            ("rc5", None),
            ("2des", None),
            ("wek-kex", Some("weak-kex")),
        ] {
            assert_eq!(slip(word, values.into_iter()), expected, "{word}");
        }
    }
}
