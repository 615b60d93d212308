//! The largest share of silent targets that a run may have missed.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Parts of a whole per million.
const MILLION: u32 = 1_000_000;
/// The largest share, in parts per million: a half.
const LARGEST: u32 = MILLION / 2;

/// The largest share of a run's silent targets that would have answered one more attempt.
///
/// It is a percentage from 0.0001% to 50%, in steps of 0.0001%. The default is 0.1%, for which about
/// 4,095 silent targets are asked once more.
///
/// ```
/// use portmuster::config::MaxMissed;
///
/// assert_eq!("0.10%".parse(), Ok(MaxMissed::default()));
/// assert_eq!("2%".parse::<MaxMissed>()?.share(), 0.02);
/// assert!("0%".parse::<MaxMissed>().is_err());
/// # Ok::<(), portmuster::config::MaxMissedError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MaxMissed {
    parts_per_million: NonZeroU32,
}

/// Why a text is no [`MaxMissed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected a percentage from 0.0001% to 50%, such as 0.1%")]
pub struct MaxMissedError(());

impl MaxMissed {
    /// Creates the share of this many parts per million; `None` unless it is from 1 to 500,000.
    #[must_use]
    pub fn from_parts_per_million(parts: u32) -> Option<Self> {
        let parts_per_million = NonZeroU32::new(parts).filter(|parts| parts.get() <= LARGEST)?;
        Some(Self { parts_per_million })
    }

    /// Returns the share as a number between 0 and 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.parts_per_million.get()) / f64::from(MILLION)
    }
}

impl Default for MaxMissed {
    fn default() -> Self {
        Self {
            parts_per_million: const { NonZeroU32::new(MILLION / 1000).expect("it is not zero") },
        }
    }
}

impl fmt::Display for MaxMissed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts_per_million.get();
        let digits = format!("{}.{:04}", parts / 10_000, parts % 10_000);
        write!(formatter, "{}%", digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for MaxMissed {
    type Err = MaxMissedError;

    fn from_str(text: &str) -> Result<Self, MaxMissedError> {
        parse(text).and_then(Self::from_parts_per_million).ok_or(MaxMissedError(()))
    }
}

/// Returns the parts per million of a percentage with at most four decimals.
fn parse(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str, most| {
        (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole, 3) || !is_number(decimals, 4) {
        return None;
    }
    let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
    Some(whole.parse::<u32>().ok()? * 10_000 + decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_parsed_and_formatted() {
        for (text, parts) in
            [("0.1%", 1000), ("0.0001%", 1), ("50%", 500_000), ("1.5%", 15_000), ("0.25%", 2500)]
        {
            let parsed: MaxMissed = text.parse().expect("it is in range");
            assert_eq!(parsed.parts_per_million.get(), parts, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!("2.0000%".parse(), "2%".parse::<MaxMissed>());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "0%", "0", "0.1", "200%", "50.0001%", "0.00001%", "-1%", "+1%", "1e1%", ".5%", "1.%",
            "%", "", "NaN%", "1 %", "0001%", "١%",
        ] {
            assert!(text.parse::<MaxMissed>().is_err(), "{text:?}");
        }
    }
}
