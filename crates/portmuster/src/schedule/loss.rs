//! Estimates packet loss from open ports that only a retry has found.

/// The number of verdicts per estimate.
const PERIOD: u32 = 500;
/// The percentage of verdicts found on a retry from which the rate is too high. A healthy network loses
/// one packet in a thousand or fewer.
const TOO_MANY: u32 = 2;

/// The estimate of one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// No packet was lost.
    None,
    /// Too many packets were lost.
    TooMuch,
}

/// Counts the verdicts of one period.
#[derive(Debug, Default)]
pub(super) struct Losses {
    verdicts: u32,
    found_on_retry: u32,
}

impl Losses {
    /// Counts a verdict. Returns the estimate at the end of a period, if it is clear.
    pub(super) fn add(&mut self, found_on_retry: bool) -> Option<Loss> {
        self.verdicts += 1;
        self.found_on_retry += u32::from(found_on_retry);
        if self.verdicts < PERIOD {
            return None;
        }
        let found = std::mem::take(self).found_on_retry;
        match found {
            0 => Some(Loss::None),
            _ if found * 100 >= PERIOD * TOO_MANY => Some(Loss::TooMuch),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the estimate of a period in which one in `every` verdicts was found on a retry.
    fn period(every: u32) -> Option<Loss> {
        let mut losses = Losses::default();
        (0..PERIOD).find_map(|verdict| losses.add(verdict % every == 1))
    }

    #[test]
    fn two_percent_found_on_retry_are_too_many() {
        assert_eq!(period(50), Some(Loss::TooMuch));
        assert_eq!(period(60), None);
        assert_eq!(period(PERIOD + 2), None);
        assert_eq!((0..PERIOD).find_map(|_| Losses::default().add(false)), None);
        let mut losses = Losses::default();
        assert_eq!((0..PERIOD).find_map(|_| losses.add(false)), Some(Loss::None));
    }
}
