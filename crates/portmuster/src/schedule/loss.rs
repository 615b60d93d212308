//! Whether the network loses what it is sent, told by what only a retry finds.

/// Verdicts after which it is judged.
const PERIOD: u32 = 500;
/// In a hundred verdicts, this many that only a retry found mean that the rate is too high. A
/// healthy network loses one packet in a thousand or fewer.
const TOO_MANY: u32 = 2;

/// What a period of verdicts says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing was lost.
    None,
    /// Too much was lost.
    TooMuch,
}

/// Counts over one period.
#[derive(Debug, Default)]
pub(super) struct Losses {
    verdicts: u32,
    found_on_retry: u32,
}

impl Losses {
    /// Takes a verdict; what the period says when it is over.
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

    /// What a period says in which every so manieth verdict was found on a retry.
    fn period(every: u32) -> Option<Loss> {
        let mut losses = Losses::default();
        (0..PERIOD).find_map(|verdict| losses.add(verdict % every == 1))
    }

    #[test]
    fn two_in_a_hundred_are_too_many() {
        assert_eq!(period(50), Some(Loss::TooMuch));
        assert_eq!(period(60), None);
        assert_eq!(period(PERIOD + 2), None);
        assert_eq!((0..PERIOD).find_map(|_| Losses::default().add(false)), None);
        let mut losses = Losses::default();
        assert_eq!((0..PERIOD).find_map(|_| losses.add(false)), Some(Loss::None));
    }
}
