//! Numbers and times as people read them.

use std::time::Duration;

/// Formats a number with a comma between thousands.
pub(crate) fn with_commas(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a number and what it counts, which gets an s unless the number is one.
pub(crate) fn count(number: impl Into<u128>, what: &str) -> String {
    let number = number.into();
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", with_commas(number))
}

/// Formats how long something took: `2.05 s`, `12 min 5 s`, `1 h 51 min`.
pub(crate) fn describe_elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..100 => format!("{:.2} s", time.as_secs_f64()),
        100..6000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", with_commas(seconds / 3600), seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_no_plural() {
        let counts = [0_u32, 1, 2, 1_000].map(|number| count(number, "target"));
        assert_eq!(counts, ["0 targets", "1 target", "2 targets", "1,000 targets"]);
    }

    #[test]
    fn long_times_have_larger_units() {
        for (millis, text) in [
            (4, "0.00 s"),
            (2_049, "2.05 s"),
            (99_990, "99.99 s"),
            (100_000, "1 min 40 s"),
            (5_999_999, "99 min 59 s"),
            (6_660_000, "1 h 51 min"),
        ] {
            assert_eq!(describe_elapsed(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn thousands_are_separated_by_commas() {
        let numbers = [0u32, 7, 999, 1_000, 65_024, 1_234_567].map(with_commas);
        assert_eq!(numbers, ["0", "7", "999", "1,000", "65,024", "1,234,567"]);
    }
}
