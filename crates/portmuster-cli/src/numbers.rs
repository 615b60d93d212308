//! Numbers as people read them.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_by_commas() {
        let numbers = [0u32, 7, 999, 1_000, 65_024, 1_234_567].map(with_commas);
        assert_eq!(numbers, ["0", "7", "999", "1,000", "65,024", "1,234,567"]);
    }
}
